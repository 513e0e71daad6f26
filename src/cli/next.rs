//! What `next` takes.

use std::path::PathBuf;

use clap::Args;

use crate::experiment::Only;
use crate::next_case::Criterion;

/// What `next` takes.
#[derive(Clone, Debug, Args)]
pub struct NextArgs {
    /// Dataset whose cases without a label map are ranked: its JSON file, its folder, a folder of volumes or DICOM series, or the word `demo`.
    /// Without it, the dataset that the networks were trained on, by their split: cases that test or validate are left out, and a label map
    /// that the split does not use is taken as not there.
    pub data: Option<PathBuf>,
    /// Folder of the label maps, where DATA is a folder of images; called as for `configure`.
    #[arg(long, value_name = "DIR", requires = "data")]
    pub labels: Option<PathBuf>,
    /// Checkpoint folder, or folder of a training. One fine-tuned network shows how unsure it is, several also how far they differ; a pre-training
    /// compares cases by its tokens, and will do alone. The folder of an experiment stands for all folds and seeds of its arm.
    #[arg(long = "checkpoint", value_name = "CHECKPOINT", required = true)]
    pub checkpoints: Vec<PathBuf>,
    /// Which trainings of an experiment's folder: an arm or a level of an axis, for example arm=scratch or fold=0. Levels of one axis add up.
    #[arg(long, value_name = "AXIS=LEVEL")]
    pub only: Vec<Only>,
    /// Rank by entropy, disagreement or distance alone; given several times, by the mean of their ranks. All that can be measured by default.
    #[arg(long, value_name = "CRITERION")]
    pub by: Vec<Criterion>,
    /// Cases to print; the files hold all.
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub count: usize,
    /// Folder for ranking.json and ranking.csv, and for what was measured: stopped, the same command goes on. In the folder `next` of a run
    /// the window finds it.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace the ranking of other networks.
    #[arg(long)]
    pub overwrite: bool,
    /// Settings of the checkpoints to change: what begins with infer. or data.preprocess., finetune.crop_size, and data.source.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}
