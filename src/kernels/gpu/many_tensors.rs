//! Launches over several tensors of different lengths: of small ones, launching takes longer than computing.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

use super::launch::{UNITS, spread};

/// Tensors of a launch at most. Each has its own lines in the kernel, which a software GPU goes through for all of them: more would
/// cost it more than the launches that they spare.
const TENSORS: usize = 8;

/// Where a launch computes one of its tensors: in `cubes` cubes from number `first`. One without cubes fills a place that stays empty.
#[derive(CubeLaunch, CubeType, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub first: u32,
    pub cubes: u32,
    pub vectors: u32,
}

/// The first vector of this unit, one in every `cubes * UNITS`; `vectors` in a cube of another tensor.
#[cube]
pub(super) fn first_vector(span: &Span) -> u32 {
    // Before the first it wraps, and so is no number of the cubes either.
    let cube = CUBE_POS_X + CUBE_POS_Y * CUBE_COUNT_X - span.first;
    select(cube < span.cubes, cube * UNITS + UNIT_POS, span.vectors)
}

/// Tensors of a launch that binds `each` buffers for each of them and `shared` for all, where an adapter binds `bindings`: one
/// of those holds the launch's numbers.
pub(super) fn tensors_of_launch(bindings: u32, each: usize, shared: usize) -> usize {
    ((bindings as usize).saturating_sub(shared + 1) / each).clamp(1, TENSORS)
}

/// A launch over several tensors.
#[derive(Debug)]
pub(super) struct Launch<'a, T> {
    /// As many for every launch of as long vectors, so that they share a kernel: where too few are left, the first fills the places.
    pub places: Vec<(&'a T, Span)>,
    /// Numbers of a vector.
    pub size: usize,
    pub cubes: u32,
}

/// Launches over all of `tensors`, `most` at once, where a unit has about `of_unit` vectors: first those that whole vectors make up.
pub(super) fn launches<T>(tensors: &[T], count: impl Fn(&T) -> usize, most: usize, of_unit: usize) -> Vec<Launch<'_, T>> {
    let (whole, odd): (Vec<&T>, Vec<&T>) = tensors.iter().partition(|tensor| count(tensor).is_multiple_of(4));
    let mut launches = Vec::new();
    for (alike, size) in [(whole, 4), (odd, 1)] {
        let most = most.min(alike.len()).max(1);
        for group in alike.chunks(most) {
            let (mut cubes, mut places) = (0, Vec::new());
            for &tensor in group {
                let vectors = count(tensor) / size;
                let span = Span { first: cubes, cubes: vectors.div_ceil(of_unit * UNITS as usize) as u32, vectors: vectors as u32 };
                places.push((tensor, span));
                cubes += span.cubes;
            }
            places.resize(most, (group[0], Span { first: 0, cubes: 0, vectors: 0 }));
            launches.push(Launch { places, size, cubes });
        }
    }
    launches
}

impl<T> Launch<'_, T> {
    pub(super) fn cube_count(&self) -> CubeCount {
        let [x, y] = spread(self.cubes as usize);
        CubeCount::Static(x, y, 1)
    }

    /// What a kernel takes of each tensor, by what `argument` makes of it and its span.
    pub(super) fn arguments<A: FromIterator<P>, P>(&self, argument: impl Fn(&T, SpanLaunch) -> P) -> A {
        self.places.iter().map(|&(tensor, span)| argument(tensor, SpanLaunch::new(span.first, span.cubes, span.vectors))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_launch_takes_as_many_tensors_as_an_adapter_binds() {
        // AdamW, SGD, moving average and norm.
        let of = |bindings| [(4, 1), (3, 1), (2, 0), (1, 1)].map(|(each, shared)| tensors_of_launch(bindings, each, shared));
        assert_eq!(of(8), [1, 2, 3, 6]);
        assert_eq!(of(16), [3, 4, 7, 8]);
        assert_eq!(of(31), [7, 8, 8, 8]);
        assert_eq!(of(u32::MAX), [8; 4]);
        assert_eq!(of(0), [1; 4], "one is tried on any");
    }

    #[test]
    fn launches_cover_each_tensor_once_and_share_two_kernels() {
        let spans = |launch: &Launch<'_, usize>| -> Vec<[usize; 4]> {
            let span = |&(&count, span): &(&usize, Span)| [count, span.first as usize, span.cubes as usize, span.vectors as usize];
            launch.places.iter().map(span).collect()
        };
        let launches = launches(&[8, 5, 40_000, 4096, 7], |&count| count, 2, 4);
        let found: Vec<_> = launches.iter().map(|launch| (launch.size, launch.cubes, spans(launch))).collect();
        let expected = [
            (4, 11, vec![[8, 0, 1, 2], [40_000, 1, 10, 10_000]]),
            (4, 1, vec![[4096, 0, 1, 1024], [4096, 0, 0, 0]]),
            (1, 2, vec![[5, 0, 1, 5], [7, 1, 1, 7]]),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_lone_tensor_takes_a_launch_of_one_place() {
        let launches = launches(&[12], |&count| count, 8, 16);
        assert_eq!(launches[0].places, [(&12, Span { first: 0, cubes: 1, vectors: 3 })]);
        assert_eq!(launches.len(), 1);
    }
}
