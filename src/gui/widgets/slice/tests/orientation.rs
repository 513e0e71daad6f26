//! A head with a different mark on each of its six sides, stored in all 48 orientations on an oblique grid.

use eframe::egui::ColorImage;

use super::oblique;
use super::reference::{HostScene, Picture, draw_on_host};
use crate::geometry::{Grid, SignedPermutation, ravel, unravel};
use crate::gui::Convention;
use crate::gui::widgets::slice::{Framing, LabelColours, Plane, PlaneGeometry, SliceSettings, Style, WindowLevel, world_letters};

/// Voxels of the head towards R, A, S; odd, so that there is a middle.
const SIZE: [usize; 3] = [11, 13, 9];
/// mm towards R, A, S.
const SPACING: [f64; 3] = [1.5, 0.8, 2.5];
/// Side of the patient of each label from 1, and where its mark lies in the head: axis, and whether at the far end.
const MARKS: [(char, usize, bool); 6] = [('R', 0, true), ('L', 0, false), ('A', 1, true), ('P', 1, false), ('S', 2, true), ('I', 2, false)];
/// Pixels of a drawing.
const PIXELS: [usize; 2] = [180, 140];

/// The head, stored in another orientation: its marks stay where they are in the scanner.
fn stored(permutation: SignedPermutation) -> (Grid, Vec<u8>) {
    let head = head_grid();
    let marked = |index: usize| {
        let [superior, anterior, right] = unravel(index, head.shape);
        mark([right, anterior, superior])
    };
    let marks: Vec<u8> = (0..head.len()).map(marked).collect();
    (permutation.grid(&head), permutation.apply(&marks, 1, head.shape))
}

/// The head as it lies in the scanner, i, j, k along R, A, S but for 11 degrees about each; its middle near the origin.
fn head_grid() -> Grid {
    let columns = [[SPACING[0], 0.0, 0.0], [0.0, SPACING[1], 0.0], [0.0, 0.0, SPACING[2]]];
    Grid { shape: [SIZE[2], SIZE[1], SIZE[0]], world_from_voxel: oblique(columns, [-9.4, -2.1, -9.8]) }
}

fn world(head: &Grid, index: [usize; 3]) -> [f64; 3] {
    head.world_mm(index.map(|index| index as f64))
}

/// The label of a voxel of the head: marks are bars of three voxels from the middle of each side inwards.
fn mark(index: [usize; 3]) -> u8 {
    let lies_in = |axis: usize, far: bool| {
        let depth = if far { SIZE[axis] - 1 - index[axis] } else { index[axis] };
        depth < 3 && (0..3).filter(|&other| other != axis).all(|other| index[other].abs_diff(SIZE[other] / 2) <= 1)
    };
    MARKS.iter().position(|&(_, axis, far)| lies_in(axis, far)).map_or(0, |index| index as u8 + 1)
}

/// The letter of the mark that is met first on a line of pixels.
fn first_mark(image: &ColorImage, colours: &LabelColours, pixels: impl Iterator<Item = [usize; 2]>) -> (char, [usize; 2]) {
    let seen = |[x, y]: [usize; 2]| {
        let colour = image[(x, y)];
        (1..=6).find(|&label| colours.get(label).colour == colour)
    };
    let (label, pixel) = pixels.into_iter().find_map(|pixel| seen(pixel).map(|label| (label, pixel))).expect("a mark on the line");
    (MARKS[usize::from(label) - 1].0, pixel)
}

#[test]
fn letters_and_readout_are_right_in_all_48_orientations() {
    let head = head_grid();
    let colours = LabelColours::default();
    let settings = SliceSettings { opacity: 1.0, outline: false, ..SliceSettings::default() };
    let mut seen = 0;
    for permutation in SignedPermutation::all() {
        let (grid, labels) = stored(permutation);
        let image = vec![0.0; grid.len()];
        for (plane, convention) in
            Plane::ALL.into_iter().flat_map(|plane| [Convention::Radiological, Convention::Neurological].map(|c| (plane, c)))
        {
            let window = WindowLevel { low: 0.0, high: 1.0 };
            let style = Style { window, colours: &colours, settings: &settings, convention };
            let scene = HostScene { labels: Some(&labels), ..HostScene::new(&grid, &image, style) };
            let geometry = PlaneGeometry::new(&grid, plane, convention);
            let slice = geometry.slices / 2;
            let picture = Picture { margin: 8.0, ..Picture::of(plane, slice, PIXELS) };
            let drawn = draw_on_host(&scene, &picture);
            let placement = picture.framing.placement(&geometry, PIXELS.map(|pixels| pixels as f64), picture.margin);
            let [width, height] = PIXELS;
            let found = [
                first_mark(&drawn, &colours, (0..width).map(|x| [x, height / 2])),
                first_mark(&drawn, &colours, (0..width).rev().map(|x| [x, height / 2])),
                first_mark(&drawn, &colours, (0..height).map(|y| [width / 2, y])),
                first_mark(&drawn, &colours, (0..height).rev().map(|y| [width / 2, y])),
            ];
            // What a radiologist expects, said without the code under test.
            let expected = match (plane, convention) {
                (Plane::Axial, Convention::Radiological) => ['R', 'L', 'A', 'P'],
                (Plane::Axial, Convention::Neurological) => ['L', 'R', 'A', 'P'],
                (Plane::Coronal, Convention::Radiological) => ['R', 'L', 'S', 'I'],
                (Plane::Coronal, Convention::Neurological) => ['L', 'R', 'S', 'I'],
                (Plane::Sagittal, _) => ['A', 'P', 'S', 'I'],
            };
            let letters = geometry.letters;
            assert_eq!(found.map(|(letter, _)| letter), expected, "{plane:?} {convention:?} {}", grid.axis_codes());
            assert_eq!([letters.left, letters.right, letters.top, letters.bottom], expected);

            // The outermost voxel of each mark is where the head has it, and is read as lying there.
            for (letter, pixel) in found {
                let at = placement.at(pixel.map(|index| index as f64 + 0.5));
                let voxel = geometry.voxel_at(slice, at).expect("a mark is inside");
                let (_, axis, far) = MARKS[MARKS.iter().position(|mark| mark.0 == letter).unwrap()];
                let mut outermost = SIZE.map(|voxels| voxels / 2);
                outermost[axis] = if far { SIZE[axis] - 1 } else { 0 };
                let [x, y, z] = world(&head, outermost);
                let side = |value: f64, letters: [char; 2]| format!("{} {:.1}", letters[usize::from(value < 0.0)], value.abs());
                let expected = format!("{}  {}  {}", side(x, ['R', 'L']), side(y, ['A', 'P']), side(z, ['S', 'I']));
                let readout = world_letters(&grid, voxel.map(|index| index as f64));
                assert_eq!(readout, expected);
                assert!(readout.contains(&format!("{letter} ")), "{readout} lies on side {letter}");
                assert_eq!(labels[ravel(voxel, grid.shape)], mark(outermost));
                seen += 1;
            }
            assert_eq!(geometry.position(geometry.voxel(slice, [1.25, 3.5])), (slice as f64, [1.25, 3.5]), "there and back");
        }
    }
    assert_eq!(seen, 48 * 6 * 4);
}

#[test]
fn the_slice_above_is_towards_head_front_and_right() {
    for permutation in SignedPermutation::all() {
        let (grid, _) = stored(permutation);
        for (plane, axis) in [(Plane::Axial, 2), (Plane::Coronal, 1), (Plane::Sagittal, 0)] {
            let geometry = PlaneGeometry::new(&grid, plane, Convention::Radiological);
            let [here, above] = [4, 4_usize.checked_add_signed(geometry.up).unwrap()].map(|slice| {
                let [d, h, w] = geometry.voxel(slice, [2.0, 2.0]);
                grid.world_mm([w, h, d])[axis]
            });
            assert!(above > here, "{plane:?} of {}", grid.axis_codes());
        }
    }
}

#[test]
fn a_slice_keeps_its_proportions_and_zoom_its_middle() {
    let (grid, _) = stored(SignedPermutation::all()[37]);
    let geometry = PlaneGeometry::new(&grid, Plane::Sagittal, Convention::Radiological);
    // Anterior 13 x 0.8 mm across, superior 9 x 2.5 mm down.
    assert_eq!(geometry.size, [13, 9]);
    let placement = Framing::default().placement(&geometry, [400.0, 245.0], 10.0);
    let [left, top] = placement.pixel([-0.5, -0.5]);
    let [right, bottom] = placement.pixel([12.5, 8.5]);
    assert!((bottom - top - 225.0).abs() < 1e-9 && (right - left - 104.0).abs() < 1e-9);
    assert!((left + right - 400.0).abs() < 1e-9 && (top + bottom - 245.0).abs() < 1e-9);
    let near = Framing { zoom: 3.0, centre: Some([2.0, 3.0]) }.placement(&geometry, [400.0, 245.0], 10.0);
    let [x, y] = near.pixel([2.0, 3.0]);
    assert!((x - 200.0).abs() < 1e-9 && (y - 122.5).abs() < 1e-9);
    assert!((near.mm_per_pixel * 3.0 - placement.mm_per_pixel).abs() < 1e-12);
}
