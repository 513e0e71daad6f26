//! The settings of the run that is being set up: what matters in sight, the rest folded away.

use eframe::egui::{Button, CollapsingHeader, ComboBox, DragValue, RichText, Slider, TextEdit, Ui};

use super::advanced;
use super::card::{self, form, row};
use super::draft::{Draft, Part, Work};
use super::fetch::Ask;
use super::template::{Size, Template};
use crate::config::{ModelConfig, Preset, PretextTask, Rotate};
use crate::device::DeviceChoice;
use crate::gui::Palette;
use crate::worker::AvailableDevice;

/// Settings that are folded away.
const FOLDED: [&str; 7] =
    ["pretrain.batch", "pretrain.crop_size", "pretrain.optimiser", "finetune.batch", "finetune.crop_size", "finetune.optimiser", "data"];
/// Width of a list's closed box.
const BOX: f32 = 214.0;
/// Weights that the slider reaches; a number may be typed beyond.
const WEIGHTS: std::ops::RangeInclusive<f64> = 1.0..=50.0;

/// What the form asks the panel to do.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Request {
    /// Open a dialog.
    Ask(Ask),
    /// Begin anew with other settings.
    Restart(Template),
    /// Compute elsewhere.
    Device(DeviceChoice),
}

/// The form that the settings are made in.
#[derive(Default)]
pub(super) struct SettingsForm {
    /// The text under edit in "any other setting".
    other: String,
}

impl SettingsForm {
    /// Shows the settings, and returns what else is wished for.
    pub(super) fn show(&mut self, ui: &mut Ui, draft: &mut Draft, devices: &[AvailableDevice], device: &DeviceChoice) -> Option<Request> {
        let mut request = None;
        card::title(ui, "Settings");
        form(ui, "essentials", |ui| {
            request = begin_with(ui, draft).or(request.take());
            work(ui, draft, &mut request);
            network(ui, draft);
            if draft.work != Work::Finetune {
                pretext(ui, draft);
            }
            lengths(ui, draft);
            row(ui, "Device", "Where the run is computed", |ui| {
                if let Some(choice) = device_list(ui, devices, device) {
                    request = Some(Request::Device(choice));
                }
            });
        });
        if let Some(problem) = draft.problem_of("arms") {
            card::problem(ui, problem);
        }
        let wrong = FOLDED.into_iter().any(|key| draft.problem_of(key).is_some());
        let more =
            if wrong { RichText::new("More settings: ! look here").color(Palette::of(ui).bad()) } else { RichText::new("More settings") };
        CollapsingHeader::new(more).id_salt("more settings").show_unindented(ui, |ui| {
            form(ui, "more", |ui| {
                advanced::training(ui, draft);
                advanced::data(ui, draft);
            });
            self.any(ui, draft);
        });
        request
    }

    /// Whatever has no control of its own.
    fn any(&mut self, ui: &mut Ui, draft: &mut Draft) {
        let label =
            ui.label("Any other setting").on_hover_text("As for --set on the command line, for example pretrain.texture.noise_std=0.3");
        ui.horizontal(|ui| {
            let edit = TextEdit::singleline(&mut self.other)
                .hint_text("KEY=VALUE")
                .desired_width(ui.available_width() - 52.0)
                .background_color(card::field_ground(ui));
            let edit = ui.add(edit).labelled_by(label.id);
            let entered = edit.lost_focus() && ui.input(|input| input.key_pressed(eframe::egui::Key::Enter));
            if (ui.button("Set").clicked() || entered) && !self.other.trim().is_empty() {
                draft.set_text(&self.other);
                if draft.refusal().is_none() {
                    self.other.clear();
                }
            }
        });
        if let Some(refused) = draft.refusal() {
            card::problem(ui, &format!("{}: {}", refused.key, refused.message));
        }
    }
}

/// What is wrong with a setting, if anything is.
pub(super) fn wrong(ui: &mut Ui, draft: &Draft, key: &str) {
    if let Some(problem) = draft.problem_of(key) {
        card::problem(ui, problem);
    }
}

fn begin_with(ui: &mut Ui, draft: &Draft) -> Option<Request> {
    let mut request = None;
    row(ui, "Start from", "A set of settings to begin with; what you change afterwards departs from it", |ui| {
        ComboBox::from_id_salt("template").width(BOX).truncate().selected_text(draft.template().title()).show_ui(ui, |ui| {
            for template in Template::SHIPPED {
                let chosen = *draft.template() == template;
                if ui.selectable_label(chosen, template.title()).on_hover_text(template.purpose()).clicked() {
                    request = Some(Request::Restart(template));
                }
            }
            ui.separator();
            if ui.selectable_label(false, "From a file ...").on_hover_text("Settings in RON, such as config.ron of a run").clicked() {
                request = Some(Request::Ask(Ask::Config));
            }
        });
    });
    request
}

fn work(ui: &mut Ui, draft: &mut Draft, request: &mut Option<Request>) {
    row(ui, "Jobs", "What is done with these settings", |ui| {
        ui.horizontal(|ui| {
            for (work, word, hint) in [
                (Work::Compare, "Compare", "Every arm of the settings: pre-train, fine-tune, test, and compare"),
                (Work::Pretrain, "Pre-train", "Pre-training alone; no labels are needed"),
                (Work::Finetune, "Fine-tune", "Fine-tuning alone, from a checkpoint or from scratch, then the test cases"),
            ] {
                if ui.selectable_value(&mut draft.work, work, word).on_hover_text(hint).changed() {
                    draft.changed();
                }
            }
        });
    });
    if draft.work == Work::Compare {
        ui.label("");
        ui.vertical(|ui| {
            let arms = &draft.config().arms;
            let names = |arms: &[crate::config::Arm]| arms.iter().map(|arm| arm.name.clone()).collect::<Vec<_>>().join(", ");
            let text = format!("Pre-trains {}; fine-tunes {}", names(&arms.pretrain), names(&arms.finetune));
            let departures = arms.pretrain.iter().chain(&arms.finetune).filter(|arm| !arm.set.is_empty());
            let departures: Vec<String> = departures.map(|arm| format!("{}: {}", arm.name, arm.set.join(", "))).collect();
            card::note(ui, text);
            if !departures.is_empty() {
                let text = format!("{} with settings of their own", crate::wording::count(departures.len(), "arm"));
                ui.label(card::quiet(ui, text).small()).on_hover_text(departures.join("\n"));
            }
        });
        ui.end_row();
    }
    if draft.work == Work::Finetune {
        row(ui, "Encoder from", "The pre-trained checkpoint whose encoder fine-tuning starts from", |ui| {
            ui.horizontal(|ui| {
                if ui.button("Choose ...").on_hover_text("A run's folder, or a checkpoint in it").clicked() {
                    *request = Some(Request::Ask(Ask::Checkpoint));
                }
                let chosen = draft.from.as_ref().map(|from| from.display().to_string());
                match chosen {
                    Some(from) => {
                        if ui.button("Clear").on_hover_text("Start from random weights").clicked() {
                            draft.from = None;
                        }
                        card::one_line(ui, from.as_str()).on_hover_text(from.as_str());
                    }
                    None => card::note(ui, "from scratch"),
                }
            });
        });
    }
}

fn network_title(preset: Preset) -> String {
    format!("{}, {}", ModelConfig::Preset(preset).backbone().title(), Size::of(preset).title())
}

fn network(ui: &mut Ui, draft: &mut Draft) {
    row(ui, "Network", "Backbone and size. Another size brings the crop that it was published with", |ui| {
        let current = draft.preset();
        let text = current.map_or_else(|| format!("{}, sizes of its own", draft.config().model.backbone().title()), network_title);
        ComboBox::from_id_salt("network").width(BOX).truncate().selected_text(text).show_ui(ui, |ui| {
            for &preset in Preset::ALL {
                if ui.selectable_label(current == Some(preset), network_title(preset)).clicked() {
                    draft.choose_network(preset);
                }
            }
        });
        wrong(ui, draft, "model");
    });
}

fn pretext(ui: &mut Ui, draft: &mut Draft) {
    let pretrain = draft.config().pretrain.clone();
    row(ui, "Pretext task", "What pre-training asks of the network", |ui| {
        let text = pretrain.task.title(pretrain.weight);
        ComboBox::from_id_salt("task").width(BOX).selected_text(text).show_ui(ui, |ui| {
            for task in PretextTask::ALL {
                if ui.selectable_label(pretrain.task == task, task.title(pretrain.weight)).clicked() {
                    draft.set("pretrain.task", task);
                }
            }
        });
        wrong(ui, draft, "pretrain.task");
    });
    row(ui, "Mask ratio", "Share of mask cells hidden in the masked view; 0 switches masking off", |ui| {
        let mut ratio = pretrain.mask_ratio;
        if ui.add(Slider::new(&mut ratio, 0.0..=0.95).step_by(0.05).fixed_decimals(2)).changed() {
            draft.set("pretrain.mask_ratio", ratio);
        }
        wrong(ui, draft, "pretrain.mask_ratio");
    });
    let token_task = matches!(pretrain.task, PretextTask::Simtrot | PretextTask::BTrot);
    row(ui, "Weight w", "How often a token of the same position in another volume counts (eq. 3); 1 is SimTROT. SimTROT only", |ui| {
        ui.add_enabled_ui(pretrain.task == PretextTask::Simtrot, |ui| {
            let mut weight = pretrain.weight;
            let slider = Slider::new(&mut weight, WEIGHTS).logarithmic(true).max_decimals(1).clamping(eframe::egui::SliderClamping::Edits);
            if ui.add(slider).changed() {
                draft.set("pretrain.weight", (weight * 10.0).round() / 10.0);
            }
        });
        wrong(ui, draft, "pretrain.weight");
    });
    row(ui, "Rotate", "Turns of the other view, undone before the comparison. Without them token positions give the answer away", |ui| {
        ui.add_enabled_ui(token_task, |ui| {
            ui.horizontal(|ui| {
                for (rotate, word, hint) in [
                    (Rotate::Full, "Full", "All turns and flips that keep the crop, up to 48"),
                    (Rotate::InPlane, "In plane", "Quarter turns in the H,W plane and flips, as in the paper"),
                    (Rotate::Off, "Off", "No turn: the ablation"),
                ] {
                    if ui.selectable_label(pretrain.rotate == rotate, word).on_hover_text(hint).clicked() {
                        draft.set("pretrain.rotate", rotate);
                    }
                }
            });
        });
    });
}

/// Steps of the trainings that are wanted.
fn lengths(ui: &mut Ui, draft: &mut Draft) {
    let (pretrain, finetune) = (draft.work != Work::Finetune, draft.work != Work::Pretrain);
    for (name, part, shown) in [("Pre-train", Part::Pretrain, pretrain), ("Fine-tune", Part::Finetune, finetune)] {
        if !shown {
            continue;
        }
        row(ui, name, "Optimiser steps", |ui| {
            let config = draft.config();
            let mut steps = if part == Part::Pretrain { config.pretrain.steps } else { config.finetune.steps };
            if ui.add(DragValue::new(&mut steps).range(1..=100_000_000).speed(10).suffix(" steps")).changed() {
                draft.choose_steps(part, steps);
            }
            wrong(ui, draft, &format!("{}.steps", part.key()));
        });
    }
}

pub(in crate::gui) fn device_list(ui: &mut Ui, devices: &[AvailableDevice], device: &DeviceChoice) -> Option<DeviceChoice> {
    let mut chosen = None;
    let name =
        |offered: &AvailableDevice| if offered.software { format!("{}: software, slow", offered.name) } else { offered.name.clone() };
    let current = devices.iter().find(|offered| offered.choice == *device).map_or_else(|| device.to_string(), name);
    let list = ComboBox::from_id_salt("device").width(BOX).truncate().selected_text(current.as_str());
    let list = list.show_ui(ui, |ui| {
        for offered in devices {
            let entry = ui.selectable_label(offered.choice == *device, name(offered));
            let entry = if offered.software { entry.on_hover_text("The CPU imitates this GPU: slower than the CPU itself") } else { entry };
            if entry.clicked() {
                chosen = Some(offered.choice.clone());
            }
        }
    });
    list.response.on_hover_text(current);
    chosen
}

/// Name and folder of the run. Returns whether another folder is wished for.
pub(super) fn place(ui: &mut Ui, draft: &mut Draft) -> Option<Request> {
    let mut request = None;
    form(ui, "place", |ui| {
        row(ui, "Name", "Names the run and its folder: letters, digits, '-', '_' or '.'", |ui| {
            let mut name = draft.config().name.clone();
            if ui.add(TextEdit::singleline(&mut name).desired_width(BOX).background_color(card::field_ground(ui))).changed() {
                draft.set("name", &name);
            }
            wrong(ui, draft, "name");
        });
        row(ui, "Kept in", "The folder in which the run's own folder is made", |ui| {
            ui.horizontal(|ui| {
                if ui.add(Button::new("Change ...").small()).on_hover_text("Choose another folder").clicked() {
                    request = Some(Request::Ask(Ask::Parent));
                }
                let parent = draft.parent.display().to_string();
                card::one_line(ui, RichText::new(parent.as_str()).small()).on_hover_text(parent.as_str());
            });
        });
    });
    request
}
