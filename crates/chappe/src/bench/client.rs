//! Round trips of players: client, proxy, game and back.

use super::measure::Figure;
use super::{BenchResult, WorkArgs};

pub(super) fn run(_args: &WorkArgs) -> BenchResult<Figure> {
    Err("not measured yet".into())
}
