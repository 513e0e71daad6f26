//! Sums of weighted logits for the rows along D that unfinished windows still touch.

use std::ops::Range;

use super::windows::Windows;

/// How an image lies in the padded one.
pub(super) struct Frame {
    /// Voxels of a padded row, `H * W`.
    pub plane: usize,
    padded_width: usize,
    /// Voxels put before the image.
    before: [usize; 3],
    /// Shape of the image without padding.
    image: [usize; 3],
}

/// Sums for `rows` consecutive rows of the padded image.
pub(super) struct Slab {
    classes: usize,
    rows: usize,
    frame: Frame,
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
    /// Blended logits of all lines held, `of_class` of each class.
    values: &'a [f32],
    of_class: usize,
    start: usize,
    width: usize,
}

impl<'a> Line<'a> {
    /// The logits of one class.
    pub fn class(&self, class: usize) -> &'a [f32] {
        &self.values[class * self.of_class + self.start..][..self.width]
    }
}

impl Frame {
    pub fn new(windows: &Windows, image: [usize; 3]) -> Self {
        let [_, height, width] = windows.padded;
        Self { plane: height * width, padded_width: width, before: windows.before, image }
    }

    /// Hands on the lines of the image in the padded image's rows `rows`, which stand first in `values`, `of_class` values of each class.
    pub fn hand_on(&self, values: &[f32], of_class: usize, rows: Range<usize>, finished: &mut dyn FnMut(Line<'_>)) {
        let [depth, height, width] = self.image;
        for (row, depth) in
            rows.enumerate().filter_map(|(row, padded)| Some((row, padded.checked_sub(self.before[0]).filter(|&d| d < depth)?)))
        {
            for h in 0..height {
                let start = row * self.plane + (self.before[1] + h) * self.padded_width + self.before[2];
                finished(Line { depth, height: h, values, of_class, start, width });
            }
        }
    }
}

impl Slab {
    pub fn new(classes: usize, rows: usize, windows: &Windows, image: [usize; 3]) -> Self {
        let frame = Frame::new(windows, image);
        let (sums, weights) = (vec![0.0; classes * rows * frame.plane], vec![0.0; rows * frame.plane]);
        Self { classes, rows, frame, first: 0, sums, weights }
    }

    /// Adds a window's logits, `[class, D, H, W]` of `roi`.
    pub fn add(&mut self, start: [usize; 3], roi: [usize; 3], logits: &[f32], weights: &[f32]) {
        let ([depth, height, width], &Frame { plane, padded_width, .. }) = (roi, &self.frame);
        for d in 0..depth {
            for h in 0..height {
                let from = (d * height + h) * width;
                let to = (start[0] - self.first + d) * plane + (start[1] + h) * padded_width + start[2];
                let weights = &weights[from..from + width];
                self.weights[to..to + width].iter_mut().zip(weights).for_each(|(sum, weight)| *sum += weight);
                for class in 0..self.classes {
                    let sums = &mut self.sums[class * self.rows * plane + to..][..width];
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
        let (done, held) = (rows * self.frame.plane, self.rows * self.frame.plane);
        for sums in self.sums.chunks_exact_mut(held) {
            sums[..done].iter_mut().zip(&self.weights).for_each(|(sum, weight)| *sum /= weight);
        }
        self.frame.hand_on(&self.sums, held, self.first..to, finished);
        for sums in self.sums.chunks_exact_mut(held).chain([self.weights.as_mut_slice()]) {
            sums.copy_within(done.., 0);
            sums[held - done..].fill(0.0);
        }
        self.first = to;
    }
}

#[cfg(test)]
impl Line<'_> {
    /// Values of all lines held with it.
    pub fn held_values(&self) -> usize {
        self.values.len()
    }
}
