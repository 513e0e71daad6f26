//! A grey slice with outlines: the slice as PNG, the outlines as vector paths along the voxels' edges, sharp at any size.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};

use super::colours::hex;
use crate::geometry::{PlaneGeometry, WindowLevel};

/// A picture is enlarged, by whole numbers, until its shorter edge has so many pixels, so that no browser blurs its cells.
const SHORTER_EDGE: usize = 240;
/// Height of the orientation letters on the page, in pixels.
const LETTERS: f64 = 12.0;

/// A grey slice.
pub(super) struct Slice {
    /// How it lies on the page.
    pub(super) plane: PlaneGeometry,
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
    /// The edges of the pixels that are `marked`, of a slice of so many across and down.
    pub(super) fn around([columns, rows]: [usize; 2], marked: impl Fn(usize) -> bool, colour: u32, width: f64) -> Self {
        Self { path: edges([rows, columns], marked), colour, width }
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
    for at in (1..=length).filter(|&at| holds(at)) {
        match runs.last_mut().filter(|run| run.1 == at - 1) {
            Some(run) => run.1 = at,
            None => runs.push((at - 1, at)),
        }
    }
    runs
}

impl Slice {
    /// Width and height in mm.
    fn extent_mm(&self) -> [f64; 2] {
        [0, 1].map(|side: usize| self.plane.size[side] as f64 * self.plane.spacing_mm[side])
    }

    // In SVG an element without content needs its end tag (`{}`): HTML would take what follows for its content.

    /// The picture with its voxels; it must stand in the page before those that [`Slice::again`] draws.
    pub(super) fn with_voxels(&self, values: &[f32], window: WindowLevel, outlines: &[Outline]) -> Markup {
        let [width_mm, height_mm] = self.extent_mm();
        let data = png_data(self.plane.size, &values.iter().map(|&value| [window.grey(value)]).collect::<Vec<_>>());
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
        let [right_mm, down_mm] = self.plane.spacing_mm;
        let width = width_mm * self.pixels_per_mm;
        html! {
            svg viewBox={ "0 0 " (width_mm) " " (height_mm) } style={ "width:" (format!("{width:.0}")) "px" } role="img" aria-label={ (self.plane.plane.title()) " slice" } {
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
        let edges = &self.plane.letters;
        let (near, half) = (0.75 * letter_mm, 0.5);
        let positions =
            [(near, half * height_mm), (width_mm - near, half * height_mm), (half * width_mm, near), (half * width_mm, height_mm - near)];
        html! {
            g.letters font-size=(letter_mm) stroke-width=(0.2 * letter_mm) {
                @for (letter, (x, y)) in [edges.left, edges.right, edges.top, edges.bottom].into_iter().zip(positions) {
                    text x=(x) y=(y) { (letter) }
                }
            }
        }
    }
}

/// Grey (`C` = 1) or RGB (`C` = 3) pixels as an 8-bit PNG, enlarged by a whole number, for an `href`.
pub(super) fn png_data<const C: usize>([columns, rows]: [usize; 2], pixels: &[[u8; C]]) -> String {
    let times = SHORTER_EDGE.div_ceil(rows.min(columns).max(1)).max(1);
    let mut bytes = Vec::with_capacity(C * rows * columns * times * times);
    for row in pixels.chunks(columns.max(1)) {
        let wide: Vec<u8> = row.iter().flat_map(|pixel| std::iter::repeat_n(*pixel, times)).flatten().collect();
        bytes.extend(std::iter::repeat_n(wide, times).flatten());
    }
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, (columns * times) as u32, (rows * times) as u32);
    encoder.set_color(if C == 1 { png::ColorType::Grayscale } else { png::ColorType::Rgb });
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::High);
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&bytes));
    written.expect("a picture of the stated size goes into memory");
    format!("data:image/png;base64,{}", STANDARD.encode(file))
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
        let window = WindowLevel { low: 0.0, high: 2.0 };
        let data = png_data([3, 1], &[-1.0, 1.0, f32::NAN].map(|value| [window.grey(value)]));
        let bytes = STANDARD.decode(data.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![1; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        let wide = 3 * SHORTER_EDGE;
        assert_eq!(pixels.len(), wide * SHORTER_EDGE);
        assert_eq!([pixels[0], pixels[SHORTER_EDGE], pixels[2 * SHORTER_EDGE], pixels[wide * 7 + SHORTER_EDGE + 3]], [0, 128, 0, 128]);
    }
}
