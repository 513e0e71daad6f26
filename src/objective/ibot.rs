//! iBOT (arXiv:2111.07832), its loss on masked tokens: what the network makes of a hidden token agrees with what a slowly moving copy
//! makes of the same token in sight. Each answers with a distribution over prototypes.
//!
//! The copy's answer is sharpened, so that it decides, and centred, so that not all tokens get the same one (DINO, arXiv:2104.14294).
//! As in every task that compares, the view in sight has intensities and a rotation of its own, which is undone: a position in the crop
//! alone does not give the answer away. The paper's copy sees the very view of which parts are hidden.

use std::sync::{Arc, Mutex, PoisonError};

use burn::module::{Module, Param};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor, TensorData};

use super::bootstrap::ema_update;
use super::size::LossSize;
use super::token_contrast::SHORTEST_TOKEN;
use super::views::{hidden_rows, restored_view};
use super::{Loss, Objective, Setup};
use crate::config::{IbotConfig, PretrainConfig};
use crate::device::Peers;
use crate::kernels::{linear, mean_axis, mean_over_devices, moving_average, sum, sum_axis, with_gradient};
use crate::model::{Encoder, NamedWeights, Parameter, Pass, Projector, StageSize, Task, update_parameters};
use crate::nn::{Initialiser, Linear};
use crate::sampling::ViewBatch;

/// The trained head, and the target.
#[derive(Module, Debug)]
pub struct Ibot {
    head: Head,
    target: Target,
    #[module(skip)]
    settings: IbotConfig,
    /// The target's mean logits of the batches since the last step, added up, and of how many. Empty whenever a checkpoint is saved.
    #[module(skip)]
    seen: Arc<Mutex<Option<(Tensor<1>, usize)>>>,
}

/// From tokens to their cosines with the prototypes.
#[derive(Module, Debug)]
struct Head {
    projector: Projector,
    /// Each of length 1 when it is used, as in DINO: `[output, prototypes]`.
    prototypes: Linear,
}

/// Encoder and head that follow the trained ones. No gradient ever reaches them, so that the optimiser leaves them alone; a checkpoint
/// holds them, and the centre, like any other parameter.
#[derive(Module, Debug)]
struct Target {
    encoder: Encoder,
    head: Head,
    /// Running mean of the head's logits over all tokens, `[prototypes]`.
    centre: Param<Tensor<1>>,
    #[module(skip)]
    momentum: f64,
}

impl Head {
    fn init(settings: &PretrainConfig, dim: usize, init: &Initialiser<'_>) -> Self {
        let [_, output] = settings.projector.widths(dim);
        Self {
            projector: Projector::init(&settings.projector, dim, &init.at("projector")),
            prototypes: Linear::init(output, settings.ibot.prototypes, false, &init.at("prototypes")),
        }
    }

    /// `[batch, tokens, dim]` -> `[batch * tokens, prototypes]`.
    fn logits(&self, tokens: Tensor<3>) -> Tensor<2> {
        let shortest = SHORTEST_TOKEN * SHORTEST_TOKEN;
        let projected = self.projector.forward(tokens);
        let [batch, count, output] = projected.dims();
        let rows = projected.reshape([batch * count, output]);
        let length = rows.clone().square().sum_dim(1).clamp_min(shortest).sqrt();
        let prototypes = self.prototypes.weight.val();
        let norms = sum_axis(prototypes.clone().square(), 0).clamp_min(shortest).sqrt();
        linear(rows / length, prototypes / norms, None)
    }
}

impl Objective for Ibot {
    fn init(setup: &Setup<'_>) -> Self {
        let Setup { config, channels, device, .. } = *setup;
        let (settings, init) = (&config.pretrain, setup.init());
        let head = || Head::init(settings, setup.dim(), &init);
        // Equal to the trained network before its first step, as in `Bootstrap`.
        let task = Task { channels, classes: 0, crop_size: settings.crop_size };
        let target = Target {
            encoder: Encoder::init(&config.model, &task, config.seed, device),
            head: head(),
            centre: init.constant([settings.ibot.prototypes], 0.0),
            momentum: settings.target_momentum,
        };
        Self { head: head(), target, settings: settings.ibot.clone(), seen: Arc::default() }
    }

    fn loss_of_share(&self, encoder: &Encoder, batch: &ViewBatch, pass: Pass, peers: &Peers) -> Loss {
        let Self { head, target, settings, .. } = self;
        let (tokens, grid) = restored_view(encoder, batch, 0, pass);
        let rows = hidden_rows(&batch.views[0], batch, grid);
        let [volumes, each, dim] = tokens.dims();
        let hidden = select_rows(tokens.reshape([volumes * each, dim]), &rows);
        let student = head.logits(hidden.unsqueeze_dim(0));
        // The reference's target drops no paths.
        let (tokens, _) = restored_view(&target.encoder.valid(), batch, 1, Pass::EVALUATION);
        let whole = target.head.valid().logits(tokens);
        if student.is_tracked() {
            let mean = mean_over_devices(mean_axis(whole.clone(), 0).reshape([settings.prototypes]), peers);
            // The model of the first device takes the step, and shares this with its copies on the others.
            if peers.place() == 0 {
                self.remember(mean);
            }
        }
        distillation(student, select_rows(whole, &rows), target.centre.val().inner(), (settings, peers))
    }

    fn after_step(self, encoder: &Encoder) -> Self {
        let Self { head, target: Target { encoder: copy, head: own, centre, momentum }, settings, seen } = self;
        let found = seen.lock().unwrap_or_else(PoisonError::into_inner).take();
        let centre = match found {
            None => centre,
            Some((logits, batches)) => {
                let mean = logits / batches as f64;
                let with_mean = |centre: Parameter| [centre.value, mean.clone()];
                update_parameters(centre, |centre| moving_average(centre.into_iter().map(with_mean).collect(), settings.centre_momentum))
            }
        };
        let (copy, own) = (ema_update(copy, encoder, momentum), ema_update(own, &head, momentum));
        Self { head, target: Target { encoder: copy, head: own, centre, momentum }, settings, seen }
    }

    fn project(&self, tokens: Tensor<3>) -> Option<Tensor<3>> {
        Some(self.head.projector.forward(tokens))
    }
}

impl Ibot {
    /// Adds the mean logits of a batch, `[prototypes]`, to what the next step centres by.
    fn remember(&self, logits: Tensor<1>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = Some(match seen.take() {
            None => (logits, 1),
            Some((sum, batches)) => (sum + logits, batches + 1),
        });
    }
}

/// The rows of these numbers.
fn select_rows(x: Tensor<2>, rows: &[i32]) -> Tensor<2> {
    let rows = Tensor::<1, Int>::from_data(TensorData::new(rows.to_vec(), [rows.len()]), &x.device());
    x.select(0, rows)
}

/// The cross-entropy of the target's distributions and the student's, mean over the rows (iBOT, section 3.1, and `iBOTLoss` of bytedance/ibot): softmax of
/// `(target - centre) / target_temperature`, and of `student / student_temperature`. `student` and `target`, without graph, are
/// `[rows, prototypes]`, `centre` is `[prototypes]`.
///
/// Parts, in nats: the mean entropy of a target, and the entropy of the prototypes' shares over all of them. The one at ln(prototypes),
/// or the other at 0, is a target that no longer tells tokens apart.
fn distillation(student: Tensor<2>, target: Tensor<2>, centre: Tensor<1>, (settings, peers): (&IbotConfig, &Peers)) -> Loss {
    let [rows, _] = student.dims();
    let log_target = log_softmax((target - centre.unsqueeze_dim::<2>(0)) / settings.target_temperature, 1);
    let target = log_target.clone().exp();
    let log_student = log_softmax(student.clone().inner() / settings.student_temperature, 1);
    let cross_entropy = |log: Tensor<2>| -sum(target.clone() * log) / rows as f64;
    let shares = mean_over_devices(mean_axis(target.clone(), 0), peers);
    let parts = [
        ("target_entropy", cross_entropy(log_target)),
        ("prototype_entropy", -sum(shares.clone() * shares.clamp_min(f32::MIN_POSITIVE).log())),
    ];
    let value = cross_entropy(log_student.clone());
    let gradient = (log_student.exp() - target) / (rows as f64 * settings.student_temperature);
    Loss::of(with_gradient(value, [(student, gradient)]), parts)
}

impl LossSize {
    /// iBOT's: the student's tokens as they pass the head, and at most six matrices of logits, target's and student's.
    pub fn of_prototypes(settings: &PretrainConfig, last: &StageSize, batch: usize) -> Self {
        const FLOAT: u64 = 4;
        let tokens = batch as u64 * last.grid.iter().product::<usize>() as u64;
        let ([hidden, output], prototypes) = (settings.projector.widths(last.dim), settings.ibot.prototypes);
        let kept = last.dim + 2 * hidden + 2 * output + 6 * prototypes;
        Self { weight_bytes: 0, bytes: FLOAT * tokens * kept as u64, largest_buffer_bytes: FLOAT * tokens * prototypes as u64 }
    }
}

impl NamedWeights for Ibot {
    fn reference_name(&self, path: &[String]) -> String {
        match path.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["target", "encoder", ..] => format!("target.{}", self.target.encoder.reference_name(&path[2..])),
            ["target", "head", ..] => format!("target.{}", path[2..].join(".")),
            ["target", ..] => path.join("."),
            _ => path[1..].join("."),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::device::for_tests;
    use crate::objective::finite_difference::{check, noise};

    fn near(found: f64, expected: f64, what: &str) {
        assert!((found - expected).abs() < 1e-5, "{what}: {found} instead of {expected}");
    }

    /// Of two tokens with three prototypes: logits whose distributions are eighths.
    #[test]
    fn loss_gradient_and_entropies_are_those_worked_out_by_hand() {
        let settings = IbotConfig { student_temperature: 0.5, target_temperature: 0.25, ..IbotConfig::default() };
        let [student, target] = [[[1.0, 2.0, 5.0], [1.0, 1.0, 2.0]], [[3.0, 1.0, 4.0], [1.0, 6.0, 1.0]]];
        let centre = [0.2, -0.1, 0.05];
        let logits = |odds: [[f32; 3]; 2], temperature: f32, shift: [f32; 3]| -> [[f32; 3]; 2] {
            odds.map(|odds| std::array::from_fn(|k| temperature * odds[k].ln() + shift[k]))
        };
        for (name, device) in for_tests() {
            let autodiff = device.clone().autodiff();
            let leaf = Tensor::<2>::from_data(logits(student, 0.5, [0.0; 3]), &autodiff).require_grad();
            let target = Tensor::<2>::from_data(logits(target, 0.25, centre), &device);
            let found = distillation(leaf.clone(), target, Tensor::from_data(centre, &device), (&settings, &Peers::ALONE));
            let numbers = found.numbers();
            // 1, 2, 5 and 2, 2, 4 eighths against 3, 1, 4 and 1, 6, 1.
            let ln = |eighths: f64| (eighths / 8.0).ln();
            let first = -(3.0 * ln(1.0) + ln(2.0) + 4.0 * ln(5.0)) / 8.0;
            let second = -(ln(2.0) + 6.0 * ln(2.0) + ln(4.0)) / 8.0;
            near(numbers.value, (first + second) / 2.0, &format!("{name}: loss"));
            let entropies = [-(3.0 * ln(3.0) + ln(1.0) + 4.0 * ln(4.0)) / 8.0, -(2.0 * ln(1.0) + 6.0 * ln(6.0)) / 8.0];
            near(numbers.part("target_entropy").unwrap(), (entropies[0] + entropies[1]) / 2.0, &format!("{name}: target entropy"));
            // Shares of 4, 7 and 5 sixteenths.
            let shares = -(4.0 * ln(2.0) + 7.0 * ln(3.5) + 5.0 * ln(2.5)) / 16.0;
            near(numbers.part("prototype_entropy").unwrap(), shares, &format!("{name}: prototype entropy"));
            // (student - target) / (temperature * rows), in eighths.
            let expected = [-2.0, 1.0, 1.0, 1.0, -4.0, 3.0].map(|eighths| eighths / 8.0);
            let gradient = leaf.grad(&found.loss.backward()).unwrap().into_data();
            gradient.iter::<f64>().zip(expected).for_each(|(found, expected)| near(found, expected, &format!("{name}: gradient")));
        }
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        let [target, centre] = [noise([4, 5], "ibot target"), noise([1, 5], "ibot centre")];
        check::<2>(&noise([4, 5], "ibot student"), 1, |student| {
            let device = Device::flex();
            let centre = Tensor::<2>::from_data(centre.clone(), &device).reshape([5]);
            distillation(student, Tensor::from_data(target.clone(), &device), centre, (&IbotConfig::default(), &Peers::ALONE)).loss
        });
    }

    #[test]
    fn the_logits_are_cosines() {
        let device = Device::flex();
        let settings = PretrainConfig { ibot: IbotConfig { prototypes: 7, ..IbotConfig::default() }, ..PretrainConfig::default() };
        let head = Head::init(&settings, 6, &Initialiser::new(3, &device));
        let tokens = Tensor::<3>::from_data(noise([2, 4, 6], "ibot tokens"), &device);
        let rows: Vec<f64> = head.projector.forward(tokens.clone()).into_data().iter().collect();
        let prototypes: Vec<f64> = head.prototypes.weight.val().into_data().iter().collect();
        let found: Vec<f64> = head.logits(tokens).into_data().iter().collect();
        assert_eq!(found.len(), 8 * 7);
        for (place, found) in found.into_iter().enumerate() {
            let row = &rows[place / 7 * 6..][..6];
            let prototype: Vec<f64> = (0..6).map(|channel| prototypes[channel * 7 + place % 7]).collect();
            let length = |x: &[f64]| x.iter().map(|value| value * value).sum::<f64>().sqrt();
            let product: f64 = row.iter().zip(&prototype).map(|(a, b)| a * b).sum();
            near(found, product / length(row) / length(&prototype), &format!("logit {place}"));
        }
    }

    /// Targets that all give one and the same answer, the first prototype: what a collapsed network hands out.
    #[test]
    fn centring_spreads_equal_targets_over_the_prototypes() {
        for (name, device) in for_tests() {
            let targets = Tensor::<2>::from_data([[0.5, 0.1, -0.2]; 4], &device);
            let entropy = |momentum: f64| {
                let settings = IbotConfig { centre_momentum: momentum, ..IbotConfig::default() };
                let mut centre = Tensor::<1>::zeros([3], &device);
                for _ in 0..80 {
                    centre = moving_average(vec![[centre, mean_axis(targets.clone(), 0).reshape([3])]], settings.centre_momentum).remove(0);
                }
                let numbers = distillation(targets.clone(), targets.clone(), centre, (&settings, &Peers::ALONE)).numbers();
                ["target_entropy", "prototype_entropy"].map(|part| numbers.part(part).unwrap())
            };
            let collapsed = entropy(1.0);
            assert!(collapsed.iter().all(|entropy| *entropy < 0.01), "{name}: without a centre one prototype has all: {collapsed:?}");
            let spread = entropy(IbotConfig::default().centre_momentum);
            assert!(spread.iter().all(|entropy| *entropy > 0.999 * 3.0_f64.ln()), "{name}: {spread:?}");
        }
    }
}
