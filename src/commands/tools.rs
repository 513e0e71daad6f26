//! Commands beside the trainings: scoring, probing, weights in and out, checks of data, devices and speed.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::Path;

use serde::Serialize;

use super::options::{BAD_INPUT, CliError, FAILED, Options, exit_code};
use crate::bench::{self, Timing};
use crate::cli::BenchArgs;
use crate::config::{DataSource, DistanceUnit, RunConfig, require_used};
use crate::exchange::{self, ExchangeError, ExportJob, ImportJob};
use crate::metrics::CaseScore;
use crate::metrics::evaluation::{self, Evaluation};
use crate::protocol::{ArmScores, Outcome, ProbeSummary, RunState, SUMMARY_SCHEMA};
use crate::volume::{Dataset, check, datalist, note};
use crate::worker::{self, Job, ProbeJob};
use crate::{doctor, terminal};

/// Follows a job in the terminal.
pub(super) fn follow(job: Job, options: &Options) -> (Outcome, RunState) {
    terminal::follow(worker::spawn(job, options.device.clone()), options.quiet)
}

/// `simtrot doctor --only`: the findings of one device as JSON.
pub(super) fn examine_device(device: &crate::device::DeviceChoice) -> u8 {
    terminal::print(serde_json::to_string(&doctor::check_device(device)).expect("plain data becomes JSON"));
    0
}

pub(super) fn evaluate_folders(truth: &Path, prediction: &Path, out: Option<&Path>, set: &[String]) -> Result<u8, CliError> {
    require_used(set, "an evaluation", &["evaluate.", "data.regions", "seed"])?;
    let config = RunConfig::default().with_overrides(set)?;
    let evaluation = evaluation::folders(truth, prediction, &config).map_err(|error| CliError::Input(error.to_string()))?;
    terminal::print(evaluation.table());
    for line in note::lines(&evaluation.notes) {
        terminal::print(format_args!("note: {line}"));
    }
    if let Some(out) = out {
        for (name, bytes) in
            [("metrics.csv", evaluation.csv()), ("summary.json", evaluation_summary(&evaluation, config.evaluate.distance_unit))]
        {
            write(&out.join(name), &bytes)?;
        }
        terminal::print(format_args!("metrics.csv and summary.json in {}", out.display()));
    }
    Ok(0)
}

/// `summary.json` of an evaluation: the means.
fn evaluation_summary(evaluation: &Evaluation, unit: DistanceUnit) -> Vec<u8> {
    let mut by_case: BTreeMap<String, Vec<CaseScore>> = BTreeMap::new();
    for score in &evaluation.scores {
        by_case.entry(score.case.clone()).or_default().push(score.clone());
    }
    let summary = serde_json::json!({ "schema": SUMMARY_SCHEMA, "test": ArmScores::new(&by_case, unit) });
    serde_json::to_vec_pretty(&summary).expect("plain data becomes JSON")
}

pub(super) fn probe(job: ProbeJob, json: Option<&Path>, options: &Options) -> Result<u8, CliError> {
    let (outcome, state) = follow(Job::Probe(job), options);
    if outcome == Outcome::Completed {
        terminal::print(terminal::probe_summary(&state));
        write_json(json, &ProbeSummary::new(&state))?;
    }
    Ok(exit_code(&outcome))
}

pub(super) fn import(job: &ImportJob, json: Option<&Path>) -> Result<u8, CliError> {
    let outcome = exchange::import(job);
    // A refused import is told in full as well.
    let report = match &outcome {
        Ok(report) => Some(report),
        Err(ExchangeError::Incomplete { report }) => Some(&**report),
        Err(_) => None,
    };
    if let Some(report) = report {
        write_json(json, report)?;
    }
    terminal::print(outcome?);
    Ok(0)
}

pub(super) fn export(job: &ExportJob, options: &Options) -> Result<u8, CliError> {
    let exported = exchange::export(job)?;
    if !options.quiet {
        terminal::print(format_args!("{}: {exported}", job.out.display()));
    }
    Ok(0)
}

pub(super) fn show(checkpoint: &Path, json: Option<&Path>) -> Result<u8, CliError> {
    let page = exchange::show(checkpoint)?;
    terminal::print(&page);
    write_json(json, &page)?;
    Ok(0)
}

/// The dataset that a word or path on the command line means, with the folder of its label maps where one is named.
pub(super) fn source(data: &Path, labels: Option<&Path>) -> DataSource {
    match labels {
        Some(labels) => DataSource::Folders { images: data.to_owned(), labels: Some(labels.to_owned()) },
        None if data == Path::new("demo") && !data.exists() => DataSource::Demo,
        None => datalist::source_at(data),
    }
}

/// A bar of cases that are being read, where somebody looks.
pub(super) fn case_bar(doing: &str, cases: usize, options: &Options) -> indicatif::ProgressBar {
    let bar = std::io::stderr().is_terminal() && !options.quiet;
    let bar = if bar { indicatif::ProgressBar::new(cases as u64) } else { indicatif::ProgressBar::hidden() };
    let template = format!("{doing} {{bar:40}} {{pos}}/{{len}} cases, {{eta}} left");
    bar.set_style(indicatif::ProgressStyle::with_template(&template).expect("the template is sound"));
    bar
}

/// A sign of life with a message, where somebody looks.
pub(super) fn spinner(options: &Options) -> indicatif::ProgressBar {
    if !std::io::stderr().is_terminal() || options.quiet {
        return indicatif::ProgressBar::hidden();
    }
    let bar = indicatif::ProgressBar::new_spinner();
    bar.set_style(indicatif::ProgressStyle::with_template("{spinner} {elapsed} {msg}").expect("the template is sound"));
    bar.enable_steady_tick(std::time::Duration::from_millis(100));
    bar
}

pub(super) fn check_data(source: &DataSource, json: Option<&Path>, options: &Options) -> Result<u8, CliError> {
    let dataset = Dataset::open(source).map_err(|error| CliError::Input(error.to_string()))?;
    let bar = case_bar("checking", dataset.cases.len(), options);
    let report = check::inspect(&dataset, Default::default(), &|done, _| bar.set_position(done as u64));
    bar.finish_and_clear();
    terminal::print(&report);
    write_json(json, &report)?;
    Ok(if report.problems.is_empty() { 0 } else { BAD_INPUT })
}

pub(super) fn examine(json: Option<&Path>) -> Result<u8, CliError> {
    let report = doctor::examine(&doctor::Isolation::own_program());
    terminal::print(&report);
    write_json(json, &report)?;
    Ok(if report.is_fit() { 0 } else { FAILED })
}

pub(super) fn time(arguments: &BenchArgs, options: &Options) -> Result<u8, CliError> {
    if let Some(threads) = arguments.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().map_err(|error| CliError::Failure(error.to_string()))?;
    }
    if arguments.operations {
        terminal::print(format_args!(
            "{:58} {:>19} {:>19} {:>13} {:>10}",
            "seconds forward + backward", "tensor library", "own", "ratio", "difference"
        ));
        let results = bench::time_operations(&options.device, arguments.only.as_deref().unwrap_or_default(), arguments.runs, |timing| {
            let ([forward, backward], [own_forward, own_backward]) = (timing.reference_s, timing.own_s);
            terminal::print(format_args!(
                "{:58} {forward:8.4} + {backward:8.4} {own_forward:8.4} + {own_backward:8.4} {:5.1} + {:5.1} {:10.1e}",
                timing.name,
                forward / own_forward,
                backward / own_backward,
                timing.difference
            ));
            if let Some([forward, backward]) = timing.library_s {
                terminal::print(format_args!(
                    "{:58} {forward:8.4} + {backward:8.4} {:>19} {:5.1} + {:5.1}",
                    "  by the tensor library's own convolution",
                    "",
                    forward / own_forward,
                    backward / own_backward
                ));
            }
        })?;
        return write_json(arguments.json.as_deref(), &results).map(|()| 0);
    }
    let results: BTreeMap<String, Timing> = match &arguments.only {
        #[cfg(feature = "gui")]
        Some(name) if crate::gui::FRAME_PIECES.contains(&name.as_str()) => {
            let time = if name == crate::gui::FRAME_PIECES[0] { crate::gui::window_frame } else { crate::gui::paint_frame };
            BTreeMap::from([(name.clone(), time(arguments.runs)?)])
        }
        Some(name) if bench::names().all(|known| known != name) => {
            return Err(CliError::Input(format!("no piece of work {name:?}; there are {}", bench::names().collect::<Vec<_>>().join(", "))));
        }
        Some(name) => BTreeMap::from([(name.clone(), bench::run_here(name, arguments.runs, &options.device)?)]),
        None => {
            let mut passed_on = vec!["--runs".to_owned(), arguments.runs.to_string(), "--device".to_owned(), options.device.to_string()];
            if let Some(threads) = arguments.threads {
                passed_on.extend(["--threads".to_owned(), threads.to_string()]);
            }
            let tell = |name: &str, timing: &Timing| eprintln!("{name:34} {:.4} s (least {:.4})", timing.median_s, timing.min_s);
            bench::run_all(&passed_on, tell)?
        }
    };
    write_json(arguments.json.as_deref(), &results)?;
    terminal::print(serde_json::to_string_pretty(&results).expect("plain data becomes JSON"));
    Ok(0)
}

/// Writes what is printed as JSON too, where asked for.
fn write_json(path: Option<&Path>, value: &impl Serialize) -> Result<(), CliError> {
    let text = || serde_json::to_vec_pretty(value).expect("plain data becomes JSON");
    path.map_or(Ok(()), |path| write(path, &text()))
}

pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    crate::atomic_file::write(path, bytes).map_err(|error| CliError::Failure(format!("{}: {error}", path.display())))
}
