//! What it takes to judge and to repeat an experiment: settings, environment, notices, splits, checkpoints, transfers, definitions, sources.
//! What trainings have in common is shown once.

use std::path::PathBuf;

use maud::{Markup, html};

use super::table::{self, escaped};
use super::view::View;
use crate::config::DataSource;
use crate::protocol::{Environment, SPLIT, Severity, StageKind, TransferReport};
use crate::results::table::{Cell, Column, Columns};
use crate::volume::Split;
use crate::wording::{count, list};

/// Different splits or transfers on a page; more stand in the trainings' folders.
const MOST: usize = 12;
/// Trainings that are named; more are counted.
const MOST_NAMED: usize = 6;

/// Who wrote the method down.
const METHOD: &str = "Method: Hu, Zeng, Wu, Li, Shi: Enhancing 3D Transformer Segmentation Model for Medical Image with Token-level \
     Representation Learning (SimTROT), arXiv:2408.05889.";
/// Where the demo's images come from.
const DEMO: &str = "Images and labels: Task04_Hippocampus of the Medical Segmentation Decathlon (Antonelli et al., arXiv:2106.05735; Simpson et \
     al., arXiv:1902.09063), Vanderbilt University Medical Center, licence CC-BY-SA 4.0. The slices above are derived from it and stand \
     under the same licence.";

/// What several trainings have in common, with their names.
type Shared<T> = Vec<(T, Vec<String>)>;

/// The whole section.
pub(super) fn section(view: &View) -> Markup {
    html! {
        section id="settings" {
            h2 { "Settings and sources" }
            (environments(view))
            (notices(view))
            (splits(view))
            (checkpoints(view))
            (transfers(view))
            h3 { "Settings" }
            p { "Each training has a folder of its own, with every value in its " code { "config.ron" } "." }
            details { summary { "Every setting of the experiment" } pre { (view.experiment.config.to_ron()) } }
            (definitions(view))
            h3 { "Sources" }
            ul { @for source in sources(view) { li { (source) } } }
        }
    }
}

/// Equal values once, each with those that have it, in the order in which they came.
fn shared<T: PartialEq>(values: impl Iterator<Item = (String, T)>) -> Shared<T> {
    let mut found: Shared<T> = Vec::new();
    for (name, value) in values {
        match found.iter_mut().find(|(known, _)| *known == value) {
            Some((_, names)) => names.push(name),
            None => found.push((value, vec![name])),
        }
    }
    found
}

/// A few trainings by name; of many the first, and how many there are.
fn named(names: &[String]) -> String {
    if names.len() > MOST_NAMED { format!("{} and others, {}", names[0], count(names.len(), "training")) } else { list(names) }
}

fn environments(view: &View) -> Markup {
    let all = shared(view.runs().map(|(training, run)| {
        // When each began is no difference of the machine.
        (view.title(training).to_owned(), Environment { started: String::new(), ..run.environment.clone() })
    }));
    let begun = view.runs().map(|(_, run)| &run.environment.started).filter(|started| !started.is_empty()).min();
    html! {
        h3 { "Environment" }
        @if all.is_empty() { p.absent { "Nothing was recorded yet." } }
        @for (environment, names) in &all {
            @if all.len() > 1 { h4 { (named(names)) } }
            dl.facts { @for (name, value) in facts(environment) { dt { (name) } dd { (value) } } }
        }
        @if let Some(begun) = begun { p.note { "Begun " (begun) "." } }
    }
}

fn facts(environment: &Environment) -> [(&'static str, String); 5] {
    let Environment { version, commit, training: _, device, device_name, beside, driver, backend, threads, system, started: _ } =
        environment;
    [
        ("simtrot", format!("{version}, commit {commit}")),
        ("Device", format!("{device_name} ({device}){}", beside.iter().map(|name| format!(", {name}")).collect::<String>())),
        ("Backend", if driver.is_empty() { backend.clone() } else { format!("{backend}, driver {driver}") }),
        ("CPU threads", threads.to_string()),
        ("System", system.clone()),
    ]
}

fn notices(view: &View) -> Markup {
    let all =
        view.runs().flat_map(|(training, run)| run.notices.iter().map(move |notice| (view.title(training).to_owned(), notice.clone())));
    let all = shared(all);
    let left_out: usize = view.runs().map(|(_, run)| run.notices_left_out).sum();
    let trainings = view.runs().count();
    html! {
        h3 { "Notices" }
        @if all.is_empty() { p { "None." } }
        ul.notices { @for ((severity, text), names) in &all {
            li.warning[*severity == Severity::Warning] {
                @if *severity == Severity::Warning { strong { "Warning: " } }
                (text)
                @if names.len() < trainings { small { (named(names)) } }
            }
        } }
        @if left_out > 0 { p { (count(left_out, "notice")) " in between stand in the trainings' events.jsonl alone." } }
    }
}

fn splits(view: &View) -> Markup {
    let read = |training: usize| -> Result<Split, String> {
        let text = std::fs::read_to_string(view.training(training).root().join(SPLIT)).map_err(|error| error.to_string())?;
        serde_json::from_str(&text).map_err(|error| error.to_string())
    };
    let all = shared(view.runs().map(|(training, _)| (view.title(training).to_owned(), read(training))));
    html! {
        h3 { "Split" }
        @if all.is_empty() { p.absent { "No training has begun, so that no split was drawn." } }
        @for (split, names) in all.iter().take(MOST) {
            @if all.len() > 1 { h4 { (named(names)) } }
            @match split {
                Err(cause) => p.absent { (SPLIT) " could not be read: " (cause) "." },
                Ok(Split { pretrain, finetune, validation, test }) => {
                    @for (name, cases) in [("Pre-training", pretrain), ("Fine-tuning", finetune), ("Validation", validation), ("Test", test)] {
                        details { summary { (name) ": " (count(cases.len(), "case")) } p { (cases.join(", ")) } }
                    }
                }
            }
        }
        (more(all.len()))
    }
}

fn more(number: usize) -> Markup {
    html! { @if number > MOST { p.note { (number - MOST) " more stand in the trainings' folders." } } }
}

/// The latest checkpoint of each folder: earlier ones were replaced by it.
fn checkpoints(view: &View) -> Markup {
    let mut rows: Vec<(usize, PathBuf, usize, bool)> = Vec::new();
    for (training, run) in view.runs() {
        let mut latest: Vec<&(usize, String, bool)> = Vec::new();
        for written in run.stages.iter().flat_map(|stage| &stage.checkpoints) {
            match latest.iter_mut().find(|known| known.1 == written.1) {
                Some(known) => *known = written,
                None => latest.push(written),
            }
        }
        let folder = view.training(training);
        let folder = folder.root().strip_prefix(view.folder.root()).unwrap_or(folder.root()).to_owned();
        rows.extend(latest.into_iter().map(|(step, path, is_best)| (training, folder.join(path), *step, *is_best)));
    }
    let mut table = Columns::over(&rows);
    table.add(Column::words("training"), |row| Cell::text(view.title(row.0)));
    table.add(Column::words("folder"), |row| Cell::text(row.1.display().to_string()));
    table.add(Column::words("steps done"), |row| Cell::text(row.2.to_string()));
    table.add(Column::words("kind"), |row| Cell::text(if row.3 { "best" } else { "last" }));
    html! {
        h3 { "Checkpoints" }
        @if rows.is_empty() { p { "None was written." } } @else {
            details { summary { (count(rows.len(), "checkpoint")) } (table::html(&table.table, "results", None)) }
        }
    }
}

fn transfers(view: &View) -> Markup {
    let started = (0..view.experiment.trainings.len()).filter_map(|training| {
        let (_, report) = view.stages([training], StageKind::Finetune).first()?.transfer.as_ref()?;
        Some((view.title(training).to_owned(), report))
    });
    let all: Shared<&TransferReport> = shared(started);
    html! { @if !all.is_empty() {
        h3 { (if all.iter().all(|(report, _)| report.missing.is_empty()) { "Networks" } else { "Encoders" }) " that fine-tuning starts from" }
        @for (TransferReport { matched, missing, skipped }, names) in all.iter().take(MOST) {
            p { (named(names)) ": " (count(matched.len(), "tensor")) " matched, " (missing.len()) " missing, " (skipped.len()) " skipped." }
            @for (name, meaning, tensors) in [
                ("Matched", "loaded", matched),
                ("Missing", "in the network, not in the checkpoint: freshly initialised", missing),
                ("Skipped", "in the checkpoint, not in the network: left behind", skipped),
            ] {
                @if !tensors.is_empty() {
                    details {
                        summary { (name) " (" (meaning) "): " (tensors.len()) }
                        ul.tensors { @for (tensor, shape) in tensors { li { code { (tensor) } " " (format!("{shape:?}")) } } }
                    }
                }
            }
        }
        (more(all.len()))
    } }
}

fn definitions(view: &View) -> Markup {
    let base = view.base();
    html! {
        h3 { "How the numbers are defined" }
        dl.facts {
            dt { "Dice" }
            dd {
                "2 |A ∩ B| / (|A| + |B|) for each case and label, background left out, on the scanner's own voxel grid. A label absent from truth \
                and prediction has no Dice and is left out of every mean. A label missing in one of them counts as 0."
            }
            dt { "HD95" }
            dd {
                (base.evaluate.hd95_convention.sentence()) ", in " (base.evaluate.distance_unit.word()) ". Absent from both: left out. Missing in one: \
                the diagonal of the volume, and counted."
            }
            dt { "Means" }
            dd { "Over the labels of a case first, then over its " (view.results.names.repeat) "s, then over cases." }
            dt { "Intervals" }
            dd {
                "Percentile bootstrap over the test cases, " (base.evaluate.bootstrap) " resamples, seed " (base.seed) ". Differences are taken case \
                by case before resampling. One case has no interval. None covers the variation between trainings."
            }
            dt { "Collapse" }
            dd { "On tokens of unit length, of held-out volumes cropped at random offsets; each number is explained beside its row." }
        }
    }
}

/// Method, networks, pretext tasks and data, each with its source once.
fn sources(view: &View) -> Vec<String> {
    let mut found = vec![METHOD.to_owned()];
    for training in &view.experiment.trainings {
        let network = format!("Network: {}", training.config.model.backbone().source());
        let task = (training.kind == StageKind::Pretrain).then(|| training.config.pretrain.task.source()).flatten();
        let demo = (training.config.data.source == DataSource::Demo).then(|| DEMO.to_owned());
        for source in std::iter::once(network).chain(task.map(|task| format!("Pretext task: {task}"))).chain(demo) {
            if !found.contains(&source) {
                found.push(source);
            }
        }
    }
    found
}

/// The sources in Markdown.
pub(super) fn sources_markdown(view: &View) -> String {
    sources(view).iter().map(|source| format!("* {}\n", escaped(source))).collect()
}
