//! No dispatch of a published network takes so long that Windows ends it: by its floating-point operations, a multiply-add being two.

use burn::module::{Module as _, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};

use super::{Segmenter, StepSize, Task, plan};
use crate::config::{ModelConfig, Preset, PublishedTask};
use crate::kernels::{ConvShape, DISPATCH_WORK, Work, work_of_attention, work_of_convolution};
use crate::nn::Initialiser;

/// Samples of a step.
const BATCH: usize = 2;

/// Every published network and what it is built for.
fn published() -> impl Iterator<Item = (Preset, ModelConfig, Task)> {
    Preset::ALL.iter().map(|&preset| {
        let PublishedTask { channels, classes, crop_size } = preset.task();
        (preset, ModelConfig::Preset(preset).resolve(), Task { channels, classes, crop_size })
    })
}

/// Input and output channels of all 3x3x3 convolutions.
struct Channels(Vec<[usize; 2]>);

impl ModuleVisitor for Channels {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let [3, 3, 3, input, output] = param.lazy_shape().to_vec()[..] {
            self.0.push([input, output]);
        }
    }
}

/// `least` is what the launches compute in all without a single empty place.
fn assert_short(what: &str, launches: &[Work], least: usize) {
    let all: u64 = launches.iter().map(|work| work.cubes as u64 * work.of_cube).sum();
    assert!(all >= least as u64, "{what}: {all} operations counted, {least} needed");
    for work in launches {
        let mut next = 0;
        for range in work.ranges(DISPATCH_WORK) {
            assert!(range.start == next && range.len() as u64 * work.of_cube <= DISPATCH_WORK, "{what}: {range:?} of {work:?}");
            next = range.end;
        }
        assert_eq!(next, work.cubes, "{what}");
    }
}

/// Each as if it had the voxels' grid, which no grid of theirs exceeds.
#[test]
fn no_convolution_is_a_long_dispatch() {
    for (preset, config, task) in published() {
        let mut found = Channels(Vec::new());
        Segmenter::build(&config, &task, &Initialiser::sizes_only(&Device::flex())).visit(&mut found);
        for [input, output] in found.0 {
            for stride in [[1; 3], [2; 3]] {
                let shape = ConvShape { grid: task.crop_size, stride };
                let least = 2 * 27 * input * output * BATCH * shape.output().iter().product::<usize>();
                let passes =
                    ["forward", "weight gradient", "input gradient"].into_iter().zip(work_of_convolution(BATCH, [input, output], shape));
                for (pass, launches) in passes {
                    assert_short(&format!("{preset}, {input} to {output} channels, stride {stride:?}: {pass}"), &launches, least);
                }
            }
        }
    }
}

#[test]
fn no_attention_is_a_long_dispatch() {
    for (preset, config, task) in published() {
        for stage in plan(&config, &task, StepSize { volumes: BATCH, decoded: true, on_host: false }).stages {
            let Some(attention) = stage.attention else { continue };
            let (tokens, head_dim) = (attention.window.iter().product::<usize>(), stage.dim / attention.heads);
            let windows: usize = (0..3).map(|axis| stage.grid[axis].div_ceil(attention.window[axis])).product();
            let rows = attention.window.iter().map(|edge| 2 * edge - 1).product();
            let work = work_of_attention(BATCH * windows * attention.heads, tokens, head_dim, rows);
            assert!(work > 0 && work <= DISPATCH_WORK, "{preset}: {work} operations at {stage:?}");
        }
    }
}
