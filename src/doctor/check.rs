//! One device held against what is known to be right.

use std::time::Duration;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::half::{self, HalfCheck};
use super::operation::{Operation, operations};
use super::speed::{Speed, measure};
use super::training::{TrainingCheck, training};
use crate::device::{DeviceChoice, DeviceError, DeviceKind, bounded, open};
use crate::kernels::first_failure;
use crate::plan::Room;

/// Largest difference allowed between a GPU's values and the CPU's, relative to the largest value of the tensor.
///
/// Both compute in float32 but sum in another order and approximate `exp` and `erf` differently: 1e-6 with sums
/// as short as these, and some drivers trade accuracy for speed. A wrong kernel is off by 1e-2 and more.
pub const GPU_TOLERANCE: f64 = 1e-4;

/// Largest relative difference allowed between the slope that the CPU's gradient promises and the one measured.
///
/// Measured over a step of about 1 % of the inputs' size, where rounding in float32 and curvature make about 1e-3 each.
pub const SLOPE_TOLERANCE: f64 = 1e-2;

/// How long all operations and the speed of one device may take: a software adapter needs half a minute, most of it to compile.
pub(super) const CHECK_LIMIT: Duration = Duration::from_secs(120);

/// Step along the gradient, relative to the root mean square of the inputs, which is 1.
const SLOPE_STEP: f64 = 1e-2;

/// What one device computes, and how fast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceCheck {
    /// `cpu` or `gpu:N`.
    pub choice: DeviceChoice,
    /// The verdict in a word.
    pub verdict: Verdict,
    /// Why it is not fit, if so.
    pub problem: Option<String>,
    /// Each operation's largest relative difference, as far as the check came.
    pub operations: Vec<OperationCheck>,
    /// Its speed, unless it is not fit.
    pub speed: Option<Speed>,
    /// What it can train, unless it is not fit.
    pub training: Option<TrainingCheck>,
    /// What half precision changes; none on the CPU, and where it is not fit.
    pub half: Option<HalfCheck>,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// One operation on one device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperationCheck {
    /// The operation.
    pub name: String,
    /// Largest relative difference of its output and gradients; against finite differences on the CPU.
    pub difference: f64,
    /// What is allowed.
    pub tolerance: f64,
}

/// What comes out for a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It computes what it should.
    Works,
    /// It computes something else.
    Wrong,
    /// It refuses or crashes.
    Fails,
    /// It does not answer.
    Hangs,
}

/// Checks one device in this process, on a thread of its own, and gives up after two minutes.
pub fn check_device(choice: &DeviceChoice) -> DeviceCheck {
    let wanted = choice.clone();
    let checked = bounded(&format!("checking {choice}"), CHECK_LIMIT, move || run(&wanted));
    checked.and_then(|checked| checked).unwrap_or_else(|error| DeviceCheck::failed(choice, &error))
}

impl DeviceCheck {
    /// A device that could not be checked to the end.
    pub(super) fn failed(choice: &DeviceChoice, error: &DeviceError) -> Self {
        let verdict = match error {
            DeviceError::Silent { .. } => Verdict::Hangs,
            DeviceError::Wrong { .. } => Verdict::Wrong,
            _ => Verdict::Fails,
        };
        Self { problem: Some(error.to_string()), ..Self::new(choice, verdict) }
    }

    fn new(choice: &DeviceChoice, verdict: Verdict) -> Self {
        Self {
            choice: choice.clone(),
            verdict,
            problem: None,
            operations: Vec::new(),
            speed: None,
            training: None,
            half: None,
            notes: Vec::new(),
        }
    }
}

fn run(choice: &DeviceChoice) -> Result<DeviceCheck, DeviceError> {
    let opened = open(choice)?;
    // Before anything else takes memory.
    let room = Room::of(&opened.description);
    let mut check = DeviceCheck { notes: opened.description.notes, ..DeviceCheck::new(choice, Verdict::Works) };
    for operation in &operations() {
        let (compared, failure) = first_failure(|| match opened.description.kind {
            DeviceKind::Cpu => slope_difference(operation, &opened.device).map(|difference| (difference, SLOPE_TOLERANCE)),
            DeviceKind::Gpu => difference_from_cpu(operation, &opened.device).map(|difference| (difference, GPU_TOLERANCE)),
        });
        let (difference, tolerance) = match compared {
            Ok(compared) => compared,
            Err(reason) => {
                check.verdict = Verdict::Fails;
                check.problem = Some(format!("{}: {}", operation.name, failure.unwrap_or(reason)));
                return Ok(check);
            }
        };
        // Written so that a NaN is wrong too.
        let right = difference <= tolerance;
        if !right && check.verdict == Verdict::Works {
            check.verdict = Verdict::Wrong;
            check.problem = Some(format!("{} is off by {difference:.1e}, {tolerance:.0e} is allowed", operation.name));
        }
        check.operations.push(OperationCheck { name: operation.name.to_owned(), difference, tolerance });
    }
    if check.verdict == Verdict::Works {
        let speed = measure(&opened.device).map_err(|reason| DeviceError::Failed { reason })?;
        check.speed = Some(speed);
        check.training = Some(training(room, &speed));
        check.half = (opened.description.kind == DeviceKind::Gpu).then(|| half::check(&opened.device));
    }
    Ok(check)
}

/// Largest difference from the CPU's output and gradients, each relative to the tensor's largest value.
fn difference_from_cpu(operation: &Operation, device: &Device) -> Result<f64, String> {
    let inputs = operation.draw();
    let (expected, got) = (operation.compute(&inputs, &Device::flex())?, operation.compute(&inputs, device)?);
    Ok(expected.iter().zip(&got).map(|(expected, got)| relative_difference(got, expected)).fold(0.0, worse))
}

/// Difference of the loss' measured slope along its gradient from the gradient's length, relative to the latter.
fn slope_difference(operation: &Operation, device: &Device) -> Result<f64, String> {
    let inputs = operation.draw();
    let tensors = operation.compute(&inputs, device)?;
    let gradients = &tensors[1..];
    let length = gradients.iter().flatten().map(|&g| f64::from(g) * f64::from(g)).sum::<f64>().sqrt();
    let values: usize = inputs.iter().map(Vec::len).sum();
    let distance = SLOPE_STEP * (values as f64).sqrt();
    let loss_at = |distance: f64| {
        let scale = (distance / length) as f32;
        let step = |(values, gradient): (&Vec<f32>, &Vec<f32>)| values.iter().zip(gradient).map(|(v, g)| v + scale * g).collect();
        let moved: Vec<Vec<f32>> = inputs.iter().zip(gradients).map(step).collect();
        operation.loss(&moved, device).map(f64::from)
    };
    let slope = (loss_at(distance)? - loss_at(-distance)?) / (2.0 * distance);
    Ok((slope - length).abs() / length)
}

fn relative_difference(got: &[f32], expected: &[f32]) -> f64 {
    if got.len() != expected.len() {
        return f64::INFINITY;
    }
    let scale = expected.iter().fold(f32::MIN_POSITIVE, |largest, value| largest.max(value.abs()));
    let difference = got.iter().zip(expected).map(|(got, expected)| f64::from(got - expected).abs()).fold(0.0, worse);
    difference / f64::from(scale)
}

/// The larger of two, a NaN being the largest of all.
fn worse(a: f64, b: f64) -> f64 {
    if a.is_nan() || a > b { a } else { b }
}
