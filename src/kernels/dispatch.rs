//! Which body an operation runs, by device. `graph` enters the operations into the autodiff graph.

use std::sync::Arc;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Flex, backend_extension};
use burn_wgpu::CubeBackend;

use super::attention::{self, AttentionGradients, WindowTables};
use super::block::{self, BlockShape, BlockTensors};
use super::conv::{self, ConvShape};
use super::conv_block::{self, ConvBlockShape, ConvBlockTensors};
use super::instance_norm::{self, NormGradients, Normed};
use super::merge::{self, MergeTables, MergeTensors};
use super::{gelu, global_attention, host, layer_norm, linear, sums};

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
    /// Sum over the rows of `[batch, rows, columns]`: [`super::sum_axis`].
    fn token_sum(x: FloatTensor<Self>) -> FloatTensor<Self>;
    /// [`super::linear`] without its bias.
    fn token_product(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;
    /// See [`super::add_bias`].
    fn token_bias(x: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self>;
    /// [`super::conv3d`] without its bias.
    fn token_conv(x: FloatTensor<Self>, weight: FloatTensor<Self>, shape: ConvShape) -> FloatTensor<Self>;
    /// [`super::conv3d_pair`] without its bias.
    fn token_conv_pair(
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        shape: ConvShape,
    ) -> FloatTensor<Self>;
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

    /// See [`sums::over_rows`].
    fn sum_rows(x: FloatTensor<Self>) -> FloatTensor<Self> {
        sums::over_rows::<Self>(x)
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

    /// See [`conv::value`].
    fn conv_value(sources: Vec<FloatTensor<Self>>, weight: FloatTensor<Self>, shape: ConvShape) -> FloatTensor<Self> {
        conv::value::<Self>(sources, weight, shape)
    }

    /// See [`conv::weight_gradient`].
    fn conv_weight_gradient(source: FloatTensor<Self>, grad: FloatTensor<Self>, shape: ConvShape) -> FloatTensor<Self> {
        conv::weight_gradient::<Self>(source, grad, shape)
    }

    /// See [`conv::input_gradient`].
    fn conv_input_gradient(weight: FloatTensor<Self>, grad: FloatTensor<Self>, shape: ConvShape, inputs: [usize; 2]) -> FloatTensor<Self> {
        conv::input_gradient::<Self>(weight, grad, shape, inputs)
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

    fn sum_rows(x: FloatTensor<Self>) -> FloatTensor<Self> {
        host::sum_rows(x)
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

    fn conv_value(sources: Vec<FloatTensor<Self>>, weight: FloatTensor<Self>, shape: ConvShape) -> FloatTensor<Self> {
        host::conv(sources, weight, shape)
    }

    fn conv_weight_gradient(source: FloatTensor<Self>, grad: FloatTensor<Self>, shape: ConvShape) -> FloatTensor<Self> {
        host::conv_weight_gradient(source, grad, shape)
    }

    fn conv_input_gradient(weight: FloatTensor<Self>, grad: FloatTensor<Self>, shape: ConvShape, inputs: [usize; 2]) -> FloatTensor<Self> {
        if shape.stride == [1; 3] {
            host::conv_input_gradient(weight, grad, shape, inputs)
        } else {
            conv::input_gradient::<Self>(weight, grad, shape, inputs)
        }
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

            fn token_sum(x: FloatTensor<Self>) -> FloatTensor<Self> {
                Self::sum_rows(x)
            }

            fn token_product(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
                linear::product::<Self>(x, weight)
            }

            fn token_bias(x: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
                linear::bias_value::<Self>(x, bias)
            }

            fn token_conv(x: FloatTensor<Self>, weight: FloatTensor<Self>, shape: ConvShape) -> FloatTensor<Self> {
                Self::conv_value(vec![x], weight, shape)
            }

            fn token_conv_pair(
                first: FloatTensor<Self>,
                second: FloatTensor<Self>,
                weight: FloatTensor<Self>,
                shape: ConvShape,
            ) -> FloatTensor<Self> {
                Self::conv_value(vec![first, second], weight, shape)
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
