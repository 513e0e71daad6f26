//! JPEG-LS streams of grey values to numbers.
//!
//! Standard: ITU-T T.87 (ISO/IEC 14495-1), lossless and near-lossless; where one of its variables has another name here, its own stands in
//! brackets. A stream that is damaged gives an error or, where nothing shows it, other numbers; never more than the promised ones.

mod bits;
mod header;
mod scan;
#[cfg(test)]
mod tests;

use bits::{Bits, Cause};
use header::Header;
pub(super) use header::START;
use scan::Scan;

/// A decoded stream.
#[derive(Debug, PartialEq)]
pub(super) struct Picture {
    /// Bits of each number [P]: 2 to 16.
    pub precision: u32,
    /// Row by row.
    pub numbers: Vec<u16>,
}

/// Decodes a stream of such a size.
///
/// # Errors
/// No stream of grey values, one of another size, one with a part that is not read, or a damaged one: as the end of a sentence about it.
pub(super) fn decode(stream: &[u8], columns: usize, rows: usize) -> Result<Picture, Cause> {
    let (header, data) = Header::read(stream)?;
    if (header.columns, header.rows) != (columns, rows) || columns == 0 || rows == 0 {
        let held = format!("{} x {}", header.columns, header.rows);
        return Err(format!("holds {held} pixels instead of {columns} x {rows}"));
    }
    let coding = header.coding()?;
    let mut numbers = vec![0; columns * rows];
    let mut bits = Bits::new(data);
    let lines = if header.restart_lines == 0 { rows } else { rows.min(header.restart_lines) };
    for (interval, numbers) in numbers.chunks_mut(columns * lines).enumerate() {
        if interval > 0 {
            bits.restart((interval - 1) % 8)?;
        }
        Scan::new(&coding, &mut bits).decode(numbers, columns)?;
        bits.end()?;
    }
    Ok(Picture { precision: header.precision, numbers })
}
