//! Is the representation collapsing? A headline for everybody, the numbers behind it, and the tokens themselves.
//!
//! `headline` says it in a word, `table` and `courses` show the numbers now and over the steps, beside the references;
//! `tokens` makes maps of the tokens that the worker showed with its last probe (`maps`), which `heat_map`, `scatter` and
//! `patch` draw. A token chosen in one of them is marked in all.

mod courses;
mod headline;
mod heat_map;
mod measures;
mod patch;
mod place;
mod scatter;
#[cfg(test)]
mod synthetic;
mod table;
#[cfg(test)]
mod tests;
mod tokens;

use eframe::egui::{self, Align, Layout, RichText, ScrollArea, Ui, UiBuilder, vec2};

use super::{OpenRun, Panel, Workspace};
use crate::config::PretrainConfig;
use crate::protocol::{RunState, Stage, StageKind, StageState};
use courses::Courses;
use headline::Headline;
use place::{Place, measuring, stage_title};
use table::Beside;
use tokens::{Tokens, heading};

/// Width of the headline and the table: a share of the window, within bounds.
const LEFT: (f32, f32, f32) = (0.38, 410.0, 452.0);
/// Least width of the three columns: narrower than that they scroll.
const COLUMN: f32 = 190.0;
/// Height of the plots over steps.
const PLOT: f32 = 168.0;

/// Width of a text that explains.
const EXPLAINED: f32 = 640.0;

/// What the panel is for, to somebody who never heard of it.
const PURPOSE: [&str; 3] = [
    "Pre-training without labels is to teach a network to describe what it sees. It has a way to cheat: patients lie alike in the scanner, so \
     that a token which knows its own place in the crop, and nothing of the picture, already fits well.",
    "When that happens every patient looks the same to the network, and fine-tuning gains little. That is collapse. The loss falls all the \
     same: it does not tell.",
    "The numbers here tell. They are measured on volumes that the network does not train on, before the first step and every few hundred \
     steps after, beside an untrained network and inputs without any anatomy.",
];

/// A token: its volume among those shown, its place's number in the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chosen {
    volume: usize,
    token: usize,
}

/// The panel.
#[derive(Default)]
pub struct CollapsePanel {
    /// The stage that is looked at; none: the newest that measured something.
    stage: Option<Stage>,
    /// Where tokens are looked at; none: where the loss sees them.
    place: Option<Place>,
    courses: Courses,
    tokens: Tokens,
    headline: Option<(HeadlineKey, Headline)>,
}

/// What decides the headline.
type HeadlineKey = (std::path::PathBuf, Stage, Place, usize);

impl CollapsePanel {
    /// Draws the panel.
    pub fn show(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        self.bar(ui, workspace);
        ui.separator();
        let Some(run) = workspace.shown() else { return nothing_open(ui, &mut workspace.settings.panel) };
        let stage = self.stage(run.state());
        let measured = stage.filter(|stage| stage.last_probe().is_some());
        let Some(stage) = measured else {
            let (sentence, advice) = absent(run.state(), run.job.is_running() || run.job.is_watched());
            return explained(ui, &Headline::nothing(sentence, advice));
        };
        let place = self.place_of(stage);
        let headline = self.headline(run, stage, place);
        self.courses.follow(workspace.shown, run.state(), place);
        self.tokens.follow(ui, run.tokens.get(&stage.stage), place);
        let whole = ui.available_rect_before_wrap();
        let (share, least, most) = LEFT;
        let width = (whole.width() * share).clamp(least, most);
        let left = egui::Rect::from_min_size(whole.min, vec2(width, whole.height()));
        let right = egui::Rect::from_min_max(left.right_top() + vec2(14.0, 0.0), whole.max);
        let mut side = ui.new_child(UiBuilder::new().max_rect(left).layout(Layout::top_down(Align::Min)));
        ScrollArea::vertical().id_salt("numbers").show(&mut side, |ui| {
            headline.show(ui, Some(&moment(stage, place)));
            Beside::of(run.state(), Some(stage)).show(ui, place);
        });
        let mut main = ui.new_child(UiBuilder::new().max_rect(right).layout(Layout::top_down(Align::Min)));
        ScrollArea::vertical().id_salt("maps").auto_shrink(false).show(&mut main, |ui| self.columns(ui, workspace));
    }

    /// Which run, which stage, which tokens.
    fn bar(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        ui.horizontal_wrapped(|ui| {
            if workspace.runs.len() > 1 {
                let names: Vec<String> = workspace.runs.iter().map(|run| run.state().name.clone()).collect();
                ui.label("Run");
                let combo = egui::ComboBox::from_id_salt("collapse run").selected_text(&names[workspace.shown]);
                combo
                    .show_index(ui, &mut workspace.shown, names.len(), |index| names[index].clone())
                    .on_hover_text("The run that the panels show");
            }
            let Some(run) = workspace.shown() else {
                ui.label(RichText::new("Does a token tell what it sees, or only where it lies?").weak());
                return;
            };
            let stages: Vec<&StageState> = measuring(run.state()).collect();
            let shown = self.stage(run.state()).map(|stage| stage.stage.clone());
            if stages.len() > 1 {
                ui.label("Pre-training");
            }
            for stage in stages.iter().filter(|_| stages.len() > 1) {
                let title = stage_title(stage);
                let response = ui.selectable_label(shown.as_ref() == Some(&stage.stage), title);
                let probes = stage.probes.told();
                if response.on_hover_text(format!("{probes} measurements, {} of {} steps", stage.done, stage.total)).clicked() {
                    self.stage = Some(stage.stage.clone());
                }
            }
            let Some(stage) = self.stage(run.state()).filter(|stage| stage.last_probe().is_some()) else { return };
            if stages.len() > 1 || workspace.runs.len() > 1 {
                ui.separator();
            }
            let current = self.place_of(stage);
            let pair = stage.last_probe();
            for place in Place::ALL {
                let there = pair.is_some_and(|pair| place.numbers(pair).is_some());
                let label = egui::Button::selectable(current == place, place.title());
                let response = ui.add_enabled(there, label);
                let response = response.on_hover_text(place.meaning());
                if response.on_disabled_hover_text("This pretext task compares no tokens: there are the encoder's alone.").clicked() {
                    self.place = Some(place);
                }
            }
        });
    }

    /// The stage that is looked at.
    fn stage<'a>(&self, state: &'a RunState) -> Option<&'a StageState> {
        let wanted = measuring(state).find(|stage| Some(&stage.stage) == self.stage.as_ref());
        let newest = || measuring(state).filter(|stage| stage.last_probe().is_some()).last();
        wanted.or_else(newest).or_else(|| measuring(state).last())
    }

    /// Where its tokens are looked at.
    fn place_of(&self, stage: &StageState) -> Place {
        let has_projected = stage.last_probe().is_some_and(|pair| pair.projected.is_some());
        if has_projected { self.place.unwrap_or(Place::Projected) } else { Place::Encoder }
    }

    /// The headline, made anew with each measurement.
    fn headline(&mut self, run: &OpenRun, stage: &StageState, place: Place) -> Headline {
        let key = (run.folder.root().to_owned(), stage.stage.clone(), place, stage.probes.told());
        if let Some((known, headline)) = &self.headline
            && *known == key
        {
            return headline.clone();
        }
        let beside = Beside::of(run.state(), Some(stage));
        let numbers = |pair: Option<&crate::protocol::CollapsePair>| pair.and_then(|pair| place.numbers(pair)).cloned().unwrap_or_default();
        let headline = Headline::of(&numbers(beside.now), &numbers(beside.untrained), &settings_of(run, &stage.stage));
        self.headline = Some((key, headline.clone()));
        headline
    }

    /// Plots over steps, maps of tokens, slices: three columns.
    fn columns(&mut self, ui: &mut Ui, workspace: &Workspace) {
        if !self.courses.is_empty() {
            ui.horizontal_wrapped(|ui| {
                ui.strong("Over the steps");
                self.courses.key(ui);
            });
        }
        let width = ((ui.available_width() - 24.0) / 3.0).max(COLUMN);
        let square = width.min(380.0);
        // What is left of the window's height under the maps goes to the last row.
        let last_row = (ui.available_height() - PLOT - square - 130.0).clamp(150.0, 260.0);
        let Self { courses, tokens, .. } = self;
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = 12.0;
            column(ui, width, |ui| {
                courses.turned(ui, PLOT);
                ui.add_space(6.0);
                tokens.heat(ui);
                ui.add_space(6.0);
                courses.spectrum(ui, last_row);
            });
            column(ui, width, |ui| {
                courses.locks(ui, PLOT);
                ui.add_space(6.0);
                tokens.map(ui);
                ui.add_space(6.0);
                told(ui, tokens);
            });
            column(ui, width, |ui| {
                courses.free(ui, PLOT);
                ui.add_space(6.0);
                tokens.slices(ui, workspace, [square - 6.0, last_row + 16.0]);
            });
        });
    }
}

fn column(ui: &mut Ui, width: f32, add: impl FnOnce(&mut Ui)) {
    ui.allocate_ui_with_layout(vec2(width, 0.0), Layout::top_down(Align::Min), |ui| {
        ui.set_width(width);
        ui.spacing_mut().item_spacing.x = 8.0;
        add(ui);
    });
}

/// The chosen token in words, and what the markers are.
fn told(ui: &mut Ui, tokens: &Tokens) {
    let Some((maps, preview)) = tokens.maps() else { return };
    tokens.scatter.legend(ui, preview);
    ui.add_space(6.0);
    heading(ui, "Chosen token", "Marked in the map, the heat map and the slices");
    tokens.patch.tell(ui, (maps, preview), tokens.chosen);
}

/// Settings of a stage: those of its arm, where it has one.
fn settings_of(run: &OpenRun, stage: &Stage) -> PretrainConfig {
    let arm = run.config.arms.pretrain.iter().find(|arm| arm.name == stage.arm && stage.kind == StageKind::Pretrain);
    let config = arm.and_then(|arm| run.config.with_arm(arm).ok());
    config.as_ref().unwrap_or(&run.config).pretrain.clone()
}

/// When the numbers were measured.
fn moment(stage: &StageState, place: Place) -> String {
    let step = stage.probes.last().map_or(0, |(step, _)| *step);
    let when = if step == 0 { "before the first step".to_owned() } else { format!("after {step} of {} steps", stage.total) };
    match stage.stage.kind {
        StageKind::Probe => format!("{}, a checkpoint of step {step}", place.title()),
        _ => format!("{}, {}, {when}", stage_title(stage), place.title().to_lowercase()),
    }
}

fn nothing_open(ui: &mut Ui, panel: &mut Panel) {
    explained(ui, &Headline::nothing("No run is open.", "start one in the Run panel, or open the folder of one that has ended."));
    ui.add_space(10.0);
    if ui.button("Go to Run").clicked() {
        *panel = Panel::Run;
    }
}

/// The headline of a run without numbers, and what the panel is for.
fn explained(ui: &mut Ui, headline: &Headline) {
    ui.add_space(8.0);
    ui.allocate_ui_with_layout(vec2(EXPLAINED.min(ui.available_width()), 0.0), Layout::top_down(Align::Min), |ui| {
        headline.show(ui, None);
        ui.add_space(12.0);
        ui.strong("What this panel is for");
        for paragraph in PURPOSE {
            ui.label(paragraph);
        }
    });
}

/// Why nothing was measured, and what to do.
fn absent(state: &RunState, running: bool) -> (String, &'static str) {
    let notice = state.notices.iter().find(|(_, text)| text.contains("collapse is not measured"));
    if let Some((_, text)) = notice {
        return (text.clone(), "hold out at least two cases (data.split), and start the run again.");
    }
    let trains = state.stages.iter().any(|stage| stage.stage.kind == StageKind::Finetune);
    if measuring(state).next().is_none() && trains {
        return (
            "This run fine-tunes only: it learns from labels, and collapse is a matter of pre-training without them.".to_owned(),
            "open the run whose encoder it started from.",
        );
    }
    if running {
        return (
            "Tokens are measured before the first step of pre-training, and again every few hundred steps.".to_owned(),
            "wait a moment.",
        );
    }
    ("The run ended before tokens were measured.".to_owned(), "start a run that pre-trains.")
}
