//! Strokes on many grids, undo and redo, fills, the journal and saved files.

mod filling;
mod journal;
mod saving;
mod strokes;
mod undo;

use std::ops::RangeInclusive;

use super::{Brush, BrushExtent, BrushShape, ClassVolume, LabelEdit, Over, Paint, PaintLabel, WithinRange};
use crate::geometry::Grid;
use rand::{Rng, RngExt as _};

/// Label values of the classes in these tests.
const VALUES: [u16; 5] = [0, 4, 300, 7, 9];

fn label(class: u8) -> PaintLabel {
    PaintLabel { class, value: VALUES[usize::from(class)] }
}

fn round(radius_mm: f64) -> Brush {
    Brush { radius_mm, shape: BrushShape::Round, extent: BrushExtent::Volume }
}

/// An edit of a map without labels.
fn blank(grid: &Grid) -> LabelEdit {
    LabelEdit::new(grid.clone(), ClassVolume::new(&vec![0; grid.len()], grid.shape), None)
}

fn bytes(edit: &LabelEdit) -> Vec<u8> {
    edit.classes().slices().collect::<Vec<_>>().concat()
}

/// One stroke along one segment.
fn paint(edit: &mut LabelEdit, paint: Paint, from: [f64; 3], to: [f64; 3]) {
    edit.begin_stroke(paint);
    edit.stroke(from, to, None);
    edit.end_stroke();
}

/// A stroke of a random brush and rule along several random segments, which may leave the volume.
fn random_stroke(edit: &mut LabelEdit, random: &mut impl Rng, image: &[f32]) {
    let shape = edit.grid().shape;
    let extent = match random.random_range(0..4) {
        3 => BrushExtent::Volume,
        axis => BrushExtent::Plane(axis),
    };
    let outline = [BrushShape::Round, BrushShape::Square][random.random_range(0..2)];
    let brush = Brush { radius_mm: random.random_range(0.0..4.0), shape: outline, extent };
    let over = [Over::All, Over::Background, Over::Label(1), Over::Label(2)][random.random_range(0..4)];
    edit.begin_stroke(Paint { label: label(random.random_range(0..4)), over, brush });
    let mut from = random_place(shape, random);
    for _ in 0..3 {
        let to = random_place(shape, random);
        let range: RangeInclusive<f32> = 0.2..=0.9;
        let within = random.random_bool(0.3).then_some(WithinRange { voxels: image, range: &range });
        edit.stroke(from, to, within);
        from = to;
    }
    edit.end_stroke();
}

/// A point in a volume or up to three voxels beside it.
fn random_place(shape: [usize; 3], random: &mut impl Rng) -> [f64; 3] {
    shape.map(|length| random.random_range(-3.0..length as f64 + 3.0))
}
