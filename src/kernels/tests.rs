//! Every body against its reference, values and gradients: the CPU's against what autodiff makes of the reference
//! forward pass, and the reference's own gradients (which GPUs run) against the CPU's.

use std::sync::Arc;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Dispatch, Flex, TensorMetadata as _};
use burn::tensor::activation::leaky_relu;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt as _;

use super::attention::{self, Inputs};
use super::conv::{self, GatherIndex};
use super::instance_norm::EPSILON;
use super::merge::{self, MergeTables, MergeTensors};
use super::{
    ConvShape, PADDING, WindowTables, conv3d, conv3d_pair, gelu, global_attention, host, instance_norm, instance_norm_add, layer_norm,
    linear, merge_tokens, sums, window_attention,
};
use crate::random::stream;

/// Float32 sums of some hundred terms of size 1, taken in two orders.
const TOLERANCE: f32 = 2e-4;

fn draw(purpose: &str, length: usize) -> Vec<f32> {
    let mut rng = stream(3, purpose, 0, length as u64);
    (0..length).map(|_| rng.random_range(-1.5..1.5)).collect()
}

#[track_caller]
fn assert_close(what: &str, got: &[f32], wanted: &[f32]) {
    assert_eq!(got.len(), wanted.len(), "{what}");
    for (index, (got, wanted)) in got.iter().zip(wanted).enumerate() {
        assert!((got - wanted).abs() <= TOLERANCE * wanted.abs().max(1.0), "{what}[{index}]: {got}, expected {wanted}");
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

/// Result and gradients of `op` with respect to flat inputs of these lengths, the result weighted at random.
fn run(lengths: &[usize], op: &dyn Fn(&[Tensor<1>]) -> Tensor<3>) -> Vec<Vec<f32>> {
    let device = Device::flex().autodiff();
    let leaf = |(place, &length): (usize, &usize)| {
        Tensor::<1>::from_data(TensorData::new(draw(&format!("input {place}"), length), [length]), &device).require_grad()
    };
    let inputs: Vec<Tensor<1>> = lengths.iter().enumerate().map(leaf).collect();
    let out = op(&inputs);
    let weights = TensorData::new(draw("weights", out.shape().num_elements()), out.dims());
    let gradients = (out.clone() * Tensor::from_data(weights, &device)).sum().backward();
    let gradients = inputs.iter().map(|input| values(input.grad(&gradients).expect("a gradient")));
    std::iter::once(values(out)).chain(gradients).collect()
}

#[track_caller]
fn check(lengths: &[usize], op: &dyn Fn(&[Tensor<1>]) -> Tensor<3>, reference: &dyn Fn(&[Tensor<1>]) -> Tensor<3>) {
    for (place, (got, wanted)) in run(lengths, op).iter().zip(run(lengths, reference)).enumerate() {
        assert_close(if place == 0 { "value".to_owned() } else { format!("gradient {}", place - 1) }.as_str(), got, &wanted);
    }
}

fn flex<const D: usize>(purpose: &str, shape: [usize; D]) -> FloatTensor<Flex> {
    FloatTensor::<Flex>::from_data(TensorData::new(draw(purpose, shape.iter().product()), shape))
}

#[track_caller]
fn assert_same(what: &str, got: FloatTensor<Flex>, wanted: FloatTensor<Flex>) {
    assert_eq!(got.shape(), wanted.shape(), "{what}");
    let floats = |tensor: FloatTensor<Flex>| tensor.into_data().try_into_vec::<f32>().unwrap();
    assert_close(what, &floats(got), &floats(wanted));
}

#[test]
fn gelu_and_its_gradient() {
    let reference = |x: Tensor<3>| Tensor::from_dispatch(gelu::value::<Dispatch>(x.into_dispatch()));
    check(&[70], &|x| gelu(x[0].clone().reshape([2, 5, 7])), &|x| reference(x[0].clone().reshape([2, 5, 7])));
    let (x, grad) = (flex("x", [3, 50]), flex("grad", [3, 50]));
    assert_same("gradient", gelu::gradient::<Flex>(x.clone(), grad.clone()), host::gelu_gradient(x, grad));
}

#[test]
fn layer_norm_and_its_gradients() {
    // 21 channels: two blocks of a sum and a rest. 600 rows: several parallel tasks.
    let [rows, dim] = [600, 21];
    check(&[rows * dim, dim, dim], &|x| layer_norm(x[0].clone().reshape([2, rows / 2, dim]), x[1].clone(), x[2].clone()), &|x| {
        let x0: Tensor<3> = x[0].clone().reshape([2, rows / 2, dim]);
        let out = layer_norm::value::<Dispatch>(x0.into_dispatch(), x[1].clone().into_dispatch(), x[2].clone().into_dispatch());
        Tensor::from_dispatch(out)
    });
    let (x, weight, grad) = (flex("x", [2, 30, 12]), flex("weight", [12]), flex("grad", [2, 30, 12]));
    let reference = layer_norm::gradients::<Flex>(x.clone(), weight.clone(), grad.clone());
    for (got, wanted) in reference.into_iter().zip(host::layer_norm_gradients(x, weight, grad)) {
        assert_same("gradient", got, wanted);
    }
}

/// Instance normalisation from the tensor library's own operations.
fn instance_norm_reference(x: Tensor<3>, shortcut: Option<Tensor<3>>, slope: f64) -> Tensor<3> {
    let centred = x.clone() - x.mean_dim(1);
    let variance = centred.clone().powi_scalar(2).mean_dim(1);
    let normal = centred / (variance + f64::from(EPSILON)).sqrt();
    leaky_relu(shortcut.map_or(normal.clone(), |shortcut| normal + shortcut), slope)
}

#[test]
fn instance_norm_and_its_gradients() {
    // 6 channels share a block of 48 places, 5 have one of 80, neither of which divides the 7777 tokens of a task or its rest.
    for (count, channels, slope) in [(40_003, 6, Some(0.01)), (19, 5, None), (7777, 32, Some(0.2))] {
        let shape = [2, count, channels];
        let length = shape.iter().product();
        let factor = f64::from(slope.unwrap_or(1.0));
        check(&[length], &|x| instance_norm(x[0].clone().reshape(shape) + 3.0, slope), &|x| {
            instance_norm_reference(x[0].clone().reshape(shape) + 3.0, None, factor)
        });
        check(&[length, length], &|x| instance_norm_add(x[0].clone().reshape(shape), x[1].clone().reshape(shape), slope), &|x| {
            instance_norm_reference(x[0].clone().reshape(shape), Some(x[1].clone().reshape(shape)), factor)
        });
    }
    let (shape, slope) = ([2, 50, 6], 0.1);
    for shortcut in [None, Some(flex("shortcut", shape))] {
        let (x, grad) = (flex("x", shape), flex("grad", shape));
        let reference = instance_norm::value::<Flex>(x.clone(), shortcut.clone(), slope);
        let normed = host::instance_norm(x, shortcut.clone(), slope);
        let gradients = host::instance_norm_gradients(normed.clone(), shortcut.clone(), grad.clone(), slope);
        let wanted = instance_norm::gradients::<Flex>(reference.clone(), shortcut, grad, slope);
        assert_same("value", normed.out, reference.out);
        assert_same("factor", normed.factor, reference.factor);
        assert_same("gradient", gradients.x, wanted.x);
        assert_eq!(gradients.shortcut.is_some(), wanted.shortcut.is_some());
        if let (Some(got), Some(wanted)) = (gradients.shortcut, wanted.shortcut) {
            assert_same("shortcut's gradient", got, wanted);
        }
    }
}

#[test]
fn linear_and_its_gradients() {
    let [rows, input, output] = [300, 5, 19];
    let shaped = |x: &[Tensor<1>]| (x[0].clone().reshape([3, rows / 3, input]), x[1].clone().reshape([input, output]), x[2].clone());
    check(
        &[rows * input, input * output, output],
        &|x| {
            let (x, weight, bias) = shaped(x);
            linear::<3>(x, weight, Some(bias))
        },
        &|x| {
            let (x, weight, bias) = shaped(x);
            x.matmul(weight.unsqueeze()) + bias.unsqueeze()
        },
    );
}

/// A convolution in the tensor library's own operations.
fn conv_reference(tokens: Tensor<3>, weight: Tensor<5>, shape: ConvShape) -> Tensor<3> {
    let [batch, _, input] = tokens.dims();
    let [_, _, _, _, output] = weight.dims();
    let [depth, height, width] = shape.grid;
    let volume = tokens.reshape([batch, depth, height, width, input]).permute([0, 4, 1, 2, 3]);
    let options = ConvOptions::new(shape.stride, [1; 3], [1; 3], 1);
    let out: Tensor<5> = burn::tensor::module::conv3d(volume, weight.permute([4, 3, 0, 1, 2]), None, options);
    out.permute([0, 2, 3, 4, 1]).reshape([batch, shape.output().iter().product(), output])
}

/// Several groups of rows along H, grids smaller than a step of tokens and beyond one, strides along each axis.
const CONVOLUTIONS: [([usize; 3], [usize; 3]); 6] = [
    ([4, 5, 6], [1, 1, 1]),
    ([2, 19, 11], [1, 1, 1]),
    ([6, 4, 5], [2, 2, 2]),
    ([5, 6, 3], [1, 2, 2]),
    ([8, 4, 9], [4, 1, 4]),
    ([1, 18, 21], [1, 2, 2]),
];

#[test]
fn convolution_and_its_gradients() {
    // One lane block and less, and more than one.
    for ((grid, stride), [input, output]) in CONVOLUTIONS.into_iter().flat_map(|geometry| [(geometry, [3, 4]), (geometry, [1, 18])]) {
        let (batch, count) = (2, grid.iter().product::<usize>());
        let shape = ConvShape { grid, stride };
        let lengths = [batch * count * input, 27 * input * output, output];
        let inputs =
            |x: &[Tensor<1>]| (x[0].clone().reshape([batch, count, input]), x[1].clone().reshape([3, 3, 3, input, output]), x[2].clone());
        check(
            &lengths,
            &|x| {
                let (tokens, weight, bias) = inputs(x);
                conv3d(tokens, weight, Some(bias), shape)
            },
            &|x| {
                let (tokens, weight, bias): (_, _, Tensor<1>) = inputs(x);
                conv_reference(tokens, weight, shape) + bias.unsqueeze()
            },
        );
    }
}

#[test]
fn convolution_of_two_sources_is_that_of_their_channels() {
    let (batch, [first, second, output]) = (2, [5, 2, 3]);
    for (grid, stride) in CONVOLUTIONS {
        let count: usize = grid.iter().product();
        let shape = ConvShape { grid, stride };
        let inputs = |x: &[Tensor<1>]| {
            let sources = [x[0].clone().reshape([batch, count, first]), x[1].clone().reshape([batch, count, second])];
            (sources, x[2].clone().reshape([3, 3, 3, first + second, output]))
        };
        check(
            &[batch * count * first, batch * count * second, 27 * (first + second) * output],
            &|x| {
                let (sources, weight) = inputs(x);
                conv3d_pair(sources, weight, None, shape)
            },
            &|x| {
                let (sources, weight) = inputs(x);
                conv_reference(Tensor::cat(sources.into(), 2), weight, shape)
            },
        );
    }
}

#[test]
fn gathered_rows_convolve_as_the_direct_body() {
    let [batch, input, output] = [2, 3, 5];
    for (grid, stride) in CONVOLUTIONS {
        let shape = ConvShape { grid, stride };
        let (count, rows) = (grid.iter().product(), shape.output().iter().product());
        let (x, weight, grad) =
            (flex("x", [batch, count, input]), flex("weight", [3, 3, 3, input, output]), flex("grad", [batch, rows, output]));
        let reference = conv::value::<Flex>(vec![x.clone()], weight.clone(), shape);
        assert_same("value", host::conv(vec![x.clone()], weight.clone(), shape), reference);
        let reference = conv::weight_gradient::<Flex>(x.clone(), grad.clone(), shape);
        assert_same("weight's gradient", host::conv_weight_gradient(x, grad.clone(), shape), reference);
        if stride == [1; 3] {
            let reference = conv::input_gradient::<Flex>(weight.clone(), grad.clone(), shape, [1, 2]);
            assert_same("input's gradient", host::conv_input_gradient(weight, grad, shape, [1, 2]), reference);
        }
    }
}

#[test]
fn products_of_gathered_rows() {
    let index = GatherIndex { taps: 3, sources: vec![0, 1, PADDING, 4, 4, 2, PADDING, PADDING, PADDING, 3, 0, 1] };
    let (source, weight) = (flex("source", [2, 5, 6]), flex("weight", [18, 7]));
    let reference = conv::gather_product::<Flex>(source.clone(), &index, weight.clone());
    assert_same("product", host::gather_product(source, &index, weight), reference);
}

#[test]
fn merging_and_its_gradients() {
    // Five tokens: 0 and 3 are used twice, 2 never; four merged tokens of three parts.
    let tables = Arc::new(MergeTables::new(3, vec![0, 1, PADDING, 4, 3, 0, PADDING, PADDING, PADDING, 3, PADDING, PADDING], 5));
    let [batch, dim, output] = [2, 6, 7];
    let lengths = [batch * 5 * dim, 3 * dim, 3 * dim, 3 * dim * output];
    let tensors = |x: &[Tensor<1>]| {
        let tokens: Tensor<3> = x[0].clone().reshape([batch, 5, dim]);
        let weight: Tensor<2> = x[3].clone().reshape([3 * dim, output]);
        (tokens, x[1].clone(), x[2].clone(), weight)
    };
    check(
        &lengths,
        &|x| {
            let (tokens, norm_weight, norm_bias, weight) = tensors(x);
            let tensors = MergeTensors {
                x: tokens.into_dispatch(),
                norm_weight: norm_weight.into_dispatch(),
                norm_bias: norm_bias.into_dispatch(),
                weight: weight.into_dispatch(),
            };
            merge_tokens(tensors, &tables)
        },
        &|x| {
            let (tokens, norm_weight, norm_bias, weight) = tensors(x);
            let together = Tensor::from_dispatch(merge::side_by_side::<Dispatch>(tokens.into_dispatch(), &tables));
            let normal: Tensor<3> = layer_norm(together, norm_weight, norm_bias);
            normal.matmul(weight.unsqueeze())
        },
    );
    let grad = flex("grad", [batch, 4, 3 * dim]);
    let reference = merge::side_by_side_gradient::<Flex>(grad.clone(), &tables);
    assert_same("tokens", host::side_by_side_gradient(grad, &tables), reference);
}

#[test]
fn sums_over_long_axes_are_complete() {
    let rows = 256 * 256 * 2 + 256 + 3;
    let ones = FloatTensor::<Flex>::from_data(TensorData::new(vec![1.0_f32; 2 * rows], [1, rows, 2]));
    assert_eq!(sums::over_rows::<Flex>(ones).into_data().try_into_vec::<f32>().unwrap(), [rows as f32; 2]);
}

/// Two windows of five tokens; token 7 of the grid is in neither's order, places 3 and 8 are padding.
fn windows(masked: bool) -> Arc<WindowTables> {
    let rows = vec![2, 0, 4, PADDING, 1, 7, 3, 6, PADDING, 5];
    let mut places = vec![0; 8];
    for (place, &row) in rows.iter().enumerate().filter(|&(_, &row)| row != PADDING) {
        places[row as usize] = place as u32;
    }
    let regions = if masked { vec![0, 0, 1, 1, 0, 2, 2, 2, 2, 2] } else { Vec::new() };
    Arc::new(WindowTables { window_tokens: 5, rows, places, regions, bias_rows: (0..25).map(|pair| pair * 7 % 11).collect() })
}

#[test]
fn attention_and_its_gradients() {
    let [batch, count, heads, head_dim] = [3, 8, 2, 6];
    let width = 3 * heads * head_dim;
    for masked in [false, true] {
        let tables = windows(masked);
        let inputs = |x: &[Tensor<1>]| (x[0].clone().reshape([batch, count, width]), x[1].clone(), x[2].clone().reshape([12, heads]));
        check(
            &[batch * count * width, width, 12 * heads],
            &|x| {
                let (qkv, padding, table) = inputs(x);
                window_attention(qkv, padding, table, &tables)
            },
            &|x| {
                let (qkv, padding, table): (Tensor<3>, _, Tensor<2>) = inputs(x);
                let [qkv, padding, table] = [qkv.into_dispatch(), padding.into_dispatch(), table.into_dispatch()];
                Tensor::from_dispatch(attention::value::<Dispatch>(qkv, padding, table, &tables))
            },
        );
        let inputs =
            || Inputs { qkv: flex("qkv", [batch, count, width]), padding: flex("padding", [width]), table: flex("table", [12, heads]) };
        let grad = flex("grad", [batch, count, width / 3]);
        let reference = attention::gradients::<Flex>(inputs(), &tables, grad.clone());
        let body = host::attention_gradients(inputs(), &tables, grad);
        assert_same("qkv", body.qkv, reference.qkv);
        assert_same("padding", body.padding, reference.padding);
        assert_same("table", body.table, reference.table);
    }
}

#[test]
fn global_attention_is_a_window_of_all_tokens_without_a_bias() {
    // More scores of a head than one parallel task holds, rows that are no multiple of a vector.
    let [batch, count, heads, head_dim] = [2, 131, 2, 5];
    let width = 3 * heads * head_dim;
    let order: Vec<u32> = (0..count as u32).collect();
    let bias_rows = vec![0; count * count];
    let tables = WindowTables { window_tokens: count, rows: order.clone(), places: order, regions: Vec::new(), bias_rows };
    let zeros = |length: usize, device: &Device| Tensor::<1>::zeros([length], device);
    check(&[batch * count * width], &|x| global_attention(x[0].clone().reshape([batch, count, width]), heads), &|x| {
        let (qkv, device): (Tensor<3>, _) = (x[0].clone().reshape([batch, count, width]), x[0].device());
        let table: Tensor<2> = zeros(heads, &device).reshape([1, heads]);
        let [qkv, padding, table] = [qkv.into_dispatch(), zeros(width, &device).into_dispatch(), table.into_dispatch()];
        Tensor::from_dispatch(attention::value::<Dispatch>(qkv, padding, table, &tables))
    });
    let (attention, grad) = (flex("attention", [2, 3, 40, 131]), flex("grad", [2, 3, 40, 131]));
    let reference = global_attention::softmax::<Flex>(attention.clone(), 0.4);
    assert_same("softmax", host::scaled_softmax(attention.clone(), 0.4), reference);
    let reference = global_attention::softmax_gradient::<Flex>(attention.clone(), grad.clone(), 0.4);
    assert_same("softmax gradient", host::scaled_softmax_gradient(attention, grad, 0.4), reference);
}
