//! What is looked at in an experiment: token maps of each pre-training (figure 3 of the paper), and the same slices of the same cases as
//! every arm segmented them (figure 4).

use maud::{Markup, html};

use super::view::View;
use crate::protocol::{RunFolder, RunFolderError, StageKind, TokenPreview};
use crate::report::cases::{self, Row, Segmented};
use crate::report::token_maps::{self, Mapped};
use crate::results::{Group, Repeat};
use crate::volume::Dataset;

/// Token maps on a page; more are said to be left out.
const MOST_MAPS: usize = 16;
/// Rows of segmentations on a page.
const MOST_ROWS: usize = 16;

/// Tokens of the first repeat of each pre-training, and of the untrained encoder.
pub(super) fn token_maps(view: &View) -> Markup {
    let all = view.results.pretrainings(view.experiment);
    let begun: Vec<_> = all.iter().filter(|own| view.state.runs[own.stages[0]].is_some()).collect();
    let read: Vec<(String, Result<Option<TokenPreview>, RunFolderError>)> =
        begun.iter().take(MOST_MAPS).map(|own| (own.name.clone(), newest(view, own.stages[0]))).collect();
    let untrained = begun.first().map(|own| ("untrained".to_owned(), before(view, own.stages[0])));
    let columns: Vec<_> = untrained.into_iter().filter(|(_, tokens)| matches!(tokens, Ok(Some(_)))).chain(read).collect();
    let mapped: Vec<Mapped> = columns
        .iter()
        .map(|(name, tokens)| {
            let tokens = match tokens {
                Ok(Some(tokens)) => Ok(tokens),
                Ok(None) => Err("No tokens were kept.".to_owned()),
                Err(error) => Err(error.to_string()),
            };
            Mapped { name, tokens }
        })
        .collect();
    html! {
        @if mapped.is_empty() {
            p.absent { "No pre-training has measured its tokens yet." }
        } @else {
            (token_maps::figure(&mapped))
            p.note {
                "Of the first " (view.results.repeat) "."
                @if begun.len() > MOST_MAPS { " " (begun.len() - MOST_MAPS) " more pre-trainings are not drawn here; each opens in the window as a run of its own." }
            }
        }
    }
}

fn newest(view: &View, stage: usize) -> Result<Option<TokenPreview>, RunFolderError> {
    let (run, stage) = pretraining(view, stage);
    run.read_tokens(&stage)
}

fn before(view: &View, stage: usize) -> Result<Option<TokenPreview>, RunFolderError> {
    let (run, stage) = pretraining(view, stage);
    run.read_untrained_tokens(&stage)
}

/// The folder of a pre-training, and the name of its part in it.
fn pretraining(view: &View, stage: usize) -> (RunFolder, crate::protocol::Stage) {
    (view.folder.stage(&view.experiment.stages[stage]), crate::protocol::Stage { kind: StageKind::Pretrain, arm: String::new() })
}

/// The best, the median and the worst case: all arms beside the truth, a row for each point of the grid.
pub(super) fn cases(view: &View) -> Markup {
    let config = view.experiment.config.base();
    let done = |group: &&Group| shown(view, group).is_some();
    let mut groups: Vec<&Group> = view.results.groups.iter().filter(done).collect();
    groups.sort_by_key(|group| group.pretraining.is_none());
    let Some(leading) = groups.first().and_then(|group| shown(view, group)) else {
        return html! { p.absent { "No " (view.experiment.subject()) " was scored yet, so there is none to show." } };
    };
    // Levels may name another dataset: cases are those of the leading group's own.
    let own = groups.first().map_or(config, |group| &view.experiment.stages[view.cells(group)[0].finetuned].config);
    let dataset = match Dataset::open(&own.data.source) {
        Ok(dataset) => dataset,
        Err(error) => return html! { p.absent { "The dataset could not be opened, so there are no pictures: " (error) } },
    };
    let own_here = |levels: &Vec<usize>| {
        view.results.groups.iter().any(|group| group.levels == *levels && group.same_as.is_none() && group.done() > 0)
    };
    let points: Vec<Vec<usize>> = view.results.points().into_iter().filter(own_here).collect();
    let arms: Vec<&str> = view.experiment.arms().iter().map(|arm| arm.name.as_str()).collect();
    let at = |levels: &Vec<usize>| -> Vec<Option<Segmented>> {
        let own = |arm: usize| view.results.groups.iter().find(|group| group.arm == arm && group.levels == *levels);
        (0..arms.len()).map(|arm| own(arm).and_then(|group| shown(view, group))).collect()
    };
    let rows: Vec<Row> = points.iter().map(|levels| Row { name: view.results.place(view.experiment, levels), arms: at(levels) }).collect();
    let left_out = rows.len().saturating_sub(MOST_ROWS);
    html! {
        @match rows.as_slice() {
            [only] => {
                @let arms: Vec<Segmented> = only.arms.iter().flatten().cloned().collect();
                (cases::pictures(own, &dataset, &arms, &leading))
            }
            _ => (cases::grid(own, &dataset, &arms, &rows[..rows.len() - left_out], &leading)),
        }
        p.note {
            "Of the first " (view.results.repeat) " that is done."
            @if left_out > 0 { " " (left_out) " more points of the grid are not drawn here; each training opens in the window as a run of its own." }
        }
    }
}

/// The segmentations of a group's first repeat that is done.
fn shown<'a>(view: &View, group: &'a Group) -> Option<Segmented<'a>> {
    let Repeat { cell, scores, .. } = group.repeats.iter().find(|repeat| repeat.done)?;
    let folder = view.folder.stage(&view.experiment.stages[view.experiment.cells[*cell].finetuned]);
    Some(Segmented { name: &group.title, predictions: folder.predictions(""), cases: scores })
}
