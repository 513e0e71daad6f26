//! Why weights could not be taken in or handed out.

use std::path::PathBuf;

use super::ImportReport;
use crate::config::{ConfigError, ConfigProblem};
use crate::train::CheckpointError;

/// Why weights could not be taken in or handed out.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The file system refused.
    #[error("{}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// Neither PyTorch's nor safetensors.
    #[error(
        "{}: no weights can be read from it ({cause}). Expected is what torch.save wrote, or safetensors: \
         if it should be one of them, it was cut short or damaged on its way; fetch it again",
        path.display()
    )]
    NoWeights {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        cause: String,
    },
    /// A pickle that needs a Python class to be run.
    #[error(
        "{}: a tensor in it needs the Python class {class} to be put together, and nothing in a pickle is ever run here. \
         In Python, save plain weights: torch.save(model.state_dict(), FILE)",
        path.display()
    )]
    Class {
        /// The file.
        path: PathBuf,
        /// The class.
        class: String,
    },
    /// A tensor is listed but cannot be read.
    #[error("{}: tensor {name:?} cannot be read ({cause}); fetch the file again, or save it anew as float32", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Why.
        cause: String,
    },
    /// No network of the backbone asked for.
    #[error(
        "{}: no {backbone} in it: no tensor's name ends in {landmarks}; the first are {names}. Is it another backbone's, \
         or of another program than --backbone is imported from?",
        path.display()
    )]
    NoNetwork {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        backbone: String,
        /// The tensors that show a network.
        landmarks: String,
        /// The first few names there are.
        names: String,
    },
    /// A backbone or preset that there is none of.
    #[error("{flag} {given}: there is no such {what}; known are {known}")]
    Unknown {
        /// Which flag.
        flag: &'static str,
        /// Its value.
        given: String,
        /// What it names.
        what: &'static str,
        /// What there is.
        known: String,
    },
    /// The shapes do not say enough.
    #[error("{}: {what} cannot be read off its shapes; {remedy}", path.display())]
    Undetermined {
        /// The file.
        path: PathBuf,
        /// What is not known.
        what: String,
        /// How to say it.
        remedy: String,
    },
    /// The network that the file and the flags describe is refused.
    #[error("{}: the network that its shapes and the flags describe is refused: {}", path.display(), list(problems))]
    Network {
        /// The file.
        path: PathBuf,
        /// Why.
        problems: Vec<ConfigProblem>,
    },
    /// A file of simtrot's own that says what the flags contradict.
    #[error("{}: {cause}", path.display())]
    Contradiction {
        /// The file.
        path: PathBuf,
        /// What contradicts what.
        cause: String,
    },
    /// Tensors of the encoder are missing or have other shapes.
    #[error("{report}\nnothing is written: the encoder is not complete; {}", report.advice())]
    Incomplete {
        /// What became of every tensor.
        report: Box<ImportReport>,
    },
    /// The file's encoder would be taken in part, or would compute otherwise than where it was trained.
    #[error(
        "{}: nothing is written, since its encoder would no longer compute what it did: {}. Leave out --preset and --set \
         where they contradict the file; an encoder that computes with more than simtrot's cannot be imported",
        path.display(), differences.join("; ")
    )]
    Unlike {
        /// The file.
        path: PathBuf,
        /// Settings with both values, and tensors that would be left.
        differences: Vec<String>,
    },
    /// Something that was asked for cannot be done with these weights.
    #[error("{0}")]
    Refused(String),
    /// The place is taken.
    #[error("{} is already there; replace it with --overwrite, or name another place with --out", .0.display())]
    Exists(PathBuf),
    /// A setting does not fit.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The checkpoint cannot be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

fn list(problems: &[ConfigProblem]) -> String {
    problems.iter().map(|ConfigProblem { key, message }| format!("{key} {message}")).collect::<Vec<_>>().join("; ")
}
