//! The controls of the settings: what matters in sight, the rest folded away. Each names the setting that it changes.

use eframe::egui::{Button, CollapsingHeader, ComboBox, DragValue, RichText, Slider, SliderClamping, TextEdit, Ui};

use super::form::{Form, Work};
use super::template::{Size, Template};
use crate::config::{Arm, Intensity, ModelConfig, OptimiserConfig, Preset, PretextTask, ScheduleConfig, SplitConfig};
use crate::device::DeviceChoice;
use crate::gui::Palette;
use crate::gui::experiment::choose::Ask;
use crate::gui::experiment::request::Request;
use crate::gui::widgets::card::{self, form as grid, row};
use crate::gui::widgets::ticks::number;
use crate::protocol::StageKind;
use crate::wording::count;
use crate::worker::AvailableDevice;

/// Settings that are folded away.
const FOLDED: [&str; 7] =
    ["pretrain.batch", "pretrain.crop_size", "pretrain.optimiser", "finetune.batch", "finetune.crop_size", "finetune.optimiser", "data"];
/// Width of a list's closed box, in points.
const BOX: f32 = 214.0;
/// Weights that the slider reaches; a number may be typed beyond.
const WEIGHTS: std::ops::RangeInclusive<f64> = 1.0..=50.0;
/// The trainings, with the keys of their settings.
const PARTS: [(StageKind, &str, &str); 2] =
    [(StageKind::Pretrain, "pretrain", "Pre-training"), (StageKind::Finetune, "finetune", "Fine-tuning")];

/// A setting as a control shows it: name, key, explanation.
type Setting<'a> = (&'a str, &'a str, &'a str);

/// Shows the settings; `other` is the text under edit in "any other setting".
pub(super) fn show(
    ui: &mut Ui,
    form: &mut Form,
    other: &mut String,
    (devices, device): (&[AvailableDevice], &DeviceChoice),
) -> Option<Request> {
    let mut request = None;
    let wanted: Vec<_> = PARTS.into_iter().filter(|(part, ..)| form.work.includes(*part)).collect();
    card::title(ui, "Settings");
    grid(ui, "essentials", |ui| {
        request = begin_with(ui, form);
        work(ui, form, &mut request);
        network(ui, form);
        if form.work.includes(StageKind::Pretrain) {
            pretext(ui, form);
        }
        for &(part, key, _) in &wanted {
            let name = if part == StageKind::Pretrain { "Pre-train" } else { "Fine-tune" };
            row(ui, name, "Optimiser steps", |ui| {
                let mut steps = form.rule(part).2;
                if ui.add(DragValue::new(&mut steps).range(1..=100_000_000).speed(10).suffix(" steps")).changed() {
                    form.choose_steps(part, steps);
                }
                wrong(ui, form, &format!("{key}.steps"));
            });
        }
        row(ui, "Device", "Where the experiment is computed", |ui| {
            if let Some(choice) = device_list(ui, devices, device) {
                request = Some(Request::Device(choice));
            }
        });
    });
    wrong(ui, form, "arms");
    let title = match FOLDED.into_iter().any(|key| form.problem_of(key).is_some()) {
        true => RichText::new("More settings: ! look here").color(Palette::of(ui).bad()),
        false => RichText::new("More settings"),
    };
    CollapsingHeader::new(title).id_salt("more settings").show_unindented(ui, |ui| {
        grid(ui, "more", |ui| {
            wanted.iter().for_each(|part| training(ui, form, *part));
            data(ui, form);
        });
        any(ui, form, other);
    });
    request.or(place(ui, form))
}

/// What is wrong with a setting, if anything is.
fn wrong(ui: &mut Ui, form: &Form, key: &str) {
    if let Some(problem) = form.problem_of(key) {
        card::problem(ui, problem);
    }
}

/// A slider for a share, in hundredths.
fn slider(ui: &mut Ui, form: &mut Form, (name, key, hint): Setting<'_>, slider: impl FnOnce(&mut f64) -> Slider<'_>) {
    row(ui, name, hint, |ui| {
        let mut value = form.value(key).as_f64().unwrap_or_default();
        if ui.add(slider(&mut value)).changed() {
            form.set(key, (value * 100.0).round() / 100.0);
        }
        wrong(ui, form, key);
    });
}

/// The same, written in percent.
fn percentage(ui: &mut Ui, form: &mut Form, setting: Setting<'_>, range: std::ops::RangeInclusive<f64>) {
    let percent = |share: f64, _: std::ops::RangeInclusive<usize>| format!("{:.0} %", share * 100.0);
    let share = |text: &str| Some(text.trim().trim_end_matches('%').trim().parse::<f64>().ok()? / 100.0);
    slider(ui, form, setting, |value| Slider::new(value, range).custom_formatter(percent).custom_parser(share));
}

/// Words beside one another, one of which is chosen.
fn words(ui: &mut Ui, chosen: usize, words: &[(&str, &str)]) -> Option<usize> {
    ui.horizontal(|ui| {
        let clicked = words.iter().enumerate().filter(|(place, (word, hint))| {
            ui.selectable_label(chosen == *place, *word).on_hover_text(*hint).clicked() && chosen != *place
        });
        clicked.map(|(place, _)| place).last()
    })
    .inner
}

/// A list that opens on a click: whether each entry is the chosen one, its text, its explanation, and what choosing it means.
fn list<T>(ui: &mut Ui, id: &str, chosen: &str, entries: impl IntoIterator<Item = (bool, String, String, T)>) -> Option<T> {
    let mut clicked = None;
    let list = ComboBox::from_id_salt(id).width(BOX).truncate().selected_text(chosen);
    let list = list.show_ui(ui, |ui| {
        for (is_chosen, text, hint, means) in entries {
            let entry = ui.selectable_label(is_chosen, text);
            let entry = if hint.is_empty() { entry } else { entry.on_hover_text(hint) };
            if entry.clicked() {
                clicked = Some(means);
            }
        }
    });
    list.response.on_hover_text(chosen);
    clicked
}

/// The devices of the machine; a choice, where one was made.
pub(in crate::gui) fn device_list(ui: &mut Ui, devices: &[AvailableDevice], device: &DeviceChoice) -> Option<DeviceChoice> {
    let name = |known: &AvailableDevice| if known.software { format!("{}: software, slow", known.name) } else { known.name.clone() };
    let current = devices.iter().find(|known| known.choice == *device).map_or_else(|| device.to_string(), name);
    let entries = devices.iter().map(|known| {
        let hint = if known.software { "The CPU imitates this GPU: slower than the CPU itself" } else { "" };
        (known.choice == *device, name(known), hint.to_owned(), known.choice.clone())
    });
    list(ui, "device", &current, entries)
}

fn begin_with(ui: &mut Ui, form: &Form) -> Option<Request> {
    let mut request = None;
    row(ui, "Start from", "A set of settings to begin with; what you change afterwards departs from it", |ui| {
        let entry = |template: Template| {
            let (title, purpose) = template.words();
            (*form.template() == template, title, purpose, Request::Restart(template))
        };
        let file = (false, "From a file ...".to_owned(), "A config in RON, with or without axes".to_owned(), Request::Ask(Ask::Config));
        let hint = "Reads every case, and plans voxel size, network, crops and steps by nnU-Net's rules".to_owned();
        let plan = (matches!(form.template(), Template::Planned(_)), "Planned from the cases".to_owned(), hint, Request::Plan);
        request = list(ui, "template", &form.template().words().0, Template::SHIPPED.map(entry).into_iter().chain([plan, file]));
    });
    request
}

fn work(ui: &mut Ui, form: &mut Form, request: &mut Option<Request>) {
    const JOBS: [(Work, (&str, &str)); 3] = [
        (Work::Compare, ("Compare", "Every arm of the settings: pre-train, fine-tune, test, and compare")),
        (Work::Pretrain, ("Pre-train", "Pre-training alone; no labels are needed")),
        (Work::Finetune, ("Fine-tune", "Fine-tuning alone, from a checkpoint or from scratch, then the test cases")),
    ];
    row(ui, "Jobs", "What is done with these settings", |ui| {
        let chosen = JOBS.iter().position(|(work, _)| *work == form.work).unwrap_or_default();
        if let Some(place) = words(ui, chosen, &JOBS.map(|(_, words)| words)) {
            form.work = JOBS[place].0;
            form.changed();
        }
    });
    match form.work {
        Work::Compare => arms(ui, form),
        Work::Pretrain => {}
        Work::Finetune => row(ui, "Encoder from", "The pre-trained checkpoint whose encoder fine-tuning starts from", |ui| {
            ui.horizontal(|ui| {
                if ui.button("Choose ...").on_hover_text("A run's folder, or a checkpoint in it").clicked() {
                    *request = Some(Request::Ask(Ask::Checkpoint));
                }
                let Some(from) = form.from.as_ref().map(|from| from.display().to_string()) else {
                    return card::note(ui, "from scratch");
                };
                if ui.button("Clear").on_hover_text("Start from random weights").clicked() {
                    form.from = None;
                }
                card::one_line(ui, from.as_str()).on_hover_text(from.as_str());
            });
        }),
    }
}

/// What is compared, and along which axes.
fn arms(ui: &mut Ui, form: &Form) {
    ui.label("");
    ui.vertical(|ui| {
        let arms = &form.config().arms;
        let names = |arms: &[Arm]| arms.iter().map(|arm| arm.name.clone()).collect::<Vec<_>>().join(", ");
        card::note(ui, format!("Pre-trains {}; fine-tunes {}", names(&arms.pretrain), names(&arms.finetune)));
        let own: Vec<&Arm> = arms.pretrain.iter().chain(&arms.finetune).filter(|arm| !arm.set.is_empty()).collect();
        if !own.is_empty() {
            let settings: Vec<String> = own.iter().map(|arm| format!("{}: {}", arm.name, arm.set.join(", "))).collect();
            let text = card::quiet(ui, format!("{} with settings of their own", count(own.len(), "arm"))).small();
            ui.label(text).on_hover_text(settings.join("\n"));
        }
        let axes: Vec<String> = form.axes().iter().map(|(name, levels)| format!("{name} ({})", count(*levels, "level"))).collect();
        if !axes.is_empty() {
            card::note(ui, format!("At every combination of {}", axes.join(", ")));
        }
    });
    ui.end_row();
}

fn network(ui: &mut Ui, form: &mut Form) {
    let title = |preset: Preset| format!("{}, {}", ModelConfig::Preset(preset).backbone().title(), Size::of(preset).title());
    row(ui, "Network", "Backbone and size. Another size brings the crop that it was published with", |ui| {
        let current = form.preset();
        let text = current.map_or_else(|| format!("{}, sizes of its own", form.config().model.backbone().title()), title);
        let entries = Preset::ALL.iter().map(|&preset| (current == Some(preset), title(preset), String::new(), preset));
        if let Some(preset) = list(ui, "network", &text, entries) {
            form.choose_network(preset);
        }
        wrong(ui, form, "model");
    });
}

fn pretext(ui: &mut Ui, form: &mut Form) {
    let (task, weight) = (form.config().pretrain.task, form.config().pretrain.weight);
    row(ui, "Pretext task", "What pre-training asks of the network", |ui| {
        let entries = PretextTask::ALL.into_iter().map(|other| (task == other, other.title(weight).to_owned(), String::new(), other));
        if let Some(other) = list(ui, "task", task.title(weight), entries) {
            form.set("pretrain.task", other);
        }
        wrong(ui, form, "pretrain.task");
    });
    let ratio = ("Mask ratio", "pretrain.mask_ratio", "Share of mask cells hidden in the masked view; 0 switches masking off");
    slider(ui, form, ratio, |value| Slider::new(value, 0.0..=0.95).step_by(0.05).fixed_decimals(2));
    let hint = "How often a token of the same position in another volume counts (eq. 3); 1 is SimTROT. SimTROT only";
    row(ui, "Weight w", hint, |ui| {
        ui.add_enabled_ui(task == PretextTask::Simtrot, |ui| {
            let mut weight = weight;
            let slider = Slider::new(&mut weight, WEIGHTS).logarithmic(true).max_decimals(1).clamping(SliderClamping::Edits);
            if ui.add(slider).changed() {
                form.set("pretrain.weight", (weight * 10.0).round() / 10.0);
            }
        });
        wrong(ui, form, "pretrain.weight");
    });
    const ROTATE: [(&str, (&str, &str)); 3] = [
        ("full", ("Full", "All rotations and flips that keep the crop, up to 48")),
        ("in_plane", ("In plane", "Quarter rotations in the H,W plane and flips, as in the paper")),
        ("off", ("Off", "No rotation: the ablation")),
    ];
    let hint = "Rotations of the other view, undone before the comparison. Without them token positions give the answer away";
    row(ui, "Rotate", hint, |ui| {
        ui.add_enabled_ui(matches!(task, PretextTask::Simtrot | PretextTask::BTrot | PretextTask::Ibot), |ui| {
            let chosen = ROTATE.iter().position(|(value, _)| form.value("pretrain.rotate") == value).unwrap_or(ROTATE.len());
            if let Some(place) = words(ui, chosen, &ROTATE.map(|(_, words)| words)) {
                form.set("pretrain.rotate", ROTATE[place].0);
            }
        });
    });
}

/// Batch, crop, optimiser and learning rate of a training.
fn training(ui: &mut Ui, form: &mut Form, (part, key, title): (StageKind, &str, &str)) {
    ui.label(RichText::new(title).strong());
    ui.end_row();
    let value = |form: &Form, setting: &str| form.value(&format!("{key}.{setting}")).as_u64().unwrap_or(1);
    row(ui, "Batch", "Volumes of one batch, and batches whose gradients are added up before a step", |ui| {
        ui.horizontal(|ui| {
            for (setting, suffix) in [("batch", " volumes"), ("accumulate", "")] {
                let mut value = value(form, setting);
                if ui.add(DragValue::new(&mut value).range(1..=1024).speed(0.05).suffix(suffix)).changed() {
                    form.set(&format!("{key}.{setting}"), value);
                }
                if setting == "batch" {
                    ui.label("x");
                }
            }
        });
        wrong(ui, form, &format!("{key}.batch"));
    });
    row(ui, "Crop D, H, W", "Voxels of a training crop", |ui| {
        let setting = format!("{key}.crop_size");
        ui.horizontal(|ui| {
            let mut edges: Vec<u64> = (0..3).map(|axis| form.value(&setting)[axis].as_u64().unwrap_or(32)).collect();
            let changed =
                edges.iter_mut().map(|edge| ui.add(DragValue::new(edge).range(4..=1024)).changed()).fold(false, |any, one| any | one);
            if changed {
                form.set(&setting, edges);
            }
        });
        wrong(ui, form, &setting);
    });
    let (optimiser, schedule, _) = form.rule(part);
    let is_adam_w = matches!(optimiser, OptimiserConfig::AdamW { .. });
    row(ui, "Optimiser", "The rule that turns gradients into steps; it brings its usual learning rate and schedule", |ui| {
        let rules =
            [("SGD", "With Nesterov momentum, as in the paper"), ("AdamW", "Learns faster from few steps, and is advised for small sets")];
        if let Some(place) = words(ui, usize::from(is_adam_w), &rules) {
            form.choose_optimiser(part, place == 1);
        }
        wrong(ui, form, &format!("{key}.schedule"));
    });
    row(ui, "Learning rate", "Before the schedule", |ui| {
        ui.horizontal(|ui| {
            let (mut rate, speed) = (optimiser.base_lr(), optimiser.base_lr() * 0.02);
            let drag = DragValue::new(&mut rate).range(1e-8..=10.0).speed(speed).custom_formatter(|rate, _| number(rate));
            if ui.add(drag).changed() {
                form.set(&format!("{key}.optimiser.{}.lr", if is_adam_w { "adam_w" } else { "sgd" }), rate);
            }
            card::note(
                ui,
                match schedule {
                    ScheduleConfig::Constant => "constant".to_owned(),
                    ScheduleConfig::Poly { .. } => "falls to 0".to_owned(),
                    ScheduleConfig::WarmupCosine { warmup } => format!("rises over {}, then falls", count(warmup, "step")),
                },
            );
        });
        wrong(ui, form, &format!("{key}.optimiser"));
    });
}

/// Intensities, labels, split, seed.
fn data(ui: &mut Ui, form: &mut Form) {
    ui.label(RichText::new("Data").strong());
    ui.end_row();
    row(ui, "Intensity", "How voxel values become network input", |ui| {
        let intensity = form.config().data.preprocess.intensity;
        let kinds = [
            ("CT", "-175 to 250 HU become 0 to 1, unless the config has a window or statistics of its own"),
            ("z-score", "MRI: clipped at percentiles, then mean 0 and variance 1"),
        ];
        if let Some(place) = words(ui, usize::from(matches!(intensity, Intensity::ZScore { .. })), &kinds) {
            form.set("data.preprocess.intensity", [Intensity::CT, Intensity::default()][place]);
        }
        wrong(ui, form, "data.preprocess");
    });
    let labels = ("Labels used", "data.label_fraction", "Share of the labelled training cases that fine-tuning may use");
    percentage(ui, form, labels, 0.01..=1.0);
    if let SplitConfig::HoldOut { .. } = form.config().data.split {
        for setting in [
            ("Test", "data.split.hold_out.test", "Share of the labelled cases that are kept for testing"),
            ("Validation", "data.split.hold_out.validation", "Share of the labelled cases that choose the best checkpoint"),
        ] {
            percentage(ui, form, setting, 0.0..=0.5);
        }
    }
    row(ui, "Seed", "Keys every random draw: another seed is another training", |ui| {
        let mut seed = form.config().seed;
        if ui.add(DragValue::new(&mut seed).speed(0.1)).changed() {
            form.set("seed", seed);
        }
    });
}

/// Whatever has no control of its own.
fn any(ui: &mut Ui, form: &mut Form, other: &mut String) {
    let hint = "As for --set on the command line, for example pretrain.texture.noise_std=0.3";
    let label = ui.label("Any other setting").on_hover_text(hint);
    ui.horizontal(|ui| {
        let edit = TextEdit::singleline(other).hint_text("KEY=VALUE").desired_width(ui.available_width() - 52.0);
        let edit = ui.add(edit.background_color(card::field_ground(ui))).labelled_by(label.id);
        let entered = edit.lost_focus() && ui.input(|input| input.key_pressed(eframe::egui::Key::Enter));
        if (ui.button("Set").clicked() || entered) && !other.trim().is_empty() {
            form.set_text(other);
            if form.refusal().is_none() {
                other.clear();
            }
        }
    });
    if let Some(refused) = form.refusal() {
        card::problem(ui, &format!("{}: {}", refused.key, refused.message));
    }
}

/// Name and folder of the experiment.
fn place(ui: &mut Ui, form: &mut Form) -> Option<Request> {
    let mut asked = None;
    grid(ui, "place", |ui| {
        row(ui, "Name", "Names the experiment and its folder: letters, digits, '-', '_' or '.'", |ui| {
            let mut name = form.config().name.clone();
            if ui.add(TextEdit::singleline(&mut name).desired_width(BOX).background_color(card::field_ground(ui))).changed() {
                form.set("name", &name);
            }
            wrong(ui, form, "name");
        });
        row(ui, "Kept in", "The folder in which the experiment's own folder is made", |ui| {
            ui.horizontal(|ui| {
                if ui.add(Button::new("Change ...").small()).on_hover_text("Choose another folder").clicked() {
                    asked = Some(Request::Ask(Ask::Parent));
                }
                let parent = form.parent.display().to_string();
                card::one_line(ui, RichText::new(parent.as_str()).small()).on_hover_text(parent.as_str());
            });
        });
    });
    asked
}
