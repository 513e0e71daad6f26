//! How the panel is laid out: cases on the left, controls above, slices in the middle, numbers below.

use eframe::egui::{
    self, Align2, Button, CentralPanel, Frame, Id, Key, Label, LayerId, Margin, Order, Panel, Popup, RichText, ScrollArea, StrokeKind,
    TextStyle, TextWrapMode, Ui, UiBuilder, vec2,
};

use super::cases::Asked;
use super::image::method_title;
use super::layer::described;
use super::profile::Target;
use super::requests::{Browse, Request, offered};
use super::views::aside_width;
use super::{OpenCase, ViewerPanel, Views, labels, readout, toolbar};
use crate::gui::keys::reach_panels;
use crate::gui::widgets::card::one_line;
use crate::gui::widgets::welcome::{self, Sign};
use crate::gui::{Action, Palette, Workspace};

/// Height of the histogram in points, at least, and as a share of what there is.
const HISTOGRAM: (f32, f32) = (36.0, 0.22);
/// Below this height, in points, the labels' pane leaves out what is known of the image: the labels need the room.
const LOW: f32 = 230.0;
/// Below this width, in points, how slices are drawn is set in a menu: the slices need the room.
const NARROW: f32 = 600.0;
/// Height of the checkpoints that are offered, in points, at most: more of them scroll.
const OFFERED: f32 = 300.0;
/// Name under which the list's width is kept, and its first width.
const CASES: (&str, f32) = ("viewer cases", 232.0);

impl ViewerPanel {
    /// Draws the panel.
    pub fn show(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        let ctx = ui.ctx().clone();
        self.poll(&ctx, workspace);
        self.keys(ui, workspace);
        if self.list.is_there() {
            self.cases(ui, workspace);
        }
        if self.open.is_some() {
            let bar = Frame::new().inner_margin(Margin::symmetric(8, 4));
            Panel::top("viewer controls").frame(bar).show(ui, |ui| self.controls(ui, workspace));
            Panel::bottom("viewer readout").frame(bar).show(ui, |ui| self.foot(ui));
            CentralPanel::default().frame(Frame::new().fill(egui::Color32::BLACK)).show(ui, |ui| self.slices(ui, workspace));
        } else {
            CentralPanel::default().show(ui, |ui| self.without_volume(ui, workspace));
        }
        if let Some(case) = &self.open
            && let Some(saved) = self.picture.show(&ctx, case, &self.views, &workspace.settings)
        {
            self.notice = Some(saved);
        }
        self.ask_about_losses(&ctx, workspace);
        self.ask_what_they_are(&ctx, workspace);
        self.choose_series(&ctx, workspace);
        self.show_adding(&ctx, workspace);
        self.show_dialog(&ctx, workspace);
        self.hint_drop(ui);
    }

    /// What to do first, what is being read, or what went wrong.
    fn without_volume(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        self.notices(ui, workspace);
        let reading = self.reading.as_ref().map(|(request, _)| request.title.as_str());
        let request = if let Some(title) =
            reading.or(self.sorting.as_ref().map(|_| "the dropped files").or(self.series.folder().map(|_| "the folder")))
        {
            welcome::page(ui, &format!("Reading {title}"), "The window stays usable meanwhile.", |_| None)
        } else if let Some((request, cause)) = &self.failed {
            welcome::page(ui, &format!("{} cannot be shown", request.title), "", |ui| {
                ui.add(Label::new(RichText::new(cause).color(Palette::of(ui).bad())).wrap());
                ui.add_space(8.0);
                let again = ui.button("Try again").clicked() || reach_panels(ui.ctx()) && ui.input(|input| input.key_pressed(Key::F5));
                let other = ui.button("Open another...").clicked().then_some(Request::Browse(Browse::Image));
                again.then_some(Request::Again).or(other)
            })
        } else {
            let sentence = if self.list.is_there() {
                "Choose a case from the list, drop a volume here, or open one."
            } else {
                "Drop an image here (NIfTI, NRRD, MetaImage or a folder of DICOM series), open one, or begin with a demo case. A label map dropped on an open volume lies over it."
            };
            welcome::page(ui, "Open a volume", sentence, |ui| first_choice(ui, workspace))
        };
        self.chosen(ui, request, workspace);
    }

    /// Does what a button of the empty panel or of a menu asks for; what went wrong before is settled then.
    fn chosen(&mut self, ui: &Ui, request: Option<Request>, workspace: &Workspace) {
        if let Some(request) = request {
            self.notice = None;
            self.request(&ui.ctx().clone(), request, workspace);
        }
    }

    fn cases(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        let width = workspace.settings.layout.size(CASES.0, CASES.1);
        let open = self.open.as_ref().filter(|case| case.request.listed).map(|case| case.request.title.clone());
        let shown = Panel::left(CASES.0).default_size(width).size_range(150.0..=420.0).show(ui, |ui| {
            // The panel keeps its width, whatever its rows need.
            ui.set_min_width(ui.available_width());
            let other_run = workspace.shown().is_some() && self.list.run(workspace).is_none();
            let follow = other_run && ui.button("Cases of the shown run").clicked();
            (self.list.show(ui, workspace, open.as_deref()), follow)
        });
        workspace.settings.layout.keep(CASES.0, shown.response.rect.width());
        let (asked, follow) = shown.inner;
        if follow {
            self.list.follow(ui.ctx(), workspace);
        }
        match asked {
            Some(Asked::Open(index)) => self.open_listed(&ui.ctx().clone(), index, workspace),
            Some(Asked::Arm(arm)) => self.views.shown = Some(method_title(&arm).to_owned()),
            None => {}
        }
    }

    fn controls(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        (ui.spacing_mut().item_spacing, ui.spacing_mut().button_padding.x) = (vec2(4.0, 5.0), 7.0);
        let narrow = ui.available_width() < NARROW;
        ui.horizontal_wrapped(|ui| {
            self.open_menu(ui, workspace);
            if let Some(case) = &self.open {
                toolbar::arrangement(ui, &mut self.views, case);
            }
            ui.separator();
            toolbar::tools(ui, &mut self.views.tool, &workspace.settings);
            self.segment_menu(ui, workspace);
            if ui.button("Picture...").on_hover_text("Save a view, or all of them, as PNG").clicked() {
                self.picture.open();
            }
            toolbar::convention(ui, &mut workspace.settings);
            if let Some(case) = self.open.as_mut().filter(|_| narrow) {
                toolbar::display_menu(ui, case, &mut workspace.settings);
            }
        });
        if let Some(case) = self.open.as_mut().filter(|_| !narrow) {
            ui.horizontal_wrapped(|ui| toolbar::display(ui, case, &mut workspace.settings));
        }
        self.correction_controls(ui, workspace);
        self.notices(ui, workspace);
    }

    fn open_menu(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        let (mut chosen, mut adds) = (None, false);
        let is_file = self.shows_file();
        let menu = ui.menu_button("Open", |ui| {
            for (title, request) in [
                ("Volume...", Request::Browse(Browse::Image)),
                ("DICOM series...", Request::Browse(Browse::Series)),
                ("Labels for this volume...", Request::Browse(Browse::Labels)),
                ("Map for this volume...", Request::Browse(Browse::Map)),
                ("Dataset...", Request::Browse(Browse::Dataset)),
                ("Demo cases", Request::Demo),
            ] {
                if ui.button(title).clicked() {
                    chosen = Some(request);
                }
            }
            ui.separator();
            let hint = "Lay a label map in a file over its image first, one that was corrected elsewhere for example";
            let add = ui.add_enabled(is_file, Button::new("Add to the training set...")).on_disabled_hover_text(hint);
            if add.on_hover_text("The image with the labels that are shown").clicked() {
                adds = true;
                ui.close();
            }
            if !workspace.settings.recent_volumes.is_empty() {
                ui.separator();
                chosen = recent(ui, workspace).or(chosen.take());
            }
            if chosen.is_some() {
                ui.close();
            }
        });
        menu.response.on_hover_text("Volumes, label maps, datasets; files can be dropped on the window as well");
        if adds {
            self.offer_shown_labels();
        }
        self.chosen(ui, chosen, workspace);
    }

    fn segment_menu(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        let mut chosen = None;
        let button = Button::new("Segment").wrap_mode(TextWrapMode::Extend);
        let button = ui.add_enabled(!self.segmenting.is_running(), button).on_hover_text("Segment the open volume with a trained network");
        Popup::menu(&button).show(|ui| {
            let offered = offered(workspace);
            if !offered.is_empty() {
                ui.label(RichText::new("Checkpoints of the shown run").small().weak());
            }
            ScrollArea::vertical().max_height(OFFERED).show(ui, |ui| {
                for offer in offered {
                    if ui.button(&offer.0).on_hover_text(offer.1.display().to_string()).clicked() {
                        chosen = Some(Request::Segment(offer));
                    }
                }
            });
            if ui.button("Choose a checkpoint...").on_hover_text("The folder of a run or of a checkpoint").clicked() {
                chosen = Some(Request::Browse(Browse::Checkpoint));
            }
            if chosen.is_some() {
                ui.close();
            }
        });
        self.chosen(ui, chosen, workspace);
    }

    fn foot(&mut self, ui: &mut Ui) {
        let Some(case) = &mut self.open else { return };
        let plane = self.views.arrangement.plane();
        match self.profile.show(ui, case, self.views.shown_layer(case), plane) {
            Some(Target::Slice(slice)) => Views::go_to(case, plane, slice),
            Some(Target::Worst(slice)) => self.go_to_worst(slice),
            None => {}
        }
        let Some(case) = &self.open else { return };
        ui.horizontal(|ui| {
            if self.reading.is_some() || self.sorting.is_some() || case.is_reading() {
                ui.label(RichText::new("reading ...").small().weak());
            }
            readout::show(ui, case, self.views.hovered);
        });
    }

    fn slices(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        self.hold_brush(ui.ctx());
        let Some(case) = &mut self.open else { return };
        let mut asked = None;
        if self.views.arrangement.compared().is_some() {
            let frame = Frame::new().fill(ui.visuals().panel_fill).inner_margin(Margin::same(8));
            let panel = Panel::right("compared labels").frame(frame).exact_size(aside_width(ui.available_width())).resizable(false);
            asked = panel.show(ui, |ui| aside(ui, case, &self.views, workspace)).inner;
        }
        let free = self.views.show(ui, case, &workspace.settings);
        self.editing.paint(case, (&self.views.painted, self.views.notches));
        if let Some(free) = free {
            ui.painter().rect_filled(free, 0.0, ui.visuals().panel_fill);
            let mut inner = ui.new_child(UiBuilder::new().id_salt("labels").max_rect(free.shrink(8.0)));
            inner.set_clip_rect(free);
            asked = aside(&mut inner, case, &self.views, workspace);
        }
        self.chosen(ui, asked, workspace);
    }

    fn keys(&mut self, ui: &Ui, workspace: &mut Workspace) {
        let ctx = ui.ctx().clone();
        if reach_panels(&ctx) && !Popup::is_any_open(&ctx) && ui.input(|input| input.key_pressed(Key::Escape)) {
            self.close_one();
        }
        for action in workspace.settings.keys.pressed(ui, &[Action::NextCase, Action::PreviousCase]) {
            if let Some(index) = self.list.neighbour(self.current_case().unwrap_or_default(), action == Action::NextCase) {
                self.open_listed(&ctx, index, workspace);
            }
        }
        let Some(case) = &mut self.open else { return };
        toolbar::keys(ui, case, &mut workspace.settings);
        self.correction_keys(ui, workspace);
        let Some(case) = &mut self.open else { return };
        for action in
            workspace.settings.keys.pressed(ui, &[Action::Look, Action::Ruler, Action::Circle, Action::Brush, Action::DeleteMeasurement])
        {
            match action {
                Action::DeleteMeasurement => self.views.delete_measurement(case),
                tool => self.views.tool.toggle(tool),
            }
        }
        for action in workspace.settings.keys.pressed(ui, &[Action::NextLabel, Action::PreviousLabel, Action::WorstSlice]) {
            let Some(case) = &mut self.open else { return };
            match (action, self.profile.worst()) {
                (Action::WorstSlice, Some(slice)) => self.go_to_worst(slice),
                (Action::WorstSlice, None) => {}
                _ => labels::step(case, &self.views, action == Action::NextLabel),
            }
        }
    }

    fn go_to_worst(&mut self, slice: usize) {
        let Some(case) = &mut self.open else { return };
        self.views.go_to_error(case, self.views.arrangement.plane(), slice);
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
        let over = if self.open.is_some() { ", or a label map to lay it over this volume" } else { "" };
        let font = TextStyle::Heading.resolve(ui.style());
        let text = format!("Drop an image or a folder of DICOM series to open it{over}");
        painter.text(rect.center(), Align2::CENTER_CENTER, text, font, ui.visuals().strong_text_color());
    }
}

fn first_choice(ui: &mut Ui, workspace: &Workspace) -> Option<Request> {
    let browse = |sign, title, sentence, what| welcome::Choice { sign, title, sentence, means: Request::Browse(what) };
    let demo = "MRI of a hippocampus, from the cases inside the program.";
    let choices = [
        browse(
            Sign::Slices,
            "Open a volume ...",
            "A NIfTI, NRRD, MetaImage or Analyze image, or one file for each channel.",
            Browse::Image,
        ),
        browse(Sign::Slices, "Open a DICOM series ...", "A folder as the scanner exports it.", Browse::Series),
        browse(Sign::Curve, "Open a dataset ...", "A folder with dataset.json or imagesTr: its cases become a list.", Browse::Dataset),
        welcome::Choice { sign: Sign::Play, title: "Demo case", sentence: demo, means: Request::Demo },
    ];
    let chosen = welcome::choices(ui, &choices);
    ui.add_space(20.0);
    recent(ui, workspace).or(chosen)
}

/// The volumes opened last, as links.
fn recent(ui: &mut Ui, workspace: &Workspace) -> Option<Request> {
    welcome::recent(ui, "Opened last", &workspace.settings.recent_volumes).map(|file| Request::open(&[file], Vec::new()))
}

/// The label table, with the histogram and what is known of the image below it; what is asked by the table.
fn aside(ui: &mut Ui, case: &mut OpenCase, views: &Views, workspace: &mut Workspace) -> Option<Request> {
    let (whole, width) = (ui.available_height(), ui.available_width());
    // In the smallest window the labels need all of it.
    let histogram = if whole < LOW / 1.5 { 0.0 } else { (whole * HISTOGRAM.1).max(HISTOGRAM.0) };
    let lines = if whole < LOW { Vec::new() } else { image_lines(case).to_vec() };
    let room = vec2(width, (whole - histogram - 24.0 - 20.0 * lines.len() as f32).max(60.0));
    let (rect, _) = ui.allocate_exact_size(room, egui::Sense::hover());
    let mut table = ui.new_child(UiBuilder::new().id_salt("label table").max_rect(rect));
    table.set_clip_rect(ui.clip_rect().intersect(rect));
    if let Some(layer) = views.shown_layer(case) {
        one_line(&mut table, RichText::new(format!("Labels: {}", layer.title)).strong());
        if let Some(own) = layer.labels().and_then(|labels| labels.own.as_ref()) {
            let note = RichText::new(&own.note).small().color(Palette::of(ui).caution());
            table.add(Label::new(note).wrap());
        }
    }
    let asked = labels::show(&mut table, case, views, &mut workspace.settings);
    for line in lines {
        one_line(ui, RichText::new(&line).small().weak());
    }
    let channel = case.channel_now().filter(|_| histogram > 0.0).cloned();
    if let Some(window) = channel.and_then(|channel| channel.histogram.show(ui, case.window(), histogram)) {
        case.set_window(Some(window));
    }
    asked
}

/// The image's grid and file, in two lines.
fn image_lines(case: &OpenCase) -> [String; 2] {
    let name = case.background.scan.file.file_name().unwrap_or_default().to_string_lossy();
    [described(case.grid()), format!("{}   {name}", case.channels[case.channel])]
}
