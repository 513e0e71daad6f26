//! Optimisers and learning-rate schedules.

use serde::{Deserialize, Serialize};

use super::check::Checker;

/// AdamW's rate warms up over one in so many of its steps ...
const WARMUP_SHARE: usize = 33;
/// ... but over no more than this.
const MOST_WARMUP: usize = 500;

/// The rule that turns gradients into steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptimiserConfig {
    /// Stochastic gradient descent with Nesterov momentum, as `torch.optim.SGD`.
    Sgd {
        /// Learning rate before the schedule.
        lr: f64,
        /// Momentum.
        momentum: f64,
        /// L2 penalty added to the gradient.
        weight_decay: f64,
    },
    /// Adam with decoupled weight decay, as `torch.optim.AdamW` (betas 0.9, 0.999, eps 1e-8).
    AdamW {
        /// Learning rate before the schedule.
        lr: f64,
        /// Decoupled weight decay.
        weight_decay: f64,
    },
}

/// How the learning rate moves from the first step to the last.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleConfig {
    /// The same at every step.
    Constant,
    /// `lr * (1 - step/steps)^power`.
    Poly {
        /// Exponent; nnU-Net's is 0.9.
        power: f64,
    },
    /// Linear rise over `warmup` steps, then half a cosine down to 0.
    WarmupCosine {
        /// Steps of the rise.
        warmup: usize,
    },
}

impl ScheduleConfig {
    /// What AdamW wants over `steps` steps: a short warm-up, then half a cosine.
    pub fn warmup_cosine(steps: usize) -> Self {
        Self::WarmupCosine { warmup: (steps / WARMUP_SHARE).clamp(1, MOST_WARMUP) }
    }
}

impl OptimiserConfig {
    /// AdamW at its usual rate, with the weight decay that goes with the training.
    pub fn adam_w(weight_decay: f64) -> Self {
        Self::AdamW { lr: 1e-3, weight_decay }
    }

    /// Learning rate before the schedule.
    pub fn base_lr(&self) -> f64 {
        match *self {
            Self::Sgd { lr, .. } | Self::AdamW { lr, .. } => lr,
        }
    }

    pub(super) fn check(&self, key: &str, checker: &mut Checker) {
        let (lr, decay) = match *self {
            Self::Sgd { lr, momentum, weight_decay } => {
                checker.within(&format!("{key}.momentum"), &momentum, 0.0..=0.9999);
                (lr, weight_decay)
            }
            Self::AdamW { lr, weight_decay } => (lr, weight_decay),
        };
        checker.within(&format!("{key}.lr"), &lr, 1e-8..=10.0);
        checker.within(&format!("{key}.weight_decay"), &decay, 0.0..=1.0);
    }
}
