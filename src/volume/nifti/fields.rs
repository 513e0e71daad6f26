//! The fields of a header that reading depends on, from NIfTI-1, NIfTI-2 and Analyze 7.5 in either byte order.

use std::array::from_fn;

use nifti::Endianness;
use nifti::header::{MAGIC_CODE_NI1, MAGIC_CODE_NIP1};

use crate::volume::Fault;

/// Bytes of a NIfTI-1 header, and of an Analyze 7.5 header.
pub(super) const LENGTH: usize = 348;

/// Bytes of a NIfTI-2 header.
const LENGTH_2: usize = 540;

/// The first bytes of a NIfTI-2 magic, for one file and for two; what follows shows whether line ends were changed.
const MAGICS_2: [&[u8]; 2] = [b"n+2\0\r\n\x1a\n", b"ni2\0\r\n\x1a\n"];

/// Which standard a header follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Nifti1,
    Nifti2,
    /// What NIfTI-1 grew out of: no place in space but voxel sizes, and perhaps SPM's origin.
    Analyze,
}

/// A header's fields, under their names in the NIfTI standard.
pub(super) struct Fields {
    pub format: Format,
    pub endianness: Endianness,
    /// Whether the voxels lie in the header's own file.
    pub single_file: bool,
    pub dim: [i64; 8],
    pub datatype: i16,
    pub pixdim: [f64; 8],
    pub vox_offset: f64,
    pub scl_slope: f64,
    pub scl_inter: f64,
    pub xyzt_units: u8,
    pub qform_code: i32,
    pub sform_code: i32,
    pub quatern: [f64; 3],
    pub qoffset: [f64; 3],
    pub srow: [[f64; 4]; 3],
    /// The voxel at the origin of an Analyze file, from 1, as SPM writes it; zeros elsewhere.
    pub origin: [i16; 3],
}

impl Fields {
    /// The length of the header that begins with these bytes, and its byte order.
    ///
    /// # Errors
    /// No header.
    pub fn length(first: [u8; 4]) -> Result<(usize, Endianness), Fault> {
        let size = i32::from_le_bytes(first);
        let known = |size| [LENGTH, LENGTH_2].into_iter().find(|&length| length as i32 == size);
        match (known(size), known(size.swap_bytes())) {
            (Some(length), _) => Ok((length, Endianness::Little)),
            (_, Some(length)) => Ok((length, Endianness::Big)),
            _ => Err(Fault::NotNifti(format!("it begins with {size} instead of 348 (NIfTI-1) or 540 (NIfTI-2)"))),
        }
    }

    /// Takes a header apart. `pair`: whether the file's name is one of a pair, so that its voxels lie in the other file
    /// and it need not be NIfTI.
    ///
    /// # Errors
    /// Fewer bytes than the header's first ones promise, no magic, voxels in a file that the name doesn't lead to.
    pub fn parse(bytes: &[u8], pair: bool) -> Result<Self, Fault> {
        let too_short = || Fault::NotNifti(format!("it is {} bytes long, shorter than a header", bytes.len()));
        let (length, endianness) = Self::length(*bytes.first_chunk().ok_or_else(too_short)?)?;
        if bytes.len() < length {
            return Err(too_short());
        }
        let numbers = Numbers { bytes, endianness };
        let (magic, [one_file, two_files]): (&[u8], [&[u8]; 2]) = match length {
            LENGTH_2 => (&bytes[4..12], MAGICS_2),
            _ => (&bytes[LENGTH - 4..LENGTH], [MAGIC_CODE_NIP1, MAGIC_CODE_NI1]),
        };
        let is_nifti = magic == one_file || magic == two_files;
        let fields = match (length, is_nifti) {
            _ if magic == two_files && !pair => {
                return Err(Fault::Unsupported("a header whose voxels lie in a second file (.hdr and .img)".to_owned()));
            }
            (LENGTH_2, true) => numbers.nifti2(),
            (LENGTH, true) => numbers.nifti1(),
            (LENGTH, false) if pair => numbers.analyze()?,
            _ => {
                let [found, expected] = [magic, one_file].map(String::from_utf8_lossy);
                return Err(Fault::NotNifti(format!("its magic is {found:?} instead of {expected:?}")));
            }
        };
        Ok(Self { single_file: !pair, ..fields })
    }
}

/// Numbers at byte offsets. Offsets are those of the standards.
struct Numbers<'a> {
    bytes: &'a [u8],
    endianness: Endianness,
}

impl Numbers<'_> {
    fn nifti1(&self) -> Fields {
        let float = f32::from_le_bytes;
        Fields {
            format: Format::Nifti1,
            endianness: self.endianness,
            single_file: true,
            dim: from_fn(|index| i64::from(self.at(40 + 2 * index, i16::from_le_bytes))),
            datatype: self.at(70, i16::from_le_bytes),
            pixdim: self.floats(76, float),
            vox_offset: f64::from(self.at(108, float)),
            scl_slope: f64::from(self.at(112, float)),
            scl_inter: f64::from(self.at(116, float)),
            xyzt_units: self.bytes[123],
            qform_code: i32::from(self.at(252, i16::from_le_bytes)),
            sform_code: i32::from(self.at(254, i16::from_le_bytes)),
            quatern: self.floats(256, float),
            qoffset: self.floats(268, float),
            srow: [280, 296, 312].map(|at| self.floats(at, float)),
            origin: [0; 3],
        }
    }

    fn nifti2(&self) -> Fields {
        let float = f64::from_le_bytes;
        Fields {
            format: Format::Nifti2,
            endianness: self.endianness,
            single_file: true,
            datatype: self.at(12, i16::from_le_bytes),
            dim: from_fn(|index| self.at(16 + 8 * index, i64::from_le_bytes)),
            pixdim: self.floats(104, float),
            vox_offset: self.at(168, i64::from_le_bytes) as f64,
            scl_slope: self.at(176, float),
            scl_inter: self.at(184, float),
            qform_code: self.at(344, i32::from_le_bytes),
            sform_code: self.at(348, i32::from_le_bytes),
            quatern: self.floats(352, float),
            qoffset: self.floats(376, float),
            srow: [400, 432, 464].map(|at| self.floats(at, float)),
            xyzt_units: self.at(500, i32::from_le_bytes) as u8,
            origin: [0; 3],
        }
    }

    /// # Errors
    /// Slices that aren't stored as the patient lies: no two programs agree on how such files are rotated.
    fn analyze(&self) -> Result<Fields, Fault> {
        let orient = self.bytes[252];
        if orient != 0 {
            return Err(Fault::Unsupported(format!("Analyze slices in an order of their own (`orient` is {orient})")));
        }
        let origin = [253, 255, 257].map(|at| self.at(at, i16::from_le_bytes));
        Ok(Fields { format: Format::Analyze, xyzt_units: 0, qform_code: 0, sform_code: 0, origin, ..self.nifti1() })
    }

    /// A number, read by `from_le`.
    fn at<T, const BYTES: usize>(&self, at: usize, from_le: fn([u8; BYTES]) -> T) -> T {
        let mut bytes: [u8; BYTES] = self.bytes[at..at + BYTES].try_into().expect("as many bytes as asked for");
        if self.endianness == Endianness::Big {
            bytes.reverse();
        }
        from_le(bytes)
    }

    fn floats<T: Into<f64>, const BYTES: usize, const COUNT: usize>(&self, at: usize, from_le: fn([u8; BYTES]) -> T) -> [f64; COUNT] {
        from_fn(|index| self.at(at + BYTES * index, from_le).into())
    }
}
