//! The demo, as its users run it: real processes, a server that is killed in between.

#[test]
fn money_is_made_or_lost_when_a_server_dies_in_between() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_gifts")).arg("demo").output();
    let output = output.unwrap_or_else(|error| panic!("it does not run: {error}"));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("together they have 30000"), "{said}");
}
