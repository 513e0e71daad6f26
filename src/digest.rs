//! SHA-256 as hexadecimal text: what keys of contents and settings are made of.

use std::path::Path;

use sha2::{Digest as _, Sha256};

/// The SHA-256 of some bytes, as 64 hexadecimal digits.
pub fn sha256(bytes: impl AsRef<[u8]>) -> String {
    finish(Sha256::new_with_prefix(bytes))
}

/// The SHA-256 of a file's bytes, as 64 hexadecimal digits.
///
/// # Errors
/// The operating system's.
pub fn sha256_of_file(file: &Path) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    std::io::copy(&mut std::fs::File::open(file)?, &mut hash)?;
    Ok(finish(hash))
}

/// What a hash has come to, as 64 hexadecimal digits.
pub fn finish(hash: Sha256) -> String {
    format!("{:x}", hash.finalize())
}
