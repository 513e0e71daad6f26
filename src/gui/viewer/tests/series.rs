//! A folder of DICOM series, dropped or named: the user chooses among them, and sees what cannot be used.

use std::path::Path;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use dicom_object::meta::FileMetaTableBuilder;
use eframe::egui::{Event, Key, Role};
use egui_kittest::kittest::Queryable as _;

use super::{drop_files, panel, press, until};
use crate::gui::ThemeChoice;
use crate::gui::testing::{click, needs_gpu};

/// Writes a series of so many axial slices.
fn series(folder: &Path, description: &str, slices: usize) {
    std::fs::create_dir_all(folder).unwrap();
    for slice in 0..slices {
        let mut object = InMemDicomObject::new_empty();
        for (tag, vr, value) in [
            (tags::SOP_CLASS_UID, VR::UI, uids::MR_IMAGE_STORAGE),
            (tags::SOP_INSTANCE_UID, VR::UI, &format!("1.2.{}.{slice}", description.len())),
            (tags::STUDY_INSTANCE_UID, VR::UI, "1.2"),
            (tags::SERIES_INSTANCE_UID, VR::UI, &format!("1.2.{}", description.len())),
            (tags::SERIES_DESCRIPTION, VR::LO, description),
            (tags::MODALITY, VR::CS, "MR"),
            (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
            (tags::IMAGE_POSITION_PATIENT, VR::DS, &format!("0\\0\\{slice}")),
            (tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0"),
            (tags::PIXEL_SPACING, VR::DS, "1\\1"),
        ] {
            object.put_str(tag, vr, value);
        }
        for (tag, value) in [
            (tags::ROWS, 8_u16),
            (tags::COLUMNS, 10),
            (tags::SAMPLES_PER_PIXEL, 1),
            (tags::BITS_ALLOCATED, 16),
            (tags::BITS_STORED, 16),
            (tags::HIGH_BIT, 15),
            (tags::PIXEL_REPRESENTATION, 0),
        ] {
            object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
        }
        object.put(DataElement::new(
            tags::PIXEL_DATA,
            VR::OW,
            PrimitiveValue::U16((0..80).map(|pixel| 7 * pixel + slice as u16).collect()),
        ));
        let whole = object.with_meta(FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)).unwrap();
        whole.write_to_file(folder.join(format!("{description}{slice}"))).unwrap();
    }
}

#[test]
fn the_series_of_a_dropped_folder_are_listed_and_a_single_one_is_opened() {
    needs_gpu!();
    let folder = tempfile::tempdir().unwrap();
    series(&folder.path().join("one"), "thin", 4);
    series(&folder.path().join("other"), "localiser", 2);
    let mut harness = panel(ThemeChoice::Dark);
    drop_files(&mut harness, &[folder.path()]);
    until(&mut harness, "two series", |panel| panel.series.found.len() == 2);
    harness.run_steps(2);
    harness.get_by_label_contains("4 files");
    harness.get_by_label_contains("has 2 slices");
    let names: Vec<String> = harness.state().segmentation.series.found.iter().map(|series| series.case.name.clone()).collect();
    assert!(names[0].starts_with("localiser_") && names[1].starts_with("thin_"), "{names:?}");
    let opened = names[1].clone();
    click(&mut harness, &names[1]);
    until(&mut harness, "the chosen series", |panel| {
        panel.is_settled() && panel.open.as_ref().is_some_and(|case| case.request.title == opened)
    });
    let mut harness = panel(ThemeChoice::Dark);
    drop_files(&mut harness, &[&folder.path().join("one")]);
    until(&mut harness, "the only series", |panel| panel.is_settled() && panel.open.is_some());
}

#[test]
fn a_series_is_opened_from_the_first_page_by_a_path_typed_at_once() {
    needs_gpu!();
    let folder = tempfile::tempdir().unwrap();
    series(folder.path(), "thin", 4);
    for choice in ["Open a DICOM series ...", "Open a volume ..."] {
        let mut harness = panel(ThemeChoice::Dark);
        harness.run_steps(2);
        harness.get_by_role_and_label(Role::Button, choice).click();
        harness.run_steps(3);
        // Nobody clicks the field first.
        harness.event(Event::Text(folder.path().display().to_string()));
        press(&mut harness, Key::Enter);
        until(&mut harness, choice, |panel| panel.is_settled() && panel.open.is_some());
        let open = harness.state().segmentation.open.as_ref().unwrap();
        assert!(open.request.title.starts_with("thin_") && open.grid().shape == [4, 8, 10], "{choice}: {}", open.request.title);
    }
}

#[test]
fn a_folder_and_a_file_are_not_opened_together() {
    needs_gpu!();
    let folder = tempfile::tempdir().unwrap();
    series(folder.path(), "thin", 4);
    let mut harness = panel(ThemeChoice::Dark);
    harness.run_steps(2);
    harness.get_by_role_and_label(Role::Button, "Open a volume ...").click();
    harness.run_steps(3);
    let path = folder.path().display();
    harness.event(Event::Text(format!("{path}/thin0; {path}")));
    press(&mut harness, Key::Enter);
    harness.get_by_label_contains("is neither a file nor a single folder that can be read");
}
