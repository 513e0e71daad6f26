//! Settings to begin with: those that come with the program, or a file.

use std::path::PathBuf;

use crate::config::{ConfigError, Preset, RunConfig};

/// The mask ratio for a small set of cases, as in `configs/hippocampus/simtrot_w.ron`.
const SMALL_MASK_RATIO: f64 = 0.25;

/// Where a run's settings began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Template {
    /// The program's defaults: a small network that trains on a CPU.
    Defaults,
    /// What `simtrot demo` does.
    Demo,
    /// The demo with every pretext task.
    DemoPretext,
    /// A small network on the Decathlon's hippocampus task.
    Hippocampus,
    /// The paper's multi-organ CT setting.
    Synapse,
    /// The paper's brain-tumour setting.
    Brats,
    /// A file of the user's.
    File(PathBuf),
    /// Another run.
    Run(String),
}

impl Template {
    /// Those that come with the program.
    pub(super) const SHIPPED: [Self; 6] = [Self::Defaults, Self::Demo, Self::DemoPretext, Self::Hippocampus, Self::Synapse, Self::Brats];

    /// Whether it is made for the embedded cases.
    pub(super) fn is_demo(&self) -> bool {
        matches!(self, Self::Demo | Self::DemoPretext)
    }

    /// Its name in lists.
    pub(super) fn title(&self) -> String {
        match self {
            Self::Defaults => "Defaults: small network".to_owned(),
            Self::Demo => "Demo".to_owned(),
            Self::DemoPretext => "Demo with every pretext task".to_owned(),
            Self::Hippocampus => "Hippocampus (MRI)".to_owned(),
            Self::Synapse => "Synapse multi-organ (CT)".to_owned(),
            Self::Brats => "Brain tumours (MRI)".to_owned(),
            Self::File(path) => path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
            Self::Run(name) => format!("As in {name}"),
        }
    }

    /// What it is for.
    pub(super) fn purpose(&self) -> String {
        match self {
            Self::Defaults => "SimTROT-W beside training from scratch, on crops of 32 voxels".to_owned(),
            Self::Demo => "What simtrot demo does: four arms on the embedded hippocampus cases".to_owned(),
            Self::DemoPretext => "The demo, pre-trained by each pretext task in turn".to_owned(),
            Self::Hippocampus => "Decathlon Task04: trains on a CPU".to_owned(),
            Self::Synapse => "The paper's setting for eight organs: needs a large GPU".to_owned(),
            Self::Brats => "The paper's setting for four MRI channels: needs a large GPU".to_owned(),
            Self::File(path) => path.display().to_string(),
            Self::Run(name) => format!("The settings of {name}"),
        }
    }

    /// Reads its settings.
    ///
    /// # Errors
    /// A file that cannot be read or understood.
    pub(super) fn load(&self) -> Result<RunConfig, ConfigError> {
        let shipped = |text: &str, name: &str| RunConfig::from_ron(text, name);
        match self {
            Self::Demo => shipped(include_str!("../../../configs/demo.ron"), "configs/demo.ron"),
            Self::DemoPretext => shipped(include_str!("../../../configs/demo_pretext.ron"), "configs/demo_pretext.ron"),
            Self::Hippocampus => shipped(include_str!("../../../configs/hippocampus/simtrot_w.ron"), "configs/hippocampus/simtrot_w.ron"),
            Self::Synapse => {
                shipped(include_str!("../../../configs/synapse/nnformer_simtrot_w.ron"), "configs/synapse/nnformer_simtrot_w.ron")
            }
            Self::Brats => shipped(include_str!("../../../configs/brats/nnformer_simtrot_w.ron"), "configs/brats/nnformer_simtrot_w.ron"),
            Self::File(path) => RunConfig::load(path),
            Self::Defaults => {
                let mut config = RunConfig::default();
                // What small sets are advised to take; the program's own default is the paper's.
                config.pretrain.mask_ratio = SMALL_MASK_RATIO;
                Ok(config)
            }
            Self::Run(_) => Ok(RunConfig::default()),
        }
    }
}

/// What a named network size was published for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// Crops of 32 voxels, on a CPU.
    Small,
    /// Synapse multi-organ CT.
    Synapse,
    /// Brain tumours.
    Tumour,
}

impl Size {
    /// The size of a named network.
    pub(super) fn of(preset: Preset) -> Self {
        match preset {
            Preset::NnformerSmall | Preset::UnetrSmall | Preset::SwinUnetrSmall | Preset::UnetSmall => Self::Small,
            Preset::NnformerSynapse | Preset::UnetrSynapse | Preset::SwinUnetrSynapse | Preset::UnetSynapse => Self::Synapse,
            Preset::NnformerTumour | Preset::UnetrTumour | Preset::SwinUnetrTumour | Preset::UnetTumour => Self::Tumour,
        }
    }

    /// In words.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Synapse => "Synapse CT",
            Self::Tumour => "brain tumours",
        }
    }

    /// The crop that it was published with, D,H,W.
    pub(super) fn crop(self) -> [usize; 3] {
        match self {
            Self::Small => [32; 3],
            Self::Synapse => [64, 128, 128],
            Self::Tumour => [128; 3],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipe_that_comes_with_the_program_can_be_read() {
        for template in Template::SHIPPED {
            assert!(template.load().unwrap().problems().is_empty(), "{}", template.title());
        }
    }

    #[test]
    fn the_defaults_mask_as_little_as_small_sets_are_advised_to() {
        let mask_ratio = |template: Template| template.load().unwrap().pretrain.mask_ratio;
        assert_eq!(mask_ratio(Template::Defaults), mask_ratio(Template::Hippocampus));
    }

    #[test]
    fn every_network_can_take_the_crop_of_its_size() {
        for &preset in Preset::ALL {
            let crop_size = Size::of(preset).crop();
            let mut config = RunConfig { model: crate::config::ModelConfig::Preset(preset), ..RunConfig::default() };
            (config.pretrain.crop_size, config.finetune.crop_size) = (crop_size, crop_size);
            assert_eq!(config.problems(), [], "{preset}");
        }
    }
}
