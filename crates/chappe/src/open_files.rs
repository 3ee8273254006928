//! How many files a process may have open: each client of a proxy and each peer of a node is one.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the soft limit, which usually is 1,024, to the hard one. Where that is not allowed, the limit shows when it is met.
pub(crate) fn raise_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}
