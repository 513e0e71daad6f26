//! Pixels to intensities.

use std::path::Path;

use dicom_dictionary_std::{tags, uids};
use dicom_object::{DefaultDicomObject, OpenFileOptions, Tag};
use dicom_pixeldata::{DecodedPixelData, PixelDecoder as _};
use rayon::prelude::*;

use super::find::dicom_fault;
use super::frames::Frame;
use super::jpeg_ls;
use crate::volume::Fault;

/// Compressions that dicom-rs leaves to a decoder in C++.
const JPEG_LS: [&str; 2] = [uids::JPEGLS_LOSSLESS, uids::JPEGLS_NEAR_LOSSLESS];

/// Decodes a file, and writes each of its frames, by number, to its slice.
///
/// # Errors
/// A file that cannot be read, a compression that is not known, another number of pixels than the header promises.
pub(super) fn decode(file: &Path, parts: Vec<(usize, &Frame, &mut [f32])>) -> Result<(), Fault> {
    let object = OpenFileOptions::new().open_file(file).map_err(|error| dicom_fault(&error))?;
    let packing = Packing::of(&object)?;
    let pixels = if JPEG_LS.contains(&object.meta().transfer_syntax()) {
        Pixels::JpegLs(streams(&object)?)
    } else {
        Pixels::Decoded(object.decode_pixel_data().map_err(|error| dicom_fault(&error))?)
    };
    let written = parts.into_par_iter().map(|(number, frame, part)| {
        let bits = match &pixels {
            Pixels::Decoded(decoded) => unpacked(decoded, number, &packing, part.len())?,
            Pixels::JpegLs(streams) => decompressed(streams, number, &packing, frame)?,
        };
        for (voxel, bits) in part.iter_mut().zip(bits) {
            *voxel = (packing.value(bits) * frame.slope + frame.intercept) as f32;
        }
        Ok(())
    });
    // The first fault is the same one each time.
    written.collect::<Vec<_>>().into_iter().collect()
}

/// The pixels of a file.
enum Pixels<'a> {
    Decoded(DecodedPixelData<'a>),
    /// The fragments of each frame's stream.
    JpegLs(Vec<&'a [Vec<u8>]>),
}

/// How numbers lie in their bits.
struct Packing {
    allocated: u32,
    stored: u32,
    high: u32,
    signed: bool,
}

impl Packing {
    fn of(object: &DefaultDicomObject) -> Result<Self, Fault> {
        let number = |tag: Tag| {
            let element = object.element(tag).map_err(|error| dicom_fault(&error))?;
            element.to_int::<u32>().map_err(|error| dicom_fault(&error))
        };
        let [allocated, stored, high] = [number(tags::BITS_ALLOCATED)?, number(tags::BITS_STORED)?, number(tags::HIGH_BIT)?];
        if !matches!(allocated, 8 | 16 | 32) || stored == 0 || stored > allocated || high + 1 < stored || high >= allocated {
            let cause = format!("pixels of {stored} bits in {allocated}, the highest at {high}");
            return Err(Fault::Dicom(format!("it holds {cause}; 8, 16 and 32 bits are read")));
        }
        Ok(Self { allocated, stored, high, signed: number(tags::PIXEL_REPRESENTATION)? == 1 })
    }

    /// Whether a number of so many bits is as large as those that are stored. The bits of a whole word beside them may hold anything.
    fn holds(&self, number: u16, precision: u32) -> bool {
        let number = u64::from(number);
        let fits = match self.signed {
            // From the sign on all bits are its own.
            true => [0, (1 << (precision - self.high)) - 1].contains(&(number >> self.high)),
            false => number >> (self.high + 1) == 0,
        };
        fits || precision == self.allocated
    }

    /// The number in such bits. Those beside the ones that are stored may hold anything.
    fn value(&self, bits: u32) -> f64 {
        let (up, down) = (64 - 1 - self.high, 64 - self.stored);
        let bits = u64::from(bits) << up;
        if self.signed { (bits as i64 >> down) as f64 } else { (bits >> down) as f64 }
    }
}

/// The bits of each of a frame's pixels.
fn unpacked(decoded: &DecodedPixelData, number: usize, packing: &Packing, pixels: usize) -> Result<Vec<u32>, Fault> {
    let bytes = decoded.frame_data(number as u32).map_err(|error| dicom_fault(&error))?;
    let size = packing.allocated as usize / 8;
    if bytes.len() != pixels * size {
        return Err(Fault::Length { promised: (pixels * size) as u64, held: bytes.len().to_string() });
    }
    let bits = bytes.chunks_exact(size).map(|bytes| match *bytes {
        [a] => u32::from(a),
        [a, b] => u32::from(u16::from_ne_bytes([a, b])),
        [a, b, c, d] => u32::from_ne_bytes([a, b, c, d]),
        _ => unreachable!("1, 2 or 4 bytes"),
    });
    Ok(bits.collect())
}

/// The fragments of each JPEG-LS stream. Coded numbers never hold the bytes by which a stream begins.
fn streams(object: &DefaultDicomObject) -> Result<Vec<&[Vec<u8>]>, Fault> {
    let pixels = object.element(tags::PIXEL_DATA).map_err(|error| dicom_fault(&error))?;
    let fragments = pixels.fragments().ok_or_else(|| Fault::Dicom("its pixels are not compressed, unlike its header says".to_owned()))?;
    Ok(fragments.chunk_by(|_, next| !next.starts_with(&jpeg_ls::START)).collect())
}

/// As [`unpacked`].
fn decompressed(streams: &[&[Vec<u8>]], number: usize, packing: &Packing, frame: &Frame) -> Result<Vec<u32>, Fault> {
    if streams.len() != frame.of {
        return Err(Fault::Dicom(format!("it holds {} JPEG-LS streams for {} frames", streams.len(), frame.of)));
    }
    let fault = |cause: String| Fault::Dicom(format!("the JPEG-LS stream of its frame {} {cause}", number + 1));
    let picture = jpeg_ls::decode(&streams[number].concat(), frame.columns, frame.rows).map_err(fault)?;
    // Of a negative number all bits must be there; of others those that are missing are zeros.
    let whole = picture.precision > packing.high || (!packing.signed && packing.high + 1 == packing.stored);
    if picture.precision > packing.allocated || !whole {
        let Packing { allocated, stored, high, .. } = packing;
        let promised = format!("{stored} bits in {allocated}, the highest at {high}");
        return Err(fault(format!("holds numbers of {} bits, not of {promised}", picture.precision)));
    }
    if let Some(number) = picture.numbers.iter().find(|&&number| !packing.holds(number, picture.precision)) {
        let (precision, stored) = (picture.precision, packing.stored);
        return Err(fault(format!(
            "holds numbers of {precision} bits, among them {number}, which the {stored} bits of its header cannot hold"
        )));
    }
    Ok(picture.numbers.into_iter().map(u32::from).collect())
}
