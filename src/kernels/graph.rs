//! How the operations enter the autodiff graph: what each keeps of its forward pass, and its backward step.

use std::sync::Arc;

use burn::backend::Autodiff;
use burn::backend::TensorMetadata as _;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::tensor::Shape;

use super::attention::{self, AttentionGradients, WindowTables};
use super::block::{self, BlockShape, BlockTensors, TENSORS};
use super::conv::{self, ConvShape};
use super::conv_block::{self, ConvBlockShape, ConvBlockTensors, Parts};
use super::dispatch::{TokenKernels, TokenOps};
use super::instance_norm::Normed;
use super::merge::{self, MergeTables, MergeTensors};
use super::{global_attention, linear};

/// Registers an operation with one backward step over its inputs.
macro_rules! tracked {
    ($step:expr, $strategy:ty, [$($input:ident),+], $state:expr, $value:expr) => {{
        $(let $input = $input.into_parts();)+
        let prepared = $step.prepare::<$strategy>([$($input.1),+]).compute_bound().stateful();
        $(let $input = $input.0;)+
        match prepared {
            OpsKind::Tracked(prepared) => {
                let state = $state;
                prepared.finish(state, $value)
            }
            OpsKind::UnTracked(prepared) => prepared.finish($value),
        }
    }};
}

#[derive(Debug)]
struct GeluStep;

impl<B: TokenKernels> Backward<B, 1> for GeluStep {
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        if let [Some(parent)] = ops.parents {
            grads.register::<B>(parent.id, B::gelu_gradient(ops.state, grad));
        }
    }
}

#[derive(Debug)]
struct LayerNormStep;

impl<B: TokenKernels> Backward<B, 3> for LayerNormStep {
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (x, weight) = ops.state;
        let gradients = B::layer_norm_gradients(x, weight, grads.consume::<B>(&ops.node));
        for (parent, gradient) in ops.parents.into_iter().zip(gradients) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct InstanceNormStep<const N: usize>(f32);

impl<B: TokenKernels, const N: usize> Backward<B, N> for InstanceNormStep<N> {
    type State = (Normed<B>, Option<FloatTensor<B>>);

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (normed, shortcut) = ops.state;
        let gradients = B::instance_norm_gradients(normed, shortcut, grads.consume::<B>(&ops.node), self.0);
        for (parent, gradient) in ops.parents.into_iter().zip([Some(gradients.x), gradients.shortcut]) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct SumStep;

impl<B: TokenKernels> Backward<B, 1> for SumStep {
    type State = Shape;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        if let [Some(parent)] = ops.parents {
            grads.register::<B>(parent.id, B::float_expand(grad, ops.state));
        }
    }
}

#[derive(Debug)]
struct ProductStep;

impl<B: TokenKernels> Backward<B, 2> for ProductStep {
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (x, weight) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let [x_parent, weight_parent] = ops.parents;
        if let Some(parent) = x_parent {
            grads.register::<B>(parent.id, linear::input_gradient::<B>(weight, grad.clone()));
        }
        if let Some(parent) = weight_parent {
            grads.register::<B>(parent.id, linear::weight_gradient::<B>(x, grad));
        }
    }
}

#[derive(Debug)]
struct BiasStep;

impl<B: TokenKernels> Backward<B, 2> for BiasStep {
    type State = ();

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let [x_parent, bias_parent] = ops.parents;
        if let Some(parent) = bias_parent {
            grads.register::<B>(parent.id, B::column_sums(linear::rows::<B>(grad.clone())));
        }
        if let Some(parent) = x_parent {
            grads.register::<B>(parent.id, grad);
        }
    }
}

/// `N`: the sources and the weight.
#[derive(Debug)]
struct ConvStep<const N: usize>(ConvShape);

impl<B: TokenKernels, const N: usize> Backward<B, N> for ConvStep<N> {
    type State = (Vec<FloatTensor<B>>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (sources, weight) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let widths: Vec<usize> = sources.iter().map(conv::channels::<B>).collect();
        let mut parents = Vec::from(ops.parents);
        if let Some(parent) = parents.pop().flatten() {
            let parts = sources.into_iter().map(|source| B::conv_weight_gradient(source, grad.clone(), self.0)).collect();
            grads.register::<B>(parent.id, conv::joined::<B>(parts, 3));
        }
        let mut from = 0;
        for (parent, width) in parents.into_iter().zip(widths) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, B::conv_input_gradient(weight.clone(), grad.clone(), self.0, [from, width]));
            }
            from += width;
        }
    }
}

#[derive(Debug)]
struct AttentionStep(Arc<WindowTables>);

impl<B: TokenKernels> Backward<B, 3> for AttentionStep {
    type State = attention::Inputs<B>;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let AttentionGradients { qkv, padding, table } = B::attention_gradients(ops.state, &self.0, grad);
        for (parent, gradient) in ops.parents.into_iter().zip([qkv, padding, table]) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct GlobalAttentionStep(usize);

impl<B: TokenKernels> Backward<B, 1> for GlobalAttentionStep {
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        if let [Some(parent)] = ops.parents {
            grads.register::<B>(parent.id, global_attention::gradient::<B>(ops.state, self.0, grad));
        }
    }
}

#[derive(Debug)]
struct MergeStep(Arc<MergeTables>);

impl<B: TokenKernels> Backward<B, { merge::TENSORS }> for MergeStep {
    type State = [FloatTensor<B>; merge::TENSORS];

    fn backward(self, ops: Ops<Self::State, { merge::TENSORS }>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let gradients = merge::gradients::<B>(MergeTensors::from_array(ops.state), &self.0, grad);
        for (parent, gradient) in ops.parents.into_iter().zip(gradients) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct ConvBlockStep<const N: usize>(ConvBlockShape);

impl<B: TokenKernels, const N: usize> Backward<B, N> for ConvBlockStep<N> {
    type State = [FloatTensor<B>; N];

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        // A volume has no gradient; the second input is never one.
        let inputs = ops.parents[0].is_some();
        let gradients = conv_block::gradients::<B>(&Parts::from_array(ops.state), self.0, grad, inputs);
        for (parent, gradient) in ops.parents.into_iter().zip(gradients) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}

impl<const N: usize> ConvBlockStep<N> {
    fn tracked<B: TokenKernels, C: CheckpointStrategy>(self, tensors: [FloatTensor<Autodiff<B, C>>; N]) -> FloatTensor<Autodiff<B, C>> {
        let shape = self.0;
        let step = self.prepare::<C>(tensors.each_ref().map(|tensor| tensor.node()));
        let tensors = tensors.map(|tensor| tensor.into_primitive());
        let value = |tensors| conv_block::value::<B>(&Parts::from_array(tensors), shape);
        match step.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(tensors.clone(), value(tensors)),
            OpsKind::UnTracked(prepared) => prepared.finish(value(tensors)),
        }
    }
}

#[derive(Debug)]
struct BlockStep(BlockShape);

impl<B: TokenKernels> Backward<B, TENSORS> for BlockStep {
    type State = [FloatTensor<B>; TENSORS];

    fn backward(self, ops: Ops<Self::State, TENSORS>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let gradients = block::gradients::<B>(&BlockTensors::from_array(ops.state), &self.0, grad);
        for (parent, gradient) in ops.parents.into_iter().zip(gradients) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}

impl<B: TokenKernels, C: CheckpointStrategy> TokenOps for Autodiff<B, C> {
    fn token_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        tracked!(GeluStep, C, [x], x.clone(), B::gelu_value(x))
    }

    fn token_layer_norm(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
        tracked!(LayerNormStep, C, [x, weight, bias], (x.clone(), weight.clone()), B::layer_norm_value(x, weight, bias))
    }

    fn token_instance_norm(x: FloatTensor<Self>, slope: f32) -> FloatTensor<Self> {
        let (x, node) = x.into_parts();
        let normed = B::instance_norm_value(x, None, slope);
        let out = normed.out.clone();
        match InstanceNormStep::<1>(slope).prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((normed, None), out),
            OpsKind::UnTracked(prepared) => prepared.finish(out),
        }
    }

    fn token_instance_norm_add(x: FloatTensor<Self>, shortcut: FloatTensor<Self>, slope: f32) -> FloatTensor<Self> {
        let ((x, node), (shortcut, shortcut_node)) = (x.into_parts(), shortcut.into_parts());
        let normed = B::instance_norm_value(x, Some(shortcut.clone()), slope);
        let out = normed.out.clone();
        match InstanceNormStep::<2>(slope).prepare::<C>([node, shortcut_node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((normed, Some(shortcut)), out),
            OpsKind::UnTracked(prepared) => prepared.finish(out),
        }
    }

    fn token_sum(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let shape = x.shape();
        tracked!(SumStep, C, [x], shape, B::sum_rows(x))
    }

    fn token_product(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        tracked!(ProductStep, C, [x, weight], (x.clone(), weight.clone()), linear::product::<B>(x, weight))
    }

    fn token_bias(x: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
        tracked!(BiasStep, C, [x, bias], (), linear::bias_value::<B>(x, bias))
    }

    fn token_conv(x: FloatTensor<Self>, weight: FloatTensor<Self>, shape: ConvShape) -> FloatTensor<Self> {
        tracked!(ConvStep::<2>(shape), C, [x, weight], (vec![x.clone()], weight.clone()), B::conv_value(vec![x], weight, shape))
    }

    fn token_conv_pair(
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        shape: ConvShape,
    ) -> FloatTensor<Self> {
        tracked!(
            ConvStep::<3>(shape),
            C,
            [first, second, weight],
            (vec![first.clone(), second.clone()], weight.clone()),
            B::conv_value(vec![first, second], weight, shape)
        )
    }

    fn token_attention(
        qkv: FloatTensor<Self>,
        padding: FloatTensor<Self>,
        table: FloatTensor<Self>,
        tables: Arc<WindowTables>,
    ) -> FloatTensor<Self> {
        tracked!(
            AttentionStep(Arc::clone(&tables)),
            C,
            [qkv, padding, table],
            attention::Inputs { qkv: qkv.clone(), padding: padding.clone(), table: table.clone() },
            B::attention_value(qkv, padding, table, &tables)
        )
    }

    fn token_global_attention(qkv: FloatTensor<Self>, heads: usize) -> FloatTensor<Self> {
        tracked!(GlobalAttentionStep(heads), C, [qkv], qkv.clone(), global_attention::value::<B>(qkv, heads))
    }

    fn token_merging(tensors: MergeTensors<Self>, tables: Arc<MergeTables>) -> FloatTensor<Self> {
        let tensors = tensors.into_array();
        let step = MergeStep(Arc::clone(&tables)).prepare::<C>(tensors.each_ref().map(|tensor| tensor.node()));
        let tensors = tensors.map(|tensor| tensor.into_primitive());
        let value = |tensors| merge::value::<B>(MergeTensors::from_array(tensors), &tables);
        match step.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(tensors.clone(), value(tensors)),
            OpsKind::UnTracked(prepared) => prepared.finish(value(tensors)),
        }
    }

    fn token_conv_block(tensors: ConvBlockTensors<Self>, shape: ConvBlockShape) -> FloatTensor<Self> {
        match tensors {
            ConvBlockTensors::Same(x, conv1, conv2) => ConvBlockStep(shape).tracked::<B, C>([x, conv1, conv2]),
            ConvBlockTensors::Convolved(x, conv1, conv2, conv3) => ConvBlockStep(shape).tracked::<B, C>([x, conv1, conv2, conv3]),
            ConvBlockTensors::Merging(x, skip, conv1, conv2, conv3) => ConvBlockStep(shape).tracked::<B, C>([x, skip, conv1, conv2, conv3]),
        }
    }

    fn token_block(tensors: BlockTensors<Self>, shape: BlockShape) -> FloatTensor<Self> {
        let tensors = tensors.into_array();
        let step = BlockStep(shape.clone()).prepare::<C>(tensors.each_ref().map(|tensor| tensor.node()));
        let tensors = tensors.map(|tensor| tensor.into_primitive());
        let value = |tensors| block::value::<B>(&BlockTensors::from_array(tensors), &shape);
        match step.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(tensors.clone(), value(tensors)),
            OpsKind::UnTracked(prepared) => prepared.finish(value(tensors)),
        }
    }
}
