//! Every operation beside stock operations of the same outcome, on small inputs that still reach all of its branches.
//!
//! The tests compare values and gradients of the two; the doctor runs the operations on each device.

use std::sync::Arc;

use burn::tensor::activation::{leaky_relu, softmax};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData};

use super::attention;
use super::index::{Index, PADDING, cells};
use super::window_tables::WindowTables;
use super::{
    BlendSums, ConvShape, InputGradients, MergeTables, WindowPlaces, add_bias, concat_neighbours, conv3d, custom_gradient, gelu,
    global_attention, instance_norm, instance_norm_add, layer_norm, linear, sum_axis, window_attention,
};

/// A function of flat tensors.
pub type Function = Box<dyn Fn(&[Tensor<1>]) -> Tensor<1>>;

/// An operation on one shape of inputs.
#[allow(missing_debug_implementations, reason = "functions have nothing to show")]
pub struct Case {
    /// The operation.
    pub name: &'static str,
    /// Number of values of each input.
    pub inputs: Vec<usize>,
    /// The operation, from flat inputs to a flat result.
    pub run: Function,
    /// The same in stock operations.
    pub stock: Function,
}

/// Adds a case: from the inputs' shapes to the operation and its stock form, both on tensors of any rank.
macro_rules! case {
    ($cases:expr, $name:literal, [$($input:ident: $shape:expr),+], $run:expr, $stock:expr) => {{
        let lengths = vec![$($shape.iter().product::<usize>()),+];
        let run = move |x: &[Tensor<1>]| {
            let mut x = x.iter().cloned();
            $(let $input = x.next().expect("an input").reshape($shape);)+
            flat($run)
        };
        let stock = move |x: &[Tensor<1>]| {
            let mut x = x.iter().cloned();
            $(let $input = x.next().expect("an input").reshape($shape);)+
            flat($stock)
        };
        $cases.push(Case { name: $name, inputs: lengths, run: Box::new(run), stock: Box::new(stock) });
    }};
}

/// All cases; the first of each operation is the one for the doctor.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    case!(cases, "gelu", [x: [2, 5, 7]], gelu(x), x.clone() * ((x / 2.0_f64.sqrt()).erf() + 1.0) * 0.5);
    // 21 channels: two blocks of a sum and a rest. 600 rows: several parallel tasks.
    let (tokens, channels) = ([2, 300, 21], [21]);
    case!(cases, "layer norm", [x: tokens, w: channels, b: channels], layer_norm(x, w, b), normalised(x, 2) * w.unsqueeze() + b.unsqueeze());
    case!(
        cases, "linear", [x: [3, 100, 5], w: [5, 19], b: [19]],
        linear::<3>(x, w, Some(b)),
        x.matmul(w.unsqueeze()) + b.unsqueeze()
    );
    case!(cases, "bias", [x: [3, 7, 5, 2], b: [2]], add_bias::<4>(x, b), x + b.unsqueeze());
    // Columns that several rows share the units of a cube with, and more than that.
    case!(cases, "sum over an axis", [x: [3, 700, 2]], sum_axis::<3>(x, 1), x.sum_dim(1));
    case!(cases, "sum over an axis", [x: [2, 70, 131]], sum_axis::<3>(x, 1), x.sum_dim(1));
    instance_norms(&mut cases);
    convolutions(&mut cases);
    merging(&mut cases);
    attentions(&mut cases);
    case!(cases, "window blending", [logits: [6, 3, 5, 2, 4]], blended(logits), {
        let device: Device = logits.device();
        let weighted = starts().enumerate().map(|(window, start)| {
            let own: Tensor<5> = logits.clone().narrow(0, window, 1);
            placed(own.reshape([3, 5, 2, 4]).permute([0, 3, 1, 2]).flip([3]) * weights_of_window(&device), start)
        });
        weighted.reduce(|sum, window| sum + window).expect("a window") / sums_of_weights(&device)
    });
    cases
}

fn instance_norms(cases: &mut Vec<Case>) {
    // 6 channels share a block of 48 places, 5 have one of 80, neither of which divides the 7777 tokens of a task or its rest.
    for (count, channels, slope) in [(19, 5, None), (40_003, 6, Some(0.01)), (7777, 32, Some(0.2))] {
        let (shape, factor) = ([2, count, channels], f64::from(slope.unwrap_or(1.0)));
        case!(
            cases, "instance norm", [x: shape],
            instance_norm(off_kink(x, slope) + 3.0, slope),
            leaky_relu(normalised::<3>(off_kink(x, slope) + 3.0, 1), factor)
        );
        case!(
            cases, "instance norm, sum", [x: shape, shortcut: shape],
            instance_norm_add(off_kink(x, slope), shortcut * 0.2, slope),
            leaky_relu(normalised::<3>(off_kink(x, slope), 1) + shortcut * 0.2, factor)
        );
    }
}

/// Where an activation has a kink at 0, values that are at least a half on either side: normalised, none lies so near to it that
/// rounding decides its slope.
fn off_kink<const D: usize>(x: Tensor<D>, slope: Option<f32>) -> Tensor<D> {
    if slope.is_some() { x.clone() + x.sign() * 0.5 } else { x }
}

/// Mean 0 and variance 1 over `axis`.
fn normalised<const D: usize>(x: Tensor<D>, axis: usize) -> Tensor<D> {
    let centred = x.clone() - x.mean_dim(axis);
    let variance = centred.clone().square().mean_dim(axis);
    centred / (variance + 1e-5).sqrt()
}

fn convolutions(cases: &mut Vec<Case>) {
    // Strides along each axis, several groups of rows along H, grids smaller than a step of tokens and beyond one.
    let geometries = [
        ([6, 4, 5], [2, 2, 2]),
        ([4, 5, 6], [1, 1, 1]),
        ([2, 19, 11], [1, 1, 1]),
        ([5, 6, 3], [1, 2, 2]),
        ([8, 4, 9], [4, 1, 4]),
        ([1, 18, 21], [1, 2, 2]),
    ];
    for (grid, stride) in geometries {
        let (count, shape) = (grid.iter().product::<usize>(), ConvShape { grid, stride });
        // One lane block and less, and more than one.
        for [input, output] in [[3, 4], [1, 18]] {
            case!(
                cases, "convolution", [x: [2, count, input], w: [3, 3, 3, input, output], b: [output]],
                conv3d([x], w, Some(b), shape),
                convolved(x, w, shape) + b.unsqueeze()
            );
        }
        case!(
            cases, "convolution of two", [x: [2, count, 5], y: [2, count, 2], w: [3, 3, 3, 7, 3]],
            conv3d([x, y], w, None, shape),
            convolved(Tensor::cat(vec![x, y], 2), w, shape)
        );
    }
    // Channels in vectors on both sides, the last block of them not full.
    for stride in [[1; 3], [2; 3]] {
        let shape = ConvShape { grid: [3, 9, 10], stride };
        case!(
            cases, "convolution of two", [x: [2, 270, 24], y: [2, 270, 8], w: [3, 3, 3, 32, 52]],
            conv3d([x, y], w, None, shape),
            convolved(Tensor::cat(vec![x, y], 2), w, shape)
        );
    }
}

fn convolved(tokens: Tensor<3>, weight: Tensor<5>, shape: ConvShape) -> Tensor<3> {
    let ([batch, _, input], [_, _, _, _, output], [depth, height, width]) = (tokens.dims(), weight.dims(), shape.grid);
    let volume = tokens.reshape([batch, depth, height, width, input]).permute([0, 4, 1, 2, 3]);
    let options = ConvOptions::new(shape.stride, [1; 3], [1; 3], 1);
    let out: Tensor<5> = burn::tensor::module::conv3d(volume, weight.permute([4, 3, 0, 1, 2]), None, options);
    out.permute([0, 2, 3, 4, 1]).reshape([batch, shape.output().iter().product(), output])
}

fn merging(cases: &mut Vec<Case>) {
    // Five tokens: 0 and 3 are used twice, 2 never; four merged tokens of three parts.
    let sources = vec![0, 1, PADDING, 4, 3, 0, PADDING, PADDING, PADDING, 3, PADDING, PADDING];
    let rows: Vec<i32> = sources.iter().map(|&row| if row == PADDING { 5 } else { row as i32 }).collect();
    let tables = Arc::new(MergeTables::new(3, sources, 5));
    case!(cases, "neighbours side by side", [x: [2, 5, 6]], concat_neighbours(x, &tables), {
        let device: Device = x.device();
        let padded: Tensor<3> = Tensor::cat(vec![x, Tensor::zeros([2, 1, 6], &device)], 1);
        padded.select(1, Tensor::from_data(TensorData::new(rows.clone(), [12]), &device)).reshape([2, 4, 18])
    });
}

fn attentions(cases: &mut Vec<Case>) {
    // Two windows of five tokens; places 3 and 8 are padding.
    for mask_groups in [vec![0, 0, 1, 1, 0, 2, 2, 2, 2, 2], Vec::new()] {
        let order = vec![2, 0, 4, PADDING, 1, 7, 3, 6, PADDING, 5];
        let bias_rows = Index::new((0..25).map(|pair| pair * 7 % 11).collect(), 12);
        let tables = Arc::new(WindowTables::from_order(order, 5, mask_groups, bias_rows));
        let again = Arc::clone(&tables);
        case!(
            cases, "window attention", [qkv: [3, 8, 36], padding: [36], table: [12, 2]],
            window_attention(qkv, padding, table, &tables),
            attention::value((qkv, padding, table), &again)
        );
    }
    // Windows as networks cut them: padded, shifted, positions by relative offset; one that several cubes of a GPU share, and runs of a
    // window that its units have whole, in parts, and in parts that overlap.
    for ([grid, window, shift], heads, head_dim) in [
        ([[5, 4, 7], [2, 4, 3], [1, 0, 1]], 3, 4),
        ([[7, 8, 5], [7, 8, 5], [0; 3]], 1, 20),
        ([[6, 6, 6], [6, 6, 6], [0; 3]], 2, 5),
        ([[8, 7, 7], [7, 7, 7], [3, 0, 0]], 1, 16),
        ([[7, 7, 9], [7, 7, 7], [0, 0, 3]], 2, 4),
        ([[4, 6, 8], [4, 4, 4], [0, 2, 2]], 2, 8),
    ] {
        let rows = window.map(|tokens: usize| 2 * tokens - 1).iter().product::<usize>();
        let tables = Arc::new(WindowTables::new([grid, window, shift], relative_positions(window), rows));
        let (again, dim, tokens) = (Arc::clone(&tables), heads * head_dim, grid.iter().product());
        case!(
            cases, "window attention", [qkv: [2, tokens, 3 * dim], padding: [3 * dim], table: [rows, heads]],
            window_attention(qkv, padding, table, &tables),
            attention::value((qkv, padding, table), &again)
        );
    }
    // More scores of a head than one parallel task holds, rows that are no multiple of a vector.
    case!(cases, "global attention", [qkv: [2, 131, 30]], global_attention(qkv, 2), {
        let split = qkv.reshape([2, 131, 3, 2, 5]).permute([2, 0, 3, 1, 4]);
        let [query, key, value] = [0, 1, 2].map(|part| split.clone().narrow(0, part, 1).reshape([2, 2, 131, 5]));
        let scores: Tensor<4> = query.matmul(key.transpose()) * 5.0_f64.powf(-0.5);
        softmax(scores, 3).matmul(value).swap_dims(1, 2)
    });
}

/// First voxels of windows of 4x5x2 that cover a volume of 9x5x3.
fn starts() -> impl Iterator<Item = [usize; 3]> {
    [0, 3, 5].into_iter().flat_map(|row| [[row, 0, 0], [row, 0, 1]])
}

/// Of each voxel of such a window.
fn weights_of_window(device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new((0..40).map(|voxel| (voxel % 7 + 1) as f32 / 7.0).collect(), [1, 4, 5, 2]), device)
}

/// A window in zeros of the volume.
fn placed(window: Tensor<4>, [row, _, left]: [usize; 3]) -> Tensor<4> {
    let channels = window.dims()[0];
    let volume = Tensor::zeros([channels, 9, 5, 3], &window.device());
    volume.slice_assign([0..channels, row..row + 4, 0..5, left..left + 2], window)
}

fn sums_of_weights(device: &Device) -> Tensor<4> {
    starts().map(|start| placed(weights_of_window(device), start)).reduce(|sum, window| sum + window).expect("a window")
}

/// Logits `[window, class, H, W, D]`, W mirrored, blended to `[class, D, H, W]` in five rows that go round.
fn blended(logits: Tensor<5>) -> Tensor<4> {
    custom_gradient((logits,), |(logits,)| {
        let device = logits.device();
        let (mut sums, mut rows, mut done) = (BlendSums::new([3, 5, 5, 3], &device), Vec::new(), 0);
        for (pair, starts) in starts().collect::<Vec<_>>().chunks(2).enumerate() {
            let row = starts[0][0];
            if row > done {
                rows.push(sums.take(done, row - done));
                done = row;
            }
            let places = WindowPlaces { starts, axes: [2, 0, 1], flips: [false, false, true] };
            sums.add(logits.clone().narrow(0, 2 * pair, 2), weights_of_window(&device).reshape([4, 5, 2]), &places);
        }
        rows.push(sums.take(done, 9 - done));
        let backward = |grad: Tensor<4>, gradients: &mut InputGradients| {
            let of_window = |grad: Tensor<4>, [row, _, left]: [usize; 3]| {
                let own = grad.slice([0..3, row..row + 4, 0..5, left..left + 2]);
                let weighted = own.clone() * weights_of_window(&own.device());
                weighted.flip([3]).permute([0, 2, 3, 1]).reshape([1, 3, 5, 2, 4])
            };
            gradients.put(0, || {
                let shares = grad.clone() / sums_of_weights(&grad.device());
                Tensor::<5>::cat(starts().map(|start| of_window(shares.clone(), start)).collect(), 0)
            });
        };
        (Tensor::cat(rows, 1), backward)
    })
}

/// Table row of each pair of a window's tokens, query by key: their offset along each axis.
fn relative_positions(window: [usize; 3]) -> Vec<u32> {
    let row = |query: [usize; 3], key: [usize; 3]| {
        (0..3).fold(0, |row, axis| row * (2 * window[axis] - 1) + query[axis] + window[axis] - 1 - key[axis]) as u32
    };
    cells(window).flat_map(|query| cells(window).map(move |key| row(query, key))).collect()
}

fn flat<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let count = tensor.shape().num_elements();
    tensor.reshape([count])
}
