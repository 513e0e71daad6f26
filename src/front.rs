//! Carries the command line out: builds jobs, follows them, prints what came out, chooses the exit code.

mod study;
mod view;

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::bench::{self, Timing};
use clap::CommandFactory as _;

use crate::cli::{BenchArgs, Cli, Command, ExportArgs, ImportArgs, RunArgs};
use crate::config::{ConfigError, DataSource, RunConfig};
use crate::device::DeviceChoice;
use crate::exchange::{self, ExchangeError, ExportJob, ImportJob};
use crate::folder_lock::Busy;
use crate::protocol::{Outcome, RunFolder, RunState};
use crate::study::StudyFolder;
use crate::volume::{Dataset, check, datalist, note};
use crate::worker::{self, InferInput, InferJob, Job, ProbeJob, Start, Training};
use crate::{doctor, evaluate, headless, plan, report, stop_signal};

/// The demo's settings, as in the repository's `configs/demo.ron`.
const DEMO: &str = include_str!("../configs/demo.ron");

/// Exit codes, as documented in the README.
const FAILED: u8 = 1;
const BAD_INPUT: u8 = 2;
const STOPPED: u8 = 130;

/// Why a command ended without doing its work.
enum Refusal {
    /// The input or the config.
    Input(String),
    /// The program or the device.
    Failure(String),
}

impl From<ConfigError> for Refusal {
    fn from(error: ConfigError) -> Self {
        Self::Input(error.to_string())
    }
}

impl From<ExchangeError> for Refusal {
    fn from(error: ExchangeError) -> Self {
        Self::Input(error.to_string())
    }
}

impl From<anyhow::Error> for Refusal {
    fn from(error: anyhow::Error) -> Self {
        Self::Failure(format!("{error:#}"))
    }
}

/// What every command is told.
struct Manner {
    device: DeviceChoice,
    quiet: bool,
    window: bool,
}

/// Runs the program.
pub fn run(cli: Cli) -> ExitCode {
    stop_signal::respect_nohup();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time().init();
    let manner = Manner { device: cli.device, quiet: cli.quiet, window: !cli.no_gui };
    let result = match cli.command {
        Some(command) => carry_out(command, &manner),
        None if cli.no_gui => {
            let _ = Cli::command().print_help();
            Ok(BAD_INPUT)
        }
        None => window::empty(&manner),
    };
    // A front end may have been lost on the way; its job saves before the process ends.
    stop_signal::wait_for_jobs();
    let code = match result {
        Ok(code) => code,
        Err(Refusal::Input(message)) => {
            headless::remark(format_args!("error: {message}"));
            BAD_INPUT
        }
        Err(Refusal::Failure(message)) => {
            headless::remark(format_args!("error: {message}"));
            FAILED
        }
    };
    ExitCode::from(code)
}

fn carry_out(command: Command, manner: &Manner) -> Result<u8, Refusal> {
    match command {
        Command::Demo(run) => train(&demo()?, &run, manner, Job::Compare),
        Command::Run { config, run } => train(&RunConfig::load(&config)?, &run, manner, Job::Compare),
        Command::Study(arguments) => study::study(arguments, manner),
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
            headless::say(serde_json::to_string(&doctor::check_device(&device)).expect("plain data becomes JSON"));
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
fn train(config: &RunConfig, run: &RunArgs, manner: &Manner, job: impl FnOnce(Training) -> Job) -> Result<u8, Refusal> {
    let mut config = config.with_overrides(&run.set)?;
    config.data.skip_bad |= run.skip_bad;
    let start = match (run.resume, run.overwrite) {
        (true, _) => Start::Resume,
        (false, true) => Start::Overwrite,
        (false, false) => Start::Fresh,
    };
    let folder = RunFolder::named(run.out.as_deref(), &config.name);
    folder.require_free().map_err(|error| Refusal::Input(error.to_string()))?;
    let training = Training { config: config.clone(), folder: folder.clone(), start, max_steps: run.max_steps };
    let job = job(training);
    if manner.window {
        return window::follow(job, folder, config, manner);
    }
    let (outcome, state) = follow(job, manner);
    // A refused start has no folder of its own: what lies there is somebody else's.
    if !state.stages.is_empty() {
        conclude(&folder, &config, state, &outcome, manner)?;
    }
    Ok(exit_code(&outcome))
}

/// Writes the report and tells the story.
fn conclude(folder: &RunFolder, config: &RunConfig, state: RunState, outcome: &Outcome, manner: &Manner) -> Result<(), Refusal> {
    // What a lagging front end missed, and what earlier sessions of a resumed run did, stands in the record.
    let state = folder.replay().unwrap_or(state);
    let report = report::write(folder, config, &state).map_err(|error| Refusal::Failure(error.to_string()))?;
    if !manner.quiet {
        headless::say(headless::story(config, &state, Some(&report)));
    }
    if *outcome == Outcome::Stopped {
        headless::remark("stopped and saved; the same command with --resume goes on");
    }
    Ok(())
}

/// Follows a run that another program makes, or tells how it ended.
fn follow_other(folder: &RunFolder, manner: &Manner) -> Result<u8, Refusal> {
    let place = folder.root().display();
    if StudyFolder::new(folder.root()).holds_study() {
        return Err(Refusal::Input(format!("{place} holds a study; look at it with `simtrot study status {place}`")));
    }
    if !folder.holds_run() {
        return Err(Refusal::Input(format!("{place} holds no run: there is no config.ron; name the folder that the run writes into")));
    }
    if let Some(busy) = folder.busy().filter(|_| !manner.quiet) {
        headless::remark(busy);
    }
    let (handle, state) = worker::attach(folder).map_err(|error| Refusal::Input(error.to_string()))?;
    let (outcome, state) = headless::watch(handle, state, headless::Options { quiet: manner.quiet });
    if !manner.quiet {
        let config = folder.config().map_err(|error| Refusal::Input(error.to_string()))?;
        headless::say(headless::story(
            &config,
            &state,
            Some(&folder.report_path()).filter(|report| report.is_file()).map(PathBuf::as_path),
        ));
    }
    Ok(exit_code(&outcome))
}

/// Asks the program that writes into a folder to save and stop.
fn stop_other(folder: &Path) -> Result<u8, Refusal> {
    let place = folder.display();
    let Some(busy) = Busy::look(folder) else {
        return Err(Refusal::Input(format!("no program is writing into {place}: there is nothing to stop")));
    };
    busy.ask_to_stop().map_err(|error| Refusal::Failure(format!("{place}: the request cannot be left there: {error}")))?;
    headless::say(format_args!("{busy}; it was asked to stop: it finishes the step, window or case under way, and saves"));
    Ok(0)
}

fn follow(job: Job, manner: &Manner) -> (Outcome, RunState) {
    headless::follow(worker::spawn(job, manner.device.clone()), headless::Options { quiet: manner.quiet })
}

/// The window's part of the front: it follows runs in place of the terminal.
#[cfg(feature = "gui")]
mod window {
    use std::path::PathBuf;

    use super::{Manner, Refusal, conclude, exit_code};
    use crate::config::RunConfig;
    use crate::gui::{self, Left, NoWindow, Opening};
    use crate::headless;
    use crate::protocol::RunFolder;
    use crate::worker::{Job, StudyJob};

    impl From<NoWindow> for Refusal {
        fn from(error: NoWindow) -> Self {
            Self::Input(error.to_string())
        }
    }

    /// Opens the window on an empty desk.
    pub(super) fn empty(manner: &Manner) -> Result<u8, Refusal> {
        show(Opening::Desk, manner)
    }

    /// Opens the window on a job that makes a run.
    pub(super) fn follow(job: Job, folder: RunFolder, config: RunConfig, manner: &Manner) -> Result<u8, Refusal> {
        show(Opening::Run { job: Box::new(job), folder, config: Box::new(config) }, manner)
    }

    /// Opens the window on a study that is to be worked on.
    pub(super) fn follow_study(job: StudyJob, manner: &Manner) -> Result<u8, Refusal> {
        show(Opening::Study(Box::new(job)), manner)
    }

    /// Opens the window on a volume and its label maps.
    pub(super) fn view(image: PathBuf, labels: Vec<PathBuf>, manner: &Manner) -> Result<u8, Refusal> {
        show(Opening::Volume { image, labels }, manner)
    }

    /// Shows the window; follows in the terminal what is still at work when it closes.
    fn show(opening: Opening, manner: &Manner) -> Result<u8, Refusal> {
        let (left, state) = gui::open(opening, manner.device.clone())?;
        let (handle, known, folder, config) = match left {
            Some(Left::Run { handle, state, folder, config }) => (handle, *state, folder, config),
            Some(Left::Study { handle, job }) => return super::study::follow(handle, &job, manner),
            None => return Ok(state.outcome.map_or(0, |outcome| exit_code(&outcome))),
        };
        let (outcome, state) = headless::follow_on(handle, known, headless::Options { quiet: manner.quiet });
        if !state.stages.is_empty() {
            conclude(&folder, &config, state, &outcome, manner)?;
        }
        Ok(exit_code(&outcome))
    }
}

/// A build without the window.
#[cfg(not(feature = "gui"))]
mod window {
    use std::path::PathBuf;

    use super::{Manner, Refusal};
    use crate::config::RunConfig;
    use crate::protocol::RunFolder;
    use crate::worker::{Job, StudyJob};

    fn refuse() -> Result<u8, Refusal> {
        Err(Refusal::Input("this program was built without its window; add --no-gui".to_owned()))
    }

    pub(super) fn empty(_: &Manner) -> Result<u8, Refusal> {
        refuse()
    }

    pub(super) fn follow_study(_: StudyJob, _: &Manner) -> Result<u8, Refusal> {
        refuse()
    }

    pub(super) fn view(_: PathBuf, _: Vec<PathBuf>, _: &Manner) -> Result<u8, Refusal> {
        refuse()
    }

    pub(super) fn follow(_: Job, _: RunFolder, _: RunConfig, _: &Manner) -> Result<u8, Refusal> {
        refuse()
    }
}

fn exit_code(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Completed => 0,
        Outcome::Stopped => STOPPED,
        Outcome::Failed { bad_input: true, .. } => BAD_INPUT,
        Outcome::Failed { bad_input: false, .. } => FAILED,
    }
}

fn infer(job: InferJob, manner: &Manner) -> Result<u8, Refusal> {
    let out = job.out.clone().unwrap_or_default();
    let (outcome, state) = follow(Job::Infer(job), manner);
    if outcome == Outcome::Completed && !manner.quiet {
        let written = state.stages.last().map_or(0, |stage| stage.done);
        headless::say(format_args!("{written} segmentation{} in {}", if written == 1 { "" } else { "s" }, out.display()));
    }
    Ok(exit_code(&outcome))
}

fn evaluate_folders(truth: &Path, prediction: &Path, out: Option<&Path>, set: &[String]) -> Result<u8, Refusal> {
    let config = RunConfig::default().with_overrides(set)?;
    let evaluation = evaluate::folders(truth, prediction, &config).map_err(|error| Refusal::Input(error.to_string()))?;
    headless::say(evaluation.table());
    for line in note::lines(&evaluation.notes) {
        headless::say(format_args!("note: {line}"));
    }
    if let Some(out) = out {
        for (name, bytes) in [("metrics.csv", evaluation.csv()), ("summary.json", evaluation.json())] {
            write(&out.join(name), &bytes)?;
        }
        headless::say(format_args!("metrics.csv and summary.json in {}", out.display()));
    }
    Ok(0)
}

fn probe(job: ProbeJob, json: Option<&Path>, manner: &Manner) -> Result<u8, Refusal> {
    let (outcome, state) = follow(Job::Probe(job), manner);
    if outcome == Outcome::Completed {
        headless::say(headless::story(&RunConfig::default(), &state, None));
        if let Some(path) = json {
            let summary = crate::protocol::Summary::new(&RunConfig::default(), &state);
            write(path, &serde_json::to_vec_pretty(&summary).expect("plain data becomes JSON"))?;
        }
    }
    Ok(exit_code(&outcome))
}

fn import(arguments: ImportArgs) -> Result<u8, Refusal> {
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
    headless::say(outcome?);
    Ok(0)
}

fn export(arguments: ExportArgs, manner: &Manner) -> Result<u8, Refusal> {
    let ExportArgs { checkpoint, format, out, encoder_only, example, overwrite } = arguments;
    let job = ExportJob { checkpoint, format, out, encoder_only, example, overwrite };
    let exported = exchange::export(&job)?;
    if !manner.quiet {
        headless::say(format_args!("{}: {exported}", job.out.display()));
    }
    Ok(0)
}

fn show(checkpoint: &Path, json: Option<&Path>) -> Result<u8, Refusal> {
    let page = exchange::show(checkpoint)?;
    headless::say(&page);
    if let Some(path) = json {
        write(path, &serde_json::to_vec_pretty(&page).expect("plain data becomes JSON"))?;
    }
    Ok(0)
}

/// The dataset that a word or path on the command line means.
fn source(data: &Path) -> DataSource {
    if data == Path::new("demo") && !data.exists() { DataSource::Demo } else { datalist::source_at(data) }
}

fn check_data(data: &Path, json: Option<&Path>, manner: &Manner) -> Result<u8, Refusal> {
    let dataset = Dataset::open(&source(data)).map_err(|error| Refusal::Input(error.to_string()))?;
    let bar = std::io::stderr().is_terminal() && !manner.quiet;
    let bar = if bar { indicatif::ProgressBar::new(dataset.cases.len() as u64) } else { indicatif::ProgressBar::hidden() };
    bar.set_style(
        indicatif::ProgressStyle::with_template("checking {bar:40} {pos}/{len} cases, {eta} left").expect("the template is sound"),
    );
    let report = check::inspect(&dataset, &|done, _| bar.set_position(done as u64));
    bar.finish_and_clear();
    headless::say(&report);
    if let Some(path) = json {
        write(path, &serde_json::to_vec_pretty(&report).expect("plain data becomes JSON"))?;
    }
    Ok(if report.problems.is_empty() { 0 } else { BAD_INPUT })
}

fn plan_run(config: &Path, set: &[String], manner: &Manner) -> Result<u8, Refusal> {
    let config = RunConfig::load(config)?.with_overrides(set)?;
    config.check_pretraining()?;
    config.check_arms(&config)?;
    let plan = plan::plan(&config, &manner.device).map_err(|error| Refusal::Input(format!("{error:#}")))?;
    headless::say(&plan);
    Ok(if plan.fits() { 0 } else { BAD_INPUT })
}

fn examine(json: Option<&Path>) -> Result<u8, Refusal> {
    let report = doctor::examine(&doctor::Isolation::own_program());
    headless::say(&report);
    if let Some(path) = json {
        write(path, &serde_json::to_vec_pretty(&report).expect("plain data becomes JSON"))?;
    }
    Ok(if report.is_fit() { 0 } else { FAILED })
}

fn time(arguments: &BenchArgs, manner: &Manner) -> Result<u8, Refusal> {
    if let Some(threads) = arguments.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().map_err(|error| Refusal::Failure(error.to_string()))?;
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
    headless::say(&text);
    Ok(0)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Refusal> {
    crate::atomic_file::write(path, bytes).map_err(|error| Refusal::Failure(format!("{}: {error}", path.display())))
}
