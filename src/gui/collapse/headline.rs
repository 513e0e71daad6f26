//! The headline: one word, a symbol, what it means, what to try.

use eframe::egui::{Color32, Frame, Margin, Pos2, Rect, RichText, Sense, Shape, Stroke, Ui, Vec2, vec2};

use super::super::Palette;
use crate::config::{PretrainConfig, Rotate};
use crate::metrics::collapse::{Collapse, Judgement, LEAST_LOCK, Verdict, verdict};

/// Edge of the symbol in points.
const SYMBOL: f32 = 54.0;

/// What the panel says of an encoder, whether or not there is a verdict.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Headline {
    /// None where it cannot be judged.
    verdict: Option<Verdict>,
    word: &'static str,
    /// What it means.
    sentence: String,
    /// What to try.
    advice: String,
}

impl Headline {
    /// Of the numbers measured last, beside those of the untrained network.
    pub(super) fn of(now: &Collapse, untrained: &Collapse, config: &PretrainConfig) -> Self {
        let Some(Judgement { verdict, sentence }) = verdict(now, untrained) else { return Self::not_judged(now) };
        let word = match verdict {
            Verdict::Healthy => "Healthy",
            Verdict::Drifting => "Drifting",
            Verdict::Collapsed => "Collapsed",
        };
        let follows_nothing = [now.index_lock, now.anatomy_lock].iter().all(|lock| lock.is_none_or(|lock| lock < LEAST_LOCK));
        let advice = match verdict {
            Verdict::Healthy if follows_nothing => "train longer. It is early: an untrained network reads the same.".to_owned(),
            _ => advice(verdict, config),
        };
        Self { verdict: Some(verdict), word, sentence, advice }
    }

    fn not_judged(now: &Collapse) -> Self {
        if now.uniformity.is_none() {
            return Self {
                verdict: None,
                word: "Not a number",
                sentence: "Some tokens were not finite numbers when they were measured: there is nothing to judge.".to_owned(),
                advice: "Lower the learning rate (pretrain.optimiser.lr), or check the volumes with the check of the Run panel.".to_owned(),
            };
        }
        Self {
            verdict: None,
            word: "Not judged",
            sentence: "The turned volumes were not measured, and the verdict rests on them.".to_owned(),
            advice: "Measure the checkpoint again with this version.".to_owned(),
        }
    }

    /// Before anything was measured.
    pub(super) fn nothing(sentence: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { verdict: None, word: "Nothing measured yet", sentence: sentence.into(), advice: advice.into() }
    }

    /// Draws the card.
    pub(super) fn show(&self, ui: &mut Ui, measured_at: Option<&str>) {
        let colour = self.colour(Palette::of(ui));
        let fill = ui.visuals().faint_bg_color;
        Frame::new().fill(fill).stroke(Stroke::new(1.5, colour)).corner_radius(8.0).inner_margin(Margin::same(12)).show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.horizontal(|ui| {
                let (rect, _) = ui.allocate_exact_size(Vec2::splat(SYMBOL), Sense::hover());
                ui.painter().extend(symbol(self.verdict, rect, colour, fill));
                ui.add_space(6.0);
                ui.vertical(|ui| {
                    let size = if self.verdict.is_some() { 30.0 } else { 20.0 };
                    ui.label(RichText::new(self.word).size(size).strong().color(colour));
                    if let Some(measured_at) = measured_at {
                        ui.label(RichText::new(measured_at).small());
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

    fn colour(&self, palette: Palette) -> Color32 {
        match self.verdict {
            Some(Verdict::Healthy) => palette.good(),
            Some(Verdict::Drifting) => palette.caution(),
            Some(Verdict::Collapsed) => palette.bad(),
            None => palette.reference(),
        }
    }
}

/// Rotation was the cure in the method's calibration; a weight of 5 alone changed nothing that could be measured.
fn advice(verdict: Verdict, config: &PretrainConfig) -> String {
    let turned = config.rotate != Rotate::Off;
    let weight = config.weight;
    match verdict {
        Verdict::Healthy => "nothing needs to change. Go on, and look again later: the loss does not tell.".to_owned(),
        _ if !turned => "turn rotation on (pretrain.rotate: full). It is what cures this; raising w without it changes little.".to_owned(),
        _ if weight < 50.0 => format!(
            "rotation is on already. Raise w (now {weight}; 50 helped partly where 5 did not), take more volumes in a batch (now {}), \
             or train longer.",
            config.batch
        ),
        _ => format!(
            "rotation is on and w is {weight} already. Take more volumes in a batch (now {}), or lower the learning rate.",
            config.batch
        ),
    }
}

/// A shape of its own for each verdict: a tick, a triangle with a bar, a cross, a dot.
fn symbol(verdict: Option<Verdict>, rect: Rect, colour: Color32, ground: Color32) -> Vec<Shape> {
    let (centre, radius) = (rect.center(), rect.width() / 2.0);
    let at = |x: f32, y: f32| centre + vec2(x, y) * radius;
    let line = |points: Vec<Pos2>| Shape::line(points, Stroke::new(radius * 0.2, ground));
    let disc = Shape::circle_filled(centre, radius * 0.95, colour);
    match verdict {
        Some(Verdict::Healthy) => vec![disc, line(vec![at(-0.45, 0.05), at(-0.12, 0.38), at(0.48, -0.34)])],
        Some(Verdict::Drifting) => {
            let triangle = vec![at(0.0, -0.95), at(0.98, 0.82), at(-0.98, 0.82)];
            let bar = line(vec![at(0.0, -0.35), at(0.0, 0.28)]);
            vec![Shape::convex_polygon(triangle, colour, Stroke::NONE), bar, Shape::circle_filled(at(0.0, 0.56), radius * 0.12, ground)]
        }
        Some(Verdict::Collapsed) => {
            let corners = (0..8).map(|corner| {
                let angle = (corner as f32 + 0.5) * std::f32::consts::FRAC_PI_4;
                at(angle.cos() * 0.98, angle.sin() * 0.98)
            });
            let octagon = Shape::convex_polygon(corners.collect(), colour, Stroke::NONE);
            vec![octagon, line(vec![at(-0.38, -0.38), at(0.38, 0.38)]), line(vec![at(-0.38, 0.38), at(0.38, -0.38)])]
        }
        None => {
            let ring = Shape::circle_stroke(centre, radius * 0.85, Stroke::new(radius * 0.12, colour));
            let dots = [-0.36, 0.0, 0.36].map(|x| Shape::circle_filled(at(x, 0.0), radius * 0.1, colour));
            std::iter::once(ring).chain(dots).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(eta2_turned: f64, index_lock: f64, anatomy_lock: f64) -> Collapse {
        Collapse {
            eta2: Some(0.8),
            uniformity: Some(-2.0),
            eta2_turned: Some(eta2_turned),
            index_lock: Some(index_lock),
            anatomy_lock: Some(anatomy_lock),
            ..Collapse::default()
        }
    }

    #[test]
    fn what_to_try_depends_on_what_was_tried() {
        let untrained = numbers(0.1, 0.05, 0.05);
        let say = |now: &Collapse, rotate, weight| {
            let headline = Headline::of(now, &untrained, &PretrainConfig { rotate, weight, ..PretrainConfig::default() });
            (headline.word, headline.advice)
        };
        let (word, advice) = say(&numbers(0.99, 0.9, 0.0), Rotate::Off, 5.0);
        assert!(word == "Collapsed" && advice.contains("turn rotation on"), "{advice}");
        let (word, advice) = say(&numbers(0.65, 0.5, 0.6), Rotate::Full, 5.0);
        assert!(word == "Drifting" && advice.contains("Raise w (now 5"), "{advice}");
        assert!(say(&numbers(0.99, 0.9, 0.0), Rotate::Full, 50.0).1.contains("batch"));
        assert_eq!(say(&numbers(0.4, 0.2, 0.9), Rotate::Full, 5.0).0, "Healthy");
        let (word, advice) = say(&numbers(0.12, 0.06, 0.02), Rotate::Full, 5.0);
        assert!(word == "Healthy" && advice.contains("train longer"), "{advice}");
        assert_eq!(say(&Collapse::default(), Rotate::Full, 5.0).0, "Not a number");
        let without_turns = Collapse { eta2_turned: None, ..numbers(0.0, 0.0, 0.0) };
        assert_eq!(say(&without_turns, Rotate::Full, 5.0).0, "Not judged");
    }
}
