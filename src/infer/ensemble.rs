//! Several networks over one volume: the mean of their probabilities.
//!
//! The networks see the same windows, and their logits lie behind one another as if they were classes of one network. So each line of
//! voxels is finished by all of them at once, and memory is networks x classes x slab. Only probabilities that are asked for are kept for
//! the whole volume: classes x volume, once.

use std::cell::RefCell;

use super::slab::Line;
use super::sliding_window::{Predict, Run, SlidingWindow, SlidingWindowError, Watch, arg_max, check_classes};
use crate::volume::Volume;

/// What is predicted by how many networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ensemble {
    /// Networks; `predict` gives the logits of each behind those of the one before, `[batch, network, class, D, H, W]`.
    pub networks: usize,
    /// Classes of each.
    pub classes: usize,
    /// Whether probabilities are wanted beside classes.
    pub probabilities: bool,
}

/// What networks find in a volume.
#[derive(Clone, Debug, PartialEq)]
pub struct Segmentation {
    /// The class of each voxel, `[D, H, W]`.
    pub classes: Vec<u8>,
    /// Where they are wanted: of each class its probability, `[D, H, W]`.
    pub probabilities: Option<Vec<Vec<f32>>>,
}

impl SlidingWindow {
    /// The most probable class of each voxel; of equal ones the first. Probabilities are the softmax of each network's blended logits,
    /// averaged over the networks. One network's classes are those of [`Self::segment`], found from the logits themselves.
    ///
    /// # Errors
    /// As [`Self::segment`].
    pub fn segment_by(
        &self,
        ensemble: Ensemble,
        image: &Volume,
        predict: &mut Predict<'_>,
        watch: &mut Watch<'_>,
    ) -> Result<Segmentation, SlidingWindowError> {
        let Ensemble { networks, classes, probabilities } = ensemble;
        if networks == 1 && !probabilities {
            return Ok(Segmentation { classes: self.segment(image, classes, predict, watch)?, probabilities: None });
        }
        check_classes(classes)?;
        let [_, height, width] = image.grid.shape;
        let voxels = image.grid.len();
        let found = RefCell::new(vec![0; voxels]);
        let mut kept = vec![vec![0.0; if probabilities { voxels } else { 0 }]; classes];
        let mut shares = vec![0.0; classes * width];
        let mut scratch = [vec![0.0; width], vec![0.0; width]];
        let mut finished = |line: Line<'_>| {
            let start = (line.depth * height + line.height) * width;
            mean_softmax(&line, ensemble, &mut shares, &mut scratch);
            let voxels = &mut found.borrow_mut()[start..start + width];
            match networks {
                1 => arg_max((0..classes).map(|class| line.class(class)), &mut scratch[0], voxels),
                _ => arg_max(shares.chunks_exact(width), &mut scratch[0], voxels),
            }
            if probabilities {
                for (kept, shares) in kept.iter_mut().zip(shares.chunks_exact(width)) {
                    kept[start..start + width].copy_from_slice(shares);
                }
            }
        };
        let mut watch = |done, windows| watch(done, windows, &found.borrow());
        self.slide(image, networks * classes, &mut Run { predict, watch: &mut watch, finished: &mut finished, channels: image.channels })?;
        Ok(Segmentation { classes: found.into_inner(), probabilities: probabilities.then_some(kept) })
    }
}

/// The mean over the networks of the softmax of a line's logits, `[class, W]`; `scratch` holds two lines.
fn mean_softmax(line: &Line<'_>, ensemble: Ensemble, shares: &mut [f32], [largest, sums]: &mut [Vec<f32>; 2]) {
    let (networks, width) = (ensemble.networks, largest.len());
    shares.fill(0.0);
    for network in 0..networks {
        let logits = |class: usize| line.class(network * ensemble.classes + class);
        largest.fill(f32::NEG_INFINITY);
        for class in 0..ensemble.classes {
            largest.iter_mut().zip(logits(class)).for_each(|(largest, &logit)| *largest = largest.max(logit));
        }
        // Of the largest logit, so that no exponential overflows.
        let exponential = |logit: f32, largest: f32| (logit - largest).exp();
        sums.fill(0.0);
        for class in 0..ensemble.classes {
            sums.iter_mut().zip(logits(class)).zip(&*largest).for_each(|((sum, &logit), &largest)| *sum += exponential(logit, largest));
        }
        for (class, shares) in shares.chunks_exact_mut(width).enumerate() {
            for (((share, &logit), &largest), &sum) in shares.iter_mut().zip(logits(class)).zip(&*largest).zip(&*sums) {
                *share += exponential(logit, largest) / sum;
            }
        }
    }
    shares.iter_mut().for_each(|share| *share /= networks as f32);
}

#[cfg(test)]
mod tests {
    use super::super::sliding_window::{Fault, Logits};
    use super::*;
    use crate::config::InferConfig;
    use crate::volume::Grid;

    type Answer = Result<Logits, Fault>;

    const CLASSES: usize = 3;
    const SHAPE: [usize; 3] = [7, 5, 6];

    fn image() -> Volume {
        let grid = Grid::axis_aligned(SHAPE, [1.0; 3]);
        Volume { channels: 1, voxels: (0..grid.len()).map(|v| ((v * 7919) % 1013) as f32 / 300.0 - 1.5).collect(), grid }
    }

    /// Logits of each voxel on its own, so that blending does not matter.
    fn logit(network: usize, class: usize, value: f32) -> f32 {
        value * [[1.0, -2.0, 0.5], [-1.5, 0.3, 2.0]][network][class] + class as f32 * 0.137
    }

    /// Networks by their numbers, their logits behind one another.
    fn networks(which: &[usize]) -> impl FnMut(&[f32], [usize; 5]) -> Answer + '_ {
        move |inputs, [batch, ..]| {
            let voxels = inputs.len() / batch;
            let of = |window: &'_ [f32], network: usize| {
                let classes = (0..CLASSES).flat_map(|class| window.iter().map(move |&value| logit(network, class, value)));
                classes.collect::<Vec<_>>()
            };
            let all = inputs.chunks_exact(voxels).flat_map(|window| which.iter().flat_map(move |&network| of(window, network)));
            Ok(Logits::Here(all.collect()))
        }
    }

    fn segment(which: &[usize], probabilities: bool) -> Segmentation {
        let window = SlidingWindow::new(&InferConfig::default(), [4, 4, 4], 2);
        let ensemble = Ensemble { networks: which.len(), classes: CLASSES, probabilities };
        window.segment_by(ensemble, &image(), &mut networks(which), &mut |_, _, _| true).unwrap()
    }

    fn softmax(network: usize, value: f32) -> [f64; CLASSES] {
        let powers: [f64; CLASSES] = std::array::from_fn(|class| f64::from(logit(network, class, value)).exp());
        powers.map(|power| power / powers.iter().sum::<f64>())
    }

    #[test]
    fn two_networks_give_the_mean_of_their_probabilities() {
        let found = segment(&[0, 1], true);
        let probabilities = found.probabilities.unwrap();
        let mut disagreements = 0;
        for (voxel, &value) in image().voxels.iter().enumerate() {
            let [one, other] = [0, 1].map(|network| softmax(network, value));
            let mean: [f64; CLASSES] = std::array::from_fn(|class| (one[class] + other[class]) / 2.0);
            for class in 0..CLASSES {
                assert!((f64::from(probabilities[class][voxel]) - mean[class]).abs() < 1e-5, "voxel {voxel} class {class}");
            }
            let first_best =
                |shares: [f64; CLASSES]| (1..CLASSES).fold(0, |best, class| if shares[class] > shares[best] { class } else { best });
            assert_eq!(usize::from(found.classes[voxel]), first_best(mean), "voxel {voxel}");
            disagreements += usize::from(first_best(one) != first_best(other));
            let sum: f32 = probabilities.iter().map(|class| class[voxel]).sum();
            assert!((sum - 1.0).abs() < 1e-6, "they sum to {sum}");
        }
        assert!(disagreements > 20, "the networks differ");
        assert_eq!(segment(&[0, 1], false), Segmentation { probabilities: None, classes: found.classes });
    }

    #[test]
    fn a_network_given_twice_is_the_network_and_its_classes_are_those_of_its_logits() {
        let window = SlidingWindow::new(&InferConfig::default(), [4, 4, 4], 2);
        for network in [0, 1] {
            let once = segment(&[network], true);
            assert_eq!(once, segment(&[network, network], true), "to the bit");
            let by_logits = window.segment(&image(), CLASSES, &mut networks(&[network]), &mut |_, _, _| true).unwrap();
            assert_eq!(
                (&once.classes, segment(&[network], false)),
                (&by_logits, Segmentation { classes: by_logits.clone(), probabilities: None })
            );
        }
    }

    #[test]
    fn logits_of_any_size_give_probabilities() {
        let window = SlidingWindow::new(&InferConfig::default(), [4, 4, 4], 1);
        let mut huge = |_: &[f32], _: [usize; 5]| Ok(Logits::Here([[1e30; 64], [-1e30; 64]].concat()));
        let ensemble = Ensemble { networks: 1, classes: 2, probabilities: true };
        let found = window.segment_by(ensemble, &image(), &mut huge, &mut |_, _, _| true).unwrap();
        let [one, other] = &found.probabilities.unwrap()[..] else { panic!("two classes") };
        assert!(one.iter().all(|&share| share == 1.0) && other.iter().all(|&share| share == 0.0));
    }
}
