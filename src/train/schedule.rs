//! The learning rate of each optimiser step.

use std::f64::consts::PI;

use crate::config::ScheduleConfig;

/// The learning rate of `step` (from 0) of `steps`, given the rate `base` before the schedule.
///
/// `poly` and the cosine reach 0 at `step == steps`; the warm-up's first step has `base / warmup`, its last has `base`.
pub fn lr(schedule: &ScheduleConfig, base: f64, step: usize, steps: usize) -> f64 {
    let share = |done: usize, of: usize| (done as f64 / of.max(1) as f64).min(1.0);
    match *schedule {
        ScheduleConfig::Constant => base,
        ScheduleConfig::Poly { power } => base * (1.0 - share(step, steps)).powf(power),
        ScheduleConfig::WarmupCosine { warmup } if step < warmup => base * share(step + 1, warmup),
        ScheduleConfig::WarmupCosine { warmup } => {
            let done = share(step - warmup, steps.saturating_sub(warmup));
            base * 0.5 * (1.0 + (PI * done).cos())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warmup_rises_to_the_base_and_the_cosine_falls_to_zero() {
        let schedule = ScheduleConfig::WarmupCosine { warmup: 4 };
        let rates: Vec<f64> = (0..=12).map(|step| lr(&schedule, 2.0, step, 12)).collect();
        assert_eq!(rates[..5], [0.5, 1.0, 1.5, 2.0, 2.0]);
        assert!((rates[8] - 1.0).abs() < 1e-12, "half-way down at half of the rest");
        assert!(rates[12].abs() < 1e-12);
    }

    #[test]
    fn poly_ends_at_zero_and_stays_there() {
        let schedule = ScheduleConfig::Poly { power: 0.9 };
        assert_eq!([0, 10, 11].map(|step| lr(&schedule, 0.01, step, 10)), [0.01, 0.0, 0.0]);
        assert_eq!(lr(&ScheduleConfig::Constant, 0.3, 7, 10), 0.3);
    }
}
