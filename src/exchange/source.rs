//! Which network a file holds: found by its names, described by its header, a preset or its shapes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::error::ExchangeError;
use super::file::WeightsFile;
use super::format::{self, Shapes, StateDictFormat};
use super::metadata::ExportMetadata;
use super::names::Found;
use crate::config::{EncoderDifference, ModelConfig, Preset, RunConfig};
use crate::infer::InputConvention;
use crate::train::DatasetInfo;

/// What to import, and what the file does not say.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ImportJob {
    /// A .pt, .pth, .model or .safetensors file; what it holds counts, not what its name ends in.
    pub file: PathBuf,
    /// Its backbone, as configs name it; by default whichever is found in it.
    #[arg(long, value_name = "NAME")]
    pub backbone: Option<String>,
    /// A published size of the backbone; by default the size is read off the shapes.
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,
    /// The checkpoint's folder.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace a checkpoint that is already there.
    #[arg(long)]
    pub overwrite: bool,
    /// Voxels of the crop that the network is for, where file and preset do not say, as of a UNETR of no published size.
    #[arg(long = "crop", value_name = "D,H,W", value_parser = triple)]
    pub crop_size: Option<[usize; 3]>,
    /// Change the stem to N image channels: each takes the sum of the old ones divided by N.
    #[arg(long, value_name = "N")]
    pub adapt_stem: Option<usize>,
    /// Resample position tables to the crop or window of the checkpoint; D,H,W is the crop that a UNETR's table was trained for.
    #[arg(long, value_name = "D,H,W", value_parser = triple, num_args = 0..=1, require_equals = true)]
    pub adapt_position: Option<Option<[usize; 3]>>,
    /// Settings of the checkpoint, for example data.preprocess.spacing_mm=[1.5,1.5,1.5], and of the network what no shape tells, for example
    /// model.unetr.num_heads=12.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
}

/// Three whole numbers.
fn triple(text: &str) -> Result<[usize; 3], String> {
    let numbers: Result<Vec<usize>, _> = text.split([',', 'x']).map(|part| part.trim().parse()).collect();
    numbers
        .ok()
        .and_then(|numbers| numbers.try_into().ok())
        .ok_or_else(|| "expected three whole numbers, for example 64,128,128".to_owned())
}

/// A network found in a file.
pub(super) struct Source<'a> {
    pub(super) file: &'a WeightsFile,
    /// A model of its backbone.
    pub(super) like: ModelConfig,
    pub(super) found: Found,
    pub(super) shapes: Shapes,
    pub(super) metadata: Option<&'a ExportMetadata>,
}

/// What the network is, and whence that is known.
pub(super) struct Network {
    pub(super) config: RunConfig,
    pub(super) dataset: DatasetInfo,
    pub(super) step: usize,
    pub(super) convention: InputConvention,
    /// How the size is known.
    pub(super) size: String,
    /// What the user should know besides.
    pub(super) notes: Vec<String>,
}

impl<'a> Source<'a> {
    /// Looks for the backbone asked for, or for any.
    pub(super) fn find(job: &ImportJob, file: &'a WeightsFile, metadata: Option<&'a ExportMetadata>) -> Result<Self, ExchangeError> {
        let known = backbones();
        let asked = job.backbone.as_ref().map(|given| {
            let unknown =
                || ExchangeError::Unknown { flag: "--backbone", given: given.clone(), what: "backbone", known: list(known.keys()) };
            known.get(given).ok_or_else(unknown)
        });
        let asked = asked.transpose()?;
        if let Some(metadata) = metadata {
            return Self::with_metadata(file, metadata, asked);
        }
        if let Some(asked) = asked.filter(|asked| format::of(asked).is_none()) {
            let (path, title) = (file.path.display(), asked.backbone().title());
            let refusal =
                format!("{path} is no export of simtrot's, and no other program writes weights of its {title}; leave --backbone out");
            return Err(ExchangeError::Refused(refusal));
        }
        let candidates: Vec<&ModelConfig> = asked.map_or_else(|| known.values().collect(), |asked| vec![asked]);
        let formats = candidates.iter().filter_map(|&like| Some((like, format::of(like)?)));
        let Some((like, found)) = formats.clone().find_map(|(like, format)| Some((like, Found::look(file, format)?))) else {
            return Err(ExchangeError::NoNetwork {
                path: file.path.clone(),
                backbone: job.backbone.clone().unwrap_or_else(|| "network that is known".to_owned()),
                landmarks: formats.map(|(_, format)| format.names().landmark).collect::<Vec<_>>().join(" or "),
                names: file.tensors.keys().take(3).cloned().collect::<Vec<_>>().join(", "),
            });
        };
        Ok(Self::of(file, like, found, None))
    }

    /// One of simtrot's own exports.
    fn with_metadata(file: &'a WeightsFile, metadata: &'a ExportMetadata, asked: Option<&ModelConfig>) -> Result<Self, ExchangeError> {
        let model = &metadata.config.model;
        if asked.is_some_and(|asked| asked.key() != model.key()) {
            let cause = format!("its header says that it holds {}; leave --backbone out", model.key());
            return Err(ExchangeError::Contradiction { path: file.path.clone(), cause });
        }
        let found = match format::of(model) {
            Some(format) if !metadata.has_own_names() => Found::look(file, format),
            _ => Some(Found::own(file, format::prefix(model))),
        };
        let lost = || ExchangeError::Contradiction {
            path: file.path.clone(),
            cause: format!("its header says that it holds {}, and no tensor is called so; export the checkpoint anew", model.key()),
        };
        Ok(Self::of(file, model, found.ok_or_else(lost)?, Some(metadata)))
    }

    fn of(file: &'a WeightsFile, like: &ModelConfig, found: Found, metadata: Option<&'a ExportMetadata>) -> Self {
        let tensors = found.tensors.iter().map(|(own, name)| (own.clone(), file.tensors[name].shape.clone())).collect();
        let shapes = Shapes { tensors, older_names: found.older_names };
        Self { file, like: like.clone(), found, shapes, metadata }
    }

    /// How other programs write this backbone's weights.
    pub(super) fn format(&self) -> Option<&'static dyn StateDictFormat> {
        format::of(&self.like)
    }

    /// Whether the file is said or seen to hold a whole network, and not an encoder alone.
    pub(super) fn is_whole(&self) -> bool {
        match self.metadata {
            Some(metadata) => metadata.is_whole(),
            None => self.found.root.is_some(),
        }
    }

    /// The network's config and data, from the export's own header, a preset, or the shapes.
    pub(super) fn describe(&self, job: &ImportJob) -> Result<Network, ExchangeError> {
        let mut network = match (self.metadata, self.format()) {
            (Some(metadata), _) => self.by_header(metadata, job)?,
            (None, Some(format)) => self.by_shapes(format, job)?,
            (None, None) => unreachable!("a network is found by its format"),
        };
        if let Some(channels) = job.adapt_stem {
            network.dataset.channels = channel_names(channels);
        }
        Ok(network)
    }

    fn by_header(&self, metadata: &ExportMetadata, job: &ImportJob) -> Result<Network, ExchangeError> {
        if let Some(preset) = self.preset(job)?.filter(|&preset| ModelConfig::Preset(preset).resolve() != metadata.config.model) {
            let cause = format!("its header names another size than {preset}; leave --preset out");
            return Err(ExchangeError::Contradiction { path: self.file.path.clone(), cause });
        }
        let crop_size = job.crop_size.map(|crop_size| (crop_size, crop_size));
        let crops = crop_size.unwrap_or((metadata.config.pretrain.crop_size, metadata.config.finetune.crop_size));
        let config = self.checked(metadata.config.clone(), crops, job)?;
        let size = format!("as its header says, written by simtrot {}", metadata.version);
        let (dataset, convention) = (metadata.dataset.clone(), metadata.convention);
        Ok(Network { config, dataset, step: metadata.step, convention, size, notes: convention_note(convention) })
    }

    fn by_shapes(&self, format: &dyn StateDictFormat, job: &ImportJob) -> Result<Network, ExchangeError> {
        let fits = |&preset: &Preset| {
            let model = ModelConfig::Preset(preset).resolve();
            format.read(&self.shapes, &model).is_some_and(|read| read == model)
        };
        let asked = self.preset(job)?;
        let recognised = asked.or_else(|| self.presets().into_iter().find(fits));
        let (mut model, size) = match recognised {
            Some(preset) => {
                let whence = if asked.is_some() { "as asked for" } else { "recognised by its shapes" };
                (ModelConfig::Preset(preset).resolve(), format!("{preset}, {whence}"))
            }
            None => (self.read(format, job)?, "read off its shapes".to_owned()),
        };
        let assumed = format.assume(&self.shapes, &mut model).into_iter().filter(|(parameter, _)| !self.is_set(job, parameter));
        let convention = format.convention();
        let notes = assumed.map(|(_, note)| note).chain(convention_note(convention)).collect();
        let crop_size = job.crop_size.or_else(|| format.crop_size(&self.shapes, recognised)).ok_or_else(|| {
            let remedy = format!("say it with --crop D,H,W, or name a size with --preset: {}", list(self.presets()));
            self.undetermined("the crop it was trained on, which it depends on,".to_owned(), remedy)
        })?;
        let config = RunConfig { name: "imported".to_owned(), model, ..RunConfig::default() };
        let config = self.checked(config, (crop_size, crop_size), job)?;
        let classes = format.classes(&self.shapes).unwrap_or(0) as u32;
        let label = |class: u32| if class == 0 { "background".to_owned() } else { format!("class {class}") };
        let dataset = DatasetInfo {
            name: self.file.path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            channels: channel_names(format.channels(&self.shapes, &config.model).unwrap_or(1)),
            labels: (0..classes).map(|class| (class, label(class))).collect(),
        };
        Ok(Network { config, dataset, step: 0, convention, size, notes })
    }

    /// The size as the shapes say it, the rest as the settings will say.
    fn read(&self, format: &dyn StateDictFormat, job: &ImportJob) -> Result<ModelConfig, ExchangeError> {
        let presets = list(self.presets());
        let model = format.read(&self.shapes, &self.like);
        let model =
            model.ok_or_else(|| self.undetermined("the network's size".to_owned(), format!("name one with --preset: {presets}")))?;
        let unset = format.undetermined(&self.shapes).into_iter().filter(|parameter| !self.is_set(job, parameter));
        let mut unset: Vec<String> = unset.map(|parameter| self.setting(parameter)).collect();
        if unset.is_empty() {
            return Ok(model);
        }
        let mut said: Vec<String> = unset.iter().map(|key| format!("--set {key}=...")).collect();
        if job.crop_size.is_none() && format.crop_size(&self.shapes, None).is_none() {
            unset.push("the crop it was trained on".to_owned());
            said.push("--crop D,H,W".to_owned());
        }
        Err(self.undetermined(list(&unset), format!("say {}, or name a size with --preset: {presets}", said.join(" "))))
    }

    /// The key in configs of one of the network's hyper-parameters.
    fn setting(&self, parameter: &str) -> String {
        format!("model.{}.{parameter}", self.like.key())
    }

    /// Whether the settings say a hyper-parameter.
    fn is_set(&self, job: &ImportJob, parameter: &str) -> bool {
        job.settings.iter().any(|setting| setting.split('=').next() == Some(&self.setting(parameter)))
    }

    /// The config with crops and settings laid over it.
    fn checked(
        &self,
        mut config: RunConfig,
        (pretrain, finetune): ([usize; 3], [usize; 3]),
        job: &ImportJob,
    ) -> Result<RunConfig, ExchangeError> {
        (config.pretrain.crop_size, config.finetune.crop_size) = (pretrain, finetune);
        if !job.settings.is_empty() {
            return Ok(config.with_overrides(&job.settings)?);
        }
        match config.problems() {
            problems if problems.is_empty() => Ok(config),
            problems => Err(ExchangeError::Network { path: self.file.path.clone(), problems }),
        }
    }

    /// The settings in which the encoder of the file computes otherwise than that of `model` on crops of `crop_size`, as far as
    /// its header or its shapes say.
    pub(super) fn differences(&self, model: &ModelConfig, crop_size: [usize; 3]) -> Vec<EncoderDifference> {
        let own = match self.metadata {
            Some(metadata) => Some((metadata.config.model.clone(), metadata.crop_size())),
            None => self.format().and_then(|format| Some((format.read(&self.shapes, model)?, crop_size))),
        };
        own.map_or_else(Vec::new, |(own, crop)| ModelConfig::encoder_differences([(&own, crop), (model, crop_size)]))
    }

    fn undetermined(&self, what: String, remedy: String) -> ExchangeError {
        ExchangeError::Undetermined { path: self.file.path.clone(), what, remedy }
    }

    /// The preset asked for, named with the backbone in front or without.
    fn preset(&self, job: &ImportJob) -> Result<Option<Preset>, ExchangeError> {
        let Some(given) = &job.preset else { return Ok(None) };
        let names = [given.clone(), format!("{}_{given}", self.like.key())];
        let preset = self.presets().into_iter().find(|preset| names.contains(&preset.to_string()));
        let known = || list(self.presets());
        preset.map(Some).ok_or_else(|| ExchangeError::Unknown {
            flag: "--preset",
            given: given.clone(),
            what: "size of this backbone",
            known: known(),
        })
    }

    /// The backbone's published sizes.
    fn presets(&self) -> Vec<Preset> {
        Preset::ALL.iter().copied().filter(|&preset| ModelConfig::Preset(preset).key() == self.like.key()).collect()
    }
}

/// Names for image channels of which only the number is known.
fn channel_names(channels: usize) -> Vec<String> {
    (0..channels).map(|channel| format!("channel {channel}")).collect()
}

/// How volumes are handed to the network, where that is not as here.
fn convention_note(convention: InputConvention) -> Vec<String> {
    let note =
        "volumes go to it as MONAI's loaders hand them over, axes R,A,S: so does the crop. Around a volume smaller than the crop stands 0";
    if convention.is_own() { Vec::new() } else { vec![note.to_owned()] }
}

/// A model of each backbone by the backbone's name in configs.
fn backbones() -> BTreeMap<String, ModelConfig> {
    Preset::ALL.iter().map(|&preset| ModelConfig::Preset(preset).resolve()).map(|model| (model.key(), model)).collect()
}

fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}
