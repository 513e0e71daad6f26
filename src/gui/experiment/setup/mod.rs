//! Setting an experiment up: the dataset, the settings, what they will need, and the button that starts.
//!
//! `form` holds the config under edit, which begins as a `template`; `fields` are its controls. The dataset is checked (`dataset`,
//! `cases`), settings for it are `planned` where asked for, and the memory is planned (`estimate`), all beside the window; `start` looks at the
//! folder and hands over.

mod cases;
mod dataset;
mod estimate;
mod fields;
mod form;
mod planned;
mod start;
mod template;

use eframe::egui::{self, Button, Frame, Margin, Panel, RichText, ScrollArea, Ui, vec2};

use super::choose::Ask;
use super::request::Request;
use crate::config::DataSource;
use crate::configure::Request as Wanted;
use crate::gui::widgets::welcome::recent_menu;
use crate::gui::widgets::{Background, card};
use crate::gui::{Palette, Workspace};
use crate::wording::count;
use crate::worker::{AvailableDevice, available_devices};
use dataset::{headline, left_out};
use planned::{Planned, seconds};

pub(super) use dataset::OpenData;
pub(super) use estimate::Estimate;
pub(super) use fields::device_list;
pub(super) use form::Form;
#[cfg(test)]
pub(super) use form::Work;
pub(super) use start::{Decision, Starting};
pub(super) use template::Template;

/// Devices of the machine, and why some are missing.
pub(super) type Devices = Background<(Vec<AvailableDevice>, Option<String>)>;

/// An experiment that is being set up.
pub(super) struct Setup {
    pub(super) form: Form,
    pub(super) data: OpenData,
    pub(super) estimate: Estimate,
    pub(super) starting: Starting,
    /// Settings planned from the cases; none: nobody asked.
    planned: Option<Planned>,
    /// The time to plan for, as it is typed.
    time: String,
    /// The text under edit in "any other setting".
    other: String,
}

impl Setup {
    /// Settings on their dataset, which is checked at once.
    pub(super) fn new(ctx: &egui::Context, form: Form) -> Self {
        let data = OpenData::open(ctx, form.config().data.source.clone());
        Self::of(form, data, Estimate::default())
    }

    /// Of its parts.
    pub(super) fn of(form: Form, data: OpenData, estimate: Estimate) -> Self {
        Self { form, data, estimate, starting: Starting::No, planned: None, time: String::new(), other: String::new() }
    }

    /// Opens another dataset, and keeps the settings.
    pub(super) fn open(&mut self, ctx: &egui::Context, source: DataSource) {
        self.planned = None;
        self.form.take_source(source.clone());
        self.data = OpenData::open(ctx, source);
    }

    /// Begins anew with other settings; `keep_data`: on the same dataset, whatever they name.
    pub(super) fn restart(&mut self, ctx: &egui::Context, template: Template, keep_data: bool, workspace: &mut Workspace) {
        self.planned = None;
        if let Err(error) = self.form.restart(template, keep_data) {
            workspace.trouble(error.to_string());
        } else if self.data.source() != &self.form.config().data.source {
            self.data = OpenData::open(ctx, self.form.config().data.source.clone());
        } else if let Some(report) = self.data.report() {
            self.form.learn(report);
        }
    }

    /// Plans settings from the cases of the dataset that is open, for the workspace's device and the time that is typed.
    pub(super) fn plan(&mut self, ctx: &egui::Context, workspace: &mut Workspace) {
        match seconds(&self.time) {
            Err(problem) => workspace.trouble(problem),
            Ok(Some(_)) if workspace.is_at_work() => {
                workspace.trouble(
                    "Steps are measured for a time, and an experiment is at work: plan when it is done, or leave the time empty".to_owned(),
                );
            }
            Ok(time_secs) => {
                let request = Wanted { skip_bad: self.form.config().data.skip_bad, time_secs, ..Wanted::default() };
                self.planned = Some(Planned::begin(ctx, self.data.source().clone(), workspace.device.clone(), request));
            }
        }
    }

    /// Takes in what was worked out beside the window.
    pub(super) fn poll(&mut self, ctx: &egui::Context, workspace: &Workspace) -> Option<Decision> {
        if self.data.poll()
            && let Some(report) = self.data.report()
        {
            self.form.learn(report);
        }
        if let Some(planned) = &mut self.planned {
            planned.poll(&mut self.form);
        }
        self.estimate.poll(ctx, &self.form, &workspace.device);
        self.starting.poll(ctx, &mut self.form)
    }

    /// The left side.
    pub(super) fn show(&mut self, ui: &mut Ui, devices: &Devices, workspace: &Workspace) -> Option<Request> {
        let mut request = None;
        let frame = Frame::new().inner_margin(Margin { top: 6, ..Margin::ZERO });
        Panel::bottom("start").show_separator_line(false).frame(frame).show(ui, |ui| self.start(ui, workspace));
        ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
            request = card::card(ui, |ui| self.dataset(ui, workspace));
            ui.add_space(6.0);
            let (known, trouble) = devices.get().map_or((&[][..], None), |(devices, trouble)| (devices.as_slice(), trouble.as_deref()));
            let asked = card::card(ui, |ui| fields::show(ui, &mut self.form, &mut self.other, (known, &workspace.device)));
            if let Some(trouble) = trouble {
                card::note(ui, trouble);
            }
            request = asked.or(request.take());
            if let Some(planned) = &self.planned {
                ui.add_space(6.0);
                if card::card(ui, |ui| planned.show(ui, &mut self.time, workspace.at_work().is_some())) {
                    request = Some(Request::Plan);
                }
            }
            ui.add_space(6.0);
            card::card(ui, |ui| self.estimate.show(ui, &mut self.form, &workspace.device));
        });
        request
    }

    fn dataset(&mut self, ui: &mut Ui, workspace: &Workspace) -> Option<Request> {
        let mut request = None;
        let buttons = |ui: &mut Ui| {
            let menu = ui.menu_button("Open ...", |ui| request = open_menu(ui, workspace));
            menu.response.on_hover_text("Another dataset");
            if self.data.report().is_some() && ui.button("Cases").on_hover_text("Shows the check of every case").clicked() {
                request = Some(Request::Cases);
            }
        };
        card::sides(ui, |ui| card::title(ui, "Data"), buttons);
        let name = card::one_line(ui, RichText::new(self.data.name()).strong());
        if let Some(place) = self.data.place() {
            name.on_hover_text(place.display().to_string());
        }
        if let Some(failure) = self.data.failure() {
            card::problem(ui, failure);
        } else if let Some([done, total]) = self.data.checking() {
            let share = done as f32 / total.max(1) as f32;
            let text = if total == 0 { "opening".to_owned() } else { format!("checking {done} of {total}") };
            ui.label(card::quiet(ui, &text));
            card::bar(ui, vec2(ui.available_width(), 6.0), share, Palette::of(ui).series(0), &text);
        } else if let Some(report) = self.data.report() {
            let palette = Palette::of(ui);
            let colour = if report.problems.is_empty() { palette.good() } else { palette.bad() };
            ui.label(RichText::new(headline(report)).color(colour));
            let mut skip = self.form.config().data.skip_bad;
            let bad = left_out(report);
            if !bad.is_empty()
                && ui.checkbox(&mut skip, format!("Go on without {bad}")).on_hover_text("They are named in the run").changed()
            {
                self.form.set("data.skip_bad", skip);
            }
        }
        request
    }

    /// Why the experiment cannot be started.
    fn hindrance(&self, workspace: &Workspace) -> Option<String> {
        if let Some(open) = workspace.at_work() {
            return Some(format!("{} is at work: stop it, or wait until it is done", open.name()));
        }
        if let Some(failure) = self.data.failure() {
            return Some(failure.to_owned());
        }
        let Some(report) = self.data.report() else { return Some("The cases are being checked".to_owned()) };
        let unusable = report.unusable().len();
        let cases = count(unusable, "case");
        if unusable > 0 && unusable == report.rows.len() {
            return Some(format!("No case can be used: {cases} with problems. Mend the files that are named, then open the dataset again"));
        }
        if unusable > 0 && !self.form.config().data.skip_bad {
            return Some(format!("{cases} cannot be used: mend the files that are named, or tick above to go on without"));
        }
        self.form.problems().first().map(|problem| format!("{} {}", problem.key, problem.message))
    }

    fn start(&mut self, ui: &mut Ui, workspace: &Workspace) {
        let reason = self.hindrance(workspace);
        let free = reason.is_none() && !self.starting.is_under_way();
        let (fill, ink) = (ui.visuals().selection.bg_fill, ui.visuals().selection.stroke.color);
        let text = RichText::new("Start").strong().size(15.0).color(ink);
        let size = vec2(ui.available_width(), 34.0);
        let button = ui.add_enabled_ui(free, |ui| ui.add_sized(size, Button::new(text).fill(fill))).inner;
        let hint = format!("Starts {} in {}", self.form.config().name, self.form.folder().display());
        if button.on_hover_text(hint).on_disabled_hover_text(reason.as_deref().unwrap_or("Looking at the folder")).clicked() {
            self.starting = Starting::begin(ui.ctx(), &self.form);
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
        } else if let Some((report, table)) = self.data.cases() {
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

/// The devices of this machine, looked for beside the window.
pub(super) fn find_devices(ctx: &egui::Context) -> Devices {
    Background::start(ctx, available_devices)
}

fn open_menu(ui: &mut Ui, workspace: &Workspace) -> Option<Request> {
    let asked = [
        ("A dataset's folder ...", Request::Ask(Ask::DatasetFolder)),
        ("A dataset.json ...", Request::Ask(Ask::DatasetList)),
        ("Images and labels in two folders ...", Request::Ask(Ask::TwoFolders)),
        ("The embedded demo", Request::Demo),
    ];
    let request = asked.into_iter().filter(|(text, _)| ui.button(*text).clicked()).map(|(_, request)| request).last();
    if !workspace.settings.recent_datasets.is_empty() {
        ui.separator();
    }
    recent_menu(ui, &workspace.settings.recent_datasets).map(Request::Path).or(request)
}
