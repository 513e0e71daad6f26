//! 3x3x3 convolution of a channels-last token sequence.

use burn::tensor::{Int, Tensor, TensorData};

/// Geometry of a 3x3x3 convolution with zero padding 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvShape {
    /// Input tokens along D,H,W.
    pub grid: [usize; 3],
    /// Step of the kernel along D,H,W.
    pub stride: [usize; 3],
}

impl ConvShape {
    /// Output tokens along D,H,W.
    pub fn output(&self) -> [usize; 3] {
        std::array::from_fn(|axis| self.grid[axis].div_ceil(self.stride[axis]))
    }

    /// For each output token its 27 input tokens, row-major over the kernel; `grid`'s token count stands for padding.
    fn taps(&self) -> Vec<i32> {
        let Self { grid, stride } = *self;
        let [depth, height, width] = self.output();
        let padding = grid.iter().product::<usize>() as i32;
        let mut taps = Vec::with_capacity(depth * height * width * 27);
        for index in 0..depth * height * width {
            let at = [index / (height * width), index / width % height, index % width];
            for tap in 0..27 {
                let offset = [tap / 9, tap / 3 % 3, tap % 3];
                let from: [usize; 3] = std::array::from_fn(|axis| (at[axis] * stride[axis] + offset[axis]).wrapping_sub(1));
                let inside = (0..3).all(|axis| from[axis] < grid[axis]);
                taps.push(if inside { ((from[0] * grid[1] + from[1]) * grid[2] + from[2]) as i32 } else { padding });
            }
        }
        taps
    }
}

/// `tokens` `[batch, tokens, in]`, `weight` `[3, 3, 3, in, out]`, `bias` `[out]` -> `[batch, output tokens, out]`.
pub fn conv3d(tokens: Tensor<3>, weight: Tensor<5>, bias: Tensor<1>, shape: ConvShape) -> Tensor<3> {
    let [batch, _, input] = tokens.dims();
    let [kd, kh, kw, _, output] = weight.dims();
    let device = tokens.device();
    let taps = shape.taps();
    let count: usize = shape.output().iter().product();
    let length = taps.len();
    let index = Tensor::<1, Int>::from_data(TensorData::new(taps, [length]), &device);
    let padded = Tensor::cat(vec![tokens, Tensor::zeros([batch, 1, input], &device)], 1);
    let columns = padded.select(1, index).reshape([batch * count, kd * kh * kw * input]);
    let out = columns.matmul(weight.reshape([kd * kh * kw * input, output])) + bias.unsqueeze();
    out.reshape([batch, count, output])
}
