//! A batch in equal shares, one for each of the devices that compute it together.
//!
//! A batch is drawn as a whole and shared out afterwards: what is in it does not depend on the number of devices.

use super::{LabelledBatch, View, ViewBatch};

impl ViewBatch {
    /// So many shares of as many volumes each, in their order.
    ///
    /// # Panics
    /// If the volumes cannot be shared out evenly.
    pub fn shares(&self, count: usize) -> Vec<Self> {
        let share = |place| Self {
            step: self.step,
            shape: share_of_shape(self.shape, count),
            views: self.views.iter().map(|view| view.share(place, count)).collect(),
            mask_grid: self.mask_grid,
            cases: part(&self.cases, place, count),
        };
        (0..count).map(share).collect()
    }
}

impl View {
    fn share(&self, place: usize, count: usize) -> Self {
        Self {
            voxels: part(&self.voxels, place, count),
            mask: part(&self.mask, place, count),
            elements: part(&self.elements, place, count),
            clean: part(&self.clean, place, count),
        }
    }
}

impl LabelledBatch {
    /// So many shares of as many crops each, in their order.
    ///
    /// # Panics
    /// If the crops cannot be shared out evenly.
    pub fn shares(&self, count: usize) -> Vec<Self> {
        let share = |place| Self {
            step: self.step,
            shape: share_of_shape(self.shape, count),
            image: part(&self.image, place, count),
            label: part(&self.label, place, count),
            cases: part(&self.cases, place, count),
        };
        (0..count).map(share).collect()
    }
}

fn share_of_shape([volumes, channels, depth, height, width]: [usize; 5], count: usize) -> [usize; 5] {
    assert!(volumes.is_multiple_of(count), "{volumes} volumes cannot be shared out evenly among {count} devices");
    [volumes / count, channels, depth, height, width]
}

/// The `place`-th of `count` equal parts; the volumes are the first axis of whatever is cut.
fn part<T: Clone>(whole: &[T], place: usize, count: usize) -> Vec<T> {
    let length = whole.len() / count;
    whole[place * length..][..length].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::SignedPermutation;
    use crate::sampling::mask::MaskGrid;

    #[test]
    fn shares_hold_the_volumes_in_their_order() {
        let names = |cases: &[&str]| cases.iter().map(|case| (*case).to_owned()).collect::<Vec<_>>();
        let image: Vec<f32> = (0..64).map(|voxel| voxel as f32).collect();
        let label: Vec<u8> = (0..32).collect();
        let cases = names(&["a", "b", "c", "d"]);
        let whole = LabelledBatch { step: 5, shape: [4, 2, 2, 2, 2], image: image.clone(), label: label.clone(), cases: cases.clone() };
        let [first, second] = <[LabelledBatch; 2]>::try_from(whole.shares(2)).unwrap();
        assert_eq!((first.shape, second.step), ([2, 2, 2, 2, 2], 5));
        assert_eq!((&first.image[..], &second.image[..]), image.split_at(32));
        assert_eq!((&first.label[..], &second.label[..]), label.split_at(16));
        assert_eq!(second.cases, names(&["c", "d"]));
        assert_eq!(whole.shares(1), std::slice::from_ref(&whole));

        let turned = [SignedPermutation::IDENTITY, SignedPermutation::POINT_REFLECTION];
        let mask_grid = MaskGrid::new([2; 3], [1, 2, 2]).unwrap();
        let view =
            View { voxels: image[..16].to_vec(), mask: vec![true, false, false, true], elements: turned.to_vec(), clean: Vec::new() };
        let views = ViewBatch { step: 5, shape: [2, 1, 2, 2, 2], views: vec![view], mask_grid, cases: names(&["a", "b"]) };
        let second = views.shares(2).pop().unwrap();
        let expected = View { voxels: image[8..16].to_vec(), mask: vec![false, true], elements: turned[1..].to_vec(), clean: Vec::new() };
        assert_eq!((second.shape, &second.views[..], second.cases), ([1, 1, 2, 2, 2], &[expected][..], names(&["b"])));
    }
}
