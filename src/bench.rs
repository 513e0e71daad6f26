//! Times the pieces of work that training and inference consist of, each in a process of its own so that peak memory
//! is its own. Names and shapes are those of the comparison with PyTorch and MONAI, as far as the pieces exist.

mod operations;
mod probe;
mod steps;

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, bail};
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::config::{
    AugmentConfig, EvaluateConfig, Hd95Convention, InferConfig, ModelConfig, Precision, ProjectorConfig, RunConfig, SwinUnetrConfig,
    UnetrConfig, Weighting,
};
use crate::device::{DeviceChoice, open};
use crate::geometry::{SignedPermutation, VoxelBox, quantile};
use crate::infer::sliding_window::SlidingWindow;
use crate::infer::{InputConvention, predictor};
use crate::kernels::cells;
use crate::metrics::{LabelPair, Region, score_case};
use crate::model::{Segmenter, Task};
use crate::objective::TokenContrast;
use crate::preprocess::{Case, PreparedCase, PreprocessRecord, resample_trilinear};
use crate::sampling::LabelledPlan;
use crate::volume::{Grid, SourceHeader, Volume};
use steps::{normal, tensor};

pub use operations::{OperationTiming, time_operations};
pub use probe::probe_secs;
pub use steps::{Noise, Step, finetune_step, pretrain_step, step_secs};

/// One piece's times and memory.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Median seconds of a run.
    pub median_s: f64,
    /// Shortest run.
    pub min_s: f64,
    /// Peak resident memory of the process, MiB.
    pub peak_rss_mib: Option<f64>,
}

/// A piece of work: made once, run many times; each run reads its result back.
pub type Work = Box<dyn FnMut()>;

/// A name, and how its piece is made on a device.
type Piece = (&'static str, fn(&Device) -> Work);

/// Every piece, by name.
const WORK: &[Piece] = &[
    ("nnformer_finetune_step", |device| piece(finetune_step(&demo(), Noise::USUAL, device))),
    ("nnformer_simtrot_w_pretrain_step", |device| piece(pretrain_step(&demo(), Noise::USUAL, device))),
    ("unetr_finetune_step", |device| piece(finetune_step(&unetr(), Noise::USUAL, device))),
    ("swin_unetr_finetune_step", |device| piece(finetune_step(&swin_unetr(), Noise::USUAL, device))),
    ("swin_simtrot_w_pretrain_step", |device| piece(pretrain_step(&swin_unetr(), Noise::USUAL, device))),
    ("swin_unetr_sliding_window", swin_unetr_sliding_window),
    ("token_contrastive_loss", token_contrastive_loss),
    ("hd95_three_labels", hd95_three_labels),
    ("finetune_16_batches_nnunet_augmented", |_| augmented_batches(16)),
    ("resample_trilinear", resample),
];

/// Names of all pieces.
pub fn names() -> impl Iterator<Item = &'static str> {
    WORK.iter().map(|(name, _)| *name)
}

/// Runs one piece in this process: once untimed, then `runs` times.
///
/// # Errors
/// An unknown name, or a device that cannot be opened.
pub fn run_here(name: &str, runs: usize, choice: &DeviceChoice) -> anyhow::Result<Timing> {
    let Some((_, make)) = WORK.iter().find(|(known, _)| *known == name) else {
        bail!("no piece of work {name:?}; there are {}", names().collect::<Vec<_>>().join(", "));
    };
    let mut work = make(&open(choice)?.device);
    work();
    let timed = |_| {
        let began = Instant::now();
        work();
        began.elapsed().as_secs_f64()
    };
    Ok(Timing::of(&mut (0..runs.max(1)).map(timed).collect::<Vec<f64>>()))
}

impl Timing {
    /// Of the seconds of each run, at least one, and the peak memory of this process.
    fn of(times: &mut [f64]) -> Self {
        let mut at = |share| quantile(times, share).expect("a run");
        Self { median_s: at(0.5), min_s: at(0.0), peak_rss_mib: crate::device::memory::peak_mib() }
    }
}

/// Runs every piece in a process of its own: this program again with `--only`, its other arguments `arguments`.
///
/// # Errors
/// A process that cannot be started or fails.
pub fn run_all(arguments: &[String], mut report: impl FnMut(&str, &Timing)) -> anyhow::Result<BTreeMap<String, Timing>> {
    let program = std::env::current_exe().context("the program's own file is not known")?;
    let mut results = BTreeMap::new();
    for name in names() {
        let output =
            Command::new(&program).arg("bench").args(arguments).args(["--only", name, "--quiet"]).stderr(Stdio::inherit()).output()?;
        if !output.status.success() {
            bail!("{name} failed ({})", output.status);
        }
        let mut one: BTreeMap<String, Timing> =
            serde_json::from_slice(&output.stdout).with_context(|| format!("{name} printed no result"))?;
        let timing = one.remove(name).with_context(|| format!("{name} printed no result"))?;
        report(name, &timing);
        results.insert(name.to_owned(), timing);
    }
    Ok(results)
}

/// The demo's network, crops and optimisers: what its steps cost is what the demo costs.
fn demo() -> RunConfig {
    RunConfig::from_ron(include_str!("../configs/demo.ron"), "configs/demo.ron").expect("the demo's config is sound")
}

/// The demo's settings around the comparison's UNETR, on its crops of 64³.
fn unetr() -> RunConfig {
    let mut config = demo();
    config.model =
        ModelConfig::Unetr(UnetrConfig { hidden_size: 192, mlp_dim: 768, num_heads: 4, feature_size: 8, ..UnetrConfig::tumour() });
    config.finetune.crop_size = [64; 3];
    config.pretrain.crop_size = [64; 3];
    config
}

/// The demo's settings around the comparison's Swin UNETR, on its crops of 64³.
fn swin_unetr() -> RunConfig {
    let mut config = demo();
    let published = SwinUnetrConfig::tumour();
    config.model = ModelConfig::SwinUnetr(SwinUnetrConfig { feature_size: 12, recompute: false, ..published });
    config.pretrain.crop_size = [64; 3];
    config.pretrain.projector = ProjectorConfig::default();
    config.finetune.crop_size = [64; 3];
    config
}

/// A step as a piece of work.
fn piece(mut step: Step) -> Work {
    Box::new(move || step().expect("the device computes a step"))
}

fn token_contrastive_loss(device: &Device) -> Work {
    let device = device.clone().autodiff();
    let contrast = TokenContrast::new(0.5, 5.0, Weighting::Term);
    let (z, z_hat) = (tensor("bench.z", [2, 512, 256], &device), tensor("bench.z_hat", [2, 512, 256], &device));
    Box::new(move || {
        let (z, z_hat) = (z.clone().require_grad(), z_hat.clone().require_grad());
        let gradients = contrast.forward(z.clone(), z_hat).loss.backward();
        let read = z.grad(&gradients).expect("the loss depends on z").into_data();
        assert!(read.iter::<f32>().all(f32::is_finite));
    })
}

fn swin_unetr_sliding_window(device: &Device) -> Work {
    let (config, roi) = (swin_unetr(), [64; 3]);
    let network = Segmenter::init(&config.model, &Task { channels: 1, classes: 3, crop_size: roi }, config.seed, device);
    let grid = Grid::axis_aligned([96; 3], [1.0; 3]);
    let volume = Volume { channels: 1, voxels: normal("bench.volume", grid.len()), grid };
    let sliding = SlidingWindow::new(&InferConfig { overlap: 0.5, ..InferConfig::default() }, roi, 1);
    let device = device.clone();
    Box::new(move || {
        let calls = (Precision::Full, InputConvention::default());
        let mut predict = predictor(std::slice::from_ref(&network), &device, calls);
        let labels = sliding.segment(&volume, 3, &mut predict, &mut |_, _, _| true);
        assert!(labels.is_ok_and(|labels| labels.len() == volume.grid.len()));
    })
}

/// Three nested balls and the same shifted by (2, -3, 1) voxels, on a 128x128x64 grid.
fn hd95_three_labels(_: &Device) -> Work {
    let shape = [128, 128, 64];
    let at = |d: usize, h: usize, w: usize| (d * shape[1] + h) * shape[2] + w;
    let mut truth = vec![0_u16; shape.iter().product()];
    for [d, h, w] in cells(shape) {
        let squares = [(d, 64), (h, 64), (w, 32)].map(|(x, centre): (usize, i64)| (x as i64 - centre).pow(2));
        let distance = squares.iter().sum::<i64>();
        let innermost = [(3, 10_i64), (2, 20), (1, 28)].into_iter().find(|(_, radius)| distance < radius * radius);
        truth[at(d, h, w)] = innermost.map_or(0, |(label, _)| label);
    }
    let mut prediction = truth.clone();
    for [d, h, w] in cells(shape) {
        prediction[at((d + 2) % shape[0], (h + shape[1] - 3) % shape[1], (w + 1) % shape[2])] = truth[at(d, h, w)];
    }
    let regions: Vec<Region> = (1..=3).map(|label| Region { name: label.to_string(), labels: vec![label] }).collect();
    let config = EvaluateConfig { hd95_convention: Hd95Convention::DirectedMax, ..EvaluateConfig::default() };
    Box::new(move || {
        let pair = LabelPair { truth: &truth, prediction: &prediction, shape, spacing_mm: [1.0, 1.0, 2.0] };
        let scores = score_case("bench", &pair, &regions, &config);
        assert!(scores.iter().all(|score| score.hd95.is_some_and(f64::is_finite)));
    })
}

/// So many batches of the demo's fine-tuning under nnU-Net's augmentation, made by the one thread that runs this: to be held against so
/// many of the demo's steps.
fn augmented_batches(batches: u64) -> Work {
    let mut config = demo().finetune;
    config.augment = AugmentConfig::nnunet(config.crop_size);
    let plan = LabelledPlan::new(&config, 0);
    // About a hippocampus of the demo.
    let case = made_up_case("bench.case", [36, 50, 36], Noise::USUAL);
    Box::new(move || {
        for step in 0..batches {
            let batch = plan.batch(&vec![&case; config.batch], step).expect("a case with labels");
            assert!(batch.image.iter().all(|value| value.is_finite()));
        }
    })
}

/// A case of noise with labels of every class, of so many voxels along D,H,W, 1 mm each.
fn made_up_case(purpose: &str, shape: [usize; 3], Noise { channels, classes }: Noise) -> PreparedCase {
    let grid = Grid::axis_aligned(shape, [1.0; 3]);
    let preprocess_record = PreprocessRecord {
        header: SourceHeader::for_grid(&grid),
        source: grid.clone(),
        orientation: SignedPermutation::IDENTITY,
        resampling: None,
        crop: VoxelBox::whole(grid.shape),
    };
    let label = (0..grid.len()).map(|voxel| (voxel / 7 % classes) as u8).collect();
    let image = Volume { channels, voxels: normal(purpose, channels * grid.len()), grid };
    PreparedCase::in_memory(&Case { name: purpose.to_owned(), image, label: Some(label), preprocess_record, notes: Vec::new() })
}

fn resample(_: &Device) -> Work {
    // The comparison's volume is 160x160x80 in x,y,z; ours lie z first.
    let grid = Grid::axis_aligned([80, 160, 160], [3.0, 0.8, 0.8]);
    let volume = Volume { channels: 1, voxels: normal("bench.resample", grid.len()), grid };
    Box::new(move || {
        let resampled = resample_trilinear(&volume, [2.0, 1.5, 1.5]);
        assert!(resampled.voxels.iter().all(|value| value.is_finite()));
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ModelConfig, NnFormerConfig, OptimiserConfig};

    #[test]
    fn every_piece_runs_and_an_unknown_one_is_named() {
        for name in names() {
            run_here(name, 1, &DeviceChoice::Cpu).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        let error = run_here("nothing", 1, &DeviceChoice::Cpu).unwrap_err().to_string();
        assert!(error.contains("token_contrastive_loss"), "{error}");
    }

    #[test]
    fn a_timing_is_median_and_minimum() {
        for (mut times, median, min) in [(vec![3.0, 1.0, 2.0, 10.0], 2.5, 1.0), (vec![5.0, 4.0, 9.0], 5.0, 4.0), (vec![2.0], 2.0, 2.0)] {
            let timing = Timing::of(&mut times);
            assert_eq!((timing.median_s, timing.min_s), (median, min));
        }
    }

    #[test]
    fn the_demo_is_the_small_preset_with_the_paper_s_optimiser() {
        assert_eq!(demo().model.resolve(), ModelConfig::Nnformer(NnFormerConfig::default()));
        assert_eq!(demo().pretrain.optimiser, OptimiserConfig::Sgd { lr: 1e-4, momentum: 0.99, weight_decay: 0.0 });
    }
}
