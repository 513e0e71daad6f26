//! `simtrot view`: the window on a volume and its label maps.

use std::path::{Path, PathBuf};

use super::options::{CliError, Options};
use super::window;
use crate::volume::labels::from_scan;
use crate::volume::segmentation::is_structure_set;
use crate::volume::{DataError, DataErrors, Fault, VolumeSource, file};

/// Opens the window on volumes. What cannot be shown is reported here, before it opens.
pub(super) fn view(image: PathBuf, labels: Vec<PathBuf>, options: &Options) -> Result<u8, CliError> {
    let report = |file: &Path, errors: Vec<DataError>| match errors.as_slice() {
        [DataError { fault: Fault::Missing, .. }] => format!("{}: there is no such file. Check the path", file.display()),
        _ => DataErrors(errors).to_string(),
    };
    let read = |path: &Path| file::read(path).map_err(|error| vec![error]);
    let mut faults = Vec::from_iter(read(&image).err().map(|errors| report(&image, errors)));
    // Contours cannot be looked at without their image, whose faults are told above.
    let readable = faults.is_empty();
    let images = [VolumeSource::File(image.clone())];
    faults.extend(labels.iter().filter(|file| readable || !is_structure_set(file)).filter_map(|file| {
        let labels = || VolumeSource::label_map(file.clone(), &images).read().map_err(|DataErrors(errors)| errors);
        // A map of numbers is held against the image where it is laid over it.
        let is_map = file::is_entropy(file) || file::is_probabilities(file);
        let read = if is_map { read(file).map(drop) } else { labels().and_then(|scan| from_scan(scan, None)).map(drop) };
        Some(report(file, read.err()?))
    }));
    if !faults.is_empty() {
        return Err(CliError::Input(faults.join("\n")));
    }
    if !options.window {
        return Err(CliError::Input("view shows volumes in the window; leave --no-gui out".to_owned()));
    }
    window::view(image, labels, options)
}
