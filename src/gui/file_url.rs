//! The address of a file, as a browser takes it.

use std::path::Path;

/// A file as a browser takes it.
pub(super) fn file_url(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let text = path.to_string_lossy().replace('\\', "/");
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/:-_.~".contains(&byte);
    let encoded: String =
        text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect();
    // A drive letter needs a slash in front.
    format!("file://{}{encoded}", if encoded.starts_with('/') { "" } else { "/" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_in_any_folder_has_an_address() {
        assert_eq!(file_url(Path::new("/data/my runs/50 %/report.html")), "file:///data/my%20runs/50%20%25/report.html");
        assert!(file_url(Path::new("runs/demo/report.html")).ends_with("/runs/demo/report.html"));
    }
}
