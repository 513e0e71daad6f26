//! What the commands take that put corrected cases into a training set, and train on with them.

use std::path::PathBuf;

use clap::Args;

use super::bounds::BoundArgs;

/// What `add` takes.
#[derive(Clone, Debug, Args)]
pub struct AddArgs {
    /// The image (several files where each holds one channel, in the dataset's order), then its label map.
    #[arg(required = true, num_args = 2.., value_name = "IMAGE... LABELS")]
    pub files: Vec<PathBuf>,
    /// The dataset: its folder, its JSON file, or a folder of images (then with --labels). The image is copied into it unless it lies there.
    #[arg(long, value_name = "DATASET")]
    pub to: PathBuf,
    /// Folder of the dataset's label maps, where DATASET is a folder of images.
    #[arg(long, value_name = "DIR")]
    pub labels: Option<PathBuf>,
    /// What the case is called in the dataset; by default as its image.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The prediction that was corrected: its Dice against the corrected labels is recorded in the dataset (corrections.json).
    #[arg(long, value_name = "FILE")]
    pub predicted: Option<PathBuf>,
    /// The network that predicted it, to be recorded: a checkpoint's folder, or a name.
    #[arg(long, value_name = "CHECKPOINT", requires = "predicted")]
    pub network: Option<String>,
    /// How case names are made up, for example '{patient}_{scan}', where the dataset's list has folds and several cases may be of one patient: the
    /// case goes into the fold of its patient.
    #[arg(long, value_name = "PATTERN")]
    pub groups: Option<String>,
    /// Replace the label map that the case has already; the old one is kept beside.
    #[arg(long)]
    pub replace: bool,
}

/// What `learn` takes.
#[derive(Clone, Debug, Args)]
pub struct LearnArgs {
    /// Folder of a finished fine-tuning, or one of its checkpoints.
    pub checkpoint: PathBuf,
    /// The new experiment's folder; by default beside that of the training, under a name that is free. Called again, it goes on there.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Say what it would learn from and where it would be kept, and do nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// How far, and in how much memory.
    #[command(flatten)]
    pub bounds: BoundArgs,
    /// Change a setting of the training, for example finetune.steps=500.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}
