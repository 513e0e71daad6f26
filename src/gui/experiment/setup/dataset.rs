//! The dataset that an experiment is set up on: its check on a thread of its own, and the result in a sentence.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use eframe::egui;

use super::cases::CaseTable;
use crate::config::DataSource;
use crate::gui::widgets::Background;
use crate::volume::Dataset;
use crate::volume::check::{self, CheckReport};
use crate::wording::{count, file_name, list};

/// An open dataset.
pub(in crate::gui) struct OpenData {
    source: DataSource,
    /// Cases checked, and cases in all; 0 before the dataset is open.
    progress: Arc<[AtomicUsize; 2]>,
    check: Background<Result<(CheckReport, CaseTable), String>>,
}

impl OpenData {
    /// Opens a dataset and checks every case.
    pub(in crate::gui) fn open(ctx: &egui::Context, source: DataSource) -> Self {
        let progress = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let (counts, place, waker) = (Arc::clone(&progress), source.clone(), ctx.clone());
        let check = Background::start(ctx, move || {
            let dataset = Dataset::open(&place).map_err(|error| error.to_string())?;
            counts[1].store(dataset.cases.len(), Ordering::Relaxed);
            let report = check::inspect(&dataset, Default::default(), &|done, _| {
                counts[0].fetch_max(done, Ordering::Relaxed);
                waker.request_repaint();
            });
            let table = CaseTable::new(&report);
            Ok((report, table))
        });
        Self { source, progress, check }
    }

    /// A dataset whose check is known; none: it goes on for ever. For tests.
    #[cfg(test)]
    pub(in crate::gui) fn known(source: DataSource, report: Option<CheckReport>) -> Self {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        std::mem::forget(sender);
        let check = match report {
            Some(report) => Background::Done(Ok((report.clone(), CaseTable::new(&report)))),
            None => Background::Working(receiver),
        };
        Self { source, progress: Arc::default(), check }
    }

    /// As settings name it.
    pub(in crate::gui) fn source(&self) -> &DataSource {
        &self.source
    }

    /// True in the one call that finds the check done.
    pub(super) fn poll(&mut self) -> bool {
        self.check.poll()
    }

    /// What the check found, once it is done and the dataset could be opened.
    pub(in crate::gui) fn report(&self) -> Option<&CheckReport> {
        self.check.get().and_then(|result| result.as_ref().ok()).map(|(report, _)| report)
    }

    /// The same with its cases as a table.
    pub(super) fn cases(&mut self) -> Option<(&CheckReport, &mut CaseTable)> {
        let Background::Done(Ok((report, table))) = &mut self.check else { return None };
        Some((report, table))
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
    pub(super) fn checking(&self) -> Option<[usize; 2]> {
        let counts = || [0, 1].map(|place| self.progress[place].load(Ordering::Relaxed));
        self.check.is_working().then(counts)
    }

    /// Its name: the list's, or that of its folder.
    pub(in crate::gui) fn name(&self) -> String {
        let place = match (&self.source, self.place()) {
            (DataSource::Demo, _) => return "Demo: hippocampus, MRI".to_owned(),
            (_, None) => return "Random volumes".to_owned(),
            (_, Some(place)) => place,
        };
        let listed = self.report().map(|report| report.name.clone()).filter(|name| !name.is_empty());
        listed.unwrap_or_else(|| file_name(place))
    }

    /// Where it lies on disk.
    pub(super) fn place(&self) -> Option<&PathBuf> {
        match &self.source {
            DataSource::Dataset(path) | DataSource::Folders { images: path, .. } => Some(path),
            DataSource::Demo | DataSource::Synthetic(_) => None,
        }
    }
}

/// `3 unusable cases and 1 file of no case`: what `data.skip_bad` goes on without; empty where that is nothing.
pub(super) fn left_out(report: &CheckReport) -> String {
    let kinds = [(report.unusable().len(), "unusable case", ""), (report.strays(), "file", " of no case")];
    let words = kinds.into_iter().filter(|&(number, ..)| number > 0).map(|(number, unit, of)| format!("{}{of}", count(number, unit)));
    list(&words.collect::<Vec<_>>())
}

/// `40 cases, 22 labelled, no problems`.
pub(super) fn headline(report: &CheckReport) -> String {
    let labelled = report.rows.iter().filter(|row| row.labels.is_some()).count();
    let problems = match (report.problems.len(), report.unusable().len()) {
        (0, _) if !report.equal_images.is_empty() => format!("{} more than once", count(report.equal_images.len(), "image")),
        (0, _) => "no problems".to_owned(),
        (found, 0) => count(found, "problem"),
        (found, unusable) => format!("{} in {}", count(found, "problem"), count(unusable, "case")),
    };
    format!("{}, {labelled} labelled, {problems}", count(report.rows.len(), "case"))
}
