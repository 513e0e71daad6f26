//! A corrected label map into a training set, and the network trained on with it: the dialog behind "Add to the training set ...".
//!
//! Whoever has saved a correction hands it to [`AddCase::offer`]. Files are written and the training is laid out on threads of their own; the
//! training itself is an experiment of the workspace like any other.

use std::path::{Path, PathBuf};

use eframe::egui::{Button, ComboBox, Context, RichText, Ui};

use super::corrections_table;
use super::dropped::{Dropped, dropped};
use super::requests::{Offered, offered};
use crate::config::DataSource;
use crate::corrections::{self, AddError, AddJob, Added, Change, Corrections, NewCase, Prediction};
use crate::experiment::{Experiment, ExperimentFolder};
use crate::gui::widgets::{Answer, PathDialog, PathKind, card, modal};
use crate::gui::{Background, OpenRun, Palette, Panel, Workspace};
use crate::protocol::Severity;
use crate::volume::VolumeSource;
use crate::volume::note::first_of;

/// Cases that a sentence names.
const SHOWN: usize = 5;
/// Said where a thread ended without a result.
const LOST: &str = "ended by a fault of the program; try again";

/// A label map that was corrected and saved.
#[derive(Clone, Debug)]
pub(super) struct CorrectedCase {
    /// What the case is called.
    pub(super) name: String,
    /// Its image: one file with all channels, or one for each.
    pub(super) images: Vec<VolumeSource>,
    /// The corrected label map's file.
    pub(super) label: PathBuf,
    /// The prediction that was corrected; none: nothing is compared.
    pub(super) predicted: Option<Prediction>,
    /// The network that predicted it, as far as it is known.
    pub(super) network: Option<String>,
}

/// The dialog, while it is open.
#[derive(Default)]
pub(super) struct AddCase {
    open: Option<Dialog>,
}

struct Dialog {
    case: CorrectedCase,
    /// Where it goes.
    source: Option<DataSource>,
    /// A dataset's folder that is being asked for.
    asking: Option<PathDialog<DataSource>>,
    stage: Stage,
}

/// A dataset to which the case was added.
struct Done {
    added: Added,
    all: Corrections,
}

/// A training that was laid out: the experiment, and what to say of its cases.
type Planned = Box<(Experiment, ExperimentFolder, Vec<String>)>;

enum Stage {
    /// Nothing was done yet, or it was refused: why, and whether an answer is to replace the label map that is there.
    Ready(Option<(String, bool)>),
    Adding(Background<Result<Box<Done>, AddError>>),
    /// It is in the training set. `chosen`: the training to go on from; `learning`: the next one on its way; `trouble`: why there is none.
    Added {
        done: Box<Done>,
        chosen: usize,
        learning: Option<Background<Result<Planned, String>>>,
        trouble: Option<String>,
    },
}

/// What the user asks for.
enum Asked {
    Add { replace: bool },
    Browse,
    Learn(PathBuf),
    Close,
}

impl AddCase {
    /// Opens the dialog for a corrected case; `source`: the dataset that it is to go into, where one is listed.
    pub(super) fn offer(&mut self, case: CorrectedCase, source: Option<DataSource>) {
        let source = source.filter(|source| corrections::folder_of(source).is_ok());
        self.open = Some(Dialog { case, source, asking: None, stage: Stage::Ready(None) });
    }

    /// Draws the dialog, if it is open. True in the frame in which a dataset has come to hold another label map.
    pub(super) fn show(&mut self, ctx: &Context, workspace: &mut Workspace) -> bool {
        let Some(dialog) = &mut self.open else { return false };
        let changed = dialog.poll(workspace);
        if matches!(dialog.stage, Stage::Added { learning: None, trouble: None, .. }) && workspace.settings.panel != Panel::Segmentation {
            // The training has begun, and its panel is shown.
            self.open = None;
            return changed;
        }
        if let Some(asking) = &mut dialog.asking {
            match asking.show(ctx) {
                Some(Answer::Chosen(source)) => (dialog.source, dialog.asking, dialog.stage) = (Some(source), None, Stage::Ready(None)),
                Some(Answer::Cancelled) => dialog.asking = None,
                None => {}
            }
            return changed;
        }
        let (asked, escaped) = modal(ctx, "add to a training set", |ui| dialog.contents(ui, workspace));
        match asked.or(escaped.then_some(Asked::Close)) {
            None => {}
            Some(Asked::Close) if dialog.is_at_work() => {}
            Some(Asked::Close) => self.open = None,
            Some(Asked::Browse) => dialog.asking = Some(ask_for_dataset(ctx)),
            Some(Asked::Add { replace }) => dialog.add(ctx, workspace, replace),
            Some(Asked::Learn(training)) => dialog.learn(ctx, training),
        }
        changed
    }

    /// Whether nothing is on its way.
    #[cfg(test)]
    pub(super) fn is_settled(&self) -> bool {
        self.open.as_ref().is_none_or(|dialog| !dialog.is_at_work())
    }
}

impl Dialog {
    fn is_at_work(&self) -> bool {
        matches!(self.stage, Stage::Adding(_) | Stage::Added { learning: Some(_), .. })
    }

    fn add(&mut self, ctx: &Context, workspace: &Workspace, replace: bool) {
        let Some(source) = self.source.clone() else { return };
        let groups = run_on(workspace, Some(&source)).and_then(|run| run.config.data.groups.clone());
        let CorrectedCase { name, images, label, predicted, network } = self.case.clone();
        let case = NewCase { name: Some(name), images, label, replace, groups };
        let job = AddJob { source, case, predicted, network };
        let work = move || {
            let added = corrections::add(&job)?;
            let all = Corrections::read(&added.folder)?;
            Ok(Box::new(Done { added, all }))
        };
        self.stage = Stage::Adding(Background::start(ctx, work));
    }

    fn learn(&mut self, ctx: &Context, from: PathBuf) {
        if let Stage::Added { learning, trouble, .. } = &mut self.stage {
            *trouble = None;
            *learning = Some(Background::start(ctx, move || lay_out(&from)));
        }
    }

    /// Takes in what was done beside the window. True where a dataset has changed.
    fn poll(&mut self, workspace: &mut Workspace) -> bool {
        match &mut self.stage {
            Stage::Ready(_) => false,
            Stage::Adding(work) => {
                if !work.poll() {
                    return false;
                }
                let stage = std::mem::replace(&mut self.stage, Stage::Ready(None));
                self.stage = after_adding(stage);
                matches!(&self.stage, Stage::Added { done, .. } if done.added.change != Change::Nothing)
            }
            Stage::Added { learning, trouble, .. } => {
                if let Some(planned) = learning.take_if(Background::poll) {
                    *trouble = begin(planned, workspace).err();
                }
                false
            }
        }
    }

    fn contents(&mut self, ui: &mut Ui, workspace: &Workspace) -> Option<Asked> {
        ui.heading("Add to the training set");
        let Self { case, source, stage, .. } = self;
        match stage {
            Stage::Ready(trouble) => before(ui, case, source.as_ref(), trouble.as_ref()),
            Stage::Adding(_) => {
                ui.label(format!("Adding {} ...", case.name));
                ui.spinner();
                None
            }
            Stage::Added { done, chosen, learning, trouble } => {
                said(ui, &done.added);
                corrections_table::show(ui, &done.all);
                ui.add_space(8.0);
                if let Some(cause) = trouble {
                    card::problem(ui, cause);
                }
                after(ui, (workspace, source.as_ref()), chosen, learning.is_some())
            }
        }
    }
}

/// What an addition that has ended came to.
fn after_adding(stage: Stage) -> Stage {
    let Stage::Adding(work) = stage else { return stage };
    match work.take() {
        Some(Ok(done)) => Stage::Added { done, chosen: 0, learning: None, trouble: None },
        Some(Err(error)) => Stage::Ready(Some((error.to_string(), matches!(error, AddError::HasLabel { .. })))),
        None => Stage::Ready(Some((format!("Adding the case {LOST}"), false))),
    }
}

/// Begins the training that was laid out, and shows its panel.
fn begin(planned: Background<Result<Planned, String>>, workspace: &mut Workspace) -> Result<(), String> {
    let lost = || Err(format!("Laying the training out {LOST}"));
    let (experiment, folder, notes) = *planned.take().unwrap_or_else(lost)?;
    workspace.troubles.extend(notes.into_iter().map(|note| (Severity::Info, note)));
    let open = OpenRun::new(experiment, folder);
    let job = open.job(1);
    workspace.start(open, job);
    workspace.settings.panel = Panel::Experiment;
    Ok(())
}

/// What is asked before anything is done.
fn before(ui: &mut Ui, case: &CorrectedCase, source: Option<&DataSource>, trouble: Option<&(String, bool)>) -> Option<Asked> {
    let mut asked = None;
    ui.label(format!("{} with the labels in {}", case.name, case.label.display()));
    match source.and_then(place_of) {
        Some(place) => ui.label(format!("goes into the dataset {}", place.display())),
        None => ui.label("Choose the dataset that it goes into: the folder with dataset.json or imagesTr."),
    };
    let compared = match &case.predicted {
        Some(Prediction::File(file)) => format!("It is compared with the prediction in {}.", file.display()),
        Some(Prediction::Labels(_)) => "It is compared with what was segmented in this window.".to_owned(),
        None => "No prediction was corrected: nothing is compared.".to_owned(),
    };
    ui.label(card::quiet(ui, compared));
    if let Some((cause, _)) = trouble {
        card::problem(ui, cause);
    }
    ui.add_space(8.0);
    ui.horizontal_wrapped(|ui| {
        let replaces = trouble.is_some_and(|(_, replaces)| *replaces);
        let label = if replaces { "Replace its label map, keep the old one" } else { "Add" };
        if ui.add_enabled(source.is_some(), Button::new(label)).clicked() {
            asked = Some(Asked::Add { replace: replaces });
        }
        if ui.button(if source.is_some() { "Another dataset ..." } else { "Choose a dataset ..." }).clicked() {
            asked = Some(Asked::Browse);
        }
        if ui.button("Cancel").clicked() {
            asked = Some(Asked::Close);
        }
    });
    asked
}

/// What was done.
fn said(ui: &mut Ui, added: &Added) {
    let Added { case, change, label, notes, .. } = added;
    let text = match change {
        Change::Added => format!("{case} is in the training set: {}", label.components().collect::<PathBuf>().display()),
        Change::Replaced(old) => format!("{case} has the new label map; the old one is kept in {}", old.display()),
        Change::Nothing => format!("{case} has this label map already; nothing was changed"),
    };
    ui.label(RichText::new(text).color(Palette::of(ui).good()));
    notes.iter().for_each(|note| card::note(ui, note.as_str()));
}

/// What may follow: a training that goes on from one of the shown run.
fn after(ui: &mut Ui, (workspace, source): (&Workspace, Option<&DataSource>), chosen: &mut usize, learning: bool) -> Option<Asked> {
    let mut asked = None;
    let networks = networks(workspace, source);
    *chosen = (*chosen).min(networks.len().saturating_sub(1));
    let hindrance = match workspace.at_work() {
        Some(open) => Some(format!("{} is at work: stop it, or wait until it is done", open.name())),
        None => networks.is_empty().then(|| "Open the run that was trained on this dataset first: its network is trained on".to_owned()),
    };
    ui.horizontal_wrapped(|ui| {
        if networks.len() > 1 {
            let names: Vec<&str> = networks.iter().map(|(name, _)| name.as_str()).collect();
            ComboBox::from_id_salt("network to train on").show_index(ui, chosen, names.len(), |index| names[index].to_owned());
        }
        let button = Button::new(if learning { "Preparing ..." } else { "Learn again" });
        let hint = "Trains the network on from all of its weights, with the new cases; its test cases stay";
        let pressed = ui.add_enabled(hindrance.is_none() && !learning, button).on_hover_text(hint);
        if pressed.on_disabled_hover_text(hindrance.as_deref().unwrap_or(hint)).clicked() {
            asked = networks.get(*chosen).map(|(_, folder)| Asked::Learn(folder.clone()));
        }
        if ui.add_enabled(!learning, Button::new("Close")).clicked() {
            asked = Some(Asked::Close);
        }
    });
    if let Some(hindrance) = hindrance {
        card::note(ui, hindrance);
    }
    asked
}

/// Fine-tuned networks of the shown run, if it was trained on that dataset.
fn networks(workspace: &Workspace, source: Option<&DataSource>) -> Vec<Offered> {
    if run_on(workspace, source).is_some() { offered(workspace) } else { Vec::new() }
}

/// The shown run, if it was trained on that dataset.
fn run_on<'w>(workspace: &'w Workspace, source: Option<&DataSource>) -> Option<&'w OpenRun> {
    let is_same =
        |own: &DataSource| source.is_some_and(|source| own == source || whole(source).is_some_and(|place| whole(own) == Some(place)));
    workspace.shown().filter(|run| is_same(&run.config.data.source))
}

/// Lays the next training out.
fn lay_out(from: &Path) -> Result<Planned, String> {
    let again = corrections::again(from, None, &[]).map_err(|error| error.to_string())?;
    let folder = ExperimentFolder::new(&again.folder);
    let experiment = Experiment::new(again.config, folder.contents()).map_err(|error| error.to_string())?;
    let learned = (!again.new.is_empty()).then(|| format!("Learns from new cases: {}", first_of(&again.new, SHOWN)));
    Ok(Box::new((experiment, folder, learned.into_iter().chain(again.notes).collect())))
}

fn ask_for_dataset(ctx: &Context) -> PathDialog<DataSource> {
    let title = "Choose a dataset: the folder with dataset.json or imagesTr";
    PathDialog::new(ctx, (title, PathKind::Folder), |folder| match dropped(&[folder.to_owned()]) {
        Dropped::Dataset(folder) => Ok(DataSource::Dataset(folder)),
        _ => Err(format!("{} is not the folder of a dataset: it holds neither dataset.json nor imagesTr", folder.display())),
    })
}

/// What a dataset is known by, however its path was written: its folder, or its list where that is not called dataset.json.
fn whole(source: &DataSource) -> Option<PathBuf> {
    let path = std::fs::canonicalize(place_of(source)?).ok()?;
    Some(if path.ends_with("dataset.json") { path.parent()?.to_owned() } else { path })
}

/// Where a dataset lies on disk.
fn place_of(source: &DataSource) -> Option<&Path> {
    match source {
        DataSource::Dataset(path) => Some(path),
        DataSource::Folders { images, .. } => Some(images),
        DataSource::Demo | DataSource::Synthetic(_) => None,
    }
}
