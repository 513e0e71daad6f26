//! Which body an operation runs, by device, and the backward steps in the autodiff graph.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, backend_extension};
use burn_wgpu::CubeBackend;

use super::attention::{self, AttentionGradients, WindowTables};
use super::block::{self, BlockShape, BlockTensors, TENSORS};
use super::conv::{self, ConvShape};
use super::conv_block::{self, ConvBlockShape, ConvBlockTensors, Parts};
use super::instance_norm::{self, NormGradients, Normed};
use super::merge::{self, MergeTables, MergeTensors};
use super::{gelu, global_attention, host, layer_norm, linear};

/// The operations as the tensor library dispatches them: outputs only, differentiable where the inputs are.
#[backend_extension(Flex, Cube, Autodiff)]
pub trait TokenOps: Backend {
    /// See [`super::gelu`].
    fn token_gelu(x: FloatTensor<Self>) -> FloatTensor<Self>;
    /// See [`super::layer_norm`].
    fn token_layer_norm(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self>;
    /// See [`super::instance_norm`].
    fn token_instance_norm(x: FloatTensor<Self>, slope: f32) -> FloatTensor<Self>;
    /// See [`super::instance_norm_add`].
    fn token_instance_norm_add(x: FloatTensor<Self>, shortcut: FloatTensor<Self>, slope: f32) -> FloatTensor<Self>;
    /// [`super::linear`] without its bias.
    fn token_product(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;
    /// See [`super::add_bias`].
    fn token_bias(x: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self>;
    /// [`super::conv3d`] without its bias.
    fn token_conv(x: FloatTensor<Self>, weight: FloatTensor<Self>, shape: ConvShape) -> FloatTensor<Self>;
    /// See [`super::conv_block`].
    fn token_conv_block(#[extension_type] tensors: ConvBlockTensors<Self>, shape: ConvBlockShape) -> FloatTensor<Self>;
    /// See [`super::window_attention`].
    fn token_attention(
        qkv: FloatTensor<Self>,
        padding: FloatTensor<Self>,
        table: FloatTensor<Self>,
        tables: Arc<WindowTables>,
    ) -> FloatTensor<Self>;
    /// See [`super::global_attention`].
    fn token_global_attention(qkv: FloatTensor<Self>, heads: usize) -> FloatTensor<Self>;
    /// See [`super::merge_tokens`].
    fn token_merging(#[extension_type] tensors: MergeTensors<Self>, tables: Arc<MergeTables>) -> FloatTensor<Self>;
    /// See [`super::transformer_block`].
    fn token_block(#[extension_type] tensors: BlockTensors<Self>, shape: BlockShape) -> FloatTensor<Self>;
}

/// Bodies of the operations and of their gradients; the defaults are the specification.
pub trait TokenKernels: Backend {
    /// Value of [`super::gelu`].
    fn gelu_value(x: FloatTensor<Self>) -> FloatTensor<Self> {
        gelu::value::<Self>(x)
    }

    /// Gradient with respect to `x`.
    fn gelu_gradient(x: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        gelu::gradient::<Self>(x, grad)
    }

    /// Value of [`super::layer_norm`].
    fn layer_norm_value(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
        layer_norm::value::<Self>(x, weight, bias)
    }

    /// Gradients with respect to `x`, weight and bias.
    fn layer_norm_gradients(x: FloatTensor<Self>, weight: FloatTensor<Self>, grad: FloatTensor<Self>) -> [FloatTensor<Self>; 3] {
        layer_norm::gradients::<Self>(x, weight, grad)
    }

    /// See [`instance_norm::value`].
    fn instance_norm_value(x: FloatTensor<Self>, shortcut: Option<FloatTensor<Self>>, slope: f32) -> Normed<Self> {
        instance_norm::value::<Self>(x, shortcut, slope)
    }

    /// See [`instance_norm::gradients`].
    fn instance_norm_gradients(
        normed: Normed<Self>,
        shortcut: Option<FloatTensor<Self>>,
        grad: FloatTensor<Self>,
        slope: f32,
    ) -> NormGradients<Self> {
        instance_norm::gradients::<Self>(normed, shortcut, grad, slope)
    }

    /// Sum over the rows of `[rows, columns]`, `[columns]`: the gradient of a bias.
    fn column_sums(rows: FloatTensor<Self>) -> FloatTensor<Self> {
        linear::column_sums::<Self>(rows)
    }

    /// `rows` `[rows, columns]` plus `bias` `[columns]`.
    fn add_bias(rows: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
        linear::biased_rows::<Self>(rows, bias)
    }

    /// See [`conv::gather_product`].
    fn gather_product(source: FloatTensor<Self>, index: &conv::GatherIndex, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        conv::gather_product::<Self>(source, index, weight)
    }

    /// See [`conv::gather_outer`].
    fn gather_outer(source: FloatTensor<Self>, index: &conv::GatherIndex, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        conv::gather_outer::<Self>(source, index, grad)
    }

    /// See [`merge::side_by_side`].
    fn side_by_side(x: FloatTensor<Self>, tables: &MergeTables) -> FloatTensor<Self> {
        merge::side_by_side::<Self>(x, tables)
    }

    /// See [`merge::side_by_side_gradient`].
    fn side_by_side_gradient(grad: FloatTensor<Self>, tables: &MergeTables) -> FloatTensor<Self> {
        merge::side_by_side_gradient::<Self>(grad, tables)
    }

    /// Value of [`super::window_attention`].
    fn attention_value(
        qkv: FloatTensor<Self>,
        padding: FloatTensor<Self>,
        table: FloatTensor<Self>,
        tables: &WindowTables,
    ) -> FloatTensor<Self> {
        attention::value::<Self>(qkv, padding, table, tables)
    }

    /// Gradients with respect to the inputs of [`TokenKernels::attention_value`].
    fn attention_gradients(inputs: attention::Inputs<Self>, tables: &WindowTables, grad: FloatTensor<Self>) -> AttentionGradients<Self> {
        attention::gradients::<Self>(inputs, tables, grad)
    }

    /// See [`global_attention::softmax`].
    fn softmax_value(scores: FloatTensor<Self>, scale: f32) -> FloatTensor<Self> {
        global_attention::softmax::<Self>(scores, scale)
    }

    /// See [`global_attention::softmax_gradient`].
    fn softmax_gradient(attention: FloatTensor<Self>, grad: FloatTensor<Self>, scale: f32) -> FloatTensor<Self> {
        global_attention::softmax_gradient::<Self>(attention, grad, scale)
    }
}

impl TokenKernels for CubeBackend {}

impl TokenKernels for Flex {
    fn gelu_value(x: FloatTensor<Self>) -> FloatTensor<Self> {
        host::gelu(x)
    }

    fn gelu_gradient(x: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        host::gelu_gradient(x, grad)
    }

    fn layer_norm_value(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
        host::layer_norm(x, weight, bias)
    }

    fn layer_norm_gradients(x: FloatTensor<Self>, weight: FloatTensor<Self>, grad: FloatTensor<Self>) -> [FloatTensor<Self>; 3] {
        host::layer_norm_gradients(x, weight, grad)
    }

    fn instance_norm_value(x: FloatTensor<Self>, shortcut: Option<FloatTensor<Self>>, slope: f32) -> Normed<Self> {
        host::instance_norm(x, shortcut, slope)
    }

    fn instance_norm_gradients(
        normed: Normed<Self>,
        shortcut: Option<FloatTensor<Self>>,
        grad: FloatTensor<Self>,
        slope: f32,
    ) -> NormGradients<Self> {
        host::instance_norm_gradients(normed, shortcut, grad, slope)
    }

    fn column_sums(rows: FloatTensor<Self>) -> FloatTensor<Self> {
        host::column_sums(rows)
    }

    fn add_bias(rows: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
        host::add_bias(rows, bias)
    }

    fn gather_product(source: FloatTensor<Self>, index: &conv::GatherIndex, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        host::gather_product(source, index, weight)
    }

    fn gather_outer(source: FloatTensor<Self>, index: &conv::GatherIndex, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        host::gather_outer(source, index, grad)
    }

    fn side_by_side(x: FloatTensor<Self>, tables: &MergeTables) -> FloatTensor<Self> {
        host::side_by_side(x, tables)
    }

    fn side_by_side_gradient(grad: FloatTensor<Self>, tables: &MergeTables) -> FloatTensor<Self> {
        host::side_by_side_gradient(grad, tables)
    }

    fn attention_value(
        qkv: FloatTensor<Self>,
        padding: FloatTensor<Self>,
        table: FloatTensor<Self>,
        tables: &WindowTables,
    ) -> FloatTensor<Self> {
        host::attention(attention::Inputs { qkv, padding, table }, tables)
    }

    fn attention_gradients(inputs: attention::Inputs<Self>, tables: &WindowTables, grad: FloatTensor<Self>) -> AttentionGradients<Self> {
        host::attention_gradients(inputs, tables, grad)
    }

    fn softmax_value(scores: FloatTensor<Self>, scale: f32) -> FloatTensor<Self> {
        host::scaled_softmax(scores, scale)
    }

    fn softmax_gradient(attention: FloatTensor<Self>, grad: FloatTensor<Self>, scale: f32) -> FloatTensor<Self> {
        host::scaled_softmax_gradient(attention, grad, scale)
    }
}

/// The dispatched operations of a backend that has the bodies.
macro_rules! dispatch_to_kernels {
    ($backend:ty) => {
        impl TokenOps for $backend {
            fn token_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
                Self::gelu_value(x)
            }

            fn token_layer_norm(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
                Self::layer_norm_value(x, weight, bias)
            }

            fn token_instance_norm(x: FloatTensor<Self>, slope: f32) -> FloatTensor<Self> {
                Self::instance_norm_value(x, None, slope).out
            }

            fn token_instance_norm_add(x: FloatTensor<Self>, shortcut: FloatTensor<Self>, slope: f32) -> FloatTensor<Self> {
                Self::instance_norm_value(x, Some(shortcut), slope).out
            }

            fn token_product(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
                linear::product::<Self>(x, weight)
            }

            fn token_bias(x: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
                linear::bias_value::<Self>(x, bias)
            }

            fn token_conv(x: FloatTensor<Self>, weight: FloatTensor<Self>, shape: ConvShape) -> FloatTensor<Self> {
                conv::value::<Self>(x, weight, shape)
            }

            fn token_conv_block(tensors: ConvBlockTensors<Self>, shape: ConvBlockShape) -> FloatTensor<Self> {
                conv_block::value::<Self>(&tensors.into_parts(), shape)
            }

            fn token_attention(
                qkv: FloatTensor<Self>,
                padding: FloatTensor<Self>,
                table: FloatTensor<Self>,
                tables: Arc<WindowTables>,
            ) -> FloatTensor<Self> {
                Self::attention_value(qkv, padding, table, &tables)
            }

            fn token_global_attention(qkv: FloatTensor<Self>, heads: usize) -> FloatTensor<Self> {
                global_attention::value::<Self>(qkv, heads)
            }

            fn token_merging(tensors: MergeTensors<Self>, tables: Arc<MergeTables>) -> FloatTensor<Self> {
                merge::value::<Self>(tensors, &tables)
            }

            fn token_block(tensors: BlockTensors<Self>, shape: BlockShape) -> FloatTensor<Self> {
                block::value::<Self>(&tensors, &shape)
            }
        }
    };
}

dispatch_to_kernels!(Flex);
dispatch_to_kernels!(CubeBackend);

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

#[derive(Debug)]
struct ConvStep(ConvShape);

impl<B: TokenKernels> Backward<B, 2> for ConvStep {
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (x, weight) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let [x_parent, weight_parent] = ops.parents;
        if let Some(parent) = weight_parent {
            grads.register::<B>(parent.id, conv::weight_gradient::<B>(x, grad.clone(), self.0));
        }
        if let Some(parent) = x_parent {
            grads.register::<B>(parent.id, conv::input_gradient::<B>(weight, grad, self.0));
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

    fn token_product(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        tracked!(ProductStep, C, [x, weight], (x.clone(), weight.clone()), linear::product::<B>(x, weight))
    }

    fn token_bias(x: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
        tracked!(BiasStep, C, [x, bias], (), linear::bias_value::<B>(x, bias))
    }

    fn token_conv(x: FloatTensor<Self>, weight: FloatTensor<Self>, shape: ConvShape) -> FloatTensor<Self> {
        tracked!(ConvStep(shape), C, [x, weight], (x.clone(), weight.clone()), conv::value::<B>(x, weight, shape))
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
