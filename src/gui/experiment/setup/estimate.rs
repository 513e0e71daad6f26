//! The memory of the experiment that is being set up, worked out beside the window: the last change wins.

use std::time::{Duration, Instant};

use eframe::egui::{self, RichText, Ui, vec2};

use super::form::Form;
use crate::device::DeviceChoice;
use crate::gui::Palette;
use crate::gui::widgets::{Background, card};
use crate::plan::{Plan, Smaller, StepPlan, plan};
use crate::protocol::StageKind;

/// Settings must rest for so long before they are planned: sliders change them at each frame.
const SETTLE: Duration = Duration::from_millis(250);
const MIB: f64 = (1 << 20) as f64;

/// What was asked, and the answer.
#[derive(Default)]
pub(in crate::gui) struct Estimate {
    /// What the newest answer is about, and the answer.
    answer: Option<(Question, Result<Plan, String>)>,
    work: Option<(Question, Background<Result<Plan, String>>)>,
    /// The newest question, and since when it stands.
    wanted: Option<(Question, Instant)>,
}

/// Settings and device: what a plan depends on.
type Question = (u64, DeviceChoice);

impl Estimate {
    /// An answer that is known, for tests.
    #[cfg(test)]
    pub(in crate::gui) fn known(form: &Form, device: &DeviceChoice, answer: Plan) -> Self {
        Self { answer: Some(((form.revision(), device.clone()), Ok(answer))), ..Self::default() }
    }

    /// Asks when the settings have rested, and takes the answer in.
    pub(super) fn poll(&mut self, ctx: &egui::Context, form: &Form, device: &DeviceChoice) {
        if self.work.as_mut().is_some_and(|(_, work)| work.poll())
            && let Some((question, work)) = self.work.take()
        {
            self.answer = Some((question, work.take().unwrap_or_else(|| Err("the plan was lost to an internal error".to_owned()))));
        }
        let question = (form.revision(), device.clone());
        if self.is_current(&question) || self.work.as_ref().is_some_and(|(asked, _)| *asked == question) {
            return;
        }
        let since = match &self.wanted {
            Some((wanted, since)) if *wanted == question => *since,
            _ => self.wanted.insert((question.clone(), Instant::now())).1,
        };
        // One plan at a time: the next one is about the settings as they stand by then.
        if since.elapsed() < SETTLE {
            ctx.request_repaint_after(SETTLE);
        } else if self.work.is_none() && form.problems().is_empty() {
            let (config, device) = (form.config().clone(), device.clone());
            let trainings = move || plan(&[(StageKind::Pretrain, &config), (StageKind::Finetune, &config)], &device, &[]);
            self.work = Some((question, Background::start(ctx, move || trainings().map_err(|error| format!("{error:#}")))));
        }
    }

    fn is_current(&self, question: &Question) -> bool {
        self.answer.as_ref().is_some_and(|(answered, _)| answered == question)
    }

    /// What the trainings will need. A button applies what would fit.
    pub(super) fn show(&self, ui: &mut Ui, form: &mut Form, device: &DeviceChoice) {
        let current = self.is_current(&(form.revision(), device.clone()));
        let waits = !current && form.problems().is_empty();
        let note = |ui: &mut Ui| waits.then(|| card::note(ui, "working it out ..."));
        card::sides(ui, |ui| card::title(ui, "Memory"), note);
        match &self.answer {
            _ if !form.problems().is_empty() => card::note(ui, "Worked out once the settings above are in order."),
            None => {}
            Some((_, Err(message))) => card::problem(ui, message),
            Some((_, Ok(plan))) => {
                let work = form.work;
                for step in plan.steps.iter().filter(|step| work.includes(step.kind)) {
                    let (name, key) =
                        if step.kind == StageKind::Pretrain { ("Pre-training", "pretrain") } else { ("Fine-tuning", "finetune") };
                    if let Some(smaller) = step_needs(ui, name, step, plan) {
                        form.set(&format!("{key}.batch"), smaller.batch);
                        form.set(&format!("{key}.accumulate"), smaller.accumulate);
                        form.set(&format!("{key}.crop_size"), smaller.crop_size);
                    }
                }
                card::note(ui, format!("An estimate, for {}. {}", plan.device, plan.untold().unwrap_or_default()).trim_end());
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
        (Some(free), most) if most.is_none_or(|most| step.model.largest_buffer_bytes <= most) => {
            let free = free as f64 / MIB;
            (needed / free, format!("{needed:.0} of {free:.0} MiB free"))
        }
        (_, Some(most)) => {
            let (largest, most) = (step.model.largest_buffer_bytes as f64 / MIB, most as f64 / MIB);
            (largest / most, format!("{needed:.0} MiB; largest tensor {largest:.0} of {most:.0} MiB"))
        }
        (_, None) => (0.0, format!("{needed:.0} MiB")),
    };
    let (bar, ink) = if step.fits { (palette.good(), ui.visuals().strong_text_color()) } else { (palette.bad(), palette.bad()) };
    card::sides(ui, |ui| drop(ui.label(name)), |ui| ui.label(RichText::new(text).strong().color(ink)));
    card::bar(ui, vec2(ui.available_width(), 6.0), share as f32, bar, &format!("Memory of {name}"));
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
