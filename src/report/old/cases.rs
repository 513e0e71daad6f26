//! The best, the median and the worst test case, slice by slice: truth, and every arm's segmentation beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use maud::{Markup, html};

use super::arms::{self, Arm, Measure};
use super::palette;
use super::picture::{Outline, Slice, Window};
use super::slices::{Plane, Slicer};
use crate::config::{Intensity, NonFinite, RunConfig};
use crate::metrics::CaseScore;
use crate::protocol::RunFolder;
use crate::volume::grid_fault;
use crate::volume::{self, Dataset, Grid, LabelMap, Volume, nifti};
use crate::wording::{or_nothing, share};

/// Width of a segmentation's outline on the page, in pixels.
const OUTLINE_WIDTH: f64 = 1.6;
/// Width of the truth's outline behind a prediction.
const TRUTH_WIDTH: f64 = 1.0;
/// Width of the page that the pictures of a row share, in pixels ...
const ROW: f64 = 830.0;
/// ... but none is wider than the second or narrower than the first (then the row scrolls).
const WIDTHS: (f64, f64) = (150.0, 320.0);

/// Whose segmentations are shown.
#[derive(Clone)]
pub(super) struct Segmented<'a> {
    /// Its name on the page.
    pub(super) name: &'a str,
    /// Folder of its segmentations.
    pub(super) predictions: PathBuf,
    /// Scores by case.
    pub(super) cases: &'a BTreeMap<String, Vec<CaseScore>>,
}

/// A case on the page.
struct Shown<'a> {
    image: Volume,
    truth: LabelMap,
    /// A segmentation for each arm, or why there is none.
    predictions: Vec<Result<LabelMap, String>>,
    arms: &'a [Segmented<'a>],
    case: &'a str,
    window: Window,
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
pub(super) fn section(folder: &RunFolder, config: &RunConfig, arms: &[Arm<'_>]) -> Markup {
    html! {
        section id="cases" {
            h2 { "Cases: best, median, worst" }
            @match arms::leading(arms).map(|leading| (leading, Dataset::open(&leading.source))) {
                None => p.absent { "No test case was scored, so there is none to show." },
                Some((_, Err(error))) => p.absent { "The dataset could not be opened, so there are no pictures: " (error) },
                Some((leading, Ok(dataset))) => {
                    @let (here, elsewhere): (Vec<_>, Vec<_>) = arms.iter().partition(|arm| arm.source == leading.source);
                    (pictures(config, &dataset, &segmented(folder, &here), &segmented_by(folder, leading)))
                    @for arm in elsewhere { p.note { (arm.name) " was tested on another dataset, whose cases are not shown." } }
                }
            }
        }
    }
}

fn segmented<'a>(folder: &RunFolder, arms: &[&Arm<'a>]) -> Vec<Segmented<'a>> {
    arms.iter().map(|arm| segmented_by(folder, arm)).collect()
}

fn segmented_by<'a>(folder: &RunFolder, arm: &Arm<'a>) -> Segmented<'a> {
    Segmented { name: arm.name, predictions: folder.predictions(arm.folder), cases: arm.cases }
}

/// The best, the median and the worst case of `leading`, as every one of `arms` segmented them.
pub(super) fn pictures(config: &RunConfig, dataset: &Dataset, arms: &[Segmented<'_>], leading: &Segmented<'_>) -> Markup {
    let labels = labels(dataset);
    html! {
        (explained(config, dataset, &labels, leading))
        @for (number, (rank, case)) in chosen(leading).into_iter().enumerate() {
            div.case {
                h3 { (rank) ": " (case) }
                @match load(dataset, case, config.data.preprocess.non_finite) {
                    Err(why) => { p.absent { "No picture: " (why) } (dice_only(arms, case)) }
                    Ok((image, truth)) => {
                        @let predictions = arms.iter().map(|arm| prediction(arm, case, &truth.grid)).collect();
                        @let window = window(config, &image);
                        (Shown { image, truth, predictions, arms, case, window, labels: &labels, number }.panels())
                    }
                }
            }
        }
    }
}

/// A row of segmentations that belong together: one for each column.
pub(super) struct Row<'a> {
    /// Its name on the page.
    pub(super) name: String,
    /// Whose segmentations, by column.
    pub(super) arms: Vec<Option<Segmented<'a>>>,
}

/// The same slice of the best, the median and the worst case of `leading`, as segmented in every row and column.
pub(super) fn grid(config: &RunConfig, dataset: &Dataset, columns: &[&str], rows: &[Row<'_>], leading: &Segmented<'_>) -> Markup {
    let labels = labels(dataset);
    html! {
        (explained(config, dataset, &labels, leading))
        @for (number, (rank, case)) in chosen(leading).into_iter().enumerate() {
            div.case {
                h3 { (rank) ": " (case) }
                @match load(dataset, case, config.data.preprocess.non_finite) {
                    Err(why) => p.absent { "No picture: " (why) },
                    Ok((image, truth)) => {
                        @let window = window(config, &image);
                        (Shown { image, truth, predictions: Vec::new(), arms: &[], case, window, labels: &labels, number }.across(columns, rows))
                    }
                }
            }
        }
    }
}

/// Value and name of each label, background left out.
fn labels(dataset: &Dataset) -> Vec<(u16, String)> {
    let named = dataset.labels.iter().filter(|(value, _)| **value > 0);
    named.filter_map(|(value, name)| Some((u16::try_from(*value).ok()?, name.clone()))).collect()
}

/// How the pictures are to be read.
fn explained(config: &RunConfig, dataset: &Dataset, labels: &[(u16, String)], leading: &Segmented<'_>) -> Markup {
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
                span { span.swatch.line style={ "background:" (palette::hex(palette::label(u32::from(*value)))) } {} (name) }
            }
        }
    }
}

/// Best, median and worst case of an arm, each case once.
fn chosen<'a>(arm: &Segmented<'a>) -> Vec<(&'static str, &'a str)> {
    let mut cases: Vec<(f64, &str)> =
        arm.cases.iter().filter_map(|(case, scores)| Some((Measure::Dice.of_case(scores)?, case.as_str()))).collect();
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
    let scan = nifti::read(&path).map_err(|error| error.to_string())?;
    let map =
        volume::labels::from_scan(scan, None).map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))?.map;
    match grid_fault(&map.grid, truth, Path::new("the truth")) {
        None => Ok(map),
        Some(fault) => Err(format!("The segmentation {fault}.")),
    }
}

/// Grey levels: the CT window of the config, or the image's own percentiles.
fn window(config: &RunConfig, image: &Volume) -> Window {
    match config.data.preprocess.intensity {
        Intensity::CtWindow { low, high } => Window { low: low as f32, high: high as f32 },
        Intensity::ZScore { .. } => Window::of_percentiles(&image.voxels[..image.grid.len()]),
    }
}

fn window_words(config: &RunConfig, dataset: &Dataset) -> String {
    let window = match config.data.preprocess.intensity {
        Intensity::CtWindow { low, high } => format!("Window {low} to {high} HU."),
        Intensity::ZScore { .. } => "Window: 0.5th to 99.5th percentile of the image.".to_owned(),
    };
    match dataset.channels.as_slice() {
        [first, _, ..] => format!("{window} Channel: {first}."),
        _ => window,
    }
}

impl Shown<'_> {
    /// A row for each plane, a column for truth and for each arm.
    fn panels(&self) -> Markup {
        let slicers = Plane::ALL.map(|plane| (plane, Slicer::new(&self.truth.grid, plane)));
        let widest_mm = slicers.iter().map(|(_, slicer)| slicer.size()[1] as f64 * slicer.pixel_mm()[1]).fold(f64::MIN_POSITIVE, f64::max);
        let widest = (ROW / (self.arms.len() + 1) as f64).clamp(WIDTHS.0, WIDTHS.1);
        let pixels_per_mm = widest / widest_mm;
        html! {
            div.scroll { table.panels {
                thead { tr { th {} th { "truth" } @for arm in self.arms { th { (arm.name) } } } }
                tbody {
                    @for (plane, slicer) in &slicers { (self.row(*plane, slicer, pixels_per_mm)) }
                    tr { th scope="row" { "Dice" } td {} @for arm in self.arms { td.scores { (case_dice(arm, self.case)) } } }
                }
            } }
        }
    }

    fn row(&self, plane: Plane, slicer: &Slicer, pixels_per_mm: f64) -> Markup {
        let cut = self.cut(plane, slicer, pixels_per_mm);
        html! { tr {
            th scope="row" { (plane.name()) br; (cut.index + 1) " of " (slicer.slices()) }
            td { (self.truth_first(&cut, slicer)) }
            @for prediction in &self.predictions { td { (self.segmented(&cut, slicer, prediction.as_ref())) } }
        } }
    }

    /// One slice, along the plane in which the truth is largest: a row for each of `rows`, a column for the truth and each of `columns`.
    fn across(&self, columns: &[&str], rows: &[Row<'_>]) -> Markup {
        let area_mm2 = |plane: &Plane| {
            let slicer = Slicer::new(&self.truth.grid, *plane);
            let slice = slicer.cut(&self.truth.voxels, slicer.fullest(|voxel| self.truth.voxels[voxel] > 0));
            slice.iter().filter(|&&label| label > 0).count() as f64 * slicer.pixel_mm().iter().product::<f64>()
        };
        let plane = Plane::ALL.into_iter().max_by(|a, b| area_mm2(a).total_cmp(&area_mm2(b))).unwrap_or(Plane::Axial);
        let slicer = Slicer::new(&self.truth.grid, plane);
        let widest_mm = slicer.size()[1] as f64 * slicer.pixel_mm()[1];
        let widest = (ROW / (columns.len() + 1) as f64).clamp(WIDTHS.0, WIDTHS.1);
        let cut = self.cut(plane, &slicer, widest / widest_mm.max(f64::MIN_POSITIVE));
        html! {
            p.note { (plane.name()) ", slice " (cut.index + 1) " of " (slicer.slices()) }
            div.scroll { table.panels {
                thead { tr { th {} th { "truth" } @for name in columns { th { (name) } } } }
                tbody { @for (place, row) in rows.iter().enumerate() { tr {
                    th scope="row" { (row.name) }
                    td { @if place == 0 { (self.truth_first(&cut, &slicer)) } @else { (cut.slice.again(&self.outlines(&cut.slice, &cut.truth, None))) } }
                    @for arm in &row.arms { td { @if let Some(arm) = arm {
                        @let prediction = prediction(arm, self.case, &self.truth.grid);
                        (self.segmented(&cut, &slicer, prediction.as_ref()))
                        small { "Dice " (or_nothing(arm.cases.get(self.case).and_then(|scores| Measure::Dice.of_case(scores)), share)) }
                    } } }
                } } }
            } }
        }
    }

    /// The slice of a plane on which the truth is largest.
    fn cut(&self, plane: Plane, slicer: &Slicer, pixels_per_mm: f64) -> Cut {
        let index = slicer.fullest(|voxel| self.truth.voxels[voxel] > 0);
        let id = format!("case-{}-{}", self.number, plane.name());
        let slice = Slice { size: slicer.size(), pixel_mm: slicer.pixel_mm(), plane, pixels_per_mm, id };
        Cut { slice, index, truth: slicer.cut(&self.truth.voxels, index) }
    }

    /// The image under the truth; every other picture of the slice refers to it.
    fn truth_first(&self, cut: &Cut, slicer: &Slicer) -> Markup {
        cut.slice.with_voxels(&slicer.cut(&self.image.voxels, cut.index), self.window, &self.outlines(&cut.slice, &cut.truth, None))
    }

    /// The image under a segmentation, the truth behind it; or why there is none.
    fn segmented(&self, cut: &Cut, slicer: &Slicer, prediction: Result<&LabelMap, &String>) -> Markup {
        match prediction {
            Err(why) => html! { p.absent { (why) } },
            Ok(map) => {
                let behind = self.outlines(&cut.slice, &cut.truth, Some(palette::TRUTH));
                let before = self.outlines(&cut.slice, &slicer.cut(&map.voxels, cut.index), None);
                cut.slice.again(&[behind, before].concat())
            }
        }
    }

    /// The outline of each label on a slice, in its own colour, or thin and all in one colour.
    fn outlines(&self, slice: &Slice, pixels: &[u16], one_colour: Option<u32>) -> Vec<Outline> {
        let width = if one_colour.is_some() { TRUTH_WIDTH } else { OUTLINE_WIDTH };
        let around = |(value, _): &(u16, String)| {
            let colour = one_colour.unwrap_or(palette::label(u32::from(*value)));
            Outline::around(slice.size, |pixel| pixels[pixel] == *value, colour, width)
        };
        self.labels.iter().map(around).collect()
    }
}

/// Mean Dice of a case, and of each label.
fn case_dice(arm: &Segmented<'_>, case: &str) -> Markup {
    let Some(scores) = arm.cases.get(case) else { return html! { "not scored" } };
    html! {
        strong { (or_nothing(Measure::Dice.of_case(scores), share)) }
        @for score in scores { small { (score.region) " " (or_nothing(score.dice, share)) } }
    }
}

/// The Dice of a case that cannot be shown.
fn dice_only(arms: &[Segmented<'_>], case: &str) -> Markup {
    html! { ul { @for arm in arms { li { (arm.name) ": Dice " (case_dice(arm, case)) } } } }
}
