//! A grey slice with outlines: the slice as PNG, the outlines as vector paths along the voxels' edges, sharp at any size.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};

use super::palette::hex;
use super::slices::Plane;

/// A slice is enlarged, by whole numbers, until its shorter edge has so many pixels, so that no browser blurs voxels.
const SHORTER_EDGE: usize = 240;
/// Height of the orientation letters on the page, in pixels.
const LETTERS: f64 = 12.0;

/// Grey levels shown as black and white.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    /// Shown black.
    pub(super) low: f32,
    /// Shown white.
    pub(super) high: f32,
}

impl Window {
    /// From the 0.5th to the 99.5th percentile of the finite voxels.
    pub(super) fn of_percentiles(voxels: &[f32]) -> Self {
        const TAIL: f64 = 0.005;
        let mut sorted: Vec<f32> = voxels.iter().copied().filter(|value| value.is_finite()).collect();
        let Some(last) = sorted.len().checked_sub(1) else { return Self { low: 0.0, high: 1.0 } };
        let mut at = |share: f64| *sorted.select_nth_unstable_by((share * last as f64).round() as usize, f32::total_cmp).1;
        Self { low: at(TAIL), high: at(1.0 - TAIL) }
    }

    fn level(&self, value: f32) -> u8 {
        let span = (self.high - self.low).max(f32::MIN_POSITIVE);
        // A voxel that is no number becomes black: the cast saturates, and takes NaN to 0.
        ((value - self.low) / span * 255.0).round() as u8
    }
}

/// A grey slice.
pub(super) struct Slice {
    /// Rows, columns.
    pub(super) size: [usize; 2],
    /// Size of a pixel: down, right.
    pub(super) pixel_mm: [f64; 2],
    /// Whose letters stand at its edges.
    pub(super) plane: Plane,
    /// How large it is on the page.
    pub(super) pixels_per_mm: f64,
    /// Name in the page, by which other pictures show the same slice.
    pub(super) id: String,
}

/// Lines around a set of pixels.
#[derive(Clone)]
pub(super) struct Outline {
    /// Path data in pixels.
    path: String,
    /// `0xRRGGBB`.
    colour: u32,
    /// Width on the page in pixels.
    width: f64,
}

impl Outline {
    /// The edges of the pixels of `slice` that are `marked`.
    pub(super) fn around(size: [usize; 2], marked: impl Fn(usize) -> bool, colour: u32, width: f64) -> Self {
        Self { path: edges(size, marked), colour, width }
    }
}

/// Path data along the border between marked pixels and the rest: straight runs, across and down.
fn edges([rows, columns]: [usize; 2], marked: impl Fn(usize) -> bool) -> String {
    let inside = |row: usize, column: usize| {
        (1..=rows).contains(&row) && (1..=columns).contains(&column) && marked((row - 1) * columns + column - 1)
    };
    let mut path = String::new();
    // Rows and columns count from 1 here, so that there is a neighbour before the first.
    for row in 0..=rows {
        for (from, to) in runs(columns, |column| inside(row, column) != inside(row + 1, column)) {
            let _ = write!(path, "M{from} {row}H{to}");
        }
    }
    for column in 0..=columns {
        for (from, to) in runs(rows, |row| inside(row, column) != inside(row, column + 1)) {
            let _ = write!(path, "M{column} {from}V{to}");
        }
    }
    path
}

/// Stretches of 1..=`length` for which `holds`, as edges counted from 0.
fn runs(length: usize, holds: impl Fn(usize) -> bool) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for place in (1..=length).filter(|&place| holds(place)) {
        match runs.last_mut().filter(|run| run.1 == place - 1) {
            Some(run) => run.1 = place,
            None => runs.push((place - 1, place)),
        }
    }
    runs
}

impl Slice {
    /// Width and height in mm.
    pub(super) fn extent_mm(&self) -> [f64; 2] {
        [self.size[1] as f64 * self.pixel_mm[1], self.size[0] as f64 * self.pixel_mm[0]]
    }

    // In SVG an element without content needs its end tag (`{}`): HTML would take what follows for its content.

    /// The picture with its voxels; it must stand in the page before those that [`Slice::again`] draws.
    pub(super) fn with_voxels(&self, values: &[f32], window: Window, outlines: &[Outline]) -> Markup {
        let [width_mm, height_mm] = self.extent_mm();
        let data = format!("data:image/png;base64,{}", STANDARD.encode(png(self.size, values, window)));
        self.drawn(
            outlines,
            &html! {
                image id=(self.id) width=(width_mm) height=(height_mm) preserveAspectRatio="none" href=(data) {}
            },
        )
    }

    /// The same voxels with other outlines.
    pub(super) fn again(&self, outlines: &[Outline]) -> Markup {
        self.drawn(outlines, &html! { use href={ "#" (self.id) } {} })
    }

    fn drawn(&self, outlines: &[Outline], voxels: &Markup) -> Markup {
        let [width_mm, height_mm] = self.extent_mm();
        let [down_mm, right_mm] = self.pixel_mm;
        let width = width_mm * self.pixels_per_mm;
        html! {
            svg viewBox={ "0 0 " (width_mm) " " (height_mm) } style={ "width:" (format!("{width:.0}")) "px" } role="img" aria-label={ (self.plane.name()) " slice" } {
                (voxels)
                g transform={ "scale(" (right_mm) " " (down_mm) ")" } fill="none" stroke-linecap="square" {
                    @for Outline { path, colour, width } in outlines {
                        path d=(path) stroke=(hex(*colour)) stroke-width=(width) vector-effect="non-scaling-stroke" {}
                    }
                }
                (self.letters())
            }
        }
    }

    fn letters(&self) -> Markup {
        let [width_mm, height_mm] = self.extent_mm();
        let letter_mm = LETTERS / self.pixels_per_mm;
        let (near, half) = (0.75 * letter_mm, 0.5);
        let places =
            [(near, half * height_mm), (width_mm - near, half * height_mm), (half * width_mm, near), (half * width_mm, height_mm - near)];
        html! {
            g.letters font-size=(letter_mm) stroke-width=(0.2 * letter_mm) {
                @for (letter, (x, y)) in self.plane.letters().into_iter().zip(places) {
                    text x=(x) y=(y) { (letter) }
                }
            }
        }
    }
}

/// The slice as an 8-bit grey PNG, enlarged by a whole number.
fn png([rows, columns]: [usize; 2], values: &[f32], window: Window) -> Vec<u8> {
    let times = SHORTER_EDGE.div_ceil(rows.min(columns).max(1)).max(1);
    let mut pixels = Vec::with_capacity(rows * columns * times * times);
    for row in values.chunks(columns.max(1)) {
        let wide: Vec<u8> = row.iter().flat_map(|&value| std::iter::repeat_n(window.level(value), times)).collect();
        pixels.extend(std::iter::repeat_n(wide, times).flatten());
    }
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, (columns * times) as u32, (rows * times) as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::High);
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels));
    written.expect("a picture of the stated size goes into memory");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outlines_run_along_the_edges_of_the_marked_pixels() {
        // . # #
        // . # .
        let marked = [false, true, true, false, true, false];
        assert_eq!(edges([2, 3], |pixel| marked[pixel]), "M1 0H3M2 1H3M1 2H2M1 0V2M2 1V2M3 0V1");
        assert_eq!(edges([2, 3], |_| false), "");
    }

    #[test]
    fn a_picture_holds_every_voxel_at_its_grey_level() {
        let window = Window { low: 0.0, high: 2.0 };
        let bytes = png([1, 3], &[-1.0, 1.0, f32::NAN], window);
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![1; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        let wide = 3 * SHORTER_EDGE;
        assert_eq!(pixels.len(), wide * SHORTER_EDGE);
        assert_eq!([pixels[0], pixels[SHORTER_EDGE], pixels[2 * SHORTER_EDGE], pixels[wide * 7 + SHORTER_EDGE + 3]], [0, 128, 0, 128]);
    }

    #[test]
    fn the_window_leaves_outliers_out() {
        let mut voxels: Vec<f32> = (0..=1000).map(|value| value as f32).collect();
        voxels[1000] = 1e9;
        assert_eq!(Window::of_percentiles(&voxels), Window { low: 5.0, high: 995.0 });
        assert_eq!(Window::of_percentiles(&[f32::NAN]), Window { low: 0.0, high: 1.0 });
    }
}
