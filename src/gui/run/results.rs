//! What a run has shown so far: scores, verdicts and findings in the words of terminal and report, worked out beside the window.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use eframe::egui::{self, Align, Grid, Layout, RichText, ScrollArea, Ui};

use super::card;
use super::curves::arms;
use crate::config::{DistanceUnit, RunConfig};
use crate::gui::{Background, OpenRun, Palette, Panel};
use crate::metrics::collapse::{Judgement, THRESHOLDS, verdict};
use crate::protocol::{RunState, StageKind, StageState, Thinned};
use crate::report::old::findings::Findings;
use crate::report::old::{Place, best, hd95, labels, shared_unit, tested};
use crate::wording::{NOTHING, or_nothing, share};

/// One arm's line of the table of scores, in words.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ScoreLine {
    /// The arm.
    pub(super) arm: String,
    /// Its place among the run's arms: its colour.
    pub(super) colour: usize,
    /// Mean Dice.
    pub(super) dice: String,
    /// Dice of each label.
    pub(super) by_label: Vec<String>,
    /// HD95.
    pub(super) hd95: String,
    /// Test cases.
    pub(super) cases: String,
    /// Labels that only truth or only the prediction has.
    pub(super) missing_in_one: String,
}

/// A verdict on one arm.
#[derive(Clone, Debug, PartialEq)]
struct Judged {
    arm: String,
    judgement: Judgement,
}

/// What a run has shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Results {
    labels: Vec<String>,
    /// Unit of the distances, where all arms share it.
    unit: Option<DistanceUnit>,
    /// The arm with the highest Dice, where one can be named.
    best: Option<String>,
    /// The table of scores.
    pub(super) scores: Vec<ScoreLine>,
    judged: Vec<Judged>,
    /// Sentences on Dice; none before the run has ended.
    dice: Vec<String>,
    caveat: Option<String>,
}

/// What results were worked out of: cases scored, probes taken, whether the run had ended.
type Basis = (usize, usize, bool);

/// The results of every run that is open.
#[derive(Default)]
pub(super) struct ResultsCache {
    known: BTreeMap<PathBuf, (Basis, Results)>,
    work: BTreeMap<PathBuf, (Basis, Background<Results>)>,
}

impl Results {
    /// Of what is known of a run.
    pub(super) fn new(config: &RunConfig, state: &RunState) -> Self {
        let tested = tested(config, state);
        let labels: Vec<&str> = labels(&tested);
        let unit = shared_unit(&tested);
        let names = arms(state);
        let scores = tested.iter().map(|arm| ScoreLine {
            arm: arm.name.to_owned(),
            colour: names.iter().position(|name| *name == arm.folder).unwrap_or(0),
            dice: or_nothing(arm.means.dice_mean, share),
            by_label: labels.iter().map(|label| or_nothing(arm.means.dice.get(*label).copied(), share)).collect(),
            hd95: hd95(arm, unit),
            cases: arm.means.cases.to_string(),
            missing_in_one: arm.means.missing_in_one.to_string(),
        });
        let place = Place::shared(state);
        let judged = state.stages_of(StageKind::Pretrain).filter_map(|stage| {
            let untrained = stage.untrained_probe().or_else(|| state.baselines.get("untrained")).and_then(|pair| place.of(pair));
            let judgement = verdict(place.of(stage.last_probe()?)?, untrained.unwrap_or(&Default::default()))?;
            Some(Judged { arm: stage.stage.arm.clone(), judgement })
        });
        // Their intervals resample the cases many times, which is for the end.
        let Findings { dice, caveat, .. } =
            if state.outcome.is_some() && !tested.is_empty() { Findings::new(config, state) } else { Findings::default() };
        Self {
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            unit,
            best: best(&tested).map(|arm| arm.name.to_owned()),
            scores: scores.collect(),
            judged: judged.collect(),
            dice,
            caveat,
        }
    }

    /// Verdicts and scores, as far as there are any.
    pub(super) fn show(&self, ui: &mut Ui, panel: &mut Panel) {
        self.show_verdicts(ui, panel);
        if !self.scores.is_empty() {
            card::card(ui, |ui| self.show_scores(ui));
            ui.add_space(6.0);
        }
    }

    /// The table of scores.
    fn show_scores(&self, ui: &mut Ui) {
        card::title(ui, "Scores on the test cases");
        ScrollArea::horizontal().id_salt("scores").show(ui, |ui| {
            Grid::new("scores").striped(true).spacing([18.0, 6.0]).show(ui, |ui| {
                let titles = ["Arm", "Mean Dice"].into_iter().chain(self.labels.iter().map(String::as_str));
                let hd95 = self.unit.map_or_else(|| "HD95".to_owned(), |unit| format!("HD95, {}", unit.word()));
                titles.chain([hd95.as_str(), "Cases", "One-sided"]).for_each(|title| {
                    ui.label(card::quiet(ui, title).small());
                });
                ui.end_row();
                for line in &self.scores {
                    arm_name(ui, &line.arm, line.colour);
                    let dice = RichText::new(&line.dice).monospace();
                    ui.label(if self.best.as_ref() == Some(&line.arm) { dice.strong() } else { dice });
                    for cell in line.by_label.iter().chain([&line.hd95, &line.cases, &line.missing_in_one]) {
                        ui.label(RichText::new(cell).monospace());
                    }
                    ui.end_row();
                }
            });
        });
        for sentence in &self.dice {
            ui.label(sentence);
        }
        if let Some(caveat) = &self.caveat {
            card::note(ui, caveat.as_str());
        }
    }

    /// The verdicts; a button leads to the numbers behind them.
    fn show_verdicts(&self, ui: &mut Ui, panel: &mut Panel) {
        if self.judged.is_empty() {
            return;
        }
        card::card(ui, |ui| {
            ui.horizontal(|ui| {
                card::title(ui, "Representation");
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    if ui.button("Open Collapse").on_hover_text("The numbers, maps and time lines behind the verdict").clicked() {
                        *panel = Panel::Collapse;
                    }
                });
            });
            let palette = Palette::of(ui);
            for Judged { arm, judgement } in &self.judged {
                let colour = palette.verdict(judgement.verdict);
                ui.horizontal_wrapped(|ui| {
                    if !arm.is_empty() {
                        ui.strong(arm);
                    }
                    ui.label(RichText::new(judgement.verdict.word()).strong().color(colour)).on_hover_text(THRESHOLDS);
                    ui.label(&judgement.sentence);
                });
            }
        });
        ui.add_space(6.0);
    }
}

fn arm_name(ui: &mut Ui, name: &str, colour: usize) {
    let colour = Palette::of(ui).series(colour);
    ui.horizontal(|ui| {
        let (rect, _) = ui.allocate_exact_size(egui::vec2(10.0, 10.0), egui::Sense::hover());
        ui.painter().rect_filled(rect, 2.0, colour);
        ui.label(name);
    });
}

impl ResultsCache {
    /// The results of a run, as fresh as there is time for.
    pub(super) fn of(&mut self, ctx: &egui::Context, run: &OpenRun) -> Option<&Results> {
        let key = run.folder.root();
        let basis = basis(run.state());
        if self.work.get_mut(key).is_some_and(|(_, work)| work.poll())
            && let Some((basis, work)) = self.work.remove(key)
            && let Some(results) = work.take()
        {
            self.known.insert(key.to_owned(), (basis, results));
        }
        let is_known = self.known.get(key).is_some_and(|(known, _)| *known == basis);
        let empty = basis.0 == 0 && basis.1 == 0;
        if !is_known && !empty && !self.work.contains_key(key) {
            let (config, state) = (run.config.clone(), without_steps(run.state()));
            self.work.insert(key.to_owned(), (basis, Background::start(ctx, move || Results::new(&config, &state))));
        }
        self.known.get(key).filter(|_| !empty).map(|(_, results)| results)
    }

    /// Forgets runs that were closed.
    pub(super) fn keep(&mut self, is_open: impl Fn(&Path) -> bool) {
        self.known.retain(|run, _| is_open(run));
        self.work.retain(|run, _| is_open(run));
    }
}

fn basis(state: &RunState) -> Basis {
    let scored = state.stages.iter().map(|stage| stage.scores.len()).sum();
    let probed = state.stages.iter().map(|stage| stage.probes.told()).sum();
    (scored, probed, state.outcome.is_some())
}

/// A copy without the steps, of which there may be thousands.
fn without_steps(state: &RunState) -> RunState {
    let light = |stage: &StageState| StageState {
        stage: stage.stage.clone(),
        steps: Thinned::default(),
        probes: stage.probes.clone(),
        mask_points: Vec::new(),
        validations: Thinned::default(),
        checkpoints: Vec::new(),
        transfer: stage.transfer.clone(),
        scores: stage.scores.clone(),
        ..*stage
    };
    RunState {
        name: state.name.clone(),
        environment: state.environment.clone(),
        classes: state.classes.clone(),
        stages: state.stages.iter().map(light).collect(),
        baselines: state.baselines.clone(),
        notices: Vec::new(),
        notices_left_out: 0,
        secs: state.secs,
        outcome: state.outcome.clone(),
    }
}

/// Final numbers of several runs side by side.
pub(super) fn side_by_side(ui: &mut Ui, ctx: &egui::Context, runs: &[&OpenRun], cache: &mut ResultsCache) {
    card::title(ui, "Runs side by side");
    ScrollArea::horizontal().id_salt("side by side").show(ui, |ui| {
        Grid::new("side by side").striped(true).spacing([18.0, 6.0]).show(ui, |ui| {
            for title in ["Run", "Arm", "Mean Dice", "HD95", "Cases", "Last loss", "Time"] {
                ui.label(card::quiet(ui, title).small());
            }
            ui.end_row();
            let mut first = 0;
            for run in runs {
                let state = run.state();
                let names = arms(state);
                let scores = cache.of(ctx, run).map(|results| (results.scores.clone(), results.unit));
                for (index, arm) in names.iter().enumerate() {
                    let (lines, unit) = scores.as_ref().map_or((&[][..], None), |(lines, unit)| (lines.as_slice(), *unit));
                    let line = lines.iter().find(|line| line.colour == index);
                    let cell = |value: fn(&ScoreLine) -> &String| line.map_or_else(|| NOTHING.to_owned(), |line| value(line).clone());
                    ui.label(run.name());
                    arm_name(ui, if arm.is_empty() { "this run" } else { arm }, first + index);
                    let hd95 = cell(|line| &line.hd95);
                    let hd95 = unit.filter(|_| hd95 != NOTHING).map_or_else(|| hd95.clone(), |unit| format!("{hd95} {}", unit.word()));
                    let loss = last_loss(state, arm).map_or_else(|| NOTHING.to_owned(), |loss| format!("{loss:.3}"));
                    for text in [cell(|line| &line.dice), hd95, cell(|line| &line.cases), loss, time(state, arm)] {
                        ui.label(RichText::new(text).monospace());
                    }
                    ui.end_row();
                }
                first += names.len();
            }
        });
    });
}

/// The loss of the newest step of an arm's training, fine-tuning before pre-training.
fn last_loss(state: &RunState, arm: &str) -> Option<f64> {
    let stage = |kind| state.stage(kind, arm).and_then(|stage| stage.steps.last());
    stage(StageKind::Finetune).or_else(|| stage(StageKind::Pretrain)).map(|step| step.loss)
}

fn time(state: &RunState, arm: &str) -> String {
    let secs: f64 = state.stages.iter().filter(|stage| stage.stage.arm == arm).filter_map(|stage| stage.secs).sum();
    crate::wording::duration(secs)
}
