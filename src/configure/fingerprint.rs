//! What a dataset holds, read case by case: shapes, voxel sizes, intensities, classes (nnU-Net's `fingerprint_extractor.py`).

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;

use rand::{Rng, RngExt as _};
use rayon::ThreadPoolBuilder;
use rayon::prelude::*;

use crate::config::NonFinite;
use crate::geometry::{SignedPermutation, VoxelBox, percentiles};
use crate::preprocess::foreground::bounding_box;
use crate::random::stream;
use crate::volume::{CaseFiles, DataError, DataErrors, Dataset, LoadedCase};

/// Cases in memory at a time, at most.
const AT_ONCE: usize = 8;

/// Voxels whose intensity counts, at most, for each channel of all cases together (nnU-Net takes ten times as many) ...
const SAMPLED: usize = 10_000_000;
/// ... but so many of each case however many there are.
const SAMPLED_OF_EACH: usize = 10_000;

/// Percentiles between which intensities are kept.
const ENDS: [f64; 2] = [0.5, 99.5];

/// Intensities below and above which a channel looks like Hounsfield units: air has -1000, bone some hundreds.
const HOUNSFIELD: [f32; 2] = [-500.0, 100.0];

/// What a dataset holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Fingerprint {
    /// Its name.
    pub name: String,
    /// Its channels, in order.
    pub channels: Vec<Channel>,
    /// Its classes besides the background, by label value.
    pub classes: Vec<Class>,
    /// Its usable cases, in the dataset's order.
    pub cases: Vec<CaseShape>,
    /// Names of the cases that cannot be used.
    pub unusable: Vec<String>,
}

/// The extent of a case, reoriented to RAS.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseShape {
    /// Its name.
    pub name: String,
    /// Whether it has a label map.
    pub labelled: bool,
    /// The fold that the dataset's list gives it.
    pub fold: Option<usize>,
    /// Voxels along D,H,W of the box around all that lies above the least intensity of any channel.
    pub shape: [usize; 3],
    /// Share of its voxels outside that box.
    pub border: f64,
    /// Voxel size, mm along D,H,W.
    pub spacing_mm: [f64; 3],
}

/// A channel over all cases.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    /// Its name.
    pub name: String,
    /// What its name says it is.
    pub modality: Modality,
    /// Intensities above each image's least.
    pub body: Intensities,
    /// Intensities inside the labels; none where there are none.
    pub labels: Option<Intensities>,
}

/// What an image shows, by the name of its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Modality {
    /// Computed tomography, in Hounsfield units.
    Ct,
    /// Magnetic resonance: units of its own for each scan.
    Mr,
    /// The name does not say.
    Unknown,
}

/// Intensities of all voxels, or of so many of each case that memory holds them, drawn alike whenever they are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Intensities {
    /// The 0.5th percentile.
    pub low: f32,
    /// The 99.5th percentile.
    pub high: f32,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation.
    pub deviation: f64,
}

/// A class over all label maps.
#[derive(Clone, Debug, PartialEq)]
pub struct Class {
    /// Its label value.
    pub value: u32,
    /// Its name.
    pub name: String,
    /// Label maps in which it occurs.
    pub cases: usize,
    /// Its mean volume in these, in millilitres.
    pub mean_ml: f64,
}

/// What one case adds.
struct Seen {
    shape: CaseShape,
    /// Of each channel.
    body: Vec<Vec<f32>>,
    /// Of each channel; empty where nothing is labelled.
    labels: Vec<Vec<f32>>,
    /// Millilitres of each label value.
    ml: BTreeMap<u32, f64>,
}

impl Fingerprint {
    /// Reads every case once, a few at a time. `progress` is called with (cases done, cases in all), from several threads.
    ///
    /// # Errors
    /// Everything wrong with cases that cannot be used, and files that belong to none, unless `skip_bad`: then they are left out.
    pub fn read(dataset: &Dataset, skip_bad: bool, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<Self, DataErrors> {
        let done = AtomicUsize::new(0);
        let case = |(place, case): (usize, &CaseFiles)| {
            let seen = look(dataset, case, place as u64);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, dataset.cases.len());
            (case.name.clone(), seen)
        };
        let threads = available_parallelism().map_or(1, NonZero::get).min(AT_ONCE);
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("a few threads can be started");
        let read: Vec<_> = pool.install(|| dataset.cases.par_iter().enumerate().map(case).collect());
        let (mut seen, mut unusable) = (Vec::new(), Vec::new());
        let mut errors: Vec<DataError> = dataset.strays().cloned().collect();
        for (name, result) in read {
            match result {
                Ok(case) => seen.push(case),
                Err(DataErrors(found)) => {
                    unusable.push(name);
                    errors.extend(found);
                }
            }
        }
        if !errors.is_empty() && !skip_bad {
            return Err(DataErrors(errors));
        }
        let pooled = |of: fn(&Seen) -> &Vec<Vec<f32>>, channel: usize| {
            Intensities::of(&seen.iter().filter_map(|case| of(case).get(channel)).flatten().copied().collect::<Vec<f32>>())
        };
        let channel = |(place, name): (usize, &String)| Channel {
            name: name.clone(),
            modality: Modality::of(name),
            body: pooled(|case| &case.body, place).unwrap_or_default(),
            labels: pooled(|case| &case.labels, place),
        };
        let channels = dataset.channels.iter().enumerate().map(channel).collect();
        let class = |(&value, name): (&u32, &String)| {
            let found: Vec<f64> = seen.iter().filter_map(|case| case.ml.get(&value)).copied().collect();
            Class { value, name: name.clone(), cases: found.len(), mean_ml: found.iter().sum::<f64>() / found.len().max(1) as f64 }
        };
        let classes = dataset.labels.iter().filter(|&(&value, _)| value != 0).map(class).collect();
        let cases = seen.into_iter().map(|case| case.shape).collect();
        Ok(Self { name: dataset.name.clone(), channels, classes, cases, unusable })
    }

    /// How many cases have a label map.
    pub fn labelled(&self) -> usize {
        self.cases.iter().filter(|case| case.labelled).count()
    }

    /// What all channels are: CT or MR where each one's name says so.
    pub fn modality(&self) -> Modality {
        let kinds: BTreeSet<u8> = self.channels.iter().map(|channel| channel.modality as u8).collect();
        match self.channels.first() {
            Some(channel) if kinds.len() == 1 => channel.modality,
            _ => Modality::Unknown,
        }
    }
}

impl Channel {
    /// Whether its numbers look like Hounsfield units though its name doesn't say that they are.
    pub fn resembles_hounsfield(&self) -> bool {
        self.modality == Modality::Unknown && self.body.low < HOUNSFIELD[0] && self.body.high > HOUNSFIELD[1]
    }
}

impl Modality {
    /// By a channel's name: `CT` alone is CT, as for nnU-Net; the usual words for sequences are MR.
    pub fn of(channel: &str) -> Self {
        let name = channel.to_lowercase();
        let is_mr = |word: &str| {
            let sequence = ["t1", "t2", "flair", "dwi", "adc", "swi", "mra"];
            word.starts_with("mr") && word.len() <= 3 || sequence.iter().any(|known| word.starts_with(known))
        };
        match name.trim() {
            "ct" => Self::Ct,
            name if name.split(|c: char| !c.is_alphanumeric()).any(is_mr) => Self::Mr,
            _ => Self::Unknown,
        }
    }
}

impl Intensities {
    /// Of the values sampled; none of no values.
    fn of(values: &[f32]) -> Option<Self> {
        let count = values.len() as f64;
        let [low, high] = percentiles(values, ENDS);
        let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
        let variance = values.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>() / count;
        (!values.is_empty()).then(|| Self { low, high, mean, deviation: variance.sqrt() })
    }
}

/// Reads a case, the `place`-th of its dataset.
fn look(dataset: &Dataset, case: &CaseFiles, place: u64) -> Result<Seen, DataErrors> {
    let LoadedCase { image, label } = dataset.load(case, NonFinite::Refuse)?;
    let (volume, minima) = (&image.volume, image.volume.minima());
    let grid = &volume.grid;
    let orientation = SignedPermutation::to_ras(grid);
    let bounds = bounding_box(volume, &minima).unwrap_or_else(|| VoxelBox::whole(grid.shape));
    let spacing_mm = orientation.grid(grid).spacing_mm();
    let channels = || volume.iter_channels().zip(&minima).zip(0..);
    let draw = |purpose: &str, channel: u64| stream(channel, purpose, place, 0);
    let most = (SAMPLED / dataset.cases.len().max(1)).max(SAMPLED_OF_EACH);
    let body = |((voxels, &least), channel): ((&[f32], &f32), u64)| {
        sample(voxels, |index| voxels[index] > least, most, &mut draw("configure.body", channel))
    };
    let body = channels().map(body).collect();
    let mut labels = Vec::new();
    let mut ml = BTreeMap::new();
    if let Some(label) = &label {
        // nnU-Net takes the same voxels of all channels; the same draw does so here.
        let inside = |((voxels, _), _): ((&[f32], &f32), u64)| {
            sample(voxels, |index| label.voxels[index] != 0, most, &mut draw("configure.labels", 0))
        };
        labels = channels().map(inside).collect();
        let mut counts: BTreeMap<u16, u32> = BTreeMap::new();
        label.voxels.iter().filter(|&&value| value != 0).for_each(|&value| *counts.entry(value).or_default() += 1);
        let voxel_ml = grid.voxel_mm3() / 1000.0;
        ml = counts.into_iter().map(|(value, count)| (u32::from(value), f64::from(count) * voxel_ml)).collect();
    }
    let shape = CaseShape {
        name: case.name.clone(),
        labelled: label.is_some(),
        fold: case.fold,
        shape: orientation.shape(bounds.shape()),
        border: 1.0 - bounds.len() as f64 / grid.len() as f64,
        spacing_mm,
    };
    Ok(Seen { shape, body, labels, ml })
}

/// The values at the indices that count: all of them, or, where they are more than `most`, so many drawn with replacement as nnU-Net does.
fn sample(values: &[f32], counts: impl Fn(usize) -> bool, most: usize, rng: &mut impl Rng) -> Vec<f32> {
    let counted = || (0..values.len()).filter(|&index| counts(index));
    let found = counted().count();
    if found <= most {
        return counted().map(|index| values[index]).collect();
    }
    let mut ranks: Vec<usize> = (0..most).map(|_| rng.random_range(0..found)).collect();
    ranks.sort_unstable();
    let mut ranks = ranks.into_iter().peekable();
    let mut sampled = Vec::with_capacity(most);
    for (rank, index) in counted().enumerate() {
        while ranks.next_if_eq(&rank).is_some() {
            sampled.push(values[index]);
        }
    }
    sampled
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DataSource;
    use crate::volume::nifti::{write_labels, write_volume};
    use crate::volume::{Grid, LabelMap, SourceHeader, Volume};

    #[test]
    fn channels_are_what_their_names_say_and_nothing_else() {
        for name in ["CT", " ct "] {
            assert_eq!(Modality::of(name), Modality::Ct, "{name}");
        }
        for name in ["MRI", "MR", "T1w", "FLAIR", "t1gd", "T2-weighted", "ADC", "cine-MRI"] {
            assert_eq!(Modality::of(name), Modality::Mr, "{name}");
        }
        for name in ["PET", "channel 0", "PET/CT", "intensity", "mirror", "noNormalization", ""] {
            assert_eq!(Modality::of(name), Modality::Unknown, "{name}");
        }
    }

    #[test]
    fn many_voxels_are_sampled_alike_every_time_and_few_are_all_taken() {
        let values: Vec<f32> = (0..50_000).map(|value| value as f32).collect();
        let odd = |rng_key: u64| sample(&values, |index| index % 2 == 1, 10_000, &mut stream(0, "test", rng_key, 0));
        let (one, again, other) = (odd(1), odd(1), odd(2));
        assert_eq!((one.len(), &one), (10_000, &again));
        assert!(one != other && one.iter().all(|value| value % 2.0 == 1.0));
        let mean = Intensities::of(&one).unwrap().mean;
        assert!((mean - 25_000.0).abs() < 1000.0, "{mean}: the middle of all that count");
        assert_eq!(sample(&values[..4], |index| index > 1, 10_000, &mut stream(0, "test", 0, 0)), [2.0, 3.0]);
    }

    #[test]
    fn volumes_are_those_of_sheared_voxels_too() {
        let folder = tempfile::tempdir().unwrap();
        let mut grid = Grid::axis_aligned([6, 8, 9], [2.0, 1.0, 0.5]);
        // Slices that are pushed aside, as those of a tilted gantry: their distance stays 2 mm.
        grid.world_from_voxel[1][2] = 1.5;
        let header = SourceHeader::for_grid(&grid);
        let voxels: Vec<f32> = (0..grid.len()).map(|index| (index * 37 % 101) as f32).collect();
        let labels = LabelMap { grid: grid.clone(), voxels: (0..grid.len()).map(|index| u16::from(index < 100)).collect() };
        write_volume(&folder.path().join("imagesTr/a.nii"), &Volume { channels: 1, grid, voxels }, &header).unwrap();
        write_labels(&folder.path().join("labelsTr/a.nii"), &labels, &header).unwrap();
        let dataset = Dataset::open(&DataSource::Dataset(folder.path().to_owned())).unwrap();
        let found = Fingerprint::read(&dataset, false, &|_, _| ()).unwrap();
        assert!((found.classes[0].mean_ml - 0.1).abs() < 1e-6, "100 voxels of 1 mm3: {}", found.classes[0].mean_ml);
    }

    #[test]
    fn intensities_are_those_of_the_values() {
        let found = Intensities::of(&[1.0, 3.0]).unwrap();
        assert_eq!((found.mean, found.deviation), (2.0, 1.0));
        assert!((found.low - 1.01).abs() < 1e-6 && (found.high - 2.99).abs() < 1e-6, "{found:?}");
        assert_eq!(Intensities::of(&[]), None);
    }
}
