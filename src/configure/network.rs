//! A U-Net and its crop by nnU-Net's rules: `get_pool_and_conv_props` and the loop around it in `get_plans_for_configuration`.

use std::array::from_fn;

use crate::config::UnetConfig;

/// No axis is halved below so many voxels.
const LEAST_EDGE: usize = 4;

/// Axes whose voxels are less than so many times as long as the finest are halved with it.
const ALIKE: f64 = 2.0;

/// Stages that a U-Net may have.
const MOST_STAGES: usize = 8;

/// Channels of the first stage, which each following stage doubles ...
const FEATURES: usize = 32;
/// ... up to these.
const MOST_FEATURES: usize = 320;

/// Edge of the cube of voxels that a crop begins with, in voxels of the geometric mean of the spacing.
const FIRST_EDGE: f64 = 256.0;

/// Share of a dataset's voxels that one batch may hold.
const BATCH_SHARE: f64 = 0.05;

/// Least crops of a batch.
pub const LEAST_BATCH: usize = 2;

/// Edge to which a crop grows that no axis of could be halved.
const GROWN_EDGE: usize = 16;

/// A U-Net, and the crops that it is for.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// Stages, channels, strides.
    pub model: UnetConfig,
    /// Voxels of a crop along D,H,W: multiples of the total stride.
    pub crop_size: [usize; 3],
}

impl Network {
    /// The network for crops of at least `size` voxels of `spacing_mm`, both along D,H,W.
    pub fn new(spacing_mm: [f64; 3], size: [usize; 3]) -> Self {
        let mut size = size.map(|edge| edge.max(LEAST_EDGE));
        let mut strides = strides(spacing_mm, size);
        if strides.len() == 1 {
            size = size.map(|edge| edge.max(GROWN_EDGE));
            strides = self::strides(spacing_mm, size);
        }
        let features = (0..strides.len()).map(|stage| (FEATURES << stage).min(MOST_FEATURES)).collect();
        // Two convolutions a stage, as nnU-Net's plain network has; the shortcut around them is what it lacks.
        let blocks = vec![1; strides.len()];
        let model = UnetConfig { features, strides, blocks, ..UnetConfig::default() };
        let stride = total_stride(&model);
        Self { model, crop_size: from_fn(|axis| size[axis].next_multiple_of(stride[axis])) }
    }

    /// The largest that `fits`: at first a cube in mm, no larger than the `median` volume, then smaller along the axis on which the crop
    /// is largest beside that volume.
    ///
    /// # Errors
    /// The smallest one, where none fits.
    pub fn largest(spacing_mm: [f64; 3], median: [f64; 3], mut fits: impl FnMut(&Self) -> bool) -> Result<Self, Self> {
        let edge_mm = FIRST_EDGE * spacing_mm.iter().product::<f64>().cbrt();
        let mut network = Self::new(spacing_mm, from_fn(|axis| (edge_mm / spacing_mm[axis]).round().min(median[axis].round()) as usize));
        while !fits(&network) {
            network = network.smaller(spacing_mm, median).ok_or(network)?;
        }
        Ok(network)
    }

    /// The next smaller one; none where every axis is as short as it may be.
    fn smaller(&self, spacing_mm: [f64; 3], median: [f64; 3]) -> Option<Self> {
        let stride = total_stride(&self.model);
        let beside = |axis: usize| self.crop_size[axis] as f64 / median[axis];
        let mut axes = [0, 1, 2];
        axes.sort_by(|&a, &b| beside(b).total_cmp(&beside(a)));
        axes.into_iter().find_map(|axis| {
            let shorter = |by: usize| {
                let mut size = self.crop_size;
                size[axis] = size[axis].checked_sub(by).filter(|&edge| edge >= 2 * LEAST_EDGE)?;
                Some(Self::new(spacing_mm, size))
            };
            // A shorter crop may have fewer stages, and so a finer step; one that would grow back takes the whole step.
            let finer = shorter(stride[axis]).map_or(stride, |shorter| total_stride(&shorter.model))[axis];
            let is_smaller = |other: &Self| voxels(other.crop_size) < voxels(self.crop_size);
            shorter(finer).filter(is_smaller).or_else(|| shorter(stride[axis]).filter(is_smaller))
        })
    }

    /// Crops of a batch that `fits`, at most: no more than hold a twentieth of `cases` volumes of the `median` shape, but two at least.
    pub fn batch(&self, median: [f64; 3], cases: usize, fits: impl Fn(usize) -> bool) -> Batch {
        let dataset = median.iter().product::<f64>() * cases as f64;
        let share = (BATCH_SHARE * dataset / voxels(self.crop_size) as f64).round() as usize;
        let most = share.max(LEAST_BATCH);
        let (mut low, mut high) = (LEAST_BATCH, most);
        while low < high {
            let middle = (low + high).div_ceil(2);
            if fits(middle) { low = middle } else { high = middle - 1 }
        }
        let limit = match low < most {
            true => Limit::Memory,
            false if share < LEAST_BATCH => Limit::Least,
            false => Limit::Dataset,
        };
        Batch { crops: low, limit }
    }
}

/// How many crops a batch has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Their number.
    pub crops: usize,
    /// What keeps it from being larger.
    pub limit: Limit,
}

/// What keeps a batch from being larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The device's memory.
    Memory,
    /// The share of the dataset that one batch may hold.
    Dataset,
    /// That share too, though it would allow less than a batch needs.
    Least,
}

/// Steps of each stage along D,H,W: every axis is halved as long as it has 8 voxels or more and its voxels are less than twice as long as
/// the finest that can be halved; an axis that is halved alone needs 12.
fn strides(mut spacing_mm: [f64; 3], mut size: [usize; 3]) -> Vec<[usize; 3]> {
    let mut strides = vec![[1; 3]];
    while strides.len() < MOST_STAGES {
        let is_long = |axis: usize| size[axis] >= 2 * LEAST_EDGE;
        let finest = (0..3).filter(|&axis| is_long(axis)).map(|axis| spacing_mm[axis]).fold(f64::INFINITY, f64::min);
        let halved: Vec<usize> = (0..3).filter(|&axis| is_long(axis) && spacing_mm[axis] / finest < ALIKE).collect();
        if halved.is_empty() || matches!(halved[..], [alone] if size[alone] < 3 * LEAST_EDGE) {
            break;
        }
        strides.push(from_fn(|axis| if halved.contains(&axis) { 2 } else { 1 }));
        for axis in halved {
            spacing_mm[axis] *= 2.0;
            size[axis] = size[axis].div_ceil(2);
        }
    }
    strides
}

/// Voxels of one token of the last stage, D,H,W.
fn total_stride(model: &UnetConfig) -> [usize; 3] {
    model.stride_at(model.strides.len() - 1)
}

/// How many voxels a crop has.
pub fn voxels(size: [usize; 3]) -> usize {
    size.iter().product()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What nnU-Net plans for the Decathlon's Task04, whose 260 volumes have a median of 36 x 50 x 35 voxels of 1 mm: 36 > 18 > 9 > 5,
    /// 50 > 25 > 13 > 7 and 35 > 18 > 9 > 5 are three halvings, and the crop is padded to multiples of 8. A twentieth of
    /// 260 * 63 000 voxels is 9.1 crops of 89 600.
    #[test]
    fn the_hippocampus_is_planned_as_nnunet_does() {
        let median = [36.0, 50.0, 35.0];
        let network = Network::largest([1.0; 3], median, |_| true).unwrap();
        assert_eq!(network.crop_size, [40, 56, 40]);
        assert_eq!(network.model.features, [32, 64, 128, 256]);
        assert_eq!(network.model.strides, [[1; 3], [2; 3], [2; 3], [2; 3]]);
        assert_eq!(network.batch(median, 260, |_| true), Batch { crops: 9, limit: Limit::Dataset });
        assert_eq!(network.batch(median, 260, |crops| crops <= 5), Batch { crops: 5, limit: Limit::Memory });
        assert_eq!(network.batch(median, 3, |_| true), Batch { crops: 2, limit: Limit::Least });
    }

    /// By hand, 5 mm slices of 1 mm pixels, 24 x 192 x 160: in plane 1 > 2 > 4 mm until 5 / 4 < 2, so that slices are first halved at the
    /// third step. 24 > 12 > 6 allows two halvings, 192 six down to 6 > 3 (192 > 96 > 48 > 24 > 12 > 6), 160 > 80 > 40 > 20 > 10 > 5.
    #[test]
    fn thick_slices_are_halved_once_pixels_are_as_coarse() {
        let network = Network::new([5.0, 1.0, 1.0], [24, 192, 160]);
        assert_eq!(network.model.strides, [[1, 1, 1], [1, 2, 2], [1, 2, 2], [2, 2, 2], [2, 2, 2], [1, 2, 2]]);
        assert_eq!(network.model.features, [32, 64, 128, 256, 320, 320]);
        assert_eq!((network.crop_size, network.model.blocks), ([24, 192, 160], vec![1; 6]));
    }

    #[test]
    fn a_crop_shrinks_on_the_axis_on_which_it_is_largest_beside_the_median_until_it_fits() {
        let median = [100.0, 400.0, 400.0];
        // 256³ voxels of 1 mm, no more than 100 slices: 100 x 256 x 256, padded to multiples of 16 and 64.
        let first = Network::largest([1.0; 3], median, |_| true).unwrap();
        assert_eq!(first.crop_size, [112, 256, 256]);
        let next = Network::largest([1.0; 3], median, |other| voxels(other.crop_size) < voxels(first.crop_size)).unwrap();
        assert_eq!(next.crop_size, [96, 256, 256], "112 of 100 slices are more than 256 of 400");
        let mut sizes = Vec::new();
        let smallest = Network::largest([1.0; 3], median, |other| {
            assert!(sizes.len() < 1000, "{sizes:?} goes on for ever");
            sizes.push(other.clone());
            false
        });
        assert!(smallest.unwrap_err().crop_size.iter().all(|&edge| edge == 8));
        for pair in sizes.windows(2) {
            assert!(voxels(pair[1].crop_size) < voxels(pair[0].crop_size), "{pair:?}");
        }
        for Network { model, crop_size } in sizes {
            let stride = total_stride(&model);
            assert!((0..3).all(|axis| crop_size[axis].is_multiple_of(stride[axis]) && stride[axis] < crop_size[axis]), "{crop_size:?}");
        }
    }

    #[test]
    fn volumes_too_short_to_be_halved_are_padded() {
        let network = Network::new([1.0; 3], [5, 6, 7]);
        assert_eq!((network.crop_size, network.model.strides), ([16; 3], vec![[1; 3], [2; 3], [2; 3]]));
        assert_eq!(Network::new([4.0, 1.0, 1.0], [3, 64, 64]).crop_size, [4, 64, 64]);
    }
}
