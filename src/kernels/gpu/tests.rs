//! How long a dispatch may take, counted in floating-point operations (a multiply-add is two).

use burn::module::{Module as _, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt as _;

use super::conv::{Launch, conv_within, input_gradient_within};
use super::launch::{DISPATCH_WORK, Work};
use super::weight_gradient::{GradientLaunch, weight_gradient_within};
use crate::config::{ModelConfig, Preset, PublishedTask};
use crate::device::for_tests;
use crate::kernels::ConvShape;
use crate::model::{Segmenter, Task};
use crate::nn::Initialiser;
use crate::random::stream;

/// Samples of a step.
pub(super) const BATCH: usize = 2;

/// Every published network and what it is built for.
pub(super) fn published() -> impl Iterator<Item = (Preset, ModelConfig, Task)> {
    let task = |preset: Preset| {
        let PublishedTask { channels, classes, crop_size } = preset.task();
        Task { channels, classes, crop_size }
    };
    Preset::ALL.iter().map(move |&preset| (preset, ModelConfig::Preset(preset).resolve(), task(preset)))
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
fn no_convolution_of_a_published_network_is_a_long_dispatch() {
    for (preset, config, task) in published() {
        let mut found = Channels(Vec::new());
        Segmenter::build(&config, &task, &Initialiser::sizes_only(&Device::flex())).visit(&mut found);
        for [input, output] in found.0 {
            for stride in [[1; 3], [2; 3]] {
                let shape = ConvShape { grid: task.crop_size, stride };
                let least = 2 * 27 * input * output * BATCH * shape.output().iter().product::<usize>();
                let what = |pass: &str| format!("{preset}, {input} to {output} channels, stride {stride:?}: {pass}");
                assert_short(&what("forward"), &[Launch::whole(BATCH, vec![input], output, shape).work()], least);
                assert_short(&what("weight gradient"), &[GradientLaunch::of(BATCH, [input, output], shape).work()], least);
                let launches: Vec<Work> = match stride {
                    [1, 1, 1] => vec![Launch::whole(BATCH, vec![output], input, shape).work()],
                    _ => Launch::of_classes(BATCH, output, input, shape).map(|launch| launch.work()).collect(),
                };
                assert_short(&what("input gradient"), &launches, least);
            }
        }
    }
}

#[test]
fn a_convolution_in_many_dispatches_has_the_same_bits_as_in_one() {
    let shape = |stride| ConvShape { grid: [5, 9, 11], stride };
    for stride in [[1; 3], [2; 3]] {
        let (shape, [first, second, output]) = (shape(stride), [8, 4, 20]);
        let [inputs, outputs] = [shape.grid, shape.output()].map(|grid| grid.iter().product::<usize>());
        let launches =
            [Launch::whole(BATCH, vec![first, second], output, shape).work(), GradientLaunch::of(BATCH, [first, output], shape).work()];
        assert!(launches.iter().all(|work| work.ranges(1).count() > 3 && work.ranges(u64::MAX).count() == 1), "{launches:?}");
        for (name, device) in for_tests().into_iter().skip(1) {
            let draw = |purpose: &str, shape: &[usize]| {
                let mut rng = stream(5, purpose, 0, 0);
                let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.random_range(-1.0..1.0)).collect();
                TensorData::new(values, shape)
            };
            let [x, y] = [first, second].map(|channels| Tensor::<3>::from_data(draw("source", &[BATCH, inputs, channels]), &device));
            let weight = Tensor::<5>::from_data(draw("weight", &[3, 3, 3, first + second, output]), &device);
            let bias = Tensor::<1>::from_data(draw("bias", &[output]), &device);
            let grad = Tensor::<3>::from_data(draw("gradient", &[BATCH, outputs, output]), &device);
            let results = |most: u64| {
                let forward = conv_within(vec![x.clone(), y.clone()], weight.clone(), Some(bias.clone()), shape, most).into_data();
                let of_input = input_gradient_within(weight.clone(), grad.clone(), shape, [first, second], most).into_data();
                let of_weight = weight_gradient_within(x.clone(), grad.clone(), shape, most).into_data();
                [forward, of_input, of_weight]
                    .map(|data| data.try_into_vec::<f32>().unwrap().into_iter().map(f32::to_bits).collect::<Vec<_>>())
            };
            assert!(results(1) == results(u64::MAX), "{name}, stride {stride:?}");
        }
    }
}
