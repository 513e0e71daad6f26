//! The left side: the dataset, the settings, what they will need, and the button that starts.

use std::path::PathBuf;

use eframe::egui::{self, Align, Button, Frame, Layout, Margin, Panel, RichText, ScrollArea, Ui, vec2};

use super::card;
use super::dataset::{OpenData, headline};
use super::draft::Draft;
use super::estimate::Estimate;
use super::fetch::Ask;
use super::settings::{self, SettingsForm};
use super::start::Starting;
use super::template::Template;
use crate::config::DataSource;
use crate::gui::{Background, Palette, Workspace};
use crate::worker::{AvailableDevice, available_devices};

/// A run that is being set up.
pub(super) struct Setup {
    /// Its settings.
    pub(super) draft: Draft,
    pub(super) data: OpenData,
    pub(super) estimate: Estimate,
    pub(super) devices: Background<(Vec<AvailableDevice>, Option<String>)>,
    form: SettingsForm,
    pub(super) starting: Starting,
    started: bool,
}

/// What the left side asks the panel to do.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Request {
    /// Open a dialog.
    Ask(Ask),
    /// Open a dataset of the recent list.
    Recent(PathBuf),
    /// Open the embedded demo.
    Demo,
    /// Show the check of the dataset.
    Cases,
}

impl Setup {
    /// Settings on their dataset, which is checked at once.
    pub(super) fn new(ctx: &egui::Context, draft: Draft) -> Self {
        let data = OpenData::open(ctx, draft.config().data.source.clone());
        let devices = Background::start(ctx, available_devices);
        Self::with(draft, data, Estimate::default(), devices)
    }

    /// Of its parts.
    pub(super) fn with(
        draft: Draft,
        data: OpenData,
        estimate: Estimate,
        devices: Background<(Vec<AvailableDevice>, Option<String>)>,
    ) -> Self {
        Self { draft, data, estimate, devices, form: SettingsForm::default(), starting: Starting::No, started: false }
    }

    /// Takes another dataset, and keeps the settings.
    pub(super) fn open(&mut self, ctx: &egui::Context, source: DataSource) {
        self.draft.take_source(source.clone());
        self.data = OpenData::open(ctx, source);
    }

    /// Begins anew with other settings; `keep_data`: on the same dataset, whatever they name.
    pub(super) fn restart(&mut self, ctx: &egui::Context, template: Template, keep_data: bool, workspace: &mut Workspace) {
        if let Err(error) = self.draft.restart(template, keep_data) {
            workspace.trouble(error.to_string());
        } else if self.data.source() != &self.draft.config().data.source {
            self.data = OpenData::open(ctx, self.draft.config().data.source.clone());
        } else if let Some(report) = self.data.report() {
            self.draft.learn(report);
        }
    }

    /// True once after a run was started.
    pub(super) fn has_started(&mut self) -> bool {
        std::mem::take(&mut self.started)
    }

    /// Takes in what was worked out beside the window.
    pub(super) fn poll(&mut self, ctx: &egui::Context, workspace: &mut Workspace) {
        self.devices.poll();
        if self.data.poll()
            && let Some(report) = self.data.report()
        {
            self.draft.learn(report);
        }
        self.estimate.poll(ctx, &self.draft, &workspace.device);
        let waiting = self.starting.is_under_way();
        self.starting.poll(ctx, &mut self.draft, workspace);
        self.started |= waiting && !self.starting.is_under_way();
    }

    /// The left side.
    pub(super) fn show(&mut self, ui: &mut Ui, workspace: &mut Workspace) -> Option<Request> {
        let mut request = None;
        let frame = Frame::new().inner_margin(Margin { top: 6, ..Margin::ZERO });
        Panel::bottom("start").show_separator_line(false).frame(frame).show(ui, |ui| self.start(ui, workspace));
        ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
            request = card::card(ui, |ui| self.dataset(ui, workspace));
            ui.add_space(6.0);
            let devices = self.devices.get().map_or(&[][..], |(devices, _)| devices.as_slice());
            let asked = card::card(ui, |ui| {
                let asked = self.form.show(ui, &mut self.draft, devices, &workspace.device);
                asked.or(settings::place(ui, &mut self.draft))
            });
            if let Some((_, Some(trouble))) = self.devices.get() {
                card::note(ui, trouble.as_str());
            }
            match asked {
                None => {}
                Some(settings::Request::Ask(ask)) => request = Some(Request::Ask(ask)),
                Some(settings::Request::Restart(template)) => self.restart(ui.ctx(), template, false, workspace),
                Some(settings::Request::Device(device)) => workspace.device = device,
            }
            ui.add_space(6.0);
            card::card(ui, |ui| self.estimate.show(ui, &mut self.draft, &workspace.device));
        });
        request
    }

    fn dataset(&mut self, ui: &mut Ui, workspace: &Workspace) -> Option<Request> {
        let mut request = None;
        ui.horizontal(|ui| {
            card::title(ui, "Data");
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let menu = ui.menu_button("Open ...", |ui| request = open_menu(ui, workspace));
                menu.response.on_hover_text("Another dataset");
                if self.data.report().is_some() && ui.button("Cases").on_hover_text("Shows the check of every case").clicked() {
                    request = Some(Request::Cases);
                }
            });
        });
        let name = card::one_line(ui, RichText::new(self.data.name()).strong());
        if let Some(place) = self.data.place() {
            name.on_hover_text(place.display().to_string());
        }
        if let Some(failure) = self.data.failure() {
            card::problem(ui, failure);
        } else if let Some((done, total)) = self.data.checking() {
            let share = if total == 0 { 0.0 } else { done as f32 / total as f32 };
            let text = if total == 0 { "opening".to_owned() } else { format!("checking {done} of {total}") };
            ui.label(card::quiet(ui, &text));
            card::bar(ui, vec2(ui.available_width(), 6.0), share, Palette::of(ui).series(0), &text);
        } else if let Some(report) = self.data.report() {
            let palette = Palette::of(ui);
            let colour = if report.problems.is_empty() { palette.good() } else { palette.bad() };
            ui.label(RichText::new(headline(report)).color(colour));
            if !report.problems.is_empty() {
                let mut skip = self.draft.config().data.skip_bad;
                let unusable = report.unusable().len();
                let text = format!("Go on without {}", crate::wording::count(unusable, "unusable case"));
                if unusable > 0 && ui.checkbox(&mut skip, text).on_hover_text("They are named in the run").changed() {
                    self.draft.set("data.skip_bad", skip);
                }
            }
        }
        request
    }

    /// Why the run cannot be started.
    fn hindrance(&self, workspace: &Workspace) -> Option<String> {
        if workspace.is_at_work() {
            return Some("A run or experiment is at work: stop it, or wait until it is done".to_owned());
        }
        if let Some(failure) = self.data.failure() {
            return Some(failure.to_owned());
        }
        let Some(report) = self.data.report() else { return Some("The cases are being checked".to_owned()) };
        let unusable = report.unusable().len();
        let cases = crate::wording::count(unusable, "case");
        if unusable > 0 && unusable == report.rows.len() {
            return Some(format!("No case can be used: {cases} with problems. Mend the files that are named, then open the dataset again"));
        }
        if unusable > 0 && !self.draft.config().data.skip_bad {
            return Some(format!("{cases} cannot be used: mend the files that are named, or tick above to go on without"));
        }
        self.draft.problems().first().map(|problem| format!("{} {}", problem.key, problem.message))
    }

    fn start(&mut self, ui: &mut Ui, workspace: &Workspace) {
        let reason = self.hindrance(workspace);
        let free = reason.is_none() && !self.starting.is_under_way();
        let visuals = ui.visuals();
        let (fill, ink) = (visuals.selection.bg_fill, visuals.selection.stroke.color);
        let text = RichText::new("Start").strong().size(15.0).color(ink);
        let size = vec2(ui.available_width(), 34.0);
        let button = ui.add_enabled_ui(free, |ui| ui.add_sized(size, Button::new(text).fill(fill))).inner;
        let hint = format!("Starts {} in {}", self.draft.config().name, self.draft.folder().root().display());
        if button.on_hover_text(hint).on_disabled_hover_text(reason.as_deref().unwrap_or("Looking at the run's folder")).clicked() {
            self.starting = Starting::begin(ui.ctx(), &self.draft);
        }
        if let Some(reason) = &reason {
            card::note(ui, reason.as_str());
        }
    }

    /// The check of the dataset.
    pub(super) fn show_cases(&mut self, ui: &mut Ui) {
        if let Some(failure) = self.data.failure() {
            let colour = Palette::of(ui).bad();
            card::loud_card(ui, colour, "The dataset cannot be opened", |ui| ui.label(failure));
            return;
        }
        if let Some((report, table)) = self.data.checked_cases() {
            ui.horizontal_wrapped(|ui| {
                ui.label(RichText::new(&report.name).heading());
                ui.label(headline(report));
            });
            let labels: Vec<String> = report.labels.iter().map(|(value, name)| format!("{value} {name}")).collect();
            card::note(ui, format!("Channels: {}.   Labels: {}.", report.channels.join(", "), labels.join(", ")));
            ui.add_space(4.0);
            table.show(ui);
        } else {
            card::card(ui, |ui| {
                card::title(ui, "Checking every case");
                card::note(ui, "Shapes, spacing, orientation, intensities and labels are read once. You can set up the run meanwhile.");
            });
        }
    }
}

fn open_menu(ui: &mut Ui, workspace: &Workspace) -> Option<Request> {
    let mut request = None;
    for (text, ask) in [
        ("A dataset's folder ...", Ask::DatasetFolder),
        ("A dataset.json ...", Ask::DatasetList),
        ("Images and labels in two folders ...", Ask::TwoFolders),
    ] {
        if ui.button(text).clicked() {
            request = Some(Request::Ask(ask));
        }
    }
    if ui.button("The embedded demo").clicked() {
        request = Some(Request::Demo);
    }
    if !workspace.settings.recent_datasets.is_empty() {
        ui.separator();
    }
    for place in &workspace.settings.recent_datasets {
        let name = place.file_name().unwrap_or(place.as_os_str()).to_string_lossy();
        if ui.button(name.as_ref()).on_hover_text(place.display().to_string()).clicked() {
            request = Some(Request::Recent(place.clone()));
        }
    }
    request
}
