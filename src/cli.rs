//! The command line. It only reads words; `commands` carries them out.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::device::DeviceChoice;
use crate::exchange::Format;
use crate::experiment::Only;

/// Pre-train, fine-tune, inspect and run 3D medical segmentation transformers on any GPU or the CPU.
#[derive(Debug, Parser)]
#[command(name = "simtrot", version, propagate_version = true)]
pub struct Cli {
    /// Do not open a window: report in the terminal.
    #[arg(long, global = true)]
    pub no_gui: bool,
    /// Where to compute: auto, cpu, gpu, gpu:N or gpu:NAME (`simtrot doctor` lists them).
    #[arg(long, global = true, default_value = "auto", value_name = "DEVICE")]
    pub device: DeviceChoice,
    /// Print results and problems only.
    #[arg(long, global = true)]
    pub quiet: bool,
    /// What to do; without a command the window opens on an empty workspace.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The whole method on forty small brain scans inside the program, in minutes.
    Demo(TrainArgs),
    /// Make what is missing of a config: every arm pre-trained, fine-tuned, tested, compared and reported, at every point of its axes.
    Run(RunArgs),
    /// Pre-train an encoder without labels.
    Pretrain {
        /// The settings (RON).
        config: PathBuf,
        /// How it is made.
        #[command(flatten)]
        train: TrainArgs,
    },
    /// Train a segmentation network with labels, from scratch or from a pre-trained encoder.
    Finetune {
        /// The settings (RON).
        config: PathBuf,
        /// Checkpoint folder (or folder of a training) whose encoder to start from.
        #[arg(long, value_name = "CHECKPOINT")]
        from: Option<PathBuf>,
        /// How it is made.
        #[command(flatten)]
        train: TrainArgs,
    },
    /// Trainings, memory, time and disk that a config needs, before anything is made. Exit code 2 when it cannot fit.
    Plan {
        /// The config (RON), the folder of an experiment, or the word `demo`.
        config: PathBuf,
        /// Where, and which part.
        #[command(flatten)]
        part: PartArgs,
        /// List the trainings without measuring steps.
        #[arg(long)]
        dry_run: bool,
    },
    /// How far an experiment is: what is done, under way, failed, missing.
    Status {
        /// The folder of an experiment, or its config.
        experiment: PathBuf,
        /// Where, and which part.
        #[command(flatten)]
        part: PartArgs,
    },
    /// Write tables, plots and plain sentences of what is done: report.html, report.md and CSV files in the experiment's folder.
    Report {
        /// The folder of an experiment, or its config.
        experiment: PathBuf,
        /// Where.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Segment volumes with a fine-tuned checkpoint, on their own grid.
    Infer {
        /// Checkpoint folder (or folder of a training).
        #[arg(long, value_name = "CHECKPOINT")]
        checkpoint: PathBuf,
        /// NIfTI files, or folders of them. For a network of several channels these may be files of their own, which end in
        /// _0000, _0001, ... Files that cannot be segmented are listed at the end; called again, what is missing is made.
        #[arg(required = true)]
        input: Vec<PathBuf>,
        /// Folder for the segmentations.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Replace segmentations that are already there.
        #[arg(long)]
        overwrite: bool,
        /// Settings of the checkpoint's `infer` part to change, for example infer.mirror=true.
        #[arg(long = "set", value_name = "KEY=VALUE")]
        set: Vec<String>,
    },
    /// Score segmentations against truth: Dice and HD95 for each case and label.
    Evaluate {
        /// Folder of true label maps.
        #[arg(long, value_name = "DIR")]
        truth: PathBuf,
        /// Folder of segmentations with the same file names, in the same place of the patient; axes may be stored otherwise.
        #[arg(long, value_name = "DIR")]
        prediction: PathBuf,
        /// Folder for metrics.csv and summary.json; without it, the table is printed only.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// Settings of `evaluate` and `data.regions` to change, for example evaluate.distance_unit=voxels.
        #[arg(long = "set", value_name = "KEY=VALUE")]
        set: Vec<String>,
    },
    /// Measure representation collapse of a checkpoint on volumes.
    Probe {
        /// Checkpoint folder (or folder of a training).
        #[arg(long, value_name = "CHECKPOINT")]
        checkpoint: PathBuf,
        /// Dataset: its JSON file, its folder, a folder of NIfTI files, or the word `demo`.
        data: PathBuf,
        /// Write the numbers as JSON too.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// Settings of `probe` to change.
        #[arg(long = "set", value_name = "KEY=VALUE")]
        set: Vec<String>,
    },
    /// Turn weights of PyTorch or safetensors into a checkpoint, and tell what became of every tensor.
    Import(ImportArgs),
    /// Write a checkpoint's weights as one safetensors file.
    Export(ExportArgs),
    /// Follow an experiment or a training that another program makes, without touching it; Ctrl-C ends the looking, not the work.
    Follow {
        /// Its folder.
        folder: PathBuf,
    },
    /// Ask the program that writes into a folder to save and stop: an experiment, a training, or segmentations.
    Stop {
        /// The folder.
        folder: PathBuf,
    },
    /// Look at a volume in the window, with label maps over it; those of another grid are shown resampled.
    View {
        /// NIfTI file of the image.
        image: PathBuf,
        /// NIfTI files of label maps.
        labels: Vec<PathBuf>,
    },
    /// Where a checkpoint comes from: network, data, settings, program, parents.
    Show {
        /// Checkpoint folder (or folder of a training).
        checkpoint: PathBuf,
        /// Write the page as JSON too.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
    /// List a dataset's cases and every problem in it. Exit code 2 when a case is unusable.
    Check {
        /// Dataset: its JSON file, its folder, a folder of NIfTI files, or the word `demo`.
        data: PathBuf,
        /// Write rows and problems as JSON too.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
    /// Adapters, drivers, limits, and a small computation on each compared with the CPU.
    Doctor {
        /// Write the findings as JSON too.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// Check this device alone and print its findings as JSON; so the doctor checks each in a process of its own.
        #[arg(long, value_name = "DEVICE", conflicts_with = "json")]
        only: Option<DeviceChoice>,
    },
    /// Time the pieces of work that training and inference consist of.
    Bench(BenchArgs),
}

/// What the commands that make one thing take: a demo, a pre-training, a fine-tuning.
#[derive(Clone, Debug, Default, Args)]
pub struct TrainArgs {
    /// The folder; runs/NAME by default.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Go on with what is in the folder, exactly where its last checkpoint left it. Settings and data must be those that it began with;
    /// data that were moved are taken where --set data.source=... names their new place and every case holds what it held.
    #[arg(long, conflicts_with = "overwrite")]
    pub resume: bool,
    /// Replace what is in the folder.
    #[arg(long)]
    pub overwrite: bool,
    /// How it is made.
    #[command(flatten)]
    pub settings: SettingArgs,
}

/// Settings on the command line.
#[derive(Clone, Debug, Default, Args)]
pub struct SettingArgs {
    /// End each training after so many steps, as if stopped by hand: schedules stay those of the full length, and nothing that rests on
    /// a training that is cut short is made before it goes on.
    #[arg(long, value_name = "N")]
    pub max_steps: Option<usize>,
    /// Go on without cases that `simtrot check` finds unusable, and say so.
    #[arg(long)]
    pub skip_bad: bool,
    /// Change a setting, for example pretrain.mask_ratio=0.5. Values are JSON or bare words.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// What `run` takes.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// The config (RON), the folder of an experiment, or the word `demo`. What is done stays, what is missing is made.
    pub config: PathBuf,
    /// Where.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Only cells with this level of an axis, or this arm, for example seed=0 or arm=scratch. Levels of one axis add up.
    #[arg(long, value_name = "AXIS=LEVEL")]
    pub only: Vec<Only>,
    /// Trainings at the same time, on a device with room for them.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub jobs: usize,
    /// List the trainings and do nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// How it is made.
    #[command(flatten)]
    pub settings: SettingArgs,
}

/// Which experiment, and which part of it.
#[derive(Clone, Debug, Default, Args)]
pub struct PartArgs {
    /// The experiment's folder; runs/NAME by default.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Only cells with this level of an axis, or this arm, for example seed=0 or arm=scratch. Levels of one axis add up.
    #[arg(long, value_name = "AXIS=LEVEL")]
    pub only: Vec<Only>,
    /// Trainings at the same time, for the time that all of them take.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub jobs: usize,
    /// Change a setting, for example pretrain.mask_ratio=0.5.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// What `import` takes.
#[derive(Clone, Debug, Args)]
pub struct ImportArgs {
    /// A .pt, .pth, .model or .safetensors file; what it holds counts, not what its name ends in.
    pub file: PathBuf,
    /// Its backbone, as configs name it; by default whichever is found in it.
    #[arg(long, value_name = "NAME")]
    pub backbone: Option<String>,
    /// A published size of the backbone; by default the size is read off the shapes.
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,
    /// The checkpoint's folder.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace a checkpoint that is already there.
    #[arg(long)]
    pub overwrite: bool,
    /// Voxels of the crop that the network is for, where file and preset do not tell.
    #[arg(long, value_name = "D,H,W", value_parser = triple)]
    pub crop: Option<[usize; 3]>,
    /// Change the stem to N image channels: each takes the sum of the old ones divided by N.
    #[arg(long, value_name = "N")]
    pub adapt_stem: Option<usize>,
    /// Resample position tables to the crop or window of the checkpoint; D,H,W is the crop that a UNETR's table was trained for.
    #[arg(long, value_name = "D,H,W", value_parser = triple, num_args = 0..=1, require_equals = true)]
    pub adapt_position: Option<Option<[usize; 3]>>,
    /// Write what became of every tensor as JSON too.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Settings of the checkpoint, for example data.preprocess.spacing_mm=[1.5,1.5,1.5].
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// What `export` takes.
#[derive(Clone, Debug, Args)]
pub struct ExportArgs {
    /// Checkpoint folder (or folder of a training).
    pub checkpoint: PathBuf,
    /// Whose names the tensors get: simtrot's, or those that the reference's load_state_dict takes.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Format,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// The encoder alone.
    #[arg(long)]
    pub encoder_only: bool,
    /// Also write an input and what the network makes of it, to check the weights wherever they are loaded.
    #[arg(long, value_name = "FILE")]
    pub example: Option<PathBuf>,
    /// Replace files that are already there.
    #[arg(long)]
    pub overwrite: bool,
}

/// Three whole numbers.
fn triple(text: &str) -> Result<[usize; 3], String> {
    let numbers: Result<Vec<usize>, _> = text.split([',', 'x']).map(|part| part.trim().parse()).collect();
    numbers
        .ok()
        .and_then(|numbers| numbers.try_into().ok())
        .ok_or_else(|| "expected three whole numbers, for example 64,128,128".to_owned())
}

/// What `bench` takes.
#[derive(Clone, Debug, Default, Args)]
pub struct BenchArgs {
    /// Write the results as JSON: {name: {median_s, min_s, peak_rss_mib}}.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// One piece of work only. `window_frame`, the processor's time for a frame of the window while a training runs, is timed
    /// only when it is asked for: it needs an adapter that draws.
    #[arg(long, value_name = "NAME")]
    pub only: Option<String>,
    /// Timed repetitions of each piece, after one that is not timed.
    #[arg(long, default_value_t = 5, value_name = "N")]
    pub runs: usize,
    /// CPU threads; all by default.
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}
