//! Connected components of a label map: voxels of one value that touch by a face, an edge or a corner (26 neighbours), as nnU-Net counts
//! them.
//!
//! Runs of voxels along W are joined rather than voxels, so that memory grows with the surface of the labels and not with the volume.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Neighbouring voxels of one value along W.
struct Run {
    value: u16,
    columns: Range<usize>,
}

/// Which runs are one component: each points at an earlier one of its component, the first at itself.
struct Joined(Vec<usize>);

impl Joined {
    fn first(&mut self, mut run: usize) -> usize {
        while self.0[run] != run {
            self.0[run] = self.0[self.0[run]];
            run = self.0[run];
        }
        run
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.first(one), self.first(other));
        self.0[one.max(other)] = one.min(other);
    }
}

/// Sets to 0, of each of `values`, what lies outside its largest component in a map of `shape` (D,H,W); of several equally large ones
/// all stay, as with nnU-Net. Returns how many voxels were removed.
///
/// # Panics
/// If `voxels` does not have the shape.
pub fn keep_largest(voxels: &mut [u16], shape: [usize; 3], values: &BTreeSet<u16>) -> usize {
    let [depth, height, width] = shape;
    assert_eq!(voxels.len(), depth * height * width, "a label map off its shape");
    if voxels.is_empty() {
        return 0;
    }
    // Runs of row r of all (d, h) are `runs[rows[r]..rows[r + 1]]`.
    let (mut runs, mut rows) = (Vec::new(), vec![0]);
    for row in voxels.chunks_exact(width) {
        let mut start = 0;
        for same in row.chunk_by(|a, b| a == b) {
            let columns = start..start + same.len();
            start = columns.end;
            if same[0] != 0 && values.contains(&same[0]) {
                runs.push(Run { value: same[0], columns });
            }
        }
        rows.push(runs.len());
    }
    let mut joined = Joined((0..runs.len()).collect());
    for (d, h) in (0..depth).flat_map(|d| (0..height).map(move |h| (d, h))) {
        let row = d * height + h;
        let beside = (h > 0).then(|| row - 1);
        let above = (h.saturating_sub(1)..(h + 2).min(height)).filter(|_| d > 0).map(|near| (d - 1) * height + near);
        for other in beside.into_iter().chain(above) {
            join_rows(&runs, [rows[row]..rows[row + 1], rows[other]..rows[other + 1]], &mut joined);
        }
    }
    remove_smaller(voxels, width, (&runs, &rows), &mut joined)
}

/// Joins the runs of two neighbouring rows that touch, also by a corner.
fn join_rows(runs: &[Run], [row, other]: [Range<usize>; 2], joined: &mut Joined) {
    let mut first = other.start;
    for own in row {
        let Range { start, end } = runs[own].columns;
        while first < other.end && runs[first].columns.end < start {
            first += 1;
        }
        for near in (first..other.end).take_while(|&near| runs[near].columns.start <= end) {
            if runs[near].value == runs[own].value {
                joined.join(own, near);
            }
        }
    }
}

fn remove_smaller(voxels: &mut [u16], width: usize, (runs, rows): (&[Run], &[usize]), joined: &mut Joined) -> usize {
    let mut sizes = vec![0; runs.len()];
    for (index, run) in runs.iter().enumerate() {
        sizes[joined.first(index)] += run.columns.len();
    }
    let mut largest: BTreeMap<u16, usize> = BTreeMap::new();
    for (run, &size) in runs.iter().zip(&sizes) {
        let most = largest.entry(run.value).or_default();
        *most = size.max(*most);
    }
    let mut removed = 0;
    for (row, line) in voxels.chunks_exact_mut(width).enumerate() {
        for index in rows[row]..rows[row + 1] {
            let run = &runs[index];
            if sizes[joined.first(index)] < largest[&run.value] {
                line[run.columns.clone()].fill(0);
                removed += run.columns.len();
            }
        }
    }
    removed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{ravel, unravel};

    fn kept(map: &[u16], shape: [usize; 3], values: &[u16]) -> (Vec<u16>, usize) {
        let mut map = map.to_vec();
        let removed = keep_largest(&mut map, shape, &values.iter().copied().collect());
        (map, removed)
    }

    #[test]
    fn the_largest_component_of_each_label_stays() {
        #[rustfmt::skip]
        let map = [
            1, 1, 0, 2,
            0, 0, 0, 2,
            3, 0, 1, 0,

            0, 0, 0, 0,
            0, 0, 0, 0,
            3, 0, 0, 1,
        ];
        // The two 1s below touch by an edge, as do none of them and the two above: equally large, both stay. 2 and 3 are whole.
        assert_eq!(kept(&map, [2, 3, 4], &[1, 2, 3]), (map.to_vec(), 0));
        let mut more = map;
        more[23 - 4] = 1;
        let (map, removed) = kept(&more, [2, 3, 4], &[1, 2, 3]);
        assert_eq!(removed, 2, "three voxels outweigh two");
        assert_eq!((&map[..2], map[10], map[19], map[23]), (&[0, 0][..], 1, 1, 1));
        assert_eq!(kept(&more, [2, 3, 4], &[2]), (more.to_vec(), 0), "labels that are not named stay whole");
        assert_eq!(kept(&[0; 24], [2, 3, 4], &[0, 1]), (vec![0; 24], 0));
    }

    #[test]
    fn a_corner_joins_and_a_gap_parts() {
        let shape = [3, 3, 3];
        let mut map = [0; 27];
        for at in [[0, 0, 0], [1, 1, 1], [2, 2, 0]] {
            map[ravel(at, shape)] = 5;
        }
        assert_eq!(kept(&map, shape, &[5]).1, 0, "a chain by corners is one");
        map[ravel([1, 1, 1], shape)] = 6;
        assert_eq!(kept(&map, shape, &[5, 6]).1, 0, "two single voxels are equally large");
        map[ravel([2, 1, 0], shape)] = 5;
        assert_eq!(kept(&map, shape, &[5, 6]).1, 1, "the lone one goes");
    }

    /// Flooding from voxel to voxel: the definition.
    fn by_flooding(map: &[u16], shape: [usize; 3]) -> Vec<u16> {
        let mut component = vec![usize::MAX; map.len()];
        let mut sizes = Vec::new();
        for start in 0..map.len() {
            if map[start] == 0 || component[start] != usize::MAX {
                continue;
            }
            let (mut open, number) = (vec![start], sizes.len());
            component[start] = number;
            sizes.push((map[start], 0));
            while let Some(voxel) = open.pop() {
                sizes[number].1 += 1;
                let at = unravel(voxel, shape);
                for near in 0..map.len() {
                    let other = unravel(near, shape);
                    let touches = (0..3).all(|axis| at[axis].abs_diff(other[axis]) <= 1);
                    if touches && map[near] == map[start] && component[near] == usize::MAX {
                        component[near] = number;
                        open.push(near);
                    }
                }
            }
        }
        let largest = |value: u16| sizes.iter().filter(|own| own.0 == value).map(|own| own.1).max();
        let stays = |voxel: usize| map[voxel] != 0 && Some(sizes[component[voxel]].1) == largest(map[voxel]);
        (0..map.len()).map(|voxel| if stays(voxel) { map[voxel] } else { 0 }).collect()
    }

    #[test]
    fn runs_give_what_flooding_gives() {
        for (seed, shape) in [[5, 6, 7], [1, 9, 9], [9, 1, 8], [8, 9, 1]].into_iter().enumerate() {
            let map: Vec<u16> = (0..shape.iter().product::<usize>())
                .map(|voxel| [0, 0, 1, 2, 0, 1, 3][(voxel * 7919 + voxel * voxel * (31 + seed)) % 1013 % 7])
                .collect();
            let expected = by_flooding(&map, shape);
            assert_ne!(expected, map, "there is something to remove");
            assert_eq!(kept(&map, shape, &[1, 2, 3]).0, expected, "{shape:?}");
        }
    }
}
