//! What stands before the coded numbers (T.87, annex C).

use super::bits::Cause;
use super::scan::Coding;

/// First bytes of a stream.
pub const START: [u8; 2] = [0xff, 0xd8];

/// What a stream says of itself.
pub(super) struct Header {
    pub precision: u32,
    pub columns: usize,
    pub rows: usize,
    /// Lines after which the coding begins afresh; 0 if never.
    pub restart_lines: usize,
    /// MAXVAL, T1, T2, T3 and RESET; 0 where the standard's are meant.
    preset: [i32; 5],
    near: i32,
}

impl Header {
    /// The header, and the coded numbers behind it.
    ///
    /// # Errors
    /// A broken header, several components, tables, marks of other kinds of JPEG.
    pub fn read(stream: &[u8]) -> Result<(Self, &[u8]), Cause> {
        let broken = || "has a broken header".to_owned();
        let mut rest = stream.strip_prefix(&START).ok_or_else(broken)?;
        let (mut frame, mut preset, mut restart_lines) = (None, [0; 5], 0);
        loop {
            let [0xff, marker, behind @ ..] = rest else { return Err(broken()) };
            if *marker == 0xff {
                rest = &rest[1..];
                continue;
            }
            let [high, low, ..] = *behind else { return Err(broken()) };
            let length = usize::from(u16::from_be_bytes([high, low]));
            let segment = behind.get(2..length).ok_or_else(broken)?;
            rest = &behind[length..];
            match (*marker, segment) {
                (0xf7, &[precision @ 2..=16, a, b, c, d, 1, _, _, _]) => {
                    frame = Some((precision.into(), [[a, b], [c, d]].map(|bytes| usize::from(u16::from_be_bytes(bytes)))));
                }
                (0xf7, &[_, _, _, _, _, components, ..]) if components != 1 => {
                    return Err(format!("holds {components} components, not grey values"));
                }
                (0xf8, [1, numbers @ ..]) if numbers.len() == 10 => {
                    preset = std::array::from_fn(|at| u16::from_be_bytes([numbers[2 * at], numbers[2 * at + 1]]).into());
                }
                (0xf8, [kind @ 2..=4, ..]) => return Err(format!("holds tables or sizes of a kind that is not read (LSE {kind})")),
                (0xdd, lines) if (2..=4).contains(&lines.len()) => {
                    restart_lines = lines.iter().fold(0, |lines, &byte| lines << 8 | usize::from(byte));
                }
                (0xda, &[1, _, 0, near, 0, 0]) => {
                    let (precision, [rows, columns]) = frame.ok_or_else(broken)?;
                    return Ok((Self { precision, columns, rows, restart_lines, preset, near: near.into() }, rest));
                }
                // Words of the program that wrote it.
                (0xe0..=0xef | 0xfe, _) => {}
                (0xc0..=0xcf, _) => return Err("is another kind of JPEG".to_owned()),
                _ => return Err(broken()),
            }
        }
    }

    /// How its numbers are coded (T.87, C.2.4.1.1).
    ///
    /// # Errors
    /// Numbers that the standard forbids.
    pub fn coding(&self) -> Result<Coding, Cause> {
        let near = self.near;
        let max = (1 << self.precision) - 1;
        let [t1, t2, t3] = thresholds(max, near);
        let standard = [max, t1, t2, t3, 64];
        let used = |at: usize| if self.preset[at] == 0 { standard[at] } else { self.preset[at] };
        let [largest, t1, t2, t3, reset] = std::array::from_fn(used);
        if largest != max {
            // CharLS, by which most are written, then departs from the standard.
            return Err(format!("codes values up to {largest} in {} bits (MAXVAL), which is not read", self.precision));
        }
        let ordered = near < t1 && t1 <= t2 && t2 <= t3 && t3 <= max;
        if near > max / 2 || !ordered || !(3..=max.max(255)).contains(&reset) {
            return Err("has a header with impossible numbers".to_owned());
        }
        Ok(Coding::new(max, near, [t1, t2, t3], reset as u32))
    }
}

/// The standard's thresholds T1, T2, T3 (T.87, C.2.4.1.1.1).
fn thresholds(max: i32, near: i32) -> [i32; 3] {
    let basic = if max >= 128 {
        let factor = (max.min(4095) + 128) / 256;
        [factor + 2, 4 * factor + 3, 17 * factor + 4].map(|basic| (basic, 0))
    } else {
        let factor = 256 / (max + 1);
        [(3 / factor, 2), (7 / factor, 3), (21 / factor, 4)]
    };
    let mut lowest = near + 1;
    std::array::from_fn(|at| {
        let (basic, least) = basic[at];
        let wanted = (basic + (2 * at as i32 + 3) * near).max(least);
        lowest = if wanted > max || wanted < lowest { lowest } else { wanted };
        lowest
    })
}
