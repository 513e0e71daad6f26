//! From a fingerprint and the memory of a device to the settings that follow, each with its reason.

use super::augment::augmentation;
use super::error::ConfigureError;
use super::fingerprint::{CaseShape, Fingerprint, Intensities, Modality};
use super::patients::{Patients, fold_choice};
use super::probing::{MOST_PROBES, ProbeSize};
use super::request::{Limits, Request};
use super::sizes::{Sizes, Volumes};
use super::spacing::{TargetSpacing, median_shape};
use super::text::{Choice, config_text};
use super::time::{self, SENSIBLE_STEPS, Test};
use super::training::{Training, planned_rule};
use crate::config::{DataSource, Intensity, PretrainConfig, ProbeConfig, Rotate, RunConfig, value_to_ron};
use crate::plan::Room;
use crate::volume::check::number;
use crate::wording::{count, duration, list};

/// Volumes that pre-training needs: of fewer there are too few others for a token to be told from.
const LEAST_PRETRAINED: usize = 10;

/// How much longer along D than in plane voxels are before rotations leave D alone.
const IN_PLANE: f64 = 2.0;

/// A config with what it was made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Configuration {
    /// What the dataset holds.
    pub fingerprint: Fingerprint,
    /// For how much memory was planned, and why.
    pub memory: String,
    /// The settings with their reasons, in the config's order.
    pub choices: Vec<Choice>,
    /// What a person should look at.
    pub hints: Vec<String>,
    /// The config's text.
    pub text: String,
    /// The settings that it means.
    pub config: RunConfig,
    /// What it was kept to.
    pub limits: Limits,
    /// What a measurement of collapse looks at; none where nothing pre-trains or too little is held out.
    pub probe: Option<ProbeSize>,
}

impl Configuration {
    /// Voxels that a step of pre-training and one of fine-tuning look at.
    pub fn step_voxels(&self) -> [usize; 2] {
        let RunConfig { pretrain, finetune, .. } = &self.config;
        let volume = |size: [usize; 3]| size.iter().product::<usize>();
        [
            pretrain.batch * pretrain.accumulate * volume(pretrain.crop_size),
            finetune.batch * finetune.accumulate * volume(finetune.crop_size),
        ]
    }

    /// Voxels of a step that decides on the crops: of fine-tuning, or of pre-training where nothing is labelled.
    pub fn voxels(&self) -> usize {
        self.step_voxels()[usize::from(self.fingerprint.labelled() > 0)]
    }

    /// Steps of that training.
    pub fn steps(&self) -> usize {
        if self.fingerprint.labelled() > 0 { self.config.finetune.steps } else { self.config.pretrain.steps }
    }

    /// Voxels of a step with which the time would allow enough steps of that training, where it allows `steps`; none where these are enough.
    pub fn voxels_for_more(&self, steps: usize) -> Option<usize> {
        (steps < SENSIBLE_STEPS).then(|| time::sensible_voxels(steps, self.voxels()))
    }
}

/// The name of a config for a dataset, fit for a folder: small letters, digits and `_`.
pub fn run_name(dataset: &str) -> String {
    let plain: String = dataset.to_lowercase().chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    let plain = plain.trim_matches('_');
    if plain.is_empty() { "dataset".to_owned() } else { plain.to_owned() }
}

/// The config that follows from a fingerprint, for the memory of `room`; `memory` says in words how that was found.
///
/// # Errors
/// A pattern of patients that fits no names, nothing to train, no memory for even the smallest network.
pub fn choose(
    fingerprint: Fingerprint,
    source: &DataSource,
    request: &Request,
    (room, memory): (Room, String),
    limits: &Limits,
) -> Result<Configuration, ConfigureError> {
    let patients = Patients::of(&fingerprint, request.groups.as_deref())?;
    let labelled = fingerprint.labelled();
    let (split, tested) = fold_choice(&fingerprint, &patients);
    let volumes = fingerprint.cases.len() - tested;
    let pretrains = volumes >= LEAST_PRETRAINED;
    if labelled == 0 && !pretrains {
        let cases = count(fingerprint.cases.len(), "case");
        return Err(ConfigureError::NothingToTrain { name: fingerprint.name, cases, least: LEAST_PRETRAINED });
    }
    // What is segmented decides; without labels what is there.
    let planned: Vec<&CaseShape> = fingerprint.cases.iter().filter(|case| case.labelled || labelled == 0).collect();
    let spacings: Vec<[f64; 3]> = planned.iter().map(|case| case.spacing_mm).collect();
    let shapes: Vec<[usize; 3]> = planned.iter().map(|case| case.shape).collect();
    let target = TargetSpacing::of(&spacings, &shapes);
    let resampled = |case: &&CaseShape| {
        [0, 1, 2].map(|axis| ((case.shape[axis] as f64 * case.spacing_mm[axis] / target.spacing_mm[axis]).round() as usize).max(1))
    };
    let median = median_shape(&planned.iter().map(resampled).collect::<Vec<_>>());
    let on_gpu = room.binding_bytes.is_some();
    let pretrained = if pretrains { volumes } else { 0 };
    let most_voxels = limits.voxels;
    let planned_for = Volumes { spacing_mm: target.spacing_mm, median, cases: planned.len(), pretrained, most_voxels };
    let sizes = Sizes::plan(&planned_rule(on_gpu, request), &fingerprint, &planned_for, room)?;
    let test = Test { cases: tested, median, crop_size: sizes.network.crop_size, batch: sizes.crops_of_step() };
    let probed = [tested, labelled.saturating_sub(tested)];
    let probe = sizes.pretrain.and_then(|pretrain| ProbeSize::of(&ProbeConfig::default(), probed, pretrain.batch));
    let training = Training::plan((on_gpu, volumes), &sizes, (&test, probe), (request, limits))?;

    let mut choices = data_choices(&fingerprint, source, request, &patients);
    choices.push(split);
    choices.extend(preparation(&fingerprint, &target, &planned));
    choices.push(sizes.model_choice());
    choices.extend(pretraining(&sizes, &training, &target, limits));
    choices.extend(sizes.finetune_choices(&median));
    choices.extend(finetuning(&fingerprint, &training, &sizes, &median));
    choices.push(arms(labelled > 0, sizes.pretrain.is_some(), (volumes, training.is_adamw())));
    let hints = [patients.hint(), hounsfield_hint(&fingerprint), absent_hint(&fingerprint), training.hint].into_iter().flatten().collect();

    let time = request.time_secs.map_or_else(String::new, |secs| format!(" and {}", duration(secs)));
    let header = format!(
        "Made by `simtrot configure` {} from {} of {}, for {}. Each setting stands below its reason; what is not stated is a default. \
         Lists of three are in D,H,W order, slices first. Change what you know better.",
        crate::VERSION,
        count(fingerprint.cases.len(), "case"),
        fingerprint.name,
        memory.split(':').next().unwrap_or_default().to_owned() + &time
    );
    let text = config_text(&header, &choices);
    let config = RunConfig::from_ron(&text, "the config that was made")?;
    config.check_arms(&config)?;
    Ok(Configuration { fingerprint, memory, choices, hints, text, config, limits: limits.clone(), probe })
}

fn data_choices(fingerprint: &Fingerprint, source: &DataSource, request: &Request, patients: &Patients) -> Vec<Choice> {
    let (cases, labelled) = (fingerprint.cases.len(), fingerprint.labelled());
    let name = request.name.as_deref().map_or_else(|| run_name(&fingerprint.name), run_name);
    let mut choices = vec![
        Choice::new("name", &name, "names the folder of results below runs/"),
        Choice::new("data.source", source, format!("{}: {labelled} with a label map, {} without", count(cases, "case"), cases - labelled)),
    ];
    if !fingerprint.unusable.is_empty() {
        let unusable = count(fingerprint.unusable.len(), "case");
        let reason = format!("{unusable} cannot be used and are left out, as asked: {}", list(&fingerprint.unusable));
        choices.push(Choice::new("data.skip_bad", &true, reason));
    }
    if let Some(pattern) = &request.groups {
        let reason = format!("{} by the pattern given; all scans of one stay on one side of the split", count(patients.all, "patient"));
        choices.push(Choice::new("data.groups", pattern, reason));
    }
    choices
}

/// Voxel size, intensity, border.
fn preparation(fingerprint: &Fingerprint, target: &TargetSpacing, planned: &[&CaseShape]) -> [Choice; 3] {
    let cases = count(planned.len(), if planned[0].labelled { "labelled case" } else { "case" });
    let spacing = match target.thick {
        None => format!("median of {cases} on each axis"),
        Some(axis) => format!(
            "median of {cases} on each axis, but {}: it is more than 3 times as coarse as the others and has less than a third of their \
             voxels, so that its 10th percentile is taken (no finer than the others)",
            ["D", "H", "W"][axis]
        ),
    };
    let border = planned.iter().map(|case| case.border).sum::<f64>() / planned.len() as f64;
    let border = format!("cuts the empty border away, {:.0} % of the voxels, as nnU-Net does", 100.0 * border);
    let (intensity, reason) = intensity(fingerprint);
    [
        Choice::new("data.preprocess.spacing_mm", &Some(target.spacing_mm), spacing),
        Choice::new("data.preprocess.intensity", &intensity, reason),
        Choice::new("data.preprocess.crop_foreground", &true, border),
    ]
}

fn intensity(fingerprint: &Fingerprint) -> (Intensity, String) {
    let names: Vec<&str> = fingerprint.channels.iter().map(|channel| channel.name.as_str()).collect();
    let names = list(&names);
    match fingerprint.modality() {
        Modality::Ct => match ct_statistics(fingerprint) {
            Some(statistics) => {
                let reason = format!(
                    "CT by the channel's name ({names}): clipped at the 0.5th and 99.5th percentile inside the labels, less their mean, over \
                         their deviation, as nnU-Net does"
                );
                (statistics, reason)
            }
            None => (Intensity::CT, format!("CT by the channel's name ({names}); no labels to take percentiles from: the paper's window")),
        },
        Modality::Mr => {
            (Intensity::default(), format!("MR by the channel's name ({names}): each scan by its own mean and deviation, as nnU-Net does"))
        }
        Modality::Unknown => {
            let reason = "not CT throughout by name, so that each scan goes by its own mean and deviation, as nnU-Net does";
            (Intensity::default(), format!("the channels ({names}) are {reason}"))
        }
    }
}

/// Percentiles, mean and deviation inside the labels, of all channels alike, to a hundredth; none without labels, or where they have no width.
fn ct_statistics(fingerprint: &Fingerprint) -> Option<Intensity> {
    let inside: Vec<Intensities> = fingerprint.channels.iter().filter_map(|channel| channel.labels).collect();
    let average = |of: fn(&Intensities) -> f64| inside.iter().map(of).sum::<f64>() / inside.len() as f64;
    let round = |value: f64| (value * 100.0).round() / 100.0;
    let low = inside.iter().map(|channel| round(f64::from(channel.low))).reduce(f64::min)?;
    let high = inside.iter().map(|channel| round(f64::from(channel.high))).reduce(f64::max)?;
    let mean = average(|channel| channel.mean);
    let square = average(|channel| channel.mean.powi(2) + channel.deviation.powi(2));
    let deviation = round((square - mean.powi(2)).max(0.0).sqrt());
    (low < high && deviation > 0.0).then_some(Intensity::CtStatistics { low, high, mean: round(mean), deviation })
}

/// What the intensities seem to be, where no name says so.
fn hounsfield_hint(fingerprint: &Fingerprint) -> Option<String> {
    let channel = fingerprint.channels.iter().find(|channel| channel.resembles_hounsfield())?;
    let statistics = ct_statistics(fingerprint).unwrap_or(Intensity::CT);
    Some(format!(
        "{:?} runs from {} to {}, as Hounsfield units do, though it isn't called CT. If it is CT, set data.preprocess.intensity to {}",
        channel.name,
        number(f64::from(channel.body.low)),
        number(f64::from(channel.body.high)),
        value_to_ron(&statistics)
    ))
}

fn absent_hint(fingerprint: &Fingerprint) -> Option<String> {
    let absent = fingerprint.classes.iter().filter(|class| class.cases == 0).map(|class| class.name.as_str());
    let absent: Vec<&str> = absent.collect();
    (!absent.is_empty() && fingerprint.labelled() > 0).then(|| format!("no label map holds {}: it cannot be learned", list(&absent)))
}

fn pretraining(sizes: &Sizes, training: &Training, target: &TargetSpacing, limits: &Limits) -> Vec<Choice> {
    let Some(pretrain) = sizes.pretrain else {
        return vec![Choice::new("pretrain.crop_size", &sizes.network.crop_size, "as below; nothing is pre-trained")];
    };
    let (steps, reason) = &training.pretrain;
    let [depth, height, width] = target.spacing_mm;
    let thick = depth >= IN_PLANE * height.min(width);
    let (rotate, turned) = if thick {
        (Rotate::InPlane, "voxels are at least twice as long along D as in plane: rotations leave D alone")
    } else {
        (Rotate::Full, "voxels are about as long on all axes: rotated about each")
    };
    let estimated = limits.measured.as_ref().is_some_and(|measured| measured.probe_secs.is_none());
    let (every, probed) = training.probing.map_or_else(
        || ((*steps / MOST_PROBES).max(1), format!("collapse is measured about {MOST_PROBES} times")),
        |probing| probing.every(*steps, estimated),
    );
    vec![
        Choice::new("pretrain.steps", steps, reason.as_str()),
        Choice::new("pretrain.batch", &pretrain.batch, pretrain.batch_reason()),
        Choice::new("pretrain.crop_size", &pretrain.crop_size, pretrain.crop_reason(&sizes.network)),
        Choice::new("pretrain.rotate", &rotate, turned),
        Choice::new("pretrain.probe_every", &every, probed),
    ]
}

/// All of fine-tuning but its sizes.
fn finetuning(fingerprint: &Fingerprint, training: &Training, sizes: &Sizes, median: &[f64; 3]) -> Vec<Choice> {
    if fingerprint.labelled() == 0 {
        return Vec::new();
    }
    let (steps, long) = &training.finetune;
    let mut choices = vec![Choice::new("finetune.steps", steps, long.as_str())];
    choices.extend(sizes.foreground_and_dice(median));
    choices.extend(augmentation(&fingerprint.classes, sizes.network.crop_size));
    choices.extend(training.rule_choices());
    choices
}

/// `is_adamw`: whether the arm from scratch trains by AdamW, so that `run` adds none.
fn arms(finetunes: bool, pretrains: bool, (volumes, is_adamw): (usize, bool)) -> Choice {
    let name = PretrainConfig::default().arm_name();
    let pretrained = if pretrains { format!("(name: {name:?})") } else { String::new() };
    let finetuned = match (finetunes, pretrains) {
        (false, _) => String::new(),
        (true, false) => "(name: \"scratch\")".to_owned(),
        (true, true) => format!("(name: \"scratch\"), (name: {name:?}, from: {name:?})"),
    };
    let reason = match (finetunes, pretrains) {
        (false, _) => format!("{volumes} volumes pre-train; nothing is labelled to fine-tune with"),
        (true, true) => format!(
            "{volumes} volumes pre-train without their labels, beside training from scratch: only the comparison shows whether it helps{}",
            if is_adamw { "" } else { ". `run` adds a control from scratch with AdamW" }
        ),
        (true, false) if volumes < LEAST_PRETRAINED => {
            format!("from scratch alone: {} are too few to pre-train on, at least {LEAST_PRETRAINED} are needed", count(volumes, "volume"))
        }
        (true, false) => "from scratch alone: not even two crops of pre-training fit the memory".to_owned(),
    };
    Choice { key: "arms", value: format!("(pretrain: [{pretrained}], finetune: [{finetuned}])"), reason }
}
