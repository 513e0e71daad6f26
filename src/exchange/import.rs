//! A file of another program becomes a checkpoint.

use std::path::Path;

use super::file::WeightsFile;
use super::imported::Imported;
use super::metadata::ExportMetadata;
use super::source::{ImportJob, Source};
use super::{ExchangeError, ImportReport};
use crate::protocol::StageKind;
use crate::train::{Checkpoint, Optimiser, Origin};

/// Imports a file: writes a checkpoint that `finetune --from`, `infer` and `probe` take, and reports what became of every tensor.
///
/// # Errors
/// A file without weights or damaged, a network that cannot be determined, an encoder that is not complete or would be taken in part,
/// a place that is taken.
pub fn import(job: &ImportJob) -> Result<ImportReport, ExchangeError> {
    refuse_occupied(&job.out, job.overwrite)?;
    let file = WeightsFile::open(&job.file)?;
    let metadata = ExportMetadata::read(&file)?;
    let source = Source::find(job, &file, metadata.as_ref())?;
    let network = source.describe(job)?;
    let imported = Imported::load(job, &source, &network)?;
    let differences = imported.differences(&source, &network)?;
    let (mut report, weights) = imported.account(&source, &network);
    if !report.missing.is_empty() || !report.mismatched.is_empty() {
        return Err(ExchangeError::Incomplete { report: Box::new(report) });
    }
    if !differences.is_empty() {
        return Err(ExchangeError::Unlike { path: file.path, differences });
    }
    let mut info = network.info(report.kind);
    info.parents = vec![format!("{} (sha256 {})", file.path.display(), file.sha256)];
    info.origin = Some(Origin { container: file.container.to_owned(), adapted: report.adapted.clone() });
    let rule = if report.kind == StageKind::Finetune { info.config.finetune.optimiser } else { info.config.pretrain.optimiser };
    let checkpoint = Checkpoint { info, weights, optimiser: Optimiser::new(rule).to_bytes() };
    let folder = job.out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = job.out.file_name().ok_or_else(|| ExchangeError::Refused(format!("{} names no folder to make", job.out.display())))?;
    report.checkpoint = Some(checkpoint.save(folder, &name.to_string_lossy())?);
    Ok(report)
}

/// A checkpoint, or nothing, may stand where the new one goes.
fn refuse_occupied(out: &Path, overwrite: bool) -> Result<(), ExchangeError> {
    let is_empty = std::fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_none());
    match overwrite {
        _ if !out.exists() || is_empty => Ok(()),
        true if Checkpoint::is_at(out) => Ok(()),
        true => {
            Err(ExchangeError::Refused(format!("{} is no checkpoint and is not replaced; name another place with --out", out.display())))
        }
        false => Err(ExchangeError::Exists(out.to_owned())),
    }
}
