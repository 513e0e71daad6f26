//! Choices as the text of a config: each setting with its reason above it.

use serde::Serialize;

use crate::config::value_to_ron;
use crate::wording::printable;

/// Columns of the text, and of the summary in a terminal.
pub const WIDTH: usize = 110;

/// Columns by which a group of settings is indented.
const INDENT: usize = 4;

/// A setting that was chosen, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its dotted key.
    pub key: &'static str,
    /// Its value as it stands in a config.
    pub value: String,
    /// Why it was chosen.
    pub reason: String,
}

impl Choice {
    /// A setting with its value and reason.
    pub fn new<T: Serialize>(key: &'static str, value: &T, reason: impl Into<String>) -> Self {
        Self { key, value: value_to_ron(value), reason: reason.into() }
    }
}

/// The config that `choices` make up, with `header` and the reasons as comments. Choices of one group of settings stand together.
pub fn config_text(header: &str, choices: &[Choice]) -> String {
    let mut text = comment(header, 0) + "(\n";
    let mut open: Vec<&str> = Vec::new();
    for Choice { key, value, reason } in choices {
        let mut groups: Vec<&str> = key.split('.').collect();
        let name = groups.pop().unwrap_or_default();
        let shared = open.iter().zip(&groups).take_while(|(a, b)| a == b).count();
        close(&mut text, &mut open, shared);
        for group in &groups[shared..] {
            open.push(group);
            text += &format!("{:1$}{group}: (\n", "", INDENT * open.len());
        }
        let indent = INDENT * (open.len() + 1);
        text += &comment(reason, indent);
        text += &format!("{:indent$}{name}: {value},\n", "");
    }
    close(&mut text, &mut open, 0);
    text + ")\n"
}

/// Ends groups of settings until `left` are open.
fn close(text: &mut String, open: &mut Vec<&str>, left: usize) {
    while open.len() > left {
        *text += &format!("{:1$}),\n", "", INDENT * open.len());
        open.pop();
    }
}

fn comment(text: &str, indent: usize) -> String {
    let lines = wrapped(text, WIDTH - indent - 3);
    lines.iter().map(|line| format!("{:indent$}// {line}\n", "")).collect()
}

/// The words of a text on lines of at most `width` columns; a longer word has a line of its own.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in printable(text).split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunConfig;

    #[test]
    fn settings_stand_in_their_groups_below_their_reasons() {
        let choices = [
            Choice::new("name", &"mine", "because"),
            Choice::new("data.label_fraction", &0.5, "half\nof them"),
            Choice::new("data.preprocess.spacing_mm", &Some([3.0, 1.0, 1.0]), "thick"),
            Choice::new("data.preprocess.crop_foreground", &false, "cut already"),
            Choice::new("finetune.augment.flip_p", &[0.5, 0.5, 0.0], "left and right"),
        ];
        let text = config_text("Made for a test.", &choices);
        let expected = "\
// Made for a test.
(
    // because
    name: \"mine\",
    data: (
        // half of them
        label_fraction: 0.5,
        preprocess: (
            // thick
            spacing_mm: (3.0, 1.0, 1.0),
            // cut already
            crop_foreground: false,
        ),
    ),
    finetune: (
        augment: (
            // left and right
            flip_p: (0.5, 0.5, 0.0),
        ),
    ),
)
";
        assert_eq!(text, expected);
        let config = RunConfig::from_ron(&text, "text").unwrap();
        assert_eq!((config.data.preprocess.spacing_mm, config.finetune.augment.flip_p), (Some([3.0, 1.0, 1.0]), [0.5, 0.5, 0.0]));
    }

    #[test]
    fn reasons_cannot_leave_their_comment_and_keep_to_the_width() {
        let reason = format!("{}\n)\u{1b}[31m evil", "a word ".repeat(40));
        let text = config_text("x", &[Choice::new("seed", &7_u64, reason)]);
        assert_eq!(RunConfig::from_ron(&text, "text").unwrap().seed, 7);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH) && !text.contains('\u{1b}'), "{text}");
        assert_eq!(wrapped("a bb ccc dddddd", 4), ["a bb", "ccc", "dddddd"]);
    }
}
