//! Settings that are planned from the dataset's cases, as `simtrot configure` does, on a thread of their own; and why they are as they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use eframe::egui::{self, CollapsingHeader, RichText, Ui, vec2};

use super::form::Form;
use crate::config::DataSource;
use crate::configure::{Configuration, Request, configure};
use crate::device::DeviceChoice;
use crate::gui::Palette;
use crate::gui::widgets::{Background, card};
use crate::volume::Dataset;

/// A plan that is made, or was.
pub(super) struct Planned {
    /// Cases read, and cases in all; 0 before the dataset is open.
    progress: Arc<[AtomicUsize; 2]>,
    work: Background<Result<Configuration, String>>,
}

impl Planned {
    /// Reads every case of a dataset and plans for a device; cases that cannot be used are left out if `skip_bad`.
    pub(super) fn begin(ctx: &egui::Context, source: DataSource, device: DeviceChoice, skip_bad: bool) -> Self {
        let progress = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let (counts, waker) = (Arc::clone(&progress), ctx.clone());
        let work = Background::start(ctx, move || {
            let dataset = Dataset::open(&source).map_err(|error| error.to_string())?;
            counts[1].store(dataset.cases.len(), Ordering::Relaxed);
            let read = |done, _| {
                counts[0].fetch_max(done, Ordering::Relaxed);
                waker.request_repaint();
            };
            configure((&dataset, &source), &Request { skip_bad, ..Request::default() }, &device, &read).map_err(|error| error.to_string())
        });
        Self { progress, work }
    }

    /// Lays the plan into the form, in the one call that finds it made.
    pub(super) fn poll(&mut self, form: &mut Form) {
        if self.work.poll()
            && let Some(Ok(made)) = self.work.get()
        {
            form.take_plan(&made.config, &made.fingerprint.name);
        }
    }

    /// How far it is, why there is none, or the reasons of what it chose.
    pub(super) fn show(&self, ui: &mut Ui) {
        card::title(ui, "Plan");
        match &self.work {
            Background::Working(_) => {
                let [done, total] = [0, 1].map(|place| self.progress[place].load(Ordering::Relaxed));
                let text = if total == 0 { "opening".to_owned() } else { format!("reading {done} of {total}") };
                ui.label(card::quiet(ui, &text));
                card::bar(ui, vec2(ui.available_width(), 6.0), done as f32 / total.max(1) as f32, Palette::of(ui).series(0), &text);
            }
            Background::Lost => card::problem(ui, "The plan was lost to an internal error: choose it again."),
            Background::Done(Err(message)) => card::problem(ui, message),
            Background::Done(Ok(made)) => {
                made.hints.iter().for_each(|hint| card::problem(ui, hint));
                card::note(ui, format!("For {}", made.memory));
                CollapsingHeader::new("Why these settings").id_salt("why").show_unindented(ui, |ui| {
                    for choice in &made.choices {
                        ui.label(RichText::new(format!("{}: {}", choice.key, choice.value)).strong());
                        card::note(ui, choice.reason.as_str());
                    }
                });
            }
        }
    }
}
