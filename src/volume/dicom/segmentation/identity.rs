//! Unique identifiers and dates of a segmentation.
//!
//! Identifiers are UUIDs under the root 2.25, made of a digest of all that the file is made of, its time included. So two segmentations
//! never share one, and one that is written again from the same result at the same time is the same file.

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use super::content::Described;
use crate::volume::LabelMap;
use crate::volume::dicom::frames::text;

/// Bits of a UUID that give its version (8: its maker's own) and its variant, and what they are set to.
const UUID_FIXED: (u128, u128) = (0xF000_C000_0000_0000_0000, 0x8000_8000_0000_0000_0000);

/// Whose a segmentation is, and when it was made.
pub(super) struct Identity {
    digest: [u8; 32],
    /// By the clock of the series where that says how far it is from UTC, else by UTC.
    made: Timestamp,
}

impl Identity {
    /// Of what a segmentation is made of.
    pub(super) fn new(source: &InMemDicomObject, map: &LabelMap, described: &[Described], now: Timestamp) -> Self {
        let mut hash = Sha256::new_with_prefix(format!("simtrot SEG 1 {}", crate::VERSION));
        let whose = [tags::STUDY_INSTANCE_UID, tags::SERIES_INSTANCE_UID, tags::SOP_INSTANCE_UID].map(|tag| text(source, tag));
        hash.update(format!("{whose:?} {:?} {described:?} {}", map.grid, now.as_second()));
        map.voxels.iter().for_each(|label| hash.update(label.to_le_bytes()));
        let offset = minutes(&text(source, tags::TIMEZONE_OFFSET_FROM_UTC)).unwrap_or(0);
        let made = now.checked_add(SignedDuration::from_mins(offset)).unwrap_or(now);
        Self { digest: hash.finalize().into(), made }
    }

    /// The unique identifier of a part of it.
    pub(super) fn uid(&self, part: &str) -> String {
        uid_of(part, &self.digest)
    }

    /// Its date and time, as DICOM writes them.
    pub(super) fn date_and_time(&self) -> [String; 2] {
        ["%Y%m%d", "%H%M%S"].map(|form| self.made.strftime(form).to_string())
    }
}

/// The unique identifier of a `part` of what such bytes stand for.
pub(super) fn uid_of(part: &str, of: &[u8]) -> String {
    let digest: [u8; 32] = Sha256::new_with_prefix(of).chain_update(part).finalize().into();
    let number = digest[..16].iter().fold(0_u128, |number, &byte| number << 8 | u128::from(byte));
    let (mask, fixed) = UUID_FIXED;
    format!("2.25.{}", number & !mask | fixed)
}

/// Minutes of an offset from UTC such as `+0130`.
fn minutes(offset: &str) -> Option<i64> {
    let sign = match offset.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let (hours, minutes) = (offset.get(1..3)?.parse::<i64>().ok()?, offset.get(3..5)?.parse::<i64>().ok()?);
    Some(sign * (60 * hours + minutes))
}

#[cfg(test)]
mod tests {
    use super::minutes;

    #[test]
    fn offsets_from_utc_are_read() {
        assert_eq!(["+0130", "-0800", "", "0100", "+1"].map(minutes), [Some(90), Some(-480), None, None, None]);
    }
}
