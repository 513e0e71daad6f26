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

/// Plans trainings on a device, or on those `beside` it too: of each, whether it pre-trains or fine-tunes, and its settings.
///
/// # Errors
/// A dataset or a device that cannot be opened: channels, classes and limits come from them. A batch that the devices cannot share.
pub fn plan(trainings: &[(StageKind, &RunConfig)], choice: &DeviceChoice, beside: &[DeviceChoice]) -> anyhow::Result<Plan> {
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
    let first = device::open(choice)?;
    let others = device::open_beside(&first, beside)?;
    let descriptions: Vec<DeviceDescription> = std::iter::once(first).chain(others).map(|opened| opened.description).collect();
    let room = Room::of_each(&descriptions);
    let mut steps = Vec::new();
    for &(kind, config) in trainings {
        let (_, dataset) = opened.iter().find(|(source, _)| **source == config.data.source).expect("every source was opened");
        device::require_even(kind.batch(config), descriptions.len())?;
        let step = Step { config, kind, channels: dataset.channels.len(), classes: dataset.class_count(), room };
        let step = StepPlan::new(&step, descriptions.len());
        if !steps.contains(&step) {
            steps.push(step);
        }
    }
    let names: Vec<String> = descriptions.into_iter().map(|description| description.name).collect();
    let device = match names.as_slice() {
        [one] => one.clone(),
        all => format!("each of {} devices ({})", all.len(), all.join(", ")),
    };
    Ok(Plan { device, free_bytes: room.free_bytes, binding_bytes: room.binding_bytes, steps })
}

/// The plan of fine-tuning a published network with the settings of a new config, on crops and data as it was published for.
pub fn plan_preset(preset: Preset, room: Room) -> StepPlan {
    let PublishedTask { crop_size, channels, classes } = preset.task();
    let mut config = RunConfig { model: ModelConfig::Preset(preset), ..RunConfig::default() };
    config.finetune.crop_size = crop_size;
    StepPlan::new(&Step { config: &config, kind: StageKind::Finetune, channels, classes, room }, 1)
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

    /// What each of several devices offers that share the batches of a training: those in the computer's memory have equal parts of it.
    fn of_each(devices: &[DeviceDescription]) -> Self {
        let rooms = || devices.iter().map(Self::of);
        let in_memory = rooms().filter(|room| room.free_bytes.is_some()).count().max(1) as u64;
        Self {
            free_bytes: rooms().filter_map(|room| room.free_bytes).min().map(|free| free / in_memory),
            binding_bytes: rooms().filter_map(|room| room.binding_bytes).min(),
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
        self.look_at_share(batch, crop_size, 1)
    }

    /// The same of each of so many devices that share the batches: the network sees a share, a loss that compares volumes all of them.
    fn look_at_share(&self, batch: usize, crop_size: [usize; 3], devices: usize) -> (ModelPlan, u64, bool) {
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
        let size = StepSize { volumes: views * batch.div_ceil(devices), decoded, on_host: room.binding_bytes.is_none() };
        let mut model = plan_model(&config.model, &task, size);
        // Gradients of batches that are added up outlive a step; a target is a second encoder, which is not trained.
        let further = moments + u64::from(accumulate > 1) + u64::from(!decoded && pretrain.task.has_target());
        let loss = match decoded {
            true if devices > 1 && finetune.batch_dice => LossSize::of_gathered_logits(&model, classes, batch),
            true => LossSize::default(),
            false => LossSize::of(pretrain, &model, channels, batch),
        };
        model.largest_buffer_bytes = model.largest_buffer_bytes.max(loss.largest_buffer_bytes);
        model.weight_bytes += loss.weight_bytes;
        let bytes = model.step_bytes(loss.bytes, 1 + further);
        let fits = room.admits(bytes, model.largest_buffer_bytes);
        (model, bytes, fits)
    }
}

impl StepPlan {
    fn new(step: &Step<'_>, devices: usize) -> Self {
        let &Step { config, kind, .. } = step;
        let (pretrain, finetune) = (&config.pretrain, &config.finetune);
        let (batch, accumulate, crop_size) = match kind {
            StageKind::Pretrain => (pretrain.batch, pretrain.accumulate, pretrain.crop_size),
            _ => (finetune.batch, finetune.accumulate, finetune.crop_size),
        };
        let look = |batch, crop_size| step.look_at_share(batch, crop_size, devices);
        let (model, bytes, fits) = look(batch, crop_size);
        let instead = if fits {
            None
        } else {
            // Contrast lives on other volumes of the batch: pre-training keeps two as long as it can.
            let least = if kind == StageKind::Pretrain { batch.min(2) } else { 1 }.next_multiple_of(devices);
            let batches = (least..=batch).rev().filter(|smaller| smaller.is_multiple_of(devices)).map(|smaller| (smaller, crop_size));
            let crops = shrinking(crop_size, config.model.backbone().total_stride()).map(|crop_size| (least, crop_size));
            let found = batches.chain(crops).find(|&(batch, crop_size)| look(batch, crop_size).2);
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
mod tests;
