//! Settings to begin with: those that come with the program, or a file.

use std::path::{Path, PathBuf};

use crate::config::{ConfigError, ExperimentConfig, Preset, RunConfig};
use crate::wording::file_name;

/// The mask ratio for a small set of cases, as in `configs/hippocampus/simtrot_w.ron`.
const SMALL_MASK_RATIO: f64 = 0.25;

/// Where the settings began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gui) enum Template {
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
    /// Another experiment.
    Other(String),
    /// Planned from the cases of the dataset of that name.
    Planned(String),
}

/// A template that comes with the program: title, purpose, file, text.
type Shipped = (&'static str, &'static str, &'static str, &'static str);

impl Template {
    /// Those that come with the program.
    pub(super) const SHIPPED: [Self; 6] = [Self::Defaults, Self::Demo, Self::DemoPretext, Self::Hippocampus, Self::Synapse, Self::Brats];

    fn shipped(&self) -> Option<Shipped> {
        macro_rules! config {
            ($title:literal, $purpose:literal, $file:literal) => {
                Some(($title, $purpose, $file, include_str!(concat!("../../../../", $file))))
            };
        }
        match self {
            Self::Defaults => {
                Some(("Defaults: small network", "SimTROT-W beside training from scratch, on crops of 32 voxels", "the defaults", "()"))
            }
            Self::Demo => config!("Demo", "What simtrot demo does: four arms on the embedded hippocampus cases", "configs/demo.ron"),
            Self::DemoPretext => {
                config!("Demo with every pretext task", "The demo, pre-trained by each pretext task in turn", "configs/demo_pretext.ron")
            }
            Self::Hippocampus => config!("Hippocampus (MRI)", "Decathlon Task04: trains on a CPU", "configs/hippocampus/simtrot_w.ron"),
            Self::Synapse => config!(
                "Synapse multi-organ (CT)",
                "The paper's setting for eight organs: needs a large GPU",
                "configs/synapse/nnformer_simtrot_w.ron"
            ),
            Self::Brats => config!(
                "Brain tumours (MRI)",
                "The paper's setting for four MRI channels: needs a large GPU",
                "configs/brats/nnformer_simtrot_w.ron"
            ),
            Self::File(_) | Self::Other(_) | Self::Planned(_) => None,
        }
    }

    /// Whether it is made for the embedded cases.
    pub(in crate::gui) fn is_demo(&self) -> bool {
        matches!(self, Self::Demo | Self::DemoPretext)
    }

    /// Its name in lists, and what it is for.
    pub(super) fn words(&self) -> (String, String) {
        match (self, self.shipped()) {
            (_, Some((title, purpose, ..))) => (title.to_owned(), purpose.to_owned()),
            (Self::File(path), _) => (file_name(path), path.display().to_string()),
            (Self::Other(name), _) => (format!("As in {name}"), format!("The settings of {name}")),
            (Self::Planned(name), _) => (format!("Planned for {name}"), "From what its cases hold, by nnU-Net's rules".to_owned()),
            _ => Default::default(),
        }
    }

    /// Reads its settings.
    ///
    /// # Errors
    /// A file that cannot be read or understood.
    pub(super) fn load(&self) -> Result<ExperimentConfig, ConfigError> {
        let mut config = match (self, self.shipped()) {
            (Self::File(path), _) => return ExperimentConfig::load(path),
            (_, Some((.., file, text))) => RunConfig::from_ron(text, file)?,
            (_, None) => RunConfig::default(),
        };
        if *self == Self::Defaults {
            // What small sets are advised to take; the program's own default is the paper's.
            config.pretrain.mask_ratio = SMALL_MASK_RATIO;
        }
        ExperimentConfig::from_ron(&config.to_ron(), &config.name, Path::new(""))
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
    fn every_template_can_be_read_and_small_sets_mask_little() {
        let config = |template: &Template| template.load().unwrap().base().clone();
        for template in Template::SHIPPED {
            assert!(config(&template).problems().is_empty(), "{}", template.words().0);
        }
        assert_eq!(config(&Template::Defaults).pretrain.mask_ratio, config(&Template::Hippocampus).pretrain.mask_ratio);
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
