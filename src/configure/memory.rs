//! How much memory a network may take.

use crate::device::memory::installed_mib;
use crate::plan::Room;
use crate::wording;

/// What nnU-Net plans for unless it is told otherwise: a GPU of 8 GiB.
const USUAL: u64 = 8 << 30;

/// Units in the order in which their ends are tried.
const UNITS: [(&str, f64); 7] =
    [("KiB", 1024.0), ("MiB", 1_048_576.0), ("GiB", 1_073_741_824.0), ("TiB", 1_099_511_627_776.0), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12)];

/// An amount of memory as a person writes it, `8GiB` or `7.5 GB`, in bytes.
///
/// # Errors
/// No number above zero with a unit behind it, or more bytes than can be counted.
pub fn parse(text: &str) -> Result<u64, String> {
    let lower = text.trim().to_lowercase();
    let read = |(unit, bytes): (&str, f64)| {
        let number: f64 = lower.strip_suffix(&unit.to_lowercase())?.trim().parse().ok()?;
        Some(number * bytes).filter(|bytes| *bytes >= 1.0)
    };
    match UNITS.into_iter().find_map(read) {
        Some(bytes) if bytes < u64::MAX as f64 => Ok(bytes as u64),
        Some(_) => Err(format!("{text:?} is more than any machine has")),
        None => Err(format!("{text:?} is no amount of memory: give a number with its unit, for example 8GiB")),
    }
}

/// The same of what this machine is to hold: no more than it has, where the system says what that is.
///
/// # Errors
/// As [`parse`], and an amount that the machine does not have.
pub fn parse_held(text: &str) -> Result<u64, String> {
    parse(text).and_then(|bytes| require_within(bytes, installed()).map(|()| bytes))
}

fn require_within(bytes: u64, installed: Option<u64>) -> Result<(), String> {
    match installed.filter(|&installed| bytes > installed) {
        None => Ok(()),
        Some(installed) => Err(format!("{} are more than this machine has: {}", wording::bytes(bytes), wording::bytes(installed))),
    }
}

/// Bytes of memory that this machine has, where the system says so.
pub fn installed() -> Option<u64> {
    installed_mib().map(|mib| (mib * f64::from(1 << 20)) as u64)
}

/// The room that is planned for on a device that offers `room`, and why: `given` bytes, or what is free, but no more than nnU-Net takes. More
/// than the `installed` memory, where that is the device's, is meant for another machine, which is said.
pub fn budget(room: Room, given: Option<u64>, installed: Option<u64>) -> (Room, String) {
    let bytes = wording::bytes;
    let elsewhere = room.free_bytes.and(installed).filter(|&installed| given.is_some_and(|given| given > installed));
    let (planned, reason) = match (given, room.free_bytes) {
        (Some(given), _) if elsewhere.is_some() => {
            let installed = elsewhere.map_or_else(String::new, bytes);
            (given, format!("as --memory says, for another machine: this one has {installed}"))
        }
        (Some(given), _) => (given, "as --memory says".to_owned()),
        (None, Some(free)) if free <= USUAL => (free, "what is free now (on the command line, --memory says otherwise)".to_owned()),
        (None, Some(free)) => {
            (USUAL, format!("what nnU-Net plans for, of {} that are free (on the command line, --memory says otherwise)", bytes(free)))
        }
        (None, None) => {
            (USUAL, "ASSUMED, as nnU-Net does: how much is free is not known (on the command line, set it by --memory)".to_owned())
        }
    };
    (Room { free_bytes: Some(planned), ..room }, format!("{}: {reason}", bytes(planned)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_units() {
        for (text, bytes) in [("8GiB", 8 << 30), ("8 gib", 8 << 30), ("1.5MiB", 3 << 19), ("8GB", 8_000_000_000)] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for text in ["8", "GiB", "-1GiB", "0GiB", "NaNGiB", "8 bananas", ""] {
            assert!(parse(text).unwrap_err().contains("8GiB"), "{text}");
        }
        for text in ["99999999TiB", "1e300GiB", "infGiB"] {
            assert!(parse(text).unwrap_err().contains("more than any machine has"), "{text}");
        }
    }

    #[test]
    fn what_a_machine_is_to_hold_it_must_have() {
        assert_eq!((require_within(8 << 30, Some(8 << 30)), require_within(8 << 30, None)), (Ok(()), Ok(())));
        assert_eq!(require_within(9 << 30, Some(8 << 30)), Err("9.00 GiB are more than this machine has: 8.00 GiB".to_owned()));
        assert_eq!(parse_held("1MiB"), Ok(1 << 20));
        assert!(parse_held("much").is_err() && (installed().is_none() || parse_held("9999TiB").is_err()));
    }

    #[test]
    fn what_is_planned_for_is_given_or_free_or_said_to_be_assumed() {
        let room = |free_bytes| Room { free_bytes, binding_bytes: Some(7) };
        let cases = [
            (Some(9 << 30), Some(99 << 30), 99 << 30, "--memory says, for another machine: this one has 98.00 GiB"),
            (None, Some(99 << 30), 99 << 30, "--memory says"),
            (Some(99 << 30), Some(1 << 30), 1 << 30, "--memory says"),
            (Some(3 << 30), None, 3 << 30, "free now"),
            (Some(99 << 30), None, 8 << 30, "99.00 GiB that are free"),
            (None, None, 8 << 30, "ASSUMED"),
        ];
        for (free, given, planned, words) in cases {
            let (found, reason) = budget(room(free), given, Some(98 << 30));
            assert_eq!((found.free_bytes, found.binding_bytes), (Some(planned), Some(7)));
            assert!(reason.contains(words) && (reason.contains("another") == words.contains("another")), "{reason}");
        }
    }
}
