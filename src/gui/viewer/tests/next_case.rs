//! The ranking beside the case list.

use std::collections::BTreeMap;

use egui_kittest::kittest::Queryable as _;

use super::{click, panel, run_with_predictions, until, wait_until};
use crate::gui::ThemeChoice;
use crate::gui::testing::needs_gpu;
use crate::next_case::{Basis, Criterion, Known, Measured, Ranking};
use crate::protocol::{Event, Record, Stage, StageKind};

#[test]
fn a_ranking_that_lies_with_the_run_is_listed_and_a_network_offers_another() {
    needs_gpu!();
    let folder = tempfile::tempdir().unwrap();
    let (mut run, names) = run_with_predictions(folder.path());
    let all: Vec<Measured> = (0..3).map(|number| Measured { token: vec![number as f32], ..Measured::default() }).collect();
    let candidates: Vec<Known<'_>> = names.iter().map(String::as_str).zip(&all).collect();
    let basis = Basis {
        by: vec![Criterion::Distance],
        not_measured: [(Criterion::Entropy, "no network that segments was named".to_owned())].into(),
        ..Basis::default()
    };
    Ranking::new(basis, BTreeMap::new(), &candidates, &[]).write(&folder.path().join("next")).unwrap();
    let stage = Stage { kind: StageKind::Finetune, arm: "scratch".to_owned() };
    let saved = Event::Checkpoint { stage: stage.clone(), step: 1, path: "checkpoints/last".to_owned(), best: false };
    for event in [Event::StageStarted { stage, total: 1, done: 0 }, saved] {
        run.state_mut().apply(&Record { secs: 1.0, event });
    }

    let mut harness = panel(ThemeChoice::Dark);
    harness.state_mut().workspace.put(run);
    until(&mut harness, "the ranking", |panel| panel.list.dataset().is_some() && panel.list.next.ranking().is_some());
    harness.get_by_label("Next");
    harness.get_by_label_contains("entropy was not measured");
    // Its folder holds no weights here: why the job ended is said where it was begun.
    click(&mut harness, "Which next?");
    wait_until(&mut harness, "the failure", |harness| harness.query_by_label_contains("no checkpoint there").is_some());
    assert!(harness.state().segmentation.list.next.ranking().is_some(), "the ranking that was there stays");
}
