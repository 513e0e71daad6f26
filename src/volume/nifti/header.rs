//! The 348 bytes of a NIfTI-1 header that what is written of a scan keeps.
//!
//! Fields are changed in the bytes, so that all others stay as they were read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nifti::header::MAGIC_CODE_NIP1;
use nifti::{Endianness, NiftiType};
use serde::{Deserialize, Serialize};

use super::fields::{Fields, Format, LENGTH};
use super::place;
use crate::volume::Grid;

/// Where voxels begin in a file without extensions: the header and four bytes that say so.
pub(super) const FIRST_VOXEL: usize = LENGTH + 4;

/// What is written into `descrip`: who wrote the file.
const DESCRIPTION: &[u8] = b"simtrot";

/// Millimetres that 32-bit numbers may move a scan by before it is said how far.
const MOVED_MM: f64 = 1e-3;

/// Byte offsets of the fields that are written, from the NIfTI-1 standard.
mod at {
    use std::ops::Range;

    pub const DIM: usize = 40;
    pub const DATATYPE: usize = 70;
    pub const BITPIX: usize = 72;
    pub const PIXDIM: usize = 76;
    pub const VOX_OFFSET: usize = 108;
    pub const SCL_SLOPE: usize = 112;
    pub const XYZT_UNITS: usize = 123;
    pub const DESCRIP: usize = 148;
    pub const QFORM_CODE: usize = 252;
    pub const SFORM_CODE: usize = 254;
    pub const QUATERN: usize = 256;
    pub const SROW: usize = 280;
    pub const MAGIC: usize = 344;

    /// What describes the source's voxels and not its grid: intent and its parameters, intercept, display range (by either
    /// of two names), description, name of an auxiliary file, the intent's name.
    pub const OF_THE_SOURCE: [Range<usize>; 6] = [56..70, 116..120, 124..132, 140..148, 148..252, 328..344];
}

/// A complete NIfTI-1 header, byte for byte: what a result needs to be written beside its source.
///
/// As text it is base64, so that it can travel in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourceHeader {
    bytes: [u8; LENGTH],
    endianness: Endianness,
}

impl SourceHeader {
    /// The header for what is written of a scan with these `bytes` as its header. Forms, voxel sizes and units are the
    /// scan's, to the bit where it is NIfTI-1; else what 32-bit numbers lose goes to `notes`.
    pub(super) fn of(fields: &Fields, bytes: &[u8], grid: &Grid, notes: &mut Vec<String>) -> Self {
        match fields.format {
            Format::Nifti1 => {
                let mut header = Self { bytes: *bytes.first_chunk().expect("a whole header"), endianness: fields.endianness };
                // Of a pair, too, the result is one file.
                header.bytes[at::MAGIC..].copy_from_slice(MAGIC_CODE_NIP1);
                header
            }
            Format::Analyze => Self::for_grid(grid),
            Format::Nifti2 => {
                let header = Self::from_nifti2(fields);
                notes.extend(header.loss(grid));
                header
            }
        }
    }

    /// A header for a grid that has no source file: little-endian, millimetres, sform only.
    pub fn for_grid(grid: &Grid) -> Self {
        let mut header = Self::empty();
        header.set(at::SFORM_CODE, 1_i16.to_be_bytes());
        header.bytes[at::XYZT_UNITS] = 2; // millimetres
        let [d, h, w] = grid.spacing_mm();
        header.set_floats(at::PIXDIM, &[1.0, w, h, d, 1.0, 1.0, 1.0, 1.0]);
        header.set_floats(at::SROW, grid.world_from_voxel[..3].as_flattened());
        header
    }

    fn from_nifti2(fields: &Fields) -> Self {
        let mut header = Self::empty();
        header.bytes[at::XYZT_UNITS] = fields.xyzt_units;
        // Codes beyond 16 bits mean nothing to the standard; "some form" is kept.
        let code = |code: i32| i16::try_from(code).unwrap_or(1).to_be_bytes();
        header.set(at::QFORM_CODE, code(fields.qform_code));
        header.set(at::SFORM_CODE, code(fields.sform_code));
        header.set_floats(at::PIXDIM, &fields.pixdim);
        header.set_floats(at::QUATERN, &[fields.quatern, fields.qoffset].concat());
        header.set_floats(at::SROW, fields.srow.as_flattened());
        header
    }

    /// What a segmentation under this header loses of the place of its scan.
    fn loss(&self, grid: &Grid) -> Option<String> {
        let fields = Fields::parse(&self.bytes, false).expect("a header just made");
        let [d, h, w] = grid.shape;
        let world_from_voxel = place::world_from_voxel(&fields, [w, h, d], &mut Vec::new());
        let moved_mm = world_from_voxel
            .map_or(f64::INFINITY, |world_from_voxel| Grid { shape: grid.shape, world_from_voxel }.corner_distance_mm(grid));
        let loses = "its place is stored in 64-bit numbers; a segmentation of it is written as NIfTI-1, in 32-bit ones";
        match moved_mm {
            0.0 => None,
            small if small < MOVED_MM => Some(loses.to_owned()),
            moved_mm => Some(format!("{loses}, which move it by {moved_mm:.4} mm")),
        }
    }

    fn empty() -> Self {
        let mut header = Self { bytes: [0; LENGTH], endianness: Endianness::Little };
        header.set(0, (LENGTH as i32).to_be_bytes());
        header.bytes[at::MAGIC..].copy_from_slice(MAGIC_CODE_NIP1);
        header
    }

    /// The 348 bytes.
    pub fn as_bytes(&self) -> &[u8; LENGTH] {
        &self.bytes
    }

    pub(super) fn endianness(&self) -> Endianness {
        self.endianness
    }

    /// The same header for other voxels on the same grid. Only what describes the voxels changes: `dim`, `datatype`,
    /// `bitpix`, `vox_offset` (extensions are not carried over), the scaling; and intent, description, display range and
    /// auxiliary file, which were the source's.
    pub(super) fn with_voxels(&self, shape: [usize; 3], channels: usize, datatype: NiftiType) -> Self {
        let mut header = self.clone();
        for range in at::OF_THE_SOURCE {
            header.bytes[range].fill(0);
        }
        let [d, h, w] = shape;
        let dim = if channels == 1 { [3, w, h, d, 1, 1, 1, 1] } else { [4, w, h, d, channels, 1, 1, 1] };
        for (index, size) in dim.into_iter().enumerate() {
            let size = i16::try_from(size).expect("a NIfTI axis has at most 32767 voxels");
            header.set(at::DIM + 2 * index, size.to_be_bytes());
        }
        header.set(at::DATATYPE, (datatype as i16).to_be_bytes());
        header.set(at::BITPIX, (8 * datatype.size_of() as i16).to_be_bytes());
        header.set_floats(at::VOX_OFFSET, &[FIRST_VOXEL as f64]);
        header.set_floats(at::SCL_SLOPE, &[1.0]);
        header.bytes[at::DESCRIP..at::DESCRIP + DESCRIPTION.len()].copy_from_slice(DESCRIPTION);
        header
    }

    /// Puts a field's bytes, given in big-endian order, into the header's order.
    fn set<const BYTES: usize>(&mut self, at: usize, mut field: [u8; BYTES]) {
        if self.endianness == Endianness::Little {
            field.reverse();
        }
        self.bytes[at..at + BYTES].copy_from_slice(&field);
    }

    fn set_floats(&mut self, at: usize, values: &[f64]) {
        for (index, &value) in values.iter().enumerate() {
            self.set(at + 4 * index, (value as f32).to_be_bytes());
        }
    }
}

impl From<SourceHeader> for String {
    fn from(header: SourceHeader) -> Self {
        STANDARD.encode(header.bytes)
    }
}

impl TryFrom<String> for SourceHeader {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let bytes = STANDARD.decode(text).map_err(|error| error.to_string())?;
        let bytes: [u8; LENGTH] = bytes.try_into().map_err(|bytes: Vec<u8>| format!("{} bytes instead of {LENGTH}", bytes.len()))?;
        let Fields { endianness, .. } = Fields::parse(&bytes, false).map_err(|fault| fault.to_string())?;
        Ok(Self { bytes, endianness })
    }
}
