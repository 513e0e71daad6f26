//! The numbers of the table, in words for somebody who never heard of eta squared.

use crate::metrics::collapse::Collapse;
use crate::protocol::CollapsePair;

/// What a number is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// The headline is made of these.
    Judging,
    /// They stand behind it.
    Behind,
    /// They look like evidence and are not.
    Looking,
}

impl Use {
    pub(super) const ALL: [Self; 3] = [Self::Judging, Self::Behind, Self::Looking];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Judging => "What the headline is judged by",
            Self::Behind => "What stands behind it",
            Self::Looking => "For looking, not for judging",
        }
    }
}

/// Where a number stands.
#[derive(Clone, Copy)]
enum Source {
    Number(fn(&Collapse) -> Option<f64>),
    Labels(usize),
    LabelsByPlace(usize),
}

/// A number of the table.
#[derive(Clone)]
pub(super) struct Measure {
    /// In plain words.
    pub(super) name: String,
    /// As the field calls it.
    pub(super) term: String,
    /// What it means, and which way is good.
    pub(super) meaning: &'static str,
    /// Which way is good, in a word.
    pub(super) healthy: &'static str,
    pub(super) purpose: Use,
    /// Decimals that matter.
    pub(super) decimals: usize,
    /// Whether it lies between 0 and 1.
    pub(super) is_share: bool,
    source: Source,
}

impl Measure {
    /// Its value, if it exists and is a number.
    pub(super) fn value(&self, collapse: &Collapse) -> Option<f64> {
        let value = match self.source {
            Source::Number(number) => number(collapse),
            Source::Labels(volumes) => collapse.label_probe_r2.get(&volumes).copied(),
            Source::LabelsByPlace(volumes) => collapse.label_probe_r2_position.get(&volumes).copied(),
        };
        value.filter(|value| value.is_finite())
    }

    /// Its value as the table shows it.
    pub(super) fn word(&self, collapse: Option<&Collapse>) -> String {
        collapse.and_then(|collapse| self.value(collapse)).map_or_else(|| "-".to_owned(), |value| format!("{value:.*}", self.decimals))
    }
}

/// Name, term, healthy, meaning, number.
type Row = (&'static str, &'static str, &'static str, &'static str, fn(&Collapse) -> Option<f64>);

const JUDGING: [Row; 3] = [
    (
        "Place decides",
        "eta2 turned",
        "healthy below 0.5",
        "Every volume is turned its own way, so that no anatomy lies at the same place any more. How much of a token is then still \
         decided by its place in the crop alone? 0: nothing. 1: everything, the picture no longer matters - that is collapse. \
         In the calibration (SimTROT, nnFormer, hippocampus) the untrained network stood at 0.10, the collapsed one at 0.996, the one cured by \
         rotation at 0.47. Healthy is below 0.5, collapsed from 0.8 on.",
        |c| c.eta2_turned,
    ),
    (
        "Sticks to the place",
        "index lock",
        "healthy below 0.2",
        "The volume is mirrored through its centre. Does the token at a place stay as it was, although something else lies there now? \
         1: it does - that is collapse. Healthy is below 0.2, or below 0.5 and below the anatomy lock (cured in the calibration: 0.24 beside 0.93).",
        |c| c.index_lock,
    ),
    (
        "Follows the anatomy",
        "anatomy lock",
        "high is healthy",
        "The volume is mirrored through its centre. Does the token move along with the anatomy that it described? 1: it does, as it \
         should. Near 0: tokens do not follow what is in the picture. Below 0.3 they hardly do (calibration: collapsed -0.05, cured 0.93).",
        |c| c.anatomy_lock,
    ),
];

const BEHIND: [Row; 4] = [
    (
        "Place decides, upright",
        "eta2",
        "near untrained",
        "As above, with the volumes upright. The same organ lies at the same place in every patient, so that this stays high (about \
         0.8) in healthy networks as well: compare with the untrained one.",
        |c| c.eta2,
    ),
    (
        "Alike across patients",
        "gap",
        "near untrained",
        "How much more alike tokens of different patients are at the same place than at other places. Some likeness is anatomy; far \
         above the untrained network it is collapse.",
        |c| c.gap,
    ),
    (
        "Place can be read off",
        "position probe R2",
        "near untrained",
        "How well a simple formula reads a token's place off the token, in volumes that it has not seen. 1: perfectly. Compare with the \
         untrained network.",
        |c| c.position_probe_r2,
    ),
    (
        "Patient can be read off",
        "content probe",
        "high is healthy",
        "How often a simple formula names the volume that a token comes from. 1: always. A collapsed network stands at chance: one \
         in as many as there are volumes.",
        |c| c.content_probe_accuracy,
    ),
];

const LOOKING: [Row; 3] = [
    (
        "Directions in use",
        "RankMe",
        "no verdict",
        "How many independent directions the tokens use. It stays up when tokens collapse onto their places, so that a high value is \
         no good news by itself.",
        |c| c.rankme,
    ),
    (
        "Same, without place",
        "residual RankMe",
        "no verdict",
        "The directions in use once the mean token of each place is taken off. A collapsed network may even read better here than a \
         healthy one.",
        |c| c.residual_rankme,
    ),
    (
        "Nearest is a stranger",
        "retrieval",
        "no verdict",
        "How often the token most like a given one lies at the same place in another patient. High in collapse, but also where anatomy \
         is well aligned.",
        |c| c.retrieval_wrong_volume,
    ),
];

/// The label probe, and what place alone gives.
const LABELS: &str = "A simple formula learns from a few labelled volumes to read off a token how much of each label lies in its block. \
     How well does it do on other volumes? 1: perfectly. This is where a good pre-training shows first.";
const LABELS_BY_PLACE: &str = "The same from the token's place alone, without any picture. Tokens that are no better have learnt nothing \
     that a table of places does not know.";

/// All numbers of the table. Those of the label probe depend on what was measured.
pub(super) fn measures(pair: Option<&CollapsePair>) -> Vec<Measure> {
    let rows = |rows: &'static [Row], purpose| {
        rows.iter().map(move |&(name, term, healthy, meaning, number)| Measure {
            name: name.to_owned(),
            term: term.to_owned(),
            meaning,
            healthy,
            purpose,
            decimals: if term.contains("RankMe") { 1 } else { 3 },
            is_share: !term.contains("RankMe"),
            source: Source::Number(number),
        })
    };
    let volumes: Vec<usize> = pair.map(|pair| pair.encoder.label_probe_r2.keys().copied().collect()).unwrap_or_default();
    let labels = volumes.into_iter().flat_map(|volumes| {
        let probe = |name: String, meaning, healthy, source| Measure {
            name,
            term: format!("label probe R2, n = {volumes}"),
            meaning,
            healthy,
            purpose: Use::Behind,
            decimals: 3,
            is_share: true,
            source,
        };
        [
            probe(format!("Labels read, {volumes} volumes"), LABELS, "high is healthy", Source::Labels(volumes)),
            Measure {
                term: "position alone".to_owned(),
                ..probe("... from the place alone".to_owned(), LABELS_BY_PLACE, "reference", Source::LabelsByPlace(volumes))
            },
        ]
    });
    rows(&JUDGING, Use::Judging).chain(rows(&BEHIND, Use::Behind)).chain(labels).chain(rows(&LOOKING, Use::Looking)).collect()
}
