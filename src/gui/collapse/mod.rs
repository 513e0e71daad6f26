//! Is the representation collapsing? A verdict for everybody, the numbers behind it, and the tokens themselves.
//!
//! `encoders` lists what the open run has measured. `verdict` says it in a word, `numbers` and `curves` show the metrics now and over
//! the steps beside the references; `maps` shows the tokens of the newest measurement as `heat_map`, `scatter` and `patch`. A token
//! chosen in one of them is marked in all.

mod curves;
mod encoders;
mod heat_map;
mod maps;
mod numbers;
mod patch;
mod scatter;
#[cfg(test)]
mod synthetic;
#[cfg(test)]
mod tests;
mod verdict;

use eframe::egui::{self, Align, Layout, RichText, ScrollArea, Ui, UiBuilder, vec2};

use super::{OpenRun, Panel, Workspace};
use crate::protocol::{Stage, StageKind};
use crate::results::{Assessment, Tokens};
use curves::Curves;
use encoders::{Encoder, encoders, settings};
use maps::Maps;

/// Width of the verdict and the numbers: a share of the window, within bounds.
const LEFT: (f32, f32, f32) = (0.38, 380.0, 452.0);
/// Least width of a column of plots.
const COLUMN: f32 = 190.0;
/// Height of the plots over steps.
const PLOT: f32 = 168.0;
/// Width of a text that explains.
const EXPLAINED: f32 = 640.0;

/// What the panel is for, to somebody who never heard of it.
const PURPOSE: [&str; 3] = [
    "Pre-training without labels is to teach a network to describe what it sees. It has a way to cheat: patients lie alike in the scanner, so \
     that a token which encodes its own position in the crop, and nothing of the image, already fits well.",
    "When that happens every patient looks the same to the network, and fine-tuning gains little. That is collapse. The loss falls all the \
     same: it does not show it.",
    "The numbers here do. They are measured on volumes that the network does not train on, before the first step and every few hundred \
     steps after, beside an untrained network and inputs without any anatomy.",
];

/// What stands in the columns of plots, by their number.
const COLUMNS: [&[&[Piece]]; 3] = [
    &[&[Piece::Position, Piece::Locks, Piece::Any, Piece::Map, Piece::Token, Piece::Heat, Piece::Patch, Piece::Spectrum]],
    &[&[Piece::Position, Piece::Any, Piece::Heat, Piece::Token, Piece::Spectrum], &[Piece::Locks, Piece::Map, Piece::Patch]],
    &[&[Piece::Position, Piece::Heat, Piece::Spectrum], &[Piece::Locks, Piece::Map, Piece::Token], &[Piece::Any, Piece::Patch]],
];

/// A plot or text of the columns.
#[derive(Clone, Copy)]
enum Piece {
    Position,
    Locks,
    Any,
    Spectrum,
    Heat,
    Map,
    Token,
    Patch,
}

/// The panel.
#[derive(Default)]
pub struct CollapsePanel {
    /// The encoder that is shown; none: the newest that was measured.
    stage: Option<Stage>,
    /// Which tokens are shown; none: those that the loss sees.
    tokens: Option<Tokens>,
    curves: Curves,
    maps: Maps,
    verdict: Option<(VerdictKey, Assessment)>,
}

/// What decides the verdict: run, encoder, tokens, number of measurements.
type VerdictKey = (std::path::PathBuf, Stage, Tokens, usize);

impl CollapsePanel {
    /// Draws the panel.
    pub fn show(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        self.bar(ui, workspace);
        ui.separator();
        let Some(run) = workspace.shown() else { return nothing_open(ui, &mut workspace.settings.panel) };
        let encoders = encoders(run);
        let Some(shown) = self.shown(&encoders).filter(|encoder| encoder.now().is_some()) else {
            let (sentence, advice) = unmeasured(run, run.is_at_work() || run.is_watched());
            return explained(ui, &Assessment::unmeasured(sentence, advice));
        };
        let tokens = self.tokens_of(shown);
        let verdict = self.verdict(run, shown, tokens);
        self.maps.refresh(ui, run.tokens.get(&shown.stage.stage), tokens);
        let whole = ui.available_rect_before_wrap();
        let (share, least, most) = LEFT;
        let middle = whole.left() + (whole.width() * share).clamp(least, most);
        let side = |rect| UiBuilder::new().max_rect(rect).layout(Layout::top_down(Align::Min));
        let left = egui::Rect::from_x_y_ranges(whole.left()..=middle, whole.y_range());
        ScrollArea::vertical().id_salt("numbers").show(&mut ui.new_child(side(left)), |ui| {
            verdict::show(ui, &verdict, Some(&shown.moment(tokens)));
            numbers::show(ui, shown, tokens);
        });
        let right = egui::Rect::from_x_y_ranges(middle + 14.0..=whole.right(), whole.y_range());
        ScrollArea::vertical().id_salt("plots").auto_shrink(false).show(&mut ui.new_child(side(right)), |ui| {
            let measured: Vec<_> = encoders.iter().filter(|encoder| encoder.now().is_some()).collect();
            self.columns(ui, workspace, &measured, tokens);
        });
    }

    /// Which run, which encoder, which tokens.
    fn bar(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        ui.horizontal_wrapped(|ui| {
            workspace.run_chooser(ui, "collapse run");
            let Some(run) = workspace.shown() else {
                ui.label(RichText::new("Does a token encode what it sees, or only where it lies?").weak());
                return;
            };
            let encoders = encoders(run);
            let Some(shown) = self.shown(&encoders) else { return };
            if encoders.len() > 1 {
                ui.label("Pre-training");
                for encoder in &encoders {
                    let stage = encoder.stage;
                    let button = ui.selectable_label(shown.stage.stage == stage.stage, &encoder.title);
                    let hover = format!("{} measurements, {} of {} steps", stage.probes.told(), stage.done, stage.total);
                    if button.on_hover_text(hover).clicked() {
                        self.stage = Some(stage.stage.clone());
                    }
                }
            }
            let Some(pair) = shown.now() else { return };
            if encoders.len() > 1 || workspace.runs.len() > 1 {
                ui.separator();
            }
            for tokens in Tokens::ALL {
                let button = egui::Button::selectable(self.tokens_of(shown) == tokens, tokens.title());
                let button = ui.add_enabled(tokens.numbers(pair).is_some(), button).on_hover_text(tokens.meaning());
                if button.on_disabled_hover_text("This pretext task compares no tokens: there are the encoder's alone.").clicked() {
                    self.tokens = Some(tokens);
                }
            }
        });
    }

    /// The encoder that is shown.
    fn shown<'e, 'a>(&self, encoders: &'e [Encoder<'a>]) -> Option<&'e Encoder<'a>> {
        let wanted = encoders.iter().find(|encoder| Some(&encoder.stage.stage) == self.stage.as_ref());
        wanted.or_else(|| encoders.iter().rfind(|encoder| encoder.now().is_some())).or(encoders.last())
    }

    /// Which of its tokens are shown.
    fn tokens_of(&self, encoder: &Encoder<'_>) -> Tokens {
        let has_projected = encoder.now().is_some_and(|pair| pair.projected.is_some());
        if has_projected { self.tokens.unwrap_or(Tokens::Projected) } else { Tokens::Encoder }
    }

    /// The verdict, read anew with each measurement.
    fn verdict(&mut self, run: &OpenRun, encoder: &Encoder<'_>, tokens: Tokens) -> Assessment {
        let stage = &encoder.stage.stage;
        let key = (run.folder.root().to_owned(), stage.clone(), tokens, encoder.stage.probes.told());
        if self.verdict.as_ref().is_none_or(|(known, _)| *known != key) {
            let [now, untrained] = [encoder.now(), encoder.untrained()].map(|pair| pair.and_then(|pair| tokens.numbers(pair)).cloned());
            let card = Assessment::new(&now.unwrap_or_default(), &untrained.unwrap_or_default(), &settings(run, stage));
            self.verdict = Some((key, card));
        }
        self.verdict.as_ref().map(|(_, card)| card.clone()).expect("it was read just now")
    }

    /// Plots over steps, maps of tokens, slices: as many columns as there is room for.
    fn columns(&mut self, ui: &mut Ui, workspace: &Workspace, encoders: &[&Encoder<'_>], tokens: Tokens) {
        curves::legend(ui, encoders, tokens);
        let count = (((ui.available_width() + 12.0) / (COLUMN + 12.0)) as usize).clamp(1, COLUMNS.len());
        let width = (ui.available_width() + 12.0) / count as f32 - 12.0;
        let square = width.min(380.0);
        // What is left of the window's height under the maps goes to the last row.
        let last_row = (ui.available_height() - PLOT - square - 130.0).clamp(150.0, 260.0);
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = 12.0;
            for pieces in COLUMNS[count - 1] {
                ui.allocate_ui_with_layout(vec2(width, 0.0), Layout::top_down(Align::Min), |ui| {
                    ui.set_width(width);
                    ui.spacing_mut().item_spacing.x = 8.0;
                    for piece in *pieces {
                        match piece {
                            Piece::Position => curves::position(ui, PLOT, encoders, tokens),
                            Piece::Locks => curves::locks(ui, PLOT, encoders, tokens),
                            Piece::Any => self.curves.any(ui, PLOT, encoders, tokens),
                            Piece::Spectrum => curves::spectrum(ui, last_row, encoders, tokens),
                            Piece::Heat => self.maps.heat(ui),
                            Piece::Map => self.maps.plane(ui),
                            Piece::Token => self.maps.describe(ui),
                            Piece::Patch => self.maps.patch(ui, workspace, [square - 6.0, last_row + 16.0]),
                        }
                        ui.add_space(6.0);
                    }
                });
            }
        });
    }
}

fn nothing_open(ui: &mut Ui, panel: &mut Panel) {
    explained(
        ui,
        &Assessment::unmeasured("No run is open.", "start one on the page Experiment, or open there the folder of one that has ended."),
    );
    ui.add_space(10.0);
    if ui.button("Go to Experiment").clicked() {
        *panel = Panel::Experiment;
    }
}

/// The card of a run without numbers, and what the panel is for.
fn explained(ui: &mut Ui, card: &Assessment) {
    ui.add_space(8.0);
    ui.allocate_ui_with_layout(vec2(EXPLAINED.min(ui.available_width()), 0.0), Layout::top_down(Align::Min), |ui| {
        verdict::show(ui, card, None);
        ui.add_space(12.0);
        ui.strong("What this panel is for");
        for paragraph in PURPOSE {
            ui.label(paragraph);
        }
    });
}

/// Why nothing was measured, and what to do.
fn unmeasured(run: &OpenRun, running: bool) -> (String, &'static str) {
    let has = |kinds: &[StageKind]| run.stages().any(|stage| kinds.contains(&stage.stage.kind));
    if let Some(text) = run.records().find_map(|own| own.why_unmeasured()) {
        return (text.to_owned(), "hold out at least two cases (data.split), and start the run again.");
    }
    let (sentence, advice) = if has(&[StageKind::Finetune]) && !has(&[StageKind::Pretrain, StageKind::Probe]) {
        let sentence = "This run fine-tunes only: it learns from labels, and collapse is a matter of pre-training without them.";
        (sentence, "open the run whose encoder it started from.")
    } else if running {
        ("Tokens are measured before the first step of pre-training, and again every few hundred steps.", "wait a moment.")
    } else {
        ("The run ended before tokens were measured.", "start a run that pre-trains.")
    };
    (sentence.to_owned(), advice)
}
