//! The case list: cases of the shown run's dataset, of the demo or of a folder, with what the run scored of each.

use std::cmp::Ordering;
use std::path::PathBuf;

use eframe::egui::{ComboBox, Context, RichText, Role, TextEdit, Ui, WidgetInfo};

use super::next_case::{NextCase, ranking_network};
use crate::config::DataSource;
use crate::gui::widgets::card::one_line;
use crate::gui::widgets::{Cell, Column, Sort, Table, Width};
use crate::gui::{Background, OpenRun, Workspace};
use crate::metrics::CaseScore;
use crate::next_case::Ranking;
use crate::protocol::{StageKind, StageState};
use crate::volume::{CaseFiles, DataError, Dataset};

/// Width of a column of numbers in points.
const NUMBER: f32 = 50.0;
/// The columns: the name, scores where there are any, and the place in a ranking where there is one.
const NAME: usize = 0;
const DICE: usize = 1;
const HD95: usize = 2;
const NEXT: usize = 3;

/// Where a list comes from.
#[derive(Clone, Debug, PartialEq)]
enum Origin {
    /// The dataset of a run, whose folder this is.
    Run(PathBuf, DataSource),
    /// A dataset by itself.
    Data(DataSource),
}

/// The case list and what the user set in it.
#[derive(Default)]
pub(super) struct CaseList {
    origin: Option<Origin>,
    /// The run that was shown when the list last followed it.
    followed: Option<PathBuf>,
    dataset: Option<Dataset>,
    /// A list on its way; what is listed stays until it is there.
    arriving: Option<(Origin, Background<Result<Dataset, DataError>>)>,
    filter: String,
    sort: Sort,
    arm: String,
    rows: Vec<Row>,
    /// What `rows` was made of: filter, order, arm, number of scored cases.
    made_of: Option<(String, Sort, String, usize)>,
    /// Which case to label next.
    pub(super) next: NextCase,
}

/// One case of the list.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    /// Index in the dataset.
    index: usize,
    name: String,
    /// Whether it has a label map.
    truth: bool,
    /// Mean over labels, where the run scored it.
    dice: Option<f64>,
    /// The same of HD95, in the unit of the run's config.
    hd95: Option<f64>,
    /// Place in the ranking of cases to label, from 1, and the reason.
    next: Option<(usize, String)>,
}

/// What the user asked for.
pub(super) enum Asked {
    /// Open the case at this index of the dataset.
    Open(usize),
    /// Look at the predictions of this arm.
    Arm(String),
}

impl CaseList {
    /// Lists the cases of a dataset that is no run's.
    pub(super) fn list(&mut self, ctx: &Context, source: DataSource) {
        self.next.follow(ctx, None);
        self.begin(ctx, Origin::Data(source));
    }

    fn begin(&mut self, ctx: &Context, origin: Origin) {
        let (Origin::Run(_, source) | Origin::Data(source)) = origin.clone();
        self.arriving = Some((origin, Background::start(ctx, move || Dataset::open(&source))));
    }

    /// Takes in what was read, and follows the run that the panels show. Why a dataset could not be listed, if so.
    pub(super) fn poll(&mut self, ctx: &Context, workspace: &Workspace) -> Option<String> {
        let shown = workspace.shown().map(|run| run.folder.root().to_owned());
        if shown.is_some() && shown != self.followed {
            self.follow(ctx, workspace);
        }
        let mut trouble = None;
        if self.arriving.as_mut().is_some_and(|(_, work)| work.poll())
            && let Some((origin, work)) = self.arriving.take()
        {
            match work.take() {
                Some(Ok(dataset)) => (self.origin, self.dataset, self.made_of) = (Some(origin), Some(dataset), None),
                Some(Err(error)) => trouble = Some(format!("The dataset was not opened: {error}")),
                None => trouble = Some("The list of cases was lost by a fault of the program; open it again.".to_owned()),
            }
        }
        if self.next.poll(ctx) {
            self.made_of = None;
        }
        self.list_rows(workspace);
        trouble
    }

    fn list_rows(&mut self, workspace: &Workspace) {
        let run = self.run(workspace);
        let known = run.map(arms).unwrap_or_default();
        if !known.contains(&self.arm) {
            self.arm = known.first().cloned().unwrap_or_default();
        }
        let scored = run.map_or(0, |run| run.stages().map(|stage| stage.scores.len()).sum());
        let made = (self.filter.clone(), self.sort, self.arm.clone(), scored);
        if self.made_of.as_ref() != Some(&made)
            && let Some(dataset) = &self.dataset
        {
            let stage = run.and_then(|run| run.stages_of(StageKind::Test).find(|stage| stage.stage.arm == self.arm));
            let columns = columns(!known.is_empty(), self.next.ranking().is_some());
            let column = columns.get(self.sort.column).copied().unwrap_or(NAME);
            self.rows = rows(dataset, (stage, self.next.ranking()), &self.filter, Sort { column, ..self.sort });
            self.made_of = Some(made);
        }
    }

    /// Lists the shown run's cases, whatever was listed before.
    pub(super) fn follow(&mut self, ctx: &Context, workspace: &Workspace) {
        let Some(run) = workspace.shown() else { return };
        let root = run.folder.root().to_owned();
        self.followed = Some(root.clone());
        self.next.follow(ctx, Some(&root));
        self.begin(ctx, Origin::Run(root, run.config.data.source.clone()));
    }

    /// The run whose dataset is listed.
    pub(super) fn run<'a>(&self, workspace: &'a Workspace) -> Option<&'a OpenRun> {
        let Some(Origin::Run(root, _)) = &self.origin else { return None };
        workspace.runs.iter().find(|run| run.folder.root() == root)
    }

    /// The dataset, once it is there.
    pub(super) fn dataset(&self) -> Option<&Dataset> {
        self.dataset.as_ref()
    }

    /// Where the listed dataset lies.
    pub(super) fn source(&self) -> Option<&DataSource> {
        self.origin.as_ref().map(|(Origin::Run(_, source) | Origin::Data(source))| source)
    }

    /// Lists the same dataset again: it has changed.
    pub(super) fn again(&mut self, ctx: &Context) {
        if let Some(origin) = self.origin.clone() {
            self.begin(ctx, origin);
        }
    }

    /// Whether nothing is being read.
    pub(super) fn settled(&self) -> bool {
        self.arriving.is_none()
    }

    /// Whether there is a list, or will be.
    pub(super) fn is_there(&self) -> bool {
        self.dataset.is_some() || self.arriving.is_some()
    }

    /// The index in the dataset of the case after or before the one called `name`, in the order shown.
    pub(super) fn neighbour(&self, name: &str, forwards: bool) -> Option<usize> {
        let at = self.rows.iter().position(|row| row.name == name);
        let next = match (at, forwards) {
            (Some(at), true) => at + 1,
            (Some(at), false) => at.checked_sub(1)?,
            (None, _) => 0,
        };
        self.rows.get(next).map(|row| row.index)
    }

    /// Draws the list. `open` is the case that is shown.
    pub(super) fn show(&mut self, ui: &mut Ui, workspace: &Workspace, open: Option<&str>) -> Option<Asked> {
        if self.arriving.is_some() {
            ui.weak("Reading the list of cases ...");
        }
        let run = self.run(workspace);
        one_line(ui, RichText::new(&self.dataset.as_ref()?.name).strong());
        if let Some(run) = run {
            one_line(ui, RichText::new(format!("run {}", run.name())).small().weak());
        }
        let known = run.map(arms).unwrap_or_default();
        let unit = run.map_or("mm", |run| run.config.distance_unit(&self.arm).word());
        let edit = TextEdit::singleline(&mut self.filter).hint_text("Filter by name").desired_width(f32::INFINITY);
        let response = ui.add(edit).on_hover_text("Only cases whose name holds this");
        response.widget_info(|| WidgetInfo::labeled(Role::TextInput, true, "Filter cases by name"));
        let arm = self.arm.clone();
        if !known.is_empty() {
            ui.horizontal(|ui| self.choose_arm(ui, &known));
        }
        if let Some(run) = run {
            self.next.show(ui, workspace, ranking_network(run, &self.arm));
        }
        let chosen = (self.arm != arm).then(|| Asked::Arm(self.arm.clone()));
        let asked = self.table(ui, (!known.is_empty()).then_some(unit), open).map(Asked::Open).or(chosen);
        if self.rows.is_empty() {
            ui.weak("No case has this in its name.");
        }
        asked
    }

    /// Chooses whose scores are listed, and the order that brings the worst to the top.
    fn choose_arm(&mut self, ui: &mut Ui, known: &[String]) {
        if known.len() > 1 {
            let width = ui.available_width() - 92.0;
            let combo = ComboBox::from_id_salt("scores of").width(width).truncate().selected_text(&self.arm);
            let shown = combo.show_ui(ui, |ui| {
                for arm in known {
                    ui.selectable_value(&mut self.arm, arm.clone(), arm);
                }
            });
            let response = shown.response.on_hover_text("Whose scores the list shows");
            response.widget_info(|| WidgetInfo::labeled(Role::ComboBox, true, format!("Scores of {}", self.arm)));
        }
        let worst = Sort { column: DICE, descending: false };
        let hint = "Sorts by mean Dice over the labels, the lowest first";
        if ui.selectable_label(self.sort == worst, "Worst first").on_hover_text(hint).clicked() {
            self.sort = if self.sort == worst { Sort::default() } else { worst };
        }
    }

    /// Draws the rows, with scores in `unit` if there are any; the index in the dataset of one that was clicked.
    fn table(&mut self, ui: &mut Ui, unit: Option<&str>, open: Option<&str>) -> Option<usize> {
        let shown = columns(unit.is_some(), self.next.ranking().is_some());
        let number = |title: &'static str, hint: String| Column::numbers(title, hint, Width::Exact(NUMBER));
        let column = |&column: &usize| match column {
            DICE => number("Dice", "Mean Dice over the labels: overlap with the truth, 0 none, 1 perfect".to_owned()),
            HD95 => {
                let unit = unit.unwrap_or_default();
                number("HD95", format!("Mean HD95 over the labels in {unit}: 95 % of the surface lies no farther from the truth's"))
            }
            NEXT => number("Next", "Place in the order in which to label the unlabelled cases; the reason shows over it".to_owned()),
            _ => Column::names("Case", "Name of the case: a click opens it. Sort by name", Width::Rest(60.0)),
        };
        let titles = shown.iter().map(column).collect();
        let (rows, before) = (&self.rows, self.sort);
        let at = rows.iter().position(|row| open == Some(row.name.as_str()));
        let score = |value: Option<f64>, decimals: usize| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"));
        let cell = |row: usize, column: usize| {
            let row = &rows[row];
            let column = shown[column];
            let text = match column {
                DICE if !row.truth => "no truth".to_owned(),
                DICE => score(row.dice, 3),
                HD95 => score(row.hd95, 1),
                NEXT => row.next.as_ref().map_or_else(|| "-".to_owned(), |(place, _)| place.to_string()),
                _ if row.truth || unit.is_some() => row.name.clone(),
                _ => format!("{} (no truth)", row.name),
            };
            let hover = row.next.as_ref().filter(|_| column == NEXT).map_or_else(String::new, |(_, reason)| reason.clone());
            Cell { weak: !row.truth && column != NEXT, hover: hover.into(), ..Cell::from(text) }
        };
        let clicked = Table::new("Cases", titles).sortable(&mut self.sort).scrolling().marked(at).show(ui, rows.len(), cell);
        // The worst comes first at the first click on any column of scores.
        if self.sort.column == HD95 && before.column != HD95 {
            self.sort.descending = true;
        }
        clicked.map(|row| rows[row].index)
    }
}

/// The arms whose predictions a run has scored or is scoring, in their order.
pub(super) fn arms(run: &OpenRun) -> Vec<String> {
    run.stages_of(StageKind::Test).map(|stage| stage.stage.arm.clone()).collect()
}

/// The columns that are shown, where cases are scored or ranked.
fn columns(scored: bool, ranked: bool) -> Vec<usize> {
    let is_shown = |&column: &usize| match column {
        DICE | HD95 => scored,
        NEXT => ranked,
        _ => true,
    };
    [NAME, DICE, HD95, NEXT].into_iter().filter(is_shown).collect()
}

/// Cases whose name holds `filter`, with the scores of a test and their places in a ranking, sorted. Cases without one come last either way.
fn rows(dataset: &Dataset, (test, ranking): (Option<&StageState>, Option<&Ranking>), filter: &str, sort: Sort) -> Vec<Row> {
    let filter = filter.trim().to_lowercase();
    let places = ranking.map(Ranking::places).unwrap_or_default();
    let scored = test.map(|stage| &stage.scores);
    let row = |(index, case): (usize, &CaseFiles)| {
        let scores = scored.and_then(|scores| scores.get(&case.name));
        let of = |value: fn(&CaseScore) -> Option<f64>| scores.and_then(|scores| mean(scores.iter().filter_map(value)));
        Row {
            index,
            name: case.name.clone(),
            truth: case.label.is_some(),
            dice: of(|score| score.dice),
            hd95: of(|score| score.hd95),
            next: places.get(case.name.as_str()).map(|&(place, reason)| (place, reason.to_owned())),
        }
    };
    let listed = dataset.cases.iter().enumerate().filter(|(_, case)| case.name.to_lowercase().contains(&filter));
    let mut rows: Vec<Row> = listed.map(row).collect();
    let value = |row: &Row| match sort.column {
        DICE => row.dice,
        HD95 => row.hd95,
        _ => row.next.as_ref().map(|&(place, _)| place as f64),
    };
    let directed = |order: Ordering| if sort.descending { order.reverse() } else { order };
    rows.sort_by(|a, b| match (value(a), value(b)) {
        _ if sort.column == NAME => directed(a.name.cmp(&b.name)),
        (Some(x), Some(y)) => directed(x.total_cmp(&y)).then_with(|| a.index.cmp(&b.index)),
        (x, y) => y.is_some().cmp(&x.is_some()).then_with(|| a.index.cmp(&b.index)),
    });
    rows
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::next_case::{Basis, Criterion, Known, Measured};
    use crate::protocol::{Event, Record, RunState, Stage};
    use crate::volume::demo;

    #[test]
    fn cases_are_sorted_both_ways_with_unscored_ones_last() {
        let dataset = demo::dataset();
        let names: Vec<&str> = dataset.cases.iter().map(|case| case.name.as_str()).collect();
        let stage = Stage { kind: StageKind::Test, arm: "a".to_owned() };
        let mut state = RunState::default();
        for (case, dice, hd95) in [(names[3], 0.9, 1.0), (names[1], 0.2, 9.0), (names[7], 0.5, 12.0)] {
            let score = |dice, hd95| {
                let (case, region) = (case.to_owned(), "any".to_owned());
                CaseScore { case, region, dice, hd95, truth_voxels: 1, predicted_voxels: 1, missing_in_one: false }
            };
            let scores = vec![score(Some(dice), Some(hd95)), score(Some(dice + 0.1), None), score(None, None)];
            state.apply(&Record { secs: 0.0, event: Event::Scored { stage: stage.clone(), case: case.to_owned(), scores } });
        }
        for (column, descending, first) in [
            (DICE, false, vec![1, 7, 3, 0]),
            (DICE, true, vec![3, 7, 1, 0]),
            (HD95, true, vec![7, 1, 3, 0]),
            (0, true, vec![names.len() - 1]),
        ] {
            let rows = rows(&dataset, (state.stage(StageKind::Test, "a"), None), "", Sort { column, descending });
            assert_eq!(rows.len(), names.len());
            assert_eq!(rows.iter().take(first.len()).map(|row| row.index).collect::<Vec<_>>(), first, "{column} {descending}");
        }
        let by_dice = Sort { column: DICE, descending: false };
        let found = rows(&dataset, (state.stage(StageKind::Test, "a"), None), &names[1].to_uppercase(), by_dice);
        assert_eq!((found.len(), found[0].dice), (1, Some(0.25)));
        assert!(rows(&dataset, (state.stage(StageKind::Test, "other"), None), "", by_dice).iter().all(|row| row.dice.is_none()));
    }

    #[test]
    fn ranked_cases_come_in_their_order_with_the_reason_and_the_others_behind_them() {
        let dataset = demo::dataset();
        let all: Vec<Measured> = (0..3).map(|number| Measured { entropy: Some(number as f32), ..Measured::default() }).collect();
        let names = [4, 1, 6].map(|index: usize| dataset.cases[index].name.as_str());
        let candidates: Vec<Known<'_>> = names.into_iter().zip(&all).collect();
        let basis = Basis { by: vec![Criterion::Entropy], ..Basis::default() };
        let ranking = Ranking::new(basis, BTreeMap::new(), &candidates, &[]);
        let sorted = |descending| rows(&dataset, (None, Some(&ranking)), "", Sort { column: NEXT, descending });
        let first = sorted(false);
        assert_eq!(first.iter().take(4).map(|row| row.index).collect::<Vec<_>>(), [6, 1, 4, 0]);
        assert_eq!(first[0].next.as_ref().map(|(place, reason)| (*place, reason.contains("2.00"))), Some((1, true)));
        assert_eq!(sorted(true).iter().take(3).map(|row| row.index).collect::<Vec<_>>(), [4, 1, 6]);
        assert_eq!(columns(false, true), [NAME, NEXT]);
        assert_eq!(columns(true, false), [NAME, DICE, HD95]);
    }
}
