//! The window: a bar to choose the panel, the panel, a foot for troubles, and the question before it closes.

use std::path::PathBuf;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use eframe::egui::{self, Align, CentralPanel, Id, Layout, Modal, RichText, ScrollArea, Ui, ViewportCommand};
use eframe::egui_wgpu::RenderState;
use serde::{Deserialize, Serialize};

use super::collapse::CollapsePanel;
use super::keys_window::KeysWindow;
use super::mask_ratio::MaskRatioPanel;
use super::open::close;
use super::run::RunPanel;
use super::segmentation::SegmentationPanel;
use super::study::StudyPanel;
use super::{Desk, FollowedJob, Left, OpenRun, Opening, Palette, Settings, ThemeChoice, theme};
use crate::device::DeviceChoice;
use crate::protocol::{RunState, Severity};
use crate::worker;

/// Time that changed settings wait before they are written: sliders change them at each frame.
const SETTLE: Duration = Duration::from_secs(2);

/// A panel of the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Panel {
    /// Dataset, settings, progress, curves.
    #[default]
    Run,
    /// Is the representation collapsing?
    Collapse,
    /// What masking does to a volume, and to the loss.
    MaskRatio,
    /// Slices, labels, comparison.
    Segmentation,
    /// A grid of runs and what it shows.
    Study,
}

impl Panel {
    /// In the order of the bar.
    pub(super) const ALL: [Self; 5] = [Self::Run, Self::Collapse, Self::MaskRatio, Self::Segmentation, Self::Study];

    fn title(self) -> &'static str {
        match self {
            Self::Run => "Run",
            Self::Collapse => "Collapse",
            Self::MaskRatio => "Mask ratio",
            Self::Segmentation => "Segmentation",
            Self::Study => "Study",
        }
    }

    fn purpose(self) -> &'static str {
        match self {
            Self::Run => "Choose data and settings, train, follow and compare runs",
            Self::Collapse => "Does a token tell what it sees, or only where it lies?",
            Self::MaskRatio => "What masking does to a volume, and to the contrast",
            Self::Segmentation => "Look at volumes and labels, compare with the truth, segment",
            Self::Study => "Answer a question by a grid of runs: with how many labels, which settings, and how sure that is",
        }
    }
}

/// What is asked before the window closes on a running job.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Closing {
    No,
    Asking,
    /// Close as soon as the job has stopped and saved.
    Stopping,
    Leaving,
    Confirmed,
}

/// The window's content.
pub struct App {
    /// What the panels share.
    pub desk: Desk,
    /// Dataset, settings, progress, curves.
    pub run: RunPanel,
    /// Is the representation collapsing?
    pub collapse: CollapsePanel,
    /// What masking does.
    pub mask_ratio: MaskRatioPanel,
    /// Slices, labels, comparison.
    pub segmentation: SegmentationPanel,
    /// A grid of runs.
    pub study: StudyPanel,
    keys: KeysWindow,
    closing: Closing,
    /// Settings as they are on disk; none where they are not kept.
    kept: Option<Settings>,
    changed_since: Option<Instant>,
    left: Option<SyncSender<(Option<Left>, RunState)>>,
    opened_on: Option<PathBuf>,
}

impl App {
    /// A window on an empty desk. Settings are not written unless `Self::keep_settings` is called.
    pub fn new(ctx: &egui::Context, settings: Settings, gpu: Option<RenderState>, device: DeviceChoice) -> Self {
        theme::install(ctx);
        Self {
            desk: Desk::new(settings, gpu, device),
            run: RunPanel::default(),
            collapse: CollapsePanel::default(),
            mask_ratio: MaskRatioPanel::default(),
            segmentation: SegmentationPanel::default(),
            study: StudyPanel::default(),
            keys: KeysWindow::default(),
            closing: Closing::No,
            kept: None,
            changed_since: None,
            left: None,
            opened_on: None,
        }
    }

    /// Writes settings to the user's config folder as they change.
    pub(super) fn keep_settings(&mut self) {
        self.kept = Some(self.desk.settings.clone());
    }

    /// Where a job goes that is to run on without the window.
    pub(super) fn hand_over_to(&mut self, left: SyncSender<(Option<Left>, RunState)>) {
        self.left = Some(left);
    }

    /// Puts what the window was opened on onto the desk.
    pub fn begin(&mut self, ctx: &egui::Context, opening: Opening) {
        match opening {
            Opening::Desk => {}
            Opening::Run { job, folder, config } => {
                self.desk.settings.panel = Panel::Run;
                self.opened_on = Some(folder.root().to_owned());
                let known = folder.replay().unwrap_or_default();
                let handle = worker::spawn(*job, self.desk.device.clone());
                self.desk.settings.remember_run(folder.root());
                self.desk.put(OpenRun::at_work(folder, *config, FollowedJob::going_on(handle, known)));
            }
            Opening::Study(job) => {
                self.desk.settings.panel = Panel::Study;
                self.desk.settings.remember_study(job.folder.root());
                self.study.begin(*job, self.desk.device.clone());
            }
            Opening::Volume { image, labels } => {
                self.desk.settings.panel = Panel::Segmentation;
                self.segmentation.open_files(ctx, (&[image], labels), &self.desk);
            }
        }
    }

    /// One frame.
    pub fn show(&mut self, ui: &mut Ui) {
        let ctx = ui.ctx().clone();
        theme::follow(&ctx, self.desk.settings.theme, self.desk.settings.zoom);
        self.desk.poll(&ctx);
        self.run.tend(&ctx, &mut self.desk);
        self.segmentation.keep_up(&ctx);
        if let Some(chosen) = self.study.tend(&ctx, &mut self.desk) {
            self.run.take_dropped(&ctx, &[chosen], &mut self.desk);
        }
        self.watch_closing(&ctx);
        self.take_dropped(&ctx);
        egui::Panel::top("bar").show(ui, |ui| self.bar(ui));
        if !self.desk.troubles.is_empty() {
            egui::Panel::bottom("troubles").show(ui, |ui| self.troubles(ui));
        }
        CentralPanel::default().show(ui, |ui| match self.desk.settings.panel {
            Panel::Run => self.run.show(ui, &mut self.desk),
            Panel::Collapse => self.collapse.show(ui, &mut self.desk),
            Panel::MaskRatio => self.mask_ratio.show(ui, &mut self.desk),
            Panel::Segmentation => self.segmentation.show(ui, &mut self.desk),
            Panel::Study => self.study.show(ui, &mut self.desk),
        });
        self.keys.show(ui, &mut self.desk.settings.keys);
        self.question(&ctx);
        self.store_settings(&ctx, false);
    }

    fn bar(&mut self, ui: &mut Ui) {
        ui.horizontal(|ui| {
            ui.add_space(2.0);
            ui.label(RichText::new("simtrot").strong().size(16.0));
            ui.separator();
            for panel in Panel::ALL {
                let chosen = self.desk.settings.panel == panel;
                if ui.selectable_label(chosen, panel.title()).on_hover_text(panel.purpose()).clicked() {
                    self.desk.settings.panel = panel;
                }
            }
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if ui.button("?").on_hover_text("Keys and mouse (?)").clicked() {
                    self.keys.toggle();
                }
                ui.menu_button("View", |ui| view_menu(ui, &mut self.desk.settings)).response.on_hover_text("Light, dark, size");
                self.status(ui);
            });
        });
    }

    /// The run or study at work, in a few words, wherever the user is.
    fn status(&mut self, ui: &mut Ui) {
        let palette = Palette::of(ui);
        if let Some((text, word)) = self.study.status() {
            ui.label(RichText::new(text).small());
            ui.label(RichText::new(word).small().color(if word == "at work" { palette.good() } else { palette.caution() }));
        }
        let Some(run) = self.desk.at_work() else { return };
        let state = run.state();
        let stage =
            state.stages.last().map_or_else(|| "starting".to_owned(), |stage| format!("{} {} of {}", stage.stage, stage.done, stage.total));
        let (word, colour) = if run.job.is_stopping() {
            ("stopping", palette.caution())
        } else if run.job.is_paused() {
            ("paused", palette.caution())
        } else {
            ("at work", palette.good())
        };
        ui.label(RichText::new(format!("{}: {stage}", state.name)).small());
        ui.label(RichText::new(word).small().color(colour));
    }

    fn troubles(&mut self, ui: &mut Ui) {
        let palette = Palette::of(ui);
        ScrollArea::vertical().max_height(120.0).show(ui, |ui| {
            let mut dismissed = None;
            for (index, (severity, text)) in self.desk.troubles.iter().enumerate() {
                ui.horizontal_wrapped(|ui| {
                    let colour = if *severity == Severity::Warning { palette.bad() } else { palette.reference() };
                    if ui.small_button("Dismiss").clicked() {
                        dismissed = Some(index);
                    }
                    ui.label(RichText::new(text).color(colour));
                });
            }
            if let Some(index) = dismissed {
                self.desk.troubles.remove(index);
            }
        });
    }

    /// Files dropped on the window go to the panel that is shown.
    fn take_dropped(&mut self, ctx: &egui::Context) {
        let dropped: Vec<PathBuf> = ctx.input(|input| input.raw.dropped_files.iter().map(|file| file.path().to_owned()).collect());
        if dropped.is_empty() {
            return;
        }
        match self.desk.settings.panel {
            Panel::Run | Panel::Collapse | Panel::Study => self.run.take_dropped(ctx, &dropped, &mut self.desk),
            Panel::MaskRatio => self.mask_ratio.take_dropped(ctx, &dropped, &mut self.desk),
            Panel::Segmentation => self.segmentation.take_dropped(ctx, &dropped, &mut self.desk),
        }
    }

    /// Asks before a running job loses its window.
    fn watch_closing(&mut self, ctx: &egui::Context) {
        let running = self.desk.is_at_work();
        let concluding = self.desk.runs.iter().any(OpenRun::is_concluding);
        let asked = ctx.input(|input| input.viewport().close_requested());
        if asked && self.segmentation.would_lose() {
            ctx.send_viewport_cmd(ViewportCommand::CancelClose);
            self.desk.settings.panel = Panel::Segmentation;
            self.segmentation.ask_before_closing();
            return;
        }
        match self.closing {
            Closing::Stopping if !running && !concluding => {
                self.closing = Closing::Confirmed;
                close(ctx);
            }
            Closing::Confirmed | Closing::Leaving => {}
            _ if asked && running => {
                ctx.send_viewport_cmd(ViewportCommand::CancelClose);
                if self.closing == Closing::No {
                    self.closing = Closing::Asking;
                }
            }
            _ if asked && concluding => {
                ctx.send_viewport_cmd(ViewportCommand::CancelClose);
                self.closing = Closing::Stopping;
            }
            _ => {}
        }
    }

    fn question(&mut self, ctx: &egui::Context) {
        if !matches!(self.closing, Closing::Asking | Closing::Stopping) {
            return;
        }
        let study = self.desk.study_at_work.clone();
        let Some(name) = study.clone().or_else(|| self.desk.at_work().map(|run| run.name().to_owned())) else {
            if self.closing == Closing::Asking {
                self.closing = Closing::No;
            }
            return;
        };
        let modal = Modal::new(Id::unique("closing")).show(ctx, |ui| {
            ui.set_max_width(420.0);
            if self.closing == Closing::Stopping {
                ui.heading("Stopping");
                ui.horizontal(|ui| {
                    ui.spinner();
                    ui.label("The step under way is finished and saved; then the window closes.");
                });
                return;
            }
            ui.heading(format!("{name} is still at work"));
            let (what, later) = if study.is_some() { ("study", "the study goes on later with what is missing") } else { ("run", "the run can be resumed later") };
            ui.label(format!("Stopping finishes the step and saves; {later}. Without a window the {what} goes on in the background of this program until it is done."));
            ui.add_space(8.0);
            ui.horizontal_wrapped(|ui| {
                if ui.button("Stop and save").clicked() {
                    if let Some(run) = self.desk.at_work_mut() {
                        run.job.stop();
                    }
                    self.study.stop();
                    self.closing = Closing::Stopping;
                }
                if ui.button("Keep running without a window").clicked() {
                    self.closing = Closing::Leaving;
                    close(ctx);
                }
                if ui.button("Cancel").clicked() {
                    self.closing = Closing::No;
                }
            });
        });
        if modal.should_close() && self.closing == Closing::Asking {
            self.closing = Closing::No;
        }
    }

    /// Writes settings that have settled, or at once.
    fn store_settings(&mut self, ctx: &egui::Context, at_once: bool) {
        let Some(kept) = &self.kept else { return };
        if let Some(size) = ctx.input(|input| input.viewport().inner_rect).map(|rect| rect.size()) {
            self.desk.settings.window_size = Some([size.x, size.y]);
        }
        if *kept == self.desk.settings {
            self.changed_since = None;
            return;
        }
        let since = *self.changed_since.get_or_insert_with(Instant::now);
        if !at_once && since.elapsed() < SETTLE {
            ctx.request_repaint_after(SETTLE);
            return;
        }
        if let Err(trouble) = self.desk.settings.store() {
            self.desk.trouble(trouble);
        }
        self.kept = Some(self.desk.settings.clone());
    }
}

impl eframe::App for App {
    fn ui(&mut self, ui: &mut Ui, _frame: &mut eframe::Frame) {
        self.show(ui);
    }

    fn on_exit(&mut self) {
        if self.kept.as_ref().is_some_and(|kept| *kept != self.desk.settings) {
            let _ = self.desk.settings.store();
        }
        let opened_on = self.opened_on.take();
        let opened = self.desk.runs.iter().find(|run| Some(run.folder.root()) == opened_on.as_deref());
        let state = opened.map(|run| run.state().clone()).unwrap_or_default();
        let leaving = self.closing == Closing::Leaving;
        // Closed in spite of the question, by the system: what can be saved is saved.
        let left = self.desk.runs.iter_mut().find(|run| run.job.is_running()).and_then(|run| {
            if !leaving {
                run.job.stop();
            }
            let handle = run.job.release()?;
            let (state, folder, config) = (run.job.state.clone(), run.folder.clone(), run.config.clone());
            Some(Left::Run { handle, state: Box::new(state), folder, config: Box::new(config) })
        });
        if !leaving {
            self.study.stop();
        }
        let left = left.or_else(|| self.study.release());
        if let Some(sender) = &self.left {
            let _ = sender.try_send((left, state));
        }
    }
}

fn view_menu(ui: &mut Ui, settings: &mut Settings) {
    ui.label("Light");
    ui.radio_value(&mut settings.theme, ThemeChoice::Dark, "Dark");
    ui.radio_value(&mut settings.theme, ThemeChoice::Light, "Light");
    ui.radio_value(&mut settings.theme, ThemeChoice::System, "As the system");
    ui.separator();
    ui.label("Size");
    for (zoom, name) in [(0.8, "80 %"), (1.0, "100 %, as the system"), (1.25, "125 %"), (1.5, "150 %"), (2.0, "200 %")] {
        ui.radio_value(&mut settings.zoom, zoom, name);
    }
}

#[cfg(test)]
#[path = "app_tests.rs"]
mod tests;
