//! Against CharLS and the standard's own example; whole series of DICOM; streams that are damaged in every way.

use std::path::Path;

use dicom_core::value::PixelFragmentSequence;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use safetensors::SafeTensors;

use super::{Picture, decode};
use crate::volume::Fault;
use crate::volume::dicom::tests::{Folder, is_the_stack, multi_frame, notes, save_as, stack};
use crate::volume::file::read;

/// A stream by CharLS, and what CharLS makes of it.
struct Reference {
    name: String,
    stream: Vec<u8>,
    size: [usize; 2],
    numbers: Vec<u16>,
}

/// Those that `tests/fixtures/jpeg_ls/make.py` wrote.
fn references() -> Vec<Reference> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/jpeg_ls/streams.safetensors");
    let bytes = std::fs::read(file).expect("the fixture");
    let tensors = SafeTensors::deserialize(&bytes).expect("a good file");
    let names = tensors.names().into_iter().filter_map(|name| name.strip_suffix(".stream"));
    let reference = |name: &str| {
        let tensor = |kind: &str| tensors.tensor(&format!("{name}.{kind}")).expect("both");
        let numbers = tensor("numbers");
        let &[rows, columns] = numbers.shape() else { panic!("{name} is no image") };
        let values = numbers.data().chunks_exact(2).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]])).collect();
        Reference { name: name.to_owned(), stream: tensor("stream").data().to_vec(), size: [columns, rows], numbers: values }
    };
    names.map(reference).collect()
}

fn stream(name: &str) -> Vec<u8> {
    references().into_iter().find(|reference| reference.name == name).expect("a reference of that name").stream
}

/// The example of T.87, H.3: 4 x 4 numbers of 8 bits.
#[rustfmt::skip]
const EXAMPLE: [u8; 57] = [
    0xff, 0xd8, 0xff, 0xf7, 0x00, 0x0b, 0x08, 0x00, 0x04, 0x00, 0x04, 0x01, 0x01, 0x11, 0x00, 0xff, 0xda, 0x00, 0x08, 0x01, 0x01,
    0x00, 0x00, 0x00, 0x00, 0xc0, 0x00, 0x00, 0x6c, 0x80, 0x20, 0x8e, 0x01, 0xc0, 0x00, 0x00, 0x57, 0x40, 0x00, 0x00, 0x6e, 0xe6,
    0x00, 0x00, 0x01, 0xbc, 0x18, 0x00, 0x00, 0x05, 0xd8, 0x00, 0x00, 0x91, 0x60, 0xff, 0xd9,
];

#[test]
fn streams_become_the_numbers_of_the_standard_and_of_charls() {
    let numbers = vec![0, 0, 90, 74, 68, 50, 43, 205, 64, 145, 145, 145, 100, 145, 145, 145];
    assert_eq!(decode(&EXAMPLE, 4, 4), Ok(Picture { precision: 8, numbers }));
    let references = references();
    assert_eq!(references.len(), 28);
    for Reference { name, stream, size: [columns, rows], numbers } in references {
        let picture = decode(&stream, columns, rows).unwrap_or_else(|cause| panic!("{name} {cause}"));
        assert!(name.split('_').any(|part| part == picture.precision.to_string()) || name.starts_with("slice"), "{name}");
        assert!(picture.numbers == numbers, "{name} differs");
    }
}

#[test]
fn a_stream_that_is_cut_off_is_refused() {
    for Reference { name, stream, size: [columns, rows], numbers } in references() {
        // The last two bytes say that it ends.
        for length in 0..stream.len() - 2 {
            match decode(&stream[..length], columns, rows) {
                Err(cause) => assert!(cause.contains("cut off") || cause.contains("header"), "{name} of {length} bytes {cause}"),
                // Bits that fill the last byte may be a byte of their own.
                Ok(picture) => assert!(picture.numbers == numbers && length + 3 == stream.len(), "{name} of {length} bytes"),
            }
        }
    }
}

#[test]
fn a_damaged_stream_never_becomes_more_than_was_promised() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let mut refused = 0;
    for Reference { stream, size: [columns, rows], .. } in references() {
        for _ in 0..300 {
            let mut damaged = stream.clone();
            for _ in 0..random.random_range(1..4) {
                let at = random.random_range(0..damaged.len());
                match random.random_range(0..4) {
                    0 => drop(damaged.remove(at)),
                    1 => damaged.insert(at, random.random()),
                    _ => damaged[at] = random.random(),
                }
            }
            match decode(&damaged, columns, rows) {
                Err(_) => refused += 1,
                Ok(picture) => assert_eq!(picture.numbers.len(), columns * rows),
            }
        }
    }
    assert!(refused > 28 * 250, "{refused} of {} were seen to be damaged", 28 * 300);
}

#[test]
fn what_is_not_read_is_named() {
    let cause = |change: fn(&mut Vec<u8>)| {
        let mut stream = EXAMPLE.to_vec();
        change(&mut stream);
        decode(&stream, 4, 4).expect_err("a changed stream")
    };
    // Behind the frame's header: MAXVAL, T1, T2, T3, RESET.
    let preset = |stream: &mut Vec<u8>, numbers: [u8; 5]| {
        let segment = [0xff, 0xf8, 0, 13, 1].into_iter().chain(numbers.into_iter().flat_map(|number| [0, number]));
        stream.splice(15..15, segment);
    };
    let mut standard = EXAMPLE.to_vec();
    preset(&mut standard, [255, 3, 7, 21, 64]);
    assert_eq!(decode(&standard, 4, 4), decode(&EXAMPLE, 4, 4));
    for (numbers, words) in
        [([254, 0, 0, 0, 0], "up to 254 in 8 bits (MAXVAL)"), ([0, 9, 7, 21, 64], "impossible"), ([0, 0, 0, 0, 2], "impossible")]
    {
        let mut stream = EXAMPLE.to_vec();
        preset(&mut stream, numbers);
        let cause = decode(&stream, 4, 4).expect_err("another preset");
        assert!(cause.contains(words), "{cause}");
    }
    assert!(decode(&EXAMPLE, 4, 5).expect_err("another size").contains("holds 4 x 4 pixels instead of 4 x 5"));
    assert!(decode(&EXAMPLE, 0, 0).is_err());
    assert!(cause(|stream| stream[11] = 3).contains("3 components"));
    assert!(cause(|stream| stream[3] = 0xc3).contains("another kind of JPEG"));
    assert!(cause(|stream| drop(stream.splice(15..15, [0xff, 0xf8, 0, 4, 2, 1]))).contains("LSE 2"));
    // Three lines to an interval, but no mark of the next.
    assert!(cause(|stream| drop(stream.splice(15..15, [0xff, 0xdd, 0, 4, 0, 3]))).contains("damaged"));
    assert!(cause(|stream| stream[22] = 200).contains("impossible"), "the error that is allowed");
    // Bytes of ones may fill the place before a mark, and words stand anywhere between.
    let filled: Vec<u8> = [&EXAMPLE[..2], &[0xff, 0xff, 0xfe, 0, 4, b'h', b'i', 0xff], &EXAMPLE[2..]].concat();
    assert_eq!(decode(&filled, 4, 4), decode(&EXAMPLE, 4, 4));
}

fn compressed(mut object: InMemDicomObject, mut fragments: Vec<Vec<u8>>) -> InMemDicomObject {
    fragments.iter_mut().filter(|fragment| fragment.len() % 2 == 1).for_each(|fragment| fragment.push(0));
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, PixelFragmentSequence::new_fragments(fragments)));
    object
}

/// [`stack`] from such streams; `change` changes each slice's header.
fn series(kind: &str, change: impl Fn(&mut InMemDicomObject)) -> Folder {
    let folder = Folder::new([]);
    for (at, slice) in stack().iter().enumerate() {
        let mut object = compressed(slice.object(), vec![stream(&format!("slice_{at}{kind}"))]);
        change(&mut object);
        save_as(object, uids::JPEGLS_LOSSLESS, &folder.at(&format!("{at}.dcm")));
    }
    folder
}

#[test]
fn compressed_series_are_read_as_those_that_are_not() {
    is_the_stack(&series("", |_| {}).scan());
    // The whole 16 bits, four of which are none of the number.
    is_the_stack(&series("_of_16", |_| {}).scan());

    let frames = || [2, 0, 3, 1].map(|at| stream(&format!("slice_{at}")));
    let folder = Folder::new([]);
    let written = |fragments| save_as(compressed(multi_frame(), fragments), uids::JPEGLS_LOSSLESS, &folder.at("one"));
    written(frames().to_vec());
    is_the_stack(&folder.scan());
    // Every stream in pieces.
    written(frames().iter().flat_map(|stream| stream.chunks(10).map(<[u8]>::to_vec)).collect());
    is_the_stack(&folder.scan());
    written(frames()[1..].to_vec());
    let fault = folder.fault().to_string();
    assert!(fault.contains("3 JPEG-LS streams for 4 frames"), "{fault}");
}

#[test]
fn a_near_lossless_series_says_so() {
    let folder = Folder::new([]);
    for (at, slice) in stack().iter_mut().enumerate() {
        slice.more.push((tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "01"));
        let object = compressed(slice.object(), vec![stream(&format!("slice_{at}_near_1"))]);
        save_as(object, uids::JPEGLS_NEAR_LOSSLESS, &folder.at(&format!("{at}.dcm")));
    }
    let scan = folder.scan();
    assert!(notes(&scan).contains("compressed with loss"), "{}", notes(&scan));
    // The last slice is the first that was written: numbers -4, -1, -1, 0, 0 and 3 times 2 less 1000.
    assert_eq!(scan.volume.voxels[18..], [-1008.0, -1002.0, -1002.0, -1000.0, -1000.0, -994.0]);
}

#[test]
fn what_is_wrong_with_a_compressed_file_is_told_with_its_name() {
    let put = |object: &mut InMemDicomObject, tag, value: u16| drop(object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value))));
    // The sign would lie in bits that the streams lack.
    let wide = |object: &mut InMemDicomObject| {
        put(object, tags::BITS_STORED, 16);
        put(object, tags::HIGH_BIT, 15);
    };
    let fault = series("", wide).fault();
    assert!(matches!(&fault, Fault::Alike(..) | Fault::Dicom(_)) && fault.to_string().contains("JPEG-LS"), "{fault}");
    // Without a sign they are zeros: -3 of 12 bits is 4093.
    let unsigned = series("", |object| {
        wide(object);
        put(object, tags::PIXEL_REPRESENTATION, 0);
    });
    assert_eq!(unsigned.scan().volume.voxels[18], 2.0 * 4093.0 - 1000.0);

    // From -3 to 32 take seven bits with a sign. Without one, 4093 of twelve bits would lose its upper ones.
    let narrow = |signed: u16| {
        series("", move |object| {
            put(object, tags::BITS_STORED, 7);
            put(object, tags::HIGH_BIT, 6);
            put(object, tags::PIXEL_REPRESENTATION, signed);
        })
    };
    is_the_stack(&narrow(1).scan());
    let fault = narrow(0).fault().to_string();
    assert!(fault.contains("numbers of 12 bits, among them 4093, which the 7 bits of its header cannot hold"), "{fault}");

    let folder = series("", |_| {});
    let whole = stream("slice_2");
    save_as(compressed(stack()[2].object(), vec![whole[..whole.len() - 4].to_vec()]), uids::JPEGLS_LOSSLESS, &folder.at("2.dcm"));
    let error = read(folder.0.path()).expect_err("a file that was cut off");
    assert!(error.file.ends_with("2.dcm") && error.to_string().contains("JPEG-LS stream of its frame 1 is damaged or cut off"), "{error}");
    let object = stack()[2].object();
    save_as(object, uids::EXPLICIT_VR_LITTLE_ENDIAN, &folder.at("2.dcm"));
    is_the_stack(&folder.scan());
}
