//! What the command line asks of the store.

use super::Desk;

impl Desk {
    pub(super) fn serve_tools(&self) {}
}
