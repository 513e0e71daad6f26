//! Numbers and lists as people read them: terminal, report and window print the same ones.

use std::borrow::Borrow;

use crate::metrics::{Interval, Metric};
use crate::protocol::Environment;

/// Decimals of Dice and of the collapse numbers.
const SHARE_DECIMALS: usize = 3;
/// Decimals of a distance.
const DISTANCE_DECIMALS: usize = 2;
/// What stands where there is no number.
pub(crate) const NOTHING: &str = "–";

/// With so many decimals; what rounds to zero has no sign.
pub(crate) fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let is_zero = text.starts_with('-') && text.chars().all(|c| "-0.".contains(c));
    if is_zero { text[1..].to_owned() } else { text }
}

/// `0.812`: Dice and other shares.
pub(crate) fn share(value: f64) -> String {
    fixed(value, SHARE_DECIMALS)
}

/// `+0.012`: a difference of shares.
pub(crate) fn signed_share(value: f64) -> String {
    format!("{value:+.SHARE_DECIMALS$}")
}

/// `+0.012`, and `+0.003` and `+0.021`: a difference and the ends of its interval, if it has one, with the decimals that show on which side
/// of zero it lies.
pub(crate) fn difference(interval: &Interval, metric: Metric) -> (String, Option<[String; 2]>) {
    let decimals = interval.decimals(match metric {
        Metric::Dice => SHARE_DECIMALS,
        Metric::Hd95 => DISTANCE_DECIMALS,
    });
    let word = |value: f64| format!("{value:+.decimals$}");
    (word(interval.mean), interval.ends.map(|ends| ends.map(word)))
}

/// `3.40`: a distance in its unit.
pub(crate) fn distance(value: f64) -> String {
    fixed(value, DISTANCE_DECIMALS)
}

/// The number in its words, or a dash.
pub(crate) fn or_nothing(value: Option<f64>, word: fn(f64) -> String) -> String {
    value.map_or_else(|| NOTHING.to_owned(), word)
}

/// How the numbers of a metric are written.
pub(crate) fn word(metric: Metric) -> fn(f64) -> String {
    match metric {
        Metric::Dice => share,
        Metric::Hd95 => distance,
    }
}

/// `1 case`, `12 cases`.
pub(crate) fn count(number: usize, unit: &str) -> String {
    if number == 1 { format!("1 {unit}") } else { format!("{number} {unit}s") }
}

/// What a run computes on: `AMD EPYC (cpu, 8 threads)`.
pub(crate) fn place(environment: &Environment) -> String {
    format!("{} ({}, {})", environment.device_name, environment.device, count(environment.threads, "thread"))
}

/// `5.2 MiB`.
pub(crate) fn bytes(number: u64) -> String {
    indicatif::BinaryBytes(number).to_string()
}

/// `8.3 s`, `2 min 05 s`, `1 h 05 min`, `3 d 4 h`.
pub(crate) fn duration(secs: f64) -> String {
    if secs < 59.95 {
        return if secs < 9.95 { format!("{secs:.1} s") } else { format!("{secs:.0} s") };
    }
    let secs = secs.round() as u64;
    let (minutes, hours, days) = (secs / 60, secs / 3600, secs / 86400);
    match (days, hours) {
        (0, 0) => format!("{minutes} min {:02} s", secs % 60),
        (0, _) => format!("{hours} h {:02} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// `0:02:05`: a moment of a run.
pub(crate) fn clock(secs: f64) -> String {
    let secs = secs.max(0.0) as u64;
    format!("{}:{:02}:{:02}", secs / 3600, secs / 60 % 60, secs % 60)
}

/// The text without characters that would move a terminal's cursor or recolour it: names come from other people's files.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect()
}

/// The text with a capital letter in front.
pub(crate) fn sentence(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

/// The name of a file or folder, without the folders that it lies in.
#[cfg(feature = "gui")]
pub(crate) fn file_name(path: &std::path::Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn list<S: Borrow<str>>(words: &[S]) -> String {
    match words {
        [] => String::new(),
        [only] => only.borrow().to_owned(),
        [head @ .., last] => format!("{} and {}", head.join(", "), last.borrow()),
    }
}

/// That finished trainings lie in an experiment's folder which are not those of the experiment as it is now.
pub(crate) fn holds_others(others: usize) -> String {
    format!(
        "The folder also holds {} of other settings, other data or another version of the program; they are left as they are and count \
         for nothing here.",
        count(others, "training")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_turn_over_at_their_unit() {
        let cases = [(0.04, "0.0 s"), (9.96, "10 s"), (59.96, "1 min 00 s"), (125.4, "2 min 05 s"), (3900.0, "1 h 05 min")];
        for (secs, text) in cases {
            assert_eq!(duration(secs), text);
        }
        assert_eq!(duration(3.2 * 86400.0), "3 d 4 h");
        assert_eq!(clock(3725.9), "1:02:05");
    }

    #[test]
    fn what_rounds_to_zero_has_no_sign() {
        assert_eq!([share(-0.0004), share(-0.0006), distance(-0.001), distance(3.4)], ["0.000", "-0.001", "0.00", "3.40"]);
    }

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        assert_eq!(printable("a\u{1b}[31m\tb\u{9b}c\nd"), "a [31m b c\nd");
    }
}
