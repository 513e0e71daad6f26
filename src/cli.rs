//! The command line. It only reads words; `commands` carries them out.

mod bounds;
mod corrections;
mod next;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::configure;
use crate::device::DeviceChoice;
use crate::exchange::{ExportJob, ImportJob};
use crate::experiment::{Only, Shard};
use crate::volume::file::Format;
pub use bounds::BoundArgs;
pub use corrections::{AddArgs, LearnArgs};
pub use next::NextArgs;

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
    /// Devices that share each batch of a training, for example gpu:0,gpu:1; `cpu,cpu` halves the processor's threads. For demo, run, pretrain,
    /// finetune and plan, in place of --device.
    #[arg(long, global = true, value_delimiter = ',', value_name = "DEVICE,DEVICE")]
    pub devices: Vec<DeviceChoice>,
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
    /// Look at every case of a dataset, and write a config for it in which each setting stands below its reason, by nnU-Net's rules.
    Configure(ConfigureArgs),
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
        /// Checkpoint folder (or folder of a training) whose encoder to start from; with --set finetune.whole_network=true all of its weights.
        #[arg(long, value_name = "CHECKPOINT")]
        from: Option<PathBuf>,
        /// How it is made.
        #[command(flatten)]
        train: TrainArgs,
    },
    /// Add a case with its label map to a dataset on disk, and record what was corrected of its prediction.
    Add(AddArgs),
    /// Train a finished fine-tuning on, from all of its weights, with the cases that were added to its dataset since. Validation and test
    /// cases stay as they were.
    Learn(LearnArgs),
    /// Trainings, memory, time and disk that a config needs, before anything is made. Exit code 2 when it cannot fit.
    Plan {
        /// The config (RON), the folder of an experiment, a dataset whose config `run` keeps, or the word `demo`.
        config: PathBuf,
        /// Where, and which part.
        #[command(flatten)]
        part: PartArgs,
        /// List the trainings without measuring steps.
        #[arg(long)]
        dry_run: bool,
        /// Memory that cases read ahead may take, as of `run`.
        #[arg(long, value_name = "SIZE", value_parser = configure::memory::parse_held)]
        memory: Option<u64>,
    },
    /// How far an experiment is: what is done, under way, failed, missing.
    Status {
        /// The folder of an experiment, its config, or a dataset whose config `run` keeps.
        experiment: PathBuf,
        /// Where, and which part.
        #[command(flatten)]
        part: PartArgs,
        /// Then follow what programs make of it, also on other computers: records are read as they grow, and nothing is touched.
        #[arg(long)]
        follow: bool,
    },
    /// Write tables, plots and plain sentences of what is done: report.html, report.md and CSV files in the experiment's folder.
    Report {
        /// The folder of an experiment, its config, or a dataset whose config `run` keeps.
        experiment: PathBuf,
        /// Where.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Segment volumes with one or more fine-tuned checkpoints, on their own grid.
    Infer(InferArgs),
    /// Which unlabelled case to label next: all of them in order, each with its reason.
    Next(NextArgs),
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
        /// Settings of `evaluate`, `data.regions` and `seed` to change, for example evaluate.distance_unit=voxels.
        #[arg(long = "set", value_name = "KEY=VALUE")]
        set: Vec<String>,
    },
    /// Measure representation collapse of a checkpoint on volumes.
    Probe {
        /// Checkpoint folder (or folder of a training).
        #[arg(long, value_name = "CHECKPOINT")]
        checkpoint: PathBuf,
        /// Dataset: its JSON file, its folder, a folder of volumes, or the word `demo`.
        data: PathBuf,
        /// Write the numbers as JSON too.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// Settings of `probe` to change.
        #[arg(long = "set", value_name = "KEY=VALUE")]
        set: Vec<String>,
    },
    /// Turn weights of PyTorch or safetensors into a checkpoint, and print what became of every tensor.
    Import {
        /// What, and how.
        #[command(flatten)]
        job: ImportJob,
        /// Write what became of every tensor as JSON too.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
    /// Write a checkpoint's weights as one safetensors file.
    Export(ExportJob),
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
        /// The image: NIfTI, NRRD, MetaImage or the folder of a DICOM series.
        image: PathBuf,
        /// Label maps.
        labels: Vec<PathBuf>,
    },
    /// Write a volume in another format, chosen by the ending of OUT: .nii, .nii.gz, .nrrd, .nhdr, .mha or .mhd; a label map also as .seg.nrrd or
    /// .dcm (DICOM SEG). Nothing is overwritten.
    Convert {
        /// The volume, a DICOM segmentation or structure set (RTSTRUCT), or the folder of a DICOM series.
        input: PathBuf,
        /// The file to write.
        out: PathBuf,
        /// The folder of the DICOM series that a label map is of: what a .dcm file refers to, and on whose slices the contours of a structure
        /// set become labels.
        #[arg(long, value_name = "SERIES")]
        like: Option<PathBuf>,
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
        /// Dataset: its JSON file, its folder, a folder of volumes or DICOM series, or the word `demo`.
        data: PathBuf,
        /// Folder of the label maps, where DATA is a folder of images; called as for `configure`.
        #[arg(long, value_name = "DIR")]
        labels: Option<PathBuf>,
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
    /// How far, and in how much memory.
    #[command(flatten)]
    pub bounds: BoundArgs,
    /// Its settings.
    #[command(flatten)]
    pub settings: SettingArgs,
}

/// Settings on the command line.
#[derive(Clone, Debug, Default, Args)]
pub struct SettingArgs {
    /// Go on without cases that `simtrot check` finds unusable, and say so.
    #[arg(long)]
    pub skip_bad: bool,
    /// Change a setting, for example pretrain.mask_ratio=0.5. Values are JSON or bare words.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// What `configure` takes.
#[derive(Clone, Debug, Args)]
pub struct ConfigureArgs {
    /// Dataset: its JSON file, its folder, a folder of volumes or DICOM series, or the word `demo`.
    pub data: PathBuf,
    /// Folder of the label maps, where DATA is a folder of images: files called as the images, or, of DICOM series, as the case or as a folder
    /// that holds that series alone, or DICOM segmentations or structure sets (RTSTRUCT) that refer to it.
    #[arg(long, value_name = "DIR")]
    pub labels: Option<PathBuf>,
    /// The config to write; NAME.ron by default, after the dataset.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Memory to plan for, for example 8GiB, also that of another machine; without it what is free, but no more than 8 GiB, as nnU-Net does.
    #[arg(long, value_name = "SIZE", value_parser = configure::memory::parse)]
    pub memory: Option<u64>,
    /// Time that all trainings and tests may take, for example 2h or 1h30min: steps are measured on the device, for a tenth of the time
    /// and a minute at most, collapse once, and crops and steps are planned that fit.
    #[arg(long, value_name = "TIME", value_parser = configure::time::parse)]
    pub time: Option<f64>,
    /// How case names name the patient, for example '{patient}_{scan}': scans of one stay on one side of the split.
    #[arg(long, value_name = "PATTERN")]
    pub groups: Option<String>,
    /// Leave out cases that `simtrot check` finds unusable, and say so in the config.
    #[arg(long)]
    pub skip_bad: bool,
    /// Replace the config that is already there.
    #[arg(long)]
    pub overwrite: bool,
}

/// What `run` takes.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// The config (RON), the folder of an experiment, or the word `demo`. What is done stays, what is missing is made. Of a dataset's
    /// folder or list a config is made first, as by `configure`, and written beside the experiment's folder.
    pub config: PathBuf,
    /// Where, and which part.
    #[command(flatten)]
    pub part: PartArgs,
    /// List the trainings and do nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// How far, and in how much memory.
    #[command(flatten)]
    pub bounds: BoundArgs,
    /// Of a dataset without a config: time that all trainings and tests may take, as of `configure`. Refused where there is a config.
    #[arg(long, value_name = "TIME", value_parser = configure::time::parse, conflicts_with = "shard")]
    pub time: Option<f64>,
    /// Refused with the reason: `run` goes on by itself.
    #[arg(long, hide = true)]
    pub resume: bool,
    /// Refused with the reason: `run` replaces nothing.
    #[arg(long, hide = true)]
    pub overwrite: bool,
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
    /// Only the I-th of N shares of these trainings, counted from 1, which are about the same work. Other shards may be made in the same
    /// folder at the same time, on this computer and on others; each is followed in the terminal.
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,
    /// Trainings at the same time, on a device with room for them.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub jobs: usize,
    /// Its settings.
    #[command(flatten)]
    pub settings: SettingArgs,
}

/// What `infer` takes.
#[derive(Clone, Debug, Args)]
pub struct InferArgs {
    /// Checkpoint folder, or folder of a training. Given several times, the probabilities of the networks are averaged; the folder of an
    /// experiment stands for all folds and seeds of its arm.
    #[arg(long = "checkpoint", value_name = "CHECKPOINT", required = true)]
    pub checkpoints: Vec<PathBuf>,
    /// Which trainings of an experiment's folder: an arm or a level of an axis, for example arm=scratch or fold=0. Levels of one axis add up.
    #[arg(long, value_name = "AXIS=LEVEL")]
    pub only: Vec<Only>,
    /// Volumes (NIfTI, NRRD, MetaImage), or folders of them or of DICOM series. For a network of several channels these may be files of their own, which end in
    /// _0000, _0001, ... Files that cannot be segmented are listed at the end; called again, what is missing is made.
    #[arg(required = true)]
    pub input: Vec<PathBuf>,
    /// Folder for the segmentations.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace segmentations that are already there.
    #[arg(long)]
    pub overwrite: bool,
    /// Write all segmentations as nii.gz, nrrd, seg.nrrd (with the labels' names), mha or dcm (DICOM SEG, of DICOM series alone); by default each in
    /// the format of its image.
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Write how sure the networks are, too: probabilities/CASE, a float32 channel for each class, and entropy/CASE in nats.
    #[arg(long)]
    pub probabilities: bool,
    /// Keep segmentations as the networks make them, also where the largest component of a label alone was nearer the truth in held-out cases.
    #[arg(long)]
    pub no_postprocessing: bool,
    /// Settings of the checkpoint's `infer` part to change, for example infer.mirror=true.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// What `bench` takes.
#[derive(Clone, Debug, Default, Args)]
pub struct BenchArgs {
    /// Write the results as JSON: {name: {median_s, min_s, peak_rss_mib}}.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Time the operations that steps consist of instead, by this device's own kernels and by the tensor library's operations.
    #[arg(long)]
    pub operations: bool,
    /// One piece of work only; with --operations those whose name contains it. `window_frame` and `paint_frame`, the processor's time for a frame of the window that scrolls or paints
    /// while a training runs, are timed only when they are asked for: they need an adapter that draws.
    #[arg(long, value_name = "NAME")]
    pub only: Option<String>,
    /// Timed repetitions of each piece, after one that is not timed.
    #[arg(long, default_value_t = 5, value_name = "N")]
    pub runs: usize,
    /// CPU threads; all by default.
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}
