//! The case list: cases of the shown run's dataset, of the demo or of a folder, with what the run scored of each.

use std::path::PathBuf;

use eframe::egui::{
    Align2, ComboBox, FontSelection, RichText, Role, ScrollArea, Sense, TextEdit, TextStyle, Ui, WidgetInfo, WidgetText, vec2,
};

use super::scores::{Row, Sort, arms, rows};
use crate::config::DataSource;
use crate::gui::{Background, OpenRun, Workspace};
use crate::volume::{DataError, Dataset};

/// Height of a row in points.
const ROW: f32 = 22.0;
/// Width of a column of numbers in points.
const NUMBER: f32 = 46.0;

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
    /// Ascending, set apart from `sort` so that its default is the usual one.
    descending: bool,
    arm: String,
    rows: Vec<Row>,
    /// What `rows` was made of.
    made_of: Option<Made>,
}

#[derive(Clone, PartialEq)]
struct Made {
    filter: String,
    sort: Sort,
    descending: bool,
    arm: String,
    scored: usize,
}

/// What the user asked for.
pub(super) enum Asked {
    /// Open the case at this place of the dataset.
    Open(usize),
    /// Look at the predictions of this arm.
    Arm(String),
}

impl CaseList {
    /// Lists the cases of a dataset that is no run's.
    pub(super) fn list(&mut self, ui: &eframe::egui::Context, source: DataSource) {
        self.begin(ui, Origin::Data(source));
    }

    fn begin(&mut self, ctx: &eframe::egui::Context, origin: Origin) {
        let source = match &origin {
            Origin::Run(_, source) | Origin::Data(source) => source.clone(),
        };
        self.arriving = Some((origin, Background::start(ctx, move || Dataset::open(&source))));
    }

    /// Takes in what was read, and follows the run that the panels show. Why a dataset could not be listed, if so.
    pub(super) fn poll(&mut self, ctx: &eframe::egui::Context, workspace: &Workspace) -> Option<String> {
        let shown = workspace.shown().map(|run| run.folder.root().to_owned());
        if shown.is_some() && shown != self.followed {
            self.follow(ctx, workspace);
        }
        let mut trouble = None;
        if self.arriving.as_mut().is_some_and(|(_, work)| work.poll())
            && let Some((origin, work)) = self.arriving.take()
        {
            match work.take() {
                Some(Ok(dataset)) => {
                    (self.origin, self.dataset, self.made_of) = (Some(origin), Some(dataset), None);
                }
                Some(Err(error)) => trouble = Some(format!("The dataset was not opened: {error}")),
                None => trouble = Some("The list of cases was lost by a fault of the program; open it again.".to_owned()),
            }
        }
        self.list_rows(workspace);
        trouble
    }

    fn list_rows(&mut self, workspace: &Workspace) {
        let run = self.run(workspace);
        let state = run.map(OpenRun::state);
        let known = state.map(arms).unwrap_or_default();
        if !known.contains(&self.arm) {
            self.arm = known.first().cloned().unwrap_or_default();
        }
        let scored = state.map_or(0, |state| state.stages.iter().map(|stage| stage.scores.len()).sum());
        let made = Made { filter: self.filter.clone(), sort: self.sort, descending: self.descending, arm: self.arm.clone(), scored };
        if self.made_of.as_ref() != Some(&made)
            && let Some(dataset) = &self.dataset
        {
            let order = (self.sort, !self.descending);
            self.rows = rows(dataset, state.map(|state| (state, self.arm.as_str())), &self.filter, order);
            self.made_of = Some(made);
        }
    }

    /// Lists the shown run's cases, whatever was listed before.
    pub(super) fn follow(&mut self, ctx: &eframe::egui::Context, workspace: &Workspace) {
        let Some(run) = workspace.shown() else { return };
        let root = run.folder.root().to_owned();
        self.followed = Some(root.clone());
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

    /// Whether nothing is being read.
    pub(super) fn settled(&self) -> bool {
        self.arriving.is_none()
    }

    /// Whether there is a list, or will be.
    pub(super) fn is_there(&self) -> bool {
        self.dataset.is_some() || self.arriving.is_some()
    }

    /// The place in the dataset of the case after or before the one called `name`, in the order shown.
    pub(super) fn beside(&self, name: &str, forwards: bool) -> Option<usize> {
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
        self.title(ui, &self.dataset.as_ref()?.name, workspace);
        let edit = TextEdit::singleline(&mut self.filter).hint_text("Filter by name").desired_width(f32::INFINITY);
        let response = ui.add(edit).on_hover_text("Only cases whose name holds this");
        response.widget_info(|| WidgetInfo::labeled(Role::TextInput, true, "Filter cases by name"));
        let arm = self.arm.clone();
        let scored = self.scores(ui, workspace);
        let unit = self.run(workspace).map_or("mm", |run| run.config.distance_unit(&self.arm).word());
        self.head(ui, scored, unit);
        let chosen = (self.arm != arm).then(|| Asked::Arm(self.arm.clone()));
        let asked = self.body(ui, scored, open).or(chosen);
        if self.rows.is_empty() {
            ui.weak("No case has this in its name.");
        }
        asked
    }

    fn title(&self, ui: &mut Ui, name: &str, workspace: &Workspace) {
        let run = self.run(workspace).map(|run| run.state().name.clone());
        ui.add(eframe::egui::Label::new(RichText::new(name).strong()).truncate());
        if let Some(run) = run {
            ui.add(eframe::egui::Label::new(RichText::new(format!("run {run}")).small().weak()).truncate());
        }
    }

    /// Chooses whose scores are listed; whether there are any.
    fn scores(&mut self, ui: &mut Ui, workspace: &Workspace) -> bool {
        let Some(run) = self.run(workspace) else { return false };
        let known = arms(run.state());
        if known.is_empty() {
            return false;
        }
        ui.horizontal(|ui| {
            if known.len() > 1 {
                let width = ui.available_width() - 92.0;
                let combo = ComboBox::from_id_salt("scores of").width(width).truncate().selected_text(&self.arm);
                let shown = combo.show_ui(ui, |ui| {
                    for arm in &known {
                        ui.selectable_value(&mut self.arm, arm.clone(), arm);
                    }
                });
                shown
                    .response
                    .on_hover_text("Whose scores the list shows")
                    .widget_info(|| WidgetInfo::labeled(Role::ComboBox, true, format!("Scores of {}", self.arm)));
            }
            let worst = self.sort == Sort::Dice && !self.descending;
            let hint = "Sorts by mean Dice over the labels, the lowest first";
            if ui.selectable_label(worst, "Worst first").on_hover_text(hint).clicked() {
                (self.sort, self.descending) = if worst { (Sort::Name, false) } else { (Sort::Dice, false) };
            }
        });
        true
    }

    fn head(&mut self, ui: &mut Ui, scored: bool, unit: &str) {
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 0.0;
            let numbers = if scored { 2.0 * NUMBER } else { 0.0 };
            let name = ui.available_width() - numbers;
            self.column(ui, (Sort::Name, "Case", name), "Sort by name");
            if scored {
                self.column(ui, (Sort::Dice, "Dice", NUMBER), "Sort by mean Dice over the labels; the worst first, then the best");
                let hint = format!("Sort by mean HD95 over the labels, in {unit}; the worst first, then the best");
                self.column(ui, (Sort::Hd95, "HD95", NUMBER), &hint);
            }
        });
    }

    fn column(&mut self, ui: &mut Ui, (sort, title, width): (Sort, &str, f32), hint: &str) {
        let active = self.sort == sort;
        let arrow = match (active, self.descending) {
            (false, _) => "",
            (true, false) => " ^",
            (true, true) => " v",
        };
        let (rect, response) = ui.allocate_exact_size(vec2(width, 20.0), Sense::click());
        response.widget_info(|| WidgetInfo::selected(Role::Button, true, active, format!("Sort by {title}")));
        let colour = ui.style().interact_selectable(&response, active).text_color();
        let (anchor, at) = if sort == Sort::Name {
            (Align2::LEFT_CENTER, rect.left_center() + vec2(6.0, 0.0))
        } else {
            (Align2::RIGHT_CENTER, rect.right_center() - vec2(6.0, 0.0))
        };
        ui.painter().text(at, anchor, format!("{title}{arrow}"), TextStyle::Small.resolve(ui.style()), colour);
        if response.clicked() {
            self.descending = if active { !self.descending } else { !sort.worst_ascends() };
            self.sort = sort;
        }
        response.on_hover_text(hint);
    }

    fn body(&self, ui: &mut Ui, scored: bool, open: Option<&str>) -> Option<Asked> {
        let mut asked = None;
        ui.spacing_mut().item_spacing.y = 0.0;
        ScrollArea::vertical().auto_shrink([false, true]).show_rows(ui, ROW, self.rows.len(), |ui, range| {
            for row in &self.rows[range] {
                if draw(ui, row, scored, open == Some(row.name.as_str())) {
                    asked = Some(Asked::Open(row.index));
                }
            }
        });
        asked
    }
}

/// Whether the row was clicked.
fn draw(ui: &mut Ui, row: &Row, scored: bool, open: bool) -> bool {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, open, spoken(row)));
    let visuals = ui.style().interact_selectable(&response, open);
    if open || response.hovered() || response.has_focus() {
        ui.painter().rect_filled(rect, visuals.corner_radius, visuals.bg_fill);
    }
    let numbers = if scored || !row.truth { 2.0 * NUMBER } else { 0.0 };
    let colour = if row.truth { visuals.text_color() } else { ui.visuals().weak_text_color() };
    let width = rect.width() - numbers - 10.0;
    let name = WidgetText::from(row.name.as_str()).into_galley(
        ui,
        Some(eframe::egui::TextWrapMode::Truncate),
        width,
        FontSelection::Style(TextStyle::Body),
    );
    let at = rect.left_center() + vec2(6.0, -name.size().y / 2.0);
    ui.painter().galley(at, name, colour);
    if !row.truth && row.dice.is_none() {
        let at = rect.right_center() - vec2(6.0, 0.0);
        ui.painter().text(at, Align2::RIGHT_CENTER, "no truth", TextStyle::Small.resolve(ui.style()), colour);
    } else if scored {
        let font = TextStyle::Monospace.resolve(ui.style());
        for (column, (value, decimals)) in [(row.hd95, 1), (row.dice, 3)].into_iter().enumerate() {
            let text = value.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"));
            let at = rect.right_center() - vec2(column as f32 * NUMBER + 6.0, 0.0);
            ui.painter().text(at, Align2::RIGHT_CENTER, text, font.clone(), colour);
        }
    }
    let clicked = response.clicked();
    response.on_hover_text(spoken(row));
    clicked
}

fn spoken(row: &Row) -> String {
    let mut text = row.name.clone();
    if let Some(dice) = row.dice {
        text += &format!(", Dice {dice:.3}");
    }
    if let Some(hd95) = row.hd95 {
        text += &format!(", HD95 {hd95:.1}");
    }
    if !row.truth {
        text += ", no truth";
    }
    text
}
