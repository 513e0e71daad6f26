//! What the brush is set to: its label, width and shape, what it may paint over, and which intensities.

use std::ops::RangeInclusive;

use crate::edit::{Brush, BrushExtent, BrushShape, Over, Paint, PaintLabel};

/// Width of the brush at first, in mm.
const WIDTH_MM: f64 = 10.0;
/// Widest brush in mm.
pub(super) const WIDEST_MM: f64 = 200.0;
/// Part of a voxel by which rounding may miss a width.
const ROUNDING: f64 = 1e-6;
/// Part of a notch that rounding may take off the sum of its parts.
const NOTCH_ROUNDING: f32 = 1e-3;

/// What the brush is set to.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::gui::viewer) struct BrushSettings {
    /// The class that it paints; 0: none is chosen.
    pub(in crate::gui::viewer) class: u8,
    /// The left button erases, as the right one always does.
    pub(in crate::gui::viewer) erases: bool,
    /// Its width in mm.
    pub(in crate::gui::viewer) width_mm: f64,
    pub(in crate::gui::viewer) shape: BrushShape,
    /// It reaches into the slices beside as well.
    pub(in crate::gui::viewer) deep: bool,
    /// What it may paint over.
    pub(in crate::gui::viewer) over: Over,
    /// Whether it keeps to intensities of [`Self::range`].
    pub(in crate::gui::viewer) ranged: bool,
    /// Lowest and highest intensity that is painted.
    pub(in crate::gui::viewer) range: [f32; 2],
    /// Parts of notches that the wheel has turned since the last change of width.
    wheel: f32,
}

impl Default for BrushSettings {
    fn default() -> Self {
        Self {
            class: 0,
            erases: false,
            width_mm: WIDTH_MM,
            shape: BrushShape::Round,
            deep: false,
            over: Over::All,
            ranged: false,
            range: [0.0, 0.0],
            wheel: 0.0,
        }
    }
}

impl BrushSettings {
    /// What of it holds for another image: labels and intensities are of their own.
    pub(super) fn for_another_case(&self) -> Self {
        Self { width_mm: self.width_mm, shape: self.shape, deep: self.deep, ..Self::default() }
    }

    /// What a stroke paints on slices of an axis of the array (0 = D, 1 = H, 2 = W). `right`: made with the right button. `value` is the
    /// chosen class's in files.
    pub(super) fn paint(&self, axis: usize, right: bool, value: u16) -> Paint {
        let erases = self.erases || right;
        let label = if erases { PaintLabel::BACKGROUND } else { PaintLabel { class: self.class, value } };
        // What protects all other labels from the brush protects them from the eraser.
        let over = if erases && self.over == Over::Background { Over::Label(self.class) } else { self.over };
        let extent = if self.deep { BrushExtent::Volume } else { BrushExtent::Plane(axis) };
        Paint { label, over, brush: Brush { radius_mm: self.width_mm / 2.0, shape: self.shape, extent } }
    }

    /// The intensities that it keeps to.
    pub(super) fn intensities(&self) -> Option<RangeInclusive<f32>> {
        self.ranged.then(|| self.range[0]..=self.range[1])
    }

    /// Turns the wheel: whole notches change the width.
    pub(super) fn turn(&mut self, notches: f32, voxel_mm: f64) {
        self.wheel = if self.wheel * notches < 0.0 { notches } else { self.wheel + notches };
        let whole = (self.wheel + NOTCH_ROUNDING.copysign(self.wheel)).trunc();
        self.wheel -= whole;
        (0..whole.abs() as usize).for_each(|_| self.resize(whole > 0.0, voxel_mm));
    }

    /// The next width up or down: by one voxel, by a tenth from ten voxels on. `voxel_mm` is the least distance of two voxels.
    pub(super) fn resize(&mut self, wider: bool, voxel_mm: f64) {
        let mut widths = std::iter::successors(Some(1.0_f64), |voxels| Some(voxels + (voxels / 10.0).floor().max(1.0)));
        let now = self.width_mm / voxel_mm;
        let next = if wider {
            widths.find(|voxels| *voxels > now + ROUNDING)
        } else {
            widths.take_while(|voxels| *voxels < now - ROUNDING).last()
        };
        self.width_mm = (next.unwrap_or(1.0) * voxel_mm).min(WIDEST_MM.max(voxel_mm));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_go_by_voxels_and_back_the_same_way() {
        let mut brush = BrushSettings { width_mm: 0.8, ..BrushSettings::default() };
        let mut widths = vec![brush.width_mm];
        for _ in 0..40 {
            brush.resize(true, 0.8);
            widths.push(brush.width_mm);
        }
        let steps: Vec<f64> = widths.windows(2).map(|pair| (pair[1] - pair[0]) / 0.8).collect();
        assert!(steps[..8].iter().all(|step| (step - 1.0).abs() < 1e-9) && *steps.last().unwrap() > 3.5, "{steps:?}");
        for expected in widths.iter().rev().skip(1) {
            brush.resize(false, 0.8);
            assert!((brush.width_mm - expected).abs() < 1e-9);
        }
        brush.resize(false, 0.8);
        assert!((brush.width_mm - 0.8).abs() < 1e-9, "no narrower than a voxel");
        (0..500).for_each(|_| brush.resize(true, 0.8));
        assert_eq!(brush.width_mm, WIDEST_MM);
        // Between two widths, as it was typed.
        brush.width_mm = 2.0;
        brush.resize(false, 0.8);
        assert!((brush.width_mm - 1.6).abs() < 1e-9);
    }

    #[test]
    fn parts_of_a_notch_add_up() {
        let mut brush = BrushSettings { width_mm: 4.0, ..BrushSettings::default() };
        for (turned, expected) in [(0.4, 4.0), (0.4, 4.0), (0.4, 5.0), (-0.9, 5.0), (-0.2, 4.0), (3.0, 7.0)] {
            brush.turn(turned, 1.0);
            assert_eq!(brush.width_mm, expected, "after {turned}");
        }
    }

    #[test]
    fn the_eraser_keeps_to_what_the_brush_may_change() {
        let brush = BrushSettings { class: 3, ..BrushSettings::default() };
        let of = |over, erases, right| {
            let paint = BrushSettings { over, erases, ..brush.clone() }.paint(1, right, 300);
            (paint.label, paint.over)
        };
        let (label, nothing) = (PaintLabel { class: 3, value: 300 }, PaintLabel::BACKGROUND);
        assert_eq!(of(Over::Background, false, false), (label, Over::Background));
        assert_eq!(of(Over::Background, false, true), (nothing, Over::Label(3)));
        assert_eq!(of(Over::Label(5), true, false), (nothing, Over::Label(5)));
        assert_eq!(of(Over::All, true, true), (nothing, Over::All));
    }
}
