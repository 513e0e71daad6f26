//! `simtrot convert`: a volume in another format.

use std::path::Path;

use super::options::{CliError, Options};
use crate::terminal;
use crate::volume::label_table::LabelTable;
use crate::volume::{file, note};

/// Axes whose cosine is larger are said to be sheared: programs that take directions for a rotation misplace them.
const SHEARED: f64 = 1e-3;

/// Writes a volume to a file of another ending, and prints what was assumed and what is lost.
pub(super) fn convert(input: &Path, out: &Path, options: &Options) -> Result<u8, CliError> {
    let refuse = |cause: &str| Err(CliError::Input(format!("{}: {cause}", out.display())));
    let Some(files) = file::written(out) else {
        return refuse("cannot be written under this ending. Choose .nii, .nii.gz, .nrrd, .nhdr, .mha or .mhd");
    };
    if let Some(there) = files.iter().find(|file| file.exists()) {
        return refuse(&format!(
            "{} is already there, and nothing is overwritten. Choose another name, or take it away first",
            there.display()
        ));
    }
    let scan = file::read(input).map_err(|error| CliError::Input(error.to_string()))?;
    let table = LabelTable::within(input).map_err(CliError::Input)?;
    let scalar = file::write_volume(out, &scan.volume, &scan.header).map_err(|error| CliError::Failure(error.to_string()))?;
    for line in note::lines(&scan.notes) {
        terminal::print(format_args!("note: {line}"));
    }
    if let Some(table) = table {
        let names: Vec<String> =
            table.entries.iter().map(|(value, entry)| format!("{value} {}", entry.name.as_deref().unwrap_or("without a name"))).collect();
        terminal::print(format_args!("note: names of segments are not written into {}: {}", out.display(), names.join(", ")));
    }
    if scan.volume.grid.shear() > SHEARED {
        terminal::print(format_args!("note: its axes are not at right angles; programs that expect that refuse or misplace it"));
    }
    if !options.quiet {
        let channels = if scan.volume.channels == 1 { String::new() } else { format!("{} channels of ", scan.volume.channels) };
        terminal::print(format_args!("{}: {channels}{}, stored as {scalar}", out.display(), scan.volume.grid));
    }
    Ok(0)
}
