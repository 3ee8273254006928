//! What an idle node and an idle client cost in memory.

use super::{BenchResult, IdleArgs};

pub(super) fn run(_args: &IdleArgs) -> BenchResult<()> {
    Err("not measured yet".into())
}
