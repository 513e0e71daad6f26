//! What a header says about the bytes behind it: checked, since files can be damaged or hostile.

use nifti::{Endianness, NiftiHeader, NiftiType};

use super::fields::{Fields, Format};
use super::header::SourceHeader;
use super::place;
use crate::volume::{Fault, Grid};

/// Most voxels along an axis of what is read, since a segmentation of it must fit a NIfTI-1 header.
const LONGEST: i64 = i16::MAX as i64;

/// What a header says: grid, channels, how voxels are stored, and the header of what is written of them.
pub(super) struct Layout {
    pub grid: Grid,
    pub channels: usize,
    /// Real-valued.
    pub datatype: NiftiType,
    /// Bytes from the begin of the file with the voxels to the first of them.
    pub offset: u64,
    pub endianness: Endianness,
    /// Slope and intercept.
    pub scale: (f64, f64),
    pub is_analyze: bool,
    pub header: SourceHeader,
    /// What had to be assumed.
    pub notes: Vec<String>,
}

impl Layout {
    /// Checks every field that reading depends on; `bytes` are the header's.
    pub fn of(fields: &Fields, bytes: &[u8]) -> Result<Self, Fault> {
        let (size, channels) = sizes(fields)?;
        let [w, h, d] = size;
        let mut notes = Vec::new();
        let world_from_voxel = place::world_from_voxel(fields, size, &mut notes)?;
        let grid = Grid { shape: [d, h, w], world_from_voxel };
        let (datatype, offset) = (real_valued(fields)?, offset(fields, bytes.len())?);
        let header = SourceHeader::of(fields, bytes, &grid, &mut notes);
        let (endianness, is_analyze) = (fields.endianness, fields.format == Format::Analyze);
        Ok(Self { grid, channels, datatype, offset, endianness, scale: scale(fields), is_analyze, header, notes })
    }
}

/// Voxels along i, j, k, and channels. A flat image has one slice.
fn sizes(fields: &Fields) -> Result<([usize; 3], usize), Fault> {
    let [rank, dims @ ..] = fields.dim;
    if !(2..=7).contains(&rank) {
        return Err(Fault::header("the number of axes (dim[0])", rank, "2 to 7 axes"));
    }
    let mut sizes = [1_usize; 7];
    for (index, (size, dim)) in sizes.iter_mut().zip(dims).take(rank as usize).enumerate() {
        let axis = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh"][index];
        if index < 3 && dim > LONGEST && fields.format == Format::Nifti2 {
            let what = format!("{dim} voxels along the {axis} axis (a segmentation is written as NIfTI-1, which has at most {LONGEST})");
            return Err(Fault::Unsupported(what));
        }
        *size = usize::try_from(dim).ok().filter(|&size| size > 0).ok_or_else(|| {
            let name = format!("the number of voxels along the {axis} axis (dim[{}])", index + 1);
            let rule = if fields.format == Format::Nifti2 {
                "at least 1"
            } else {
                "at least 1 (at most 32767, beyond which it reads as negative)"
            };
            Fault::header(&name, dim, rule)
        })?;
    }
    let [w, h, d, beyond @ ..] = sizes;
    let channels = beyond.iter().try_fold(1_usize, |all, &n| all.checked_mul(n)).filter(|&n| n <= 65_536);
    let channels =
        channels.ok_or_else(|| Fault::header("the number of channels (dim[4] to dim[7])", format_args!("{beyond:?}"), "at most 65536"))?;
    Ok(([w, h, d], channels))
}

/// The datatype, if its voxels are real numbers that can be read.
fn real_valued(fields: &Fields) -> Result<NiftiType, Fault> {
    let code = fields.datatype;
    let known = NiftiHeader { datatype: code, ..NiftiHeader::default() }.data_type().ok();
    let what = match known {
        Some(NiftiType::Complex64 | NiftiType::Complex128 | NiftiType::Complex256) => "complex voxels",
        Some(NiftiType::Rgb24 | NiftiType::Rgba32) => "colour voxels",
        Some(NiftiType::Float128) => "128-bit voxels",
        Some(datatype) => return Ok(datatype),
        None if code == 1 => "one-bit voxels",
        None => return Err(Fault::header("the type of its voxels (datatype)", code, "a code of the NIfTI standard")),
    };
    Err(Fault::Unsupported(format!("{what} (datatype {code})")))
}

/// Where the voxels begin. 0 in a file by itself: right behind the header and the four bytes that announce extensions.
fn offset(fields: &Fields, header_length: usize) -> Result<u64, Fault> {
    let first = if fields.single_file { header_length } else { 0 };
    match fields.vox_offset {
        0.0 if fields.single_file => Ok(first as u64 + 4),
        offset if offset >= first as f64 && offset < 2e9 && offset.fract() == 0.0 => Ok(offset as u64),
        offset => {
            let rule = if fields.single_file { format!("0 or a whole number from {first}") } else { "a whole number from 0".to_owned() };
            Err(Fault::header("the place of the first voxel (vox_offset)", offset, &rule))
        }
    }
}

fn scale(fields: &Fields) -> (f64, f64) {
    let (slope, inter) = (fields.scl_slope, if fields.scl_inter.is_finite() { fields.scl_inter } else { 0.0 });
    if slope.is_finite() && slope != 0.0 { (slope, inter) } else { (1.0, 0.0) }
}
