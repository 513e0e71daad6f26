//! Shapes, parameters and memory of a config, before anything is trained: what fits, what does not, and what would.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::{DataSource, ModelConfig, OptimiserConfig, Preset, PublishedTask, RunConfig};
use crate::device::{self, AdapterDescription, DeviceChoice, DeviceDescription};
use crate::model::{Attention, ModelPlan, StepSize, Task, plan as plan_model};
use crate::objective::LossSize;
use crate::protocol::StageKind;
use crate::volume::Dataset;

/// Share of the free memory that a plan may take: the system and the cases that are read ahead need the rest.
const USABLE_SHARE: f64 = 0.9;

/// The plan of some trainings on a device.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Name of the device.
    pub device: String,
    /// As [`Room::free_bytes`].
    pub free_bytes: Option<u64>,
    /// As [`Room::binding_bytes`].
    pub binding_bytes: Option<u64>,
    /// Each kind of step once, in the order of the trainings.
    pub steps: Vec<StepPlan>,
}

/// One kind of training step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepPlan {
    /// `Pretrain` or `Finetune`.
    pub kind: StageKind,
    /// What pre-training asks of the network, as its authors name it; none for fine-tuning.
    pub pretext: Option<String>,
    /// Volumes of a batch.
    pub batch: usize,
    /// Voxels of a crop along D,H,W.
    pub crop_size: [usize; 3],
    /// The network on such crops.
    pub model: ModelPlan,
    /// Estimated peak memory, in bytes.
    pub bytes: u64,
    /// What would fit where this does not.
    pub instead: Option<Smaller>,
    /// Whether it fits.
    pub fits: bool,
}

/// A smaller step that fits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Smaller {
    /// Volumes of a batch.
    pub batch: usize,
    /// Batches added up before an optimiser step.
    pub accumulate: usize,
    /// Voxels of a crop along D,H,W.
    pub crop_size: [usize; 3],
}

/// What a device offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Room {
    /// Free memory, in bytes, where the system tells. A GPU's own memory is not told by its driver.
    pub free_bytes: Option<u64>,
    /// Largest tensor that the adapter can bind, in bytes; none on the CPU.
    pub binding_bytes: Option<u64>,
}

/// Plans trainings on a device: of each, whether it pre-trains or fine-tunes, and its settings.
///
/// # Errors
/// A dataset or a device that cannot be opened: channels, classes and limits come from them.
pub fn plan(trainings: &[(StageKind, &RunConfig)], choice: &DeviceChoice) -> anyhow::Result<Plan> {
    let mut opened: Vec<(&DataSource, Dataset)> = Vec::new();
    for (_, config) in trainings {
        let source = &config.data.source;
        if opened.iter().all(|(known, _)| *known != source) {
            opened.push((source, Dataset::open(source).map_err(|error| {
                anyhow::anyhow!(
                    "{error}. Channels and labels come from the dataset; to plan without it, make one up: \
                     --set 'data.source={{\"synthetic\":{{\"channels\":1,\"labels\":8}}}}' --set 'data.split={{\"hold_out\":{{\"test\":0.2,\"validation\":0}}}}'"
                )
            })?));
        }
    }
    let description = device::open(choice)?.description;
    let room = Room::of(&description);
    let mut steps = Vec::new();
    for &(kind, config) in trainings {
        let (_, dataset) = opened.iter().find(|(source, _)| **source == config.data.source).expect("every source was opened");
        let step = StepPlan::new(config, dataset.channels.len(), dataset.class_count(), kind, room);
        if !steps.contains(&step) {
            steps.push(step);
        }
    }
    Ok(Plan { device: description.name, free_bytes: room.free_bytes, binding_bytes: room.binding_bytes, steps })
}

/// The plan of fine-tuning a published network with the settings of a new config, on crops and data as it was published for.
pub fn plan_preset(preset: Preset, room: Room) -> StepPlan {
    let PublishedTask { crop_size, channels, classes } = preset.task();
    let mut config = RunConfig { model: ModelConfig::Preset(preset), ..RunConfig::default() };
    config.finetune.crop_size = crop_size;
    StepPlan::new(&config, channels, classes, StageKind::Finetune, room)
}

impl Room {
    /// What `device` offers now. Software and integrated GPUs take the computer's memory.
    pub fn of(device: &DeviceDescription) -> Self {
        let shared = device.adapter.as_ref().is_none_or(AdapterDescription::shares_memory);
        let free_mib = shared.then(device::memory::available_mib).flatten();
        Self {
            free_bytes: free_mib.map(|mib| (mib * f64::from(1 << 20)) as u64),
            binding_bytes: device.adapter.as_ref().map(|adapter| adapter.max_binding_bytes),
        }
    }

    /// What the user has to compare, where nobody tells how much memory is free.
    pub fn untold(self) -> Option<&'static str> {
        match (self.free_bytes, self.binding_bytes) {
            (Some(_), _) => None,
            (None, Some(_)) => Some("The driver does not tell how much memory is free: compare with the card's."),
            (None, None) => Some("The system does not tell how much memory is free: compare with the computer's."),
        }
    }

    fn admits(self, bytes: u64, buffer: u64) -> bool {
        self.free_bytes.is_none_or(|free| bytes as f64 <= USABLE_SHARE * free as f64)
            && self.binding_bytes.is_none_or(|most| buffer <= most)
    }
}

/// A kind of training step of a config, to be looked at in several sizes.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// The settings; of batch and crop it knows nothing.
    pub config: &'a RunConfig,
    /// `Pretrain` or `Finetune`.
    pub kind: StageKind,
    /// Channels of an image.
    pub channels: usize,
    /// Classes, background included.
    pub classes: usize,
    /// Where it is to fit.
    pub room: Room,
}

impl Step<'_> {
    /// What batches of `batch` crops of `crop_size` voxels, D,H,W, ask for: the network, the estimated peak of memory in bytes, and
    /// whether that fits.
    pub fn look(&self, batch: usize, crop_size: [usize; 3]) -> (ModelPlan, u64, bool) {
        let &Self { config, kind, channels, classes, room } = self;
        let (pretrain, finetune) = (&config.pretrain, &config.finetune);
        let (accumulate, optimiser) = match kind {
            StageKind::Pretrain => (pretrain.accumulate, pretrain.optimiser),
            _ => (finetune.accumulate, finetune.optimiser),
        };
        let moments = if matches!(optimiser, OptimiserConfig::AdamW { .. }) { 2 } else { 1 };
        let task = Task { channels, classes, crop_size };
        let (views, decoded) = match kind {
            StageKind::Pretrain => (pretrain.task.trained_views(), false),
            _ => (1, true),
        };
        let size = StepSize { volumes: views * batch, decoded, on_host: room.binding_bytes.is_none() };
        let mut model = plan_model(&config.model, &task, size);
        // Gradients of batches that are added up outlive a step; a target is a second encoder, which is not trained.
        let further = moments + u64::from(accumulate > 1) + u64::from(!decoded && pretrain.task.has_target());
        let loss = if decoded { LossSize::default() } else { LossSize::of(pretrain, &model, channels, batch) };
        model.largest_buffer_bytes = model.largest_buffer_bytes.max(loss.largest_buffer_bytes);
        model.weight_bytes += loss.weight_bytes;
        let bytes = model.step_bytes(loss.bytes, 1 + further);
        let fits = room.admits(bytes, model.largest_buffer_bytes);
        (model, bytes, fits)
    }
}

impl StepPlan {
    fn new(config: &RunConfig, channels: usize, classes: usize, kind: StageKind, room: Room) -> Self {
        let (pretrain, finetune) = (&config.pretrain, &config.finetune);
        let (batch, accumulate, crop_size) = match kind {
            StageKind::Pretrain => (pretrain.batch, pretrain.accumulate, pretrain.crop_size),
            _ => (finetune.batch, finetune.accumulate, finetune.crop_size),
        };
        let step = Step { config, kind, channels, classes, room };
        let (model, bytes, fits) = step.look(batch, crop_size);
        let instead = if fits {
            None
        } else {
            // Contrast lives on other volumes of the batch: pre-training keeps two as long as it can.
            let least = if kind == StageKind::Pretrain { batch.min(2) } else { 1 };
            let batches = (least..=batch).rev().map(|smaller| (smaller, crop_size));
            let crops = shrinking(crop_size, config.model.backbone().total_stride()).map(|crop_size| (least, crop_size));
            let found = batches.chain(crops).find(|&(batch, crop_size)| step.look(batch, crop_size).2);
            found.map(|(smaller, crop_size)| Smaller { batch: smaller, accumulate: (accumulate * batch).div_ceil(smaller), crop_size })
        };
        let pretext = (kind == StageKind::Pretrain).then(|| config.pretrain.task.title(config.pretrain.weight).to_owned());
        Self { kind, pretext, batch, crop_size, model, bytes, instead, fits }
    }
}

/// Ever smaller crops: the longest axis gives up one stride at a time, none falls below one.
pub fn shrinking(crop: [usize; 3], stride: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    std::iter::successors(Some(crop), move |&crop| {
        let axis = (0..3).filter(|&axis| crop[axis] > stride[axis]).max_by_key(|&axis| crop[axis])?;
        let mut smaller = crop;
        smaller[axis] -= stride[axis];
        Some(smaller)
    })
    .skip(1)
}

impl Plan {
    /// Whether every step fits.
    pub fn fits(&self) -> bool {
        self.steps.iter().all(|step| step.fits)
    }

    /// As [`Room::untold`].
    pub fn untold(&self) -> Option<&'static str> {
        Room { free_bytes: self.free_bytes, binding_bytes: self.binding_bytes }.untold()
    }
}

fn mib(bytes: u64) -> String {
    format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20))
}

fn by(sizes: [usize; 3]) -> String {
    sizes.map(|size| size.to_string()).join("x")
}

impl fmt::Display for StepPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.pretext {
            Some(pretext) => write!(f, "pre-training by {pretext}")?,
            None => write!(f, "fine-tuning")?,
        }
        writeln!(f, ": batch {}, crop {} (D,H,W)", self.batch, by(self.crop_size))?;
        for (index, stage) in self.model.stages.iter().enumerate() {
            let grid = by(stage.grid);
            let tokens: usize = stage.grid.iter().product();
            write!(f, "  stage {}: {grid} = {tokens} tokens of {}", index + 1, stage.dim)?;
            if let Some(Attention { heads, window, shift }) = stage.attention {
                write!(f, ", {heads} heads, window {}", by(window))?;
                if shift != [0; 3] {
                    write!(f, ", shifted by {}", by(shift))?;
                }
            }
            writeln!(f)?;
        }
        let parameters = self.model.parameters;
        let (encoder, decoder, heads) = (parameters.encoder, parameters.decoder, parameters.heads);
        match self.kind {
            StageKind::Pretrain => writeln!(f, "  parameters of the encoder: {encoder}")?,
            _ => writeln!(f, "  parameters: {} (encoder {encoder}, decoder {decoder}, heads {heads})", parameters.total())?,
        }
        writeln!(f, "  a step needs about {}, its largest tensor {}", mib(self.bytes), mib(self.model.largest_buffer_bytes))?;
        match &self.instead {
            _ if self.fits => Ok(()),
            Some(Smaller { batch, accumulate, crop_size }) => {
                let crop_size = crop_size.map(|n| n.to_string()).join(", ");
                writeln!(f, "  DOES NOT FIT. This would: batch: {batch}, accumulate: {accumulate}, crop_size: ({crop_size})")
            }
            None => writeln!(f, "  DOES NOT FIT. Not even one crop of one token would: choose a smaller model or another device"),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "On {}", self.device)?;
        self.steps.iter().try_for_each(|step| write!(f, "\n{step}"))?;
        if let Some(free) = self.free_bytes {
            write!(f, "\nfree memory: {}", mib(free))?;
        }
        if let Some(untold) = self.untold() {
            write!(f, "\n{untold}")?;
        }
        if let Some(most) = self.binding_bytes {
            write!(f, "\nlargest tensor that the adapter binds: {}", mib(most))?;
        }
        write!(f, "\nMemory is an estimate: weights, gradients, optimiser, and what the backward pass keeps.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ModelConfig, Preset, PretrainConfig, SyntheticConfig};

    fn step(room: Room) -> StepPlan {
        let mut config = RunConfig { model: ModelConfig::Preset(Preset::NnformerSynapse), ..RunConfig::default() };
        config.data.source = DataSource::Synthetic(SyntheticConfig::default());
        config.finetune.crop_size = [64, 128, 128];
        let dataset = Dataset::open(&config.data.source).unwrap();
        StepPlan::new(&config, dataset.channels.len(), dataset.class_count(), StageKind::Finetune, room)
    }

    /// nnFormer's last stage has 4³ tokens of 96 channels for such crops, the one before 8³ of 48: twice 2 * 64 and 2 * 512 for both
    /// views in a batch of two.
    #[test]
    fn the_contrast_of_every_stage_is_counted() {
        let mut config = RunConfig::default();
        config.data.source = DataSource::Synthetic(SyntheticConfig::default());
        let dataset = Dataset::open(&config.data.source).unwrap();
        let mut step = |token_stages| {
            config.pretrain.token_stages = token_stages;
            let room = Room::default();
            StepPlan::new(&config, dataset.channels.len(), dataset.class_count(), StageKind::Pretrain, room)
        };
        let last = step(1);
        assert_eq!(last.model.stages.iter().map(|stage| stage.grid).collect::<Vec<_>>(), [[8; 3], [4; 3]]);
        let tokens = [2 * 2 * 64, 2 * 2 * 512];
        let kept = [tokens[0] * (96 + 2 * 192 + 2 * 96), tokens[1] * (48 + 2 * 96 + 2 * 48)];
        let contrast =
            |stages| LossSize::of_contrast(&PretrainConfig { token_stages: stages, ..PretrainConfig::default() }, &last.model.stages, 2);
        assert_eq!(contrast(1).bytes, 4 * (kept[0] + tokens[0] * tokens[0]));
        assert_eq!(contrast(2).bytes, 4 * (kept[0] + kept[1] + tokens[1] * tokens[1]));
        let held = |step: &StepPlan, bytes| step.model.peak_bytes.max(step.model.kept_bytes + bytes);
        let both = step(2);
        assert_eq!(both.bytes - last.bytes, held(&last, contrast(2).bytes) - held(&last, contrast(1).bytes));
        assert!(both.model.largest_buffer_bytes >= 4 * tokens[1] * tokens[1]);
    }

    /// One view in a batch of two: 2 * 64 tokens of 96 channels.
    #[test]
    fn a_single_trained_view_and_its_prototypes_are_counted() {
        let step = |settings: &[&str]| {
            let config =
                RunConfig::default().with_overrides(&settings.iter().map(|&setting| setting.to_owned()).collect::<Vec<_>>()).unwrap();
            let step = StepPlan::new(&config, 1, 2, StageKind::Pretrain, Room::default());
            (LossSize::of_prototypes(&config.pretrain, step.model.stages.last().unwrap(), 2).bytes, step)
        };
        let (few, ibot) = step(&["pretrain.task=ibot"]);
        let (many, wide) = step(&["pretrain.task=ibot", "pretrain.ibot.prototypes=32768"]);
        let (_, b_trot) = step(&["pretrain.task=b_trot"]);
        assert_eq!((few, many), (4 * 128 * (96 + 2 * 192 + 2 * 96 + 6 * 256), 4 * 128 * (96 + 2 * 192 + 2 * 96 + 6 * 32_768)));
        assert!(ibot.model.kept_bytes < b_trot.model.kept_bytes, "the target's view keeps nothing");
        assert!(wide.bytes > ibot.bytes && wide.model.largest_buffer_bytes >= 4 * 128 * 32_768, "{wide:?}");
    }

    #[test]
    fn hidden_voxels_beside_the_contrast_are_counted() {
        let look = |reconstruction_weight| {
            let config = &RunConfig { pretrain: PretrainConfig { reconstruction_weight, ..Default::default() }, ..RunConfig::default() };
            Step { config, kind: StageKind::Pretrain, channels: 1, classes: 0, room: Room::default() }.look(2, [32; 3])
        };
        let ((plain, ..), (both, bytes, _)) = (look(0.0), look(0.1));
        let added = LossSize::of_hidden_voxels(&plain, 1, 2);
        let held = LossSize::of_contrast(&PretrainConfig::default(), &plain.stages, 2).bytes + added.bytes;
        assert_eq!((both.weight_bytes, bytes), (plain.weight_bytes + added.weight_bytes, both.step_bytes(held, 2)));
    }

    #[test]
    fn what_does_not_fit_comes_with_what_would() {
        let open = step(Room::default());
        assert!(open.fits && open.instead.is_none());
        let tight = step(Room { free_bytes: Some(open.bytes), binding_bytes: None });
        let smaller = tight.instead.expect("one volume instead of two");
        assert!(!tight.fits);
        assert_eq!((smaller.batch, smaller.accumulate, smaller.crop_size), (1, 2, open.crop_size));
        let narrow = step(Room { free_bytes: Some(open.bytes / 2), binding_bytes: None });
        let smaller = narrow.instead.expect("a smaller crop");
        assert!(smaller.crop_size.iter().product::<usize>() < open.crop_size.iter().product::<usize>());
        assert!(step(Room { free_bytes: Some(1000), binding_bytes: None }).instead.is_none());
    }

    #[test]
    fn memory_is_known_where_it_is_the_computers_and_else_the_user_is_told_to_compare() {
        use crate::device::AdapterKind::{Discrete, Integrated, Software, Unknown, Virtual};
        let cpu = DeviceDescription::cpu();
        let room = |kind| {
            let adapter = AdapterDescription { kind, max_binding_bytes: 7, ..AdapterDescription::default() };
            Room::of(&DeviceDescription { adapter: Some(adapter), ..cpu.clone() })
        };
        let told = device::memory::available_mib().is_some();
        for (kind, shared) in [(Integrated, true), (Software, true), (Discrete, false), (Virtual, false), (Unknown, false)] {
            let room = room(kind);
            assert_eq!((room.free_bytes.is_some(), room.binding_bytes), (shared && told, Some(7)), "{kind}");
            assert_eq!(room.untold().is_some_and(|sentence| sentence.contains("the card's")), !(shared && told), "{kind}");
        }
        let unknown = Plan { device: "a card".to_owned(), free_bytes: None, binding_bytes: Some(7), steps: Vec::new() };
        assert!(unknown.to_string().contains("compare with the card's"));
        assert_eq!(Plan { free_bytes: Some(7), ..unknown }.untold(), None);
    }

    #[test]
    fn each_kind_of_step_is_told_once_and_what_holds_for_all_at_the_end() {
        let mut config = RunConfig::default();
        config.data.source = DataSource::Synthetic(SyntheticConfig::default());
        let coarse = RunConfig { seed: 7, ..config.clone() };
        let trainings = [(StageKind::Pretrain, &config), (StageKind::Finetune, &config), (StageKind::Finetune, &coarse)];
        let plan = plan(&trainings, &DeviceChoice::Cpu).unwrap();
        let text = plan.to_string();
        assert_eq!((plan.steps.len(), text.matches("fine-tuning: batch").count()), (2, 1), "a seed costs nothing: {text}");
        assert!(text.matches("Memory is an estimate").count() == 1 && text.matches("free memory").count() <= 1, "{text}");
    }
}
