//! The dataset that a run is set up on: its check on a thread of its own, and what came out in a sentence.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use eframe::egui;

use super::cases::CaseTable;
use crate::config::DataSource;
use crate::gui::Background;
use crate::volume::Dataset;
use crate::volume::check::{self, CheckReport};
use crate::wording::count;

/// An open dataset.
pub(super) struct OpenData {
    source: DataSource,
    progress: Arc<Progress>,
    check: Background<Result<CheckReport, String>>,
    /// The cases as a table, once they are checked.
    table: Option<CaseTable>,
}

/// Cases checked, and cases in all; 0 before the dataset is open.
#[derive(Debug, Default)]
struct Progress {
    done: AtomicUsize,
    total: AtomicUsize,
}

impl OpenData {
    /// Opens a dataset and checks every case.
    pub(super) fn open(ctx: &egui::Context, source: DataSource) -> Self {
        let progress = Arc::new(Progress::default());
        let (told, place, waker) = (Arc::clone(&progress), source.clone(), ctx.clone());
        let check = Background::start(ctx, move || {
            let dataset = Dataset::open(&place).map_err(|error| error.to_string())?;
            told.total.store(dataset.cases.len(), Ordering::Relaxed);
            Ok(check::inspect(&dataset, Default::default(), &|done, _| {
                told.done.fetch_max(done, Ordering::Relaxed);
                waker.request_repaint();
            }))
        });
        Self { source, progress, check, table: None }
    }

    /// A dataset whose check is known, for tests.
    #[cfg(test)]
    pub(super) fn checked(source: DataSource, report: Result<CheckReport, String>) -> Self {
        let table = report.as_ref().ok().map(CaseTable::new);
        Self { source, progress: Arc::default(), check: Background::Done(report), table }
    }

    /// A dataset whose check never ends, for tests.
    #[cfg(test)]
    pub(super) fn check_again(&mut self) {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        std::mem::forget(sender);
        self.check = Background::Working(receiver);
    }

    /// As settings name it.
    pub(super) fn source(&self) -> &DataSource {
        &self.source
    }

    /// True in the one call that finds the check done.
    pub(super) fn poll(&mut self) -> bool {
        let done = self.check.poll();
        if done {
            self.table = self.report().map(CaseTable::new);
        }
        done
    }

    /// What the check found, once it is done and the dataset could be opened.
    pub(super) fn report(&self) -> Option<&CheckReport> {
        self.check.get().and_then(|result| result.as_ref().ok())
    }

    /// The same with its cases as a table.
    pub(super) fn checked_cases(&mut self) -> Option<(&CheckReport, &mut CaseTable)> {
        let Background::Done(Ok(report)) = &self.check else { return None };
        Some((report, self.table.as_mut()?))
    }

    /// Why there is nothing to train on.
    pub(super) fn failure(&self) -> Option<&str> {
        match &self.check {
            Background::Done(Err(message)) => Some(message),
            Background::Lost => Some("the check was lost to an internal error; open the dataset again"),
            Background::Done(Ok(_)) | Background::Working(_) => None,
        }
    }

    /// Cases checked and cases in all, while the check goes on.
    pub(super) fn checking(&self) -> Option<(usize, usize)> {
        let Progress { done, total } = &*self.progress;
        self.check.is_working().then(|| (done.load(Ordering::Relaxed), total.load(Ordering::Relaxed)))
    }

    /// Its name: the list's, or that of its folder.
    pub(super) fn name(&self) -> String {
        let place = match &self.source {
            DataSource::Demo => return "Demo: hippocampus, MRI".to_owned(),
            DataSource::Synthetic(_) => return "Random volumes".to_owned(),
            DataSource::Dataset(path) | DataSource::Folders { images: path, .. } => path,
        };
        let listed = self.report().map(|report| report.name.clone()).filter(|name| !name.is_empty());
        listed.unwrap_or_else(|| place.file_name().unwrap_or(place.as_os_str()).to_string_lossy().into_owned())
    }

    /// Where it lies on disk.
    pub(super) fn place(&self) -> Option<&PathBuf> {
        match &self.source {
            DataSource::Dataset(path) | DataSource::Folders { images: path, .. } => Some(path),
            DataSource::Demo | DataSource::Synthetic(_) => None,
        }
    }
}

/// `40 cases, 22 labelled, no problems`.
pub(super) fn headline(report: &CheckReport) -> String {
    let labelled = report.rows.iter().filter(|row| row.labels.is_some()).count();
    let problems = match report.problems.len() {
        0 if !report.equal_images.is_empty() => format!("{} more than once", count(report.equal_images.len(), "image")),
        0 => "no problems".to_owned(),
        found => match report.unusable().len() {
            0 => count(found, "problem"),
            unusable => format!("{} in {}", count(found, "problem"), count(unusable, "case")),
        },
    };
    format!("{}, {labelled} labelled, {problems}", count(report.rows.len(), "case"))
}
