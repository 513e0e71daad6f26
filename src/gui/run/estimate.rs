//! The plan of the run that is being set up, worked out beside the window: the last change wins.

use std::time::{Duration, Instant};

use eframe::egui::{self, Align, Layout, RichText, Ui, vec2};

use super::card;
use super::draft::{Draft, Work};
use crate::config::RunConfig;
use crate::device::DeviceChoice;
use crate::gui::{Background, Palette};
use crate::plan::{Plan, Smaller, StepPlan, plan};

/// Settings must rest for so long before they are planned: sliders change them at each frame.
const SETTLE: Duration = Duration::from_millis(250);

const MIB: f64 = (1 << 20) as f64;

/// What was asked, and what came of it.
#[derive(Default)]
pub(super) struct Estimate {
    /// What the newest answer is about.
    answered: Option<Question>,
    answer: Option<Result<Plan, String>>,
    work: Option<(Question, Background<Result<Plan, String>>)>,
    /// The newest question, and since when it stands.
    wanted: Option<(Question, Instant)>,
}

/// Settings and device: what a plan depends on.
type Question = (u64, DeviceChoice);

impl Estimate {
    /// An answer that is known, for tests.
    #[cfg(test)]
    pub(super) fn known(draft: &Draft, device: &DeviceChoice, answer: Result<Plan, String>) -> Self {
        Self { answered: Some((draft.revision(), device.clone())), answer: Some(answer), ..Self::default() }
    }

    /// Asks when the settings have rested, and takes the answer in.
    pub(super) fn poll(&mut self, ctx: &egui::Context, draft: &Draft, device: &DeviceChoice) {
        if self.work.as_mut().is_some_and(|(_, work)| work.poll())
            && let Some((question, work)) = self.work.take()
        {
            self.answered = Some(question);
            self.answer = Some(work.take().unwrap_or_else(|| Err("the plan was lost to an internal error".to_owned())));
        }
        let question = (draft.revision(), device.clone());
        if self.answered.as_ref() == Some(&question) || self.work.as_ref().is_some_and(|(asked, _)| *asked == question) {
            return;
        }
        let since = match &self.wanted {
            Some((wanted, since)) if *wanted == question => *since,
            _ => self.wanted.insert((question.clone(), Instant::now())).1,
        };
        // One plan at a time: the next one is about the settings as they stand by then.
        let rested = since.elapsed() >= SETTLE;
        if rested && self.work.is_none() && draft.problems().is_empty() {
            let (config, device): (RunConfig, DeviceChoice) = (draft.config().clone(), device.clone());
            self.work = Some((question, Background::start(ctx, move || plan(&config, &device).map_err(|error| format!("{error:#}")))));
        } else if !rested {
            ctx.request_repaint_after(SETTLE);
        }
    }

    /// Whether the answer is about the settings as they stand.
    fn is_current(&self, draft: &Draft, device: &DeviceChoice) -> bool {
        self.answered.as_ref().is_some_and(|(revision, asked)| *revision == draft.revision() && asked == device)
    }

    /// What the run will need. A button applies what would fit.
    pub(super) fn show(&self, ui: &mut Ui, draft: &mut Draft, device: &DeviceChoice) {
        let current = self.is_current(draft, device);
        ui.horizontal(|ui| {
            card::title(ui, "Memory");
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if !current && draft.problems().is_empty() {
                    card::note(ui, "working it out ...");
                }
            });
        });
        match &self.answer {
            _ if !draft.problems().is_empty() => card::note(ui, "Worked out once the settings above are in order."),
            None => {}
            Some(Err(message)) => card::problem(ui, message),
            Some(Ok(plan)) => {
                let steps = [
                    ("Pre-training", "pretrain", &plan.pretrain, draft.work != Work::Finetune),
                    ("Fine-tuning", "finetune", &plan.finetune, draft.work != Work::Pretrain),
                ];
                for (name, key, step, _) in steps.into_iter().filter(|(.., done)| *done) {
                    if let Some(smaller) = step_needs(ui, name, step, plan) {
                        draft.set(&format!("{key}.batch"), smaller.batch);
                        draft.set(&format!("{key}.accumulate"), smaller.accumulate);
                        draft.set(&format!("{key}.crop_size"), smaller.crop_size);
                    }
                }
                card::note(ui, format!("An estimate, for {}.", plan.device));
            }
        }
    }
}

/// One kind of step; what would fit instead, if it is asked for.
fn step_needs(ui: &mut Ui, name: &str, step: &StepPlan, plan: &Plan) -> Option<Smaller> {
    let palette = Palette::of(ui);
    let tokens: usize = step.model.stages.last().map_or(0, |stage| stage.grid.iter().product());
    let parameters = step.model.parameters.total() as f64 / 1e6;
    let needed = step.bytes as f64 / MIB;
    let (share, text) = match (plan.free_bytes, plan.binding_bytes) {
        (Some(free), _) => {
            let free = free as f64 / MIB;
            ((needed / free) as f32, format!("{needed:.0} of {free:.0} MiB free"))
        }
        (None, Some(most)) => {
            let (largest, most) = (step.model.largest_buffer_bytes as f64 / MIB, most as f64 / MIB);
            ((largest / most) as f32, format!("{needed:.0} MiB; largest tensor {largest:.0} of {most:.0} MiB"))
        }
        (None, None) => (0.0, format!("{needed:.0} MiB")),
    };
    let colour = if step.fits { palette.good() } else { palette.bad() };
    ui.horizontal(|ui| {
        ui.label(name);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.label(RichText::new(text).strong().color(if step.fits { ui.visuals().strong_text_color() } else { colour }));
        });
    });
    card::bar(ui, vec2(ui.available_width(), 6.0), share, colour, &format!("Memory of {name}"));
    card::note(ui, format!("{tokens} tokens a crop, {parameters:.1} million parameters"));
    if step.fits {
        return None;
    }
    let Some(smaller) = &step.instead else {
        card::problem(ui, "Does not fit, and no smaller batch or crop does: choose a smaller network or another device.");
        return None;
    };
    let crop = smaller.crop_size.map(|edge| edge.to_string()).join(" x ");
    let offer = format!("batch {}, {} batches added up, crop {crop}", smaller.batch, smaller.accumulate);
    card::problem(ui, &format!("Does not fit. This would: {offer}."));
    let button = ui.button(format!("Use what fits: {}", name.to_lowercase()));
    button.on_hover_text(format!("Sets {offer}")).clicked().then(|| smaller.clone())
}
