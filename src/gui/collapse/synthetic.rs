//! Encoders that are known to be healthy, partly position-bound or collapsed: tokens made of a code of their position, of the anatomy there, and of
//! the volume's own, measured as any other.

use std::sync::{Arc, OnceLock};

use crate::config::{Arm, RunConfig};
use crate::geometry::{ravel, unravel};
use crate::metrics::collapse::{Collapse, ProbeSets, ProbeTokens};
use crate::protocol::{CollapsePair, Environment, Event, Outcome, Record, RunState, Stage, StageKind, StepNumbers, TokenPreview, TokenSet};
use crate::random::stream;
use crate::volume::{Grid, demo};
use rand::RngExt as _;

/// Token grid of the synthetic encoders.
const GRID: [usize; 3] = [4, 4, 4];
const TOKENS: usize = 64;
const DIM: usize = 24;
const VOLUMES: usize = 6;
/// Voxels of a crop along an edge.
const EDGE: usize = 32;

/// Measurements after the first.
const PROBES: usize = 5;

/// What has become of an encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Healthy,
    PartlyBound,
    Collapsed,
}

/// How much of a token is its position's code, the anatomy, the volume's own, and noise.
#[derive(Clone, Copy)]
struct Mix([f32; 4]);

const UNTRAINED: Mix = Mix([0.2, 0.2, 0.2, 0.6]);

impl Kind {
    fn mix(self) -> Mix {
        match self {
            Self::Healthy => Mix([0.4, 0.8, 0.8, 0.25]),
            Self::PartlyBound => Mix([0.95, 0.7, 0.4, 0.35]),
            Self::Collapsed => Mix([1.0, 0.06, 0.05, 0.06]),
        }
    }

    /// On the way from the untrained encoder, `share` of it done.
    fn after(self, share: f32) -> Mix {
        let (Mix(from), Mix(to)) = (UNTRAINED, self.mix());
        Mix(std::array::from_fn(|part| from[part] + (to[part] - from[part]) * share))
    }
}

/// A number that is a function of its key.
fn field(key: &str, a: usize, b: usize) -> f32 {
    stream(11, key, a as u64, b as u64).random_range(-1.0..1.0)
}

/// A vector that changes slowly over the token grid.
fn smooth(key: &str, volume: usize, token: usize) -> [f32; DIM] {
    let position = unravel(token, GRID).map(|index| index as f32 / 4.0);
    std::array::from_fn(|component| {
        let wave = |axis: usize| field(key, volume * DIM + component, axis) * 3.0 * position[axis];
        (wave(0) + wave(1) + wave(2) + 3.0 * field(key, volume * DIM + component, 3)).sin()
    })
}

/// The tokens of every volume, each rotated by `rotate` of its number: the token of an index sees the anatomy of `rotate(volume, index)`.
/// Noise is new in each, by `grain`.
fn probe_set(Mix([position, anatomy, own, noise]): Mix, dim: usize, grain: usize, rotate: impl Fn(usize, usize) -> usize) -> ProbeTokens {
    let mut tokens = Vec::with_capacity(VOLUMES * TOKENS * dim);
    for volume in 0..VOLUMES {
        for index in 0..TOKENS {
            let seen = rotate(volume, index);
            let (shared, alone) = (smooth("anatomy", 0, seen), smooth("own", volume, seen));
            tokens.extend((0..dim).map(|component| {
                let code = field("code", index, component);
                let noise = noise * field("grain", (grain * VOLUMES + volume) * TOKENS + index, component);
                position * code + anatomy * shared[component] + own * alone[component] + noise
            }));
        }
    }
    ProbeTokens { volumes: VOLUMES, crops: 1, positions: GRID, dim, tokens }
}

/// A rotation of its own for each volume: axes exchanged and mirrored.
fn rotated(volume: usize, index: usize) -> usize {
    let at = unravel(index, GRID);
    let order = [[1, 2, 0], [2, 1, 0], [0, 2, 1], [2, 0, 1], [1, 0, 2], [0, 1, 2]][volume % 6];
    let flips = (volume * 5 + 3) % 8;
    let to: [usize; 3] = std::array::from_fn(|axis| if flips >> axis & 1 == 1 { 3 - at[order[axis]] } else { at[order[axis]] });
    ravel(to, GRID)
}

fn measured(mix: Mix, dim: usize) -> Collapse {
    let original = probe_set(mix, dim, 0, |_, index| index);
    let probe_sets = ProbeSets {
        original: &original,
        rotated: Some(&probe_set(mix, dim, 1, rotated)),
        reflected: Some(&probe_set(mix, dim, 2, |_, index| TOKENS - 1 - index)),
    };
    let mut numbers = Collapse::measure(probe_sets);
    let readable = f64::from(mix.0[1] / (mix.0[0] + mix.0[3] + 0.8));
    numbers.label_probe_r2 = [(4, 0.16 + 0.2 * readable), (10, 0.2 + 0.25 * readable)].into();
    numbers.label_probe_r2_position = [(4, 0.14), (10, 0.17)].into();
    numbers
}

fn pair(mix: Mix) -> CollapsePair {
    let Mix([position, anatomy, own, noise]) = mix;
    // Before the projector, position decides a little less.
    CollapsePair { projected: Some(measured(mix, 16)), encoder: measured(Mix([position * 0.8, anatomy, own, noise]), DIM) }
}

/// Measurements of an encoder on its way, measured once for all tests.
fn measurements(kind: Kind) -> &'static [CollapsePair] {
    static MEASUREMENTS: [OnceLock<Vec<CollapsePair>>; 3] = [const { OnceLock::new() }; 3];
    MEASUREMENTS[kind as usize].get_or_init(|| {
        // Quick at first, then slower.
        let share = |probe: usize| 1.0 - (-(probe as f32) * 0.9).exp();
        (0..=PROBES).map(|probe| pair(kind.after(share(probe)))).collect()
    })
}

/// The tokens of an encoder with crops of the demo's volumes.
pub(super) fn preview(kind: Kind, step: usize) -> TokenPreview {
    let tokens = |dim| TokenSet { dim, values: probe_set(kind.mix(), dim, 0, |_, index| index).tokens };
    let dataset = demo::dataset();
    let (mut cases, mut spacing_mm, mut voxels) = (Vec::new(), Vec::new(), Vec::new());
    for case in &dataset.cases[..VOLUMES] {
        let image = dataset.load(case, Default::default()).unwrap().image.volume;
        cases.push(case.name.clone());
        spacing_mm.push(image.grid.spacing_mm());
        voxels.extend(middle(&image.grid, &image.voxels));
    }
    TokenPreview {
        stage: stage("plain"),
        step,
        cases,
        channels: 1,
        crop: [EDGE; 3],
        spacing_mm,
        grid: GRID,
        voxels: Arc::new(voxels),
        projected: Some(tokens(16)),
        encoder: tokens(DIM),
    }
}

/// The middle of a volume, zero around it.
fn middle(grid: &Grid, voxels: &[f32]) -> Vec<f32> {
    let from = |axis: usize, index: usize| (index + grid.shape[axis] / 2).checked_sub(EDGE / 2).filter(|&at| at < grid.shape[axis]);
    let value = |[d, h, w]: [usize; 3]| Some(voxels[ravel([from(0, d)?, from(1, h)?, from(2, w)?], grid.shape)]);
    (0..EDGE.pow(3)).map(|voxel| value(unravel(voxel, [EDGE; 3])).unwrap_or(0.0)).collect()
}

/// A pre-training stage of an arm.
pub(super) fn stage(arm: &str) -> Stage {
    Stage { kind: StageKind::Pretrain, arm: arm.to_owned() }
}

/// Settings with two arms, without rotation and with.
pub(super) fn config() -> RunConfig {
    let mut config = RunConfig::default();
    let arm =
        |name: &str, set: &[&str]| Arm { name: name.to_owned(), set: set.iter().map(|&set| set.to_owned()).collect(), ..Arm::default() };
    config.arms.pretrain = vec![arm("plain", &["pretrain.rotate=off", "pretrain.weight=1"]), arm("simtrot_w", &[])];
    config.arms.finetune.clear();
    config
}

/// What a run reported whose arms went these ways, each over 400 steps.
pub(super) fn records(arms: &[(&str, Kind)]) -> Vec<Event> {
    let mut events =
        vec![Event::Started { schema: 1, name: "hippocampus".to_owned(), environment: Environment::default(), classes: Vec::new() }];
    for (index, &(arm, kind)) in arms.iter().enumerate() {
        let stage = stage(arm);
        events.push(Event::StageStarted { stage: stage.clone(), total: 400, done: 0 });
        if index == 0 {
            let constant = Mix([1.0, 0.0, 0.0, 0.0]);
            let noise = Mix([0.4, 0.0, 0.0, 1.0]);
            for (name, mix) in [("untrained", UNTRAINED), ("constant", constant), ("noise", noise)] {
                events.push(Event::Baseline { name: name.to_owned(), collapse: Box::new(pair(mix)) });
            }
        }
        for probe in 0..=PROBES {
            let step = probe * 400 / PROBES;
            if step > 0 {
                let numbers = StepNumbers { step, loss: 4.0 - 0.05 * probe as f64, ..StepNumbers::default() };
                events.push(Event::Step { stage: stage.clone(), numbers });
            }
            let collapse = Box::new(measurements(kind)[probe].clone());
            events.push(Event::Probe { stage: stage.clone(), step, collapse });
        }
        events.push(Event::StageFinished { stage, secs: 60.0 });
    }
    events
}

/// The state after such a run.
pub(super) fn state(arms: &[(&str, Kind)]) -> RunState {
    let mut state = RunState::default();
    let finished = Event::Finished { outcome: Outcome::Completed };
    for (secs, event) in records(arms).into_iter().chain([finished]).enumerate() {
        state.apply(&Record { secs: secs as f64, event });
    }
    state
}
