//! Settings that are folded away: batches, crops, learning rates, data, seed.

use eframe::egui::{DragValue, RichText, Slider, Ui};

use super::card::{self, row};
use super::curves::number;
use super::draft::{Draft, Part, Work};
use super::settings::wrong;
use crate::config::{Intensity, LabelFraction, OptimiserConfig, ScheduleConfig, SplitConfig};
use crate::wording::count;

/// Key below which the learning rate stands.
fn rate_key(part: &str, optimiser: OptimiserConfig) -> String {
    match optimiser {
        OptimiserConfig::Sgd { .. } => format!("{part}.optimiser.sgd.lr"),
        OptimiserConfig::AdamW { .. } => format!("{part}.optimiser.adam_w.lr"),
    }
}

/// Batch, crop and learning rate of the trainings that are wanted.
pub(super) fn training(ui: &mut Ui, draft: &mut Draft) {
    let parts = [(Part::Pretrain, "Pre-training", Work::Finetune), (Part::Finetune, "Fine-tuning", Work::Pretrain)];
    for (training, title, without) in parts {
        if draft.work == without {
            continue;
        }
        ui.label(RichText::new(title).strong());
        ui.end_row();
        let (config, part) = (draft.config(), training.key());
        let (batch, accumulate, crop_size) = match training {
            Part::Pretrain => {
                let own = &config.pretrain;
                (own.batch, own.accumulate, own.crop_size)
            }
            Part::Finetune => {
                let own = &config.finetune;
                (own.batch, own.accumulate, own.crop_size)
            }
        };
        row(ui, "Batch", "Volumes of one batch, and batches whose gradients are added up before a step", |ui| {
            ui.horizontal(|ui| {
                let (mut batch, mut accumulate) = (batch, accumulate);
                if ui.add(DragValue::new(&mut batch).range(1..=1024).speed(0.05).suffix(" volumes")).changed() {
                    draft.set(&format!("{part}.batch"), batch);
                }
                ui.label("x");
                if ui.add(DragValue::new(&mut accumulate).range(1..=1024).speed(0.05)).changed() {
                    draft.set(&format!("{part}.accumulate"), accumulate);
                }
            });
            wrong(ui, draft, &format!("{part}.batch"));
        });
        row(ui, "Crop D, H, W", "Voxels of a training crop", |ui| {
            ui.horizontal(|ui| {
                let mut edges = crop_size;
                let mut changed = false;
                for edge in &mut edges {
                    changed |= ui.add(DragValue::new(edge).range(4..=1024)).changed();
                }
                if changed {
                    draft.set(&format!("{part}.crop_size"), edges);
                }
            });
            wrong(ui, draft, &format!("{part}.crop_size"));
        });
        optimiser(ui, draft, training);
    }
}

/// The step rule and its learning rate.
fn optimiser(ui: &mut Ui, draft: &mut Draft, training: Part) {
    let (config, part) = (draft.config(), training.key());
    let (optimiser, schedule) = match training {
        Part::Pretrain => (config.pretrain.optimiser, config.pretrain.schedule),
        Part::Finetune => (config.finetune.optimiser, config.finetune.schedule),
    };
    row(ui, "Optimiser", "The rule that turns gradients into steps; it brings its usual learning rate and schedule", |ui| {
        ui.horizontal(|ui| {
            let is_adam_w = matches!(optimiser, OptimiserConfig::AdamW { .. });
            for (adam_w, word, hint) in [
                (false, "SGD", "With Nesterov momentum, as in the paper"),
                (true, "AdamW", "Learns faster from few steps, and is advised for small sets"),
            ] {
                if ui.selectable_label(is_adam_w == adam_w, word).on_hover_text(hint).clicked() && is_adam_w != adam_w {
                    draft.choose_optimiser(training, adam_w);
                }
            }
        });
        wrong(ui, draft, &format!("{part}.schedule"));
    });
    row(ui, "Learning rate", "Before the schedule", |ui| {
        ui.horizontal(|ui| {
            let (mut rate, speed) = (optimiser.base_lr(), optimiser.base_lr() * 0.02);
            let drag = DragValue::new(&mut rate).range(1e-8..=10.0).speed(speed).custom_formatter(|rate, _| number(rate));
            if ui.add(drag).changed() {
                draft.set(&rate_key(part, optimiser), rate);
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
        wrong(ui, draft, &format!("{part}.optimiser"));
    });
}

/// Intensities, labels, split, seed.
pub(super) fn data(ui: &mut Ui, draft: &mut Draft) {
    ui.label(RichText::new("Data").strong());
    ui.end_row();
    let config = draft.config().data.clone();
    row(ui, "Intensity", "How voxel values become network input", |ui| {
        ui.horizontal(|ui| {
            let ct = matches!(config.preprocess.intensity, Intensity::CtWindow { .. });
            if ui.selectable_label(ct, "CT window").on_hover_text("-175 to 250 HU become 0 to 1").clicked() && !ct {
                draft.set("data.preprocess.intensity", Intensity::CT);
            }
            if ui.selectable_label(!ct, "z-score").on_hover_text("MRI: clipped at percentiles, then mean 0 and variance 1").clicked() && ct
            {
                draft.set("data.preprocess.intensity", Intensity::default());
            }
        });
        wrong(ui, draft, "data.preprocess");
    });
    row(ui, "Labels used", "Share of the labelled training cases that fine-tuning may use", |ui| {
        let LabelFraction(mut share) = config.label_fraction;
        if ui.add(Slider::new(&mut share, 0.01..=1.0).custom_formatter(percent).custom_parser(from_percent)).changed() {
            draft.set("data.label_fraction", (share * 100.0).round() / 100.0);
        }
        wrong(ui, draft, "data.label_fraction");
    });
    if let SplitConfig::HoldOut { test, validation } = config.split {
        for (name, key, share, hint) in [
            ("Test", "test", test, "Share of the labelled cases that are kept for testing"),
            ("Validation", "validation", validation, "Share of the labelled cases that choose the best checkpoint"),
        ] {
            row(ui, name, hint, |ui| {
                let mut share = share;
                if ui.add(Slider::new(&mut share, 0.0..=0.5).custom_formatter(percent).custom_parser(from_percent)).changed() {
                    draft.set(&format!("data.split.hold_out.{key}"), (share * 100.0).round() / 100.0);
                }
                wrong(ui, draft, "data.split");
            });
        }
    }
    row(ui, "Seed", "Keys every random draw: another seed is another run", |ui| {
        let mut seed = draft.config().seed;
        if ui.add(DragValue::new(&mut seed).speed(0.1)).changed() {
            draft.set("seed", seed);
        }
    });
}

fn percent(share: f64, _: std::ops::RangeInclusive<usize>) -> String {
    format!("{:.0} %", share * 100.0)
}

fn from_percent(text: &str) -> Option<f64> {
    let number: f64 = text.trim().trim_end_matches('%').trim().parse().ok()?;
    Some(number / 100.0)
}
