//! Representation collapse: the numbers of every encoder beside the references, over the steps, and the spectrum.

use maud::{Markup, html};

use super::findings::arm_name;
use super::palette::{ArmTones, REFERENCE};
use super::plot::{Line, Plot, Stroke};
use crate::metrics::collapse::{Collapse, THRESHOLDS};
use crate::protocol::{CollapsePair, RunState, StageState};
use crate::wording::{or_nothing, share};

/// The references, in the order of the table.
const BASELINES: [&str; 3] = ["untrained", "constant", "noise"];
/// The reference that the lines are drawn against.
pub(super) const UNTRAINED: &str = "untrained";

/// Where tokens are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Where the loss sees them.
    Projected,
    /// As handed to fine-tuning.
    Encoder,
}

impl Place {
    const ALL: [Self; 2] = [Self::Projected, Self::Encoder];

    /// Where all encoders of a run can be compared: where the loss sees tokens, unless a task of the run compares none.
    pub(crate) fn shared(state: &RunState) -> Self {
        let all = measured(state).iter().all(|(_, pair)| pair.projected.is_some());
        if all { Self::Projected } else { Self::Encoder }
    }

    /// The numbers measured there.
    pub(crate) fn of(self, pair: &CollapsePair) -> Option<&Collapse> {
        match self {
            Self::Projected => pair.projected.as_ref(),
            Self::Encoder => Some(&pair.encoder),
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Projected => "Projected tokens: where the loss sees them",
            Self::Encoder => "Encoder tokens: as handed to fine-tuning",
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Projected => "projected tokens",
            Self::Encoder => "encoder tokens",
        })
    }
}

/// Reads a number off the measurement of an encoder.
type Value = Box<dyn Fn(&Collapse) -> Option<f64>>;
/// A title, and the number that a plot shows.
type Measure = (&'static str, fn(&Collapse) -> Option<f64>);

/// A number of the table.
struct Column {
    name: String,
    /// What it is, in one line.
    meaning: String,
    /// Which way is healthy.
    healthy: &'static str,
    value: Value,
    word: fn(f64) -> String,
}

/// One decimal: ranks.
fn rank(value: f64) -> String {
    format!("{value:.1}")
}

fn columns(pairs: &[(String, &CollapsePair)]) -> Vec<Column> {
    let column = |name: &str, meaning: &str, healthy, value: fn(&Collapse) -> Option<f64>| Column {
        name: name.to_owned(),
        meaning: meaning.to_owned(),
        healthy,
        value: Box::new(value),
        word: share,
    };
    let mut columns = vec![
        column(
            "eta2",
            "share of token variance explained by position alone; anatomy is aligned across patients, so it never falls to zero",
            "low, beside untrained",
            |c| c.eta2,
        ),
        column(
            "eta2 turned",
            "the same after each volume was turned its own way: what is left is the array index",
            "below 0.5; collapsed from 0.8",
            |c| c.eta2_turned,
        ),
        column(
            "gap",
            "mean cosine of same-position tokens of different volumes minus that of other positions",
            "low, beside untrained",
            |c| c.gap,
        ),
        column(
            "index lock",
            "cosine of a reflected volume's tokens with the original's at the same index",
            "below 0.2, or below 0.5 and the anatomy lock",
            |c| c.index_lock,
        ),
        column("anatomy lock", "the same after restoring the reflection: same anatomy, other index", "high; below 0.3 hardly any", |c| {
            c.anatomy_lock
        }),
        column(
            "position probe R²",
            "how well a linear map reads the position off a token of an unseen volume",
            "low, beside untrained",
            |c| c.position_probe_r2,
        ),
        column("content probe", "share of tokens whose volume a linear map names", "high", |c| c.content_probe_accuracy),
    ];
    columns.extend(label_probes(pairs));
    let ranks = [
        column(
            "RankMe",
            "effective number of directions; stays up under positional collapse: for looking, not for judging",
            "not a verdict",
            |c| c.rankme,
        ),
        column(
            "residual RankMe",
            "the same after subtracting each position's mean; may even read better when collapsed",
            "not a verdict",
            |c| c.residual_rankme,
        ),
    ];
    columns.extend(ranks.map(|column| Column { word: rank, ..column }));
    columns
}

/// The label probe for each number of labelled volumes, and the same from position alone.
fn label_probes(pairs: &[(String, &CollapsePair)]) -> Vec<Column> {
    let mut volumes: Vec<usize> = pairs.iter().flat_map(|(_, pair)| pair.encoder.label_probe_r2.keys().copied()).collect();
    volumes.sort_unstable();
    volumes.dedup();
    volumes
        .into_iter()
        .flat_map(|n| {
            let probe = Column {
                name: format!("label probe R², n = {n}"),
                meaning: format!(
                    "how well a linear map fitted on {n} labelled volumes reads the labels' shares off a token of unseen ones"
                ),
                healthy: "high, above position alone",
                value: Box::new(move |c| c.label_probe_r2.get(&n).copied()),
                word: share,
            };
            let position = Column {
                name: format!("position alone, n = {n}"),
                meaning: "the same from the token's place only: a label probe at this value has learnt nothing else".to_owned(),
                healthy: "reference",
                value: Box::new(move |c| c.label_probe_r2_position.get(&n).copied()),
                word: share,
            };
            [probe, position]
        })
        .collect()
}

/// References first, then the last measurement of each stage that has one.
pub(crate) fn measured(state: &RunState) -> Vec<(String, &CollapsePair)> {
    let known = BASELINES.iter().filter_map(|name| Some(((*name).to_owned(), state.baselines.get(*name)?)));
    let others = state.baselines.iter().filter(|(name, _)| !BASELINES.contains(&name.as_str())).map(|(name, pair)| (name.clone(), pair));
    let stages = state.stages.iter().filter_map(|stage| Some((arm_name(&stage.stage.arm).to_owned(), stage.last_probe()?)));
    known.chain(untrained_of_other_networks(state)).chain(others).chain(stages).collect()
}

/// Arms may differ in their network; each network's untrained encoder is named by its first arm.
fn untrained_of_other_networks(state: &RunState) -> Vec<(String, &CollapsePair)> {
    let mut known: Vec<&Collapse> = state.baselines.get(UNTRAINED).map(|pair| &pair.encoder).into_iter().collect();
    let mut others = Vec::new();
    for stage in &state.stages {
        if let Some(pair) = stage.untrained_probe().filter(|pair| !known.is_empty() && !known.contains(&&pair.encoder)) {
            known.push(&pair.encoder);
            others.push((format!("{UNTRAINED}, {}", arm_name(&stage.stage.arm)), pair));
        }
    }
    others
}

/// The whole section.
pub(super) fn section(state: &RunState, tones: &ArmTones<'_>) -> Markup {
    let pairs = measured(state);
    html! {
        section id="collapse" {
            h2 { "Representation collapse" }
            @if pairs.is_empty() {
                p.absent { "The tokens were not probed in this run." }
            } @else {
                p {
                    "Does a token say what is there, or only where it stands in the array? Measured on held-out volumes without augmentation, "
                    "cropped at random offsets. Read every number beside the untrained encoder, a constant and a noise input."
                }
                @for place in Place::ALL { (table(&pairs, place, place == Place::shared(state))) }
                p.note { (THRESHOLDS) }
                (over_steps(state, tones))
                (spectrum(state, tones))
            }
        }
    }
}

/// The encoders that have tokens in `place`; `explained` says once what each measure means.
fn table(pairs: &[(String, &CollapsePair)], place: Place, explained: bool) -> Markup {
    let columns = columns(pairs);
    let seen: Vec<(&String, &Collapse)> = pairs.iter().filter_map(|(name, pair)| Some((name, place.of(pair)?))).collect();
    if seen.is_empty() {
        return html! {};
    }
    html! {
        h3 { (place.title()) }
        div.scroll { table.measures {
            thead { tr { th { "Measure" } @for (name, _) in &seen { th { (name) } } th { "Healthy" } } }
            tbody { @for column in &columns { tr {
                th scope="row" { (column.name) @if explained { small { (column.meaning) } } }
                @for (_, collapse) in &seen { td { (or_nothing((column.value)(collapse).filter(|value| value.is_finite()), column.word)) } }
                td.healthy { (column.healthy) }
            } } }
        } }
    }
}

/// Stages whose tokens were probed on the way.
fn courses(state: &RunState) -> Vec<&StageState> {
    state.stages.iter().filter(|stage| !stage.probes.is_empty()).collect()
}

/// A figure's key: the arms in their colours, and the dashed reference.
fn key(courses: &[&StageState], tones: &ArmTones<'_>, reference: bool) -> Markup {
    html! {
        p.key {
            @for stage in courses { span { (tones.swatch(&stage.stage.arm)) (arm_name(&stage.stage.arm)) } }
            @if reference { span { span.swatch.dashed {} (UNTRAINED) } }
        }
    }
}

fn over_steps(state: &RunState, tones: &ArmTones<'_>) -> Markup {
    let courses = courses(state);
    let untrained = state.baselines.get(UNTRAINED);
    let measures: [Measure; 4] = [
        ("eta2 of turned volumes: healthy below 0.5, collapsed from 0.8", |c| c.eta2_turned),
        ("eta2: low, beside untrained", |c| c.eta2),
        ("index lock: low is healthy", |c| c.index_lock),
        ("anatomy lock: high is healthy", |c| c.anatomy_lock),
    ];
    let place = Place::shared(state);
    let last = courses.iter().flat_map(|stage| stage.probes.iter().map(|(step, _)| *step)).max().unwrap_or(0) as f64;
    let plot = |(title, value): Measure| {
        let course = |stage: &&StageState| Line {
            points: stage.probes.iter().filter_map(|(step, pair)| Some((*step as f64, value(place.of(pair)?)?))).collect(),
            tone: tones.tone(&stage.stage.arm),
            stroke: Stroke::Bold,
        };
        let reference = untrained.and_then(|pair| value(place.of(pair)?)).map(|value| Line {
            points: vec![(0.0, value), (last, value)],
            tone: REFERENCE,
            stroke: Stroke::Dashed,
        });
        Plot {
            title: title.to_owned(),
            x: "optimiser step".to_owned(),
            y: place.to_string(),
            lines: reference.into_iter().chain(courses.iter().map(course)).collect(),
            covers: Some((0.0, 1.0)),
            ..Plot::default()
        }
    };
    html! { @if !courses.is_empty() {
        h3 { "Over the steps of pre-training" }
        (key(&courses, tones, untrained.is_some()))
        div.plots { @for measure in measures { (plot(measure).figure()) } }
    } }
}

fn spectrum(state: &RunState, tones: &ArmTones<'_>) -> Markup {
    let courses = courses(state);
    let untrained = state.baselines.get(UNTRAINED);
    let values = |collapse: &Collapse| {
        let largest = collapse.spectrum.iter().copied().fold(0.0, f64::max);
        collapse.spectrum.iter().enumerate().map(|(index, value)| (index as f64 + 1.0, value / largest)).collect::<Vec<_>>()
    };
    let plot = |place: Place| {
        let reference = untrained.and_then(|pair| place.of(pair)).map(|collapse| Line {
            points: values(collapse),
            tone: REFERENCE,
            stroke: Stroke::Dashed,
        });
        let arms = courses.iter().filter_map(|stage| {
            Some(Line { points: values(place.of(stage.last_probe()?)?), tone: tones.tone(&stage.stage.arm), stroke: Stroke::Bold })
        });
        Plot {
            title: place.title().to_owned(),
            x: "singular value, largest first".to_owned(),
            y: "size, largest = 1".to_owned(),
            lines: reference.into_iter().chain(arms).collect(),
            log: true,
            ..Plot::default()
        }
    };
    html! {
        h3 { "Singular values of the tokens" }
        (key(&courses, tones, untrained.is_some()))
        div.plots { @for plot in Place::ALL.map(plot) { @if !plot.lines.is_empty() { (plot.figure()) } } }
        p.note { "A steep fall means few directions in use. A positional collapse does not show here." }
    }
}
