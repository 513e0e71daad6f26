//! Carries the command line out: builds jobs, follows them, prints what came out, chooses the exit code.

mod experiment;
mod view;
#[cfg(feature = "gui")]
mod window;
#[cfg(not(feature = "gui"))]
#[path = "commands/no_window.rs"]
mod window;

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::bench::{self, Timing};
use clap::CommandFactory as _;

use crate::cli::{BenchArgs, Cli, Command, ExportArgs, ImportArgs, RunArgs};
use crate::config::DistanceUnit;
use crate::config::{ConfigError, DataSource, RunConfig};
use crate::device::DeviceChoice;
use crate::exchange::{self, ExchangeError, ExportJob, ImportJob};
use crate::experiment::ExperimentFolder;
use crate::folder_lock::Busy;
use crate::metrics::CaseScore;
use crate::metrics::evaluation::{self, Evaluation};
use crate::protocol::{ArmScores, SUMMARY_SCHEMA};
use crate::protocol::{Outcome, RunFolder, RunState};
use crate::volume::{Dataset, check, datalist, note};
use crate::worker::{self, InferInput, InferJob, Job, ProbeJob, Start, Training};
use crate::{doctor, plan, report, stop_signal, terminal};

/// The demo's settings, as in the repository's `configs/demo.ron`.
const DEMO: &str = include_str!("../configs/demo.ron");

/// Exit codes, as documented in the README.
const FAILED: u8 = 1;
const BAD_INPUT: u8 = 2;
const STOPPED: u8 = 130;

/// Why a command ended without doing its work.
enum CliError {
    /// The input or the config.
    Input(String),
    /// The program or the device.
    Failure(String),
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        Self::Input(error.to_string())
    }
}

impl From<ExchangeError> for CliError {
    fn from(error: ExchangeError) -> Self {
        Self::Input(error.to_string())
    }
}

impl From<anyhow::Error> for CliError {
    fn from(error: anyhow::Error) -> Self {
        Self::Failure(format!("{error:#}"))
    }
}

/// What every command is told.
#[derive(Clone)]
struct Options {
    device: DeviceChoice,
    quiet: bool,
    window: bool,
}

/// Runs the program.
pub fn run(cli: Cli) -> ExitCode {
    stop_signal::respect_nohup();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time().init();
    let manner = Options { device: cli.device, quiet: cli.quiet, window: !cli.no_gui };
    let result = match cli.command {
        Some(command) => execute(command, &manner),
        None if cli.no_gui => {
            let _ = Cli::command().print_help();
            Ok(BAD_INPUT)
        }
        None => window::empty(&manner),
    };
    let code = told(result);
    // A front end may have been lost on the way; its job saves before the process ends.
    stop_signal::wait_for_jobs();
    ExitCode::from(code)
}

/// The exit code of a command; says why it was refused.
fn told(result: Result<u8, CliError>) -> u8 {
    let (message, code) = match result {
        Ok(code) => return code,
        Err(CliError::Input(message)) => (message, BAD_INPUT),
        Err(CliError::Failure(message)) => (message, FAILED),
    };
    terminal::remark(format_args!("error: {message}"));
    code
}

fn execute(command: Command, manner: &Options) -> Result<u8, CliError> {
    match command {
        Command::Demo(run) => train(&demo()?, &run, manner, Job::Compare),
        Command::Run { config, run } => train(&RunConfig::load(&config)?, &run, manner, Job::Compare),
        Command::Experiment(arguments) => experiment::experiment(arguments, manner),
        Command::Pretrain { config, run } => train(&RunConfig::load(&config)?, &run, manner, Job::Pretrain),
        Command::Finetune { config, from, run } => {
            train(&RunConfig::load(&config)?, &run, manner, |training| Job::Finetune { training, from })
        }
        Command::Infer { checkpoint, input, out, overwrite, set } => {
            infer(InferJob { checkpoint, input: InferInput::Files(input), out: Some(out), overwrite, settings: set }, manner)
        }
        Command::Evaluate { truth, prediction, out, set } => evaluate_folders(&truth, &prediction, out.as_deref(), &set),
        Command::Probe { checkpoint, data, json, set } => {
            probe(ProbeJob { checkpoint, data: source(&data), settings: set }, json.as_deref(), manner)
        }
        Command::View { image, labels } => view::view(image, labels, manner),
        Command::Import(arguments) => import(arguments),
        Command::Export(arguments) => export(arguments, manner),
        Command::Follow { run } => follow_other(&RunFolder::new(run), manner),
        Command::Stop { folder } => stop_other(&folder),
        Command::Show { checkpoint, json } => show(&checkpoint, json.as_deref()),
        Command::Check { data, json } => check_data(&data, json.as_deref(), manner),
        Command::Plan { config, set } => plan_run(&config, &set, manner),
        Command::Doctor { only: Some(device), .. } => {
            terminal::say(serde_json::to_string(&doctor::check_device(&device)).expect("plain data becomes JSON"));
            Ok(0)
        }
        Command::Doctor { json, only: None } => examine(json.as_deref()),
        Command::Bench(arguments) => time(&arguments, manner),
    }
}

/// The demo's settings.
fn demo() -> Result<RunConfig, ConfigError> {
    RunConfig::from_ron(DEMO, "configs/demo.ron")
}

/// Makes a run, or goes on with one, and reports on it.
fn train(config: &RunConfig, run: &RunArgs, manner: &Options, job: impl FnOnce(Training) -> Job) -> Result<u8, CliError> {
    let mut config = config.with_overrides(&run.set)?;
    config.data.skip_bad |= run.skip_bad;
    let start = match (run.resume, run.overwrite) {
        (true, _) => Start::Resume,
        (false, true) => Start::Overwrite,
        (false, false) => Start::Fresh,
    };
    let folder = RunFolder::named(run.out.as_deref(), &config.name);
    folder.require_free().map_err(|error| CliError::Input(error.to_string()))?;
    let training = Training { config: config.clone(), folder: folder.clone(), start, max_steps: run.max_steps };
    let job = job(training);
    if manner.window {
        return window::follow(job, folder, config, manner);
    }
    let (outcome, state) = follow(job, manner, Some(&config));
    // A refused start has no folder of its own: what lies there is somebody else's.
    if !state.stages.is_empty() {
        finish_job(&folder, &config, state, &outcome, manner)?;
    }
    Ok(exit_code(&outcome))
}

/// Writes the report and tells the summary.
fn finish_job(folder: &RunFolder, config: &RunConfig, state: RunState, outcome: &Outcome, manner: &Options) -> Result<(), CliError> {
    // What a lagging front end missed, and what earlier sessions of a resumed run did, stands in the record.
    let state = folder.replay().unwrap_or(state);
    let report = report::old::write(folder, config, &state).map_err(|error| CliError::Failure(error.to_string()))?;
    if !manner.quiet {
        terminal::say(terminal::summary(config, &state, Some(&report)));
    }
    if *outcome == Outcome::Stopped {
        terminal::remark("stopped and saved; the same command with --resume goes on");
    }
    Ok(())
}

/// Follows a run that another program makes, or tells how it ended.
fn follow_other(folder: &RunFolder, manner: &Options) -> Result<u8, CliError> {
    let place = folder.root().display();
    if ExperimentFolder::new(folder.root()).holds_experiment() {
        return Err(CliError::Input(format!("{place} holds an experiment; look at it with `simtrot experiment status {place}`")));
    }
    if !folder.holds_run() {
        return Err(CliError::Input(format!("{place} holds no run: there is no config.ron; name the folder that the run writes into")));
    }
    if let Some(busy) = folder.busy().filter(|_| !manner.quiet) {
        terminal::remark(busy);
    }
    let (handle, state) = worker::attach(folder).map_err(|error| CliError::Input(error.to_string()))?;
    let (outcome, state) = terminal::watch(handle, state, terminal::Options { quiet: manner.quiet, config: folder.config().ok().as_ref() });
    if !manner.quiet {
        let config = folder.config().map_err(|error| CliError::Input(error.to_string()))?;
        terminal::say(terminal::summary(
            &config,
            &state,
            Some(&folder.report_path()).filter(|report| report.is_file()).map(PathBuf::as_path),
        ));
    }
    Ok(exit_code(&outcome))
}

/// Asks the program that writes into a folder to save and stop.
fn stop_other(folder: &Path) -> Result<u8, CliError> {
    let place = folder.display();
    let Some(busy) = Busy::look(folder) else {
        return Err(CliError::Input(format!("no program is writing into {place}: there is nothing to stop")));
    };
    busy.ask_to_stop().map_err(|error| CliError::Failure(format!("{place}: the request cannot be left there: {error}")))?;
    terminal::say(format_args!("{busy}; it was asked to stop: it finishes the step, window or case under way, and saves"));
    Ok(0)
}

/// Follows a job in the terminal; `config` where it makes a run.
fn follow(job: Job, manner: &Options, config: Option<&RunConfig>) -> (Outcome, RunState) {
    terminal::follow(worker::spawn(job, manner.device.clone()), terminal::Options { quiet: manner.quiet, config })
}

fn exit_code(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Completed => 0,
        Outcome::Stopped => STOPPED,
        Outcome::Failed { bad_input: true, .. } => BAD_INPUT,
        Outcome::Failed { bad_input: false, .. } => FAILED,
    }
}

fn infer(job: InferJob, manner: &Options) -> Result<u8, CliError> {
    let out = job.out.clone().unwrap_or_default();
    let (outcome, state) = follow(Job::Infer(job), manner, None);
    if outcome == Outcome::Completed && !manner.quiet {
        let written = state.stages.last().map_or(0, |stage| stage.done);
        terminal::say(format_args!("{written} segmentation{} in {}", if written == 1 { "" } else { "s" }, out.display()));
    }
    Ok(exit_code(&outcome))
}

fn evaluate_folders(truth: &Path, prediction: &Path, out: Option<&Path>, set: &[String]) -> Result<u8, CliError> {
    let config = RunConfig::default().with_overrides(set)?;
    let evaluation = evaluation::folders(truth, prediction, &config).map_err(|error| CliError::Input(error.to_string()))?;
    terminal::say(evaluation.table());
    for line in note::lines(&evaluation.notes) {
        terminal::say(format_args!("note: {line}"));
    }
    if let Some(out) = out {
        for (name, bytes) in
            [("metrics.csv", evaluation.csv()), ("summary.json", evaluation_summary(&evaluation, config.evaluate.distance_unit))]
        {
            write(&out.join(name), &bytes)?;
        }
        terminal::say(format_args!("metrics.csv and summary.json in {}", out.display()));
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

fn probe(job: ProbeJob, json: Option<&Path>, manner: &Options) -> Result<u8, CliError> {
    let (outcome, state) = follow(Job::Probe(job), manner, None);
    if outcome == Outcome::Completed {
        terminal::say(terminal::summary(&RunConfig::default(), &state, None));
        if let Some(path) = json {
            let summary = crate::protocol::Summary::new(&RunConfig::default(), &state);
            write(path, &serde_json::to_vec_pretty(&summary).expect("plain data becomes JSON"))?;
        }
    }
    Ok(exit_code(&outcome))
}

fn import(arguments: ImportArgs) -> Result<u8, CliError> {
    let ImportArgs { file, backbone, preset, out, overwrite, crop, adapt_stem, adapt_position, json, set } = arguments;
    let job = ImportJob {
        file,
        backbone,
        preset,
        out,
        overwrite,
        crop_size: crop,
        adapt_stem,
        adapt_position: adapt_position.is_some(),
        position_crop: adapt_position.flatten(),
        settings: set,
    };
    let outcome = exchange::import(&job);
    // A refused import is told in full as well.
    let report = match &outcome {
        Ok(report) => Some(report),
        Err(ExchangeError::Incomplete { report }) => Some(&**report),
        Err(_) => None,
    };
    if let (Some(report), Some(path)) = (report, &json) {
        write(path, &serde_json::to_vec_pretty(report).expect("plain data becomes JSON"))?;
    }
    terminal::say(outcome?);
    Ok(0)
}

fn export(arguments: ExportArgs, manner: &Options) -> Result<u8, CliError> {
    let ExportArgs { checkpoint, format, out, encoder_only, example, overwrite } = arguments;
    let job = ExportJob { checkpoint, format, out, encoder_only, example, overwrite };
    let exported = exchange::export(&job)?;
    if !manner.quiet {
        terminal::say(format_args!("{}: {exported}", job.out.display()));
    }
    Ok(0)
}

fn show(checkpoint: &Path, json: Option<&Path>) -> Result<u8, CliError> {
    let page = exchange::show(checkpoint)?;
    terminal::say(&page);
    if let Some(path) = json {
        write(path, &serde_json::to_vec_pretty(&page).expect("plain data becomes JSON"))?;
    }
    Ok(0)
}

/// The dataset that a word or path on the command line means.
fn source(data: &Path) -> DataSource {
    if data == Path::new("demo") && !data.exists() { DataSource::Demo } else { datalist::source_at(data) }
}

fn check_data(data: &Path, json: Option<&Path>, manner: &Options) -> Result<u8, CliError> {
    let dataset = Dataset::open(&source(data)).map_err(|error| CliError::Input(error.to_string()))?;
    let bar = std::io::stderr().is_terminal() && !manner.quiet;
    let bar = if bar { indicatif::ProgressBar::new(dataset.cases.len() as u64) } else { indicatif::ProgressBar::hidden() };
    bar.set_style(
        indicatif::ProgressStyle::with_template("checking {bar:40} {pos}/{len} cases, {eta} left").expect("the template is sound"),
    );
    let report = check::inspect(&dataset, Default::default(), &|done, _| bar.set_position(done as u64));
    bar.finish_and_clear();
    terminal::say(&report);
    if let Some(path) = json {
        write(path, &serde_json::to_vec_pretty(&report).expect("plain data becomes JSON"))?;
    }
    Ok(if report.problems.is_empty() { 0 } else { BAD_INPUT })
}

fn plan_run(config: &Path, set: &[String], manner: &Options) -> Result<u8, CliError> {
    let config = RunConfig::load(config)?.with_overrides(set)?;
    config.check_pretraining()?;
    config.check_arms(&config)?;
    let plan = plan::plan(&config, &manner.device).map_err(|error| CliError::Input(format!("{error:#}")))?;
    terminal::say(&plan);
    Ok(if plan.fits() { 0 } else { BAD_INPUT })
}

fn examine(json: Option<&Path>) -> Result<u8, CliError> {
    let report = doctor::examine(&doctor::Isolation::own_program());
    terminal::say(&report);
    if let Some(path) = json {
        write(path, &serde_json::to_vec_pretty(&report).expect("plain data becomes JSON"))?;
    }
    Ok(if report.is_fit() { 0 } else { FAILED })
}

fn time(arguments: &BenchArgs, manner: &Options) -> Result<u8, CliError> {
    if let Some(threads) = arguments.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().map_err(|error| CliError::Failure(error.to_string()))?;
    }
    let results: BTreeMap<String, Timing> = match &arguments.only {
        #[cfg(feature = "gui")]
        Some(name) if name == crate::gui::FRAME_PIECE => BTreeMap::from([(name.clone(), crate::gui::window_frame(arguments.runs)?)]),
        Some(name) => BTreeMap::from([(name.clone(), bench::run_here(name, arguments.runs, &manner.device)?)]),
        None => {
            let mut passed_on = vec!["--runs".to_owned(), arguments.runs.to_string(), "--device".to_owned(), manner.device.to_string()];
            if let Some(threads) = arguments.threads {
                passed_on.extend(["--threads".to_owned(), threads.to_string()]);
            }
            let tell = |name: &str, timing: &Timing| eprintln!("{name:34} {:.4} s (least {:.4})", timing.median_s, timing.min_s);
            bench::run_all(&passed_on, tell)?
        }
    };
    let text = serde_json::to_string_pretty(&results).expect("plain data becomes JSON");
    if let Some(path) = &arguments.json {
        write(path, text.as_bytes())?;
    }
    terminal::say(&text);
    Ok(0)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    crate::atomic_file::write(path, bytes).map_err(|error| CliError::Failure(format!("{}: {error}", path.display())))
}
