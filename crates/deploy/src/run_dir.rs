//! The directory that a cluster's Unix sockets stand in: found from the deploy file alone, so that every process of
//! the cluster comes to the same one without being told.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::unistd::Uid;

use crate::deploy::Deploy;

/// The longest name, in bytes, that a socket in [`Deploy::run_dir`] may have: with it, the whole path still fits.
pub const SOCKET_NAME_MAX: usize = 32;

/// The longest path of a Unix socket: `sun_path` has 108 bytes, one of them for the final zero.
const SOCKET_PATH_MAX: usize = 107;

impl Deploy {
    /// Where the cluster's Unix sockets stand: `<base>/chappe-<uid>/<16 hex digits of the deploy file's real path>`.
    /// The base is `XDG_RUNTIME_DIR`, else the directory for temporary files, else `/tmp`, the first in which a socket
    /// path fits. It need not exist: see [`Deploy::create_run_dir`].
    #[must_use]
    pub fn run_dir(&self) -> PathBuf {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        // The desktop may be gone (su, cron) while its variable is not; and a relative one is to be ignored.
        let runtime = runtime.filter(|dir| dir.is_absolute() && dir.is_dir());
        let base = runtime.unwrap_or_else(std::env::temp_dir);
        run_dir_in(&base, Uid::effective().as_raw(), &self.canonical)
    }

    /// Makes [`Deploy::run_dir`] if it is not there, open to this user alone.
    ///
    /// # Errors
    /// What the system says; `PermissionDenied` if the directory above it belongs to another user, who could then
    /// put sockets of their own there.
    pub fn create_run_dir(&self) -> io::Result<PathBuf> {
        let dir = self.run_dir();
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        for level in dir.parent().into_iter().chain([dir.as_path()]) {
            refuse_foreign(level)?;
        }
        Ok(dir)
    }
}

fn run_dir_in(base: &Path, uid: u32, file: &Path) -> PathBuf {
    let name = format!("chappe-{uid}/{:016x}", fnv1a(file.as_os_str().as_bytes()));
    let dir = base.join(&name);
    let longest = dir.as_os_str().len() + 1 + SOCKET_NAME_MAX;
    if longest <= SOCKET_PATH_MAX { dir } else { Path::new("/tmp").join(name) }
}

/// FNV-1a with 64 bits: the same in every version and on every machine, unlike the standard library's hasher.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// In a directory that all users write to, another one may have been first with the name.
fn refuse_foreign(dir: &Path) -> io::Result<()> {
    let metadata = std::fs::symlink_metadata(dir)?;
    let is_ours =
        metadata.is_dir() && metadata.uid() == Uid::effective().as_raw() && metadata.mode() & 0o022 == 0;
    if is_ours {
        return Ok(());
    }
    let text = format!("{} is not a directory of this user alone", dir.display());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_path_is_never_longer_than_the_system_takes() {
        let file = Path::new("/srv/arena/deploy.json");
        let short = run_dir_in(Path::new("/run/user/1000"), 1000, file);
        assert_eq!(short, Path::new("/run/user/1000/chappe-1000/ac0a1593d9923bd9"));

        let long = run_dir_in(Path::new(&format!("/var/{}", "x".repeat(60))), u32::MAX, file);
        assert_eq!(long, Path::new("/tmp/chappe-4294967295/ac0a1593d9923bd9"));
        assert!(long.as_os_str().len() + 1 + SOCKET_NAME_MAX <= SOCKET_PATH_MAX);
    }

    #[test]
    fn the_hash_is_not_another_one_after_an_update() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_directory_that_others_can_write_to_is_refused() {
        let base = tempfile::tempdir().expect("a temporary directory");
        let ours = base.path().join("ours");
        DirBuilder::new().mode(0o700).create(&ours).expect("made");
        assert!(refuse_foreign(&ours).is_ok());

        let link = base.path().join("link");
        std::os::unix::fs::symlink(&ours, &link).expect("linked");
        assert_eq!(refuse_foreign(&link).expect_err("a link").kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(
            refuse_foreign(Path::new("/tmp")).expect_err("shared").kind(),
            io::ErrorKind::PermissionDenied
        );
    }
}
