//! Reading `events.jsonl`, also while it is written and after crashes.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::PathBuf;

use super::{Event, FolderError, Record, Severity};

/// How each record begins.
const BEGINNING: &[u8] = b"{\"at_secs\":";

/// Reads a run's record from its begin, and later what has come since.
#[derive(Clone, Debug)]
pub struct RecordReader {
    path: PathBuf,
    offset: u64,
    lines: usize,
    damaged: usize,
    secs: f64,
}

impl RecordReader {
    /// At the begin of the record at `path`, which need not be there yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path, offset: 0, lines: 0, damaged: 0, secs: 0.0 }
    }

    /// Hands out the records since the last call. A last line without its end is still being written, or was cut off by a crash:
    /// it is left. A line that holds no record is told as a warning in its place.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(&mut self, take: &mut dyn FnMut(Record)) -> Result<(), FolderError> {
        self.lines_since(take).map_err(|cause| FolderError::Io { path: self.path.clone(), cause })
    }

    fn lines_since(&mut self, take: &mut dyn FnMut(Record)) -> std::io::Result<()> {
        let mut file = File::open(&self.path)?;
        if file.metadata()?.len() < self.offset {
            // It was begun anew.
            *self = Self::new(self.path.clone());
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let mut file = BufReader::new(file);
        let mut line = Vec::new();
        while file.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            self.offset += line.len() as u64;
            self.lines += 1;
            if !line.trim_ascii().is_empty() {
                let record = whole(&line).unwrap_or_else(|| self.damaged());
                self.secs = record.secs;
                take(record);
            }
            line.clear();
        }
        Ok(())
    }

    fn damaged(&mut self) -> Record {
        self.damaged += 1;
        let text = format!("{}: line {} is damaged; the event that it recorded is left out", self.path.display(), self.lines);
        Record { secs: self.secs, event: Event::Notice { severity: Severity::Warning, text } }
    }

    /// Whether there were lines, and none of them a record.
    pub(super) fn found_nothing(&self) -> bool {
        self.lines > 0 && self.lines == self.damaged
    }

    /// Bytes of the whole lines read so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }
}

/// The record of a line; of a line that begins with one cut off by a crash, the whole one behind it.
fn whole(line: &[u8]) -> Option<Record> {
    let starts = (0..line.len()).filter(|&at| at == 0 || line[at..].starts_with(BEGINNING));
    starts.map(|at| serde_json::from_slice(&line[at..])).find_map(Result::ok)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn line(secs: f64) -> String {
        let event = Event::Notice { severity: Severity::Info, text: "{\"at_secs\": in words".to_owned() };
        serde_json::to_string(&Record { secs, event }).unwrap()
    }

    fn read(reader: &mut RecordReader) -> Vec<f64> {
        let mut found = Vec::new();
        reader.read(&mut |record| found.push(record.secs)).unwrap();
        found
    }

    #[test]
    fn each_record_is_read_once_and_a_line_under_way_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let mut reader = RecordReader::new(path.clone());
        assert!(reader.read(&mut |_| {}).is_err(), "there is no file yet");
        let mut file = File::create(&path).unwrap();
        let third = line(3.0);
        write!(file, "{}\n{}\n{}", line(1.0), line(2.0), &third[..20]).unwrap();
        assert_eq!(read(&mut reader), [1.0, 2.0]);
        assert_eq!(reader.offset() as usize, line(1.0).len() + line(2.0).len() + 2);
        assert_eq!(read(&mut reader), [0.0; 0]);
        write!(file, "{}", &third[20..]).unwrap();
        assert_eq!(read(&mut reader), [0.0; 0], "whole, but for its end: a crash could have cut a number short there");
        write!(file, "\n{}\n", line(4.0)).unwrap();
        assert_eq!(read(&mut reader), [3.0, 4.0]);
    }

    #[test]
    fn a_torn_line_takes_no_whole_record_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let torn = &line(2.0)[..30];
        let mut text = format!("{}\n{torn}{}\n", line(1.0), line(3.0)).into_bytes();
        text.extend(b"\0\0\0\0");
        text.extend(format!("{}\n{torn}\n\n{}\n", line(4.0), line(5.0)).into_bytes());
        std::fs::write(&path, text).unwrap();
        let mut notices = Vec::new();
        let mut secs = Vec::new();
        RecordReader::new(path)
            .read(&mut |record| {
                secs.push(record.secs);
                let Event::Notice { severity, text } = record.event else { panic!() };
                notices.extend((severity == Severity::Warning).then_some(text));
            })
            .unwrap();
        assert_eq!(secs, [1.0, 3.0, 4.0, 4.0, 5.0]);
        assert!(notices.len() == 1 && notices[0].contains("line 4 is damaged"), "{notices:?}");
    }
}
