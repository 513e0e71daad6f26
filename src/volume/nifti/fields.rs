//! The fields of a header that reading depends on, from NIfTI-1, NIfTI-2 and Analyze 7.5 in either byte order.

use nifti::Endianness;
use nifti::header::{MAGIC_CODE_NI1, MAGIC_CODE_NIP1};

use crate::volume::Fault;

/// Bytes of a NIfTI-1 header, and of an Analyze 7.5 header.
pub(super) const LENGTH: usize = 348;

/// Bytes of a NIfTI-2 header.
pub(super) const LENGTH_2: usize = 540;

/// The first bytes of a NIfTI-2 magic, for one file and for two; what follows tells whether line ends were changed.
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
    /// How long the header is that begins with these bytes, and its byte order.
    ///
    /// # Errors
    /// No header.
    pub fn length(first: [u8; 4]) -> Result<(usize, Endianness), Fault> {
        let size = i32::from_le_bytes(first);
        let known = |size| [LENGTH, LENGTH_2].into_iter().find(|&length| length as i32 == size);
        match (known(size), known(size.swap_bytes())) {
            (Some(length), _) => Ok((length, Endianness::Little)),
            (_, Some(length)) => Ok((length, Endianness::Big)),
            _ => Err(Fault::NotNifti { found: format!("it begins with {size} instead of 348 (NIfTI-1) or 540 (NIfTI-2)") }),
        }
    }

    /// Takes a header apart. `pair`: whether the file's name is one of a pair, so that its voxels lie in the other file
    /// and it need not be NIfTI.
    ///
    /// # Errors
    /// Fewer bytes than the header's first ones tell, no magic, voxels in a file that the name doesn't lead to.
    pub fn parse(bytes: &[u8], pair: bool) -> Result<Self, Fault> {
        let first = bytes.first_chunk().ok_or_else(|| too_short(bytes.len()))?;
        let (length, endianness) = Self::length(*first)?;
        if bytes.len() < length {
            return Err(too_short(bytes.len()));
        }
        let reader = Reader { bytes, endianness, single_file: !pair };
        let (magic, [one_file, two_files]): (&[u8], [&[u8]; 2]) = match length {
            LENGTH_2 => (&bytes[4..12], MAGICS_2),
            _ => (&bytes[LENGTH - 4..LENGTH], [MAGIC_CODE_NIP1, MAGIC_CODE_NI1]),
        };
        let is_nifti = magic == one_file || magic == two_files;
        match (length, is_nifti) {
            _ if magic == two_files && !pair => {
                Err(Fault::Unsupported { what: "a header whose voxels lie in a second file (.hdr and .img)".into() })
            }
            (LENGTH_2, true) => Ok(reader.nifti2()),
            (LENGTH, true) => Ok(reader.nifti1()),
            (LENGTH, false) if pair => reader.analyze(),
            _ => {
                let [found, expected] = [magic, one_file].map(String::from_utf8_lossy);
                Err(Fault::NotNifti { found: format!("its magic is {found:?} instead of {expected:?}") })
            }
        }
    }
}

fn too_short(bytes: usize) -> Fault {
    Fault::NotNifti { found: format!("it is {bytes} bytes long, shorter than a header") }
}

/// Numbers at byte offsets. Offsets are those of the standards.
struct Reader<'a> {
    bytes: &'a [u8],
    endianness: Endianness,
    single_file: bool,
}

impl Reader<'_> {
    fn nifti1(&self) -> Fields {
        Fields {
            format: Format::Nifti1,
            endianness: self.endianness,
            single_file: self.single_file,
            dim: [0, 1, 2, 3, 4, 5, 6, 7].map(|index| i64::from(self.i16(40 + 2 * index))),
            datatype: self.i16(70),
            pixdim: self.f32s(76),
            vox_offset: f64::from(self.f32(108)),
            scl_slope: f64::from(self.f32(112)),
            scl_inter: f64::from(self.f32(116)),
            xyzt_units: self.bytes[123],
            qform_code: i32::from(self.i16(252)),
            sform_code: i32::from(self.i16(254)),
            quatern: self.f32s(256),
            qoffset: self.f32s(268),
            srow: [280, 296, 312].map(|at| self.f32s(at)),
            origin: [0; 3],
        }
    }

    fn nifti2(&self) -> Fields {
        Fields {
            format: Format::Nifti2,
            endianness: self.endianness,
            single_file: self.single_file,
            datatype: self.i16(12),
            dim: [0, 1, 2, 3, 4, 5, 6, 7].map(|index| self.i64(16 + 8 * index)),
            pixdim: self.f64s(104),
            vox_offset: self.i64(168) as f64,
            scl_slope: self.f64(176),
            scl_inter: self.f64(184),
            qform_code: self.i32(344),
            sform_code: self.i32(348),
            quatern: self.f64s(352),
            qoffset: self.f64s(376),
            srow: [400, 432, 464].map(|at| self.f64s(at)),
            xyzt_units: self.i32(500) as u8,
            origin: [0; 3],
        }
    }

    /// # Errors
    /// Slices that aren't stored as the patient lies: no two programs agree on how such files are turned.
    fn analyze(&self) -> Result<Fields, Fault> {
        let orient = self.bytes[252];
        if orient != 0 {
            return Err(Fault::Unsupported { what: format!("Analyze slices in an order of their own (`orient` is {orient})") });
        }
        Ok(Fields {
            format: Format::Analyze,
            xyzt_units: 0,
            qform_code: 0,
            sform_code: 0,
            origin: [253, 255, 257].map(|at| self.i16(at)),
            ..self.nifti1()
        })
    }

    /// The bytes of a number in little-endian order.
    fn number<const BYTES: usize>(&self, at: usize) -> [u8; BYTES] {
        let mut bytes: [u8; BYTES] = self.bytes[at..at + BYTES].try_into().expect("as many bytes as asked for");
        if self.endianness == Endianness::Big {
            bytes.reverse();
        }
        bytes
    }

    fn i16(&self, at: usize) -> i16 {
        i16::from_le_bytes(self.number(at))
    }

    fn i32(&self, at: usize) -> i32 {
        i32::from_le_bytes(self.number(at))
    }

    fn i64(&self, at: usize) -> i64 {
        i64::from_le_bytes(self.number(at))
    }

    fn f32(&self, at: usize) -> f32 {
        f32::from_le_bytes(self.number(at))
    }

    fn f64(&self, at: usize) -> f64 {
        f64::from_le_bytes(self.number(at))
    }

    fn f32s<const COUNT: usize>(&self, at: usize) -> [f64; COUNT] {
        std::array::from_fn(|index| f64::from(self.f32(at + 4 * index)))
    }

    fn f64s<const COUNT: usize>(&self, at: usize) -> [f64; COUNT] {
        std::array::from_fn(|index| self.f64(at + 8 * index))
    }
}
