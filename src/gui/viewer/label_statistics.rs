//! What is counted of a label map once, when it is read: voxels and centre of each class, and agreement with the truth slice by
//! slice along each axis of the array.

use rayon::prelude::*;

use crate::edit::ClassVolume;
use crate::geometry::unravel;
use crate::metrics::counts::Counts;

/// One class of a label map.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct ClassStatistics {
    /// Voxels of the class.
    pub(super) voxels: u64,
    /// The voxel of the class (D,H,W) nearest to its centre of mass; none where the class is absent.
    pub(super) centre: Option<[usize; 3]>,
}

/// Voxels and centres of `classes` classes of a label map. Distances count voxels by `spacing_mm` (D,H,W).
pub(super) fn label_statistics(labels: &ClassVolume, spacing_mm: [f64; 3], classes: usize) -> Vec<ClassStatistics> {
    let [depth, _, width] = labels.shape();
    let sums = (0..depth).into_par_iter().fold(
        || vec![(0_u64, [0_u64; 3]); classes],
        |mut sums, d| {
            for (index, &class) in labels.slice(d).iter().enumerate().filter(|&(_, &class)| class > 0) {
                let (voxels, sum) = &mut sums[usize::from(class)];
                *voxels += 1;
                let at = [d, index / width, index % width];
                sum.iter_mut().zip(at).for_each(|(sum, at)| *sum += at as u64);
            }
            sums
        },
    );
    let sums = sums.reduce(
        || vec![(0, [0; 3]); classes],
        |mut all, part| {
            for ((voxels, sum), (more, part)) in all.iter_mut().zip(part) {
                *voxels += more;
                sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
            }
            all
        },
    );
    let means: Vec<[f64; 3]> = sums.iter().map(|(voxels, sum)| sum.map(|sum| sum as f64 / (*voxels).max(1) as f64)).collect();
    let nearest = snapped(labels, spacing_mm, &means);
    sums.iter().zip(nearest).map(|(&(voxels, _), centre)| ClassStatistics { voxels, centre }).collect()
}

/// For each class its voxel nearest to `means`; of equals the first in memory.
fn snapped(labels: &ClassVolume, spacing_mm: [f64; 3], means: &[[f64; 3]]) -> Vec<Option<[usize; 3]>> {
    let shape = labels.shape();
    let [depth, height, width] = shape;
    let nothing = || vec![(f64::INFINITY, usize::MAX); means.len()];
    let nearer = |a: (f64, usize), b: (f64, usize)| if b < a { b } else { a };
    let best = (0..depth).into_par_iter().fold(nothing, |mut best, d| {
        for (index, &class) in labels.slice(d).iter().enumerate().filter(|&(_, &class)| class > 0) {
            let at = [d, index / width, index % width];
            let mean = means[usize::from(class)];
            let distance: f64 = [0, 1, 2].map(|axis| ((at[axis] as f64 - mean[axis]) * spacing_mm[axis]).powi(2)).iter().sum();
            let best = &mut best[usize::from(class)];
            *best = nearer(*best, (distance, d * height * width + index));
        }
        best
    });
    let best = best.reduce(nothing, |a, b| a.into_iter().zip(b).map(|(a, b)| nearer(a, b)).collect());
    best.into_iter().map(|(_, index)| (index != usize::MAX).then(|| unravel(index, shape))).collect()
}

/// Agreement of a prediction with the truth, for each slice along each axis of the array and each class.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Agreement {
    classes: usize,
    /// `[axis][slice * classes + class]`.
    counts: [Vec<Counts>; 3],
    /// Dice of each class over the whole volume.
    whole: Vec<Option<f64>>,
}

impl Agreement {
    /// Counts two label maps of one shape.
    pub(super) fn new(truth: &ClassVolume, prediction: &ClassVolume, classes: usize) -> Self {
        let shape = truth.shape();
        let nothing = || shape.map(|slices| vec![Counts::default(); slices * classes]);
        let counts = (0..shape[0]).into_par_iter().fold(nothing, |mut counts, d| {
            for (index, (&truth, &found)) in truth.slice(d).iter().zip(prediction.slice(d)).enumerate() {
                if truth == 0 && found == 0 {
                    continue;
                }
                let at = [d, index / shape[2], index % shape[2]];
                for (counts, slice) in counts.iter_mut().zip(at) {
                    let of = &mut counts[slice * classes..][..classes];
                    if truth == found {
                        of[usize::from(truth)].true_positive += 1;
                    } else {
                        of[usize::from(truth)].false_negative += 1;
                        of[usize::from(found)].false_positive += 1;
                    }
                }
            }
            counts
        });
        let counts = counts.reduce(nothing, |mut all, part| {
            for (all, part) in all.iter_mut().flatten().zip(part.iter().flatten()) {
                add(all, part);
            }
            all
        });
        let mut sums = vec![Counts::default(); classes];
        counts[0].chunks_exact(classes).for_each(|slice| sums.iter_mut().zip(slice).for_each(|(sum, counts)| add(sum, counts)));
        Self { classes, whole: sums.iter().map(Counts::dice).collect(), counts }
    }

    /// Dice of a slice: the mean over the classes that `chosen` picks and that truth or prediction has there.
    pub(super) fn slice(&self, axis: usize, slice: usize, chosen: impl Fn(u8) -> bool) -> Option<f64> {
        let counts = self.counts[axis].get(slice * self.classes..)?.get(..self.classes)?;
        let scores = (0..=u8::MAX).zip(counts).skip(1).filter(|(class, _)| chosen(*class)).filter_map(|(_, counts)| counts.dice());
        let (sum, count) = scores.fold((0.0, 0_usize), |(sum, count), dice| (sum + dice, count + 1));
        (count > 0).then(|| sum / count as f64)
    }

    /// Dice of a class over the whole volume.
    pub(super) fn whole(&self, class: u8) -> Option<f64> {
        self.whole.get(usize::from(class)).copied().flatten()
    }
}

fn add(sum: &mut Counts, more: &Counts) {
    sum.true_positive += more.true_positive;
    sum.false_positive += more.false_positive;
    sum.false_negative += more.false_negative;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ring of class 1 around an empty middle, and one voxel of class 2.
    fn ring() -> ClassVolume {
        let mut labels = vec![0; 30];
        for (index, label) in labels.iter_mut().enumerate() {
            let (h, w) = (index / 6, index % 6);
            let border = h == 0 || h == 4 || w == 0 || w == 4;
            *label = u8::from(border && w < 5);
        }
        labels[5] = 2;
        ClassVolume::new(&labels, [1, 5, 6])
    }

    #[test]
    fn a_centre_lies_inside_its_label_even_where_the_centre_of_mass_does_not() {
        let labels = ring();
        let counted = label_statistics(&labels, [1.0; 3], 4);
        assert_eq!((counted[1].voxels, counted[2].voxels, counted[3]), (16, 1, ClassStatistics::default()));
        assert_eq!(labels.get(counted[1].centre.unwrap()), Some(1));
        assert_eq!(counted[2].centre, Some([0, 0, 5]));
        // Rows four times as far apart as columns: the nearest ring voxel is in the middle row now.
        assert_eq!(label_statistics(&labels, [1.0, 4.0, 1.0], 4)[1].centre, Some([0, 2, 0]));
    }

    #[test]
    fn slices_are_scored_along_every_axis() {
        let [truth, found] = [[1, 1, 0, 0, 1, 0, 0, 2], [1, 0, 0, 0, 1, 1, 0, 0]].map(|map| ClassVolume::new(&map, [2; 3]));
        let agreement = Agreement::new(&truth, &found, 3);
        let all = |axis, slice| agreement.slice(axis, slice, |_| true);
        assert_eq!(all(0, 0), Some(2.0 / 3.0));
        // Class 1 has 2/3, class 2 is missed altogether.
        assert_eq!(all(0, 1), Some(1.0 / 3.0));
        assert_eq!(agreement.slice(0, 1, |class| class == 1), Some(2.0 / 3.0));
        assert_eq!(agreement.slice(1, 1, |class| class == 1), None);
        assert_eq!(all(2, 0), Some(1.0));
        assert_eq!((agreement.whole(1), agreement.whole(2)), (Some(2.0 / 3.0), Some(0.0)));
        assert_eq!(all(0, 2), None);
    }
}
