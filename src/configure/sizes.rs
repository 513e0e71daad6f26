//! Network, crops and batches that fit a device's memory by [`crate::plan`].

use std::cell::Cell;

use super::error::ConfigureError;
use super::fingerprint::Fingerprint;
use super::network::{Batch, LEAST_BATCH, Limit, Network, voxels};
use super::text::Choice;
use crate::config::{BackboneConfig as _, FinetuneConfig, ModelConfig, Preset, RunConfig, UnetConfig, value_to_ron};
use crate::model::ModelPlan;
use crate::plan::{Room, Step, shrinking};
use crate::protocol::StageKind;
use crate::wording::{bytes, list};

/// Other networks that are named where they fit.
const OTHERS: [Preset; 2] = [Preset::NnformerSmall, Preset::SwinUnetrSmall];

/// Voxels of a batch that the time never forbids: two of the smallest crops that a network takes.
const LEAST_VOXELS: usize = LEAST_BATCH * 16 * 16 * 16;

/// Of crops that hold less of the median volume nnU-Net takes the Dice together: it plans a lower resolution for crops of less than a quarter,
/// at which they hold that quarter, and drops it unless it halves the voxels.
const BATCH_DICE_SHARE: f64 = 0.125;

/// The volumes that are planned for.
#[derive(Clone, Copy, Debug)]
pub struct Volumes {
    /// Voxel size after resampling, mm along D,H,W.
    pub spacing_mm: [f64; 3],
    /// Median of their voxels along D,H,W, after resampling.
    pub median: [f64; 3],
    /// How many there are.
    pub cases: usize,
    /// How many pre-train; 0: nothing does.
    pub pretrained: usize,
    /// Voxels of a batch, at most; none: as many as fit the memory.
    pub most_voxels: Option<usize>,
}

/// What fits.
pub struct Sizes {
    /// The network, and the crops that it is fine-tuned on.
    pub network: Network,
    /// Crops of a batch.
    batch: Batch,
    /// Batches whose gradients are added up.
    accumulate: usize,
    /// Bytes of a step.
    bytes: u64,
    /// Pre-training, where there is one and it fits.
    pub pretrain: Option<PretrainSizes>,
    /// Names of other networks that fit, with the bytes of a step.
    others: Vec<(Preset, u64)>,
    /// Whether the time keeps them smaller than the memory would ...
    timed: bool,
    /// ... and as small as may be.
    pub least: bool,
}

/// A pre-training that fits.
#[derive(Clone, Copy, Debug)]
pub struct PretrainSizes {
    /// Volumes of a batch.
    pub batch: usize,
    /// Voxels of a crop along D,H,W.
    pub crop_size: [usize; 3],
    /// Bytes of a step.
    bytes: u64,
}

impl Sizes {
    /// The largest that fit `room` with the step rules of `base`.
    ///
    /// # Errors
    /// Not even one of the smallest crops fits.
    pub fn plan(base: &RunConfig, fingerprint: &Fingerprint, volumes: &Volumes, room: Room) -> Result<Self, ConfigureError> {
        let &Volumes { spacing_mm, median, cases, pretrained, most_voxels } = volumes;
        let (channels, classes) = (fingerprint.channels.len(), fingerprint.classes.len() + 1);
        let most = Cell::new(most_voxels.map(|most| most.max(LEAST_VOXELS)));
        let look = |config: &RunConfig, kind, batch, crop_size| -> (ModelPlan, u64, bool) {
            let (plan, bytes, fits) = Step { config, kind, channels, classes, room }.look(batch, crop_size);
            (plan, bytes, fits && most.get().is_none_or(|most| batch * voxels(crop_size) <= most))
        };
        let kind = if fingerprint.labelled() > 0 { StageKind::Finetune } else { StageKind::Pretrain };
        let with = |network: &Network| RunConfig { model: ModelConfig::Unet(network.model.clone()), ..base.clone() };
        let found = Network::largest(spacing_mm, median, |network| look(&with(network), kind, LEAST_BATCH, network.crop_size).2);
        let (Ok(network) | Err(network)) = &found;
        let (mut config, crop_size) = (with(network), network.crop_size);
        // Nor two of the smallest crops of this network.
        most.set(most.get().map(|most| most.max(LEAST_BATCH * voxels(crop_size))));
        let (batch, accumulate) = if look(&config, kind, LEAST_BATCH, crop_size).2 {
            (network.batch(median, cases, |crops| look(&config, kind, crops, crop_size).2), 1)
        } else if kind == StageKind::Pretrain {
            // Pre-training compares volumes: batches of one cannot be added up for it.
            (Batch { crops: LEAST_BATCH, limit: Limit::Memory }, 1)
        } else {
            (Batch { crops: 1, limit: Limit::Memory }, LEAST_BATCH)
        };
        config.finetune.accumulate = accumulate;
        let (_, needed, fits) = look(&config, kind, batch.crops, crop_size);
        if !fits {
            return Err(ConfigureError::Memory { crop_size, needed, planned: room.free_bytes.unwrap_or_default() });
        }
        let stride = config.model.backbone().total_stride();
        let mut crops = std::iter::once(crop_size).chain(shrinking(crop_size, stride)).filter(|&crop| crop != stride);
        let pretrain = (pretrained > 0).then(|| {
            let fit = |batch, crop_size| Some(look(&config, StageKind::Pretrain, batch, crop_size)).filter(|(_, _, fits)| *fits);
            let crop_size = crops.find(|&crop_size| fit(LEAST_BATCH, crop_size).is_some())?;
            let most = batch.crops.clamp(LEAST_BATCH, pretrained);
            let (batch, bytes) = (LEAST_BATCH..=most).rev().find_map(|batch| Some((batch, fit(batch, crop_size)?.1)))?;
            Some(PretrainSizes { batch, crop_size, bytes })
        });
        let other = |preset: Preset| {
            let mut config = RunConfig { model: ModelConfig::Preset(preset), ..config.clone() };
            (config.pretrain.crop_size, config.finetune.crop_size) = (crop_size, crop_size);
            let (_, bytes, fits) = look(&config, kind, batch.crops, crop_size);
            (fits && config.problems().is_empty()).then_some((preset, bytes))
        };
        let others = OTHERS.into_iter().filter_map(other).collect();
        let timed = most_voxels.is_some();
        let least = most_voxels.is_some_and(|most| most <= LEAST_VOXELS);
        Ok(Self { network: network.clone(), batch, accumulate, bytes: needed, pretrain: pretrain.flatten(), others, timed, least })
    }

    /// Crops that a step of fine-tuning looks at.
    pub fn crops_of_step(&self) -> usize {
        self.batch.crops * self.accumulate
    }

    /// The network with its reason, and others that would fit in its place.
    pub fn model_choice(&self) -> Choice {
        let UnetConfig { features, strides, blocks, .. } = &self.network.model;
        let mut reason = format!(
            "a U-Net by nnU-Net's rules: an axis is halved while it has 8 voxels or more, less than twice as long as the finest, which makes \
             {} stages and tokens of {} voxels. A step takes about {}",
            features.len(),
            by(self.network.model.total_stride()),
            bytes(self.bytes)
        );
        if !self.others.is_empty() {
            let other = |(preset, needed): &(Preset, u64)| format!("preset({preset}), {}", bytes(*needed));
            reason += &format!(". In its place would fit {}", list(&self.others.iter().map(other).collect::<Vec<_>>()));
        }
        let [features, blocks] = [features, blocks].map(value_to_ron);
        let value = format!("unet((features: {features}, strides: {}, blocks: {blocks}))", value_to_ron(strides));
        Choice { key: "model", value, reason }
    }

    /// Batch and crop of fine-tuning with their reasons; `median` are the voxels of the median volume.
    pub fn finetune_choices(&self, median: &[f64; 3]) -> Vec<Choice> {
        let stride = self.network.model.total_stride();
        let limit = match (self.accumulate, self.batch.limit) {
            (1, Limit::Memory) if self.timed => "as many crops as fit the memory and the time that were planned for",
            (1, Limit::Memory) => "as many crops as fit the memory that was planned for",
            (1, Limit::Dataset) => "crops of 5 % of the dataset's voxels: nnU-Net's limit, since more of them would be of little use",
            (1, Limit::Least) => "two at least, though the dataset is so small that they hold more than 5 % of its voxels",
            _ => "not even two of the smallest crops fit at once",
        };
        let crop = format!(
            "no larger than the median volume ({}) but for whole steps of the last stage ({}), and small enough that two fit the memory{}",
            by(median.map(|n| n.round() as usize)),
            by(stride),
            if self.timed { ", and enough steps the time" } else { "" }
        );
        let mut choices = vec![Choice::new("finetune.batch", &self.batch.crops, limit)];
        if self.accumulate > 1 {
            choices.push(Choice::new("finetune.accumulate", &self.accumulate, "so many batches are added up instead"));
        }
        choices.push(Choice::new("finetune.crop_size", &self.network.crop_size, crop));
        choices
    }

    /// Which crops hold a label for sure, and over what the Dice is taken; `median` are the voxels of the median volume.
    pub fn foreground_and_dice(&self, median: &[f64; 3]) -> [Choice; 3] {
        let crops = self.batch.crops;
        let finetune = FinetuneConfig { batch: crops, foreground_in_each_batch: crops > 1, ..FinetuneConfig::default() };
        let guaranteed = match finetune.foreground_crops() {
            Some(sure) => format!("{sure} of the {crops} crops of every batch, the last, as nnU-Net's"),
            None => "a batch is one crop, which goes by chance".to_owned(),
        };
        let share = self.network.crop_size.iter().product::<usize>() as f64 / median.iter().product::<f64>();
        let batch_dice = share < BATCH_DICE_SHARE;
        let dice = match batch_dice {
            true => {
                "crops hold less than an eighth of the median volume: where nnU-Net plans a lower resolution as well, it takes the Dice \
                     of all crops of a batch together"
            }
            false => {
                "the Dice is that of each crop, as nnU-Net's where it plans no lower resolution: crops hold an eighth of the median \
                      volume or more"
            }
        };
        [
            Choice::new(
                "finetune.foreground_share",
                &finetune.foreground_share,
                "nnU-Net's share of crops that hold a label in their middle",
            ),
            Choice::new("finetune.foreground_in_each_batch", &finetune.foreground_in_each_batch, guaranteed),
            Choice::new("finetune.batch_dice", &batch_dice, dice),
        ]
    }
}

impl PretrainSizes {
    /// Why so many volumes.
    pub fn batch_reason(&self) -> String {
        format!("no more than fit and fine-tuning takes, all of different volumes; a step takes about {}", bytes(self.bytes))
    }

    /// Why such crops.
    pub fn crop_reason(&self, network: &Network) -> String {
        let reason = if self.crop_size == network.crop_size {
            "as in fine-tuning"
        } else {
            "smaller than in fine-tuning, so that two views of two fit"
        };
        reason.to_owned()
    }
}

fn by(sizes: [usize; 3]) -> String {
    sizes.map(|size| size.to_string()).join(" x ")
}
