//! Settings that are planned from the dataset's cases, as `simtrot configure` does, on a thread of their own; and why they are as they are.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use eframe::egui::{self, Button, CollapsingHeader, RichText, TextEdit, Ui, vec2};

use super::form::Form;
use crate::config::DataSource;
use crate::configure::{Configuration, ConfigureError, Measurement, Planner, Request, time};
use crate::device::DeviceChoice;
use crate::gui::Palette;
use crate::gui::widgets::{Background, card};
use crate::volume::Dataset;

/// A plan that is made, or was. Where it is thrown away, its thread measures no further step.
pub(super) struct Planned {
    under_way: Arc<UnderWay>,
    work: Background<Result<Configuration, String>>,
}

/// What the thread that plans shows, and is told.
#[derive(Default)]
struct UnderWay {
    /// Cases read, and cases in all; 0 before the dataset is open.
    cases: [AtomicUsize; 2],
    /// Steps that were measured, and the one that is.
    measured: Mutex<Vec<Measurement>>,
    stop: AtomicBool,
}

/// The time that a text means, in seconds; none where it says nothing.
///
/// # Errors
/// It is no time.
pub(super) fn seconds(text: &str) -> Result<Option<f64>, String> {
    if text.trim().is_empty() { Ok(None) } else { time::parse(text).map(Some) }
}

impl Planned {
    /// Reads every case of a dataset and plans for a device, by measured steps where the request names a time.
    pub(super) fn begin(ctx: &egui::Context, source: DataSource, device: DeviceChoice, request: Request) -> Self {
        let under_way = Arc::new(UnderWay::default());
        let (shared, waker) = (Arc::clone(&under_way), ctx.clone());
        let work = Background::start(ctx, move || {
            let dataset = Dataset::open(&source).map_err(|error| error.to_string())?;
            shared.cases[1].store(dataset.cases.len(), Ordering::Relaxed);
            let read = |done, _| {
                shared.cases[0].fetch_max(done, Ordering::Relaxed);
                waker.request_repaint();
            };
            let planner = Planner::read((&dataset, &source), &request, &device, &read).map_err(|error| error.to_string())?;
            if shared.stop.load(Ordering::Relaxed) {
                return Err(ConfigureError::Stopped.to_string());
            }
            let made = planner.plan(&mut |measurement| {
                shared.show(measurement);
                waker.request_repaint();
                !shared.stop.load(Ordering::Relaxed)
            });
            made.map_err(|error| error.to_string())
        });
        Self { under_way, work }
    }

    /// Lays the plan into the form, in the one call that finds it made.
    pub(super) fn poll(&mut self, form: &mut Form) {
        if self.work.poll()
            && let Some(Ok(made)) = self.work.get()
        {
            form.take_plan(&made.config, &made.fingerprint.name);
        }
    }

    /// The `time` to plan for, and how far the plan is, why there is none, or the reasons of what it chose. Whether it is asked for anew; not
    /// with a time while an experiment is `busy`.
    pub(super) fn show(&self, ui: &mut Ui, time: &mut String, busy: bool) -> bool {
        card::title(ui, "Plan");
        let hint = "Time that all trainings and tests may take, for example 2h: steps are measured, and what fits is planned";
        let label = ui.label("Time for all").on_hover_text(hint);
        let wanted = seconds(time);
        let asked = ui.horizontal(|ui| {
            let edit = TextEdit::singleline(time).hint_text("as long as it takes").desired_width(ui.available_width() - 92.0);
            ui.add(edit.background_color(card::field_ground(ui))).labelled_by(label.id);
            if self.work.is_working() {
                if ui
                    .button("Stop")
                    .on_hover_text("Ends once the cases are read or the step is made; the settings stay as they are")
                    .clicked()
                {
                    self.under_way.stop.store(true, Ordering::Relaxed);
                }
                return false;
            }
            let waits = busy && wanted != Ok(None);
            let button = ui.add_enabled(wanted.is_ok() && !waits, Button::new("Plan anew"));
            let why = if waits { "An experiment is at work: steps would seem slower than they are" } else { "Give a number with its unit" };
            button.on_hover_text("Plans from the cases once more").on_disabled_hover_text(why).clicked()
        });
        if let Err(problem) = &wanted {
            card::problem(ui, problem);
        }
        match &self.work {
            Background::Working(_) => self.under_way.draw(ui),
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
        asked.inner
    }
}

impl Drop for Planned {
    fn drop(&mut self) {
        self.under_way.stop.store(true, Ordering::Relaxed);
    }
}

impl UnderWay {
    /// Takes in what is measured: once before, with its seconds once it is known.
    fn show(&self, measurement: &Measurement) {
        let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        if measured.last().is_some_and(|last| last.secs.is_none()) {
            measured.pop();
        }
        measured.push(measurement.clone());
    }

    fn draw(&self, ui: &mut Ui) {
        let [done, total] = [0, 1].map(|place| self.cases[place].load(Ordering::Relaxed));
        let text = if total == 0 { "opening".to_owned() } else { format!("reading {done} of {total}") };
        ui.label(card::quiet(ui, &text));
        card::bar(ui, vec2(ui.available_width(), 6.0), done as f32 / total.max(1) as f32, Palette::of(ui).series(0), &text);
        let measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        for measurement in measured.iter() {
            let text = if measurement.secs.is_some() { measurement.to_string() } else { format!("measuring {measurement}") };
            card::note(ui, text);
        }
        if self.stop.load(Ordering::Relaxed) {
            card::note(ui, "stopping");
        }
    }
}
