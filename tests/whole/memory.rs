//! The memory that `plan` estimates, and refuses by, against peaks of real steps.
//!
//! A peak is a process's own, so that each step runs in a child: this test again, told by the environment which step to make.

use std::process::Command;

use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use simtrot::config::RunConfig;
use simtrot::device::memory::{peak_mib, resident_mib};
use simtrot::geometry::SignedPermutation;
use simtrot::model::{Pass, Task, plan};
use simtrot::objective::{DiceCeConfig, Objective as _, classes_from_host};
use simtrot::sampling::mask::MaskGrid;
use simtrot::sampling::{View, ViewBatch};
use simtrot::train::{DatasetInfo, Optimiser, Pretraining, init_segmenter};

/// Names the step that a child makes.
const STEP: &str = "SIMTROT_TEST_MEMORY_STEP";
/// Steps of a child: the first makes the momentum, the second holds it.
const STEPS: u64 = 2;
const BATCH: usize = 2;
const CLASSES: u8 = 3;
/// How far an estimate may lie from the measured peak.
const TOLERANCE: f64 = 0.2;

/// Networks and crops whose steps take a few hundred MiB: less, and the allocator's own habits show; a setting of each besides its preset.
const NETWORKS: &[(&str, &str, usize)] = &[
    ("nnformer_small", "nnformer.recompute=false", 64),
    ("nnformer_small", "nnformer.recompute=true", 64),
    ("swin_unetr_small", "swin_unetr.recompute=false", 48),
    ("swin_unetr_small", "swin_unetr.recompute=true", 48),
    ("unetr_small", "unetr.conv_block=true", 64),
    ("unet_small", "unet.deep_supervision=true", 48),
];

#[test]
fn estimates_lie_within_a_fifth_of_measured_peaks() {
    if let Ok(step) = std::env::var(STEP) {
        return make(&step);
    }
    if !cfg!(target_os = "linux") {
        return;
    }
    let mut wrong = Vec::new();
    for (index, &(preset, setting, edge)) in NETWORKS.iter().enumerate() {
        let config = config(index);
        let task = Task { channels: 1, classes: CLASSES.into(), crop_size: [edge; 3] };
        let plan = plan(&config.model, &task, BATCH);
        for (kind, estimated) in [("pretrain", plan.pretrain_bytes), ("finetune", plan.finetune_bytes)] {
            let measured = in_a_child(&format!("{kind} {index}"));
            let ratio = estimated as f64 / (measured * f64::from(1 << 20));
            let line = format!(
                "{preset}, {setting}, {kind}: {:.0} MiB estimated, {measured:.0} measured, ratio {ratio:.2}",
                estimated as f64 / f64::from(1 << 20)
            );
            println!("{line}");
            if (ratio - 1.0).abs() > TOLERANCE {
                wrong.push(line);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// MiB by which a child's memory rises in a step.
fn in_a_child(step: &str) -> f64 {
    let test = ["memory::estimates_lie_within_a_fifth_of_measured_peaks", "--exact", "--nocapture"];
    let output = Command::new(std::env::current_exe().unwrap()).args(test).env(STEP, step).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let measured = text.lines().find_map(|line| line.split_once("peak_mib=")).and_then(|(_, number)| number.trim().parse().ok());
    measured.unwrap_or_else(|| panic!("{step}: {text}{}", String::from_utf8_lossy(&output.stderr)))
}

fn config(network: usize) -> RunConfig {
    let (preset, setting, edge) = NETWORKS[network];
    let crop = format!("[{edge},{edge},{edge}]");
    let settings = [
        format!("model.preset={preset}"),
        format!("model.{setting}"),
        format!("pretrain.crop_size={crop}"),
        format!("finetune.crop_size={crop}"),
    ];
    RunConfig::default().with_overrides(&settings).unwrap()
}

/// Makes the steps of a child and prints by how much they raised its memory.
fn make(step: &str) {
    let (kind, network) = step.split_once(' ').unwrap();
    let config = config(network.parse().unwrap());
    // Threads and buffers that every program has once are not a step's.
    let _warm = Tensor::<2>::ones([256, 256], &Device::flex()).matmul(Tensor::ones([256, 256], &Device::flex())).into_data();
    let before = resident_mib().unwrap();
    if kind == "pretrain" {
        pretrain(&config)
    } else {
        finetune(&config)
    }
    println!("peak_mib={}", peak_mib().unwrap() - before);
}

fn noise(shape: [usize; 5]) -> Vec<f32> {
    (0..shape.iter().product::<usize>()).map(|index| (index as f32 * 0.37).sin()).collect()
}

fn finetune(config: &RunConfig) {
    let device = Device::flex().autodiff();
    let labels = (0..u32::from(CLASSES)).map(|label| (label, label.to_string())).collect();
    let dataset = DatasetInfo { name: "synthetic".to_owned(), channels: vec!["image".to_owned()], labels };
    let mut network = init_segmenter(config, &dataset, &device);
    let mut optimiser = Optimiser::new(config.finetune.optimiser);
    let [d, h, w] = config.finetune.crop_size;
    let classes: Vec<u8> = (0..BATCH * d * h * w).map(|index| (index / 7) as u8 % CLASSES).collect();
    for step in 0..STEPS {
        let image = Tensor::<5>::from_data(TensorData::new(noise([BATCH, 1, d, h, w]), [BATCH, 1, d, h, w]), &device);
        let classes = classes_from_host(&classes, [BATCH, d, h, w], &device);
        let loss = DiceCeConfig::nnunet().deep_supervision(network.forward(image, Pass::training(0, step, 0)), &classes);
        let gradients = GradientsParams::from_grads(loss.loss.backward(), &network);
        network = optimiser.step(network, gradients, 1e-3);
    }
}

fn pretrain(config: &RunConfig) {
    let mut model = Pretraining::init(config, 1, &Device::flex().autodiff());
    let mut optimiser = Optimiser::new(config.pretrain.optimiser);
    let [d, h, w] = config.pretrain.crop_size;
    let shape = [BATCH, 1, d, h, w];
    let view = || View { voxels: noise(shape), mask: Vec::new(), elements: vec![SignedPermutation::IDENTITY; BATCH], clean: Vec::new() };
    let mask_grid = MaskGrid::new([d, h, w], [8; 3]).unwrap();
    let batch = ViewBatch { step: 0, shape, views: vec![view(), view()], mask_grid, cases: Vec::new() };
    for step in 0..STEPS {
        let loss = model.pretext.loss(&model.encoder, &batch, Pass::training(0, step, 0));
        let gradients = GradientsParams::from_grads(loss.loss.backward(), &model);
        model = optimiser.step(model, gradients, 1e-3).after_step();
    }
}
