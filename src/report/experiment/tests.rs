//! The report of a made-up experiment, at its end and midway.

use super::*;
use crate::experiment::synthetic::{self, Until};
use crate::results::ExperimentResults;
use crate::wording::{share, signed_share};

/// The files of a report, by name.
struct Files {
    place: tempfile::TempDir,
    experiment: Experiment,
    state: ExperimentState,
}

impl Files {
    fn of(experiment: Experiment, until: Until) -> Self {
        let place = tempfile::tempdir().unwrap();
        let folder = ExperimentFolder::new(place.path());
        let state = synthetic::state(&experiment, until, &folder);
        let path = write(&folder, &experiment, &state).unwrap();
        assert_eq!(path, place.path().join("report.html"));
        Self { place, experiment, state }
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.place.path().join(name)).unwrap()
    }

    fn rows(&self, name: &str) -> Vec<csv::StringRecord> {
        csv::Reader::from_path(self.place.path().join(name)).unwrap().records().map(Result::unwrap).collect()
    }
}

#[test]
fn page_and_markdown_print_the_numbers_that_the_experiment_shows() {
    let files = Files::of(synthetic::experiment(), Until::End);
    let results = ExperimentResults::new(&files.experiment, &files.state);
    let (page, markdown) = (files.read("report.html"), files.read("report.md"));
    for group in &results.groups {
        let dice = group.dice.unwrap();
        let text = format!("{} ± {}", share(dice.mean), share(dice.deviation.unwrap()));
        assert!(page.contains(&format!("<strong>{text}</strong>")) && markdown.contains(&format!("**{text}**")), "{}: {text}", group.title);
    }
    for comparison in &results.comparisons {
        let interval = comparison.dice.as_ref().unwrap().interval;
        let text = format!("{} [{}, {}]", signed_share(interval.mean), signed_share(interval.low), signed_share(interval.high));
        assert!(page.contains(&text) && markdown.contains(&sheet::escaped(&text)), "{text}");
    }
    // Every comparison in a sentence, and each figure with what it rests on.
    for sentence in results.sentences() {
        assert!(page.contains(&sentence), "{sentence}");
    }
    assert!(page.matches("24 test cases, 3 seeds").count() >= 3 && markdown.contains("24 test cases, 3 seeds"));
    assert!(!page.contains("What is missing") && !markdown.contains("What is missing"));
    for name in ["eta2 turned", "index lock", "anatomy lock"] {
        assert!(page.contains(name) && markdown.contains(name), "{name} is in every table");
    }
    // Figure 5: Dice and HD95 along the label fraction, a dot for each arm and level, a reach for each.
    assert!(page.contains("Along label fraction"));
    let figure = page.split("<figcaption>Dice</figcaption>").nth(1).unwrap().split("</svg>").next().unwrap();
    assert_eq!(figure.matches("<circle").count(), 4 * 5);
}

#[test]
fn files_for_other_programs_hold_every_cell_and_comparison() {
    let files = Files::of(synthetic::experiment(), Until::End);
    let results = ExperimentResults::new(&files.experiment, &files.state);
    let rows = files.rows("results.csv");
    // A row for each of 60 cells, and each of two labels and their mean.
    assert_eq!(rows.len(), 60 * 3);
    let cell = rows.iter().find(|row| &row[0] == "0.05" && &row[1] == "2" && &row[2] == "simtrot_w" && &row[4] == "mean").unwrap();
    let group = results.groups.iter().find(|group| group.title == "label fraction 0.05, simtrot_w").unwrap();
    assert!((cell[6].parse::<f64>().unwrap() - group.repeats[2].dice.unwrap()).abs() < 1e-12);
    assert_eq!(files.rows("groups.csv").len(), results.rows().count());
    let told = results.comparisons.iter().map(|own| usize::from(own.dice.is_some()) + usize::from(own.hd95.is_some())).sum::<usize>();
    assert_eq!(files.rows("comparisons.csv").len(), told);
}

#[test]
fn what_is_missing_is_said_in_its_place() {
    let files = Files::of(synthetic::experiment(), Until::Midway);
    let page = files.read("report.html");
    for words in [
        "Not complete",
        "rest on fewer seeds than planned",
        "the file ends after 31 of 64 KiB; copy it again from its source",
        "No tokens were kept.",
        "up to 24 test cases, 2 seeds",
    ] {
        assert!(page.contains(words), "{words}");
    }
    // Of the dataset that the experiment names there is nothing to show, and the page says why.
    assert!(
        page.contains("No picture: ") || page.contains("No segmentation was kept.") || page.contains("could not be opened"),
        "no word of the pictures"
    );
    assert!(files.read("report.md").contains("## What is missing"));
}

#[test]
fn nothing_done_is_a_report_as_well() {
    let place = tempfile::tempdir().unwrap();
    let folder = ExperimentFolder::new(place.path());
    let experiment = synthetic::experiment();
    let state = ExperimentState::of(vec![None; experiment.stages.len()]);
    let page = std::fs::read_to_string(write(&folder, &experiment, &state).unwrap()).unwrap();
    for words in ["No test case was scored yet", "Tokens were not measured yet", "No optimiser step was taken yet", "Nothing is concluded"]
    {
        assert!(page.contains(words), "{words}");
    }
    assert!(!page.contains("NaN"));
}
