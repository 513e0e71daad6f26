//! The views of a pre-training step for one case, as plain data: what a front end shows of masking and turning.
//!
//! Nothing here touches the device. [`CaseViews`] is prepared once for a case (seconds), [`CaseViews::draw`] cuts, changes and
//! turns a crop (milliseconds), [`DrawnViews::hide`] hides cells (a copy of the crop): fast enough to follow a slider.

use std::path::Path;

use rand::RngExt as _;
use rand::seq::index;
use rand_distr::StandardNormal;

use super::cases::frame;
use crate::config::{DataSource, PretextTask, RunConfig, TextureConfig, hidden_cells};
use crate::geometry::SignedPermutation;
use crate::preprocess::{self, PreparedCase};
use crate::random::stream;
use crate::sampling::mask::{FILL_STD, MaskGrid};
use crate::sampling::rotation::restore_rows;
use crate::sampling::{SamplingError, TokenFrame, ViewPlan};
use crate::volume::Dataset;

/// No change of intensities.
const QUIET: TextureConfig =
    TextureConfig { noise_p: 0.0, noise_std: 0.0, gibbs_p: 0.0, gibbs_alpha: 0.0, scale_p: 0.0, scale: 0.0, shift_p: 0.0, shift: 0.0 };

/// A prepared case, and how a run's pre-training looks at it.
pub struct CaseViews {
    /// In memory.
    case: PreparedCase,
    frame: TokenFrame,
    mask: MaskGrid,
    seed: u64,
    /// Whether the second view hides cells too.
    both_hide: bool,
    quiet: ViewPlan,
    textured: ViewPlan,
}

/// The views of one draw, before cells are hidden.
#[derive(Clone, Debug, PartialEq)]
pub struct DrawnViews {
    /// Name of the case.
    pub case: String,
    /// Number of the draw.
    pub draw: u64,
    /// Channels of a crop.
    pub channels: usize,
    /// Voxels of the crop along D,H,W, along R,A,S: W grows to the right, H forwards, D upwards.
    pub crop: [usize; 3],
    /// Distance of its voxels along D,H,W in mm.
    pub spacing_mm: [f64; 3],
    /// Voxels of a token along D,H,W.
    pub token: [usize; 3],
    /// Voxels of a mask cell along D,H,W.
    pub cell: [usize; 3],
    /// The crop as it was cut, `[channel, D, H, W]`.
    pub original: Vec<f32>,
    /// The views in the task's order: the first hides cells; the second, where there is one, is turned.
    pub views: Vec<DrawnView>,
}

/// One view before its cells are hidden.
#[derive(Clone, Debug, PartialEq)]
pub struct DrawnView {
    /// The crop with its intensities changed, turned, `[channel, D, H, W]`.
    pub voxels: Vec<f32>,
    /// The turn in words, for example `turned 90° axially, mirrored left-right`.
    pub turn: String,
    /// Which axis of the crop each axis of the view is.
    pub axes: [usize; 3],
    /// Which axes of the view run backwards.
    pub flips: [bool; 3],
    /// For each token of the crop, row-major over D,H,W, which token of the view comes back to its place.
    pub restore: Vec<u32>,
    /// What hides cells; none where this view hides none.
    hiding: Option<Hiding>,
}

/// Mask cells in the order in which they are hidden as the ratio grows, and the noise that stands in their place.
#[derive(Clone, Debug, PartialEq)]
struct Hiding {
    order: Vec<usize>,
    noise: Vec<f32>,
}

/// A view with hidden cells.
#[derive(Clone, Debug, PartialEq)]
pub struct HiddenView {
    /// `[channel, D, H, W]`.
    pub voxels: Vec<f32>,
    /// Hidden cells, row-major over the mask grid; empty where the view hides none.
    pub mask: Vec<bool>,
}

impl CaseViews {
    /// Reads and prepares a case of a dataset as pre-training with `config` would.
    ///
    /// # Errors
    /// What is wrong with the data, or views that do not fit the crop.
    pub fn prepare(config: &RunConfig, data: &DataSource, case: &str, cache: Option<&Path>) -> Result<Self, String> {
        let dataset = Dataset::open(data).map_err(|error| error.to_string())?;
        let prepared = preprocess::prepare(&dataset, &[case.to_owned()], &config.data.preprocess, cache, &|_, _| {});
        let case = prepared.map_err(|error| error.to_string())?.pop().expect("a case for each name");
        let case = case.load().map_err(|error| error.to_string())?;
        Self::new(config, PreparedCase::in_memory(&case)).map_err(|error| error.to_string())
    }

    fn new(config: &RunConfig, case: PreparedCase) -> Result<Self, SamplingError> {
        let frame = frame(config);
        // Hiding comes later, in the order of one draw for all ratios.
        let mut settings = config.pretrain.clone();
        settings.mask_ratio = 0.0;
        let plan = |texture: TextureConfig| {
            let settings = crate::config::PretrainConfig { texture, ..settings.clone() };
            ViewPlan::new(&settings, frame.patch, frame.stride, config.seed)
        };
        Ok(Self {
            case,
            frame,
            mask: MaskGrid::new(frame.crop, config.pretrain.mask_patch.unwrap_or(frame.stride))?,
            seed: config.seed,
            both_hide: config.pretrain.task == PretextTask::Rcr,
            quiet: plan(QUIET)?,
            textured: plan(config.pretrain.texture.clone())?,
        })
    }

    /// The views of draw number `draw`, with changed intensities if `texture`. Equal numbers give equal views; crop and turn are
    /// the same with and without texture.
    ///
    /// # Panics
    /// Never: a single case agrees with itself about its channels, and it is in memory.
    pub fn draw(&self, draw: u64, texture: bool) -> DrawnViews {
        let look = |plan: &ViewPlan| plan.batch(&[&self.case], draw).expect("a single case has as many channels as itself");
        let plain = look(&self.quiet);
        let [_, channels, ..] = plain.shape;
        let upright =
            |voxels: &[f32], element: SignedPermutation| element.inverse().apply(voxels, channels, element.shape(self.frame.crop));
        let original = upright(&plain.views[0].voxels, plain.views[0].elements[0]);
        let batch = if texture { look(&self.textured) } else { plain };
        let views = batch.views.into_iter().enumerate().map(|(index, view)| {
            let element = view.elements[0];
            let hides = index == 0 || self.both_hide;
            DrawnView {
                hiding: hides.then(|| self.hiding(draw, index as u64, view.voxels.len())),
                voxels: view.voxels,
                turn: words(element),
                axes: element.axes(),
                flips: element.flips(),
                restore: restore_rows(&[element], self.frame.grid()),
            }
        });
        DrawnViews {
            case: self.case.name().to_owned(),
            draw,
            channels,
            crop: self.frame.crop,
            spacing_mm: self.case.grid().spacing_mm(),
            token: self.frame.stride,
            cell: std::array::from_fn(|axis| self.frame.crop[axis] / self.mask.cells()[axis]),
            original,
            views: views.collect(),
        }
    }

    fn hiding(&self, draw: u64, view: u64, values: usize) -> Hiding {
        let cells = self.mask.count();
        let order = index::sample(&mut stream(self.seed, "views.mask", draw, view), cells, cells).into_vec();
        let mut rng = stream(self.seed, "views.mask.noise", draw, view);
        Hiding { order, noise: (0..values).map(|_| FILL_STD * rng.sample::<f32, _>(StandardNormal)).collect() }
    }
}

impl DrawnViews {
    /// Mask cells along D,H,W.
    pub fn cells(&self) -> [usize; 3] {
        std::array::from_fn(|axis| self.crop[axis] / self.cell[axis])
    }

    /// Tokens along D,H,W.
    pub fn tokens(&self) -> [usize; 3] {
        std::array::from_fn(|axis| self.crop[axis] / self.token[axis])
    }

    /// View number `view` at a mask ratio: as many cells as in pre-training, `floor(ratio * cells)`, the first of an order
    /// that is the same at every ratio, so that a slider adds cells to those that are hidden already.
    ///
    /// # Panics
    /// If there is no such view.
    pub fn hide(&self, view: usize, ratio: f64) -> HiddenView {
        let view = &self.views[view];
        let mut voxels = view.voxels.clone();
        let Some(Hiding { order, noise }) = &view.hiding else { return HiddenView { voxels, mask: Vec::new() } };
        let mut mask = vec![false; order.len()];
        order[..hidden_cells(ratio, order.len()).min(order.len())].iter().for_each(|&cell| mask[cell] = true);
        let grid = MaskGrid::new(self.crop, self.cell).expect("the cells came from such a grid");
        grid.hide(&mut voxels, &mask, |index| noise[index]);
        HiddenView { voxels, mask }
    }
}

/// Planes of turning in the array's axes, and what they are called at a RAS crop.
const PLANES: [([usize; 2], &str); 3] = [([1, 2], "axially"), ([0, 2], "coronally"), ([0, 1], "sagittally")];

/// What mirroring an axis of a RAS crop exchanges.
const SIDES: [&str; 3] = ["head-feet", "front-back", "left-right"];

/// A turn in the fewest words: quarter turns in one plane or two, then mirrored axes.
fn words(element: SignedPermutation) -> String {
    if element == SignedPermutation::IDENTITY {
        return "not turned".to_owned();
    }
    let turn = |quarters: i64, plane: [usize; 2], name: &str| {
        let degrees = 90 * quarters;
        (SignedPermutation::rot90(quarters, plane), (quarters > 0).then(|| format!("{degrees}° {name}")))
    };
    let turns: Vec<_> = PLANES.iter().flat_map(|&(plane, name)| (0..4).map(move |quarters| turn(quarters, plane, name))).collect();
    let pairs = turns.iter().flat_map(|first| turns.iter().map(move |second| [first, second]));
    let told = pairs.map(|[first, second]| {
        let turned = first.0.then(second.0);
        let mirrored = turned.inverse().then(element);
        let is_mirror = mirrored.axes() == [0, 1, 2];
        let mirrors = (0..3).filter(move |&axis| mirrored.flips()[axis]).map(|axis| format!("mirrored {}", SIDES[axis]));
        let turns: Vec<&str> = first.1.iter().chain(&second.1).map(String::as_str).collect();
        let turned = (!turns.is_empty()).then(|| format!("turned {}", turns.join(" and ")));
        let count = turns.len();
        let parts: Vec<String> = turned.into_iter().chain(mirrors).collect();
        (is_mirror, (count, parts))
    });
    let fewest = told.filter(|(is_mirror, _)| *is_mirror).map(|(_, told)| told).min_by_key(|(turns, parts)| turns + parts.len());
    fewest.expect("quarter turns and mirrors make every element").1.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Rotate;

    fn views(task: PretextTask, rotate: Rotate) -> CaseViews {
        let mut config = RunConfig::default().with_overrides(&["model.preset=nnformer_small".to_owned()]).unwrap();
        config.pretrain.task = task;
        config.pretrain.rotate = rotate;
        CaseViews::prepare(&config, &DataSource::Demo, &crate::volume::demo::dataset().cases[0].name, None).unwrap()
    }

    #[test]
    fn a_greater_ratio_hides_more_of_the_same_cells_and_nothing_else_changes() {
        let views = views(PretextTask::Simtrot, Rotate::Full);
        let drawn = views.draw(3, false);
        assert_eq!(drawn, views.draw(3, false));
        assert_ne!(drawn.original, views.draw(4, false).original);
        let cells: usize = drawn.cells().iter().product();
        let mut before = drawn.hide(0, 0.0);
        assert_eq!(before.voxels, drawn.original, "without texture and mask the first view is the crop");
        for percent in 0..=19 {
            let ratio = f64::from(percent) / 20.0;
            let hidden = drawn.hide(0, ratio);
            assert_eq!(hidden.mask.iter().filter(|&&hidden| hidden).count(), (ratio * cells as f64).floor() as usize);
            assert!(hidden.mask.iter().zip(&before.mask).all(|(now, then)| *now || !*then));
            let changed = hidden.voxels.iter().zip(&drawn.original).filter(|(a, b)| a != b).count();
            let voxels = hidden.mask.iter().filter(|&&hidden| hidden).count() * drawn.cell.iter().product::<usize>();
            assert!(changed <= voxels && changed as f64 >= 0.99 * voxels as f64);
            before = hidden;
        }
        assert_eq!(drawn.hide(1, 0.9), HiddenView { voxels: drawn.views[1].voxels.clone(), mask: Vec::new() });
    }

    #[test]
    fn restoring_puts_the_turned_tokens_back() {
        let views = views(PretextTask::Simtrot, Rotate::Full);
        let mut turns = std::collections::BTreeSet::new();
        for draw in 0..12 {
            let drawn = views.draw(draw, false);
            let means = |voxels: &[f32]| patch_means(voxels, drawn.crop, drawn.token);
            let (whole, turned) = (means(&drawn.original), means(&drawn.views[1].voxels));
            let restored: Vec<f64> = drawn.views[1].restore.iter().map(|&token| turned[token as usize]).collect();
            assert!(whole.iter().zip(&restored).all(|(a, b)| (a - b).abs() < 1e-4), "{}", drawn.views[1].turn);
            turns.insert(drawn.views[1].turn.clone());
        }
        assert!(turns.len() > 6, "{turns:?}");
        assert_eq!(views_of_rcr().views.len(), 2);
        assert_eq!(self::views(PretextTask::Simmim, Rotate::Full).draw(0, true).views.len(), 1);
    }

    fn views_of_rcr() -> DrawnViews {
        let drawn = views(PretextTask::Rcr, Rotate::Off).draw(1, false);
        assert!((0..2).all(|view| drawn.hide(view, 0.5).mask.contains(&true)), "RCR cuts out of both views");
        drawn
    }

    fn patch_means(voxels: &[f32], crop: [usize; 3], token: [usize; 3]) -> Vec<f64> {
        let grid: [usize; 3] = std::array::from_fn(|axis| crop[axis] / token[axis]);
        let mut sums = vec![0.0; grid.iter().product()];
        for (index, value) in voxels.iter().take(crop.iter().product()).enumerate() {
            let at = [index / (crop[1] * crop[2]), index / crop[2] % crop[1], index % crop[2]];
            let [d, h, w]: [usize; 3] = std::array::from_fn(|axis| at[axis] / token[axis]);
            sums[(d * grid[1] + h) * grid[2] + w] += f64::from(*value);
        }
        sums.into_iter().map(|sum| sum / token.iter().product::<usize>() as f64).collect()
    }

    #[test]
    fn turns_are_told_in_few_words() {
        assert_eq!(words(SignedPermutation::IDENTITY), "not turned");
        assert_eq!(words(SignedPermutation::rot90(1, [1, 2])), "turned 90° axially");
        assert_eq!(words(SignedPermutation::rot90(3, [0, 2])), "turned 270° coronally");
        assert_eq!(words(SignedPermutation::flip([false, false, true])), "mirrored left-right");
        let both = SignedPermutation::rot90(1, [1, 2]).then(SignedPermutation::flip([true, false, false]));
        assert_eq!(words(both), "turned 90° axially, mirrored head-feet");
        let all: std::collections::BTreeSet<String> = SignedPermutation::all().into_iter().map(words).collect();
        assert_eq!(all.len(), 48, "each turn has words of its own");
        assert!(all.iter().all(|words| words.matches(',').count() <= 2), "{all:?}");
    }
}
