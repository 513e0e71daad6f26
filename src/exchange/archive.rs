//! A way round a fault in the reading of PyTorch's archives.
//!
//! PyTorch ends every archive with 64-bit records in front of the common end record. The reader of archives looks for the
//! directory where it would lie without them; where its first entry happens to be just as long as they are (weights
//! saved under a name of 21 letters), it takes the second entry for the first and then finds one too few.

use std::fs::File;
use std::io::{Read, Result, Seek, SeekFrom, Write as _};
use std::path::Path;

use tempfile::{NamedTempFile, TempPath};

/// Bytes of the 64-bit records: the end record and its locator.
const END64: u64 = 56 + 20;
/// Bytes of the common end record, without a comment.
const END: u64 = 22;

/// A copy without the 64-bit records, which goes when it is dropped; none where the archive is not PyTorch's or needs them.
pub(super) fn without_end64(path: &Path) -> Result<Option<TempPath>> {
    let mut file = File::open(path)?;
    let Some(start) = file.metadata()?.len().checked_sub(END64 + END) else { return Ok(None) };
    file.seek(SeekFrom::Start(start))?;
    let mut records = Vec::new();
    file.read_to_end(&mut records)?;
    let (end64, end) = records.split_at(END64 as usize);
    // All ones in a field (counts, size and place of the directory) say that the number is in the 64-bit record.
    let is_needed = end[8..10] == [0xff; 2] || end[12..16] == [0xff; 4] || end[16..20] == [0xff; 4];
    let is_pytorch = end64.starts_with(b"PK\x06\x06") && end64[56..].starts_with(b"PK\x06\x07") && end.starts_with(b"PK\x05\x06");
    if is_needed || !is_pytorch {
        return Ok(None);
    }
    let mut copy = NamedTempFile::new()?;
    file.seek(SeekFrom::Start(0))?;
    std::io::copy(&mut file.take(start), &mut copy)?;
    copy.write_all(end)?;
    Ok(Some(copy.into_temp_path()))
}
