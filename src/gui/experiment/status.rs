//! The status of a cell or a pre-training, as a colour, a sign and a word: none of the three is needed to tell the others.

use eframe::egui::{
    Color32, CornerRadius, FontId, Pos2, Rect, Response, Role, Sense, Shape, Stroke, StrokeKind, TextStyle, Ui, Vec2, WidgetInfo, pos2,
};

use crate::experiment::Progress;
use crate::gui::{OpenRun, Palette};
use crate::protocol::StageKind;
use crate::wording::share;

/// How far something is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Status {
    /// Nothing done yet.
    Waiting,
    /// What it starts from is under way: the share done.
    Before(f32),
    /// Under way: a word for the part, the share done.
    Running(&'static str, f32),
    /// Begun, and nobody works on it: the share done.
    Held(f32),
    /// Done, with its number.
    Done(String),
    /// Ended by an error: its cause.
    Failed(String),
    /// What it starts from failed: the cause.
    Blocked(String),
    /// Not part of the experiment.
    Absent,
}

impl Status {
    /// Of a training. A pre-training's number is its eta2 (turned), a fine-tuning's its mean Dice.
    pub(super) fn of_training(open: &OpenRun, training: usize) -> Self {
        let known = open.look.as_ref().and_then(|look| look.results.trainings.get(training));
        match open.progress(training) {
            Progress::Waiting => Self::Waiting,
            Progress::Failed { message } => Self::Failed(message),
            Progress::Begun { done, total } => {
                let part = open.run(training).and_then(|run| run.stages.last()).map(|stage| stage.stage.kind);
                let (part, share) = (if part == Some(StageKind::Test) { "test" } else { "train" }, done as f32 / total.max(1) as f32);
                if open.is_live(training) || open.is_watched() { Self::Running(part, share) } else { Self::Held(share) }
            }
            Progress::Done => {
                let dice = known.and_then(|known| known.scores.as_ref()?.dice_mean);
                let number = dice.or_else(|| known.and_then(|known| known.eta2_turned).map(|(eta2, _)| eta2));
                Self::Done(number.map_or_else(|| "done".to_owned(), share))
            }
        }
    }

    /// Of a cell.
    pub(super) fn of_cell(open: &OpenRun, cell: usize) -> Self {
        let cell = &open.experiment.cells[cell];
        match (Self::of_training(open, cell.finetuned), cell.pretrained.map(|training| Self::of_training(open, training))) {
            (Self::Waiting, Some(Self::Running(_, share))) => Self::Before(share),
            (Self::Waiting, Some(Self::Failed(cause))) => Self::Blocked(cause),
            (own, _) => own,
        }
    }

    /// In a few letters, and in a sentence.
    pub(super) fn words(&self) -> [String; 2] {
        let percent = |share: &f32| format!("{:.0} %", (100.0 * share).floor());
        match self {
            Self::Waiting => ["waiting", "Waiting for its turn."].map(str::to_owned),
            Self::Before(share) => [format!("pre {}", percent(share)), format!("Its pre-training is under way: {} done.", percent(share))],
            Self::Running("test", share) => {
                [format!("test {}", percent(share)), format!("The test cases are being segmented: {} done.", percent(share))]
            }
            Self::Running(_, share) => [format!("at {}", percent(share)), format!("Training: {} done.", percent(share))],
            Self::Held(share) => [
                format!("held {}", percent(share)),
                format!("Begun, {} done; it goes on from its last checkpoint when the experiment goes on.", percent(share)),
            ],
            Self::Done(number) => [number.clone(), format!("Done: {number}.")],
            Self::Failed(cause) => ["failed".to_owned(), format!("Failed: {cause}")],
            Self::Blocked(cause) => {
                ["left out".to_owned(), format!("Left out, because the pre-training that it starts from failed: {cause}")]
            }
            Self::Absent => ["", "Not part of this experiment."].map(str::to_owned),
        }
    }

    /// Its colour.
    pub(super) fn colour(&self, palette: Palette) -> Color32 {
        match self {
            Self::Waiting | Self::Absent => palette.reference(),
            Self::Before(_) | Self::Running(..) => palette.series(0),
            Self::Held(_) | Self::Blocked(_) => palette.caution(),
            Self::Done(_) => palette.good(),
            Self::Failed(_) => palette.bad(),
        }
    }

    /// Draws its sign around a point.
    pub(super) fn sign(&self, ui: &Ui, centre: Pos2, radius: f32) {
        let colour = self.colour(Palette::of(ui));
        let painter = ui.painter();
        let stroke = Stroke::new(1.6, colour);
        let at = |x: f32, y: f32| centre + radius * Vec2::new(x, y);
        match self {
            Self::Waiting => drop(painter.circle_stroke(centre, radius * 0.8, Stroke::new(1.2, colour))),
            Self::Before(share) | Self::Running(_, share) => {
                painter.circle_stroke(centre, radius * 0.9, Stroke::new(1.2, colour));
                pie(ui, (centre, radius * 0.9), *share, colour);
            }
            Self::Held(_) => {
                painter.line_segment([at(-0.4, -0.8), at(-0.4, 0.8)], Stroke::new(2.2, colour));
                painter.line_segment([at(0.4, -0.8), at(0.4, 0.8)], Stroke::new(2.2, colour));
            }
            Self::Done(_) => drop(painter.line(vec![at(-0.8, 0.0), at(-0.2, 0.65), at(0.85, -0.7)], Stroke::new(1.8, colour))),
            Self::Failed(_) => {
                painter.line_segment([at(-0.7, -0.7), at(0.7, 0.7)], stroke);
                painter.line_segment([at(-0.7, 0.7), at(0.7, -0.7)], stroke);
            }
            Self::Blocked(_) => drop(painter.line_segment([at(-0.8, 0.0), at(0.8, 0.0)], stroke)),
            Self::Absent => {}
        }
    }
}

/// A share of a disc, from the top clockwise.
fn pie(ui: &Ui, (centre, radius): (Pos2, f32), share: f32, colour: Color32) {
    let parts = (24.0 * share.clamp(0.0, 1.0)).round() as usize;
    let edge = |part: usize| {
        let angle = std::f32::consts::TAU * part as f32 / 24.0;
        centre + radius * Vec2::new(angle.sin(), -angle.cos())
    };
    // Convex pieces only: a disc of more than half is not.
    for part in 0..parts {
        ui.painter().add(Shape::convex_polygon(vec![centre, edge(part), edge(part + 1)], colour, Stroke::NONE));
    }
}

/// A small field with sign and word, to click on. `name` is what screen readers are told before the state.
pub(super) fn chip(ui: &mut Ui, size: Vec2, status: &Status, name: &str, chosen: bool) -> Response {
    let [text, sentence] = status.words();
    let (rect, response) = ui.allocate_exact_size(size, if *status == Status::Absent { Sense::hover() } else { Sense::click() });
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, chosen, format!("{name}: {sentence}")));
    if !ui.is_rect_visible(rect) {
        return response;
    }
    let palette = Palette::of(ui);
    let colour = status.colour(palette);
    let strength = match status {
        Status::Absent => 0.04,
        Status::Waiting => 0.1,
        _ => 0.2,
    };
    let rounding = CornerRadius::same(4);
    ui.painter().rect_filled(rect, rounding, colour.gamma_multiply(strength + if response.hovered() { 0.12 } else { 0.0 }));
    if chosen {
        ui.painter().rect_stroke(rect, rounding, Stroke::new(2.0, ui.visuals().selection.stroke.color), StrokeKind::Inside);
    }
    if *status == Status::Absent {
        return response;
    }
    status.sign(ui, pos2(rect.left() + 11.0, rect.center().y), 5.0);
    let ink = if matches!(status, Status::Waiting) { ui.visuals().text_color().gamma_multiply(0.8) } else { ui.visuals().text_color() };
    let font = match status {
        Status::Done(_) => FontId::monospace(TextStyle::Monospace.resolve(ui.style()).size),
        _ => TextStyle::Small.resolve(ui.style()),
    };
    let room = Rect::from_min_max(pos2(rect.left() + 20.0, rect.top()), rect.max);
    let galley = ui.painter().layout_no_wrap(text, font, ink);
    let place = pos2(room.left(), room.center().y - galley.size().y / 2.0);
    ui.painter().with_clip_rect(room.intersect(ui.clip_rect())).galley(place, galley, ink);
    response
}
