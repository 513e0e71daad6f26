//! Token maps of several pre-trainings side by side: how alike positions are across volumes, and the plane in which tokens spread most.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::colours::hex;
use super::picture::png_data;
use super::view::View;
use crate::metrics::collapse::TokenMaps;
use crate::palette::{SERIES, heat};
use crate::protocol::{FolderError, RunFolder, Stage, TokenPreview};
use crate::results::{REFERENCES, Tokens};

/// Width and height of a map on the page, in pixels.
const SIDE: f64 = 200.0;
/// Points of a scatter plot; more are a cloud.
const MOST_POINTS: usize = 800;
/// Pre-trainings on a page; more are said to be left out.
const MOST_MAPS: usize = 16;

/// Maps, and the tokens that they are of; or why there are none.
type Made = Result<(TokenMaps, TokenPreview), String>;

/// Maps of the first repeat of each pre-training, and of the untrained encoder.
pub(super) fn of_pretrainings(view: &View) -> Markup {
    let all = &view.results.pretrainings;
    let begun: Vec<(&str, usize)> =
        all.iter().map(|own| (own.name.as_str(), own.trainings[0])).filter(|own| view.state.runs[own.1].is_some()).collect();
    let read = |training: usize, read: fn(&RunFolder, &Stage) -> Result<Option<TokenPreview>, FolderError>| {
        maps(read(&view.training(training), &view.experiment.trainings[training].stage()))
    };
    let untrained =
        begun.first().map(|own| (REFERENCES[0], read(own.1, RunFolder::read_untrained_tokens))).filter(|(_, made)| made.is_ok());
    let own = begun.iter().take(MOST_MAPS).map(|&(name, training)| (name, read(training, RunFolder::read_tokens)));
    let mapped: Vec<(&str, Made)> = untrained.into_iter().chain(own).collect();
    html! { @if !mapped.is_empty() {
        h3 { "Maps of the tokens" }
        (figure(&mapped))
        p.note {
            "Of the first " (view.results.names.repeat) "."
            @if begun.len() > MOST_MAPS { " " (begun.len() - MOST_MAPS) " more pre-trainings are not drawn here; each opens in the window." }
        }
    } }
}

/// A column for each pre-training: similarity of positions above, map of tokens below. All heat maps share one scale.
fn figure(mapped: &[(&str, Made)]) -> Markup {
    html! {
        p {
            "Tokens of held-out crops at random offsets, where the loss sees them (or as the encoder hands them over, where the task compares no \
            tokens). Above: mean cosine of the token at one position and the token at another position in " em { "another" } " volume, from -1 \
            (dark) to 1 (bright); a bright diagonal is collapse. Below: the two directions in which tokens spread most, a colour for each volume."
        }
        div.scroll { table.panels {
            thead { tr { @for (name, _) in mapped { th { (name) } } } }
            tbody {
                tr { @for (name, made) in mapped { td {
                    @match made {
                        Ok((maps, _)) => (heat_map(maps, name)),
                        Err(why) => p.absent { (why) },
                    }
                } } }
                tr { @for (name, made) in mapped { td { @if let Ok((maps, preview)) = made { (scatter(maps, preview, name)) } } } }
            }
        } }
    }
}

fn maps(read: Result<Option<TokenPreview>, FolderError>) -> Made {
    let preview = read.map_err(|error| error.to_string())?.ok_or("No tokens were kept.")?;
    let tokens = if preview.projected.is_some() { Tokens::Projected } else { Tokens::Encoder };
    let maps = tokens.maps(&preview).map_err(|why| format!("No map: {why}."))?;
    Ok((maps, preview))
}

fn heat_map(maps: &TokenMaps, name: &str) -> Markup {
    let colour = |&cosine: &f32| {
        let [_, rgb @ ..] = heat((cosine + 1.0) / 2.0).to_be_bytes();
        rgb
    };
    let pixels: Vec<[u8; 3]> = maps.similarity.iter().map(colour).collect();
    let data = png_data([maps.positions.len(); 2], &pixels);
    html! {
        svg viewBox={ "0 0 " (SIDE) " " (SIDE) } style={ "width:" (SIDE) "px" } role="img" aria-label={ "similarity of positions, " (name) } {
            image width=(SIDE) height=(SIDE) href=(data) {}
        }
    }
}

fn scatter(maps: &TokenMaps, preview: &TokenPreview, name: &str) -> Markup {
    let extent = maps.plane.iter().flatten().fold(f64::MIN_POSITIVE, |most, value| most.max(value.abs()));
    let step = maps.plane.len().div_ceil(MOST_POINTS).max(1);
    let at = |value: f64| SIDE / 2.0 + value / extent * (SIDE / 2.0 - 6.0);
    let volumes = (0..preview.cases.len()).map(|volume| {
        let mut path = String::new();
        let own = volume * maps.tokens..(volume + 1) * maps.tokens;
        for [x, y] in maps.plane[own].iter().step_by(step) {
            // A line of no length with round ends is a dot.
            let _ = write!(path, "M{:.1} {:.1}h0", at(*x), SIDE - at(*y));
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
    use crate::protocol::{StageKind, TokenSet};

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
        let both = [("kept", maps(Ok(Some(preview)))), ("lost", maps(Ok(None)))];
        let page = figure(&both).into_string();
        assert_eq!(page.matches("data:image/png;base64,").count(), 1);
        // A dot for each token, a path for each volume.
        let paths: Vec<&str> = page.split("<path").skip(1).collect();
        assert_eq!((paths.iter().map(|path| path.matches("h0").count()).sum::<usize>(), paths.len()), (24, 3));
        assert!(page.contains("No tokens were kept.") && page.contains("lost"));
    }
}
