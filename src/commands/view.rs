//! `simtrot view`: the window on a volume and its label maps.

use std::path::{Path, PathBuf};

use super::{CliError, Options, window};
use crate::volume::labels::from_scan;
use crate::volume::{DataError, DataErrors, Fault, nifti};

/// Opens the window on volumes. What cannot be shown is told here, before it opens.
pub(super) fn view(image: PathBuf, labels: Vec<PathBuf>, manner: &Options) -> Result<u8, CliError> {
    let told = |file: &Path, errors: Vec<DataError>| match errors.as_slice() {
        [DataError { fault: Fault::Missing, .. }] => format!("{}: there is no such file. Check the path", file.display()),
        _ => DataErrors(errors).to_string(),
    };
    let read = |file: &Path| nifti::read(file).map_err(|error| vec![error]);
    let mut faults = Vec::from_iter(read(&image).err().map(|errors| told(&image, errors)));
    faults.extend(labels.iter().filter_map(|file| Some(told(file, read(file).and_then(|scan| from_scan(scan, None)).err()?))));
    if !faults.is_empty() {
        return Err(CliError::Input(faults.join("\n")));
    }
    if !manner.window {
        return Err(CliError::Input("view shows volumes in the window; leave --no-gui out".to_owned()));
    }
    window::view(image, labels, manner)
}
