//! The window: a bar to choose the panel, the panel, a foot for troubles, and the question before it closes.

#[path = "app_closing.rs"]
mod closing;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use eframe::egui::{self, Align, CentralPanel, Layout, RichText, ScrollArea, Ui};
use eframe::egui_wgpu::RenderState;

use super::collapse::CollapsePanel;
use super::experiment::{ExperimentPanel, status};
use super::keys_window::KeysWindow;
use super::masking::MaskRatioPanel;
use super::viewer::ViewerPanel;
use super::widgets::card;
use super::widgets::save::Saving;
use super::{Left, OpenRun, Palette, Panel, Settings, ThemeChoice, Workspace, theme};
use crate::device::DeviceChoice;
use crate::experiment::Tally;
use crate::protocol::Severity;
use crate::worker::ExperimentJob;
use closing::Closing;

/// Time that changed settings wait before they are written: sliders change them at each frame.
const SETTLE: Duration = Duration::from_secs(2);

/// What the window opens on.
pub enum Opening {
    /// An empty workspace.
    Workspace,
    /// An experiment to work on.
    Experiment(Box<ExperimentJob>),
    /// A volume to look at.
    Volume {
        /// Its file.
        image: PathBuf,
        /// Label maps to lay over it.
        labels: Vec<PathBuf>,
    },
}

/// The window's content.
pub struct App {
    /// What the panels share.
    pub workspace: Workspace,
    /// Is the representation collapsing?
    pub collapse: CollapsePanel,
    /// What masking does.
    pub mask_ratio: MaskRatioPanel,
    /// Slices, labels, comparison.
    pub segmentation: ViewerPanel,
    /// Set-up, progress, scores, comparison.
    pub experiment: ExperimentPanel,
    keys: KeysWindow,
    closing: Closing,
    /// Tables and plots on their way to a file.
    pub(super) saving: Saving,
    /// Settings as they are on disk; none where they are not kept.
    kept: Option<Settings>,
    changed_since: Option<Instant>,
    left: Option<SyncSender<(Option<Left>, Option<Tally>)>>,
    opened_on: Option<PathBuf>,
    /// Whether what draws the window is gone.
    gpu_lost: Arc<AtomicBool>,
}

impl App {
    /// A window on an empty workspace. Settings are not written unless `Self::keep_settings` is called.
    pub fn new(ctx: &egui::Context, settings: Settings, gpu: Option<RenderState>, device: DeviceChoice) -> Self {
        theme::install(ctx);
        Self {
            workspace: Workspace::new(settings, gpu, device),
            collapse: CollapsePanel::default(),
            mask_ratio: MaskRatioPanel::default(),
            segmentation: ViewerPanel::default(),
            experiment: ExperimentPanel::default(),
            keys: KeysWindow::default(),
            closing: Closing::No,
            saving: Saving::default(),
            kept: None,
            changed_since: None,
            left: None,
            opened_on: None,
            gpu_lost: Arc::default(),
        }
    }

    /// Writes settings to the user's config folder as they change.
    pub(super) fn keep_settings(&mut self) {
        self.kept = Some(self.workspace.settings.clone());
    }

    /// Where a job goes that is to run on without the window.
    pub(super) fn hand_over_to(&mut self, left: SyncSender<(Option<Left>, Option<Tally>)>) {
        self.left = Some(left);
    }

    /// Closes the window as soon as its GPU is gone, which `lost` tells: nothing would ever be drawn again.
    pub(super) fn leave_with_gpu(&mut self, ctx: &egui::Context, lost: Arc<AtomicBool>) {
        self.gpu_lost = lost;
        let Some(gpu) = &self.workspace.gpu else { return };
        let (lost, ctx) = (self.gpu_lost.clone(), ctx.clone());
        gpu.device.set_device_lost_callback(move |_, _| {
            lost.store(true, Ordering::Relaxed);
            ctx.request_repaint();
        });
    }

    /// Puts what the window was opened on onto the workspace.
    pub fn begin(&mut self, ctx: &egui::Context, opening: Opening) {
        match opening {
            Opening::Workspace => {}
            Opening::Experiment(job) => {
                self.workspace.settings.panel = Panel::Experiment;
                self.opened_on = Some(job.folder.root().to_owned());
                self.workspace.start(OpenRun::new(job.experiment.clone(), job.folder.clone()), *job);
            }
            Opening::Volume { image, labels } => {
                self.workspace.settings.panel = Panel::Segmentation;
                self.segmentation.open_files(ctx, (&[image], labels), &self.workspace);
            }
        }
    }

    /// One frame.
    pub fn show(&mut self, ui: &mut Ui) {
        self.tend(ui.ctx());
        self.draw(ui);
    }

    /// Takes in what has happened; also while the window is hidden.
    fn tend(&mut self, ctx: &egui::Context) {
        self.workspace.poll(ctx);
        self.experiment.refresh(ctx, &mut self.workspace);
        self.segmentation.refresh(ctx);
        self.watch_closing(ctx);
    }

    fn draw(&mut self, ui: &mut Ui) {
        let ctx = ui.ctx().clone();
        theme::follow(&ctx, self.workspace.settings.theme, self.workspace.settings.zoom);
        self.take_dropped(&ctx);
        egui::Panel::top("bar").show(ui, |ui| self.bar(ui));
        if !self.workspace.troubles.is_empty() {
            egui::Panel::bottom("troubles").show(ui, |ui| self.troubles(ui));
        }
        CentralPanel::default().show(ui, |ui| match self.workspace.settings.panel {
            Panel::Collapse => self.collapse.show(ui, &mut self.workspace),
            Panel::MaskRatio => self.mask_ratio.show(ui, &mut self.workspace),
            Panel::Segmentation => self.segmentation.show(ui, &mut self.workspace),
            Panel::Experiment => self.experiment.show(ui, &mut self.workspace),
        });
        self.keys.show(ui, &mut self.workspace.settings.keys);
        if let Some(saved) = self.saving.show(&ctx) {
            self.workspace.troubles.push((Severity::Info, saved));
            ctx.request_repaint();
        }
        self.question(&ctx);
        self.store_settings(&ctx, false);
    }

    fn bar(&mut self, ui: &mut Ui) {
        ui.horizontal(|ui| {
            ui.add_space(2.0);
            ui.label(RichText::new("simtrot").strong().size(16.0));
            ui.separator();
            for (panel, title, purpose) in Panel::ALL {
                ui.selectable_value(&mut self.workspace.settings.panel, panel, title).on_hover_text(purpose);
            }
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if ui.button("?").on_hover_text("Keys and mouse (?)").clicked() {
                    self.keys.toggle();
                }
                ui.menu_button("View", |ui| view_menu(ui, &mut self.workspace.settings)).response.on_hover_text("Theme, size");
                self.status(ui);
            });
        });
    }

    /// The experiment at work, in a few words, wherever the user is.
    fn status(&mut self, ui: &mut Ui) {
        let Some((text, word, colour)) = self.workspace.at_work().map(|open| status(open, Palette::of(ui))) else { return };
        ui.label(RichText::new(text).small());
        ui.label(RichText::new(word).small().color(colour));
    }

    fn troubles(&mut self, ui: &mut Ui) {
        ScrollArea::vertical().max_height(120.0).show(ui, |ui| {
            self.workspace.troubles.retain(|(severity, text)| !card::notice(ui, *severity, text));
        });
    }

    /// Files dropped on the window go to the panel that is shown.
    fn take_dropped(&mut self, ctx: &egui::Context) {
        let dropped: Vec<PathBuf> = ctx.input(|input| input.raw.dropped_files.iter().map(|file| file.path().to_owned()).collect());
        if dropped.is_empty() {
            return;
        }
        match self.workspace.settings.panel {
            Panel::Experiment | Panel::Collapse => {
                self.workspace.settings.panel = Panel::Experiment;
                self.experiment.take_dropped(ctx, &dropped);
            }
            Panel::MaskRatio => self.mask_ratio.take_dropped(ctx, &dropped, &mut self.workspace),
            Panel::Segmentation => self.segmentation.take_dropped(ctx, &dropped, &self.workspace),
        }
    }

    /// Writes settings that have settled, or at once.
    fn store_settings(&mut self, ctx: &egui::Context, at_once: bool) {
        let Some(kept) = &self.kept else { return };
        if let Some(size) = ctx.input(|input| input.viewport().inner_rect).map(|rect| rect.size()) {
            self.workspace.settings.window_size = Some([size.x, size.y]);
        }
        if *kept == self.workspace.settings {
            self.changed_since = None;
            return;
        }
        let since = *self.changed_since.get_or_insert_with(Instant::now);
        if !at_once && since.elapsed() < SETTLE {
            ctx.request_repaint_after(SETTLE);
            return;
        }
        if let Err(trouble) = self.workspace.settings.store() {
            self.workspace.trouble(trouble);
        }
        self.kept = Some(self.workspace.settings.clone());
    }
}

impl eframe::App for App {
    fn logic(&mut self, ctx: &egui::Context, _frame: &mut eframe::Frame) {
        self.tend(ctx);
    }

    fn ui(&mut self, ui: &mut Ui, _frame: &mut eframe::Frame) {
        self.draw(ui);
    }

    fn on_exit(&mut self) {
        if self.kept.as_ref().is_some_and(|kept| *kept != self.workspace.settings) {
            let _ = self.workspace.settings.store();
        }
        let opened_on = self.opened_on.take();
        let opened = self.workspace.runs.iter().find(|open| Some(open.folder.root()) == opened_on.as_deref());
        let tally = opened.map(OpenRun::tally);
        let leaving = self.closing == Closing::Leaving;
        // Closed in spite of the question, by the system: what can be saved is saved.
        let left = self.workspace.at_work_mut().and_then(|open| {
            if !leaving {
                let _ = open.stop();
            }
            open.release()
        });
        if let Some(sender) = &self.left {
            let _ = sender.try_send((left, tally));
        }
    }
}

fn view_menu(ui: &mut Ui, settings: &mut Settings) {
    ui.label("Theme");
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
