//! Files that are odd and can be read: as the library reads them, and as `simtrot check` tells of them.

use std::path::{Path, PathBuf};

use simtrot::config::{NonFinite, PreprocessConfig, RunConfig};
use simtrot::preprocess::prepare;
use simtrot::volume::check::inspect;
use simtrot::volume::file;
use simtrot::volume::{DataErrors, Dataset, Fault, Note, VolumeSource, load_image};

use crate::volumes::Folder;
use crate::{refused, simtrot, succeed};

const SHAPE: [usize; 3] = [5, 6, 7];

/// A folder with `imagesTr/one.nii.gz`, and its dataset.
fn one_image(value: impl Fn(usize) -> f32) -> (Folder, PathBuf, Dataset) {
    let folder = Folder::new(SHAPE);
    folder.image_with("imagesTr/one.nii.gz", &folder.grid, 1, value);
    let (file, dataset) = (folder.at("imagesTr/one.nii.gz"), folder.dataset());
    (folder, file, dataset)
}

#[test]
fn voxels_that_are_nan_or_infinite_are_refused_or_replaced_as_the_settings_say_and_kept_for_viewing() {
    let holes = |index: usize| match index {
        20 | 70 => f32::NAN,
        71 => f32::NEG_INFINITY,
        _ => index as f32,
    };
    let (folder, file, dataset) = one_image(holes);
    let prepare_with = |non_finite, cache: Option<&Path>| {
        let config = PreprocessConfig { non_finite, ..PreprocessConfig::default() };
        prepare(&dataset, &["one".to_owned()], &config, cache, &|_, _| ())
    };
    let DataErrors(refused) = prepare_with(NonFinite::Refuse, None).expect_err("three such voxels");
    assert!(matches!(refused[0].fault, Fault::NotFinite { voxels: 3, at: [0, 2, 6] }), "{refused:?}");
    assert!(load_image(&[VolumeSource::File(file.clone())], None, Some(NonFinite::Refuse)).is_err());

    let cache = folder.at("cache");
    for attempt in ["made", "from the cache"] {
        let case = prepare_with(NonFinite::Replace(-7.0), Some(&cache)).expect("replaced").remove(0).load().expect("a case that is there");
        let lowest = case.image.voxels.iter().copied().fold(f32::INFINITY, f32::min);
        assert!(lowest.is_finite() && case.image.voxels.iter().filter(|&&value| value == lowest).count() >= 3, "{attempt}");
        let [note] = case.notes.as_slice() else { panic!("{attempt}: {:?}", case.notes) };
        assert!(note.file == file && note.text.contains("3 voxels") && note.text.contains("replaced by -7"), "{attempt}: {note}");
    }
    let shown = load_image(&[VolumeSource::File(file)], None, None).expect("a file to look at");
    assert_eq!(shown.volume.voxels.iter().filter(|value| !value.is_finite()).count(), 3);
    assert!(shown.notes[0].text.contains("3 voxels"), "{:?}", shown.notes);

    let unusable = |non_finite| inspect(&dataset, non_finite, &|_, _| ()).unusable().len();
    assert_eq!([unusable(NonFinite::Refuse), unusable(NonFinite::Replace(0.0))], [1, 0]);
}

#[test]
fn the_setting_for_voxels_that_are_no_numbers_can_be_given_in_a_call_and_takes_finite_values_only() {
    let with = |value: &str| RunConfig::default().with_overrides(&[format!("data.preprocess.non_finite={value}")]);
    assert_eq!(with(r#"{"replace": -1000}"#).expect("an intensity").data.preprocess.non_finite, NonFinite::Replace(-1000.0));
    assert_eq!(with("refuse").expect("a word").data.preprocess.non_finite, NonFinite::Refuse);
    let refused = with(r#"{"replace": 1e60}"#).expect_err("beyond the numbers of a volume").to_string();
    assert!(refused.contains("data.preprocess.non_finite replaces by 1"), "{refused}");
}

#[test]
fn a_note_on_a_listing_is_shown_and_makes_nothing_unusable() {
    let (_folder, _file, mut dataset) = one_image(|index| index as f32);
    dataset.notes.push(Note::new(Path::new("dataset.json"), "says otherwise"));
    let report = inspect(&dataset, Default::default(), &|_, _| ());
    assert!(report.to_string().contains("dataset.json: says otherwise"), "{report}");
    assert_eq!((report.problems.len(), report.unusable().len()), (0, 0));
}

#[test]
fn a_check_of_odd_files_tells_of_each_and_ends_well() {
    let folder = Folder::new(SHAPE);
    folder.image("good.nii", 0, 1);
    let good = std::fs::read(folder.at("good.nii")).expect("a file made before");
    std::fs::remove_file(folder.at("good.nii")).expect("a file made before");
    let changed = |at: usize, bytes: &[u8]| {
        let mut file = good.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    let microns = |value: f32| (1e3 * value).to_le_bytes();
    let mut in_microns = changed(123, &[3]);
    (280..328).step_by(4).for_each(|at| {
        let value = f32::from_le_bytes(in_microns[at..at + 4].try_into().expect("four bytes"));
        in_microns[at..at + 4].copy_from_slice(&microns(value));
    });
    let flat = changed(40, &[2_i16, 7, 6, 0].map(i16::to_le_bytes).concat());
    let files = [
        ("microns.nii", in_microns, None),
        ("padded.nii", [good.as_slice(), &[0; 9]].concat(), Some("9 bytes behind the image")),
        ("empty_sform.nii", changed(280, &[0; 48]), Some("its sform is empty")),
        ("flat.nii", flat[..352 + 4 * 42].to_vec(), None),
    ];
    for (name, bytes, _) in &files {
        folder.text(name, bytes);
    }
    let output = simtrot(&["check"]).arg(folder.at("")).output().expect("the program starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let row = |name: &str| text.lines().find(|line| line.trim_start().starts_with(name)).unwrap_or_else(|| panic!("no {name}: {text}"));
    assert!(row("microns").contains("2 x 1 x 0.5"), "{text}");
    assert!(row("flat").contains("1 x 6 x 7"), "{text}");
    for (name, _, note) in &files {
        let told = |line: &str| line.starts_with("note: ") && line.contains(name) && note.is_some_and(|note| line.contains(note));
        assert_eq!(text.lines().any(told), note.is_some(), "{name}: {text}");
    }
}

#[test]
fn a_volume_goes_through_every_format_unchanged_and_nothing_is_overwritten() {
    let folder = Folder::new(SHAPE);
    let source = crate::fixtures::folder().join("nifti_oblique_image.nii.gz");
    let convert = |input: &Path, out: &str| {
        let mut command = simtrot(&["convert"]);
        command.arg(input).arg(folder.at(out));
        command
    };
    let before = file::read(&source).expect("the fixture").volume;
    let mut last = source.clone();
    for name in ["a.nrrd", "b.mha", "c.nhdr", "d.mhd", "e.nii", "f.nii.gz"] {
        assert!(succeed(convert(&last, name)).contains("stored as float32"));
        let after = file::read(&folder.at(name)).expect("our own file").volume;
        assert!(after.grid.shape == before.grid.shape && after.grid.corner_distance_mm(&before.grid) < 1e-6, "{name}: {}", after.grid);
        assert!(after.voxels.iter().map(|value| value.to_bits()).eq(before.voxels.iter().map(|value| value.to_bits())), "{name}");
        refused(convert(&last, name), 2, &[name, "already there"]);
        last = folder.at(name);
    }
    std::fs::remove_file(folder.at("c.nhdr")).expect("a file made before");
    refused(convert(&source, "c.nhdr"), 2, &["c.raw.gz", "already there"]);
    refused(convert(&source, "x.seg.nrrd"), 2, &["looks like an image", "broken label values"]);
    refused(convert(&source, "x.dcm"), 2, &["x.dcm", "--like"]);
    for name in ["x.hdr", "x.txt", "x"] {
        refused(convert(&source, name), 2, &[name, "Choose .nii"]);
        assert!(!folder.at(name).exists());
    }
    let labels = crate::fixtures::folder().join("nifti_oblique_label.nii.gz");
    assert!(succeed(convert(&labels, "labels.mha")).contains("stored as uint8"));
}

#[test]
fn a_label_map_becomes_a_segmentation_of_its_dicom_series_and_scores_as_itself() {
    let folder = Folder::new(SHAPE);
    folder.series("ct");
    // The first slice and the last are empty, and so is none of the others.
    folder.labels_with("truth/a.nii.gz", &folder.grid, |index| if (42..168).contains(&index) { [0, 1, 1, 5][index % 4] } else { 0 });
    let convert = |input: &str, out: &str, more: &[&str]| {
        let mut command = simtrot(&["convert"]);
        command.arg(folder.at(input)).arg(folder.at(out)).args(more);
        command
    };
    let series = folder.at("ct").display().to_string();
    let text = succeed(convert("truth/a.nii.gz", "seg/a.dcm", &["--like", &series]));
    assert!(text.contains("stored as segments") && text.contains("label 1, label 5: coded as Tissue"), "{text}");
    refused(convert("truth/a.nii.gz", "seg/a.dcm", &["--like", &series]), 2, &["already there"]);
    refused(convert("truth/a.nii.gz", "b.nii.gz", &["--like", &series]), 2, &["--like"]);
    let labels = folder.at("truth/a.nii.gz").display().to_string();
    refused(convert("truth/a.nii.gz", "b.dcm", &["--like", &labels]), 2, &["must belong to a DICOM series"]);

    // Whole numbers that neighbours do not share are an image's.
    folder.labels_with("image.nii.gz", &folder.grid, |index| (index * 37 % 211) as u16);
    for (name, like) in [("image.dcm", vec!["--like", series.as_str()]), ("image.seg.nrrd", vec![])] {
        refused(convert("image.nii.gz", name, &like), 2, &["image.nii.gz", "looks like an image", "name the label map"]);
        assert!(!folder.at(name).exists());
    }

    // And so are those below zero, though they lie in patches.
    folder.image_with("ct.nii.gz", &folder.grid, 1, |index| if index < 100 { -1000.0 } else { 40.0 });
    refused(convert("ct.nii.gz", "ct.dcm", &["--like", &series]), 2, &["ct.nii.gz", "looks like an image", "-1000", "name the label map"]);

    let evaluate = |prediction: &str| {
        let mut command = simtrot(&["evaluate"]);
        command.arg("--truth").arg(folder.at("truth")).arg("--prediction").arg(folder.at(prediction));
        command
    };
    let perfect = |text: &str, label: &str| text.lines().any(|line| line.trim_start().starts_with(label) && line.contains("1.0000"));
    let text = succeed(evaluate("seg"));
    assert!(perfect(&text, "label 1") && perfect(&text, "label 5") && text.contains("it is reoriented"), "{text}");
    // Of a series without its first slice and its last the segmentation is a part of the truth's grid.
    folder.series("part");
    ["part/IM0", "part/IM4"].iter().for_each(|file| std::fs::remove_file(folder.at(file)).expect("a file made before"));
    let mut part = folder.grid.clone();
    (part.shape[0], part.world_from_voxel[2][3]) = (3, 2.0);
    folder.labels_with("part.nii.gz", &part, |index| [0, 1, 1, 5][(index + 42) % 4]);
    let series = folder.at("part").display().to_string();
    succeed(convert("part.nii.gz", "parts/a.dcm", &["--like", &series]));
    let text = succeed(evaluate("parts"));
    assert!(perfect(&text, "label 1") && perfect(&text, "label 5") && text.contains("the others are taken as background"), "{text}");

    succeed(convert("seg/a.dcm", "back.seg.nrrd", &[]));
    let text = succeed(convert("back.seg.nrrd", "back.nrrd", &[]));
    assert!(text.contains("1 label 1, 5 label 5; .seg.nrrd keeps them"), "{text}");
    let voxels = ["seg/a.dcm", "back.nrrd"].map(|name| file::read(&folder.at(name)).expect("our own file").volume);
    assert_eq!(voxels[0], voxels[1]);
}

#[test]
fn contours_become_labels_on_the_slices_of_their_series() {
    let folder = Folder::new(SHAPE);
    folder.series("ct");
    // Columns 1 to 3 and rows 2 and 3 of slices 1 and 2.
    folder.contours("rt/a.dcm", &[1.0, 2.0], [0.25, 1.5], [1.75, 3.5]);
    let inside = |index: usize| {
        let (slice, row, column) = (index / 42, index / 7 % 6, index % 7);
        (1..=2).contains(&slice) && (2..=3).contains(&row) && (1..=3).contains(&column)
    };
    folder.labels_with("truth/a.nii.gz", &folder.grid, |index| u16::from(inside(index)));
    let series = folder.at("ct").display().to_string();
    let convert = |out: &str, more: &[&str]| {
        let mut command = simtrot(&["convert"]);
        command.arg(folder.at("rt/a.dcm")).arg(folder.at(out)).args(more);
        command
    };
    refused(convert("a/a.nii.gz", &[]), 2, &["a.nii.gz", "contours become labels", "--like SERIES"]);
    let text = succeed(convert("a.nii.gz", &["--like", &series]));
    assert!(text.contains("1 Left Kidney") && text.contains("stored as uint8") && !text.contains("does not refer"), "{text}");
    let made = file::read(&folder.at("a.nii.gz")).expect("our own file").volume;
    assert!(made.grid.corner_distance_mm(&file::read(&folder.at("ct")).expect("a good series").volume.grid) < 1e-6);
    assert_eq!(made.voxels.iter().sum::<f32>(), 12.0);
    succeed(convert("seg/a.dcm", &["--like", &series]));

    let evaluate = |truth: &str, prediction: &str| {
        let mut command = simtrot(&["evaluate"]);
        command.arg("--truth").arg(folder.at(truth)).arg("--prediction").arg(folder.at(prediction));
        command
    };
    for (truth, prediction) in [("truth", "rt"), ("rt", "truth"), ("seg", "rt")] {
        let text = succeed(evaluate(truth, prediction));
        assert!(text.lines().any(|line| line.trim_start().starts_with("label 1") && line.contains("1.0000")), "{text}");
    }
    refused(evaluate("rt", "rt"), 2, &["a.dcm", "on the slices of their image alone"]);

    let check = || {
        let mut command = simtrot(&["check"]);
        command.arg(folder.at("ct")).arg("--labels").arg(folder.at("rt"));
        command
    };
    let text = succeed(check());
    assert!(text.contains("1 with labels") && text.contains("Left Kidney") && text.contains("no problems"), "{text}");
    folder.contours("rt/a.dcm", &[1.5], [0.25, 1.5], [1.75, 3.5]);
    refused(check(), 2, &["a.dcm", "\"Left Kidney\"", "-0.25, -1.50, 3.00 mm", "lies between slices, 1.00 mm off"]);

    // Within its first elements, and empty; of a series, and beside volumes of another format.
    for kept in [200, 0] {
        folder.damage("rt/a.dcm", |bytes| bytes.truncate(kept));
        refused(check(), 2, &["a.dcm", "damaged, cut short or no DICOM file"]);
        refused(convert("damaged.nii.gz", &["--like", &series]), 2, &["a.dcm", "damaged, cut short or no DICOM file"]);
    }
    let other = Folder::new(SHAPE);
    other.image("imagesTr/a.nii.gz", 0, 1);
    other.text("labelsTr/a.dcm", "no DICOM");
    let mut command = simtrot(&["check"]);
    command.arg(other.at(""));
    refused(command, 2, &["labelsTr", "a.dcm", "damaged, cut short or no DICOM file"]);
}

#[test]
fn label_maps_that_call_one_value_by_two_names_are_not_compared() {
    let folder = Folder::new(SHAPE);
    let write = |name: &str, names: [&str; 3]| {
        let segment =
            |(at, name): (usize, &str)| format!("Segment{at}_LabelValue:={}\nSegment{at}_Layer:=0\nSegment{at}_Name:={name}\n", at + 1);
        let segments = names.into_iter().enumerate().map(segment).collect::<String>();
        let place = "space: LPS\nspace directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)";
        let header = format!("NRRD0004\ntype: uchar\ndimension: 3\n{place}\nsizes: 2 3 4\nencoding: ascii\n{segments}\n");
        folder.text(name, header + &(0..24).map(|at| format!("{} ", at % 4)).collect::<String>());
    };
    let evaluate = |more: &[&str]| {
        let mut command = simtrot(&["evaluate"]);
        command.arg("--truth").arg(folder.at("truth")).arg("--prediction").arg(folder.at("found")).args(more);
        command
    };
    write("truth/a.seg.nrrd", ["Keyhole", "Xor", "Left_ring"]);
    write("found/a.seg.nrrd", ["Left_ring", "Xor", "Keyhole"]);
    let [truth, found] = ["truth", "found"].map(|place| folder.at(place).join("a.seg.nrrd").display().to_string());
    let words =
        [&format!("{found}: names the segment of value 1 \"Left_ring\""), &format!("{truth} names it \"Keyhole\""), "simtrot convert"];
    refused(evaluate(&[]), 2, &words);
    // Neither case nor underscores make another name, and one that only repeats its number is none.
    write("found/a.seg.nrrd", ["keyhole", "label 2", "left RING"]);
    let text = succeed(evaluate(&["--set", "evaluate.bootstrap=100"]));
    assert_eq!(text.lines().filter(|line| line.trim_start().starts_with("label ") && line.contains("1.0000")).count(), 3, "{text}");
    refused(evaluate(&["--set", "pretrain.steps=3"]), 2, &["--set pretrain.steps=3: an evaluation does not use it", "data.regions"]);
}
