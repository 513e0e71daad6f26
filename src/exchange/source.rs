//! Which network a file holds: found by its names, told by its header, a preset or its shapes.

use std::collections::BTreeMap;

use super::dialect::{self, Dialect, Shapes};
use super::file::WeightsFile;
use super::names::Found;
use super::recipe::Recipe;
use super::{ExchangeError, Format, ImportJob, adapt};
use crate::config::{ModelConfig, Preset, RunConfig};
use crate::model::HostTensor;
use crate::protocol::StageKind;
use crate::train::DatasetInfo;

/// A network found in a file.
pub(super) struct Source<'a> {
    pub(super) file: &'a WeightsFile,
    pub(super) dialect: &'static dyn Dialect,
    pub(super) found: Found,
    recipe: Option<&'a Recipe>,
    /// A model of its backbone.
    like: ModelConfig,
    shapes: Shapes,
}

/// What the network is, and whence that is known.
pub(super) struct Network {
    pub(super) config: RunConfig,
    pub(super) dataset: DatasetInfo,
    pub(super) step: usize,
    /// How the size is known.
    size: String,
}

/// Names for image channels of which only the number is known.
fn channel_names(channels: usize) -> Vec<String> {
    (0..channels).map(|channel| format!("channel {channel}")).collect()
}

impl<'a> Source<'a> {
    /// Looks for the backbone asked for, or for any.
    pub(super) fn find(job: &ImportJob, file: &'a WeightsFile, recipe: Option<&'a Recipe>) -> Result<Self, ExchangeError> {
        let known = backbones();
        let candidates: Vec<&ModelConfig> = match (&job.backbone, recipe) {
            (Some(given), _) => vec![known.get(given).ok_or_else(|| ExchangeError::Unknown {
                flag: "--backbone",
                given: given.clone(),
                what: "backbone",
                known: known.keys().cloned().collect::<Vec<_>>().join(", "),
            })?],
            (None, Some(recipe)) => vec![&recipe.config.model],
            (None, None) => known.values().collect(),
        };
        let is_own = recipe.is_some_and(|recipe| recipe.format == Format::Safetensors);
        let look = |dialect: &dyn Dialect| if is_own { Some(Found::own(file, dialect)) } else { Found::look(file, dialect) };
        let found = candidates.iter().find_map(|&like| Some((like, look(dialect::of(like))?)));
        let Some((like, found)) = found else {
            let landmarks: Vec<_> = candidates.iter().map(|like| dialect::of(like).landmark()).collect();
            let examples: Vec<_> = file.tensors.keys().take(3).cloned().collect();
            return Err(ExchangeError::NoNetwork {
                path: file.path.clone(),
                backbone: job.backbone.clone().unwrap_or_else(|| format!("network of {}", list(known.keys()))),
                tensors: file.tensors.len(),
                landmark: landmarks.join(" or "),
                examples: examples.join(", "),
            });
        };
        let shapes = found.tensors.iter().map(|(own, name)| (own.clone(), file.tensors[name].shape.clone())).collect();
        Ok(Self { file, dialect: dialect::of(like), found, recipe, like: like.clone(), shapes: Shapes(shapes) })
    }

    /// Whether it is an export of simtrot's with its own names.
    pub(super) fn is_own(&self) -> bool {
        self.recipe.is_some_and(|recipe| recipe.format == Format::Safetensors)
    }

    /// Whether the file holds a whole network (fine-tuning) or an encoder (pre-training).
    pub(super) fn kind(&self) -> StageKind {
        match self.recipe.filter(|_| self.is_own()) {
            Some(recipe) => recipe.kind,
            None if self.found.root.is_some() => StageKind::Finetune,
            None => StageKind::Pretrain,
        }
    }

    /// The network's config and data, from the export's own header, a preset, or the shapes.
    pub(super) fn describe(&self, job: &ImportJob) -> Result<Network, ExchangeError> {
        let preset = job.preset.as_ref().map(|given| self.preset(given)).transpose()?;
        let mut network = match self.recipe {
            Some(recipe) => self.told_by(recipe, preset)?,
            None => self.told_by_shapes(job, preset)?,
        };
        if let Some(crop_size) = job.crop_size {
            network.crop(crop_size);
        }
        if let Some(channels) = job.adapt_stem {
            network.dataset.channels = channel_names(channels);
        }
        let problems = network.config.problems();
        if !problems.is_empty() {
            return Err(ExchangeError::Network { path: self.file.path.clone(), problems });
        }
        network.config = network.config.with_overrides(&job.settings)?;
        Ok(network)
    }

    fn told_by(&self, recipe: &Recipe, preset: Option<Preset>) -> Result<Network, ExchangeError> {
        if preset.is_some_and(|preset| ModelConfig::Preset(preset).resolve() != recipe.config.model) {
            let cause = "its header names another size than --preset does; leave --preset out".to_owned();
            return Err(ExchangeError::Contradiction { path: self.file.path.clone(), cause });
        }
        let size = format!("from its header, written by simtrot {}", recipe.version);
        Ok(Network { config: recipe.config.clone(), dataset: recipe.dataset.clone(), step: recipe.step, size })
    }

    fn told_by_shapes(&self, job: &ImportJob, preset: Option<Preset>) -> Result<Network, ExchangeError> {
        let recognised = preset.or_else(|| self.presets().into_iter().find(|&preset| self.fits(preset)));
        let (model, size) = match recognised {
            Some(preset) => {
                let whence = if job.preset.is_some() { "as asked for" } else { "recognised by its shapes" };
                (ModelConfig::Preset(preset).resolve(), format!("{preset}, {whence}"))
            }
            None => (self.read(job)?, "read off its shapes".to_owned()),
        };
        let crop_size = job.crop_size.or_else(|| self.dialect.crop_size(recognised)).ok_or_else(|| {
            let remedy = format!("say it with --crop D,H,W, or name a size with --preset: {}", list(self.presets()));
            self.untold("the crop it was trained on, which it depends on,".to_owned(), remedy)
        })?;
        let labels = self.dialect.classes(&self.shapes).unwrap_or(0) as u32;
        let label = |class: u32| if class == 0 { "background".to_owned() } else { format!("class {class}") };
        let dataset = DatasetInfo {
            name: self.file.path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            channels: channel_names(self.dialect.channels(&self.shapes).unwrap_or(1)),
            labels: (0..labels).map(|class| (class, label(class))).collect(),
        };
        let config = RunConfig { name: "imported".to_owned(), model, ..RunConfig::default() };
        let mut network = Network { config, dataset, step: 0, size };
        network.crop(crop_size);
        Ok(network)
    }

    /// The size as the shapes tell it.
    fn read(&self, job: &ImportJob) -> Result<ModelConfig, ExchangeError> {
        let presets = list(self.presets());
        let model = self.dialect.read(&self.shapes, &self.like);
        let model = model.ok_or_else(|| self.untold("the network's size".to_owned(), format!("name one with --preset: {presets}")))?;
        let keys = self.dialect.untold(&self.shapes).into_iter().map(|parameter| format!("model.{}.{parameter}", key(&self.like)));
        let is_said = |key: &String| job.settings.iter().any(|setting| setting.split('=').next() == Some(key));
        let unsaid: Vec<String> = keys.filter(|key| !is_said(key)).collect();
        if unsaid.is_empty() {
            return Ok(model);
        }
        let settings: Vec<_> = unsaid.iter().map(|key| format!("--set {key}=...")).collect();
        Err(self.untold(list(&unsaid), format!("say {}, or name a size with --preset: {presets}", settings.join(" "))))
    }

    fn untold(&self, what: String, remedy: String) -> ExchangeError {
        ExchangeError::Untold { path: self.file.path.clone(), what, remedy }
    }

    /// Whether the shapes are those of a preset.
    fn fits(&self, preset: Preset) -> bool {
        let model = ModelConfig::Preset(preset).resolve();
        self.dialect.read(&self.shapes, &model).is_some_and(|read| read == model)
    }

    /// The preset of a name, with the backbone in front or without.
    fn preset(&self, given: &str) -> Result<Preset, ExchangeError> {
        let names = [given.to_owned(), format!("{}_{given}", key(&self.like))];
        let preset = self.presets().into_iter().find(|preset| names.contains(&preset.to_string()));
        preset.ok_or_else(|| ExchangeError::Unknown {
            flag: "--preset",
            given: given.to_owned(),
            what: "size of this backbone",
            known: list(self.presets()),
        })
    }

    /// The backbone's published sizes.
    fn presets(&self) -> Vec<Preset> {
        Preset::ALL.iter().copied().filter(|&preset| key(&ModelConfig::Preset(preset)) == key(&self.like)).collect()
    }

    /// Adapts tensors where that was asked for; says what was done.
    pub(super) fn adapt(&self, job: &ImportJob, tensors: &mut BTreeMap<String, HostTensor>) -> Result<Vec<String>, ExchangeError> {
        let mut done = Vec::new();
        let channels = self.dialect.channels(&self.shapes).unwrap_or(0);
        if let Some(wanted) = job.adapt_stem.filter(|&wanted| wanted != channels && channels > 0) {
            for name in self.dialect.stem() {
                let Some(tensor) = tensors.get_mut(*name) else { continue };
                *tensor = adapt::stem(tensor, channels, wanted);
                done.push(format!("{name}: {channels} -> {wanted} image channels, each the sum of the old ones divided by {wanted}"));
            }
        }
        Ok(done)
    }
}

impl Network {
    fn crop(&mut self, crop_size: [usize; 3]) {
        (self.config.pretrain.crop_size, self.config.finetune.crop_size) = (crop_size, crop_size);
    }

    /// What is known of it, and whence, for people.
    pub(super) fn facts(&self) -> Vec<(&'static str, String)> {
        let [depth, height, width] = self.config.finetune.crop_size;
        let (channels, classes) = (self.dataset.channels.len(), self.dataset.labels.len());
        vec![
            ("size", self.size.clone()),
            ("parameters", hyper_parameters(&self.config.model)),
            ("crop", format!("{depth}x{height}x{width}")),
            ("channels", channels.to_string()),
            ("classes", if classes == 0 { "none: an encoder".to_owned() } else { classes.to_string() }),
        ]
    }
}

/// A model of each backbone by the backbone's name in configs.
fn backbones() -> BTreeMap<String, ModelConfig> {
    // The first preset of each stays.
    Preset::ALL.iter().rev().map(|&preset| ModelConfig::Preset(preset).resolve()).map(|model| (key(&model), model)).collect()
}

/// `name value` of each hyper-parameter.
pub(super) fn hyper_parameters(model: &ModelConfig) -> String {
    let tree = serde_json::to_value(model.resolve()).expect("plain data becomes JSON");
    let parameters = tree.as_object().and_then(|map| map.values().next()?.as_object()).expect("an enum of structs becomes a map of maps");
    list(parameters.iter().map(|(name, value)| format!("{name} {value}")))
}

/// The name of a model's backbone in configs.
fn key(model: &ModelConfig) -> String {
    let tree = serde_json::to_value(model.resolve()).expect("plain data becomes JSON");
    tree.as_object().and_then(|map| map.keys().next().cloned()).expect("an enum becomes a map of one key")
}

fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}
