//! Undo and redo, to the byte.

use super::*;
use crate::edit::MOST_STEPS;
use crate::geometry::VoxelBox;
use crate::random::stream;

fn oblique() -> Grid {
    let mut grid = Grid::axis_aligned([6, 8, 9], [2.5, 1.0, 0.8]);
    (grid.world_from_voxel[0][1], grid.world_from_voxel[1][0], grid.world_from_voxel[2][1]) = (0.2, -0.25, 0.3);
    grid
}

#[test]
fn random_strokes_are_undone_and_redone_to_the_byte() {
    let grid = oblique();
    let mut random = stream(7, "undo", 0, 0);
    for _ in 0..20 {
        let image: Vec<f32> = (0..grid.len()).map(|_| random.random_range(0.0..1.0)).collect();
        let start: Vec<u8> = (0..grid.len()).map(|_| random.random_range(0..4)).collect();
        let mut edit = LabelEdit::new(grid.clone(), ClassVolume::new(&start, grid.shape), None);
        let mut states = vec![start];
        for _ in 0..30 {
            random_stroke(&mut edit, &mut random, &image);
            // A stroke that changed nothing is no step.
            if edit.depth().0 == states.len() {
                states.push(bytes(&edit));
            }
            assert_eq!(states.last(), Some(&bytes(&edit)));
        }
        assert!(states.len() > 10 && states.windows(2).all(|pair| pair[0] != pair[1]));
        for state in states.iter().rev().skip(1) {
            assert!(!edit.undo().is_empty());
            assert_eq!(&bytes(&edit), state);
        }
        assert_eq!((edit.undo(), edit.depth()), (VoxelBox::EMPTY, (0, states.len() - 1)));
        for state in &states[1..] {
            let before = bytes(&edit);
            let changed = edit.redo();
            assert_eq!(&bytes(&edit), state);
            let outside = |index: usize| {
                let at = crate::geometry::unravel(index, grid.shape);
                (0..3).any(|axis| !(changed.start[axis]..changed.end[axis]).contains(&(at[axis] as i64)))
            };
            assert!((0..grid.len()).all(|index| before[index] == state[index] || !outside(index)), "the box holds every change");
        }
        assert_eq!(edit.redo(), VoxelBox::EMPTY);
    }
}

#[test]
fn fifty_steps_can_be_undone_and_a_new_one_ends_what_can_be_redone() {
    let grid = Grid::axis_aligned([1, 1, 70], [1.0; 3]);
    let mut edit = blank(&grid);
    let one = Paint { label: label(1), over: Over::All, brush: round(0.0) };
    for w in 0..60 {
        paint(&mut edit, one, [0.0, 0.0, f64::from(w)], [0.0, 0.0, f64::from(w)]);
    }
    assert_eq!((MOST_STEPS, edit.depth(), edit.version()), (50, (50, 0), 60));
    while !edit.undo().is_empty() {}
    assert_eq!((edit.depth(), bytes(&edit).iter().filter(|&&class| class == 1).count()), ((0, 50), 10));
    edit.redo();
    paint(&mut edit, one, [0.0, 0.0, 69.0], [0.0, 0.0, 69.0]);
    assert_eq!((edit.depth(), edit.redo()), ((2, 0), VoxelBox::EMPTY));
}

#[test]
fn a_stroke_is_one_step_however_often_the_mouse_moved() {
    let grid = oblique();
    let mut edit = blank(&grid);
    edit.begin_stroke(Paint { label: label(3), over: Over::All, brush: round(1.5) });
    for w in 0..8 {
        edit.stroke([2.0, 3.0, f64::from(w)], [2.0, 3.0, f64::from(w) + 1.0], None);
    }
    assert!(edit.is_unsaved() && edit.is_stroking());
    let (snapshot, version) = edit.snapshot();
    assert_eq!((edit.depth(), edit.is_stroking(), version), ((1, 0), false, 1));
    edit.saved(version);
    assert!(!edit.is_unsaved());
    edit.undo();
    assert!(edit.is_unsaved() && bytes(&edit).iter().all(|&class| class == 0));
    assert!(snapshot.slices().flatten().any(|&class| class == 3), "the snapshot stays as it was");
    edit.saved(version);
    assert!(edit.is_unsaved(), "what was saved is not what is there");
}

#[test]
fn back_at_what_was_saved_nothing_is_unsaved() {
    let grid = oblique();
    let mut edit = blank(&grid);
    let at =
        |edit: &mut LabelEdit, class| paint(edit, Paint { label: label(class), over: Over::All, brush: round(1.0) }, [2.0; 3], [2.0; 3]);
    at(&mut edit, 1);
    edit.undo();
    assert!(!edit.is_unsaved(), "the map as it was opened");
    edit.redo();
    at(&mut edit, 2);
    let (_, saved) = edit.snapshot();
    // While the file is written the user goes on, and back.
    at(&mut edit, 3);
    edit.undo();
    edit.saved(saved);
    assert!(!edit.is_unsaved());
    let unsaved = |edit: &mut LabelEdit, steps: &str| {
        for step in steps.chars() {
            if step == '<' {
                edit.undo();
            } else {
                edit.redo();
            }
        }
        edit.is_unsaved()
    };
    assert_eq!(["<", "<", ">>", ">", "<"].map(|steps| unsaved(&mut edit, steps)), [true, true, false, true, false]);
    // Another stroke from there on leads back to what is saved, and not to what was undone before it.
    unsaved(&mut edit, "<");
    at(&mut edit, 4);
    assert!(edit.is_unsaved() && unsaved(&mut edit, "<") && unsaved(&mut edit, ">"));
}
