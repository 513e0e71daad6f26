//! Sums of weighted logits for the rows along D that unfinished windows still touch.

use super::windows::Windows;

/// Sums for `rows` consecutive rows of the padded image.
pub(super) struct Slab {
    classes: usize,
    rows: usize,
    /// Voxels of a padded row, `H * W`.
    plane: usize,
    padded_width: usize,
    /// Voxels put before the image.
    before: [usize; 3],
    /// Shape of the image without padding.
    image: [usize; 3],
    /// The padded image's row that stands first.
    first: usize,
    /// Weighted logits, `[class, row, H, W]`.
    sums: Vec<f32>,
    /// Weights, `[row, H, W]`.
    weights: Vec<f32>,
}

/// Blended logits of one line of voxels along W.
pub(super) struct Line<'a> {
    /// Place in the image along D.
    pub depth: usize,
    /// Place in the image along H.
    pub height: usize,
    slab: &'a Slab,
    start: usize,
}

impl<'a> Line<'a> {
    /// The logits of one class.
    pub fn class(&self, class: usize) -> &'a [f32] {
        &self.slab.sums[class * self.slab.weights.len() + self.start..][..self.slab.image[2]]
    }
}

impl Slab {
    pub fn new(classes: usize, rows: usize, windows: &Windows, image: [usize; 3]) -> Self {
        let [_, height, width] = windows.padded;
        let plane = height * width;
        let (sums, weights) = (vec![0.0; classes * rows * plane], vec![0.0; rows * plane]);
        Self { classes, rows, plane, padded_width: width, before: windows.before, image, first: 0, sums, weights }
    }

    /// Adds a window's logits, `[class, D, H, W]` of `roi`.
    pub fn add(&mut self, start: [usize; 3], roi: [usize; 3], logits: &[f32], weights: &[f32]) {
        let [depth, height, width] = roi;
        for d in 0..depth {
            for h in 0..height {
                let from = (d * height + h) * width;
                let to = (start[0] - self.first + d) * self.plane + (start[1] + h) * self.padded_width + start[2];
                let weights = &weights[from..from + width];
                self.weights[to..to + width].iter_mut().zip(weights).for_each(|(sum, weight)| *sum += weight);
                for class in 0..self.classes {
                    let sums = &mut self.sums[class * self.rows * self.plane + to..][..width];
                    let logits = &logits[class * depth * height * width + from..][..width];
                    sums.iter_mut().zip(logits).zip(weights).for_each(|((sum, logit), weight)| *sum += logit * weight);
                }
            }
        }
    }

    /// Moves on to the padded image's row `to`: the rows before it are finished, blended and handed on.
    pub fn advance(&mut self, to: usize, finished: &mut dyn FnMut(Line<'_>)) {
        let rows = to - self.first;
        if rows == 0 {
            return;
        }
        let (done, held) = (rows * self.plane, self.rows * self.plane);
        for sums in self.sums.chunks_exact_mut(held) {
            sums[..done].iter_mut().zip(&self.weights).for_each(|(sum, weight)| *sum /= weight);
        }
        let [depth, height, _] = self.image;
        for row in (0..rows).filter(|row| (self.before[0]..self.before[0] + depth).contains(&(self.first + row))) {
            for h in 0..height {
                let start = row * self.plane + (self.before[1] + h) * self.padded_width + self.before[2];
                finished(Line { depth: self.first + row - self.before[0], height: h, slab: self, start });
            }
        }
        for sums in self.sums.chunks_exact_mut(held).chain([self.weights.as_mut_slice()]) {
            sums.copy_within(done.., 0);
            sums[held - done..].fill(0.0);
        }
        self.first = to;
    }
}

#[cfg(test)]
impl Line<'_> {
    /// Values that the slab behind the line holds.
    pub fn held_values(&self) -> usize {
        self.slab.sums.capacity() + self.slab.weights.capacity()
    }
}
