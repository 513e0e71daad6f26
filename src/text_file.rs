//! Text files as editors write them: UTF-8, with or without a byte order mark.

use std::io::{Error, ErrorKind, Result};
use std::path::Path;

/// Reads a text file; a byte order mark is not part of the text.
///
/// # Errors
/// The operating system's; [`ErrorKind::InvalidData`], naming the encoding, for text that isn't UTF-8.
pub fn read(file: &Path) -> Result<String> {
    decode(std::fs::read(file)?)
}

fn decode(bytes: Vec<u8>) -> Result<String> {
    let wide = match bytes.as_slice() {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some("UTF-32"),
        // Text in UTF-16 begins with its mark, or with a character of ASCII, of which one byte is 0.
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("UTF-16"),
        [0, other, ..] | [other, 0, ..] if *other != 0 => Some("UTF-16"),
        _ => None,
    };
    let refuse = |encoding| Error::new(ErrorKind::InvalidData, format!("its text encoding is {encoding}; save it as UTF-8"));
    if let Some(encoding) = wide {
        return Err(refuse(encoding));
    }
    let text = String::from_utf8(bytes).map_err(|_| refuse("neither UTF-8 nor UTF-16, perhaps Windows-1252 or Latin-1"))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn a_byte_order_mark_is_no_text_and_other_encodings_are_named() {
        let text = "(name: \"Bär\")";
        assert_eq!(decode(text.as_bytes().to_vec()).expect("UTF-8"), text);
        assert_eq!(decode([b"\xef\xbb\xbf", text.as_bytes()].concat()).expect("UTF-8"), text);
        assert_eq!(decode(Vec::new()).expect("an empty file"), "");
        let refused = |bytes: Vec<u8>| decode(bytes).expect_err("not UTF-8").to_string();
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in [[&[0xff, 0xfe], little.as_slice()].concat(), [&[0xfe, 0xff], big.as_slice()].concat(), little, big] {
            assert!(refused(bytes).contains("UTF-16"));
        }
        let wide: Vec<u8> = "\u{feff}{".chars().flat_map(|character| u32::from(character).to_le_bytes()).collect();
        assert!(refused(wide).contains("UTF-32"));
        assert!(refused(b"B\xe4r".to_vec()).contains("Latin-1"));
    }
}
