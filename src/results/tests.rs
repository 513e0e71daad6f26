//! What an experiment concludes, from scores whose answer is known.

use std::path::Path;

use super::*;
use crate::config::ExperimentConfig;
use crate::experiment::synthetic::{self, Until};
use crate::experiment::{Cell, ExperimentFolder};
use crate::metrics::CaseScore;
use crate::protocol::{CollapsePair, Event, Record, RunState, Stage, StageKind};

/// The Dice of one case in one cell: arm, point of the grid, case.
type Scores<'a> = &'a dyn Fn(&str, &[usize], usize) -> f64;

const CASES: usize = 20;

const TEXT: &str = r#"(
    name: "s",
    base: run(()),
    arms: (
        pretrain: [(name: "simtrot_w")],
        finetune: [
            (name: "scratch"),
            (name: "simtrot_w", from: "simtrot_w"),
            (name: "scratch_adamw", set: ["finetune.optimiser={\"adam_w\":{\"lr\":1e-3,\"weight_decay\":3e-5}}"]),
        ],
    ),
    axes: [
        (name: "mask ratio", key: "pretrain.mask_ratio", values: ["0.25", "0.75"]),
        (name: "seed", key: "seed", values: ["0", "1", "2"]),
    ],
)"#;

fn experiment(text: &str) -> Experiment {
    Experiment::new(ExperimentConfig::from_ron(text, "s.ron", Path::new("")).unwrap(), crate::experiment::Contents::default()).unwrap()
}

/// A fine-tuning that is tested to its end.
fn tested(experiment: &Experiment, cell: &Cell, scores: Scores) -> RunState {
    let mut run = RunState::default();
    let mut send = |event: Event| run.apply(&Record { secs: 1.0, event });
    let stage = Stage { kind: StageKind::Test, arm: String::new() };
    send(Event::StageStarted { stage: stage.clone(), total: CASES, done: 0 });
    for number in 0..CASES {
        let dice = Some(scores(&experiment.arms()[cell.arm].name, &cell.point, number));
        let score = CaseScore {
            case: format!("case_{number:02}"),
            region: "organ".to_owned(),
            dice,
            hd95: dice.map(|dice| 10.0 * (1.0 - dice)),
            truth_voxels: 9,
            predicted_voxels: 9,
            missing_in_one: false,
        };
        send(Event::Scored { stage: stage.clone(), case: score.case.clone(), scores: vec![score] });
        send(Event::Progress { stage: stage.clone(), done: number + 1, total: CASES });
    }
    send(Event::StageFinished { stage, secs: 1.0 });
    run
}

fn results(experiment: &Experiment, scores: Scores) -> ExperimentResults {
    let mut runs: Vec<Option<std::sync::Arc<RunState>>> = vec![None; experiment.trainings.len()];
    for cell in &experiment.cells {
        runs[cell.finetuned].get_or_insert_with(|| std::sync::Arc::new(tested(experiment, cell, scores)));
    }
    ExperimentResults::new(experiment, &ExperimentState::of(runs))
}

/// A case's own difficulty, the same in every training.
fn hard(case: usize) -> f64 {
    0.1 * (case as f64 / CASES as f64)
}

fn of<'a>(results: &'a ExperimentResults, title: &str, role: Role) -> &'a Paired {
    let comparison = results.comparisons.iter().find(|own| results.groups[own.group].title == title && own.role == role);
    comparison.and_then(|own| own.dice.as_ref()).unwrap_or_else(|| panic!("{title} is compared: {:?}", results.comparisons))
}

#[test]
fn groups_are_means_over_repeats_and_controls_are_paired_by_case() {
    let experiment = experiment(TEXT);
    // Seeds 0, 1, 2 shift every arm alike: the difference to the control is the same in each.
    let results = results(&experiment, &|arm, point, case| {
        let gain = match arm {
            "simtrot_w" if point[0] == 1 => 0.04,
            "scratch_adamw" => 0.02,
            _ => 0.0,
        };
        0.7 + 0.01 * point[1] as f64 + hard(case) + gain
    });
    assert_eq!(
        (results.names.repeat, results.groups.len(), results.rows().count()),
        ("seed", 6, 4),
        "masks are nothing to a training from scratch"
    );
    let mean_case = (0..CASES).map(hard).sum::<f64>() / CASES as f64;
    let group = results.groups.iter().find(|group| group.title == "mask ratio 0.75, simtrot_w").unwrap();
    let dice = group.dice.unwrap();
    assert!((dice.mean - (0.75 + mean_case)).abs() < 1e-9 && (dice.deviation.unwrap() - 0.01).abs() < 1e-9, "{dice:?}");
    assert_eq!((group.cases, group.done()), (CASES, 3));
    let control = of(&results, &group.title, Role::Control);
    assert!(
        (control.interval.mean - 0.04).abs() < 1e-9 && control.interval.ends.is_some_and(|[low, high]| high - low < 1e-9),
        "cases are their own control"
    );
    assert_eq!((control.reading(), control.agreeing(), control.interval.cases), (Reading::Better, 3, CASES));
    let strongest = of(&results, &group.title, Role::Strongest);
    assert!((strongest.interval.mean - 0.02).abs() < 1e-9, "AdamW from scratch is the one to beat");
    assert_eq!(of(&results, "mask ratio 0.25, simtrot_w", Role::Control).reading(), Reading::Open, "no difference at all");
    let scratch = results.groups.iter().position(|group| group.name == "scratch").unwrap();
    assert_eq!(results.groups[scratch].level_names, ["any"]);
    let sentences = results.sentences().join("\n");
    assert!(
        sentences.contains(
            "mask ratio 0.75: SimTROT-W reaches a mean Dice of 0.798, training from scratch (scratch) 0.758: a difference of +0.040"
        ),
        "{sentences}"
    );
    assert!(sentences.contains("3 of 3 seeds agree): better, the interval excludes zero."), "{sentences}");
    assert!(sentences.contains("no difference shown"), "{sentences}");
    let summary = results.summary().unwrap();
    assert!(summary.contains("2 comparisons with the from-scratch control: 1 better, 1 without a difference shown."), "{summary}");
}

#[test]
fn over_the_folds_of_a_cross_validation_each_case_counts_once() {
    let folds = TEXT
        .replace("base: run(())", "base: run((data: (split: folds(folds: 5, fold: 0))))")
        .replace(r#"(name: "mask ratio", key: "pretrain.mask_ratio", values: ["0.25", "0.75"]),"#, "")
        .replace(
            r#"(name: "seed", key: "seed", values: ["0", "1", "2"])"#,
            r#"(name: "fold", key: "data.split.folds.fold", values: ["0", "1", "2", "3", "4"])"#,
        );
    let experiment = experiment(&folds);
    // Four folds of three cases and one of eight, which is the worst.
    let fold_of = |case: usize| (case / 3).min(4);
    let score = |case: usize| if fold_of(case) == 4 { 0.5 } else { 0.8 } + hard(case);
    let mut runs = vec![None; experiment.trainings.len()];
    for cell in &experiment.cells {
        let mut run = tested(&experiment, cell, &|_, _, case| score(case));
        let own = |case: &String| (0..CASES).any(|number| *case == format!("case_{number:02}") && fold_of(number) == cell.point[0]);
        run.stages.iter_mut().for_each(|stage| stage.scores.retain(|case, _| own(case)));
        runs[cell.finetuned] = Some(std::sync::Arc::new(run));
    }
    let results = ExperimentResults::new(&experiment, &ExperimentState::of(runs));
    assert_eq!(results.names.repeat, "fold");
    let group = results.groups.iter().find(|group| group.title == "scratch").unwrap();
    assert_eq!((group.done(), group.cases, group.repeats[4].scores.len()), (5, CASES, 8));
    let dice = group.dice.unwrap();
    let mean = (0..CASES).map(score).sum::<f64>() / CASES as f64;
    let of_folds = group.repeats.iter().filter_map(|repeat| repeat.dice).sum::<f64>() / 5.0;
    assert!((dice.mean - mean).abs() < 1e-12 && (of_folds - mean).abs() > 0.03, "{dice:?} over cases, {of_folds} over folds");
    let [low, high] = dice.interval.unwrap();
    assert!(low < mean - 0.03 && mean + 0.03 < high, "resampled are the {CASES} cases, not the folds: {dice:?}");
    assert_eq!(Summary::new(&results).test["scratch"].cases, CASES);
}

#[test]
fn no_winner_where_seeds_disagree_or_there_is_but_one() {
    // Every case gains, but one seed of three loses.
    let shown = |text: &str| {
        let experiment = experiment(text);
        let results = results(&experiment, &|arm, point, case| {
            let gain = if point[1] == 2 { -0.01 } else { 0.05 };
            0.7 + hard(case) + if arm == "simtrot_w" { gain } else { 0.0 }
        });
        (of(&results, "mask ratio 0.25, simtrot_w", Role::Control).clone(), results.sentences().join("\n"), results.caveat())
    };
    let (paired, sentences, _) = shown(TEXT);
    assert!(paired.interval.excludes_zero());
    assert_eq!((paired.reading(), paired.agreeing()), (Reading::Split, 2));
    assert!(
        sentences.contains("2 of 3 seeds agree): the interval excludes zero, but the seeds disagree, so that nothing is concluded"),
        "{sentences}"
    );
    let (paired, sentences, caveat) = shown(&TEXT.replace(r#"["0", "1", "2"]"#, r#"["0"]"#));
    assert!(paired.interval.excludes_zero());
    assert_eq!(paired.reading(), Reading::Once);
    assert!(
        sentences.contains("One seed: an illustration, no conclusion.") && caveat.contains("an illustration, not evidence"),
        "{sentences}"
    );
}

#[test]
fn an_interval_that_includes_zero_shows_no_difference() {
    let experiment = experiment(TEXT);
    // Half of the cases gain what the other half loses, in every seed alike.
    let results = results(&experiment, &|arm, _, case| {
        let gain = if case % 2 == 0 { 0.05 } else { -0.045 };
        0.7 + hard(case) + if arm == "simtrot_w" { gain } else { 0.0 }
    });
    let paired = of(&results, "mask ratio 0.75, simtrot_w", Role::Control);
    assert!(paired.interval.mean > 0.0 && paired.interval.ends.is_some_and(|[low, high]| low < 0.0 && high > 0.0));
    assert_eq!(paired.reading(), Reading::Open);
}

#[test]
fn the_strongest_from_scratch_had_the_same_labels_and_may_stand_elsewhere() {
    let text = TEXT.replace(
        r#"(name: "mask ratio", key: "pretrain.mask_ratio", values: ["0.25", "0.75"]),"#,
        r#"(name: "labels", key: "data.label_fraction", values: ["0.5", "1"]),
           (name: "encoder", levels: [(name: "as ever"), (name: "slow", set: ["finetune.encoder_lr=0.1"])]),"#,
    );
    let experiment = experiment(&text);
    // More labels help most, a slow encoder harms what starts from nothing.
    let results = results(&experiment, &|arm, point, case| {
        let slow = if arm.starts_with("scratch") && point[1] == 1 { -0.1 } else { 0.0 };
        0.6 + 0.1 * point[0] as f64 + slow + hard(case)
    });
    let title = "labels 0.5, encoder slow, simtrot_w";
    assert_eq!(of(&results, title, Role::Control).reading(), Reading::Better, "the control is as slow");
    let strongest = of(&results, title, Role::Strongest);
    assert!(strongest.interval.mean.abs() < 1e-9, "an encoder at full speed with as many labels: {strongest:?}");
    let sentences = results.sentences().join("\n");
    assert!(sentences.contains(", training from scratch (labels 0.5, encoder as ever, scratch"), "{sentences}");
}

#[test]
fn of_an_unfinished_cell_nothing_is_counted() {
    let experiment = synthetic::experiment();
    let folder = tempfile::tempdir().unwrap();
    let state = synthetic::state(&experiment, Until::Midway, &ExperimentFolder::new(folder.path()));
    let results = ExperimentResults::new(&experiment, &state);
    let done: usize = results.rows().map(|(_, group)| group.done()).sum();
    let tested = experiment.cells.iter().filter(|cell| state.progress(&experiment, cell.finetuned) == Progress::Done).count();
    assert_eq!(done, tested);
    assert!(results.groups.iter().flat_map(|group| &group.repeats).all(|repeat| repeat.done != repeat.scores.is_empty()));
    let missing = results.missing().join(" ");
    assert!(missing.contains("Not complete") && results.failures().count() == 1, "{missing}");
    let nothing = ExperimentResults::new(&experiment, &ExperimentState::of(vec![None; experiment.trainings.len()]));
    assert_eq!(nothing.sentences(), ["There is no Dice to report: no test case was scored yet."]);
    assert!(nothing.summary().is_none());
}

#[test]
fn pretrainings_are_named_by_what_tells_them_apart() {
    let experiment = synthetic::large();
    let folder = tempfile::tempdir().unwrap();
    let state = synthetic::state(&experiment, Until::End, &ExperimentFolder::new(folder.path()));
    let results = ExperimentResults::new(&experiment, &state);
    let names: Vec<String> = results.pretrainings.iter().map(|own| own.name.clone()).collect();
    assert_eq!(names, ["mask ratio 0.25", "mask ratio 0.5", "mask ratio 0.75", "mask ratio 0.85"], "labels do not matter to pre-training");
    assert_eq!(results.evidence(), "24 test cases, 3 seeds");
    let collapse = results.collapse_sentences().join(" ");
    assert!(collapse.contains("mask ratio 0.25 is healthy. ") && collapse.contains("(untrained 0.100)"), "{collapse}");
}

/// One point at its end, with a change made to each training's record.
fn one_point(change: impl Fn(&str, &mut RunState)) -> ExperimentResults {
    let experiment = synthetic::one_point();
    let folder = tempfile::tempdir().unwrap();
    let mut state = synthetic::state(&experiment, Until::End, &ExperimentFolder::new(folder.path()));
    for (plan, run) in experiment.trainings.iter().zip(&mut state.runs) {
        change(&plan.arm, std::sync::Arc::make_mut(run.as_mut().unwrap()));
    }
    ExperimentResults::new(&experiment, &state)
}

/// The same with every Dice of an arm where it is wanted.
fn with_dice(wanted: impl Fn(&str, f64) -> f64) -> ExperimentResults {
    one_point(|arm, run| {
        for score in run.stages.iter_mut().flat_map(|stage| stage.scores.values_mut()).flatten() {
            score.dice = score.dice.map(|dice| wanted(arm, dice));
        }
    })
}

#[test]
fn the_sentences_of_one_point_follow_the_numbers_whichever_way_they_fall() {
    let helped = one_point(|_, _| {});
    let text = [helped.sentences(), helped.collapse_sentences(), vec![helped.caveat(), helped.status()]].concat().join("\n");
    for words in [
        "SimTROT-W (simtrot_w) reaches a mean Dice of",
        "in favour of SimTROT-W (simtrot_w). One seed: an illustration, no conclusion.",
        "The best arm is scratch_adamw",
        "trained from scratch, without any pre-training, with fine-tuning optimiser: AdamW (learning rate 0.001, weight decay 0.00003)",
        "no_rotate is collapsed",
        "simtrot_w is healthy",
        "One seed and 12 test cases at this size are an illustration, not evidence",
        "pre-trained by SimTROT-W; 6 of 6 trainings done",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let of = |dice: fn(&str) -> f64| with_dice(move |arm, _| dice(arm));
    let harmed = of(|arm| if arm.starts_with("scratch") { 0.8 } else { 0.7 });
    assert!(harmed.sentences().join("\n").contains("in favour of training from scratch (scratch)"), "{:?}", harmed.sentences());
    // Nobody is the best of those that found nothing, or are alike.
    for dice in [|arm: &str| if arm == "scratch" { 0.03 } else { 0.01 }, |_: &str| 0.75] {
        let results = of(dice);
        assert!(results.best().is_none() && !results.sentences().join("\n").contains("best arm"), "{:?}", results.sentences());
    }
    let equal = of(|_| 0.75);
    assert!(equal.sentences()[0].contains("the interval includes zero, no difference shown"), "{:?}", equal.sentences());
}

#[test]
fn one_test_case_has_no_interval_and_shows_nothing() {
    let shown = |one_case: bool| {
        let kept = synthetic::cases(&synthetic::one_point())[0].clone();
        one_point(|arm, run| {
            for stage in &mut run.stages {
                stage.scores.retain(|case, _| !one_case || *case == kept);
                let dice = if arm.starts_with("scratch") { 0.7 } else { 0.8 };
                stage.scores.values_mut().flatten().for_each(|score| score.dice = score.dice.map(|_| dice));
            }
        })
    };
    assert!(shown(false).sentences()[0].contains("excludes zero"));
    let results = shown(true);
    for own in results.shown() {
        for paired in [&own.dice, &own.hd95].into_iter().flatten() {
            assert_eq!((paired.reading(), paired.words(), paired.interval.ends), (Reading::OneCase, "no interval, one case", None));
        }
    }
    let sentence = &results.sentences()[0];
    assert!(sentence.ends_with("a difference of +0.100 (no interval: one test case): an illustration, no conclusion."), "{sentence}");
    assert!(results.caveat().contains("There is no interval: one case") && !results.caveat().contains("cover"), "{}", results.caveat());
    let table = results.comparisons_table();
    let cell = table.rows[0].iter().find(|cell| cell.text == "+0.100").expect("the difference of Dice");
    assert_eq!((cell.note.as_str(), &cell.fields[1..3]), ("no interval: one test case", &[String::new(), String::new()][..]));
    let groups = results.groups_table();
    assert!(groups.rows.iter().all(|row| row.iter().any(|cell| cell.note == "no interval: one test case")));
}

#[test]
fn why_collapse_was_not_measured_is_said() {
    let unmeasured = |notice: Option<&str>| {
        one_point(|_, run| {
            run.stages.iter_mut().for_each(|stage| stage.probes = Default::default());
            run.baselines.clear();
            let told = notice.map(|text| Event::Notice { severity: crate::protocol::Severity::Warning, text: text.to_owned() });
            told.into_iter().for_each(|event| run.apply(&Record { secs: 9.0, event }));
        })
        .collapse_sentences()
    };
    assert_eq!(unmeasured(None), ["Collapse was not measured yet."]);
    let told = unmeasured(Some("collapse is not measured: fewer than two cases are held out"));
    assert_eq!(told, ["Collapse is not measured: fewer than two cases are held out."]);
    let nothing = ExperimentResults::default().collapse_sentences();
    assert_eq!(nothing, ["Collapse is not measured: nothing is pre-trained here."]);
}

#[test]
fn a_difference_has_the_digits_that_its_claim_needs() {
    let shifted = |shift: f64| with_dice(move |arm, _| if arm == "simtrot_w" { 0.7 + shift } else { 0.7 }).sentences()[0].clone();
    let sentence = shifted(0.0002);
    assert!(
        sentence.contains("a difference of +0.0002 (95 % interval +0.0002 to +0.0002") && sentence.contains("excludes zero"),
        "{sentence}"
    );
    assert!(!shifted(0.000_000_1).contains("excludes zero"));
}

#[test]
fn distances_have_the_unit_that_they_were_measured_in() {
    let measured = |of: &str| {
        let text = TEXT.replace("base: run(())", &format!("base: run(({of}))"));
        results(&experiment(&text), &|_, _, case| 0.7 + hard(case))
    };
    for (settings, unit) in [("", "mm"), ("evaluate: (distance_unit: voxels)", "voxels")] {
        let results = measured(settings);
        assert_eq!(results.metric_title(Metric::Hd95), format!("HD95, {unit}"));
        let units: Vec<_> = Summary::new(&results).test.values().map(|own| own.unit.word()).collect();
        assert_eq!(units, vec![unit; units.len().max(1)]);
    }
    let mixed = TEXT.replace("(name: \"scratch\")", "(name: \"scratch\", set: [\"evaluate.distance_unit=voxels\"])");
    let results = results(&experiment(&mixed), &|_, _, case| 0.7 + hard(case));
    let texts: Vec<String> = results.rows().map(|(_, group)| results.mean_text(group, Metric::Hd95)).collect();
    assert_eq!(results.metric_title(Metric::Hd95), "HD95");
    assert!(texts.iter().any(|text| text.ends_with(" voxels")) && texts.iter().any(|text| text.ends_with(" mm")), "{texts:?}");
}

#[test]
fn encoders_are_compared_by_the_tokens_that_all_of_them_have() {
    let results = one_point(|_, _| {});
    let names: Vec<String> = results.encoders().into_iter().map(|(name, _)| name).collect();
    assert_eq!((results.tokens, names.join(" ")), (Tokens::Projected, "untrained constant noise simtrot_w no_rotate".to_owned()));
    let without = one_point(|arm, run| {
        let probed = run.stages.iter().find(|stage| stage.last_probe().is_some()).cloned();
        if let Some(probed) = probed.filter(|_| arm == "no_rotate") {
            let record = |step, pair: CollapsePair| Record {
                secs: 9.0,
                event: Event::Probe { stage: probed.stage.clone(), step, collapse: Box::new(CollapsePair { projected: None, ..pair }) },
            };
            let last = record(401, probed.last_probe().unwrap().clone());
            run.apply(&last);
        }
    });
    assert_eq!(without.tokens, Tokens::Encoder);
    assert_eq!(without.encoders_table(Tokens::Projected).rows.len() + 1, without.encoders_table(Tokens::Encoder).rows.len());
}

#[test]
fn a_number_is_held_against_dice_over_at_least_five_pretrainings_fine_tuned_alike() {
    let text = TEXT.replace(r#"["0.25", "0.75"]"#, r#"["0.1", "0.2", "0.3", "0.4", "0.5", "0.6"]"#).replace(
        "(name: \"seed\"",
        "(name: \"labels\", key: \"data.label_fraction\", values: [\"0.5\", \"1\"], shares_pretraining: true), (name: \"seed\"",
    );
    let experiment = experiment(&text);
    let mut runs = vec![None; experiment.trainings.len()];
    for cell in &experiment.cells {
        // Dice grows with the mask ratio, but for the last in two of three seeds, with half of the labels; with all of them it is what it is.
        let score = |arm: &str, point: &[usize], case: usize| match (arm, point[0], point[1], point[2]) {
            ("simtrot_w", 5, 0, 0 | 2) => 0.5 + hard(case),
            ("simtrot_w", mask, 0, _) => 0.7 + 0.01 * mask as f64 + hard(case),
            _ => 0.7 + hard(case),
        };
        runs[cell.finetuned].get_or_insert_with(|| std::sync::Arc::new(tested(&experiment, cell, &score)));
        let Some(start) = cell.pretrained else { continue };
        let mask = cell.point[0] as f64;
        let encoder = Collapse { eta2_turned: Some(0.1 * mask), anatomy_lock: Some(1.0 / (1.0 + mask)), ..Default::default() };
        let stage = Stage { kind: StageKind::Pretrain, arm: String::new() };
        let mut run = RunState::default();
        let collapse = Box::new(CollapsePair { projected: Some(encoder.clone()), encoder });
        for event in [Event::StageStarted { stage: stage.clone(), total: 4, done: 0 }, Event::Probe { stage, step: 4, collapse }] {
            run.apply(&Record { secs: 1.0, event });
        }
        runs[start] = Some(std::sync::Arc::new(run));
    }
    let table = ExperimentResults::new(&experiment, &ExperimentState::of(runs)).foretelling_table();
    let csv = table.csv();
    let mut reader = csv::Reader::from_reader(csv.as_slice());
    let head = reader.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let field = |row: usize, name: &str| rows[row].get(head.iter().position(|own| own == name).unwrap()).unwrap();
    assert_eq!(rows.len(), 2, "a row for each number of labels: {rows:?}");
    assert_eq!(["mask ratio", "labels", "control", "pretrainings"].map(|name| field(0, name)), ["any", "0.5", "scratch", "6"]);
    // Ranks 1 2 3 4 5 6 against 2 3 4 5 6 1: 1 - 6 * 30 / 210.
    let near = |name: &str, wanted: f64| (field(0, name).parse::<f64>().unwrap() - wanted).abs() < 1e-12;
    assert!(near("eta2_turned", 1.0 / 7.0) && near("anatomy_lock", -1.0 / 7.0), "{rows:?}");
    assert!(near("chance", 1.96 / 5.0_f64.sqrt()), "{rows:?}");
    assert!(near("repeats", (1.0 / 7.0 + 1.0 + 1.0 / 7.0) / 3.0), "{rows:?}");
    assert_eq!(field(0, "gap"), "", "not measured");
    assert_eq!(["labels", "eta2_turned", "repeats"].map(|name| field(1, name)), ["1", "", ""], "no order among equals");
    let few = self::experiment(TEXT);
    assert!(results(&few, &|_, _, case| hard(case)).foretelling_table().rows.is_empty(), "of two pre-trainings nothing is said");
}
