//! Carries the command line out: builds jobs, follows them, prints what came out, chooses the exit code.

mod conclude;
mod configure;
mod convert;
mod corrections;
mod infer;
mod look;
mod next;
mod options;
mod tools;
mod train;
mod trial;
mod view;
#[cfg(not(feature = "gui"))]
#[path = "commands/no_window.rs"]
mod window;
#[cfg(feature = "gui")]
mod window;

use std::process::ExitCode;

use clap::CommandFactory as _;

use crate::cli::{Cli, Command};
use crate::config::Training;
use crate::stop_signal;
use crate::worker::ProbeJob;
use options::{BAD_INPUT, CliError, Options};

/// Runs the program.
pub fn run(cli: Cli) -> ExitCode {
    stop_signal::respect_nohup();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time().init();
    let devices = options::devices(cli.device, &cli.devices, cli.command.as_ref());
    let (device, beside) = match devices {
        Ok(devices) => devices,
        Err(refused) => return ExitCode::from(options::code_of(Err(refused))),
    };
    let options = Options { device, beside, quiet: cli.quiet, window: !cli.no_gui };
    let result = match cli.command {
        Some(command) => execute(command, &options),
        None if cli.no_gui => {
            let _ = Cli::command().print_help();
            Ok(BAD_INPUT)
        }
        None => window::empty(&options),
    };
    let code = options::code_of(result);
    // A front end may have been lost on the way; its job saves before the process ends.
    stop_signal::wait_for_jobs();
    ExitCode::from(code)
}

fn execute(command: Command, options: &Options) -> Result<u8, CliError> {
    match command {
        Command::Demo(arguments) => train::demo(&arguments, options),
        Command::Configure(arguments) => configure::configure(&arguments, options),
        Command::Run(arguments) => train::run(&arguments, options),
        Command::Pretrain { config, train } => train::one(&config, Training::Pretrain, &train, options),
        Command::Finetune { config, from, train } => train::one(&config, Training::Finetune { from }, &train, options),
        Command::Add(arguments) => corrections::add(arguments, options),
        Command::Learn(arguments) => corrections::learn(&arguments, options),
        Command::Plan { config, part, dry_run, memory } => look::plan(&config, (&part, memory), dry_run, options),
        Command::Status { experiment, part, follow } => look::status(&experiment, &part, follow, options),
        Command::Report { experiment, out } => look::report(&experiment, out, options),
        Command::Follow { folder } => look::follow(&folder, options),
        Command::Stop { folder } => look::stop(&folder),
        Command::Infer(arguments) => infer::infer(arguments, options),
        Command::Next(arguments) => next::next(arguments, options),
        Command::Evaluate { truth, prediction, out, set } => tools::evaluate_folders(&truth, &prediction, out.as_deref(), &set),
        Command::Probe { checkpoint, data, json, set } => {
            tools::probe(ProbeJob { checkpoint, data: tools::source(&data, None), settings: set }, json.as_deref(), options)
        }
        Command::View { image, labels } => view::view(image, labels, options),
        Command::Convert { input, out, like } => convert::convert(&input, &out, like, options),
        Command::Import { job, json } => tools::import(&job, json.as_deref()),
        Command::Export(job) => tools::export(&job, options),
        Command::Show { checkpoint, json } => tools::show(&checkpoint, json.as_deref()),
        Command::Check { data, labels, json } => tools::check_data(&tools::source(&data, labels.as_deref()), json.as_deref(), options),
        Command::Doctor { only: Some(device), .. } => Ok(tools::examine_device(&device)),
        Command::Doctor { json, only: None } => tools::examine(json.as_deref()),
        Command::Bench(arguments) => tools::time(&arguments, options),
    }
}
