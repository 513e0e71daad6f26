//! The 348 bytes of a NIfTI-1 header, kept as they were read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::volume::{Fault, Grid};

/// Bytes of a NIfTI-1 header.
pub(super) const LENGTH: usize = 348;

/// Where voxels begin in a file without extensions: the header and four bytes that say so.
pub(super) const FIRST_VOXEL: usize = 352;

/// Byte offsets of the fields that are read or written, from the NIfTI-1 standard.
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
    pub const QFORM_CODE: usize = 252;
    pub const SFORM_CODE: usize = 254;
    pub const QUATERN: usize = 256;
    pub const QOFFSET: usize = 268;
    pub const SROW: usize = 280;
    pub const MAGIC: usize = 344;
}

/// Byte order of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endian {
    Little,
    Big,
}

/// A complete NIfTI-1 header, byte for byte: what a result needs to be written beside its source.
///
/// As text it is base64, so that it can travel in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourceHeader {
    bytes: [u8; LENGTH],
    endian: Endian,
}

/// How voxels are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DataType {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
}

/// What a header says about the bytes behind it.
pub(super) struct Layout {
    pub grid: Grid,
    pub channels: usize,
    pub datatype: DataType,
    /// Bytes from the file's begin to its first voxel.
    pub offset: u64,
    /// Slope and intercept, unless values are stored as they are.
    pub scale: Option<(f64, f64)>,
}

impl DataType {
    fn from_code(code: i16) -> Result<Self, Fault> {
        let unsupported = |what: &str| Err(Fault::Unsupported { what: format!("{what} (datatype {code})") });
        match code {
            2 => Ok(Self::U8),
            4 => Ok(Self::I16),
            8 => Ok(Self::I32),
            16 => Ok(Self::F32),
            64 => Ok(Self::F64),
            256 => Ok(Self::I8),
            512 => Ok(Self::U16),
            768 => Ok(Self::U32),
            1024 => Ok(Self::I64),
            1280 => Ok(Self::U64),
            1 => unsupported("one-bit voxels"),
            32 | 1792 | 2048 => unsupported("complex voxels"),
            128 | 2304 => unsupported("colour voxels"),
            1536 => unsupported("128-bit voxels"),
            _ => Err(Fault::Header { field: "datatype".into(), found: code.to_string(), rule: "a code of the NIfTI-1 standard".into() }),
        }
    }

    pub fn code(self) -> i16 {
        match self {
            Self::U8 => 2,
            Self::I16 => 4,
            Self::I32 => 8,
            Self::F32 => 16,
            Self::F64 => 64,
            Self::I8 => 256,
            Self::U16 => 512,
            Self::U32 => 768,
            Self::I64 => 1024,
            Self::U64 => 1280,
        }
    }

    pub fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }
}

impl SourceHeader {
    /// Takes the bytes after looking only at the length field and the magic.
    pub(super) fn from_bytes(bytes: [u8; LENGTH]) -> Result<Self, Fault> {
        let size = [bytes[0], bytes[1], bytes[2], bytes[3]];
        let endian = match (i32::from_le_bytes(size), i32::from_be_bytes(size)) {
            (348, _) => Endian::Little,
            (_, 348) => Endian::Big,
            (540, _) | (_, 540) => return Err(Fault::Unsupported { what: "a NIfTI-2 header".into() }),
            (other, _) => return Err(Fault::NotNifti { found: format!("it begins with {other} instead of 348") }),
        };
        match &bytes[at::MAGIC..] {
            b"n+1\0" => Ok(Self { bytes, endian }),
            b"ni1\0" => Err(Fault::Unsupported { what: "a header whose voxels lie in a second file (.hdr and .img)".into() }),
            magic => Err(Fault::NotNifti { found: format!("its magic is {:?} instead of \"n+1\\0\"", String::from_utf8_lossy(magic)) }),
        }
    }

    /// A header for a grid that has no source file: little-endian, millimetres, sform only.
    pub fn for_grid(grid: &Grid) -> Self {
        let mut header = Self { bytes: [0; LENGTH], endian: Endian::Little };
        header.bytes[..4].copy_from_slice(&(LENGTH as i32).to_le_bytes());
        header.bytes[at::MAGIC..].copy_from_slice(b"n+1\0");
        header.bytes[at::XYZT_UNITS] = 2; // millimetres
        let [d, h, w] = grid.spacing_mm();
        for (index, value) in [1.0, w, h, d, 1.0, 1.0, 1.0, 1.0].into_iter().enumerate() {
            header.set_f32(at::PIXDIM + 4 * index, value as f32);
        }
        header.set_i16(at::SFORM_CODE, 1);
        for (row, values) in grid.world_from_voxel[..3].iter().enumerate() {
            for (column, &value) in values.iter().enumerate() {
                header.set_f32(at::SROW + 16 * row + 4 * column, value as f32);
            }
        }
        header
    }

    /// The 348 bytes.
    pub fn as_bytes(&self) -> &[u8; LENGTH] {
        &self.bytes
    }

    pub(super) fn endian(&self) -> Endian {
        self.endian
    }

    /// The same header for other voxels on the same grid. Only what must change does: `dim`, `datatype`, `bitpix`,
    /// `vox_offset` (extensions are not carried over), the scaling, and the display range, which was the source's.
    pub(super) fn with_voxels(&self, shape: [usize; 3], channels: usize, datatype: DataType) -> Self {
        let mut header = self.clone();
        let [d, h, w] = shape;
        let dim = if channels == 1 { [3, w, h, d, 1, 1, 1, 1] } else { [4, w, h, d, channels, 1, 1, 1] };
        for (index, size) in dim.into_iter().enumerate() {
            header.set_i16(at::DIM + 2 * index, i16::try_from(size).expect("a NIfTI axis has at most 32767 voxels"));
        }
        header.set_i16(at::DATATYPE, datatype.code());
        header.set_i16(at::BITPIX, 8 * datatype.bytes() as i16);
        header.set_f32(at::VOX_OFFSET, FIRST_VOXEL as f32);
        header.set_f32(at::SCL_SLOPE, 1.0);
        for field in [at::SCL_INTER, at::CAL_MAX, at::CAL_MIN] {
            header.set_f32(field, 0.0);
        }
        header
    }

    /// Checks every field that reading depends on.
    pub(super) fn layout(&self) -> Result<Layout, Fault> {
        let rank = self.i16(at::DIM);
        if !(3..=7).contains(&rank) {
            return Err(header_fault("dim[0]", rank, "3 to 7 axes"));
        }
        let mut sizes = [1_usize; 7];
        for (index, size) in sizes[..rank as usize].iter_mut().enumerate() {
            let dim = self.i16(at::DIM + 2 * (index + 1));
            *size = usize::try_from(dim).ok().filter(|&n| n > 0).ok_or_else(|| {
                header_fault(&format!("dim[{}]", index + 1), dim, "at least 1 voxel (at most 32767, beyond which it reads as negative)")
            })?;
        }
        let [w, h, d, beyond @ ..] = sizes;
        let channels = beyond.iter().try_fold(1_usize, |all, &n| all.checked_mul(n)).filter(|&n| n <= 65_536);
        let channels = channels.ok_or_else(|| header_fault("dim[4..7]", format_args!("{beyond:?}"), "at most 65536 channels"))?;
        let datatype = DataType::from_code(self.i16(at::DATATYPE))?;
        let offset = self.f32(at::VOX_OFFSET);
        let offset = match offset {
            0.0 => FIRST_VOXEL as u64,
            _ if offset >= LENGTH as f32 && offset < 2e9 && offset.fract() == 0.0 => offset as u64,
            _ => return Err(header_fault("vox_offset", offset, "0 or a whole number from 348")),
        };
        let (slope, inter) = (f64::from(self.f32(at::SCL_SLOPE)), f64::from(self.f32(at::SCL_INTER)));
        let inter = if inter.is_finite() { inter } else { 0.0 };
        let scaled = slope.is_finite() && slope != 0.0 && (slope, inter) != (1.0, 0.0);
        let grid = Grid { shape: [d, h, w], world_from_voxel: self.world_from_voxel([w, h, d])? };
        Ok(Layout { grid, channels, datatype, offset, scale: scaled.then_some((slope, inter)) })
    }

    /// sform before qform before pixdim, as nibabel (and so MONAI) chooses.
    ///
    /// With neither form the standard leaves the orientation open; like nibabel this reads it as the Analyze format
    /// did: i runs to the left, and the grid's centre is the origin.
    fn world_from_voxel(&self, size_ijk: [usize; 3]) -> Result<[[f64; 4]; 4], Fault> {
        let rows = if self.i16(at::SFORM_CODE) > 0 {
            [0, 1, 2].map(|row| [0, 1, 2, 3].map(|column| f64::from(self.f32(at::SROW + 16 * row + 4 * column))))
        } else if self.i16(at::QFORM_CODE) > 0 {
            self.qform()
        } else {
            let size = self.voxel_size().map(|v| if v == 0.0 { 1.0 } else { v });
            let centre = |axis: usize| (size_ijk[axis] - 1) as f64 / 2.0 * size[axis];
            [[-size[0], 0.0, 0.0, centre(0)], [0.0, size[1], 0.0, -centre(1)], [0.0, 0.0, size[2], -centre(2)]]
        };
        let columns = nalgebra::Matrix3::from_fn(|row, column| rows[row][column]);
        let volume = columns.determinant().abs();
        let finite = rows.iter().flatten().all(|v| v.is_finite() && v.abs() < 1e6);
        if !finite || volume < 1e-12 {
            let field = match (self.i16(at::SFORM_CODE) > 0, self.i16(at::QFORM_CODE) > 0) {
                (true, _) => "srow_x, srow_y, srow_z",
                (_, true) => "quatern, qoffset, pixdim",
                _ => "pixdim",
            };
            return Err(header_fault(field, format_args!("{rows:?}"), "finite axes that span space"));
        }
        Ok([rows[0], rows[1], rows[2], [0.0, 0.0, 0.0, 1.0]])
    }

    fn voxel_size(&self) -> [f64; 3] {
        [1, 2, 3].map(|index| f64::from(self.f32(at::PIXDIM + 4 * index)).abs())
    }

    /// The quaternion of the NIfTI-1 standard as a matrix; `pixdim[0]` below zero turns k round.
    fn qform(&self) -> [[f64; 4]; 3] {
        let [b, c, d] = [0, 1, 2].map(|index| f64::from(self.f32(at::QUATERN + 4 * index)));
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
        let [x, y, z] = self.voxel_size();
        let z = if self.f32(at::PIXDIM) < 0.0 { -z } else { z };
        [0, 1, 2].map(|row| {
            let [i, j, k] = rotation[row];
            [i * x, j * y, k * z, f64::from(self.f32(at::QOFFSET + 4 * row))]
        })
    }

    fn i16(&self, at: usize) -> i16 {
        let bytes = [self.bytes[at], self.bytes[at + 1]];
        match self.endian {
            Endian::Little => i16::from_le_bytes(bytes),
            Endian::Big => i16::from_be_bytes(bytes),
        }
    }

    fn f32(&self, at: usize) -> f32 {
        let bytes = [0, 1, 2, 3].map(|offset| self.bytes[at + offset]);
        match self.endian {
            Endian::Little => f32::from_le_bytes(bytes),
            Endian::Big => f32::from_be_bytes(bytes),
        }
    }

    fn set_i16(&mut self, at: usize, value: i16) {
        let bytes = match self.endian {
            Endian::Little => value.to_le_bytes(),
            Endian::Big => value.to_be_bytes(),
        };
        self.bytes[at..at + 2].copy_from_slice(&bytes);
    }

    fn set_f32(&mut self, at: usize, value: f32) {
        let bytes = match self.endian {
            Endian::Little => value.to_le_bytes(),
            Endian::Big => value.to_be_bytes(),
        };
        self.bytes[at..at + 4].copy_from_slice(&bytes);
    }
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
