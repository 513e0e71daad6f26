//! Blocks of convolutional encoders and decoders, as MONAI's `UnetResBlock`, `UnetBasicBlock` and `UnetrUpBlock`:
//! convolutions without a bias, instance normalisation without weights, leaky ReLU.

use burn::module::Module;
use burn::tensor::Tensor;

use super::{Conv3d, ExpandTokens, Initialiser, PointConv, TokenGrid};
use crate::kernels::{instance_norm, instance_norm_add, recompute};

/// Negative slope of the leaky ReLU.
pub const LEAKY_SLOPE: f32 = 0.01;

/// Two 3x3x3 convolutions, each normalised; between and after them a leaky ReLU.
#[derive(Module, Debug)]
pub struct ConvBlock {
    /// To the output's channels and grid.
    pub conv1: Conv3d,
    /// Stride 1.
    pub conv2: Conv3d,
    /// The shortcut of a residual block whose input has other channels or another grid.
    pub conv3: Option<PointConv>,
    /// Adds its input (or what `conv3` makes of it) before the last activation.
    #[module(skip)]
    pub(super) residual: bool,
    /// Keep nothing but the input for the backward pass, and compute the rest again.
    #[module(skip)]
    pub(super) recompute: bool,
}

impl ConvBlock {
    /// `UnetBasicBlock`: without a shortcut.
    pub fn basic(input: usize, output: usize, stride: [usize; 3], init: &Initialiser<'_>) -> Self {
        Self {
            conv1: Conv3d::init_unbiased(input, output, stride, &init.at("conv1")),
            conv2: Conv3d::init_unbiased(output, output, [1; 3], &init.at("conv2")),
            conv3: None,
            residual: false,
            recompute: false,
        }
    }

    /// `UnetResBlock`: with a shortcut, convolved and normalised where channels or grid change.
    pub fn residual(input: usize, output: usize, stride: [usize; 3], init: &Initialiser<'_>) -> Self {
        let changes = input != output || stride != [1; 3];
        let conv3 = changes.then(|| PointConv::init_unbiased(input, output, stride, &init.at("conv3")));
        Self { conv3, residual: true, ..Self::basic(input, output, stride, init) }
    }

    /// The same block, which keeps nothing but its input for the backward pass and computes the rest again if `recompute`.
    #[must_use]
    pub fn recomputed(self, recompute: bool) -> Self {
        Self { recompute, ..self }
    }

    /// Tokens of `input` channels -> tokens of `output` channels on the grid divided by the stride, rounded up.
    pub fn forward(&self, input: TokenGrid) -> TokenGrid {
        self.forward_sources([input.tokens], input.grid)
    }

    /// The same of the channels of several sequences, which are never brought together.
    fn forward_sources<const N: usize>(&self, sources: [Tensor<3>; N], grid: [usize; 3]) -> TokenGrid {
        if !self.recompute {
            return self.forward_kept(sources, grid);
        }
        let ([_, tokens, input], [_, _, _, _, output]) = (sources[0].dims(), self.conv2.weight.dims());
        let tokens =
            recompute(self, sources, tokens * input.max(output), move |block, sources, _| block.forward_kept(sources, grid).tokens);
        TokenGrid { tokens, grid: std::array::from_fn(|axis| grid[axis].div_ceil(self.conv1.stride[axis])) }
    }

    fn forward_kept<const N: usize>(&self, sources: [Tensor<3>; N], grid: [usize; 3]) -> TokenGrid {
        let TokenGrid { tokens, grid: output } = self.conv1.forward_sources(sources.clone(), grid);
        let shortcut = self.residual.then(|| match &self.conv3 {
            Some(conv3) => instance_norm(conv3.forward_sources(sources, grid).tokens, None),
            None => sources.into_iter().next().expect("a source"),
        });
        let hidden = instance_norm(tokens, Some(LEAKY_SLOPE));
        let TokenGrid { tokens, .. } = self.conv2.forward_sources([hidden], output);
        let tokens = match shortcut {
            Some(shortcut) => instance_norm_add(tokens, shortcut, Some(LEAKY_SLOPE)),
            None => instance_norm(tokens, Some(LEAKY_SLOPE)),
        };
        TokenGrid { tokens, grid: output }
    }
}

/// `UnetrUpBlock`: up-samples, and merges with a skip of the finer grid.
#[derive(Module, Debug)]
pub struct UpBlock {
    /// Kernel and stride alike, no bias.
    pub transp_conv: ExpandTokens,
    /// From twice the output's channels: the up-sampled tokens', then the skip's.
    pub conv_block: ConvBlock,
}

impl UpBlock {
    /// Up-samples by `kernel`, from `input` to `output` channels; the skip has `output` channels.
    pub fn init(input: usize, output: usize, kernel: [usize; 3], residual: bool, init: &Initialiser<'_>) -> Self {
        let block = if residual { ConvBlock::residual } else { ConvBlock::basic };
        Self {
            transp_conv: ExpandTokens::init_unbiased(input, output, kernel, &init.at("transp_conv")),
            conv_block: block(2 * output, output, [1; 3], &init.at("conv_block")),
        }
    }

    /// As [`ConvBlock::recomputed`].
    #[must_use]
    pub fn recomputed(self, recompute: bool) -> Self {
        Self { conv_block: self.conv_block.recomputed(recompute), ..self }
    }

    /// Tokens of `input` channels and a `skip` of `output` channels on the grid finer by the kernel -> as the skip.
    pub fn forward(&self, x: TokenGrid, skip: TokenGrid) -> TokenGrid {
        let TokenGrid { tokens, grid } = self.transp_conv.forward(x);
        self.conv_block.forward_sources([tokens, skip.tokens], grid)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::activation::leaky_relu;
    use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
    use burn::tensor::{Device, Tensor, TensorData};
    use rand::RngExt as _;

    use super::{Conv3d, ConvBlock, Initialiser, LEAKY_SLOPE, TokenGrid, UpBlock};
    use crate::random::stream;

    /// Two chains of four normalised sums of some hundred float32 terms.
    const TOLERANCE: f32 = 2e-4;

    fn volume(purpose: &str, shape: [usize; 5], device: &Device) -> Tensor<5> {
        let mut rng = stream(11, purpose, 0, 0);
        let values = (0..shape.iter().product()).map(|_| rng.random_range(-1.0_f32..1.0)).collect();
        Tensor::from_data(TensorData::new(values, shape), device).require_grad()
    }

    fn norm(x: Tensor<5>) -> Tensor<5> {
        let mean = |x: Tensor<5>| x.mean_dims(&[2, 3, 4]);
        let centred = x.clone() - mean(x);
        let variance = mean(centred.clone().powi_scalar(2));
        centred / (variance + 1e-5).sqrt()
    }

    fn convolved(conv: &Conv3d, x: Tensor<5>) -> Tensor<5> {
        let options = ConvOptions::new(conv.stride, [1; 3], [1; 3], 1);
        burn::tensor::module::conv3d(x, conv.weight.val().permute([4, 3, 0, 1, 2]), None, options)
    }

    /// A block in the tensor library's own operations, channels first.
    fn reference(block: &ConvBlock, x: Tensor<5>) -> Tensor<5> {
        let activate = |x| leaky_relu(x, f64::from(LEAKY_SLOPE));
        let hidden = norm(convolved(&block.conv2, activate(norm(convolved(&block.conv1, x.clone())))));
        let shortcut = block.conv3.as_ref().map(|conv3| {
            let options = ConvOptions::new(block.conv1.stride, [0; 3], [1; 3], 1);
            norm(burn::tensor::module::conv3d(x.clone(), conv3.weight.val().permute([4, 3, 0, 1, 2]), None, options))
        });
        activate(if block.residual { hidden + shortcut.unwrap_or(x) } else { hidden })
    }

    #[track_caller]
    fn assert_close(what: &str, got: Tensor<5>, wanted: Tensor<5>) {
        assert_eq!(got.dims(), wanted.dims(), "{what}");
        let [got, wanted] = [got, wanted].map(|tensor| tensor.into_data().try_into_vec::<f32>().unwrap());
        let scale = wanted.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
        for (index, (got, wanted)) in got.iter().zip(&wanted).enumerate() {
            assert!((got - wanted).abs() <= TOLERANCE * scale, "{what}[{index}]: {got}, expected {wanted} (largest {scale})");
        }
    }

    /// Outcome and gradients of `inputs` and `weights`, the outcome weighted at random.
    fn outcomes(out: Tensor<5>, inputs: &[&Tensor<5>], weights: &[&Conv3d]) -> Vec<Tensor<5>> {
        let factors = volume("weights", out.dims(), &out.device()).detach();
        let gradients = (out.clone() * factors).sum().backward();
        let of_inputs = inputs.iter().map(|input| input.grad(&gradients).unwrap());
        let of_weights = weights.iter().map(|conv| conv.weight.grad(&gradients).unwrap());
        std::iter::once(out).chain(of_inputs).chain(of_weights).collect()
    }

    #[test]
    fn blocks_and_their_gradients_equal_stock_operations() {
        let device = Device::flex().autodiff();
        let init = Initialiser::new(3, &device);
        let blocks = [
            ConvBlock::basic(3, 4, [1; 3], &init.at("a")),
            ConvBlock::residual(4, 4, [1; 3], &init.at("b")),
            ConvBlock::residual(3, 4, [2, 1, 2], &init.at("c")),
        ];
        for (index, block) in blocks.into_iter().flat_map(|block| [block.clone(), block.recomputed(true)]).enumerate() {
            let [_, _, _, input, _] = block.conv1.weight.dims();
            let x = volume("x", [2, input, 5, 6, 7], &device);
            let outs = [block.forward(TokenGrid::from_volume(x.clone())).into_volume(), reference(&block, x.clone())];
            let [got, wanted] = outs.map(|out| {
                let conv3 = block.conv3.as_ref().map(|conv3| conv3.weight.val());
                let leaves: Vec<&Tensor<5>> = std::iter::once(&x).chain(&conv3).collect();
                outcomes(out, &leaves, &[&block.conv1, &block.conv2])
            });
            for (tensor, (got, wanted)) in got.into_iter().zip(wanted).enumerate() {
                assert_close(&format!("block {index}, tensor {tensor}"), got, wanted);
            }
        }
    }

    #[test]
    fn an_up_block_and_its_gradients_equal_stock_operations() {
        let device = Device::flex().autodiff();
        for [residual, recompute] in [[false, false], [true, false], [false, true], [true, true]] {
            let kernel = [1, 2, 2];
            let block = UpBlock::init(6, 4, kernel, residual, &Initialiser::new(3, &device)).recomputed(recompute);
            let (x, skip) = (volume("x", [2, 6, 3, 4, 2], &device), volume("skip", [2, 4, 3, 8, 4], &device));
            let [from_x, from_skip] = [x.clone(), skip.clone()].map(TokenGrid::from_volume);
            let weight = block.transp_conv.weight.val().permute([0, 4, 1, 2, 3]);
            let options = ConvTransposeOptions::new(kernel, [0; 3], [0; 3], [1; 3], 1);
            let up = burn::tensor::module::conv_transpose3d(x.clone(), weight, None, options);
            let outs =
                [block.forward(from_x, from_skip).into_volume(), reference(&block.conv_block, Tensor::cat(vec![up, skip.clone()], 1))];
            let ConvBlock { conv1, conv2, .. } = &block.conv_block;
            let transposed = block.transp_conv.weight.val();
            let [got, wanted] = outs.map(|out| outcomes(out, &[&x, &skip, &transposed], &[conv1, conv2]));
            for (tensor, (got, wanted)) in got.into_iter().zip(wanted).enumerate() {
                assert_close(&format!("residual {residual}, recompute {recompute}, tensor {tensor}"), got, wanted);
            }
        }
    }
}
