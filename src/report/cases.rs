//! The best, the median and the worst test case, slice by slice: truth, and every arm's segmentation beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use maud::{Markup, html};

use super::colours::hex;
use super::picture::{Outline, Slice};
use super::view::View;
use crate::config::{Intensity, NonFinite, RunConfig};
use crate::geometry::{Convention, Plane, PlaneGeometry, WindowLevel};
use crate::metrics::{CaseScore, Metric};
use crate::palette;
use crate::results::{Group, Repeat};
use crate::volume::{self, Dataset, Grid, LabelMap, Volume, file, grid_fault};
use crate::wording::{or_nothing, share};

/// Rows of segmentations on a page.
const MOST_ROWS: usize = 16;
/// Percent of the voxels that are left black, and white, where the config has no window.
const TAIL: f64 = 0.5;
/// Width of a segmentation's outline on the page, in pixels.
const OUTLINE_WIDTH: f64 = 1.6;
/// Width of the truth's outline behind a prediction.
const TRUTH_WIDTH: f64 = 1.0;
/// Width of the page that the pictures of a row share, in pixels ...
const ROW: f64 = 830.0;
/// ... but none is wider than the second or narrower than the first (then the row scrolls).
const WIDTHS: (f64, f64) = (150.0, 320.0);

/// Whose segmentations are shown.
struct Segmented<'a> {
    /// Its name on the page.
    name: &'a str,
    /// Folder of its segmentations.
    predictions: PathBuf,
    /// Scores by case.
    cases: &'a BTreeMap<String, Vec<CaseScore>>,
}

/// A case on the page.
struct Shown<'a> {
    image: Volume,
    truth: LabelMap,
    case: &'a str,
    window: WindowLevel,
    /// Value and name of each label, background left out.
    labels: &'a [(u16, String)],
    /// Makes the names of pictures differ between cases.
    number: usize,
}

/// A slice of a case.
struct Cut {
    slice: Slice,
    index: usize,
    truth: Vec<u16>,
}

/// The whole section.
pub(super) fn section(view: &View) -> Markup {
    html! {
        section id="cases" {
            h2 { "Cases: best, median, worst" }
            (shown_cases(view))
        }
    }
}

/// One point: every plane of the cases as all arms segmented them. A grid: one slice of each, a row for each point.
fn shown_cases(view: &View) -> Markup {
    let results = &view.results;
    let done = || results.groups.iter().filter_map(|group| Some((group, segmented(view, group)?)));
    let Some((group, leading)) = done().find(|(group, _)| !group.is_from_scratch()).or_else(|| done().next()) else {
        return html! { p.absent { "No " (results.names.subject) " was scored yet, so there is none to show." } };
    };
    // Levels and arms may name another dataset: cases are those of the leading group's own.
    let config = &view.experiment.trainings[group.repeats[0].training].config;
    let dataset = match Dataset::open(&config.data.source) {
        Ok(dataset) => dataset,
        Err(error) => return html! { p.absent { "The dataset could not be opened, so there are no pictures: " (error) } },
    };
    let here = |own: &Group| view.experiment.trainings[own.repeats[0].training].config.data.source == config.data.source;
    let elsewhere = results.rows().filter(|(_, group)| group.done() > 0 && !here(group)).count();
    let own_here = |levels: &Vec<usize>| results.rows().any(|(_, group)| group.levels == *levels && group.done() > 0 && here(group));
    let points: Vec<Vec<usize>> = results.points().into_iter().filter(own_here).collect();
    let at = |levels: &Vec<usize>, arm: usize| {
        let own = results.groups.iter().find(|group| group.arm == arm && group.levels == *levels);
        own.filter(|group| here(group)).and_then(|group| segmented(view, group))
    };
    let arms: Vec<&str> = results.names.arms.iter().map(|arm| arm.name.as_str()).collect();
    let rows: Vec<(String, Vec<Option<Segmented>>)> = points
        .iter()
        .take(MOST_ROWS)
        .map(|levels| (results.names.point(levels), (0..arms.len()).map(|arm| at(levels, arm)).collect()))
        .collect();
    let labels = labels(&dataset);
    let panels = |shown: &Shown| match rows.as_slice() {
        [(_, only)] => shown.planes(&only.iter().flatten().collect::<Vec<_>>()),
        _ => shown.grid(&arms, &rows),
    };
    html! {
        (explained(config, &dataset, &labels, &leading))
        @for (number, (rank, case)) in chosen(&leading).into_iter().enumerate() {
            div.case {
                h3 { (rank) ": " (case) }
                @match load(&dataset, case, config.data.preprocess.non_finite) {
                    Err(why) => p.absent { "No picture: " (why) },
                    Ok((image, truth)) => {
                        @let window = window(config, &image);
                        (panels(&Shown { image, truth, case, window, labels: &labels, number }))
                    }
                }
            }
        }
        p.note {
            "Of the first " (results.names.repeat) " that is done."
            @if points.len() > MOST_ROWS { " " (points.len() - MOST_ROWS) " more points of the grid are not drawn here; each training opens in the window." }
            @if elsewhere > 0 { " Arms or levels with another dataset are not shown." }
        }
    }
}

/// The segmentations of a group's first repeat that is done.
fn segmented<'a>(view: &View, group: &'a Group) -> Option<Segmented<'a>> {
    let Repeat { training, scores, .. } = group.repeats.iter().find(|repeat| repeat.done)?;
    let name = if view.results.is_one_point() { &group.name } else { &group.title };
    Some(Segmented { name, predictions: view.training(*training).predictions(), cases: scores })
}

/// Value and name of each label, background left out.
fn labels(dataset: &Dataset) -> Vec<(u16, String)> {
    let named = dataset.labels.iter().filter(|(value, _)| **value > 0);
    named.filter_map(|(value, name)| Some((u16::try_from(*value).ok()?, name.clone()))).collect()
}

/// How the pictures are to be read.
fn explained(config: &RunConfig, dataset: &Dataset, labels: &[(u16, String)], leading: &Segmented) -> Markup {
    let colours: BTreeSet<u32> = labels.iter().map(|&(value, _)| palette::label(u32::from(value))).collect();
    html! {
        p {
            "Chosen by the mean Dice of " (leading.name) ". Each plane is cut where the truth's area is largest. Radiological convention: the "
            "patient's right is on the left of axial and coronal slices. Coloured: the segmentation of the column. White behind it: the truth, "
            "seen where the two differ. " (window_words(config, dataset))
            @if colours.len() < labels.len() { " Some labels share a colour: it is chosen by the label's number." }
        }
        p.key {
            @for (value, name) in labels {
                span { span.swatch.line style={ "background:" (hex(palette::label(u32::from(*value)))) } {} (name) }
            }
        }
    }
}

/// Best, median and worst case of an arm, each case once.
fn chosen<'a>(arm: &Segmented<'a>) -> Vec<(&'static str, &'a str)> {
    let mut cases: Vec<(f64, &str)> =
        arm.cases.iter().filter_map(|(case, scores)| Some((Metric::Dice.of_case(scores)?, case.as_str()))).collect();
    cases.sort_by(|a, b| b.0.total_cmp(&a.0));
    match cases.as_slice() {
        [] => Vec::new(),
        [only] => vec![("The only case", only.1)],
        [best, worst] => vec![("Best", best.1), ("Worst", worst.1)],
        [best, .., worst] => vec![("Best", best.1), ("Median", cases[cases.len() / 2].1), ("Worst", worst.1)],
    }
}

/// Image and truth of a case on the scanner's grid.
fn load(dataset: &Dataset, case: &str, non_finite: NonFinite) -> Result<(Volume, LabelMap), String> {
    let source = dataset.case(case).ok_or_else(|| "the dataset does not hold this case.".to_owned())?;
    let loaded = dataset.load(source, non_finite).map_err(|errors| errors.to_string())?;
    let truth = loaded.label.ok_or_else(|| "the dataset holds no label map of this case.".to_owned())?;
    Ok((loaded.image.volume, truth))
}

/// A segmentation of a case, which must lie on the truth's grid.
fn prediction(arm: &Segmented<'_>, case: &str, truth: &Grid) -> Result<LabelMap, String> {
    let path = arm.predictions.join(format!("{case}.nii.gz"));
    if !path.is_file() {
        return Err("No segmentation was kept.".to_owned());
    }
    let scan = file::read(&path).map_err(|error| error.to_string())?;
    let map =
        volume::labels::from_scan(scan, None).map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))?.map;
    match grid_fault(&map.grid, truth, Path::new("the truth")) {
        None => Ok(map),
        Some(fault) => Err(format!("The segmentation {fault}.")),
    }
}

/// Grey levels: the CT window of the config, or the image's own percentiles.
fn window(config: &RunConfig, image: &Volume) -> WindowLevel {
    match config.data.preprocess.intensity {
        Intensity::CtWindow { low, high } | Intensity::CtStatistics { low, high, .. } => WindowLevel { low: low as f32, high: high as f32 },
        Intensity::ZScore { .. } => WindowLevel::from_percentiles(&image.voxels[..image.grid.len()], TAIL),
    }
}

fn window_words(config: &RunConfig, dataset: &Dataset) -> String {
    let window = match config.data.preprocess.intensity {
        Intensity::CtWindow { low, high } | Intensity::CtStatistics { low, high, .. } => format!("Window {low} to {high} HU."),
        Intensity::ZScore { .. } => "Window: 0.5th to 99.5th percentile of the image.".to_owned(),
    };
    match dataset.channels.as_slice() {
        [first, _, ..] => format!("{window} Channel: {first}."),
        _ => window,
    }
}

impl Shown<'_> {
    fn planes_of(&self) -> [PlaneGeometry; 3] {
        Plane::ALL.map(|plane| PlaneGeometry::new(&self.truth.grid, plane, Convention::Radiological))
    }

    /// A row for each plane, a column for truth and for each arm.
    fn planes(&self, arms: &[&Segmented]) -> Markup {
        let planes = self.planes_of();
        let widest_mm = planes.iter().map(width_mm).fold(f64::MIN_POSITIVE, f64::max);
        let predictions: Vec<_> = arms.iter().map(|arm| prediction(arm, self.case, &self.truth.grid)).collect();
        html! {
            div.scroll { table.panels {
                thead { tr { th {} th { "truth" } @for arm in arms { th { (arm.name) } } } }
                tbody {
                    @for plane in planes {
                        @let cut = self.cut(plane, widest(arms.len() + 1) / widest_mm);
                        tr {
                            th scope="row" { (cut.slice.plane.plane.title()) br; (cut.index + 1) " of " (cut.slice.plane.slices) }
                            td { (self.truth_first(&cut)) }
                            @for prediction in &predictions { td { (self.segmented(&cut, prediction.as_ref())) } }
                        }
                    }
                    tr { th scope="row" { "Dice" } td {} @for arm in arms { td.scores { (case_dice(arm, self.case)) } } }
                }
            } }
        }
    }

    /// One slice, along the plane in which the truth is largest: a row for each point, a column for the truth and each arm.
    fn grid(&self, arms: &[&str], rows: &[(String, Vec<Option<Segmented>>)]) -> Markup {
        let area_mm2 = |plane: &PlaneGeometry| {
            let slice = plane.cut(&self.truth.voxels, plane.fullest(|voxel| self.truth.voxels[voxel] > 0));
            slice.iter().filter(|&&label| label > 0).count() as f64 * plane.spacing_mm.iter().product::<f64>()
        };
        let [first, others @ ..] = self.planes_of();
        let plane = others.into_iter().fold(first, |best, other| if area_mm2(&other) > area_mm2(&best) { other } else { best });
        let pixels_per_mm = widest(arms.len() + 1) / width_mm(&plane).max(f64::MIN_POSITIVE);
        let cut = self.cut(plane, pixels_per_mm);
        html! {
            p.note { (cut.slice.plane.plane.title()) ", slice " (cut.index + 1) " of " (cut.slice.plane.slices) }
            div.scroll { table.panels {
                thead { tr { th {} th { "truth" } @for name in arms { th { (name) } } } }
                tbody { @for (index, (name, row)) in rows.iter().enumerate() { tr {
                    th scope="row" { (name) }
                    td { @if index == 0 { (self.truth_first(&cut)) } @else { (cut.slice.again(&self.outlines(&cut.slice, &cut.truth, None))) } }
                    @for arm in row { td { @if let Some(arm) = arm {
                        @let prediction = prediction(arm, self.case, &self.truth.grid);
                        (self.segmented(&cut, prediction.as_ref()))
                        small { "Dice " (or_nothing(arm.cases.get(self.case).and_then(|scores| Metric::Dice.of_case(scores)), share)) }
                    } } }
                } } }
            } }
        }
    }

    /// The slice of a plane on which the truth is largest.
    fn cut(&self, plane: PlaneGeometry, pixels_per_mm: f64) -> Cut {
        let index = plane.fullest(|voxel| self.truth.voxels[voxel] > 0);
        let truth = plane.cut(&self.truth.voxels, index);
        let id = format!("case-{}-{}", self.number, plane.plane.title());
        Cut { slice: Slice { plane, pixels_per_mm, id }, index, truth }
    }

    /// The image under the truth; every other picture of the slice refers to it.
    fn truth_first(&self, cut: &Cut) -> Markup {
        let image = cut.slice.plane.cut(&self.image.voxels, cut.index);
        cut.slice.with_voxels(&image, self.window, &self.outlines(&cut.slice, &cut.truth, None))
    }

    /// The image under a segmentation, the truth behind it; or why there is none.
    fn segmented(&self, cut: &Cut, prediction: Result<&LabelMap, &String>) -> Markup {
        match prediction {
            Err(why) => html! { p.absent { (why) } },
            Ok(map) => {
                let behind = self.outlines(&cut.slice, &cut.truth, Some(palette::TRUTH));
                let before = self.outlines(&cut.slice, &cut.slice.plane.cut(&map.voxels, cut.index), None);
                cut.slice.again(&[behind, before].concat())
            }
        }
    }

    /// The outline of each label on a slice, in its own colour, or thin and all in one colour.
    fn outlines(&self, slice: &Slice, pixels: &[u16], one_colour: Option<u32>) -> Vec<Outline> {
        let width = if one_colour.is_some() { TRUTH_WIDTH } else { OUTLINE_WIDTH };
        let around = |(value, _): &(u16, String)| {
            let colour = one_colour.unwrap_or(palette::label(u32::from(*value)));
            Outline::around(slice.plane.size, |pixel| pixels[pixel] == *value, colour, width)
        };
        self.labels.iter().map(around).collect()
    }
}

/// Width of each of some pictures beside one another, in pixels.
fn widest(columns: usize) -> f64 {
    (ROW / columns as f64).clamp(WIDTHS.0, WIDTHS.1)
}

fn width_mm(plane: &PlaneGeometry) -> f64 {
    plane.size[0] as f64 * plane.spacing_mm[0]
}

/// Mean Dice of a case, and of each label.
fn case_dice(arm: &Segmented, case: &str) -> Markup {
    let Some(scores) = arm.cases.get(case) else { return html! { "not scored" } };
    html! {
        strong { (or_nothing(Metric::Dice.of_case(scores), share)) }
        @for score in scores { small { (score.region) " " (or_nothing(score.dice, share)) } }
    }
}
