//! Files of a new case on their way: each appears whole or not at all, and one that is there already and holds the same is left alone, so
//! that a call that was cut short can be made once more.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::error::AddError;
use crate::atomic_file;
use crate::volume::segment::named;
use crate::volume::segmentation::{self, Subject};
use crate::volume::{LabelMap, SourceHeader, Volume, VolumeSource, file, grid_fault};

/// Copies tried behind a name.
const COPIES: usize = 100_000;

/// One file to be written. What stands there before a step is either nothing, or what the step would write.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A file as it is.
    Copy { from: PathBuf, to: PathBuf },
    /// A volume.
    Image { to: PathBuf, volume: Volume, header: SourceHeader },
    /// A label map in place of an older one, if any.
    Labels { to: PathBuf, map: LabelMap, header: SourceHeader, labels: BTreeMap<u32, String>, images: Vec<VolumeSource> },
    /// A text in place of the older one.
    Text { to: PathBuf, text: String },
}

impl Step {
    /// The file that appears.
    pub(super) fn target(&self) -> &Path {
        match self {
            Self::Copy { to, .. } | Self::Image { to, .. } | Self::Labels { to, .. } | Self::Text { to, .. } => to,
        }
    }

    /// Writes the file.
    pub(super) fn take(&self) -> Result<(), AddError> {
        match self {
            Self::Copy { from, to } => {
                let mut source = File::open(from).map_err(AddError::io(from))?;
                atomic_file::write_with(to, |out| io::copy(&mut source, out).map(drop)).map_err(AddError::io(to))
            }
            Self::Image { to, volume, header } => {
                make_folder(to)?;
                Ok(file::write_volume(to, volume, header).map(drop)?)
            }
            Self::Labels { to, map, header, labels, images } => {
                make_folder(to)?;
                let subject = Subject { header, images, segments: &named(labels), dataset: "" };
                Ok(segmentation::write(to, map, &subject).map(drop)?)
            }
            Self::Text { to, text } => atomic_file::write(to, text.as_bytes()).map_err(AddError::io(to)),
        }
    }
}

fn make_folder(file: &Path) -> Result<(), AddError> {
    let folder = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(AddError::io(folder))
}

/// Keeps a file that is about to be replaced: the step that copies it, none where a copy is there, and the copy. `name` makes the copy's name
/// of a number.
pub(super) fn keep(from: &Path, name: impl Fn(usize) -> PathBuf) -> Result<(Option<Step>, PathBuf), AddError> {
    let own = std::fs::read(from).map_err(AddError::io(from))?;
    for copy in (1..COPIES).map(name) {
        match std::fs::read(&copy) {
            Ok(kept) if kept == own => return Ok((None, copy)),
            Ok(_) => {}
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                return Ok((Some(Step::Copy { from: from.to_owned(), to: copy.clone() }), copy));
            }
            Err(cause) => return Err(AddError::Io { path: copy, cause }),
        }
    }
    Err(AddError::refuse(from, format!("has {COPIES} older copies beside it: move some of them away")))
}

/// Whether a file holds a volume, voxel for voxel.
pub(super) fn holds(file: &Path, volume: &Volume) -> bool {
    file::read(file).is_ok_and(|scan| {
        let own = &scan.volume;
        let same = |(a, b): (&f32, &f32)| a == b || a.is_nan() && b.is_nan();
        let fits = own.channels == volume.channels && grid_fault(&own.grid, &volume.grid, file).is_none();
        fits && own.voxels.iter().zip(&volume.voxels).all(same)
    })
}
