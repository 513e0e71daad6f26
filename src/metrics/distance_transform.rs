//! The exact Euclidean distance transform, one axis after the other (Felzenszwalb and Huttenlocher,
//! "Distance Transforms of Sampled Functions", 2012).
//!
//! Each pass reads lines along one axis and writes them so that the next is at hand: `[D, H, W]` becomes `[D, W, H]` and then
//! `[W, H, D]`, which is read out where distances are asked for.

use rayon::prelude::*;

/// Squared distance of each of `queries` to the nearest of `sites`, infinite without any; both `[D, H, W]` row-major.
///
/// `spacing` is the voxel size along D,H,W, in whose unit (squared) the results are.
pub(crate) fn squared_distances(queries: &[bool], sites: &[bool], shape: [usize; 3], spacing: [f64; 3]) -> Vec<f64> {
    let [depth, height, width] = shape;
    if sites.is_empty() {
        return Vec::new();
    }
    let [along_depth, along_height, along_width] = [(depth, spacing[0]), (height, spacing[1]), (width, spacing[2])].map(Axis::new);

    // [D, H, W] -> [D, W, H]: distances within rows, then within the plane of a slice.
    let mut planes = vec![0.0; sites.len()];
    planes.par_chunks_mut(height * width).zip(sites.par_chunks(height * width)).for_each_init(
        || Scratch::new(height * width, height),
        |scratch, (plane, sites)| {
            for (row, sites) in sites.chunks_exact(width).enumerate() {
                let column = |(at, squared)| scratch.lines[at * height + row] = squared;
                along_width.to_sites(sites).enumerate().for_each(column);
            }
            for (line, result) in scratch.lines.chunks_exact(height).zip(plane.chunks_exact_mut(height)) {
                along_height.lower_envelope(line, result, &mut scratch.hull);
            }
        },
    );
    // [D, W, H] -> [W, H, D]
    let mut volume = vec![0.0; sites.len()];
    volume.par_chunks_mut(height * depth).enumerate().for_each_init(
        || Scratch::new(height * depth, depth),
        |scratch, (column, sheet)| {
            for (slice, plane) in planes.chunks_exact(height * width).enumerate() {
                let line = &plane[column * height..(column + 1) * height];
                line.iter().enumerate().for_each(|(row, &squared)| scratch.lines[row * depth + slice] = squared);
            }
            for (line, result) in scratch.lines.chunks_exact(depth).zip(sheet.chunks_exact_mut(depth)) {
                along_depth.lower_envelope(line, result, &mut scratch.hull);
            }
        },
    );
    let rows = queries.chunks_exact(width).enumerate().flat_map(|(row, queries)| {
        let asked = queries.iter().enumerate().filter(|(_, asked)| **asked);
        asked.map(move |(column, _)| (column * height + row % height) * depth + row / height)
    });
    rows.map(|at| volume[at]).collect()
}

/// One axis of the grid.
struct Axis {
    spacing: f64,
    /// `1 / (2 k spacing²)` for a distance of `k` voxels: what divides two parabolas' difference where they meet.
    inverse: Vec<f64>,
}

/// Room for the lines of one plane and the hull of one line.
struct Scratch {
    lines: Vec<f64>,
    hull: Hull,
}

/// The parabolas of a lower envelope: from where each is the lowest, its apex, and its height there.
struct Hull {
    from: Vec<f64>,
    apex: Vec<usize>,
}

impl Scratch {
    fn new(cells: usize, line: usize) -> Self {
        Self { lines: vec![0.0; cells], hull: Hull { from: Vec::with_capacity(line), apex: Vec::with_capacity(line) } }
    }
}

impl Axis {
    fn new((length, spacing): (usize, f64)) -> Self {
        Self { spacing, inverse: (0..length).map(|k| 0.5 / (k as f64 * spacing * spacing)).collect() }
    }

    /// Squared distances along a row to its nearest site.
    fn to_sites(&self, sites: &[bool]) -> impl Iterator<Item = f64> {
        let mut after = sites.iter().position(|&site| site);
        let mut before = None;
        let square = move |voxels: usize, spacing: f64| (voxels as f64 * spacing).powi(2);
        (0..sites.len()).map(move |at| {
            if after.is_some_and(|site| site < at) {
                after = sites[at..].iter().position(|&site| site).map(|ahead| at + ahead);
            }
            if sites[at] {
                before = Some(at);
            }
            let nearest = [before.map(|site| at - site), after.map(|site| site - at)].into_iter().flatten().min();
            nearest.map_or(f64::INFINITY, |voxels| square(voxels, self.spacing))
        })
    }

    /// `result[q] = min_p line[p] + (spacing (q - p))²`.
    fn lower_envelope(&self, line: &[f64], result: &mut [f64], hull: &mut Hull) {
        let scale = self.spacing * self.spacing;
        hull.from.clear();
        hull.apex.clear();
        for (q, &height) in line.iter().enumerate().filter(|(_, height)| height.is_finite()) {
            let mut from = f64::NEG_INFINITY;
            while let (Some(&start), Some(&p)) = (hull.from.last(), hull.apex.last()) {
                let lift = height - line[p] + scale * ((q * q - p * p) as f64);
                from = lift * self.inverse[q - p];
                if from > start {
                    break;
                }
                hull.from.pop();
                hull.apex.pop();
                from = f64::NEG_INFINITY;
            }
            hull.from.push(from);
            hull.apex.push(q);
        }
        if hull.apex.is_empty() {
            result.fill(f64::INFINITY);
            return;
        }
        let mut parabola = 0;
        for (q, result) in result.iter_mut().enumerate() {
            while hull.from.get(parabola + 1).is_some_and(|&from| from < q as f64) {
                parabola += 1;
            }
            let apex = hull.apex[parabola];
            *result = line[apex] + scale * (q.abs_diff(apex) as f64).powi(2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::stream;
    use rand::RngExt as _;

    #[test]
    fn agrees_with_the_definition_on_uneven_grids() {
        let mut draws = stream(3, "sites", 0, 0);
        for (shape, spacing, density) in [([5, 7, 6], [2.5, 0.7, 1.1], 0.05), ([1, 9, 4], [1.0, 1.0, 3.0], 0.2), ([8, 1, 1], [0.5; 3], 0.5)]
        {
            let [depth, height, width]: [usize; 3] = shape;
            let sites: Vec<bool> = (0..depth * height * width).map(|_| draws.random_bool(density)).collect();
            let place = |at: usize| [at / (height * width), at / width % height, at % width];
            let distance = |a: usize, b: usize| -> f64 {
                let (a, b) = (place(a), place(b));
                (0..3).map(|axis| (a[axis].abs_diff(b[axis]) as f64 * spacing[axis]).powi(2)).sum()
            };
            let nearest =
                |at: usize| (0..sites.len()).filter(|&site| sites[site]).map(|site| distance(at, site)).fold(f64::INFINITY, f64::min);
            for (at, squared) in squared_distances(&vec![true; sites.len()], &sites, shape, spacing).into_iter().enumerate() {
                assert!(squared == nearest(at) || (squared - nearest(at)).abs() < 1e-12, "{at}: {squared} is not {}", nearest(at));
            }
        }
    }

    #[test]
    fn without_sites_everything_is_infinitely_far() {
        assert!(squared_distances(&[true; 24], &[false; 24], [2, 3, 4], [1.0; 3]).iter().all(|squared| squared.is_infinite()));
    }
}
