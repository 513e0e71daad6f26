//! The 348 bytes of a NIfTI-1 header, kept as they were read.
//!
//! The `nifti` crate takes the fields apart; it believes them, so they are checked here. Fields are changed in the
//! bytes, so that all others stay as they were.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nifti::header::{MAGIC_CODE_NI1, MAGIC_CODE_NIP1};
use nifti::{Endianness, NiftiHeader, NiftiType};
use serde::{Deserialize, Serialize};

use crate::volume::{Fault, Grid};

/// Bytes of a NIfTI-1 header.
pub(super) const LENGTH: usize = 348;

/// Where voxels begin in a file without extensions: the header and four bytes that say so.
pub(super) const FIRST_VOXEL: usize = 352;

/// Byte offsets of the fields that are written, from the NIfTI-1 standard.
mod at {
    pub const DIM: usize = 40;
    pub const DATATYPE: usize = 70;
    pub const BITPIX: usize = 72;
    pub const PIXDIM: usize = 76;
    pub const VOX_OFFSET: usize = 108;
    pub const SCL_SLOPE: usize = 112;
    pub const SCL_INTER: usize = 116;
    pub const XYZT_UNITS: usize = 123;
    pub const CAL_MAX: usize = 124;
    pub const CAL_MIN: usize = 128;
    pub const SFORM_CODE: usize = 254;
    pub const SROW: usize = 280;
    pub const MAGIC: usize = 344;
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

/// What a header says about the bytes behind it.
pub(super) struct Layout {
    pub grid: Grid,
    pub channels: usize,
    /// Real-valued.
    pub datatype: NiftiType,
    /// Bytes from the file's begin to its first voxel.
    pub offset: u64,
    /// Slope and intercept; the slope is 0 if values are stored as they are.
    pub scale: (f32, f32),
}

impl SourceHeader {
    /// Takes the bytes after looking only at the length field and the magic.
    pub(super) fn from_bytes(bytes: [u8; LENGTH]) -> Result<Self, Fault> {
        let size = i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let endianness = match (size, size.swap_bytes()) {
            (348, _) => Endianness::Little,
            (_, 348) => Endianness::Big,
            (540, _) | (_, 540) => return Err(Fault::Unsupported { what: "a NIfTI-2 header".into() }),
            (other, _) => return Err(Fault::NotNifti { found: format!("it begins with {other} instead of 348") }),
        };
        let magic = &bytes[at::MAGIC..];
        if magic == MAGIC_CODE_NI1 {
            return Err(Fault::Unsupported { what: "a header whose voxels lie in a second file (.hdr and .img)".into() });
        }
        if magic != MAGIC_CODE_NIP1 {
            return Err(Fault::NotNifti { found: format!("its magic is {:?} instead of \"n+1\\0\"", String::from_utf8_lossy(magic)) });
        }
        Ok(Self { bytes, endianness })
    }

    /// A header for a grid that has no source file: little-endian, millimetres, sform only.
    pub fn for_grid(grid: &Grid) -> Self {
        let mut header = Self { bytes: [0; LENGTH], endianness: Endianness::Little };
        header.set(0, (LENGTH as i32).to_be_bytes());
        header.set(at::SFORM_CODE, 1_i16.to_be_bytes());
        header.bytes[at::MAGIC..].copy_from_slice(MAGIC_CODE_NIP1);
        header.bytes[at::XYZT_UNITS] = 2; // millimetres
        let [d, h, w] = grid.spacing_mm();
        for (index, value) in [1.0, w, h, d, 1.0, 1.0, 1.0, 1.0].into_iter().enumerate() {
            header.set(at::PIXDIM + 4 * index, (value as f32).to_be_bytes());
        }
        for (row, values) in grid.world_from_voxel[..3].iter().enumerate() {
            for (column, &value) in values.iter().enumerate() {
                header.set(at::SROW + 16 * row + 4 * column, (value as f32).to_be_bytes());
            }
        }
        header
    }

    /// The 348 bytes.
    pub fn as_bytes(&self) -> &[u8; LENGTH] {
        &self.bytes
    }

    pub(super) fn endianness(&self) -> Endianness {
        self.endianness
    }

    /// The same header for other voxels on the same grid. Only what must change does: `dim`, `datatype`, `bitpix`,
    /// `vox_offset` (extensions are not carried over), the scaling, and the display range, which was the source's.
    pub(super) fn with_voxels(&self, shape: [usize; 3], channels: usize, datatype: NiftiType) -> Self {
        let mut header = self.clone();
        let [d, h, w] = shape;
        let dim = if channels == 1 { [3, w, h, d, 1, 1, 1, 1] } else { [4, w, h, d, channels, 1, 1, 1] };
        for (index, size) in dim.into_iter().enumerate() {
            let size = i16::try_from(size).expect("a NIfTI axis has at most 32767 voxels");
            header.set(at::DIM + 2 * index, size.to_be_bytes());
        }
        header.set(at::DATATYPE, (datatype as i16).to_be_bytes());
        header.set(at::BITPIX, (8 * datatype.size_of() as i16).to_be_bytes());
        header.set(at::VOX_OFFSET, (FIRST_VOXEL as f32).to_be_bytes());
        header.set(at::SCL_SLOPE, 1_f32.to_be_bytes());
        for field in [at::SCL_INTER, at::CAL_MAX, at::CAL_MIN] {
            header.set(field, 0_f32.to_be_bytes());
        }
        header
    }

    /// Checks every field that reading depends on.
    pub(super) fn layout(&self) -> Result<Layout, Fault> {
        let fields = NiftiHeader::from_reader(self.bytes.as_slice()).expect("348 bytes with the magic");
        let [rank, dims @ ..] = fields.dim.map(u16::cast_signed);
        // The crate tells the byte order by dim[0], not by the length field: they disagree if dim[0] is out of range.
        let rank = if fields.endianness == self.endianness { rank } else { rank.swap_bytes() };
        if !(3..=7).contains(&rank) {
            return Err(header_fault("dim[0]", rank, "3 to 7 axes"));
        }
        let mut sizes = [1_usize; 7];
        for (index, (size, dim)) in sizes.iter_mut().zip(dims).take(rank as usize).enumerate() {
            *size = usize::try_from(dim).ok().filter(|&n| n > 0).ok_or_else(|| {
                header_fault(&format!("dim[{}]", index + 1), dim, "at least 1 voxel (at most 32767, beyond which it reads as negative)")
            })?;
        }
        let [w, h, d, beyond @ ..] = sizes;
        let channels = beyond.iter().try_fold(1_usize, |all, &n| all.checked_mul(n)).filter(|&n| n <= 65_536);
        let channels = channels.ok_or_else(|| header_fault("dim[4..7]", format_args!("{beyond:?}"), "at most 65536 channels"))?;
        let datatype = real_valued(&fields)?;
        let offset = match fields.vox_offset {
            0.0 => FIRST_VOXEL as u64,
            offset if offset >= LENGTH as f32 && offset < 2e9 && offset.fract() == 0.0 => offset as u64,
            offset => return Err(header_fault("vox_offset", offset, "0 or a whole number from 348")),
        };
        let (slope, inter) = (fields.scl_slope, if fields.scl_inter.is_finite() { fields.scl_inter } else { 0.0 });
        let scaled = slope.is_finite() && (slope, inter) != (1.0, 0.0);
        let grid = Grid { shape: [d, h, w], world_from_voxel: world_from_voxel(&fields, [w, h, d])? };
        Ok(Layout { grid, channels, datatype, offset, scale: if scaled { (slope, inter) } else { (0.0, 0.0) } })
    }

    /// Puts a field's bytes, given in big-endian order, into the header's order.
    fn set<const BYTES: usize>(&mut self, at: usize, mut field: [u8; BYTES]) {
        if self.endianness == Endianness::Little {
            field.reverse();
        }
        self.bytes[at..at + BYTES].copy_from_slice(&field);
    }
}

/// The datatype, if its voxels are real numbers that can be read.
fn real_valued(fields: &NiftiHeader) -> Result<NiftiType, Fault> {
    let code = fields.datatype;
    let what = match fields.data_type() {
        Ok(NiftiType::Complex64 | NiftiType::Complex128 | NiftiType::Complex256) => "complex voxels",
        Ok(NiftiType::Rgb24 | NiftiType::Rgba32) => "colour voxels",
        Ok(NiftiType::Float128) => "128-bit voxels",
        Ok(datatype) => return Ok(datatype),
        Err(_) if code == 1 => "one-bit voxels",
        Err(_) => return Err(header_fault("datatype", code, "a code of the NIfTI-1 standard")),
    };
    Err(Fault::Unsupported { what: format!("{what} (datatype {code})") })
}

/// sform before qform before pixdim, as nibabel (and so MONAI) chooses.
///
/// With neither form the standard leaves the orientation open; like nibabel this reads it as the Analyze format
/// did: i runs to the left, and the grid's centre is the origin.
fn world_from_voxel(fields: &NiftiHeader, size_ijk: [usize; 3]) -> Result<[[f64; 4]; 4], Fault> {
    let (rows, source) = if fields.sform_code > 0 {
        ([fields.srow_x, fields.srow_y, fields.srow_z].map(|row| row.map(f64::from)), "srow_x, srow_y, srow_z")
    } else if fields.qform_code > 0 {
        (qform(fields), "quatern, qoffset, pixdim")
    } else {
        let size = voxel_size(fields).map(|v| if v == 0.0 { 1.0 } else { v });
        let centre = |axis: usize| (size_ijk[axis] - 1) as f64 / 2.0 * size[axis];
        ([[-size[0], 0.0, 0.0, centre(0)], [0.0, size[1], 0.0, -centre(1)], [0.0, 0.0, size[2], -centre(2)]], "pixdim")
    };
    let columns = nalgebra::Matrix3::from_fn(|row, column| rows[row][column]);
    let volume = columns.determinant().abs();
    let finite = rows.iter().flatten().all(|v| v.is_finite() && v.abs() < 1e6);
    if !finite || volume < 1e-12 {
        return Err(header_fault(source, format_args!("{rows:?}"), "finite axes that span space"));
    }
    Ok([rows[0], rows[1], rows[2], [0.0, 0.0, 0.0, 1.0]])
}

fn voxel_size(fields: &NiftiHeader) -> [f64; 3] {
    [1, 2, 3].map(|index| f64::from(fields.pixdim[index]).abs())
}

/// The quaternion of the NIfTI-1 standard as a matrix; `pixdim[0]` below zero turns k round.
fn qform(fields: &NiftiHeader) -> [[f64; 4]; 3] {
    let [b, c, d] = [fields.quatern_b, fields.quatern_c, fields.quatern_d].map(f64::from);
    let rest = 1.0 - (b * b + c * c + d * d);
    // A half turn: a is zero, and float32 rounding may push the sum beyond one.
    let (a, [b, c, d]) = if rest < 1e-7 {
        let length = (b * b + c * c + d * d).sqrt();
        (0.0, [b / length, c / length, d / length])
    } else {
        (rest.sqrt(), [b, c, d])
    };
    let rotation = [
        [a * a + b * b - c * c - d * d, 2.0 * (b * c - a * d), 2.0 * (b * d + a * c)],
        [2.0 * (b * c + a * d), a * a + c * c - b * b - d * d, 2.0 * (c * d - a * b)],
        [2.0 * (b * d - a * c), 2.0 * (c * d + a * b), a * a + d * d - b * b - c * c],
    ];
    let [x, y, z] = voxel_size(fields);
    let z = if fields.pixdim[0] < 0.0 { -z } else { z };
    let origin = [fields.quatern_x, fields.quatern_y, fields.quatern_z].map(f64::from);
    [0, 1, 2].map(|row| {
        let [i, j, k] = rotation[row];
        [i * x, j * y, k * z, origin[row]]
    })
}

fn header_fault(field: &str, found: impl std::fmt::Display, rule: &str) -> Fault {
    Fault::Header { field: field.to_owned(), found: found.to_string(), rule: rule.to_owned() }
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
        let bytes = bytes.try_into().map_err(|bytes: Vec<u8>| format!("{} bytes instead of {LENGTH}", bytes.len()))?;
        Self::from_bytes(bytes).map_err(|fault| fault.to_string())
    }
}
