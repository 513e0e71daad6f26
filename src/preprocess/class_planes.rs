//! Where the voxels of each class lie, plane by plane: enough to find any of them with one look at one plane, and far smaller than a list.

use serde::{Deserialize, Serialize};

/// The voxels of one class, counted in each of the planes along D that hold any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassPlanes {
    /// Index of the class.
    pub class: u8,
    /// The first plane that holds it.
    first: usize,
    /// Its voxels in that plane and those after it, to the last that holds it.
    counts: Vec<u32>,
}

impl ClassPlanes {
    /// The classes present in a label map of planes of `plane` voxels, background left out, in ascending order.
    pub(super) fn of_map(label: &[u8], plane: usize) -> Vec<Self> {
        let mut classes: Vec<Self> = (0..=u8::MAX).map(|class| Self { class, first: 0, counts: Vec::new() }).collect();
        for (depth, labels) in label.chunks(plane.max(1)).enumerate() {
            let mut counts = [0_u32; 256];
            labels.iter().for_each(|&class| counts[usize::from(class)] += 1);
            for (class, count) in classes.iter_mut().zip(counts).filter(|(_, count)| *count > 0) {
                if class.counts.is_empty() {
                    class.first = depth;
                }
                // Planes between without it count none.
                class.counts.resize(depth - class.first, 0);
                class.counts.push(count);
            }
        }
        classes.into_iter().skip(1).filter(|class| !class.counts.is_empty()).collect()
    }

    /// Number of voxels.
    pub fn count(&self) -> usize {
        self.counts.iter().map(|&count| count as usize).sum()
    }

    /// The plane that holds the `number`-th voxel in the order of the map, and the number of the voxel among the class's in that plane.
    ///
    /// # Panics
    /// If there are not so many.
    pub(super) fn plane(&self, mut number: usize) -> (usize, usize) {
        for (plane, &count) in self.counts.iter().enumerate() {
            if number < count as usize {
                return (self.first + plane, number);
            }
            number -= count as usize;
        }
        panic!("a class of {} voxels has none beyond", self.count());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_voxel_of_each_class_is_found_in_its_plane() {
        let label = [0, 2, 2, 1, 1, 1, 0, 2, 3, 3, 0, 1, 0, 0, 0, 0, 2, 0];
        let plane = 3;
        let classes = ClassPlanes::of_map(&label, plane);
        assert_eq!(classes.iter().map(|class| class.class).collect::<Vec<_>>(), [1, 2, 3]);
        for class in &classes {
            let listed: Vec<_> = (0..class.count())
                .map(|number| {
                    let (depth, within) = class.plane(number);
                    let of_plane = label[depth * plane..][..plane].iter().enumerate().filter(|(_, label)| **label == class.class);
                    depth * plane + of_plane.map(|(place, _)| place).nth(within).unwrap()
                })
                .collect();
            let expected: Vec<_> = (0..label.len()).filter(|&place| label[place] == class.class).collect();
            assert_eq!(listed, expected);
        }
        assert_eq!(ClassPlanes::of_map(&[0; 6], 3), []);
    }
}
