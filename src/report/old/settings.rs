//! What it takes to judge and to repeat a run: settings, split, environment, notices, checkpoints, definitions, sources.

use maud::{Markup, html};

use super::{arms, scores};
use crate::config::{DataSource, RunConfig};
use crate::protocol::{Environment, RunFolder, RunState, SPLIT, Severity, TransferReport};
use crate::volume::Split;
use crate::wording::{count, distinct};

/// The whole section.
pub(super) fn section(folder: &RunFolder, config: &RunConfig, state: &RunState) -> Markup {
    html! {
        section id="settings" {
            h2 { "Settings and sources" }
            (environment(&state.environment))
            (notices(state))
            (split(folder, state))
            (checkpoints(state))
            (transfers(state))
            h3 { "Settings" }
            details { summary { "Every setting of the run, defaults included" } pre { (config.to_ron()) } }
            (definitions(config))
            (sources(config, state))
        }
    }
}

fn environment(environment: &Environment) -> Markup {
    let Environment { version, commit, training: _, device, device_name, driver, backend, threads, system, started } = environment;
    let rows = [
        ("Begun", started.clone()),
        ("simtrot", format!("{version}, commit {commit}")),
        ("Device", format!("{device_name} ({device})")),
        ("Backend", if driver.is_empty() { backend.clone() } else { format!("{backend}, driver {driver}") }),
        ("CPU threads", threads.to_string()),
        ("System", system.clone()),
    ];
    html! {
        h3 { "Environment" }
        dl.facts { @for (name, value) in rows { dt { (name) } dd { (value) } } }
    }
}

fn notices(state: &RunState) -> Markup {
    html! {
        h3 { "Notices" }
        @if state.notices.is_empty() { p { "None." } }
        ul.notices { @for (severity, text) in &state.notices {
            @match severity {
                Severity::Warning => li.warning { strong { "Warning: " } (text) },
                Severity::Info => li { (text) },
            }
        } }
        @if state.notices_left_out > 0 {
            p { (count(state.notices_left_out, "notice")) " between the first and the last of these: in events.jsonl alone." }
        }
    }
}

fn split(folder: &RunFolder, state: &RunState) -> Markup {
    let read = |folder: &RunFolder| -> Result<Split, String> {
        let text = std::fs::read_to_string(folder.root().join(SPLIT)).map_err(|error| error.to_string())?;
        serde_json::from_str(&text).map_err(|error| error.to_string())
    };
    let whole = read(folder);
    let own = state.stages.iter().filter(|stage| !stage.stage.arm.is_empty());
    let own = own.filter_map(|stage| Some((&stage.stage, read(&folder.arm(&stage.stage)).ok()?)));
    let others: Vec<_> = own.filter(|(_, own)| whole.as_ref().is_ok_and(|whole| whole != own)).collect();
    html! {
        h3 { "Split" }
        @match &whole {
            Err(cause) => p.absent { "split.json could not be read: " (cause) "." },
            Ok(split) => (parts(split)),
        }
        @for (stage, split) in &others { h4 { "Split of " (stage) } (parts(split)) }
    }
}

fn parts(Split { pretrain, finetune, validation, test }: &Split) -> Markup {
    html! {
        @for (name, cases) in [("Pre-training", pretrain), ("Fine-tuning", finetune), ("Validation", validation), ("Test", test)] {
            details { summary { (name) ": " (count(cases.len(), "case")) } p { (cases.join(", ")) } }
        }
    }
}

fn checkpoints(state: &RunState) -> Markup {
    let written = || state.stages.iter().flat_map(|stage| stage.checkpoints.iter().map(move |checkpoint| (&stage.stage, checkpoint)));
    html! {
        h3 { "Checkpoints" }
        @if written().next().is_none() { p { "None was written." } }
        @else {
            // The latest of each folder: earlier ones were replaced by it.
            div.scroll { table.words {
                thead { tr { th { "Stage" } th { "Folder" } th { "Steps done" } th { "Kind" } } }
                tbody { @for (stage, (step, path, best)) in latest(written()) { tr {
                    th scope="row" { (stage) } td { code { (path) } } td { (step) } td { @if *best { "best" } @else { "last" } }
                } } }
            } }
        }
    }
}

/// The last entry of each folder, in the order in which the folders first appeared.
fn latest<'a, S>(written: impl Iterator<Item = (S, &'a (usize, String, bool))>) -> Vec<(S, &'a (usize, String, bool))> {
    let mut latest: Vec<(S, &(usize, String, bool))> = Vec::new();
    for entry in written {
        match latest.iter_mut().find(|known| known.1.1 == entry.1.1) {
            Some(known) => *known = entry,
            None => latest.push(entry),
        }
    }
    latest
}

fn transfers(state: &RunState) -> Markup {
    let taken = state.stages.iter().filter_map(|stage| Some((&stage.stage, stage.transfer.as_ref()?)));
    html! { @for (stage, (from, TransferReport { matched, missing, skipped })) in taken {
        h3 { "Encoder taken over by " (stage) }
        p { "From " code { (from) } ": " (count(matched.len(), "tensor")) " matched, " (missing.len()) " missing, " (skipped.len()) " skipped." }
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
    } }
}

fn definitions(config: &RunConfig) -> Markup {
    html! {
        h3 { "How the numbers are defined" }
        dl.facts {
            dt { "Dice" }
            dd {
                "2 |A ∩ B| / (|A| + |B|) for each case and label, background left out, on the scanner's own voxel grid. A label absent from truth "
                "and prediction has no Dice and is left out of every mean. A label that only one of them has counts as 0."
            }
            dt { "HD95" }
            dd {
                (scores::convention(&config.evaluate)) ", in " (scores::unit(&config.evaluate)) ". Absent from both: left out. Absent from one: "
                "the diagonal of the volume, counted as one-sided."
            }
            dt { "Means" }
            dd { "Over the labels of a case first, then over cases." }
            dt { "Intervals" }
            dd {
                "Percentile bootstrap over the test cases, " (config.evaluate.bootstrap) " resamples, seed " (config.seed)
                ". Differences are taken case by case before resampling. Neither covers the variation between trainings."
            }
            dt { "Collapse" }
            dd { "On tokens of unit length, of held-out volumes cropped at random offsets; each measure is explained beside its row." }
        }
    }
}

fn sources(config: &RunConfig, state: &RunState) -> Markup {
    let own = arms::began(config, state);
    let networks = distinct(own.iter().map(|own| own.model.backbone().source()));
    let tasks = distinct(own.iter().filter_map(|own| own.pretrain.task.source()));
    html! {
        h3 { "Sources" }
        ul {
            li {
                "Method: Hu, Zeng, Wu, Li, Shi: Enhancing 3D Transformer Segmentation Model for Medical Image with Token-level "
                "Representation Learning (SimTROT), arXiv:2408.05889."
            }
            @for source in networks { li { "Network: " (source) } }
            @for source in tasks { li { "Pretext task: " (source) } }
            @if config.data.source == DataSource::Demo {
                li {
                    "Images and labels: Task04_Hippocampus of the Medical Segmentation Decathlon (Antonelli et al., arXiv:2106.05735; "
                    "Simpson et al., arXiv:1902.09063), Vanderbilt University Medical Center, licence CC-BY-SA 4.0. The slices above are "
                    "derived from it and stand under the same licence."
                }
            }
        }
    }
}
