//! Activation checkpointing: a module as one operation, which keeps its inputs only and computes the rest again in the backward pass.
//!
//! Samples are independent of each other, and large ones are worked on one after the other: what is computed again then
//! exists for a single one.

use std::ops::Range;

use burn::backend::DispatchTensor;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Slice, Tensor};

use super::custom_gradient::{InputGradients, custom_gradient, erased};

/// Elements up to which an intermediate of several samples is small beside all else, and one product of it faster than
/// several. Next to none in tests, so that they see chunks.
const CHUNK_ELEMENTS: usize = if cfg!(test) { 1 } else { 8 << 20 };

/// `forward(module, inputs, samples)` as one operation on `inputs`, each `[batch, tokens, channels]`.
///
/// `forward` sees all inputs cut to the same `samples` of the batch, and must neither use tensors of its surroundings that have a
/// gradient nor draw random numbers. `widest`: elements of the largest intermediate of one sample.
pub fn recompute<M, F, const N: usize>(module: &M, inputs: [Tensor<3>; N], widest: usize, forward: F) -> Tensor<3>
where
    M: Module + 'static,
    F: Fn(&M, [Tensor<3>; N], Range<usize>) -> Tensor<3> + Send + 'static,
{
    let [batch, _, _] = inputs[0].dims();
    let mut list: Vec<DispatchTensor> = inputs.map(Tensor::into_dispatch).into();
    module.visit(&mut Parameters(&mut list));
    custom_gradient(list, |list: Vec<DispatchTensor>| {
        let work = Work { module: with_parameters(module.clone(), list[N..].iter().cloned()), batch, widest, forward };
        let mut out = ChunkAccumulator::new(batch);
        for chunk in work.chunks() {
            let inputs = std::array::from_fn(|input| slice(Tensor::from_dispatch(list[input].clone()), &chunk));
            out.put(&chunk, (work.forward)(&work.module, inputs, chunk.clone()));
        }
        (out.whole(), move |grad, gradients: &mut InputGradients| work.backward(&list, &grad, gradients))
    })
}

/// Samples of `batch` that are worked on at once, if the largest intermediate of one has `widest` elements.
pub fn samples_at_once(widest: usize, batch: usize) -> usize {
    (CHUNK_ELEMENTS / widest).clamp(1, batch)
}

/// A module without graph, and what is done with it.
struct Work<M, F> {
    module: M,
    batch: usize,
    widest: usize,
    forward: F,
}

impl<M: Module, F> Work<M, F> {
    fn chunks(&self) -> impl Iterator<Item = Range<usize>> + use<M, F> {
        let (batch, samples) = (self.batch, samples_at_once(self.widest, self.batch));
        (0..batch).step_by(samples).map(move |first| first..(first + samples).min(batch))
    }

    /// Runs chunk after chunk in a graph of its own, forward and backward. `list`: inputs, then parameters.
    fn backward<const N: usize>(self, list: &[DispatchTensor], grad: &Tensor<3>, gradients: &mut InputGradients)
    where
        F: Fn(&M, [Tensor<3>; N], Range<usize>) -> Tensor<3>,
    {
        let leaf = |place: usize, tensor: Tensor<1>| {
            let leaf = tensor.autodiff();
            if gradients.wants(place) { leaf.require_grad() } else { leaf }
        };
        let mut of_inputs: [ChunkAccumulator; N] = std::array::from_fn(|_| ChunkAccumulator::new(self.batch));
        let mut of_parameters: Vec<Option<Tensor<1>>> = vec![None; list.len() - N];
        for chunk in self.chunks() {
            let inputs: [Tensor<1>; N] = std::array::from_fn(|input| {
                let samples = slice(Tensor::<3>::from_dispatch(list[input].clone()), &chunk);
                leaf(input, erased(samples.into_dispatch()))
            });
            let parameters: Vec<Tensor<1>> = (N..).zip(&list[N..]).map(|(place, tensor)| leaf(place, erased(tensor.clone()))).collect();
            let module = with_parameters(self.module.clone(), parameters.iter().map(|leaf| leaf.clone().into_dispatch()));
            let own = inputs.clone().map(|leaf| Tensor::from_dispatch(leaf.into_dispatch()));
            let out = (self.forward)(&module, own, chunk.clone());
            drop(module);
            let mut found = started(out, slice(grad.clone(), &chunk)).backward();
            for (whole, leaf) in of_inputs.iter_mut().zip(inputs) {
                if let Some(gradient) = leaf.grad_remove(&mut found) {
                    whole.put(&chunk, Tensor::from_dispatch(gradient.into_dispatch()));
                }
            }
            for (sum, leaf) in of_parameters.iter_mut().zip(parameters) {
                if let Some(gradient) = leaf.grad_remove(&mut found) {
                    *sum = Some(sum.take().map_or(gradient.clone(), |sum| sum + gradient));
                }
            }
        }
        for (input, whole) in of_inputs.into_iter().enumerate().filter(|(_, whole)| whole.made.is_some()) {
            gradients.put(input, || whole.whole());
        }
        for (place, sum) in (N..).zip(of_parameters) {
            if let Some(sum) = sum {
                gradients.put(place, || sum);
            }
        }
    }
}

/// A scalar whose gradient with respect to `out` is `grad`.
fn started(out: Tensor<3>, grad: Tensor<3>) -> Tensor<1> {
    custom_gradient((out,), |(out,)| {
        (Tensor::zeros([1], &out.device()), move |_, gradients: &mut InputGradients| gradients.put(0, || grad))
    })
}

/// Some samples of a tensor.
fn slice(tensor: Tensor<3>, chunk: &Range<usize>) -> Tensor<3> {
    let [batch, _, _] = tensor.dims();
    if batch == chunk.len() { tensor } else { tensor.slice([rows(chunk)]) }
}

fn rows(chunk: &Range<usize>) -> Slice {
    Slice::from(chunk.start as isize..chunk.end as isize)
}

/// A batch that is made chunk by chunk.
struct ChunkAccumulator {
    batch: usize,
    made: Option<Tensor<3>>,
}

impl ChunkAccumulator {
    fn new(batch: usize) -> Self {
        Self { batch, made: None }
    }

    /// Puts the samples `chunk` where they belong.
    fn put(&mut self, chunk: &Range<usize>, samples: Tensor<3>) {
        if chunk.len() == self.batch {
            self.made = Some(samples);
            return;
        }
        let [_, tokens, channels] = samples.dims();
        let made = self.made.take().unwrap_or_else(|| Tensor::zeros([self.batch, tokens, channels], (&samples.device(), samples.dtype())));
        self.made = Some(made.slice_assign([rows(chunk)], samples));
    }

    fn whole(self) -> Tensor<3> {
        self.made.expect("a batch has samples")
    }
}

/// Collects the parameters of a module in the order of a visit.
struct Parameters<'a>(&'a mut Vec<DispatchTensor>);

impl ModuleVisitor for Parameters<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.push(param.val().into_dispatch());
    }
}

/// Puts other parameters into a module, in the same order.
struct Substitute<I>(I);

impl<I: Iterator<Item = DispatchTensor>> ModuleMapper for Substitute<I> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let tensor = self.0.next().expect("as many parameters as were collected");
        param.map(|_| Tensor::from_dispatch(tensor))
    }
}

fn with_parameters<M: Module>(module: M, parameters: impl Iterator<Item = DispatchTensor>) -> M {
    module.map(&mut Substitute(parameters))
}
