//! Token maps of several pre-trainings side by side: how alike places are across volumes, and the plane in which tokens spread most.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};

use super::palette::hex;
use crate::metrics::collapse::TokenMaps;
use crate::palette::{HEAT, SERIES};
use crate::protocol::TokenPreview;

/// Width and height of a map on the page, in pixels.
const SIDE: f64 = 200.0;
/// Cells of a heat map are enlarged to at least so many pixels in all, so that no browser blurs them.
const SHARP: usize = 256;
/// Points of a scatter plot; more are a cloud.
const MOST_POINTS: usize = 800;

/// Maps, and the tokens that they are of; or why there are none.
type Made<'a> = Result<(TokenMaps, &'a TokenPreview), String>;

/// The maps of one pre-training.
pub(super) struct Mapped<'a> {
    /// Its name on the page.
    pub(super) name: &'a str,
    /// Its newest tokens, or why there are none.
    pub(super) tokens: Result<&'a TokenPreview, String>,
}

/// A column for each pre-training: similarity of places above, map of tokens below. All heat maps share one scale.
pub(super) fn figure(mapped: &[Mapped<'_>]) -> Markup {
    let maps: Vec<(&str, Made<'_>)> = mapped.iter().map(|own| (own.name, maps(own))).collect();
    html! {
        p {
            "Tokens of held-out crops at random offsets, where the loss sees them (or as the encoder hands them over, where the task compares no tokens). "
            "Above: mean cosine of the token at one place and the token at another place in " em { "another" } " volume, from -1 (dark) to 1 (bright); a bright diagonal is collapse. "
            "Below: the two directions in which tokens spread most, a colour for each volume."
        }
        div.scroll { table.panels {
            thead { tr { @for (name, _) in &maps { th { (name) } } } }
            tbody {
                tr { @for (name, made) in &maps { td {
                    @match made {
                        Ok((maps, _)) => (heat_map(maps, name)),
                        Err(why) => p.absent { (why) },
                    }
                } } }
                tr { @for (name, made) in &maps { td {
                    @if let Ok((maps, preview)) = made { (scatter(maps, preview, name)) }
                } } }
            }
        } }
    }
}

fn maps<'a>(own: &Mapped<'a>) -> Made<'a> {
    let preview = own.tokens.clone()?;
    let set = preview.projected.as_ref().unwrap_or(&preview.encoder);
    let made = TokenMaps::of(&set.values, preview.grid.iter().product(), set.dim);
    made.map(|maps| (maps, preview)).map_err(|why| format!("No map: {why}."))
}

fn heat_map(maps: &TokenMaps, name: &str) -> Markup {
    let cells = maps.places.len();
    let times = SHARP.div_ceil(cells.max(1)).max(1);
    let mut pixels = Vec::with_capacity(3 * (cells * times).pow(2));
    for row in maps.similarity.chunks(cells.max(1)) {
        let wide: Vec<u8> = row.iter().flat_map(|&cosine| std::iter::repeat_n(heat((cosine + 1.0) / 2.0), times)).flatten().collect();
        pixels.extend(std::iter::repeat_n(wide, times).flatten());
    }
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, (cells * times) as u32, (cells * times) as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::High);
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels));
    written.expect("a picture of the stated size goes into memory");
    let data = format!("data:image/png;base64,{}", STANDARD.encode(bytes));
    html! {
        svg viewBox={ "0 0 " (SIDE) " " (SIDE) } style={ "width:" (SIDE) "px" } role="img" aria-label={ "similarity of places, " (name) } {
            image width=(SIDE) height=(SIDE) href=(data) {}
        }
    }
}

/// The colour of a value from 0 to 1.
fn heat(value: f32) -> [u8; 3] {
    // In this order a value that is no number takes the lower end.
    let value = if value.is_finite() { f64::from(value) } else { 0.0 };
    let place = value.clamp(0.0, 1.0) * (HEAT.len() - 1) as f64;
    let below = (place as usize).min(HEAT.len() - 2);
    let share = place - below as f64;
    [16, 8, 0].map(|shift| {
        let channel = |colour: u32| f64::from((colour >> shift) & 0xFF);
        (channel(HEAT[below]) * (1.0 - share) + channel(HEAT[below + 1]) * share).round() as u8
    })
}

fn scatter(maps: &TokenMaps, preview: &TokenPreview, name: &str) -> Markup {
    let extent = maps.plane.iter().flatten().fold(f64::MIN_POSITIVE, |most, value| most.max(value.abs()));
    let step = maps.plane.len().div_ceil(MOST_POINTS).max(1);
    let place = |value: f64| SIDE / 2.0 + value / extent * (SIDE / 2.0 - 6.0);
    let volumes = (0..preview.cases.len()).map(|volume| {
        let mut path = String::new();
        let own = volume * maps.tokens..(volume + 1) * maps.tokens;
        for [x, y] in maps.plane[own].iter().step_by(step) {
            // A line of no length with round ends is a dot.
            let _ = write!(path, "M{:.1} {:.1}h0", place(*x), SIDE - place(*y));
        }
        (SERIES[volume % SERIES.len()].light, path)
    });
    let [first, second] = maps.explained.map(|share| format!("{:.0} %", 100.0 * share));
    html! {
        svg.plot viewBox={ "0 0 " (SIDE) " " (SIDE) } style={ "width:" (SIDE) "px" } role="img" aria-label={ "map of the tokens, " (name) } {
            @for (colour, path) in volumes {
                path d=(path) stroke=(hex(colour)) stroke-width="4" stroke-linecap="round" stroke-opacity="0.65" fill="none" {}
            }
        }
        small { (first) " and " (second) " of the variance" }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::protocol::{Stage, StageKind, TokenSet};

    #[test]
    fn every_pretraining_has_a_column_with_its_maps_or_the_reason() {
        let values: Vec<f32> = (0..3 * 8 * 4).map(|index| (index as f32 * 0.7).sin()).collect();
        let preview = TokenPreview {
            stage: Stage { kind: StageKind::Pretrain, arm: String::new() },
            step: 4,
            cases: ["a", "b", "c"].map(str::to_owned).to_vec(),
            channels: 1,
            crop: [4, 4, 4],
            spacing_mm: vec![[1.0; 3]; 3],
            grid: [2, 2, 2],
            voxels: Arc::new(vec![0.0; 3 * 64]),
            projected: None,
            encoder: TokenSet { dim: 4, values },
        };
        let both = [Mapped { name: "kept", tokens: Ok(&preview) }, Mapped { name: "lost", tokens: Err("Gone.".to_owned()) }];
        let page = figure(&both).into_string();
        assert_eq!(page.matches("data:image/png;base64,").count(), 1);
        // A dot for each token, a path for each volume.
        assert_eq!((page.matches("h0").count(), page.matches("<path").count()), (24, 3));
        assert!(page.contains("Gone.") && page.contains("lost"));
    }

    #[test]
    fn colours_run_from_one_end_of_the_scale_to_the_other() {
        let end = |colour: u32| [16, 8, 0].map(|shift| ((colour >> shift) & 0xFF) as u8);
        assert_eq!((heat(0.0), heat(1.0), heat(f32::NAN)), (end(HEAT[0]), end(HEAT[8]), end(HEAT[0])));
        assert_eq!(heat(0.125), end(HEAT[1]));
    }
}
