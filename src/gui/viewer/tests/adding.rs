//! A corrected label map into the training set, from the menu.

use std::path::Path;

use egui_kittest::kittest::Queryable as _;

use super::{Window, click, drop_files, labelled, panel, shades, until, write};
use crate::corrections::Corrections;
use crate::gui::ThemeChoice;
use crate::gui::testing::{needs_gpu, wait_for};
use crate::gui::viewer::layer::Kind;
use crate::volume::nifti;

const GRID: ([usize; 3], [f64; 3]) = ([6, 8, 10], [3.0, 1.0, 1.0]);

/// Lays labels over the open case, and asks to add them.
fn ask(harness: &mut Window, labels: &Path) {
    let layers = |harness: &Window| super::case(harness).layers.iter().filter(|layer| layer.kind == Kind::File).count();
    let before = layers(harness);
    drop_files(harness, &[labels]);
    until(harness, "the labels", move |panel| {
        let open = panel.open.as_ref().expect("a case is open");
        panel.is_settled() && open.layers.iter().filter(|layer| layer.kind == Kind::File).count() > before
    });
    click(harness, "Open");
    harness.run_steps(2);
    click(harness, "Add to the training set...");
    harness.run_steps(2);
}

fn added(harness: &mut Window, button: &str, text: &str) {
    click(harness, button);
    until(harness, "the addition", |panel| panel.adding.is_settled());
    wait_for(harness, text);
}

#[test]
fn labels_over_an_unlabelled_case_become_its_label_map_and_are_replaced_only_when_asked() {
    needs_gpu!();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write(&at("data/imagesTr/a.nii"), GRID, shades);
    write(&at("data/imagesTr/b.nii"), GRID, |at| shades(at) * 2.0);
    let label = |name: &str, from: usize| {
        write(&at(name), GRID, move |[d, ..]| if d > from { 1.0 } else { 0.0 });
    };
    label("data/labelsTr/a.nii", 3);
    label("first.nii", 2);
    label("second.nii", 1);
    let mut harness = panel(ThemeChoice::Dark);
    drop_files(&mut harness, &[&at("data")]);
    until(&mut harness, "the list", |panel| panel.list.dataset().is_some());
    click(&mut harness, "b (no truth)");
    until(&mut harness, "the case", |panel| panel.is_settled());

    ask(&mut harness, &at("first.nii"));
    harness.get_by_label_contains("nothing is compared");
    harness.get_by_label("Another dataset ...");
    added(&mut harness, "Add", "b is in the training set");
    harness.get_by_label_contains("Open the run that was trained on this dataset first");
    let values = |file: &Path| nifti::read(file).unwrap().volume.voxels;
    assert_eq!(values(&at("data/labelsTr/b.nii")), values(&at("first.nii")));
    assert_eq!(Corrections::read(&at("data")).unwrap().added(), ["b"].into());
    click(&mut harness, "Close");
    until(&mut harness, "the list again", |panel| panel.list.dataset().is_some_and(|dataset| labelled(dataset).len() == 2));

    ask(&mut harness, &at("second.nii"));
    added(&mut harness, "Add", "has a label map already");
    assert_eq!(values(&at("data/labelsTr/b.nii")), values(&at("first.nii")), "nothing is replaced unasked");
    added(&mut harness, "Replace its label map, keep the old one", "the old one is kept in");
    assert_eq!(values(&at("data/labelsTr/b.nii")), values(&at("second.nii")));
    assert_eq!(values(&at("data/labelsTr_replaced/b.1.nii")), values(&at("first.nii")));
    click(&mut harness, "Close");
    assert!(harness.query_by_label("Close").is_none());
}
