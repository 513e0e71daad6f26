//! Softmax over classes against class indices on a GPU, for losses of segmentation: the sums over voxels, and the gradient from the slopes
//! that they give. Nothing of the size of the logits is stored but the gradient.

use burn::tensor::{Int, Tensor};
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

use super::launch::{UNITS, buffer, cube_position, cube_sum, cubes, cubes_for, empty, position, table, tensor};
use super::softplus::{LEFT_OUT, sigmoid, softplus};
use super::sums::sum_over_rows;

/// Voxels of a unit.
const EACH: usize = 8;

/// The softmax of a voxel, without the numbers of each class.
#[derive(CubeType, Clone, Copy)]
struct VoxelSoftmax {
    /// The largest logit but the right class's.
    pub top: f32,
    /// What turns `e^(logit - top)` of a wrong class into its prediction.
    pub factor: f32,
    /// How far all wrong classes together are ahead of the right one.
    pub ahead: f32,
    /// What the prediction of the right class lacks of 1.
    pub missing: f32,
}

/// The softmax of the voxel whose logit of class 0 is `logits[from]`.
#[cube]
fn softmax_of(logits: &[f32], from: u32, voxels: u32, classes: u32, right: u32) -> VoxelSoftmax {
    let mut top = f32::new(LEFT_OUT);
    for class in 0..classes {
        if class != right {
            top = max(top, logits[(from + class * voxels) as usize]);
        }
    }
    let mut total = 0.0f32;
    for class in 0..classes {
        if class != right {
            total += (logits[(from + class * voxels) as usize] - top).exp();
        }
    }
    let ahead = (top - logits[(from + right * voxels) as usize]) + total.ln();
    let missing = sigmoid(ahead);
    VoxelSoftmax { top, factor: missing / total, ahead, missing }
}

/// By tile of a volume and class: what predictions lack (`|p - t|` or its square), and their size (`p` or its square, and `t`); behind
/// them the cross-entropy. `[batch, tiles, 2 classes + 1]`.
#[cube(launch)]
fn class_sums_kernel(
    logits: &[f32],
    labels: &[i32],
    parts: &mut [f32],
    batch: u32,
    classes: u32,
    voxels: u32,
    tiles: u32,
    #[comptime] squared: bool,
) {
    let cube = cube_position();
    if cube >= batch * tiles {
        terminate!();
    }
    let sample = cube / tiles;
    let first = cube % tiles * comptime!(EACH as u32 * UNITS) + UNIT_POS;
    let start = sample * classes * voxels;
    let mut memory = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));
    let mut top = Array::<f32>::new(EACH);
    let mut factor = Array::<f32>::new(EACH);
    let mut missing = Array::<f32>::new(EACH);
    let mut right = Array::<u32>::new(EACH);
    let mut entropy = 0.0f32;
    #[unroll]
    for own in 0..EACH {
        let voxel = first + comptime!(own as u32 * UNITS);
        // No class: a voxel behind the last adds nothing.
        right[own] = classes;
        top[own] = 0.0f32;
        factor[own] = 0.0f32;
        missing[own] = 0.0f32;
        if voxel < voxels {
            right[own] = u32::cast_from(labels[(sample * voxels + voxel) as usize]);
            let softmax = softmax_of(logits, start + voxel, voxels, classes, right[own]);
            top[own] = softmax.top;
            factor[own] = softmax.factor;
            missing[own] = softmax.missing;
            entropy += softplus(softmax.ahead);
        }
    }
    let to = cube * (2u32 * classes + 1u32);
    for class in 0..classes {
        let mut lacking = 0.0f32;
        let mut size = 0.0f32;
        #[unroll]
        for own in 0..EACH {
            let voxel = first + comptime!(own as u32 * UNITS);
            if voxel < voxels {
                let mut error = missing[own];
                let mut prediction = 1.0f32 - missing[own];
                if right[own] != class {
                    error = (logits[(start + class * voxels + voxel) as usize] - top[own]).exp() * factor[own];
                    prediction = error;
                } else {
                    size += 1.0f32;
                }
                if comptime!(squared) {
                    error *= error;
                    prediction *= prediction;
                }
                lacking += error;
                size += prediction;
            }
        }
        let lacking = cube_sum(&mut memory, lacking);
        let size = cube_sum(&mut memory, size);
        if UNIT_POS == 0u32 {
            parts[(to + class) as usize] = lacking;
            parts[(to + classes + class) as usize] = size;
        }
    }
    let entropy = cube_sum(&mut memory, entropy);
    if UNIT_POS == 0u32 {
        parts[(to + 2u32 * classes) as usize] = entropy;
    }
}

/// The gradient with respect to the logits of one voxel.
#[cube(launch)]
fn class_gradient_kernel(
    logits: &[f32],
    labels: &[i32],
    alpha: &[f32],
    beta: &[f32],
    out: &mut [f32],
    total: u32,
    classes: u32,
    voxels: u32,
    volumes: u32,
    pull: f32,
    #[comptime] squared: bool,
) {
    let at = position();
    if at < total {
        let sample = at / voxels;
        let from = sample * classes * voxels + at % voxels;
        let slopes = sample % volumes * classes;
        let right = u32::cast_from(labels[at as usize]);
        let softmax = softmax_of(logits, from, voxels, classes, right);
        let mut projected = 0.0f32;
        for class in 0..classes {
            let prediction = prediction_of(logits, from, voxels, class, right, &softmax);
            projected += prediction * slope_of(alpha, beta, slopes, class, right, prediction, squared);
        }
        for class in 0..classes {
            let prediction = prediction_of(logits, from, voxels, class, right, &softmax);
            let slope = slope_of(alpha, beta, slopes, class, right, prediction, squared);
            let mut error = prediction;
            if class == right {
                error = -softmax.missing;
            }
            out[(from + class * voxels) as usize] = fma(prediction, slope - projected, error * pull);
        }
    }
}

#[cube]
fn prediction_of(logits: &[f32], from: u32, voxels: u32, class: u32, right: u32, softmax: &VoxelSoftmax) -> f32 {
    let mut prediction = sigmoid(-softmax.ahead);
    if class != right {
        prediction = (logits[(from + class * voxels) as usize] - softmax.top).exp() * softmax.factor;
    }
    prediction
}

/// `alpha t - beta (1 or 2p)`.
#[cube]
fn slope_of(alpha: &[f32], beta: &[f32], slopes: u32, class: u32, right: u32, prediction: f32, #[comptime] squared: bool) -> f32 {
    let mut slope = -beta[(slopes + class) as usize];
    if comptime!(squared) {
        slope *= 2.0f32 * prediction;
    }
    if class == right {
        slope += alpha[(slopes + class) as usize];
    }
    slope
}

/// Of `logits` `[batch, class, voxel]` and class indices `[batch, voxel]` as one row: by volume and class the sums over voxels of
/// `|p - t|` (or its square), of `p` (or its square) and `t`, and by volume the cross-entropy: `[batch, 2 classes + 1]`.
pub(crate) fn class_sums(logits: Tensor<3>, labels: Tensor<1, Int>, squared: bool) -> Tensor<2> {
    let [batch, classes, voxels] = logits.dims();
    let tiles = voxels.div_ceil(EACH * UNITS as usize);
    let columns = 2 * classes + 1;
    let (logits, labels) = (buffer(logits), table(labels));
    let parts = empty(&logits, [batch, tiles, columns]);
    class_sums_kernel::launch(
        &parts.client.clone(),
        cubes(batch * tiles),
        CubeDim::new_1d(UNITS),
        logits.into_buffer_arg(),
        labels.into_buffer_arg(),
        parts.clone().into_buffer_arg(),
        batch as u32,
        classes as u32,
        voxels as u32,
        tiles as u32,
        squared,
    );
    tensor::<3>(sum_over_rows(parts, [batch, tiles, columns])).reshape([batch, columns])
}

/// The gradient with respect to the logits of a loss whose derivative by a prediction is `alpha t - beta (1 or 2p)`, plus `pull` times
/// `p - t`. `alpha` and `beta` hold a row of classes for each volume, or one for all.
pub(crate) fn class_gradient(
    logits: Tensor<3>,
    labels: Tensor<1, Int>,
    [alpha, beta]: [Tensor<2>; 2],
    pull: f64,
    squared: bool,
) -> Tensor<3> {
    let ([batch, classes, voxels], [volumes, _]) = (logits.dims(), alpha.dims());
    let (logits, labels, alpha, beta) = (buffer(logits), table(labels), buffer(alpha), buffer(beta));
    let out = empty(&logits, [batch, classes, voxels]);
    let total = batch * voxels;
    class_gradient_kernel::launch(
        &out.client.clone(),
        cubes_for(total),
        CubeDim::new_1d(UNITS),
        logits.into_buffer_arg(),
        labels.into_buffer_arg(),
        alpha.into_buffer_arg(),
        beta.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        total as u32,
        classes as u32,
        voxels as u32,
        volumes as u32,
        pull as f32,
        squared,
    );
    tensor(out)
}
