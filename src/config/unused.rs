//! Settings that nothing reads: they are reported, so that nobody takes them for what was trained.

use super::{PretrainConfig, TaskViews};

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
            ("pretrain.temperature", self.temperature != default.temperature, reads("temperature")),
            ("pretrain.target_momentum", self.target_momentum != default.target_momentum, reads("target_momentum")),
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
        assert_eq!(
            unused(&["pretrain.task=simmim", "pretrain.rotate=off", "pretrain.texture.noise_std=0.2", "pretrain.projector.hidden=8"]),
            ["pretrain.rotate", "pretrain.texture", "pretrain.projector"]
        );
        assert_eq!(unused(&["pretrain.task=rcr", "pretrain.rotate=in_plane", "pretrain.texture.noise_std=0.2"]), ["pretrain.rotate"]);
    }
}
