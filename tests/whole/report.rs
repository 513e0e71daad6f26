//! What a page that stands alone is, and how the terminal follows a job: plain lines, or problems only.

mod markup;
mod synthetic;

use std::collections::BTreeMap;
use std::sync::mpsc::sync_channel;

use simtrot::protocol::{Event, Outcome, Record};
use simtrot::terminal;
use simtrot::worker::RunHandle;
use synthetic::{ARMS, HOSTILE};

/// What a page may not hold: each would reach outside it, or run.
const FOREIGN: [&str; 5] = ["<script", "<link", "<iframe", "@import", "url("];

fn made_up_cases() -> Vec<String> {
    let mut cases: Vec<String> = (1..12).map(|number| format!("case_{number:03}")).collect();
    cases.push(HOSTILE.to_owned());
    cases
}

/// That a page is well formed, and reaches for nothing outside it. Hands back the number of its elements.
pub fn stands_alone(page: &str) -> usize {
    for foreign in FOREIGN {
        assert!(!page.contains(foreign), "holds {foreign}");
    }
    let tags = markup::tags(page);
    let ids: Vec<&String> = tags.iter().flat_map(|tag| &tag.attributes).filter(|(name, _)| name == "id").map(|(_, id)| id).collect();
    for (name, value) in tags.iter().flat_map(|tag| &tag.attributes) {
        match name.as_str() {
            "src" => panic!("a second file: {value}"),
            "href" => {
                let inside = value.strip_prefix('#').is_some_and(|id| ids.iter().any(|known| *known == id));
                assert!(inside || value.starts_with("data:image/png;base64,"), "href leads outside: {value}");
            }
            name => assert!(!name.starts_with("on"), "a handler: {name}"),
        }
    }
    tags.len()
}

/// A worker that tells `records` and ends.
fn worker(records: Vec<Record>) -> RunHandle {
    let (sender, events) = sync_channel(16);
    let (commands, _) = sync_channel(1);
    let join = std::thread::spawn(move || {
        for record in records {
            sender.send(record).expect("the front end reads to the end");
        }
        Outcome::Completed
    });
    RunHandle { events, previews: sync_channel(1).1, commands, join }
}

#[test]
fn the_terminal_follows_a_job_in_few_plain_lines() {
    let records = synthetic::records(&made_up_cases(), &ARMS);
    for slower in [1.0, 6.0] {
        let records: Vec<_> = records.iter().map(|record| Record { secs: slower * record.secs, ..record.clone() }).collect();
        let expected = synthetic::fold(&records);
        let mut out = Vec::new();
        let (outcome, state) = terminal::follow_plainly(worker(records), false, &mut out);
        assert_eq!((outcome, &state), (Outcome::Completed, &expected));
        let lines = String::from_utf8(out).unwrap();
        assert!(lines.lines().count() <= 40, "{} lines", lines.lines().count());
        assert!(!lines.chars().any(|c| c.is_control() && c != '\n'), "control characters");
        for text in ["warning: a made-up warning", "pretrain simtrot_w: 300 steps", "test scratch: 12 cases", "done in"] {
            assert!(lines.contains(text), "{text:?} is missing");
        }
        assert!(lines.lines().any(|line| line.contains(" %)  loss ") && line.ends_with(" left")), "no progress is reported");
    }
}

#[test]
fn a_quiet_terminal_tells_warnings_and_failures_only() {
    let mut records = synthetic::records(&made_up_cases(), &[]);
    records.pop();
    let failure = Outcome::Failed { message: "the device was lost; resume with --resume".into(), bad_input: false };
    records.push(Record { secs: 400.0, event: Event::Finished { outcome: failure } });
    let mut out = Vec::new();
    terminal::follow_plainly(worker(records), true, &mut out);
    let text = String::from_utf8(out).unwrap();
    let lines: BTreeMap<bool, usize> = text.lines().fold(BTreeMap::new(), |mut lines, line| {
        *lines.entry(line.contains("warning: ") || line.contains("error: the device was lost; resume")).or_default() += 1;
        lines
    });
    assert_eq!(lines, BTreeMap::from([(true, 2)]), "{text}");
}
