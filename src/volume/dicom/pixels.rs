//! Pixels to intensities.

use std::path::Path;

use dicom_dictionary_std::uids;
use dicom_object::OpenFileOptions;
use dicom_pixeldata::{PixelDecoder as _, PixelRepresentation};

use super::find::dicom_fault;
use super::frames::Frame;
use crate::volume::Fault;

/// Compressions for which there is no decoder.
const JPEG_LS: [&str; 2] = [uids::JPEGLS_LOSSLESS, uids::JPEGLS_NEAR_LOSSLESS];

/// Decodes a file, and writes each of its frames, by number, to its slice.
///
/// # Errors
/// A file that cannot be read, a compression that is not known, another number of pixels than the header promises.
pub(super) fn decode(file: &Path, parts: Vec<(usize, &Frame, &mut [f32])>) -> Result<(), Fault> {
    let object = OpenFileOptions::new().open_file(file).map_err(|error| dicom_fault(&error))?;
    if JPEG_LS.contains(&object.meta().transfer_syntax()) {
        return Err(Fault::Dicom("it is compressed as JPEG-LS, which is not read".to_owned()));
    }
    let decoded = object.decode_pixel_data().map_err(|error| dicom_fault(&error))?;
    let signed = decoded.pixel_representation() == PixelRepresentation::Signed;
    let (allocated, stored) = (u32::from(decoded.bits_allocated()), u32::from(decoded.bits_stored()));
    let high = u32::from(decoded.high_bit());
    if !matches!(allocated, 8 | 16 | 32) || stored == 0 || stored > allocated || high + 1 < stored || high >= allocated {
        let cause = format!("pixels of {stored} bits in {allocated}, the highest at {high}");
        return Err(Fault::Dicom(format!("it holds {cause}; 8, 16 and 32 bits are read")));
    }
    // Bits beside those that are stored may hold anything.
    let (up, down) = (64 - 1 - high, 64 - stored);
    let value = |bits: u32| {
        let bits = u64::from(bits) << up;
        if signed { (bits as i64 >> down) as f64 } else { (bits >> down) as f64 }
    };
    for (number, frame, part) in parts {
        let bytes = decoded.frame_data(number as u32).map_err(|error| dicom_fault(&error))?;
        let size = allocated as usize / 8;
        if bytes.len() != part.len() * size {
            return Err(Fault::Length { promised: (part.len() * size) as u64, held: bytes.len().to_string() });
        }
        for (voxel, bytes) in part.iter_mut().zip(bytes.chunks_exact(size)) {
            let bits = match *bytes {
                [a] => u32::from(a),
                [a, b] => u32::from(u16::from_ne_bytes([a, b])),
                [a, b, c, d] => u32::from_ne_bytes([a, b, c, d]),
                _ => unreachable!("1, 2 or 4 bytes"),
            };
            *voxel = (value(bits) * frame.slope + frame.intercept) as f32;
        }
    }
    Ok(())
}
