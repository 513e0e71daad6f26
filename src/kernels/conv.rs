//! 3x3x3 convolution of a channels-last token sequence, as products of gathered rows.

use burn::backend::DispatchTensor;
use burn::tensor::{Tensor, s};

use super::bodies::{Bodies, bodies};
use super::conv_tables::{ConvShape, GatherIndex, TAPS};
use super::custom_gradient::{InputGradients, custom_gradient};
use super::linear::{column_sums, rows, with_bias};
use super::sums::product_over_rows;
use super::{gpu, host};

/// Elements of a gathered matrix that the reference holds at a time.
const GATHERED_ELEMENTS: usize = 16 << 20;

/// `sources` `[batch, tokens, channels]`, whose channels lie one after the other without ever being brought together,
/// `weight` `[3, 3, 3, in, out]`, `bias` `[out]` -> `[batch, output tokens, out]`.
pub fn conv3d<const N: usize>(sources: [Tensor<3>; N], weight: Tensor<5>, bias: Option<Tensor<1>>, shape: ConvShape) -> Tensor<3> {
    // A GPU's kernel adds the bias in passing.
    let (own_bias, bias) = if bodies(&weight) == Bodies::Gpu { (bias, None) } else { (None, bias) };
    let inputs = sources.map(Tensor::into_dispatch).into_iter().chain([weight.into_dispatch()]);
    let inputs: Vec<DispatchTensor> = inputs.chain(own_bias.map(Tensor::into_dispatch)).collect();
    let out = custom_gradient(inputs, |inputs| {
        let sources: [Tensor<3>; N] = std::array::from_fn(|source| Tensor::from_dispatch(inputs[source].clone()));
        let weight = Tensor::<5>::from_dispatch(inputs[N].clone());
        let bias = inputs.get(N + 1).map(|bias| Tensor::<1>::from_dispatch(bias.clone()));
        drop(inputs);
        let is_biased = bias.is_some();
        let out = value(sources.clone().into(), weight.clone(), bias, shape);
        let backward = move |grad: Tensor<3>, gradients: &mut InputGradients| {
            let widths = sources.each_ref().map(channels);
            if is_biased {
                gradients.put(N + 1, || column_sums(rows(grad.clone())));
            }
            gradients.put(N, || joined(sources.map(|source| weight_gradient(source, grad.clone(), shape)).into(), 3));
            let mut from = 0;
            for (source, width) in widths.into_iter().enumerate() {
                gradients.put(source, || input_gradient(weight.clone(), grad.clone(), shape, [from, width]));
                from += width;
            }
        };
        (out, backward)
    });
    with_bias(out, bias)
}

fn channels(tokens: &Tensor<3>) -> usize {
    let [_, _, channels] = tokens.dims();
    channels
}

/// `parts` one after the other along `axis`.
fn joined<const D: usize>(mut parts: Vec<Tensor<D>>, axis: usize) -> Tensor<D> {
    if parts.len() == 1 { parts.remove(0) } else { Tensor::cat(parts, axis) }
}

/// Convolution of `sources`, which lie one after the other along the input channels of `weight`; the bias is a GPU's alone.
fn value(sources: Vec<Tensor<3>>, weight: Tensor<5>, bias: Option<Tensor<1>>, shape: ConvShape) -> Tensor<3> {
    match bodies(&weight) {
        Bodies::Host => return host::conv(sources, weight, shape),
        Bodies::Gpu => return gpu::conv(sources, weight, bias, shape),
        Bodies::Reference => {}
    }
    let [_, _, _, input, output] = weight.dims();
    gather_product(joined(sources, 2), &shape.tables().forward, &weight.reshape([TAPS * input, output]))
}

/// Gradient of [`value`] with respect to the part of the weight that belongs to one source.
fn weight_gradient(source: Tensor<3>, grad: Tensor<3>, shape: ConvShape) -> Tensor<5> {
    match bodies(&grad) {
        Bodies::Host => return host::conv_weight_gradient(source, grad, shape),
        Bodies::Gpu => return gpu::conv_weight_gradient(source, grad, shape),
        Bodies::Reference => {}
    }
    let (input, [batch, _, output]) = (channels(&source), grad.dims());
    let mut sum: Option<Tensor<2>> = None;
    gathered(source, &shape.tables().forward, |columns, first, rows| {
        let part = grad.clone().narrow(1, first, rows).reshape([batch * rows, output]);
        let part = product_over_rows(columns, part);
        sum = Some(sum.take().map_or(part.clone(), |sum| sum + part));
    });
    sum.expect("a convolution has output tokens").reshape([3, 3, 3, input, output])
}

/// Gradient of [`value`] with respect to the source on the input channels `from..from + input`.
fn input_gradient(weight: Tensor<5>, grad: Tensor<3>, shape: ConvShape, [from, input]: [usize; 2]) -> Tensor<3> {
    match bodies(&grad) {
        Bodies::Host if shape.stride == [1; 3] => return host::conv_input_gradient(weight, grad, shape, [from, input]),
        Bodies::Gpu => return gpu::conv_input_gradient(weight, grad, shape, [from, input]),
        Bodies::Host | Bodies::Reference => {}
    }
    let [_, _, _, inputs, output] = weight.dims();
    let (device, tables) = (grad.device(), shape.tables());
    let weight: Tensor<3> = weight.reshape([TAPS, inputs, output]);
    let weight = if input == inputs { weight } else { weight.slice(s![.., from..from + input, ..]) };
    let weight = weight.swap_dims(1, 2);
    let parts = tables.classes.iter().map(|class| {
        let slab = weight.clone().select(0, class.kernel_taps.on(&device));
        gather_product(grad.clone(), &class.index, &slab.reshape([class.index.taps * output, input]))
    });
    let parts = joined(parts.collect(), 1);
    match &tables.places {
        Some(places) => parts.select(1, places.on(&device)),
        None => parts,
    }
}

/// `source` `[batch, tokens, channels]`, `weight` `[taps * channels, out]` -> `[batch, rows, out]`:
/// the rows of `index`, their tokens side by side, times `weight`.
fn gather_product(source: Tensor<3>, index: &GatherIndex, weight: &Tensor<2>) -> Tensor<3> {
    if bodies(&source) == Bodies::Host {
        return host::gather_product(source, index, weight);
    }
    let ([batch, _, _], [_, output]) = (source.dims(), weight.dims());
    let mut parts = Vec::new();
    gathered(source, index, |columns, _, rows| parts.push(columns.matmul(weight.clone()).reshape([batch, rows, output])));
    joined(parts, 1)
}

/// Calls `work(columns [batch * rows, taps * channels], first row, rows)` on parts of the gathered matrix.
fn gathered(source: Tensor<3>, index: &GatherIndex, mut work: impl FnMut(Tensor<2>, usize, usize)) {
    let [batch, _, channels] = source.dims();
    let sources = index.sources.on(&source.device());
    let padded = index.sources.padded(source);
    let most = (GATHERED_ELEMENTS / (batch * index.taps * channels)).max(1);
    for first in (0..index.rows()).step_by(most) {
        let rows = most.min(index.rows() - first);
        let columns = padded.clone().select(1, sources.clone().narrow(0, first * index.taps, rows * index.taps));
        work(columns.reshape([batch * rows, index.taps * channels]), first, rows);
    }
}
