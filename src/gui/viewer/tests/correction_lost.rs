//! A correction that is not saved: the questions before it is lost, and what a crash leaves of it.

use eframe::egui::{Key, PointerButton, ViewportCommand, ViewportEvent};
use egui_kittest::kittest::Queryable as _;

use super::correcting::{corrected, correcting, dab, folder, inside, journals, undo, values};
use super::{Window, case, click, open_file, panel, until};
use crate::gui::ThemeChoice;
use crate::gui::testing::{needs_gpu, wait_until};

/// The journal of a correction of image.nii. The brush stays in the hand, so that the next case has one of its own.
const JOURNAL: &str = ".image.nii.simtrot-edit";

fn ask_to_close(harness: &mut Window) {
    let id = harness.ctx.viewport_id();
    harness.input_mut().viewports.entry(id).or_default().events.push(ViewportEvent::Close);
    harness.step();
}

#[test]
fn an_unsaved_correction_is_asked_about_before_another_case_and_before_closing() {
    needs_gpu!();
    let (_folder, at) = folder();
    let mut harness = correcting(&at);
    let point = inside(&harness);
    dab(&mut harness, point, PointerButton::Secondary);
    let painted = corrected(&harness);
    let open = |harness: &mut Window, name: &str| {
        let ctx = harness.ctx.clone();
        let app = harness.state_mut();
        app.segmentation.open_files(&ctx, (&[at(name)], Vec::new()), &app.workspace);
        harness.run_steps(3);
    };
    let opened = |harness: &mut Window, title: &str| {
        until(harness, title, |panel| panel.is_settled() && panel.open.as_ref().is_some_and(|case| case.request.title == title));
    };
    ask_to_close(&mut harness);
    let commanded = |harness: &Window, command: &ViewportCommand| {
        harness.output().viewport_output.values().any(|output| output.commands.contains(command))
    };
    assert!(commanded(&harness, &ViewportCommand::CancelClose), "the window stays");
    harness.run_steps(2);
    harness.get_by_label("The correction is not saved");
    click(&mut harness, "Cancel");
    open(&mut harness, "other.nii");
    harness.get_by_label("The correction is not saved");
    click(&mut harness, "Cancel");
    assert_eq!((case(&harness).request.title.as_str(), corrected(&harness)), ("image", painted.clone()));
    open(&mut harness, "other.nii");
    click(&mut harness, "Save");
    opened(&mut harness, "other");
    assert!(values(&at("labels_corrected.nii")).iter().zip(&painted).all(|(&value, &class)| (value == 4.0) == (class == 1)));
    assert!(!at(JOURNAL).exists(), "what is saved needs no journal");

    // What the user gives up does not come back.
    let mut harness = correcting(&at);
    dab(&mut harness, point, PointerButton::Secondary);
    wait_until(&mut harness, "the journal", |_| at(JOURNAL).exists());
    open(&mut harness, "other.nii");
    click(&mut harness, "Go on without it");
    opened(&mut harness, "other");
    assert!(!at(JOURNAL).exists());
    open(&mut harness, "image.nii");
    opened(&mut harness, "image");
    assert!(harness.query_by_label("Restore").is_none());
}

#[test]
fn a_correction_that_a_crash_ended_is_offered_and_goes_on_where_it_was() {
    needs_gpu!();
    let (folder, at) = folder();
    let mut harness = correcting(&at);
    let point = inside(&harness);
    let whole = corrected(&harness);
    dab(&mut harness, point, PointerButton::Secondary);
    let painted = corrected(&harness);
    assert_ne!(painted, whole);
    // The window is gone without an answer.
    drop(harness);
    assert_eq!(journals(folder.path()), 1);
    let mut harness = panel(ThemeChoice::Dark);
    open_file(&mut harness, &at("image.nii"));
    harness.get_by_label_contains("An edit of labels, begun");
    click(&mut harness, "Restore");
    until(&mut harness, "the correction", |panel| panel.is_settled() && panel.editing.is_open());
    assert_eq!(corrected(&harness), painted);
    assert_eq!(harness.state().segmentation.views.shown.as_deref(), Some("corrected"));
    assert!(harness.state().segmentation.would_lose());
    undo(&mut harness, Key::Z);
    assert_eq!(corrected(&harness), whole, "and with what can be undone");
    undo(&mut harness, Key::Y);
    drop(harness);

    let mut harness = panel(ThemeChoice::Dark);
    open_file(&mut harness, &at("image.nii"));
    harness.get_by_label_contains("An edit of labels, begun");
    click(&mut harness, "Discard");
    assert!(harness.query_by_label("Restore").is_none() && journals(folder.path()) == 0);
}
