//! What a device can train: each published network on its own crops, whether it fits, and how long a step takes.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::speed::Speed;
use crate::config::Preset;
use crate::plan::{Room, Smaller, StepPlan, plan_preset};

/// What a device can train.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingCheck {
    /// What it offers.
    pub room: Room,
    /// The networks, those of the smallest crops first.
    pub networks: Vec<NetworkCheck>,
}

/// Fine-tuning of one network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkCheck {
    /// The network.
    pub preset: Preset,
    /// Volumes of a batch.
    pub batch: usize,
    /// Voxels of a crop along D,H,W.
    pub crop_size: [usize; 3],
    /// Estimated peak memory of a step, in bytes.
    pub bytes: u64,
    /// Its largest tensor, in bytes.
    pub largest_buffer_bytes: u64,
    /// Whether it fits.
    pub fits: bool,
    /// What would fit where this does not.
    pub instead: Option<Smaller>,
    /// Estimated seconds of a step's convolutions, linear maps and attention.
    pub seconds: f64,
}

/// What a device of this speed can train.
pub(super) fn training(room: Room, speed: &Speed) -> TrainingCheck {
    let mut presets = Preset::ALL.to_vec();
    presets.sort_by_key(|preset| preset.task().crop_size.iter().product::<usize>());
    let check = |preset| NetworkCheck::new(preset, plan_preset(preset, room), speed);
    TrainingCheck { room, networks: presets.into_iter().map(check).collect() }
}

impl NetworkCheck {
    fn new(preset: Preset, step: StepPlan, speed: &Speed) -> Self {
        let StepPlan { batch, crop_size, bytes, fits, instead, model, .. } = step;
        let seconds = model.step.seconds(speed.gflops());
        Self { preset, batch, crop_size, bytes, largest_buffer_bytes: model.largest_buffer_bytes, fits, instead, seconds }
    }
}

impl fmt::Display for TrainingCheck {
    /// What is free, then a line for each network.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Room { free_bytes, binding_bytes } = self.room;
        let free = free_bytes.map(|free| format!("{} of memory are free.", size(free)));
        let binding = binding_bytes.map(|most| format!("No tensor may be larger than {}.", size(most)));
        let sentences = free.iter().map(String::as_str).chain(self.room.untold()).chain(binding.as_deref());
        writeln!(f, "  {}", sentences.collect::<Vec<_>>().join(" "))?;
        self.networks.iter().try_for_each(|network| writeln!(f, "  {network}"))
    }
}

impl fmt::Display for NetworkCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { batch, crop_size, seconds, .. } = self;
        let needs = format!("{}, largest tensor {}", size(self.bytes), size(self.largest_buffer_bytes));
        write!(f, "{:18}  {:15}  ", self.preset.to_string(), by(*batch, *crop_size))?;
        match &self.instead {
            _ if self.fits => write!(f, "fits: {needs:34}  about {} s a step", rough(*seconds)),
            Some(Smaller { batch, crop_size, .. }) => write!(f, "too large: {needs}; {} fits", by(*batch, *crop_size)),
            None => write!(f, "too large: {needs}; nothing smaller fits"),
        }
    }
}

fn by(batch: usize, crop_size: [usize; 3]) -> String {
    format!("{batch} x {}", crop_size.map(|size| size.to_string()).join("x"))
}

/// With two significant digits: an estimate has no more.
fn rough(seconds: f64) -> String {
    format!("{seconds:.1e}").parse::<f64>().map_or_else(|_| seconds.to_string(), |rounded| rounded.to_string())
}

fn size(bytes: u64) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    if mib < 1000.0 { format!("{mib:.0} MiB") } else { format!("{:.1} GiB", mib / 1024.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEED: Speed = Speed { pass_millis: 1.0, convolution_gflops: 400.0, linear_gflops: 900.0, attention_gflops: 90.0 };
    const GIB: u64 = 1 << 30;

    fn line(check: &TrainingCheck, preset: Preset) -> (&NetworkCheck, String) {
        let found = check.networks.iter().find(|network| network.preset == preset).expect("every preset is listed");
        (found, found.to_string())
    }

    #[test]
    fn each_network_fits_or_comes_with_what_would() {
        let wide = training(Room { free_bytes: None, binding_bytes: Some(2 * GIB) }, &SPEED);
        assert_eq!(wide.networks.len(), Preset::ALL.len());
        assert!(wide.networks[0].preset == Preset::NnformerSmall && wide.networks.iter().all(|network| network.fits), "{wide}");
        let (network, text) = line(&wide, Preset::SwinUnetrTumour);
        assert!(text.starts_with("swin_unetr_tumour   2 x 128x128x128  fits: ") && text.ends_with(" s a step"), "{text}");
        assert!(text.contains(&format!("about {:.0} s a step", network.seconds)), "some 34 s: {text}");
        assert!(line(&wide, Preset::NnformerSmall).1.contains("  about 0.0"), "{wide}");
        assert!(wide.to_string().contains("compare with the card's") && wide.to_string().contains("No tensor may be larger than 2.0 GiB."));

        let tight = training(Room { free_bytes: Some(6 * GIB), binding_bytes: None }, &SPEED);
        let (network, text) = line(&tight, Preset::SwinUnetrTumour);
        let smaller = network.instead.as_ref().expect("a single crop");
        assert_eq!((network.fits, smaller.batch, smaller.crop_size), (false, 1, [128; 3]));
        assert!(text.contains("too large: ") && text.ends_with("; 1 x 128x128x128 fits"), "{text}");
        assert!(tight.networks[0].fits && tight.to_string().contains("6.0 GiB of memory are free."), "{tight}");

        let narrow = training(Room { free_bytes: Some(64 * GIB), binding_bytes: Some(128 << 20) }, &SPEED);
        let (network, text) = line(&narrow, Preset::SwinUnetrTumour);
        let smaller = network.instead.as_ref().expect("a smaller crop");
        assert!(
            smaller.crop_size != [128; 3] && text.contains("too large: "),
            "a tensor of 128³ voxels and 48 channels has 384 MiB: {text}"
        );
        let nothing = training(Room { free_bytes: Some(1000), binding_bytes: None }, &SPEED);
        assert!(nothing.networks.iter().all(|network| network.to_string().ends_with("nothing smaller fits")));

        for check in [wide, tight, narrow, nothing] {
            assert!(check.to_string().lines().all(|line| line.chars().count() <= 120), "{check}");
            let json = serde_json::to_string(&check).expect("plain data");
            assert_eq!(serde_json::from_str::<TrainingCheck>(&json).expect("and back").to_string(), check.to_string());
        }
    }

    #[test]
    fn an_estimate_has_two_digits() {
        assert_eq!([288.7, 33.94, 9.97, 3.27, 0.3, 0.023_44].map(rough), ["290", "34", "10", "3.3", "0.3", "0.023"]);
    }

    /// On 2 x 128³ voxels: 2734, 199 and 128 GFLOP forward, once more as it is recomputed, two products backward for each; embedding, head
    /// and transposed convolutions are not computed again.
    #[test]
    fn a_step_takes_what_is_computed_over_how_fast() {
        let room = Room { free_bytes: None, binding_bytes: None };
        let (fast, slow) = (training(room, &SPEED), training(room, &Speed { convolution_gflops: 200.0, ..SPEED }));
        let [fast, slow] = [&fast, &slow].map(|check| line(check, Preset::SwinUnetrTumour).0.seconds);
        let counted = 4.0 * (2734.0 / 400.0 + 199.0 / 900.0 + 128.5 / 90.0);
        assert!((fast / counted - 1.0).abs() < 0.05, "{fast} instead of {counted}");
        assert!((slow - fast - 4.0 * 2734.0 / 400.0).abs() < 0.3, "{slow} and {fast}");
    }
}
