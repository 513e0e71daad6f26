//! The report of a synthetic experiment: of a grid and of one point, at its end and midway.

use super::table::escaped;
use super::*;
use crate::config::{DataSource, NonFinite};
use crate::experiment::synthetic::{self, Until};
use crate::protocol::StageKind;
use crate::results::{ExperimentResults, spread};
use crate::volume::{Dataset, nifti};
use crate::wording::difference;

/// The files of a report, and what they are of.
struct Files {
    place: tempfile::TempDir,
    results: ExperimentResults,
    experiment: Experiment,
}

impl Files {
    fn of(experiment: Experiment, until: Until) -> Self {
        let place = tempfile::tempdir().unwrap();
        let folder = ExperimentFolder::new(place.path());
        let state = synthetic::state(&experiment, until, &folder);
        let path = write(&folder, &experiment, &state).unwrap();
        assert_eq!(path, place.path().join("report.html"));
        Self { place, results: ExperimentResults::new(&experiment, &state), experiment }
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
    let results = &files.results;
    let (page, markdown) = (files.read("report.html"), files.read("report.md"));
    for group in &results.groups {
        let text = spread(group.dice.as_ref(), crate::metrics::Metric::Dice);
        assert!(text.contains(" ± "), "{text}");
        assert!(page.contains(&format!("<strong>{text}</strong>")) && markdown.contains(&format!("**{text}**")), "{}: {text}", group.title);
    }
    for comparison in results.shown() {
        let dice = comparison.dice.as_ref().unwrap();
        let (mean, ends) = difference(&dice.interval, dice.metric);
        let [low, high] = ends.unwrap();
        assert!(page.contains(&format!("<strong>{mean}</strong><small>[{low}, {high}]</small>")), "{mean}");
        assert!(markdown.contains(&format!("**{mean}** {}", escaped(&format!("[{low}, {high}]")))), "{mean}");
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
    // Figure 5: Dice and HD95 along the label fraction, a dot for each arm and level.
    assert!(page.contains("Along label fraction"));
    let figure = page.split("<figcaption>Dice</figcaption>").nth(1).unwrap().split("</svg>").next().unwrap();
    assert_eq!(figure.matches("<circle").count(), 4 * 5);
}

#[test]
fn files_for_other_programs_hold_every_training_and_comparison() {
    let files = Files::of(synthetic::experiment(), Until::End);
    let results = &files.results;
    let rows = files.rows("results.csv");
    // A row for each of 60 cells, and each of two labels and their mean.
    assert_eq!(rows.len(), 60 * 3);
    let cell = rows.iter().find(|row| &row[0] == "0.05" && &row[1] == "2" && &row[2] == "simtrot_w" && &row[4] == "mean").unwrap();
    let group = results.groups.iter().find(|group| group.title == "label fraction 0.05, simtrot_w").unwrap();
    assert!((cell[6].parse::<f64>().unwrap() - group.repeats[2].dice.unwrap()).abs() < 1e-12);
    assert_eq!(files.rows("groups.csv").len(), results.rows().count());
    assert_eq!(files.rows("comparisons.csv").len(), results.shown().count());
    assert_eq!(files.rows("tokens.csv").len(), results.encoders().len());
    let summary: serde_json::Value = serde_json::from_str(&files.read("summary.json")).unwrap();
    let dice = summary["test"]["label fraction 0.05, simtrot_w"]["dice_mean"].as_f64().unwrap();
    assert!((dice - group.dice.unwrap().mean).abs() < 1e-12 && summary["schema"] == 3, "{summary}");
    assert_eq!(summary["trainings"].as_array().unwrap().len(), files.experiment.trainings.len());
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
        "split.json could not be read",
    ] {
        assert!(page.contains(words), "{words}");
    }
    assert!(page.contains("No picture: ") || page.contains("No segmentation was kept."), "no word of the pictures");
    assert!(files.read("report.md").contains("## What is missing"));
}

#[test]
fn nothing_done_is_a_report_as_well() {
    let place = tempfile::tempdir().unwrap();
    let folder = ExperimentFolder::new(place.path());
    let experiment = synthetic::experiment();
    let state = ExperimentState::of(vec![None; experiment.trainings.len()]);
    let page = std::fs::read_to_string(write(&folder, &experiment, &state).unwrap()).unwrap();
    for words in ["no test case was scored yet", "Collapse was not measured yet", "No optimiser step was taken yet", "Nothing is concluded"]
    {
        assert!(page.contains(words), "{words}");
    }
    assert!(!page.contains("NaN"));
}

#[test]
fn one_test_case_is_reported_without_an_interval() {
    let place = tempfile::tempdir().unwrap();
    let folder = ExperimentFolder::new(place.path());
    let experiment = synthetic::one_point();
    let mut state = synthetic::state(&experiment, Until::End, &folder);
    let kept = synthetic::cases(&experiment)[0].clone();
    for run in state.runs.iter_mut().flatten() {
        std::sync::Arc::make_mut(run).stages.iter_mut().for_each(|stage| stage.scores.retain(|case, _| *case == kept));
    }
    let page = std::fs::read_to_string(write(&folder, &experiment, &state).unwrap()).unwrap();
    let markdown = std::fs::read_to_string(place.path().join("report.md")).unwrap();
    for text in [&page, &markdown] {
        assert!(text.contains("(no interval: one test case): an illustration, no conclusion.") && text.contains("no interval, one case"));
        for claim in ["excludes zero in favour", "better, one training", "worse, one training", "95 % interval +", "95 % interval -"] {
            assert!(!text.contains(claim), "{claim}");
        }
    }
    assert!(!page.contains("NaN"));
}

#[test]
fn one_point_shows_all_that_its_trainings_have_recorded() {
    let files = Files::of(synthetic::one_point(), Until::End);
    let page = files.read("report.html");
    for words in [
        "tr class=\"best\"",
        "SimTROT-W (simtrot_w) reaches",
        "simtrot_w is healthy",
        "AdamW (learning rate 0.001, weight decay 0.00003)",
        "Every case: mean Dice",
        "a synthetic warning",
        "57 tensors matched, 31 missing, 0 skipped",
        "checkpoints/last",
        "CC-BY-SA",
        "Synthetic CPU (cpu)",
        "Time of each training",
        "Cross entropy",
        "Gradient norm before clipping",
        "Singular values of the tokens",
    ] {
        assert!(page.contains(words), "{words}");
    }
    // Every number of every encoder, references included; and no RON but in the settings.
    let encoders = files.results.encoders();
    assert!(encoders.len() > 2, "{} encoders", encoders.len());
    for (name, pair) in encoders {
        for metric in files.results.token_metrics() {
            for value in crate::results::Tokens::ALL.into_iter().filter_map(|tokens| metric.of(tokens, pair)) {
                assert!(page.contains(&format!(">{}<", metric.text(Some(value)))), "{name}: {} {value}", metric.name);
            }
        }
    }
    let sentences = page.split("Every setting of the experiment").next().unwrap();
    assert!(!sentences.contains("adam_w\"") && !sentences.contains("&quot;adam_w"), "RON stands in a sentence");
    for name in ["simtrot_w", "no_rotate", "scratch", "scratch_adamw"] {
        assert!(files.read("summary.json").contains(&format!("\"{name}\": {{")), "{name}");
    }
}

#[test]
fn pictures_show_the_cases_of_the_dataset_and_name_what_is_missing() {
    let place = tempfile::tempdir().unwrap();
    let folder = ExperimentFolder::new(place.path());
    let experiment = synthetic::one_point();
    let state = synthetic::state(&experiment, Until::End, &folder);
    let dataset = Dataset::open(&DataSource::Demo).unwrap();
    for plan in experiment.trainings.iter().filter(|plan| plan.kind == StageKind::Finetune && plan.arm != "scratch_adamw") {
        for name in &synthetic::cases(&experiment) {
            let case = dataset.load(dataset.case(name).unwrap(), NonFinite::default()).unwrap();
            let path = folder.training(plan).predictions().join(format!("{name}.nii.gz"));
            nifti::write_labels(&path, &case.label.unwrap(), &case.image.header).unwrap();
        }
    }
    let page = std::fs::read_to_string(write(&folder, &experiment, &state).unwrap()).unwrap();
    // Three cases in three planes: the voxels once, and again for each of the three arms with segmentations.
    let count = |start: &str| page.matches(start).count();
    assert_eq!((count("<image "), count("<use "), count("No segmentation was kept.")), (9, 27, 9));
}
