//! Every operation against stock operations, values and gradients, on every device: the CPU's bodies, the references on the CPU,
//! and whatever runs on a GPU.

mod translation;

use burn::module::{Module, Param, ParamId};
use burn::tensor::{DType, Device, Tensor, TensorData};
use rand::RngExt as _;

use super::cases::{Case, cases};
use super::with_references;
use super::{gelu, linear, recompute, sum, with_gradient};
use crate::device::{for_tests, require_half};
use crate::random::stream;

/// Float32 sums of some hundred terms of size 1, taken in two orders.
const TOLERANCE: f32 = 2e-4;

fn draw(purpose: &str, length: usize, device: &Device) -> Tensor<1> {
    let mut rng = stream(3, purpose, 0, length as u64);
    let values: Vec<f32> = (0..length).map(|_| rng.random_range(-1.5..1.5)).collect();
    Tensor::from_data(TensorData::new(values, [length]), device)
}

#[track_caller]
fn assert_close(what: &str, got: &[f32], wanted: &[f32]) {
    assert_eq!(got.len(), wanted.len(), "{what}");
    for (index, (got, wanted)) in got.iter().zip(wanted).enumerate() {
        assert!((got - wanted).abs() <= TOLERANCE * wanted.abs().max(1.0), "{what}[{index}]: {got}, expected {wanted}");
    }
}

/// Result and gradients of `op` with respect to inputs of these lengths, the result weighted at random.
fn outcome(lengths: &[usize], device: &Device, op: impl Fn(&[Tensor<1>]) -> Tensor<1>) -> Vec<Vec<f32>> {
    let device = device.clone().autodiff();
    let leaf = |(place, &length): (usize, &usize)| draw(&format!("input {place}"), length, &device).require_grad();
    let inputs: Vec<Tensor<1>> = lengths.iter().enumerate().map(leaf).collect();
    let out = op(&inputs);
    let gradients = (out.clone() * draw("weights", out.dims()[0], &device)).sum().backward();
    let gradients = inputs.iter().map(|input| input.grad(&gradients).expect("a gradient"));
    std::iter::once(out.inner()).chain(gradients).map(|tensor| tensor.into_data().try_into_vec().unwrap()).collect()
}

#[test]
fn operations_and_their_gradients_equal_stock_operations() {
    for case in cases() {
        let wanted = outcome(&case.inputs, &Device::flex(), &case.stock);
        let mut found = vec![("references", with_references(|| outcome(&case.inputs, &Device::flex(), &case.run)))];
        found.extend(for_tests().into_iter().map(|(device, own)| (device, outcome(&case.inputs, &own, &case.run))));
        for (device, found) in found {
            for (place, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
                let what = if place == 0 { "value".to_owned() } else { format!("gradient {}", place - 1) };
                assert_close(&format!("{}, inputs {:?}, {device}: {what}", case.name, case.inputs), found, wanted);
            }
        }
    }
}

/// Results in float16, eleven bits, of float16 inputs and sums in float32.
const HALF_TOLERANCE: f32 = 1e-2;

/// Whether an operation takes float16: the sums of losses and gradients and of blended windows are of float32 alone.
fn has_half(case: &Case) -> bool {
    !["sum over an axis", "window blending"].contains(&case.name)
}

/// Result of a case's operation in half precision and in stock operations, of the same float16 inputs.
fn half_outcome(case: &Case, device: &Device) -> [Vec<f32>; 2] {
    let input = |(place, &length): (usize, &usize)| draw(&format!("input {place}"), length, device).cast(DType::F16);
    let inputs: Vec<Tensor<1>> = case.inputs.iter().enumerate().map(input).collect();
    let rounded = |input: &Tensor<1>| Tensor::from_data(input.clone().cast(DType::F32).into_data(), &Device::flex());
    let wanted = (case.stock)(&inputs.iter().map(rounded).collect::<Vec<_>>());
    let found = (case.run)(&inputs);
    assert_eq!(found.dtype(), DType::F16, "{}", case.name);
    [found.cast(DType::F32), wanted].map(|tensor| tensor.into_data().try_into_vec::<f32>().unwrap())
}

#[test]
fn operations_in_half_precision_equal_stock_operations_in_full() {
    for (device, own) in for_tests().into_iter().skip(1).filter(|(_, device)| require_half(device).is_ok()) {
        for case in cases().into_iter().filter(has_half) {
            let [found, wanted] = half_outcome(&case, &own);
            for (index, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
                let what = format!("{}, inputs {:?}, {device}, [{index}]", case.name, case.inputs);
                assert!((found - wanted).abs() <= HALF_TOLERANCE * wanted.abs().max(1.0), "{what}: {found}, expected {wanted}");
            }
        }
    }
}

#[test]
fn an_operation_of_float32_alone_refuses_half_precision() {
    for (name, device) in for_tests().into_iter().skip(1).filter(|(_, device)| require_half(device).is_ok()) {
        let refused = std::panic::catch_unwind(|| sum(Tensor::<1>::ones([4], (&device, DType::F16))));
        assert!(refused.is_err(), "{name}: it takes float16 for float32");
    }
}

#[derive(Module, Debug)]
struct Layer {
    weight: Param<Tensor<2>>,
    unused: Param<Tensor<1>>,
}

#[test]
fn what_is_recomputed_has_the_same_values_and_gradients() {
    let [batch, tokens, dim] = [3, 5, 4];
    let forward = |layer: &Layer, [x, y]: [Tensor<3>; 2]| gelu(linear(x, layer.weight.val(), None)) * y;
    for (name, device) in for_tests() {
        let op = |again: bool| {
            move |inputs: &[Tensor<1>]| {
                let [x, y] = [0, 1].map(|input| inputs[input].clone().reshape([batch, tokens, dim]));
                let device = x.device();
                let leaf = |tensor: &Tensor<1>| Param::initialized(ParamId::new(), tensor.clone().reshape([dim, dim]));
                let layer = Layer { weight: leaf(&inputs[2]), unused: Param::initialized(ParamId::new(), Tensor::zeros([1], &device)) };
                let out = if again {
                    recompute(&layer, [x, y], 1, move |layer, inputs, samples| {
                        assert_eq!(samples.len(), 1, "one sample after the other");
                        forward(layer, inputs)
                    })
                } else {
                    forward(&layer, [x, y])
                };
                out.reshape([batch * tokens * dim])
            }
        };
        let lengths = [batch * tokens * dim, batch * tokens * dim, dim * dim];
        for (place, (found, wanted)) in outcome(&lengths, &device, op(true)).iter().zip(outcome(&lengths, &device, op(false))).enumerate() {
            assert_close(&format!("{name}, tensor {place}"), found, &wanted);
        }
    }
}

#[test]
fn a_value_carries_the_gradients_it_was_given() {
    let device = Device::flex().autodiff();
    let [x, y] = [0, 1].map(|_| Tensor::<2>::zeros([1, 2], &device).require_grad());
    let known = Tensor::<2>::from_data([[2.0, -3.0]], &Device::flex());
    let value = with_gradient(Tensor::from_data([7.0], &Device::flex()), [(x.clone(), known.clone()), (y.clone(), known * 2.0)]);
    assert_eq!(value.clone().into_scalar::<f32>(), 7.0);
    let gradients = (value * 10.0).backward();
    let found = [x, y].map(|input| input.grad(&gradients).unwrap().into_data().try_into_vec::<f32>().unwrap());
    assert_eq!(found, [[20.0, -30.0], [40.0, -60.0]]);
}
