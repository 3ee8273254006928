//! What a sync costs in the directory of the stores.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

const SYNCS: usize = 200;

/// The median of the time that `fdatasync` takes after 16 KiB were appended, in microseconds.
pub(super) fn fdatasync_us(dir: &Path) -> std::io::Result<f64> {
    let mut file: File = tempfile::tempfile_in(dir)?;
    let mut took = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        file.write_all(&[7; 16 << 10])?;
        let begun = Instant::now();
        file.sync_data()?;
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    Ok(took.get(SYNCS / 2).map_or(0.0, |took| took.as_secs_f64() * 1e6))
}
