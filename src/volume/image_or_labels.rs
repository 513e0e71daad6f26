//! Whether a file holds an image or a label map, as far as its voxels say.

use super::Scan;
use super::labels::label_of;

/// Share of equal neighbours inside labels from which whole numbers lie in patches, as labels do; and below which they do not.
const PATCHES: (f64, f64) = (0.8, 0.3);
/// Values up to which a map can be shown as labels.
const MOST_LABELS: usize = 256;

/// What a volume's voxels look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Several channels, fractions, negative or scattered values.
    Image,
    /// Few whole numbers, in patches.
    Labels,
    /// Whole numbers that may be either.
    Unclear,
}

/// Looks at every voxel.
pub fn content(scan: &Scan) -> Content {
    let volume = &scan.volume;
    if volume.channels != 1 {
        return Content::Image;
    }
    let mut met = vec![false; 1 << 16];
    let (mut values, mut finite) = (0, true);
    for &value in &volume.voxels {
        match label_of(value) {
            _ if !value.is_finite() => finite = false,
            None => return Content::Image,
            Some(label) => values += usize::from(!std::mem::replace(&mut met[usize::from(label)], true)),
        }
    }
    let rows = volume.voxels.chunks_exact(volume.grid.shape[2].max(1));
    let pairs = rows.flat_map(|row| row.windows(2)).filter(|pair| pair[0] > 0.0 && pair[1] > 0.0);
    let (equal, all) = pairs.fold((0_u64, 0_u64), |(equal, all), pair| (equal + u64::from(pair[0] == pair[1]), all + 1));
    let share = equal as f64 / all as f64;
    if all > 0 && share < PATCHES.1 {
        Content::Image
    } else if share >= PATCHES.0 && values <= MOST_LABELS && finite {
        Content::Labels
    } else {
        Content::Unclear
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::demo;

    #[test]
    fn labels_and_images_of_whole_numbers_are_told_apart_and_doubts_are_kept() {
        let dataset = demo::dataset();
        for case in dataset.cases.iter().filter(|case| case.label.is_some()).take(4) {
            let image = case.images[0].read().unwrap();
            assert_eq!(content(&image), Content::Image, "{} is an image", case.name);
            let mut labels = case.label.as_ref().unwrap().read().unwrap();
            assert_eq!(content(&labels), Content::Labels, "{} has labels", case.name);
            // An empty map, and one of single voxels.
            labels.volume.voxels.fill(0.0);
            assert_eq!(content(&labels), Content::Unclear);
            labels.volume.voxels[7] = 3.0;
            assert_eq!(content(&labels), Content::Unclear);
            labels.volume.voxels[7] = f32::NAN;
            assert_eq!(content(&labels), Content::Unclear);
            labels.volume.voxels[7] = -3.0;
            assert_eq!(content(&labels), Content::Image);
        }
    }
}
