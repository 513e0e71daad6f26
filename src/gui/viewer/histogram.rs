//! How often which intensity occurs in a channel, drawn under the window that is set.

use eframe::egui::{Color32, Rect, Role, Sense, Stroke, Ui, WidgetInfo, pos2, vec2};

use crate::gui::Palette;
use crate::gui::widgets::pointer::held_at;
use crate::gui::widgets::slice::WindowLevel;

/// Bars of a histogram; of whole numbers up to so many.
const BINS: usize = 128;
/// Tails, in percent, that the axis leaves out: a single bright voxel would squeeze all others into one bar.
const TAIL: f64 = 0.01;
/// Values that bars are counted from; a larger volume is sampled evenly.
const SAMPLE: usize = 1 << 20;

/// How often which intensity occurs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Histogram {
    /// From the first bar's left edge to the last one's right.
    range: WindowLevel,
    /// The least and the greatest value that the bars stand for.
    ends: [f32; 2],
    /// Height of each bar, 0 to 1, on a logarithmic scale.
    bars: Vec<f32>,
}

impl Histogram {
    /// Counts one channel.
    pub(super) fn new(voxels: &[f32]) -> Self {
        let stride = voxels.len().div_ceil(SAMPLE).max(1);
        let within =
            |range: WindowLevel| voxels.iter().filter(move |value| (range.low..=range.high).contains(value)).step_by(stride).copied();
        let percentiles = WindowLevel::from_percentiles(voxels, TAIL);
        let is_whole = within(percentiles).all(|value| value.fract() == 0.0);
        let (range, bins) = if is_whole { whole_numbers(percentiles) } else { (percentiles, BINS) };
        let ends = if is_whole { [range.low.ceil(), range.high.floor()] } else { [range.low, range.high] };
        let mut counts = vec![0_u32; bins];
        for value in within(range) {
            let share = (value - range.low) / range.width();
            counts[((share * bins as f32) as usize).min(bins - 1)] += 1;
        }
        let most = counts.iter().copied().max().unwrap_or(0).max(1) as f32;
        let bars = counts.into_iter().map(|count| (count as f32 + 1.0).ln() / (most + 1.0).ln()).collect();
        Self { range, ends, bars }
    }

    /// Draws it, with the window shaded; a click or drag sets the window's nearer end.
    pub(super) fn show(&self, ui: &mut Ui, window: WindowLevel, height: f32) -> Option<WindowLevel> {
        let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::click_and_drag());
        response.widget_info(|| WidgetInfo::labeled(Role::Slider, true, "Histogram of intensities with the window"));
        let colour = Palette::of(ui).reference();
        let painter = ui.painter_at(rect);
        let x = |value: f32| rect.left() + (value - self.range.low) / self.range.width() * rect.width();
        painter.rect_filled(rect, 2.0, ui.visuals().extreme_bg_color);
        let shaded = Rect::from_x_y_ranges(x(window.low)..=x(window.high), rect.y_range());
        painter.rect_filled(shaded, 0.0, ui.visuals().selection.bg_fill.gamma_multiply(0.45));
        let width = rect.width() / self.bars.len() as f32;
        for (bin, bar) in self.bars.iter().enumerate() {
            let left = rect.left() + bin as f32 * width;
            let bar = Rect::from_min_max(pos2(left, rect.bottom() - bar * (rect.height() - 2.0)), pos2(left + width, rect.bottom()));
            painter.rect_filled(bar, 0.0, colour);
        }
        // The ramp from black to white that the window is.
        let ramp = [pos2(x(window.low), rect.bottom() - 1.0), pos2(x(window.high), rect.top() + 1.0)];
        painter.line_segment(ramp, Stroke::new(1.5, ink(ui)));
        let range = self.range;
        let new = held_at(ui, &response).map(|at| {
            let value = range.low + (at.x - rect.left()) / rect.width() * range.width();
            let least = range.width() * 1e-3;
            if (value - window.low).abs() < (value - window.high).abs() {
                WindowLevel { low: value.min(window.high - least), ..window }
            } else {
                WindowLevel { high: value.max(window.low + least), ..window }
            }
        });
        let text = format!(
            "Intensities from {:.4} to {:.4}, counted on a logarithmic scale. Drag an end of the window",
            self.ends[0], self.ends[1]
        );
        response.on_hover_text(text);
        new
    }
}

/// Range and bars for whole numbers: each bar stands for equally many of them, so that none is higher, or empty, by its edges alone.
fn whole_numbers(range: WindowLevel) -> (WindowLevel, usize) {
    let (first, last) = (range.low.ceil(), range.high.floor());
    let numbers = last - first + 1.0;
    let of_bar = (numbers / BINS as f32).ceil();
    let bins = (numbers / of_bar).ceil();
    let low = first - 0.5;
    (WindowLevel { low, high: low + bins * of_bar }, bins as usize)
}

fn ink(ui: &Ui) -> Color32 {
    ui.visuals().strong_text_color()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_count_what_is_there() {
        let mut voxels = vec![0.0; 1000];
        voxels.extend(vec![32.25; 10]);
        voxels.extend(vec![64.0; 100]);
        let histogram = Histogram::new(&voxels);
        assert_eq!((histogram.range, histogram.bars.len()), (WindowLevel { low: 0.0, high: 64.0 }, BINS));
        assert!((histogram.bars[0] - 1.0).abs() < 1e-6 && histogram.bars[64] > 0.3 && histogram.bars[127] > histogram.bars[64]);
        assert_eq!(histogram.bars[10], 0.0);
    }

    #[test]
    fn each_bar_of_whole_numbers_stands_for_equally_many() {
        let ramp = |from: i32, to: i32| Histogram::new(&(from..=to).map(|value| value as f32).collect::<Vec<_>>());
        // One number a bar, three, sixteen.
        for (histogram, bars, low, high) in
            [(ramp(0, 40), 41, -0.5, 40.5), (ramp(5, 304), 100, 4.5, 304.5), (ramp(-1024, 1007), 127, -1024.5, 1007.5)]
        {
            assert_eq!((histogram.bars.len(), histogram.range), (bars, WindowLevel { low, high }));
            assert!(histogram.bars.iter().all(|bar| *bar == 1.0), "no gap and no peak: {:?}", histogram.bars);
        }
        // What a last bar holds beyond the tail is counted too; an image of one value is one bar.
        assert_eq!(ramp(0, 128).bars.len(), 65);
        assert_eq!(Histogram::new(&[7.0; 9]), Histogram { range: WindowLevel { low: 6.5, high: 7.5 }, ends: [7.0; 2], bars: vec![1.0] });
    }
}
