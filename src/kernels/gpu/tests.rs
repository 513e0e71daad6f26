//! What a launch computes, in floating-point operations (a multiply-add is two), and that cutting it into dispatches changes no bit.

use burn::tensor::{Tensor, TensorData};
use rand::RngExt as _;

use super::conv::{Launch, conv_within, input_gradient_within};
use super::launch::Work;
use super::weight_gradient::{GradientLaunch, weight_gradient_within};
use crate::device::for_tests;
use crate::kernels::ConvShape;
use crate::random::stream;

/// Samples.
const BATCH: usize = 2;

/// What the launches of a convolution compute: forward, the weight gradient, the input gradient.
pub(crate) fn work_of_convolution(batch: usize, [input, output]: [usize; 2], shape: ConvShape) -> [Vec<Work>; 3] {
    let of_input = match shape.stride {
        [1, 1, 1] => vec![Launch::whole(batch, vec![output], input, shape).work()],
        _ => Launch::of_classes(batch, output, input, shape).map(|launch| launch.work()).collect(),
    };
    let forward = Launch::whole(batch, vec![input], output, shape).work();
    [vec![forward], vec![GradientLaunch::of(batch, [input, output], shape).work()], of_input]
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
