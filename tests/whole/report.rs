//! The report and the terminal, on a made-up run told as events.

mod markup;
mod synthetic;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::sync_channel;

use simtrot::config::{DataSource, DistanceUnit, ExperimentConfig, RunConfig};
use simtrot::experiment::{Experiment, ExperimentState};
use simtrot::protocol::{ArmScores, Event, Outcome, Record, RunFolder, RunState, StageKind, Summary};
use simtrot::terminal;
use simtrot::volume::{Dataset, demo, nifti};
use simtrot::worker::RunHandle;
use synthetic::{ARMS, HOSTILE};

/// What a page may not hold: each would reach outside it, or run.
const FOREIGN: [&str; 5] = ["<script", "<link", "<iframe", "@import", "url("];

/// Writes a report into a new folder and reads it.
fn page(config: &RunConfig, state: &RunState) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = simtrot::report::old::write(&RunFolder::new(folder.path()), config, state).unwrap();
    std::fs::read_to_string(path).unwrap()
}

/// What the terminal says of a run's arms, each a training of an experiment of one point.
fn summary(config: &RunConfig, state: &RunState) -> String {
    let experiment = Experiment::outline(ExperimentConfig::of_run(config.clone())).unwrap();
    let runs = experiment.trainings.iter().map(|plan| {
        let mut own = state.clone();
        let kinds: &[StageKind] = if plan.kind == StageKind::Pretrain { &[plan.kind] } else { &[plan.kind, StageKind::Test] };
        own.stages.retain(|stage| stage.stage.arm == plan.arm && kinds.contains(&stage.stage.kind));
        (!own.stages.is_empty()).then(|| std::sync::Arc::new(own))
    });
    let state = ExperimentState::of(runs.collect());
    terminal::experiment_summary(&experiment, &state, Path::new("runs/demo/report.html"))
}

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

#[test]
fn the_report_prints_every_number_of_the_run() {
    let state = synthetic::fold(&synthetic::records(&made_up_cases(), &ARMS));
    let page = page(&synthetic::config(), &state);
    for stage in state.stages_of(StageKind::Test) {
        let means = ArmScores::new(&stage.scores, DistanceUnit::Mm);
        let shares = means.dice.values().copied().chain(means.dice_mean).map(|value| format!("{value:.3}"));
        let distances = means.hd95_mean.map(|value| format!("{value:.2}"));
        for number in shares.chain(distances) {
            assert!(page.contains(&number), "{}: {number} is missing", stage.stage);
        }
    }
    let pretrained = state.stages_of(StageKind::Pretrain).filter_map(|stage| stage.last_probe());
    for pair in state.baselines.values().chain(pretrained) {
        for collapse in [pair.seen(), &pair.encoder] {
            let shares = [
                collapse.eta2,
                collapse.eta2_turned,
                collapse.gap,
                collapse.index_lock,
                collapse.anatomy_lock,
                collapse.position_probe_r2,
                collapse.content_probe_accuracy,
            ];
            let probes = collapse.label_probe_r2.values().chain(collapse.label_probe_r2_position.values()).copied();
            let ranks = [collapse.rankme, collapse.residual_rankme].into_iter().flatten().map(|value| format!("{value:.1}"));
            for number in shares.into_iter().flatten().chain(probes).map(|value| format!("{value:.3}")).chain(ranks) {
                assert!(page.contains(&format!(">{number}<")), "{number} is missing");
            }
        }
    }
}

#[test]
fn the_report_stands_alone_and_is_well_formed() {
    let state = synthetic::fold(&synthetic::records(&made_up_cases(), &ARMS));
    let page = page(&synthetic::config(), &state);
    assert!(stands_alone(&page) > 1000);
    assert!(page.contains("&lt;script&gt;alert(") && page.contains("&amp;&quot;case&quot;"), "the hostile case is not shown, escaped");
}

#[test]
fn the_headline_follows_the_numbers_whichever_way_they_fall() {
    let cases = made_up_cases();
    let told = |arms: &[(&str, Option<&str>, f64)]| {
        let state = synthetic::fold(&synthetic::records(&cases, arms));
        summary(&synthetic::config(), &state).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let helped = told(&ARMS);
    assert!(helped.contains("excludes zero in favour of simtrot_w"), "{helped}");
    assert!(
        helped.contains("The best arm is scratch_adamw") && helped.contains("trained from scratch, without any pre-training"),
        "{helped}"
    );
    assert!(helped.contains("illustration, not evidence"), "{helped}");
    let harmed = told(&[("scratch", None, 0.8), ("simtrot_w", Some("simtrot_w"), 0.7)]);
    assert!(harmed.contains("excludes zero in favour of scratch") && harmed.contains("The best arm is scratch,"), "{harmed}");
    let equal = told(&[("scratch", None, 0.75), ("simtrot_w", Some("simtrot_w"), 0.75)]);
    assert!(equal.contains("includes zero"), "{equal}");
    assert!(helped.contains("no_rotate is collapsed") && helped.contains("simtrot_w is healthy"), "{helped}");
}

#[test]
fn no_arm_is_called_the_best_of_those_that_found_nothing_or_are_alike() {
    let told = |arms: &[(&str, Option<&str>, f64)]| {
        let state = synthetic::fold(&synthetic::records(&made_up_cases(), arms));
        (summary(&synthetic::config(), &state), page(&synthetic::config(), &state))
    };
    let nothing = told(&[("scratch", None, 0.03), ("simtrot_w", Some("simtrot_w"), 0.01), ("scratch_adamw", None, 0.04)]);
    let alike = told(&[("scratch", None, 0.75), ("simtrot_w", Some("simtrot_w"), 0.75)]);
    for (summary, page) in [nothing, alike] {
        assert!(!summary.contains("best arm") && !page.contains("best arm") && !page.contains("class=\"best\""), "{summary}");
    }
    let (summary, page) = told(&ARMS);
    assert!(summary.contains("The best arm is") && page.contains("class=\"best\""), "{summary}");
}

#[test]
fn a_difference_has_the_digits_that_its_claim_needs() {
    // The same scores but for a shift of every case: the interval is as narrow as the shift is even.
    let told = |shift: f64| {
        let mut records = synthetic::records(&made_up_cases(), &[("scratch", None, 0.7), ("simtrot_w", Some("simtrot_w"), 0.7)]);
        for record in &mut records {
            if let Event::Scored { stage, scores, .. } = &mut record.event
                && stage.arm == "simtrot_w"
            {
                scores.iter_mut().for_each(|score| score.dice = score.dice.map(|dice| dice + shift));
            }
        }
        let state = synthetic::fold(&records);
        let summary = summary(&synthetic::config(), &state).split_whitespace().collect::<Vec<_>>().join(" ");
        (summary, page(&synthetic::config(), &state))
    };
    let (summary, page) = told(0.0002);
    assert!(
        summary.contains("a difference of +0.0002, 95 % interval +0.0002 to +0.0002") && summary.contains("excludes zero"),
        "{summary}"
    );
    assert!(page.contains("+0.0002") && page.contains("better"));
    let (summary, page) = told(0.000_000_1);
    assert!(!summary.contains("excludes zero") && !page.contains("<td>better</td>"), "{summary}");
}

/// A made-up run whose distances are measured in voxels.
fn in_voxels() -> (RunConfig, RunState) {
    let mut config = synthetic::config();
    config.evaluate.distance_unit = DistanceUnit::Voxels;
    (config, synthetic::fold(&synthetic::records(&made_up_cases(), &ARMS)))
}

#[test]
fn distances_in_voxels_are_nowhere_called_millimetres() {
    let (config, state) = in_voxels();
    let page = page(&config, &state);
    let scores = &page[page.find("id=\"scores\"").unwrap()..];
    let scores = &scores[..scores.find("</section>").unwrap()];
    let text = summary(&config, &state);
    for text in [scores, &text] {
        assert!(text.contains("voxels") && !text.contains(" mm"), "{text}");
    }
    let summary = serde_json::to_value(Summary::new(&config, &state)).unwrap();
    for (name, arm) in summary["test"].as_object().unwrap() {
        assert!(arm["unit"] == "voxels" && arm["hd95_mean"].is_f64() && arm["hd95"]["Anterior"].is_f64(), "{name}: {arm}");
        assert!(arm.as_object().unwrap().keys().all(|key| !key.contains("mm")), "{name}: {arm}");
    }
    assert_eq!(serde_json::to_value(Summary::new(&synthetic::config(), &state)).unwrap()["test"]["scratch"]["unit"], "mm");
}

#[test]
fn arms_that_measure_in_other_units_have_each_its_own() {
    let mut config = synthetic::config();
    config.arms.finetune[0].set = vec!["evaluate.distance_unit=voxels".to_owned()];
    let state = synthetic::fold(&synthetic::records(&made_up_cases(), &ARMS));
    let numbers = Summary::new(&config, &state);
    assert_eq!((numbers.test["scratch"].unit, numbers.test["simtrot_w"].unit), (DistanceUnit::Voxels, DistanceUnit::Mm));
    let summary = summary(&config, &state);
    let line = |arm: &str| summary.lines().find(|line| line.starts_with(arm) && line.contains("12")).unwrap_or_default().to_owned();
    assert!(line("scratch ").contains(" voxels ") && line("simtrot_w ").contains(" mm "), "{summary}");
}

#[test]
fn encoders_are_compared_where_all_of_them_have_tokens() {
    let cases = made_up_cases();
    let told = |forget: bool| {
        let mut records = synthetic::records(&cases, &ARMS);
        for record in &mut records {
            match &mut record.event {
                Event::Probe { stage, collapse, .. } if forget && stage.arm == "no_rotate" => collapse.projected = None,
                _ => {}
            }
        }
        let state = synthetic::fold(&records);
        (summary(&synthetic::config(), &state), page(&synthetic::config(), &state))
    };
    let (summary, report) = told(false);
    assert!(summary.contains("projected tokens of") && report.contains("nnFormer, pre-trained by SimTROT-W, on"), "{summary}");
    let (summary, report) = told(true);
    // The made-up encoder tokens stand at 0.8 of the projected ones' way from healthy to collapsed.
    let turned = |level: f64| format!("{:.3}", synthetic::collapse(level).eta2_turned.unwrap());
    let last = 0.25 * 0.8;
    assert!(summary.contains("encoder tokens of") && summary.contains(&turned(last)), "{summary}");
    assert_eq!(report.matches("<tr><th>Measure</th>").count(), 2);
    assert!(report.contains("encoder tokens") && !report.contains("projected tokens"));
}

#[test]
fn a_run_without_parts_says_so() {
    let failure = Outcome::Failed { message: "cannot read <x>: no such file; check data.source".into(), bad_input: true };
    let state = synthetic::fold(&[Record { secs: 2.0, event: Event::Finished { outcome: failure } }]);
    let failed = page(&RunConfig::default(), &state);
    markup::tags(&failed);
    for sentence in [
        "Failed after 2.0 s: cannot read &lt;x&gt;: no such file; check data.source",
        "the run did not fine-tune",
        "No test case was scored",
        "were not probed",
        "No optimiser step was taken",
        "split.json could not be read",
    ] {
        assert!(failed.contains(sentence), "{sentence:?} is missing");
    }
    let mut records = synthetic::records(&made_up_cases(), &[]);
    records.pop();
    let unfinished = page(&synthetic::config(), &synthetic::fold(&records));
    markup::tags(&unfinished);
    assert!(unfinished.contains("is not finished") && unfinished.contains("simtrot_w is healthy"));
}

#[test]
fn pictures_show_the_cases_of_the_dataset_and_name_what_is_missing() {
    let cases = demo::split().test;
    let state = synthetic::fold(&synthetic::records(&cases, &ARMS));
    let root = tempfile::tempdir().unwrap();
    let folder = RunFolder::new(root.path());
    let dataset = Dataset::open(&DataSource::Demo).unwrap();
    for arm in ["scratch", "simtrot_w"] {
        for name in &cases {
            let case = dataset.load(dataset.case(name).unwrap(), Default::default()).unwrap();
            let prediction = case.label.unwrap();
            nifti::write_labels(&folder.predictions(arm).join(format!("{name}.nii.gz")), &prediction, &case.image.header).unwrap();
        }
    }
    let page = std::fs::read_to_string(simtrot::report::old::write(&folder, &synthetic::config(), &state).unwrap()).unwrap();
    let tags = markup::tags(&page);
    let count = |name: &str| tags.iter().filter(|tag| tag.name == name).count();
    // Three cases in three planes: the voxels once, again for each of the two arms with predictions.
    assert_eq!((count("image"), count("use")), (9, 18));
    assert_eq!(page.matches("No segmentation was kept.").count(), 18);
    assert!(page.contains("CC-BY-SA"), "the demo's licence is missing");
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

/// What the terminal shows of a run: plain lines, then the summary.
fn told(records: Vec<Record>) -> (String, String) {
    let expected = synthetic::fold(&records);
    let mut out = Vec::new();
    let (outcome, state) = terminal::follow_plainly(worker(records), false, &mut out);
    assert_eq!((outcome, &state), (Outcome::Completed, &expected));
    let summary = summary(&synthetic::config(), &state);
    (String::from_utf8(out).unwrap(), summary)
}

#[test]
fn the_terminal_tells_a_whole_comparison_in_sixty_plain_lines() {
    let records = synthetic::records(&made_up_cases(), &ARMS);
    for slower in [1.0, 6.0] {
        let records = records.iter().map(|record| Record { secs: slower * record.secs, ..record.clone() }).collect();
        let (lines, summary) = told(records);
        let all = format!("{lines}{summary}");
        println!("{all}");
        assert!(all.lines().count() <= 60, "{} lines", all.lines().count());
        assert!(!all.chars().any(|c| c.is_control() && c != '\n'), "control characters");
        assert!(all.lines().all(|line| line.chars().count() <= 100), "wider than 100 columns");
        for text in ["warning: a made-up warning", "pretrain simtrot_w: 300 steps", "test scratch: 12 cases", "done in"] {
            assert!(lines.contains(text), "{text:?} is missing");
        }
        assert!(lines.lines().any(|line| line.contains(" %)  loss ") && line.ends_with(" left")), "no progress is told");
        assert!(summary.contains("Report: runs/demo/report.html"));
        for (name, _, _) in ARMS {
            assert!(summary.lines().any(|line| line.starts_with(name)), "{name} has no row");
        }
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
