//! Times the operations of a step by the device's own bodies and by their references in the tensor library's operations, one beside the
//! other: what the own ones gain.

use std::time::Instant;

use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor};
use serde::Serialize;

use super::steps::tensor;
use crate::config::Weighting;
use crate::device::{DeviceChoice, open, wait};
use crate::kernels::{ConvShape, conv3d, gelu, global_attention, instance_norm, layer_norm, linear, window_attention, with_references};
use crate::nn::{PositionIndex, table_rows, window_tables};
use crate::objective::{DiceCeConfig, TokenContrast, classes_from_host};

/// One operation by both bodies, in seconds: forward, then backward.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OperationTiming {
    /// What it is, and its sizes.
    pub name: String,
    /// By the tensor library's operations.
    pub reference_s: [f64; 2],
    /// By the device's own body.
    pub own_s: [f64; 2],
    /// By the tensor library's operation of the same name, where it has one and is timed.
    pub library_s: Option<[f64; 2]>,
    /// Largest difference between the two among outputs and gradients, relative to the largest value of the tensor.
    pub difference: f64,
}

/// From flat inputs to a flat output.
type Function = Box<dyn Fn(&[Tensor<1>]) -> Tensor<1>>;

struct Operation {
    name: String,
    inputs: Vec<usize>,
    run: Function,
    /// The same by one operation of the tensor library.
    library: Option<Function>,
}

/// Times every operation whose name contains `only` on a device, the least of `runs` runs each.
///
/// # Errors
/// A device that cannot be opened or fails.
pub fn time_operations(
    choice: &DeviceChoice,
    only: &str,
    runs: usize,
    mut report: impl FnMut(&OperationTiming),
) -> anyhow::Result<Vec<OperationTiming>> {
    let device = open(choice)?.device.autodiff();
    let mut timings = Vec::new();
    for operation in operations(&device).into_iter().filter(|operation| operation.name.contains(only)) {
        let inputs: Vec<Tensor<1>> =
            operation.inputs.iter().enumerate().map(|(index, &count)| tensor(&format!("bench.{index}"), [count], &device)).collect();
        let own = times(&operation.run, &inputs, &device, runs)?;
        let reference = with_references(|| times(&operation.run, &inputs, &device, runs))?;
        let library = operation.library.map(|function| times(&function, &inputs, &device, runs)).transpose()?;
        let difference = own.1.iter().zip(&reference.1).map(|(own, reference)| relative_difference(own, reference)).fold(0.0, f64::max);
        let library_s = library.map(|(secs, _)| secs);
        let timing = OperationTiming { name: operation.name, reference_s: reference.0, own_s: own.0, library_s, difference };
        report(&timing);
        timings.push(timing);
    }
    Ok(timings)
}

/// Least seconds of a function forward and backward; its output and gradients.
fn times(function: &Function, inputs: &[Tensor<1>], device: &Device, runs: usize) -> anyhow::Result<([f64; 2], Vec<Vec<f32>>)> {
    let (mut least, mut values) = ([f64::INFINITY; 2], Vec::new());
    // The first run compiles.
    for run in 0..=runs {
        let leaves: Vec<Tensor<1>> = inputs.iter().map(|input| input.clone().detach().require_grad()).collect();
        let plain = leaves.iter().map(|leaf| leaf.clone().inner()).collect::<Vec<_>>();
        let began = Instant::now();
        drop(function(&plain));
        wait(device)?;
        let forward = began.elapsed().as_secs_f64();
        let began = Instant::now();
        let out = function(&leaves);
        let gradients = out.clone().sum().backward();
        wait(device)?;
        let both = began.elapsed().as_secs_f64();
        if run == 0 {
            let of_leaves = leaves.iter().map(|leaf| leaf.grad(&gradients).expect("every input has a gradient"));
            values = std::iter::once(out.inner()).chain(of_leaves).map(|tensor| tensor.into_data().iter().collect()).collect();
        } else {
            least = [least[0].min(forward), least[1].min((both - forward).max(0.0))];
        }
    }
    Ok((least, values))
}

fn relative_difference(found: &[f32], expected: &[f32]) -> f64 {
    let largest = expected.iter().fold(f32::MIN_POSITIVE, |largest, value| largest.max(value.abs()));
    let difference = found.iter().zip(expected).map(|(found, expected)| (found - expected).abs()).fold(0.0, f32::max);
    f64::from(difference / largest)
}

/// The operations at sizes that the networks have.
fn operations(device: &Device) -> Vec<Operation> {
    let mut operations = Vec::new();
    for (edge, stride, input, output) in
        [(32, 1, 24, 24), (16, 1, 48, 48), (64, 1, 12, 12), (64, 1, 1, 24), (8, 1, 96, 96), (32, 2, 24, 48), (16, 2, 48, 96)]
    {
        let (tokens, shape) = (edge * edge * edge, ConvShape { grid: [edge; 3], stride: [stride; 3] });
        // On larger grids the library's takes minutes on a GPU in software.
        let library = (stride == 1 && input == output && (16..=32).contains(&edge)).then(|| -> Function {
            let options = ConvOptions::new([1; 3], [1; 3], [1; 3], 1);
            Box::new(move |x| {
                let (x, weight) = (x[0].clone().reshape([2, input, edge, edge, edge]), x[1].clone().reshape([output, input, 3, 3, 3]));
                flat::<5>(burn::tensor::module::conv3d(x, weight, None, options.clone()))
            })
        });
        operations.push(Operation {
            name: format!("convolution {input}->{output}, 2x{edge}^3, stride {stride}"),
            inputs: vec![2 * tokens * input, 27 * input * output],
            run: Box::new(move |x| {
                flat(conv3d([x[0].clone().reshape([2, tokens, input])], x[1].clone().reshape([3, 3, 3, input, output]), None, shape))
            }),
            library,
        });
    }
    let mut add = |name: String, inputs: Vec<usize>, run: Function| operations.push(Operation { name, inputs, run, library: None });
    for (edge, window, heads, head_dim) in [(16, 7, 3, 16), (16, 7, 3, 4), (16, 4, 6, 32)] {
        let (tokens, dim) = (edge * edge * edge, heads * head_dim);
        let rows = table_rows([window; 3]);
        let tables = window_tables([edge; 3], [window; 3], [window / 2; 3], PositionIndex::OneToOne);
        add(
            format!("attention, shifted windows of {window}^3, 2x{edge}^3, {heads} heads of {head_dim}"),
            vec![2 * tokens * 3 * dim, 3 * dim, rows * heads],
            Box::new(move |x| {
                let (qkv, table) = (x[0].clone().reshape([2, tokens, 3 * dim]), x[2].clone().reshape([rows, heads]));
                flat(window_attention(qkv, x[1].clone(), table, &tables))
            }),
        );
    }
    add(
        "attention of all tokens, 2x8^3, 4 heads of 48".to_owned(),
        vec![2 * 512 * 3 * 192],
        Box::new(|x| flat(global_attention(x[0].clone().reshape([2, 512, 576]), 4))),
    );
    let tokens = [2, 32 * 32 * 32, 24];
    let count = tokens.iter().product();
    add("GELU, 2x32^3x24".to_owned(), vec![count], Box::new(|x| gelu(x[0].clone())));
    add(
        "layer norm, 2x32^3x24".to_owned(),
        vec![count, 24, 24],
        Box::new(move |x| flat(layer_norm(x[0].clone().reshape(tokens), x[1].clone(), x[2].clone()))),
    );
    add(
        "instance norm, 2x32^3x24".to_owned(),
        vec![count],
        Box::new(move |x| flat(instance_norm(x[0].clone().reshape(tokens), Some(0.01)))),
    );
    add(
        "linear 24->96, 2x32^3".to_owned(),
        vec![count, 24 * 96, 96],
        Box::new(move |x| flat(linear(x[0].clone().reshape(tokens), x[1].clone().reshape([24, 96]), Some(x[2].clone())))),
    );
    let classes: Vec<u8> = (0..2 * 64 * 64 * 64).map(|voxel| (voxel / 7 % 3) as u8).collect();
    let classes = classes_from_host(&classes, [2, 64, 64, 64], device);
    add(
        "Dice and cross-entropy, 2x64^3, 3 classes".to_owned(),
        vec![2 * 3 * 64 * 64 * 64],
        Box::new(move |x| DiceCeConfig::nnunet().loss(x[0].clone().reshape([2, 3, 64, 64, 64]), &classes).loss),
    );
    add(
        "token contrast, 2x512x256".to_owned(),
        vec![2 * 512 * 256, 2 * 512 * 256],
        Box::new(|x| {
            let [first, second] = [&x[0], &x[1]].map(|tokens| tokens.clone().reshape([2, 512, 256]));
            TokenContrast::new(0.5, 5.0, Weighting::Term).forward(first, second).loss
        }),
    );
    operations
}

fn flat<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let count = tensor.shape().num_elements();
    tensor.reshape([count])
}
