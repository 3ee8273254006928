//! Files that are read again while the proxy runs, so that keys and certificates are renewed without a restart.

use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The largest file that is taken for a certificate or a key set, in bytes.
const MOST: u64 = 1 << 20;

/// A file that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[error("cannot read {}: {reason}", .path.display())]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// The system's own words.
    pub reason: String,
}

/// What some files hold, in their order.
pub(crate) type Contents = Result<Vec<Vec<u8>>, FileError>;

pub(crate) fn read(paths: &[PathBuf]) -> Contents {
    paths.iter().map(|path| read_one(path)).collect()
}

fn read_one(path: &Path) -> Result<Vec<u8>, FileError> {
    let failed = |reason: String| FileError { path: path.to_owned(), reason };
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    let mut bytes = Vec::new();
    file.take(MOST + 1).read_to_end(&mut bytes).map_err(|error| failed(error.to_string()))?;
    match bytes.len() as u64 > MOST {
        true => Err(failed(format!("it is larger than {MOST} bytes"))),
        false => Ok(bytes),
    }
}

/// A number that is another one when the files are.
pub(crate) fn mark(contents: &Contents) -> u64 {
    let mut hasher = DefaultHasher::new();
    contents.hash(&mut hasher);
    hasher.finish()
}

/// Reads the files time and again, and calls `changed` whenever they hold something else than before: `seen` is the mark
/// of what they held first. Contents are compared and not times, which copies and links do not keep.
pub(crate) async fn watch(
    paths: Vec<PathBuf>,
    every: Duration,
    mut seen: u64,
    mut changed: impl FnMut(Contents),
) {
    loop {
        tokio::time::sleep(every).await;
        let paths = paths.clone();
        // A disk that hangs must not hold up the node.
        let Ok(contents) = tokio::task::spawn_blocking(move || read(&paths)).await else { continue };
        let now = mark(&contents);
        if std::mem::replace(&mut seen, now) != now {
            changed(contents);
        }
    }
}
