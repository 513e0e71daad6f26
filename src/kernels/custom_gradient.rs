//! Operations with a gradient of their own in the autodiff graph.
//!
//! The tensor library wants a type and a trait for each such operation, its backend and the number of its inputs. Here is one
//! for all: the operation is a closure on plain tensors, which returns its result and the closure of its backward pass.

use std::fmt;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Backend, DispatchAutodiffContext, DispatchKindConversion, DispatchTensor, Flex};
use burn::tensor::Tensor;
use burn_wgpu::CubeBackend;

use super::failure::Operation;
use crate::device::on_host;

/// The most inputs of an operation. A node of the graph has a fixed number of parents; constants fill up the rest.
const SLOTS: usize = 16;

/// What an operation is made of: a tensor, a tuple of tensors, or as many as come.
pub trait Inputs: Sized {
    /// The tensors in order.
    fn into_list(self) -> Vec<DispatchTensor>;
    /// The inverse of [`Inputs::into_list`].
    fn from_list(list: Vec<DispatchTensor>) -> Self;
}

/// Where the backward pass of an operation puts the gradients of its inputs.
#[derive(Debug)]
pub struct InputGradients {
    wanted: [bool; SLOTS],
    found: Vec<(usize, DispatchTensor)>,
}

/// Runs `body` on `inputs` without a graph; `body` returns the result, and the backward pass: from the gradient of the result
/// to those of the inputs. Where no input is tracked, the latter is dropped.
///
/// # Panics
/// With more than 16 inputs.
pub fn custom_gradient<I: Inputs, const D: usize, G, F>(inputs: I, body: F) -> Tensor<D>
where
    F: FnOnce(I) -> (Tensor<D>, G),
    G: FnOnce(Tensor<D>, &mut InputGradients) + Send + 'static,
{
    let inputs = inputs.into_list();
    let operation = Operation::around::<F>();
    let body = |inputs: Vec<DispatchTensor>| {
        operation.begins(&inputs);
        let (out, gradient) = body(I::from_list(inputs));
        let out = out.into_dispatch();
        operation.ends([&out]);
        (out, gradient)
    };
    if inputs.iter().all(|input| input.autodiff == DispatchAutodiffContext::Disabled) {
        return Tensor::from_dispatch(body(inputs).0);
    }
    let body = Box::new(|inputs| {
        let (out, gradient) = body(inputs);
        let step = Step(Box::new(move |grad, gradients| {
            let backward = operation.gradient();
            backward.begins([&grad]);
            gradient(Tensor::from_dispatch(grad), gradients);
            backward.ends(gradients.found.iter().map(|(_, found)| found));
        }));
        (out, step)
    });
    let out = if on_host(&erased(inputs[0].clone()).device().inner()) {
        record::<Flex>(inputs, body)
    } else {
        record::<CubeBackend>(inputs, body)
    };
    Tensor::from_dispatch(out)
}

/// `value` `[1]` as a tensor whose gradient with respect to each `x` of `(x, gradient)` is that gradient, of the same shape.
/// `value` and the gradients carry no graph.
pub fn with_gradient<const D: usize>(value: Tensor<1>, inputs: impl IntoIterator<Item = (Tensor<D>, Tensor<D>)>) -> Tensor<1> {
    let (inputs, known): (Vec<DispatchTensor>, Vec<Tensor<D>>) = inputs.into_iter().map(|(x, known)| (x.into_dispatch(), known)).unzip();
    if inputs.is_empty() {
        return value;
    }
    custom_gradient(inputs, |_: Vec<DispatchTensor>| {
        let backward = move |grad: Tensor<1>, gradients: &mut InputGradients| {
            for (input, known) in known.into_iter().enumerate() {
                gradients.put(input, || known * grad.clone().reshape([1; D]));
            }
        };
        (value, backward)
    })
}

impl InputGradients {
    /// Whether the gradient of input number `input` is asked for.
    pub fn wants(&self, input: usize) -> bool {
        self.wanted[input]
    }

    /// Puts the gradient of input number `input`, which is computed only if it is asked for.
    pub fn put<const D: usize>(&mut self, input: usize, gradient: impl FnOnce() -> Tensor<D>) {
        if self.wants(input) {
            self.found.push((input, gradient().into_dispatch()));
        }
    }
}

/// The backward pass of one operation, on tensors without a graph.
struct Step(BackwardPass);

/// From the gradient of the output to those of the inputs that are wanted.
type BackwardPass = Box<dyn FnOnce(DispatchTensor, &mut InputGradients) + Send>;

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Step")
    }
}

impl<B: Backend> Backward<B, SLOTS> for Step
where
    DispatchTensor: DispatchKindConversion<B>,
{
    type State = ();

    fn backward(self, ops: Ops<(), SLOTS>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = from_primitive::<B>(grads.consume::<B>(&ops.node));
        let mut gradients = InputGradients { wanted: ops.parents.each_ref().map(Option::is_some), found: Vec::new() };
        (self.0)(grad, &mut gradients);
        for (input, gradient) in gradients.found {
            if let Some(parent) = &ops.parents[input] {
                grads.register::<B>(parent.id, into_primitive::<B>(erased(gradient)));
            }
        }
    }
}

type Body<'a> = Box<dyn FnOnce(Vec<DispatchTensor>) -> (DispatchTensor, Step) + 'a>;

/// Runs `body` on the tensors beneath `inputs`, and registers its step.
fn record<B: Backend>(inputs: Vec<DispatchTensor>, body: Body<'_>) -> DispatchTensor
where
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
{
    let tracked = inputs.into_iter().map(|input| into_primitive::<Autodiff<B>>(erased(input).autodiff()).into_parts());
    let (plain, mut guards): (Vec<FloatTensor<B>>, Vec<NodeGuard>) = tracked.unzip();
    {
        let constant = Autodiff::<B>::from_inner(plain[0].clone());
        assert!(guards.len() <= SLOTS, "an operation of {} inputs, {SLOTS} at most", guards.len());
        guards.resize_with(SLOTS, || constant.node());
    }
    let guards: [NodeGuard; SLOTS] = guards.try_into().expect("as many as slots");
    let (out, step) = body(plain.into_iter().map(from_primitive::<B>).collect());
    let prepared = Backward::<B, SLOTS>::prepare::<NoCheckpointing>(step, guards).compute_bound();
    from_primitive::<Autodiff<B>>(prepared.stateless(into_primitive::<B>(erased(out))))
}

/// A tensor of any rank: the rank is part of its type alone.
pub(super) fn erased(tensor: DispatchTensor) -> Tensor<1> {
    Tensor::from_dispatch(tensor)
}

fn into_primitive<B: Backend>(tensor: Tensor<1>) -> FloatTensor<B>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    tensor.try_into_primitive::<B>().expect("all inputs of an operation lie on one device")
}

fn from_primitive<B: Backend>(tensor: FloatTensor<B>) -> DispatchTensor
where
    DispatchTensor: DispatchKindConversion<B>,
{
    Tensor::<1>::from_primitive::<B>(tensor).into_dispatch()
}

impl Inputs for Vec<DispatchTensor> {
    fn into_list(self) -> Self {
        self
    }

    fn from_list(list: Self) -> Self {
        list
    }
}

/// Implements [`Inputs`] for a tuple of tensors.
macro_rules! tuple_inputs {
    ($($rank:ident $tensor:ident),+) => {
        impl<$(const $rank: usize),+> Inputs for ($(Tensor<$rank>,)+) {
            fn into_list(self) -> Vec<DispatchTensor> {
                let ($($tensor,)+) = self;
                vec![$($tensor.into_dispatch()),+]
            }

            fn from_list(list: Vec<DispatchTensor>) -> Self {
                let mut list = list.into_iter();
                $(let $tensor = Tensor::from_dispatch(list.next().expect("as many as went in"));)+
                ($($tensor,)+)
            }
        }
    };
}

tuple_inputs!(A a);
tuple_inputs!(A a, B b);
tuple_inputs!(A a, B b, C c);
