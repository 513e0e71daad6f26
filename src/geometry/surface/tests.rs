//! What the meshes are measured by.

use std::collections::{HashMap, HashSet};

use super::*;
use crate::geometry::{SignedPermutation, all_grids, ravel, unravel};

/// Radius of the ball in mm.
const RADIUS: f64 = 20.0;

/// A ball of label 3 about the middle of a grid, but not quite.
fn ball_on(grid: &Grid) -> (Vec<u8>, [f64; 3]) {
    let [d, h, w] = grid.shape.map(|voxels| (voxels as f64 - 1.0) / 2.0 + 0.13);
    let centre = grid.world_mm([w, h, d]);
    let inside = |index: usize| {
        let at = grid.voxel_mm(unravel(index, grid.shape));
        at.iter().zip(centre).map(|(a, b)| (a - b).powi(2)).sum::<f64>() <= RADIUS * RADIUS
    };
    ((0..grid.len()).map(|index| if inside(index) { 3 } else { 0 }).collect(), centre)
}

/// The surfaces of labels `[D, H, W]`.
fn surfaces_of(labels: &[u8], grid: &Grid, most_faces: usize) -> LabelSurfaces {
    let slices: Vec<&[u8]> = labels.chunks(grid.shape[1] * grid.shape[2]).collect();
    LabelSurfaces::new(&slices, grid, most_faces)
}

/// Volume and area of a mesh, in mm: the volume is negative where it is inside out.
fn measured(mesh: &LabelMesh) -> [f64; 2] {
    let mut sum = [0.0; 2];
    for &triangle in &mesh.triangles {
        let [a, b, c] = mesh.corners_mm(triangle).map(nalgebra::Vector3::from);
        let across = (b - a).cross(&(c - a));
        sum[0] += a.dot(&across) / 6.0;
        sum[1] += across.norm() / 2.0;
    }
    sum
}

/// How often each edge is gone along, in each direction.
fn edges(mesh: &LabelMesh) -> HashMap<(u32, u32), usize> {
    let mut edges = HashMap::new();
    for triangle in &mesh.triangles {
        for side in 0..3 {
            *edges.entry((triangle[side], triangle[(side + 1) % 3])).or_insert(0) += 1;
        }
    }
    edges
}

/// Whether each edge is gone along as often there as back: no hole, and no triangle that is turned round.
fn is_closed(mesh: &LabelMesh) -> bool {
    let edges = edges(mesh);
    !edges.is_empty() && edges.iter().all(|(&(from, to), times)| edges.get(&(to, from)) == Some(times))
}

#[test]
fn a_ball_is_round_closed_and_outside_out_on_every_grid() {
    // Unequal voxels, and all orientations, straight and oblique.
    for grid in all_grids([22, 47, 56], [2.5, 1.0, 0.8]) {
        let (labels, centre) = ball_on(&grid);
        let surfaces = surfaces_of(&labels, &grid, usize::MAX);
        let [mesh] = surfaces.meshes.as_slice() else { panic!("one label") };
        assert_eq!((mesh.label, surfaces.step, surfaces.lost.len()), (3, [1; 3], 0));
        assert!(is_closed(mesh) && edges(mesh).values().all(|&times| times == 1), "every edge twice, once in each direction");
        let [volume, area] = measured(mesh);
        let (of_ball, of_sphere) = (4.0 / 3.0 * std::f64::consts::PI * RADIUS.powi(3), 4.0 * std::f64::consts::PI * RADIUS.powi(2));
        let axes = grid.axis_codes();
        assert!((0.97..1.02).contains(&(volume / of_ball)), "{axes}: {volume} of {of_ball} mm3");
        assert!((0.98..1.05).contains(&(area / of_sphere)), "{axes}: {area} of {of_sphere} mm2");
        let mut facing = Vec::new();
        for vertex in &mesh.vertices {
            let out = [0, 1, 2].map(|axis: usize| f64::from(vertex.position_mm[axis]) - centre[axis]);
            let radius = out.iter().map(|part| part * part).sum::<f64>().sqrt();
            // Half a voxel is 1.25 mm at most.
            assert!((radius - RADIUS).abs() < 1.5, "{axes}: {radius}");
            facing.push(out.iter().zip(vertex.normal).map(|(out, normal)| out / radius * f64::from(normal)).sum::<f64>());
        }
        // At the poles a step of 2.5 mm is a wall.
        let mean = facing.iter().sum::<f64>() / facing.len() as f64;
        assert!(mean > 0.96 && facing.iter().all(|&facing| facing > 0.5), "{axes}: {mean}");
        assert!((surfaces.radius_mm - RADIUS).abs() < 1.5 && surfaces.centre_mm.iter().zip(centre).all(|(a, b)| (a - b).abs() < 1.5));
    }
}

#[test]
fn the_surface_is_the_same_in_the_patient_however_the_voxels_are_stored() {
    let grid = all_grids([12, 20, 24], [2.5, 1.2, 0.8]).remove(1);
    // Two labels that lie beside each other and on the border, without any symmetry.
    let label = |[d, h, w]: [usize; 3]| match (d * d + 2 * h + 3 * w) % 97 {
        _ if (d as f64 - 4.0).powi(2) + (h as f64 / 2.0 - 4.0).powi(2) + (w as f64 / 3.0 - 3.0).powi(2) < 14.0 => 1,
        _ if d + h > 9 && w > 15 && h < 14 => 2,
        0 => 5,
        _ => 0,
    };
    let labels: Vec<u8> = (0..grid.len()).map(|index| label(unravel(index, grid.shape))).collect();
    let right = surfaces_of(&labels, &grid, usize::MAX);
    // To the tenth of a millimetre.
    let places = |mesh: &LabelMesh| -> HashSet<[i64; 3]> {
        mesh.vertices.iter().map(|vertex| vertex.position_mm.map(|mm| ((f64::from(mm) + 0.0037) * 10.0).round() as i64)).collect()
    };
    for permutation in SignedPermutation::all() {
        let stored = permutation.reorient(labels.clone(), grid.shape);
        let other = surfaces_of(&stored, &permutation.grid(&grid), usize::MAX);
        assert_eq!(right.meshes.len(), other.meshes.len());
        for (a, b) in right.meshes.iter().zip(&other.meshes) {
            assert_eq!((a.label, a.vertices.len(), a.triangles.len()), (b.label, b.vertices.len(), b.triangles.len()));
            assert!(is_closed(b), "label {}", b.label);
            for (a, b) in measured(a).into_iter().zip(measured(b)) {
                assert!((a / b - 1.0).abs() < 2e-3, "{permutation:?}: {a} and {b}");
            }
            // Sums in another order round a few of them to another tenth.
            let (a, b) = (places(a), places(b));
            let apart = a.difference(&b).count();
            assert!(apart * 50 < a.len(), "{permutation:?}: {apart} of {} vertices lie elsewhere", a.len());
        }
    }
}

#[test]
fn every_label_however_thin_or_torn_is_closed() {
    let grid = Grid::axis_aligned([6, 9, 9], [1.0; 3]);
    // One voxel, two that touch in an edge, a sheet, a checkerboard; all of it on the border too.
    let label = |[d, h, w]: [usize; 3]| match d {
        0 => u8::from(h == 0 && w == 0),
        2 => 2 * u8::from(h == 4),
        4 => 3 * u8::from((h + w) % 2 == 0),
        5 => 4 * u8::from((h, w) == (3, 3) || (h, w) == (4, 4)),
        _ => 0,
    };
    let labels: Vec<u8> = (0..grid.len()).map(|index| label(unravel(index, grid.shape))).collect();
    let surfaces = surfaces_of(&labels, &grid, usize::MAX);
    assert_eq!(surfaces.meshes.iter().map(|mesh| mesh.label).collect::<Vec<_>>(), [1, 2, 3, 4]);
    for mesh in &surfaces.meshes {
        assert!(is_closed(mesh) && measured(mesh)[0] > 0.0, "label {}", mesh.label);
    }
}

#[test]
fn a_map_of_too_many_faces_is_meshed_in_blocks_and_says_so() {
    let grid = Grid::axis_aligned([30, 60, 60], [2.0, 1.0, 1.0]);
    let (mut labels, _) = ball_on(&grid);
    labels[ravel([1, 1, 1], grid.shape)] = 9;
    let whole = surfaces_of(&labels, &grid, usize::MAX);
    let most = whole.meshes[0].triangles.len() / 8;
    let reduced = surfaces_of(&labels, &grid, most);
    assert_eq!(reduced.lost, [9], "one voxel among others");
    let [mesh] = reduced.meshes.as_slice() else { panic!("one label") };
    let edges_mm = [0, 1, 2].map(|axis: usize| reduced.step[axis] as f64 * grid.spacing_mm()[axis]);
    assert!(mesh.triangles.len() <= 2 * most && edges_mm.iter().all(|mm| (2.0..=4.0).contains(mm)), "{edges_mm:?}");
    let [volume, right] = [mesh, &whole.meshes[0]].map(|mesh| measured(mesh)[0]);
    assert!(is_closed(mesh) && (volume / right - 1.0).abs() < 0.06, "{volume} of {right} mm3");
}

#[test]
fn a_ray_meets_the_nearest_visible_surface_and_finds_its_voxel() {
    for grid in all_grids([22, 47, 56], [2.5, 1.0, 0.8]).into_iter().step_by(5) {
        let (mut labels, centre) = ball_on(&grid);
        // A core of another label inside the ball.
        let distance = |voxel: [usize; 3]| grid.voxel_mm(voxel).iter().zip(centre).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        (0..labels.len()).filter(|&index| distance(unravel(index, grid.shape)) < 9.0).for_each(|index| labels[index] = 7);
        let surfaces = surfaces_of(&labels, &grid, usize::MAX);
        for axis in 0..3 {
            let mut ray = Ray { origin_mm: centre, direction: [0.0; 3] };
            (ray.origin_mm[axis], ray.direction[axis]) = (centre[axis] + 100.0, -1.0);
            for (label, radius) in [(3, RADIUS), (7, 9.0)] {
                let hit = surfaces.first_on(&ray, |other| label == 3 || other == 7).expect("the ray goes through the middle");
                assert_eq!(hit.label, label);
                assert!((hit.point_mm[axis] - centre[axis] - radius).abs() < 1.5, "{hit:?}");
                let voxel =
                    hit.voxel(|voxel| labels.get(ravel(voxel, grid.shape)).copied(), &grid, surfaces.step).expect("a voxel of the label");
                assert_eq!(labels[ravel(voxel, grid.shape)], label);
                let apart = grid.voxel_mm(voxel).iter().zip(hit.point_mm).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
                assert!(apart < 2.5, "{apart} mm from {hit:?} to {voxel:?}");
            }
            assert_eq!(surfaces.first_on(&ray, |_| false), None);
            ray.origin_mm[(axis + 1) % 3] += RADIUS + 3.0;
            assert_eq!(surfaces.first_on(&ray, |_| true), None, "beside the ball");
        }
    }
}
