//! Representation collapse, measured: does a token say what it sees, or only where it lies?
//!
//! The encoder's tokens of a fixed probe set of held-out crops come in, numbers go out ([`Collapse`]), and a [`verdict`].
//! Show the untrained encoder's numbers beside them, and those of a constant and a noise input.

mod maps;
mod neighbours;
mod probe;
mod probe_set;
mod ridge;
mod spectrum;
mod variance;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::score::mean;

pub use maps::TokenMaps;
pub use probe::{LabelProbe, label_probe};
pub use probe_set::{LabelledTokens, ProbeTokens};
pub use verdict::{BOUND_LOCK, COLLAPSED_FROM, HEALTHY_BELOW, Judgement, THRESHOLDS, Verdict, verdict};

/// The numbers. `None` where an input was not given, or where the number does not exist (0 divided by 0).
///
/// Of a constant encoder (all tokens equal): `eta2`, shares, locks, `residual_rankme` and retrieval do not exist, `gap` is 0,
/// `rankme` 1, `uniformity` 0, `alignment` 0, the position probe explains 0 and the content probe is at chance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Collapse {
    /// Share of token variance explained by grid position; 1: a token is a function of its position alone. Anatomy is aligned
    /// across patients, so that it stays high in healthy encoders (0.8).
    pub eta2: Option<f64>,
    /// The same after each volume was rotated by an element of its own, not restored: no anatomy is aligned, what is left is the
    /// array index. The headline: untrained 0.10, collapsed 0.996, cured 0.47.
    pub eta2_turned: Option<f64>,
    /// Share of token variance explained by the crop (two-way analysis of variance).
    pub volume_share: Option<f64>,
    /// Share explained by neither position nor crop.
    pub remainder_share: Option<f64>,
    /// Mean cosine of tokens of different volumes at the same position, minus that at other positions.
    pub gap: Option<f64>,
    /// Mean cosine (grand mean taken off) of the point-reflected volume's tokens and the original's at the same index.
    pub index_lock: Option<f64>,
    /// The same at the same anatomy.
    pub anatomy_lock: Option<f64>,
    /// R² of label shares in a token's block, on test volumes, by number of labelled volumes.
    #[serde(with = "by_number")]
    pub label_probe_r2: BTreeMap<usize, f64>,
    /// The same from the position alone.
    #[serde(with = "by_number")]
    pub label_probe_r2_position: BTreeMap<usize, f64>,
    /// Effective rank of all tokens. For looking, not for judging: it stays up under positional collapse.
    pub rankme: Option<f64>,
    /// Effective rank after each position's mean is taken off. For looking as well.
    pub residual_rankme: Option<f64>,
    /// R² of a linear probe for the grid coordinates, on volumes it was not fitted on.
    pub position_probe_r2: Option<f64>,
    /// How often a linear probe finds a token's volume, on crops (or positions, with one crop) it was not fitted on.
    pub content_probe_accuracy: Option<f64>,
    /// Mean squared distance of a token and its counterpart in the reflected volume, from 0 to 4.
    pub alignment: Option<f64>,
    /// Log of the mean `exp(-2 distance²)` over pairs of tokens; 0: all equal, the lower the more spread.
    pub uniformity: Option<f64>,
    /// Share of tokens whose nearest token, among those of the same crop and of other volumes, has their position in another volume.
    pub retrieval_wrong_volume: Option<f64>,
    /// Singular values of the tokens, largest first, summing to 1.
    pub spectrum: Vec<f64>,
}

/// `gap` alone: mean cosine of tokens of different volumes at the same position, minus that at other positions. None with a
/// single volume or position, or where a token is not finite.
pub fn gap(probe_set: &ProbeTokens) -> Option<f64> {
    variance::gap(&finite(probe_set)?)
}

/// RankMe alone: the effective rank of all tokens. None where a token is not finite.
pub fn rankme(probe_set: &ProbeTokens) -> Option<f64> {
    spectrum::effective_rank(&spectrum::spectrum(&finite(probe_set)?))
}

/// The probe set with tokens of length 1, unless one is not finite.
fn finite(probe_set: &ProbeTokens) -> Option<ProbeTokens> {
    let whole = !probe_set.is_empty() && probe_set.tokens.iter().all(|x| x.is_finite());
    whole.then(|| probe_set.normalised())
}

/// The tokens of one encoder for the same crops, once as they are and once after they were rotated.
#[derive(Clone, Copy, Debug)]
pub struct ProbeSets<'a> {
    /// As they are.
    pub original: &'a ProbeTokens,
    /// Each volume rotated by an admissible element of its own, tokens not restored.
    pub rotated: Option<&'a ProbeTokens>,
    /// Each volume reversed along all three axes, tokens not restored.
    pub reflected: Option<&'a ProbeTokens>,
}

impl Collapse {
    /// All numbers but those of the label probe. All are `None` if a token is not finite.
    ///
    /// # Panics
    /// If a probe_set does not hold as many numbers as it says, or the probe_sets differ in shape.
    pub fn measure(probe_sets: ProbeSets) -> Self {
        let ProbeSets { original, rotated, reflected } = probe_sets;
        let all = [Some(original), rotated, reflected];
        for probe_set in all.iter().flatten() {
            assert_eq!(probe_set.tokens.len(), probe_set.len() * probe_set.dim, "a probe_set holds [volumes, crops, positions, dim]");
            let shape = |probe_set: &ProbeTokens| (probe_set.volumes, probe_set.crops, probe_set.positions, probe_set.dim);
            assert_eq!(shape(probe_set), shape(original), "the probe_sets hold the same crops");
        }
        if all.iter().flatten().any(|probe_set| probe_set.is_empty() || probe_set.tokens.iter().any(|x| !x.is_finite())) {
            return Self::default();
        }
        let probe_set = &original.normalised();
        let reflected = reflected.map(ProbeTokens::normalised);
        let restored = reflected.as_ref().map(ProbeTokens::reversed);
        let shares = variance::shares(probe_set);
        let spectrum = spectrum::spectrum(probe_set);
        let neighbours = neighbours::neighbours(probe_set);
        Self {
            eta2: shares.map(|shares| shares.position),
            eta2_turned: rotated.and_then(|rotated| variance::shares(&rotated.normalised())).map(|shares| shares.position),
            volume_share: shares.map(|shares| shares.volume),
            remainder_share: shares.map(|shares| shares.remainder),
            gap: variance::gap(probe_set),
            index_lock: reflected.as_ref().and_then(|reflected| variance::lock(probe_set, reflected)),
            anatomy_lock: restored.as_ref().and_then(|restored| variance::lock(probe_set, restored)),
            rankme: spectrum::effective_rank(&spectrum),
            residual_rankme: spectrum::residual_spectrum(probe_set).and_then(|residual| spectrum::effective_rank(&residual)),
            position_probe_r2: probe::position_r2(probe_set),
            content_probe_accuracy: probe::content_accuracy(probe_set),
            alignment: restored.as_ref().and_then(|restored| variance::alignment(probe_set, restored)),
            uniformity: neighbours.map(|neighbours| neighbours.uniformity),
            retrieval_wrong_volume: shares.and(neighbours).map(|neighbours| neighbours.wrong_volume),
            spectrum,
            ..Self::default()
        }
    }

    /// Means of several measurements, number by number, over those that have it.
    pub fn mean(all: &[&Self]) -> Self {
        if let [only] = all {
            return (*only).clone();
        }
        let of = |value: fn(&Self) -> Option<f64>| mean(all.iter().filter_map(|own| value(own)).filter(|value| value.is_finite()));
        let by_number = |values: fn(&Self) -> &BTreeMap<usize, f64>| {
            let numbers: BTreeSet<usize> = all.iter().flat_map(|own| values(own).keys().copied()).collect();
            let mean_of = |n: usize| Some((n, mean(all.iter().filter_map(|own| values(own).get(&n).copied()))?));
            numbers.into_iter().filter_map(mean_of).collect()
        };
        let values = all.iter().map(|own| own.spectrum.len()).min().unwrap_or(0);
        Self {
            eta2: of(|c| c.eta2),
            eta2_turned: of(|c| c.eta2_turned),
            volume_share: of(|c| c.volume_share),
            remainder_share: of(|c| c.remainder_share),
            gap: of(|c| c.gap),
            index_lock: of(|c| c.index_lock),
            anatomy_lock: of(|c| c.anatomy_lock),
            label_probe_r2: by_number(|c| &c.label_probe_r2),
            label_probe_r2_position: by_number(|c| &c.label_probe_r2_position),
            rankme: of(|c| c.rankme),
            residual_rankme: of(|c| c.residual_rankme),
            position_probe_r2: of(|c| c.position_probe_r2),
            content_probe_accuracy: of(|c| c.content_probe_accuracy),
            alignment: of(|c| c.alignment),
            uniformity: of(|c| c.uniformity),
            retrieval_wrong_volume: of(|c| c.retrieval_wrong_volume),
            spectrum: (0..values).filter_map(|index| mean(all.iter().map(|own| own.spectrum[index]))).collect(),
        }
    }

    /// The numbers with those of the label probe.
    #[must_use]
    pub fn with_labels(self, probe: LabelProbe) -> Self {
        Self { label_probe_r2: probe.tokens, label_probe_r2_position: probe.position, ..self }
    }
}

#[cfg(test)]
mod tests;

/// Maps keyed by numbers, written with the numbers as words: JSON knows no other keys, and a record that is read through
/// serde's buffer (tagged or flattened) does not convert them back by itself.
mod by_number {
    use std::collections::BTreeMap;

    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(map: &BTreeMap<usize, f64>, serializer: S) -> Result<S::Ok, S::Error> {
        map.iter().map(|(number, value)| (number.to_string(), value)).collect::<BTreeMap<_, _>>().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<usize, f64>, D::Error> {
        let words = BTreeMap::<String, f64>::deserialize(deserializer)?;
        words.into_iter().map(|(number, value)| Ok((number.parse().map_err(D::Error::custom)?, value))).collect()
    }
}
