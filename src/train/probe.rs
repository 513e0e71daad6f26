//! The probe set through an encoder: tokens for the collapse metrics (METHOD: "Representation collapse, measured").

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};

use super::{Obey, TrainError};
use crate::config::ProbeConfig;
use crate::geometry::SignedPermutation;
use crate::metrics::collapse::{self, Collapse, LabelledTokens, ProbeTokens, label_probe};
use crate::model::{Encoder, Pass};
use crate::objective::{Objective as _, Pretext};
use crate::preprocess::PreparedCase;
use crate::protocol::{CollapsePair, Stage, TokenPreview, TokenSet};
use crate::sampling::{CaseSet, ProbeInput, ProbePlan, ProbeSet, SamplingError, TokenFrame};

/// Crops encoded at once: enough to keep a device busy, few enough for a small one.
const CROPS_AT_ONCE: usize = 4;

/// Volumes whose tokens are shown: a map of more is a cloud.
const SHOWN_VOLUMES: usize = 6;

/// Voxel values of the crops that are shown, unless two volumes alone take more: they are kept and written at each probe.
const SHOWN_VALUES: usize = 1 << 24;

/// Volumes of a probe.
pub struct ProbeData {
    /// Measured; the label probe is tested on them.
    pub held_out: CaseSet,
    /// The label probe is fitted on them.
    pub labelled: CaseSet,
    /// Classes, background included.
    pub classes: usize,
}

/// Fixed crops of held-out volumes, and how to look at an encoder through them.
pub struct Probe {
    probe_set: ProbeSet,
    /// Crops of labelled volumes on which the label probe is fitted.
    fitting: Option<ProbeSet>,
    crops: usize,
    label_volumes: Vec<usize>,
    /// The first crop of the volumes that are shown.
    shown: Arc<Vec<f32>>,
}

/// What a probe found: the numbers, and the tokens that they were read off.
pub struct Probed {
    /// The numbers.
    pub collapse: CollapsePair,
    upright: ProbeSets,
}

/// Tokens of one input through encoder and heads.
struct ProbeSets {
    encoder: ProbeTokens,
    /// None where the heads compare no tokens.
    projected: Option<ProbeTokens>,
}

impl Probe {
    /// Cuts the crops.
    ///
    /// # Errors
    /// Cases whose channels differ, one that can no longer be read, or a crop that tokens do not fill evenly.
    pub fn new(config: &ProbeConfig, frame: TokenFrame, data: &ProbeData, seed: u64) -> Result<Self, SamplingError> {
        let probe_set = |config: ProbeConfig, cases: &CaseSet, seed: u64| {
            let cases: Vec<&PreparedCase> = cases.iter().map(|case| &**case).collect();
            ProbeSet::new(&ProbePlan { config, frame, classes: data.classes, seed }, &cases)
        };
        let most = config.label_volumes.iter().copied().filter(|&count| count <= data.labelled.len()).max();
        // Another seed: the probe is not to be fitted on crops at the very places where it is tested.
        let fitting = most
            .map(|most| probe_set(ProbeConfig { volumes: most, ..config.clone() }, &data.labelled, seed.wrapping_add(1)))
            .transpose()?;
        let probe_set = probe_set(config.clone(), &data.held_out, seed)?;
        let values = probe_set.shape()[1..].iter().product::<usize>();
        let volumes = probe_set.cases().len().min(SHOWN_VOLUMES.min((SHOWN_VALUES / values).max(2)));
        let shown = (0..volumes).flat_map(|volume| probe_set.input(ProbeInput::Original, volume * config.crops)).collect();
        Ok(Self {
            probe_set,
            fitting: fitting.filter(|probe_set| probe_set.label_shares().is_some()),
            crops: config.crops,
            label_volumes: config.label_volumes.clone(),
            shown: Arc::new(shown),
        })
    }

    /// The collapse numbers of an encoder, and of what heads that compare tokens make of them.
    ///
    /// # Errors
    /// Those of `obey`, which is asked before each batch of crops.
    pub fn measure(&self, encoder: &Encoder, pretext: Option<&Pretext>, obey: &mut Obey<'_>) -> Result<Probed, TrainError> {
        self.look((encoder, pretext), |probe_set, crop| probe_set.input(ProbeInput::Original, crop), true, obey)
    }

    /// The tokens of the first crop of a few volumes, with the crops themselves, to be looked at.
    pub fn preview(&self, probed: &Probed, stage: &Stage, step: usize) -> TokenPreview {
        let [_, channels, depth, height, width] = self.probe_set.shape();
        let volumes = self.shown.len() / (channels * depth * height * width);
        let first_crops = |probe_set: &ProbeTokens| {
            let length = probe_set.grid() * probe_set.dim;
            TokenSet {
                dim: probe_set.dim,
                values: (0..volumes).flat_map(|volume| &probe_set.tokens[volume * self.crops * length..][..length]).copied().collect(),
            }
        };
        TokenPreview {
            stage: stage.clone(),
            step,
            cases: self.probe_set.cases()[..volumes].to_vec(),
            channels,
            crop: [depth, height, width],
            spacing_mm: self.probe_set.spacing_mm()[..volumes].to_vec(),
            grid: probed.upright.encoder.positions,
            voxels: self.shown.clone(),
            projected: probed.upright.projected.as_ref().map(first_crops),
            encoder: first_crops(&probed.upright.encoder),
        }
    }

    /// The numbers of inputs without anatomy: a constant, and white noise.
    ///
    /// # Errors
    /// Those of `obey`, which is asked before each batch of crops.
    pub fn baselines(
        &self,
        encoder: &Encoder,
        pretext: Option<&Pretext>,
        obey: &mut Obey<'_>,
    ) -> Result<[(&'static str, CollapsePair); 2], TrainError> {
        let mut of = |input| {
            Ok::<_, TrainError>(self.look((encoder, pretext), |probe_set, crop| probe_set.input(input, crop), false, obey)?.collapse)
        };
        Ok([("constant", of(ProbeInput::Constant)?), ("noise", of(ProbeInput::Noise)?)])
    }

    fn look(
        &self,
        network: (&Encoder, Option<&Pretext>),
        input: impl Fn(&ProbeSet, usize) -> Vec<f32>,
        labelled: bool,
        obey: &mut Obey<'_>,
    ) -> Result<Probed, TrainError> {
        let frame = self.probe_set.frame();
        let values = self.probe_set.shape()[1..].iter().product::<usize>();
        let channels = values / frame.crop.iter().product::<usize>();
        let mut through = |probe_set: &ProbeSet, rotation: &dyn Fn(usize) -> SignedPermutation| {
            let make = |crop: usize| (rotation(crop), rotation(crop).apply(&input(probe_set, crop), channels, frame.crop));
            self.encode(probe_set, network, &make, obey)
        };
        let upright = through(&self.probe_set, &|_| SignedPermutation::IDENTITY)?;
        let turned_bank = through(&self.probe_set, &|crop| self.probe_set.rotations()[crop])?;
        let reflected = through(&self.probe_set, &|_| SignedPermutation::POINT_REFLECTION)?;
        let fitting =
            self.fitting.as_ref().filter(|_| labelled).map(|probe_set| through(probe_set, &|_| SignedPermutation::IDENTITY)).transpose()?;
        let pick = |part: fn(&ProbeSets) -> Option<&ProbeTokens>| {
            let original = part(&upright)?;
            let labels = fitting.as_ref().and_then(|fitting| {
                let with_shares =
                    |tokens: &ProbeTokens, probe_set: &ProbeSet| Some(self.labelled(tokens.clone(), probe_set.label_shares()?));
                Some((with_shares(part(fitting)?, self.fitting.as_ref()?)?, with_shares(original, &self.probe_set)?))
            });
            let measured = Collapse::measure(collapse::ProbeSets { original, rotated: part(&turned_bank), reflected: part(&reflected) });
            Some(match labels {
                Some((fit, test)) => measured.with_labels(label_probe(&fit, &test, &self.label_volumes)),
                None => measured,
            })
        };
        let encoder = pick(|probe_sets| Some(&probe_sets.encoder)).expect("every encoder has tokens");
        let projected = pick(|probe_sets| probe_sets.projected.as_ref());
        Ok(Probed { collapse: CollapsePair { projected, encoder }, upright })
    }

    /// Tokens with the shares of the labels in their blocks, background left out.
    fn labelled(&self, tokens: ProbeTokens, shares: &[f32]) -> LabelledTokens {
        let classes = shares.len() / tokens.len();
        let shares = shares.chunks_exact(classes).flat_map(|classes| &classes[1..]).copied().collect();
        LabelledTokens { tokens, labels: classes - 1, shares }
    }

    fn encode(
        &self,
        probe_set: &ProbeSet,
        (encoder, pretext): (&Encoder, Option<&Pretext>),
        make: &dyn Fn(usize) -> (SignedPermutation, Vec<f32>),
        obey: &mut Obey<'_>,
    ) -> Result<ProbeSets, TrainError> {
        let device = device_of(encoder);
        let [samples, channels, depth, height, width] = probe_set.shape();
        let (mut encoded, mut projected) = (Vec::new(), Vec::new());
        let (mut encoder_dim, mut projected_dim, mut positions) = (0, None, probe_set.frame().grid());
        for first in (0..samples).step_by(CROPS_AT_ONCE) {
            obey()?;
            let crops = first..(first + CROPS_AT_ONCE).min(samples);
            let shape = [crops.len(), channels, depth, height, width];
            let (rotations, voxels): (Vec<SignedPermutation>, Vec<Vec<f32>>) = crops.map(make).unzip();
            let volume = Tensor::<5>::from_data(TensorData::new(voxels.concat(), shape), &device);
            let features = encoder.encode(volume, Pass::EVALUATION).pop().expect("a network has a stage");
            let [batch, dim, d, h, w] = features.dims();
            positions = [d, h, w];
            let tokens = features.reshape([batch, dim, d * h * w]).swap_dims(1, 2);
            if let Some(seen) = pretext.and_then(|pretext| pretext.project_rotated(tokens.clone(), &rotations)) {
                projected_dim = Some(seen.dims()[2]);
                projected.extend(host(seen));
            }
            encoder_dim = dim;
            encoded.extend(host(tokens));
        }
        let volumes = samples / self.crops;
        let probe_set = |tokens, dim| ProbeTokens { volumes, crops: self.crops, positions, dim, tokens };
        Ok(ProbeSets { encoder: probe_set(encoded, encoder_dim), projected: projected_dim.map(|dim| probe_set(projected, dim)) })
    }
}

fn host(tokens: Tensor<3>) -> Vec<f32> {
    tokens.into_data().try_into_vec().expect("tokens are float32")
}

fn device_of(encoder: &Encoder) -> Device {
    use burn::module::Module as _;
    encoder.devices().pop().expect("an encoder has parameters")
}
