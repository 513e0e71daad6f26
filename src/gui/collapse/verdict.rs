//! The verdict: one word, a symbol, what it means, what to try.

use eframe::egui::{Color32, Frame, Margin, Pos2, Rect, RichText, Sense, Shape, Stroke, Ui, Vec2, vec2};

use crate::config::{PretrainConfig, Rotate};
use crate::gui::Palette;
use crate::metrics::collapse::{Collapse, Judgement, THRESHOLDS, Verdict, verdict};
use crate::wording::sentence;

/// The least mask ratio that was tried; less is not advised.
const LITTLE_MASKED: f64 = 0.25;
/// Edge of the symbol in points.
const SYMBOL: f32 = 54.0;

/// What the panel says of an encoder, whether or not there is a verdict.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct VerdictCard {
    /// None where it cannot be judged.
    verdict: Option<Verdict>,
    word: String,
    /// What it means.
    sentence: String,
    /// What to try.
    advice: String,
}

impl VerdictCard {
    /// Of the newest measurement, beside that of the untrained network.
    pub(super) fn new(now: &Collapse, untrained: &Collapse, config: &PretrainConfig) -> Self {
        if let Some(Judgement { verdict, sentence: why }) = verdict(now, untrained) {
            return Self { verdict: Some(verdict), word: sentence(verdict.word()), sentence: why, advice: advice(verdict, config) };
        }
        let (word, sentence, advice) = if now.uniformity.is_none() {
            (
                "Not a number",
                "Some tokens were not finite numbers when they were measured: there is nothing to judge.",
                "lower the learning rate (pretrain.optimiser.lr), or check the volumes with the check of the Run panel.",
            )
        } else {
            (
                "Not judged",
                "The rotated volumes were not measured, and the verdict rests on them.",
                "measure the checkpoint again with this version.",
            )
        };
        Self { verdict: None, word: word.to_owned(), sentence: sentence.to_owned(), advice: advice.to_owned() }
    }

    /// Before anything was measured.
    pub(super) fn unmeasured(sentence: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { verdict: None, word: "Nothing measured yet".to_owned(), sentence: sentence.into(), advice: advice.into() }
    }

    /// Draws the card; `measured` says when, and of which tokens.
    pub(super) fn show(&self, ui: &mut Ui, measured: Option<&str>) {
        let palette = Palette::of(ui);
        let colour = self.verdict.map_or_else(|| palette.reference(), |verdict| palette.verdict(verdict));
        let fill = ui.visuals().faint_bg_color;
        Frame::new().fill(fill).stroke(Stroke::new(1.5, colour)).corner_radius(8.0).inner_margin(Margin::same(12)).show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.horizontal(|ui| {
                let (rect, _) = ui.allocate_exact_size(Vec2::splat(SYMBOL), Sense::hover());
                ui.painter().extend(symbol(self.verdict, rect, colour, fill));
                ui.add_space(6.0);
                ui.vertical(|ui| {
                    let word = RichText::new(&self.word).strong().color(colour);
                    match self.verdict {
                        Some(_) => drop(ui.label(word.size(28.0)).on_hover_text(THRESHOLDS)),
                        None => drop(ui.label(word.size(20.0))),
                    }
                    if let Some(measured) = measured {
                        ui.label(RichText::new(measured).small());
                    }
                });
            });
            ui.add_space(4.0);
            ui.label(RichText::new(&self.sentence).size(14.5));
            ui.add_space(2.0);
            ui.horizontal_wrapped(|ui| {
                ui.spacing_mut().item_spacing.x = 4.0;
                ui.label(RichText::new("What to try:").strong());
                ui.label(&self.advice);
            });
        });
    }
}

/// What may help, never what is set already. Rotation was the cure in the method's calibration; a weight of 5 changed nothing that
/// could be measured; the less was masked, the less of a token its position decided.
fn advice(verdict: Verdict, config: &PretrainConfig) -> String {
    let rotates = config.task.turns_as_set();
    match verdict {
        Verdict::Untrained => {
            "train on, and look again later. If the run has ended, take more steps (pretrain.steps) or a larger learning \
                               rate (pretrain.optimiser.lr)."
                .to_owned()
        }
        Verdict::Healthy => "nothing needs to change. Go on, and look again later: the loss does not show a collapse.".to_owned(),
        _ if rotates && config.rotate == Rotate::Off => {
            "turn rotation on (pretrain.rotate: full). It is what cures this; raising w without it changes little.".to_owned()
        }
        _ if rotates && config.rotate == Rotate::InPlane => {
            "rotate volumes about all axes (pretrain.rotate: full); so far they are rotated in plane.".to_owned()
        }
        _ if rotates && config.mask_ratio > LITTLE_MASKED => {
            let ratio = config.mask_ratio;
            format!("mask less (pretrain.mask_ratio, now {ratio}): the less is masked, the less of a token its position decides.")
        }
        _ => format!("take more volumes in a batch (pretrain.batch, now {}), or train longer.", config.batch),
    }
}

/// A shape of its own for each verdict: a tick, a triangle with a bar, a cross, a ring with dots.
fn symbol(verdict: Option<Verdict>, rect: Rect, colour: Color32, ground: Color32) -> Vec<Shape> {
    let (centre, radius) = (rect.center(), rect.width() / 2.0);
    let at = |x: f32, y: f32| centre + vec2(x, y) * radius;
    let line = |points: Vec<Pos2>| Shape::line(points, Stroke::new(radius * 0.2, ground));
    match verdict {
        Some(Verdict::Healthy) => {
            vec![Shape::circle_filled(centre, radius * 0.95, colour), line(vec![at(-0.45, 0.05), at(-0.12, 0.38), at(0.48, -0.34)])]
        }
        Some(Verdict::PartlyBound) => {
            let triangle = vec![at(0.0, -0.95), at(0.98, 0.82), at(-0.98, 0.82)];
            let bar = line(vec![at(0.0, -0.35), at(0.0, 0.28)]);
            vec![Shape::convex_polygon(triangle, colour, Stroke::NONE), bar, Shape::circle_filled(at(0.0, 0.56), radius * 0.12, ground)]
        }
        Some(Verdict::Collapsed) => {
            let corner = |corner: u8| {
                let angle = (f32::from(corner) + 0.5) * std::f32::consts::FRAC_PI_4;
                at(angle.cos() * 0.98, angle.sin() * 0.98)
            };
            let octagon = Shape::convex_polygon((0..8).map(corner).collect(), colour, Stroke::NONE);
            vec![octagon, line(vec![at(-0.38, -0.38), at(0.38, 0.38)]), line(vec![at(-0.38, 0.38), at(0.38, -0.38)])]
        }
        Some(Verdict::Untrained) | None => {
            let ring = Shape::circle_stroke(centre, radius * 0.85, Stroke::new(radius * 0.12, colour));
            let dots = [-0.36, 0.0, 0.36].map(|x| Shape::circle_filled(at(x, 0.0), radius * 0.1, colour));
            std::iter::once(ring).chain(dots).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PretextTask;

    const UNTRAINED: [f64; 3] = [0.134, 0.072, -0.026];

    fn numbers([eta2_turned, index_lock, anatomy_lock]: [f64; 3]) -> Collapse {
        Collapse {
            eta2: Some(0.8),
            uniformity: Some(-2.0),
            eta2_turned: Some(eta2_turned),
            index_lock: Some(index_lock),
            anatomy_lock: Some(anatomy_lock),
            ..Collapse::default()
        }
    }

    fn config(rotate: Rotate, mask_ratio: f64) -> PretrainConfig {
        PretrainConfig { rotate, mask_ratio, ..PretrainConfig::default() }
    }

    #[test]
    fn what_to_try_depends_on_what_was_tried() {
        let bound = [0.65, 0.5, 0.6];
        for (now, config, word, advice) in [
            ([0.99, 0.9, 0.0], config(Rotate::Off, 0.75), "Collapsed", "turn rotation on"),
            (bound, config(Rotate::Full, 0.75), "Partly position-bound", "mask less (pretrain.mask_ratio, now 0.75)"),
            (bound, config(Rotate::InPlane, 0.75), "Partly position-bound", "all axes"),
            (bound, config(Rotate::Full, 0.25), "Partly position-bound", "pretrain.batch"),
            ([0.4, 0.2, 0.9], config(Rotate::Full, 0.75), "Healthy", "nothing needs to change"),
            ([0.137, 0.075, -0.021], PretrainConfig::default(), "Not trained yet", "train on"),
        ] {
            let card = VerdictCard::new(&numbers(now), &numbers(UNTRAINED), &config);
            assert!(card.word == word && card.advice.contains(advice), "{card:?}");
        }
    }

    #[test]
    fn advice_never_names_what_is_set_already() {
        for now in [UNTRAINED, [0.163, 0.101, 0.047], [0.453, 0.372, 0.015], [0.528, 0.516, 0.924], [0.99, 0.98, 0.0]] {
            let rotated = config(Rotate::Full, 0.75);
            // Cut-outs are rotated and cut out as the task has it, whatever is set.
            let cut_out = PretrainConfig { task: PretextTask::Rcr, rotate: Rotate::Off, ..rotated.clone() };
            for config in [rotated, cut_out] {
                let card = VerdictCard::new(&numbers(now), &numbers(UNTRAINED), &config);
                assert!(!card.advice.contains("rotat"), "{card:?}");
            }
        }
    }

    #[test]
    fn numbers_that_are_missing_are_not_judged() {
        let word = |now: &Collapse| VerdictCard::new(now, &numbers(UNTRAINED), &PretrainConfig::default()).word;
        assert_eq!(word(&Collapse::default()), "Not a number");
        assert_eq!(word(&Collapse { eta2_turned: None, ..numbers([0.0; 3]) }), "Not judged");
    }
}
