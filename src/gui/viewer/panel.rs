//! How the panel is laid out: cases on the left, controls above, slices in the middle, numbers below.

use eframe::egui::{
    self, Align, Align2, CentralPanel, Frame, Id, Label, LayerId, Layout, Margin, Modal, Order, Panel, Rect, RichText, StrokeKind,
    TextStyle, Ui, UiBuilder, vec2,
};

use super::actions::{PanelAction, Pick};
use super::cases::Asked;
use super::layer::described;
use super::segmenting::offered;
use super::strip::Target;
use super::views::aside_width;
use super::welcome::{self, Choice};
use super::{OpenCase, SegmentationPanel, Views, readout, table, toolbar};
use crate::gui::{Action, Palette, Workspace};

/// Height of the histogram in points, at least, and as a share of what there is.
const HISTOGRAM: (f32, f32) = (36.0, 0.22);
/// Below this height, in points, the labels' pane leaves out what is known of the image: the labels need the room.
const LOW: f32 = 230.0;
/// Name under which the list's width is kept, and its first width.
const CASES: (&str, f32) = ("segmentation cases", 232.0);

impl SegmentationPanel {
    /// Draws the panel.
    pub fn show(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        let ctx = ui.ctx().clone();
        self.poll(&ctx, workspace);
        self.keys(ui, workspace);
        if self.list.is_there() {
            self.cases(ui, workspace);
        }
        if self.open.is_some() {
            Panel::top("segmentation controls").frame(bar()).show(ui, |ui| self.controls(ui, workspace));
            Panel::bottom("segmentation readout").frame(bar()).show(ui, |ui| self.foot(ui));
            let frame = Frame::new().fill(egui::Color32::BLACK);
            CentralPanel::default().frame(frame).show(ui, |ui| self.slices(ui, workspace));
        } else {
            CentralPanel::default().show(ui, |ui| self.without_volume(ui, workspace));
        }
        if let Some(case) = &self.open {
            self.picture.show(ui, case, &self.views, &workspace.settings);
        }
        self.question(ui, workspace);
        self.ask_what_they_are(ui, workspace);
        self.hint_drop(ui);
    }

    fn without_volume(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        self.news(ui, workspace);
        let choice = if let Some(arriving) = &self.reading {
            welcome::reading(ui, &arriving.wanted.title);
            None
        } else if self.sorting.is_some() {
            welcome::reading(ui, "the dropped files");
            None
        } else if let Some(failed) = &self.failed {
            welcome::failed(ui, &failed.wanted.title, &failed.cause)
        } else {
            welcome::empty(ui, workspace, self.list.is_there())
        };
        if let Some(choice) = choice {
            self.choose(&ui.ctx().clone(), choice, workspace);
        }
    }

    fn cases(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        let width = workspace.settings.layout.size(CASES.0, CASES.1);
        let open = self.open.as_ref().filter(|case| case.listed).map(|case| case.title.clone());
        let panel = Panel::left("segmentation cases").default_size(width).size_range(150.0..=420.0);
        let shown = panel.show(ui, |ui| {
            // The panel keeps its width, whatever its rows need.
            ui.set_min_width(ui.available_width());
            let mut follow = false;
            let other_run = workspace.shown().is_some() && self.list.run(workspace).is_none();
            if other_run {
                follow = ui.button("Cases of the shown run").clicked();
            }
            let asked = self.list.show(ui, workspace, open.as_deref());
            (asked, follow)
        });
        workspace.settings.layout.keep(CASES.0, shown.response.rect.width());
        let (asked, follow) = shown.inner;
        if follow {
            self.list.follow(ui.ctx(), workspace);
        }
        match asked {
            Some(Asked::Open(index)) => self.open_listed(&ui.ctx().clone(), index, workspace),
            Some(Asked::Arm(arm)) => self.views.shown = Some(super::case::method_title(&arm).to_owned()),
            None => {}
        }
    }

    fn controls(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        (ui.spacing_mut().item_spacing, ui.spacing_mut().button_padding.x) = (vec2(4.0, 5.0), 7.0);
        ui.horizontal_wrapped(|ui| {
            self.open_menu(ui, workspace);
            if let Some(case) = &self.open {
                toolbar::arrangement(ui, &mut self.views, case);
            }
            ui.separator();
            self.segment_menu(ui, workspace);
            if ui.button("Picture...").on_hover_text("Save a view, or all of them, as PNG").clicked() {
                self.picture.open();
            }
            toolbar::convention(ui, &mut workspace.settings);
        });
        if let Some(case) = &mut self.open {
            ui.horizontal_wrapped(|ui| toolbar::looks(ui, case, &mut workspace.settings));
        }
        self.news(ui, workspace);
    }

    fn open_menu(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        let mut choice = None;
        let mut pick = None;
        ui.menu_button("Open", |ui| {
            if ui.button("Volume...").clicked() {
                choice = Some(Choice::Open);
            }
            if ui.button("Labels for this volume...").clicked() {
                pick = Some(Pick::Labels);
            }
            if ui.button("Dataset...").clicked() {
                choice = Some(Choice::OpenFolder);
            }
            if ui.button("Demo cases").clicked() {
                choice = Some(Choice::Demo);
            }
            if !workspace.settings.recent_volumes.is_empty() {
                ui.separator();
                ui.label(RichText::new("Opened last").small().weak());
                choice = welcome::recent(ui, &workspace.settings.recent_volumes).or(choice.take());
            }
            if choice.is_some() || pick.is_some() {
                ui.close();
            }
        })
        .response
        .on_hover_text("Volumes, label maps, datasets; files can be dropped on the window as well");
        let ctx = ui.ctx().clone();
        if let Some(choice) = choice {
            self.choose(&ctx, choice, workspace);
        }
        if let Some(pick) = pick {
            self.pick(&ctx, pick);
        }
    }

    fn segment_menu(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        let mut chosen = None;
        let mut folder = false;
        ui.add_enabled_ui(!self.segmenting.is_running(), |ui| {
            ui.menu_button("Segment", |ui| {
                let offered = offered(workspace);
                if !offered.is_empty() {
                    ui.label(RichText::new("Checkpoints of the shown run").small().weak());
                }
                for offer in offered {
                    if ui.button(&offer.0).on_hover_text(offer.1.display().to_string()).clicked() {
                        chosen = Some(offer);
                    }
                }
                folder = ui.button("Choose a checkpoint...").on_hover_text("The folder of a run or of a checkpoint").clicked();
                if chosen.is_some() || folder {
                    ui.close();
                }
            })
            .response
            .on_hover_text("Segment the open volume with a trained network");
        });
        let ctx = ui.ctx().clone();
        if let Some(offer) = chosen {
            self.ask_or_do(&ctx, PanelAction::Segment(offer), workspace);
        }
        if folder {
            self.pick(&ctx, Pick::Checkpoint);
        }
    }

    fn foot(&mut self, ui: &mut Ui) {
        let Some(case) = &mut self.open else { return };
        let plane = self.views.arrangement.plane();
        let layer = self.views.shown_layer(case).and_then(|index| case.layers.get(index));
        match self.strip.show(ui, case, layer, plane) {
            Some(Target::Slice(slice)) => Views::go_to(case, plane, slice),
            Some(Target::Worst(slice)) => self.go_to_worst(slice),
            None => {}
        }
        let Some(case) = &self.open else { return };
        ui.horizontal(|ui| {
            let reading = self.reading.is_some() || self.sorting.is_some() || case.is_reading();
            if reading {
                ui.label(RichText::new("reading ...").small().weak());
            }
            readout::show(ui, case, self.views.hovered);
        });
    }

    fn slices(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        let Some(case) = &mut self.open else { return };
        if self.views.arrangement.compared().is_some() {
            let frame = Frame::new().fill(ui.visuals().panel_fill).inner_margin(Margin::same(8));
            let panel = Panel::right("compared labels").frame(frame).exact_size(aside_width(ui.available_width())).resizable(false);
            panel.show(ui, |ui| aside(ui, case, &self.views, workspace));
        }
        if let Some(free) = self.views.show(ui, case, &workspace.settings) {
            let fill = ui.visuals().panel_fill;
            ui.painter().rect_filled(free, 0.0, fill);
            let mut inner = ui.new_child(UiBuilder::new().id_salt("labels").max_rect(free.shrink(8.0)));
            inner.set_clip_rect(free);
            aside(&mut inner, case, &self.views, workspace);
        }
    }

    fn keys(&mut self, ui: &Ui, workspace: &mut Workspace) {
        let ctx = ui.ctx().clone();
        for action in workspace.settings.keys.pressed(ui, &[Action::NextCase, Action::PreviousCase]) {
            if let Some(index) = self.list.beside(self.standing().unwrap_or_default(), action == Action::NextCase) {
                self.open_listed(&ctx, index, workspace);
            }
        }
        let Some(case) = &mut self.open else { return };
        toolbar::keys(ui, case, &mut workspace.settings);
        for action in workspace.settings.keys.pressed(ui, &[Action::NextLabel, Action::PreviousLabel, Action::WorstSlice]) {
            let Some(case) = &mut self.open else { return };
            match (action, self.strip.worst()) {
                (Action::WorstSlice, Some(slice)) => self.go_to_worst(slice),
                (Action::WorstSlice, None) => {}
                _ => table::step(case, self.views.shown_layer(case), action == Action::NextLabel),
            }
        }
    }

    fn go_to_worst(&mut self, slice: usize) {
        let Some(case) = &mut self.open else { return };
        if let Some(layer) = self.views.shown_layer(case) {
            Views::go_to_error(case, layer, self.views.arrangement.plane(), slice);
        }
    }

    /// What happens to files that are over the window.
    fn hint_drop(&self, ui: &Ui) {
        if ui.input(|input| input.raw.hovered_files.is_empty()) {
            return;
        }
        let rect = ui.max_rect();
        let painter = ui.ctx().layer_painter(LayerId::new(Order::Foreground, Id::unique("drop hint")));
        painter.rect_filled(rect, 0.0, ui.visuals().panel_fill.gamma_multiply(0.85));
        painter.rect_stroke(rect.shrink(8.0), 6.0, ui.visuals().selection.stroke, StrokeKind::Inside);
        let text = if self.open.is_some() {
            "Drop an image to open it, or a label map to lay it over this volume"
        } else {
            "Drop an image to open it"
        };
        let font = TextStyle::Heading.resolve(ui.style());
        painter.text(rect.center(), Align2::CENTER_CENTER, text, font, ui.visuals().strong_text_color());
    }

    /// Asks before a segmentation is lost.
    fn question(&mut self, ui: &Ui, workspace: &mut Workspace) {
        let Some(pending) = &mut self.pending else { return };
        if pending.saving {
            return;
        }
        let ctx = ui.ctx().clone();
        let complete = self.segmenting.is_unsaved();
        let (mut carry_on, mut save) = (false, false);
        let modal = Modal::new(Id::unique("unsaved segmentation")).show(&ctx, |ui| {
            ui.set_max_width(420.0);
            if complete {
                ui.heading("The segmentation is not saved");
                ui.label("It would be lost. Save it as a NIfTI file first, or go on without it.");
            } else {
                ui.heading("The segmentation is not finished");
                ui.label("It would be stopped, and what there is of it lost.");
            }
            ui.add_space(8.0);
            ui.horizontal_wrapped(|ui| {
                save = complete && ui.button("Save as NIfTI...").clicked();
                carry_on = ui.button("Go on without it").clicked();
                ui.button("Cancel").clicked()
            })
            .inner
        });
        if save && let Some(case) = &self.open {
            pending.saving = true;
            self.segmenting.save(&ctx, case);
        } else if carry_on {
            self.carry_on(&ctx, workspace);
        } else if modal.inner || modal.should_close() {
            self.pending = None;
        }
    }
}

fn bar() -> Frame {
    Frame::new().inner_margin(Margin::symmetric(8, 4))
}

/// The label table, with the histogram and what is known of the image below it.
fn aside(ui: &mut Ui, case: &mut OpenCase, views: &Views, workspace: &mut Workspace) {
    let shown = views.shown_layer(case);
    let (whole, width) = (ui.available_height(), ui.available_width());
    // In the smallest window the labels need all of it.
    let histogram = if whole < LOW / 1.5 { 0.0 } else { (whole * HISTOGRAM.1).max(HISTOGRAM.0) };
    let lines = if whole < LOW { Vec::new() } else { image_lines(case).to_vec() };
    let room = vec2(width, (whole - histogram - 24.0 - 20.0 * lines.len() as f32).max(60.0));
    ui.allocate_ui_with_layout(room, Layout::top_down(Align::Min), |ui| {
        ui.set_min_size(room);
        ui.set_clip_rect(ui.clip_rect().intersect(Rect::from_min_size(ui.min_rect().min, room)));
        if let Some(layer) = shown.and_then(|index| case.layers.get(index)) {
            ui.add(Label::new(RichText::new(format!("Labels: {}", layer.title)).strong()).truncate());
            if let Some(own) = layer.labels().and_then(|labels| labels.own.as_ref()) {
                let note = RichText::new(&own.note).small().color(Palette::of(ui).caution());
                ui.add(Label::new(note).wrap());
            }
        }
        table::show(ui, case, shown, &mut workspace.settings);
    });
    for line in lines {
        ui.add(Label::new(RichText::new(&line).small().weak()).truncate()).on_hover_text(line);
    }
    let Some(channel) = case.channel_now().filter(|_| histogram > 0.0).cloned() else { return };
    let window = case.window();
    if let Some(window) = channel.histogram.show(ui, window, histogram) {
        case.set_window(Some(window));
    }
}

/// The image's grid and file, in two lines.
fn image_lines(case: &OpenCase) -> [String; 2] {
    let name = case.ground.scan.file.file_name().unwrap_or_default().to_string_lossy();
    [described(&case.ground.scan.volume.grid), format!("{}   {name}", case.channels[case.channel])]
}
