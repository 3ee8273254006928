use super::*;
use crate::value;

#[test]
fn a_mixed_map_arrives_equal() {
    let sent =
        value!({"n": -3, 7: [nil, true, 1.5, "雪"], "raw": b"\x00\xff", "uid": u64::MAX, "in": {"x": 1 + 1}});
    let arrived: Value = decode(&encode(&sent).unwrap()).unwrap();
    assert_eq!(arrived, sent);
}
