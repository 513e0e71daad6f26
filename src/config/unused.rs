//! Settings that nothing reads: they are reported, so that nobody takes them for what was trained.

use super::{AugmentConfig, ConfigError, PretrainConfig, Rotate, TaskViews};

/// Refuses `--set` settings that a command does not use. `what` it makes in words; `used`: how those that it uses begin.
///
/// # Errors
/// The first of them.
pub fn require_used(settings: &[String], what: &str, used: &[&str]) -> Result<(), ConfigError> {
    let unused = |setting: &&String| !used.iter().any(|used| setting.trim_start().starts_with(used));
    settings.iter().find(unused).map_or(Ok(()), |setting| {
        let message = format!("{what} does not use it; it uses what begins with {}", used.join(", "));
        Err(ConfigError::Override { text: setting.clone(), message })
    })
}

impl PretrainConfig {
    /// Keys of the settings that depart from the defaults although the pretext task does not read them.
    pub fn unused(&self) -> Vec<&'static str> {
        let (default, facts) = (Self::default(), self.task.facts());
        let (projector, plain) = (&self.projector, &default.projector);
        let reads = |setting: &str| facts.reads.contains(&setting);
        let settings = [
            // With one volume in a batch no token has its position in another one.
            ("pretrain.weight", self.weight != default.weight, reads("weight") && self.batch > 1),
            ("pretrain.weighting", self.weighting != default.weighting, reads("weighting")),
            ("pretrain.token_stages", self.token_stages != default.token_stages, reads("token_stages")),
            // Upright views have no code.
            ("pretrain.rotation_code", self.rotation_code, reads("rotation_code") && self.rotate != Rotate::Off),
            ("pretrain.reconstruction_weight", self.reconstruction_weight != 0.0, reads("reconstruction_weight")),
            ("pretrain.temperature", self.temperature != default.temperature, reads("temperature")),
            ("pretrain.target_momentum", self.target_momentum != default.target_momentum, reads("target_momentum")),
            ("pretrain.ibot", self.ibot != default.ibot, reads("ibot")),
            ("pretrain.mae", self.mae != default.mae, reads("mae")),
            ("pretrain.rotate", self.rotate != default.rotate, self.task.rotates_as_set()),
            ("pretrain.texture", self.texture != default.texture, facts.views != TaskViews::Masked),
            ("pretrain.mask_patch", self.mask_patch != default.mask_patch, self.mask_ratio > 0.0),
            ("pretrain.projector", (projector.hidden, projector.output) != (plain.hidden, plain.output), reads("projector")),
            ("pretrain.projector.activation", projector.activation != plain.activation, reads("activation")),
            ("pretrain.projector.relu_output", projector.relu_output != plain.relu_output, reads("activation")),
        ];
        settings.into_iter().filter(|&(_, departs, read)| departs && !read).map(|(key, ..)| key).collect()
    }
}

impl AugmentConfig {
    /// Keys of the settings that depart from the defaults although the change that they describe is never made.
    pub fn unused(&self) -> Vec<&'static str> {
        let default = Self::default();
        let gamma_p = self.gamma_p.max(self.gamma_inverted_p);
        let in_plane_p = self.rotation_p.max(self.field_of_view_p).max(self.low_resolution_p);
        let settings = [
            ("finetune.augment.scale", self.scale != default.scale, self.scale_p),
            ("finetune.augment.shift", self.shift != default.shift, self.shift_p),
            ("finetune.augment.in_plane", self.in_plane != default.in_plane, in_plane_p),
            ("finetune.augment.rotation_deg", self.rotation_deg != default.rotation_deg, self.rotation_p),
            ("finetune.augment.field_of_view", self.field_of_view != default.field_of_view, self.field_of_view_p),
            ("finetune.augment.noise_std", self.noise_std != default.noise_std, self.noise_p),
            ("finetune.augment.blur_channel_p", self.blur_channel_p != default.blur_channel_p, self.blur_p),
            ("finetune.augment.blur_sigma", self.blur_sigma != default.blur_sigma, self.blur_p),
            ("finetune.augment.brightness", self.brightness != default.brightness, self.brightness_p),
            ("finetune.augment.contrast", self.contrast != default.contrast, self.contrast_p),
            (
                "finetune.augment.low_resolution_channel_p",
                self.low_resolution_channel_p != default.low_resolution_channel_p,
                self.low_resolution_p,
            ),
            ("finetune.augment.low_resolution", self.low_resolution != default.low_resolution, self.low_resolution_p),
            ("finetune.augment.gamma", self.gamma != default.gamma, gamma_p),
        ];
        settings.into_iter().filter(|&(_, departs, p)| departs && p == 0.0).map(|(key, ..)| key).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::config::RunConfig;

    #[test]
    fn settings_that_a_task_does_not_read_are_named_and_no_others() {
        let unused = |set: &[&str]| {
            let set: Vec<String> = set.iter().map(|&set| set.to_owned()).collect();
            RunConfig::default().with_overrides(&set).unwrap().pretrain.unused()
        };
        assert_eq!(unused(&[]), [""; 0]);
        assert_eq!(unused(&["pretrain.weight=3", "pretrain.temperature=0.1", "pretrain.rotate=off"]), [""; 0]);
        assert_eq!(unused(&["pretrain.task=b_trot", "pretrain.weight=3", "pretrain.target_momentum=0.9"]), ["pretrain.weight"]);
        assert_eq!(unused(&["pretrain.batch=1", "pretrain.weight=3"]), ["pretrain.weight"]);
        let further = ["pretrain.rotation_code=true", "pretrain.reconstruction_weight=0.5"];
        assert_eq!(unused(&further), [""; 0]);
        assert_eq!(unused(&[further[0], "pretrain.rotate=off"]), ["pretrain.rotation_code"]);
        assert_eq!(unused(&[further[0], further[1], "pretrain.task=b_trot"]), ["pretrain.rotation_code", "pretrain.reconstruction_weight"]);
        assert_eq!(unused(&["pretrain.ibot.prototypes=64"]), ["pretrain.ibot"]);
        let ibot = ["pretrain.task=ibot", "pretrain.ibot.prototypes=64", "pretrain.rotate=off", "pretrain.texture.noise_std=0.2"];
        assert_eq!(unused(&ibot), [""; 0]);
        assert_eq!(
            unused(&["pretrain.task=simmim", "pretrain.rotate=off", "pretrain.texture.noise_std=0.2", "pretrain.projector.hidden=8"]),
            ["pretrain.rotate", "pretrain.texture", "pretrain.projector"]
        );
        assert_eq!(unused(&["pretrain.task=rcr", "pretrain.rotate=in_plane", "pretrain.texture.noise_std=0.2"]), ["pretrain.rotate"]);
    }

    #[test]
    fn the_range_of_an_augmentation_that_is_never_made_is_named() {
        let unused = |set: &[&str]| {
            let set: Vec<String> = set.iter().map(|set| format!("finetune.augment.{set}")).collect();
            RunConfig::default().with_overrides(&set).unwrap().finetune.augment.unused()
        };
        assert_eq!(unused(&["scale=0.2", "rotation_p=0.1", "rotation_deg=15", "in_plane=true", "gamma_p=0.3", "gamma=[1.0,2.0]"]), [""; 0]);
        assert_eq!(
            unused(&["scale_p=0", "scale=0.2", "blur_sigma=[1.0,2.0]", "noise_std=0.3"]),
            ["finetune.augment.scale", "finetune.augment.noise_std", "finetune.augment.blur_sigma"]
        );
        assert_eq!(unused(&["in_plane=true", "noise_p=0.1"]), ["finetune.augment.in_plane"]);
    }
}
