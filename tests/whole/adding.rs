//! Where added cases go: scans of one patient into one fold, and what a call that was killed between two files of a case leaves.

use simtrot::config::{DataConfig, Groups, SplitConfig};
use simtrot::corrections::{Change, add};
use simtrot::volume::{Split, VolumeSource, nifti};

use crate::corrections::{files, job, labels, new_files, nnunet, open};
use crate::volumes::Folder;

#[test]
fn a_further_scan_of_a_patient_goes_into_that_patients_fold() {
    let folder = Folder::new([6, 8, 10]);
    ["p1_1", "p2_1", "p2_2"].iter().enumerate().for_each(|(at, case)| folder.image(&format!("data/imagesTr/{case}.nii.gz"), at, 1));
    ["p1_1", "p2_1"].iter().enumerate().for_each(|(shift, case)| labels(&folder, &format!("data/labelsTr/{case}.nii.gz"), shift));
    let entry = |case: &str, fold: usize| {
        format!("{{\"image\": \"./imagesTr/{case}.nii.gz\", \"label\": \"./labelsTr/{case}.nii.gz\", \"fold\": {fold}}}")
    };
    let (names, cases) =
        (r#""labels": {"0": "background", "1": "early", "2": "late"}, "modality": {"0": "MRI"}"#, [entry("p1_1", 0), entry("p2_1", 1)]);
    folder.text("data/dataset.json", format!("{{{names}, \"training\": [{}], \"test\": [\"./imagesTr/p2_2.nii.gz\"]}}", cases.join(", ")));
    new_files(&folder, 1);
    folder.image("new/other.nii", 41, 1);
    folder.image("new/third.nii", 42, 1);
    let groups = Some(Groups::Pattern("{patient}_{scan}".to_owned()));
    let add_as = |image: &str, name: &str| {
        let mut job = job(&folder, image, "new/corrected.nii.gz");
        (job.case.name, job.case.groups) = (Some(name.to_owned()), groups.clone());
        add(&job)
    };
    for (image, name, said) in [
        ("data/imagesTr/p2_2.nii.gz", "p2_2", "fold 1, that of its patient's other cases"),
        ("new/scan.nii", "p1_3", "fold 0, that of its patient's other cases"),
        ("new/other.nii", "p9_1", "fold 2, which none tests"),
    ] {
        let found = add_as(image, name).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(found.case == name && found.notes.iter().any(|note| note.contains(said)), "{found:?}");
    }
    let dataset = open(&folder);
    let fold = |case: &str| dataset.case(case).and_then(|case| case.fold);
    assert_eq!(["p1_1", "p2_1", "p2_2", "p1_3", "p9_1"].map(fold), [0, 1, 1, 0, 2].map(Some));
    let config = DataConfig { split: SplitConfig::Folds { folds: 2, fold: 1 }, groups: groups.clone(), ..DataConfig::default() };
    assert_eq!(Split::draw(&dataset, &config, 1).expect("no patient in two folds").test, ["p2_1", "p2_2"]);
    let error = add_as("new/third.nii", "third").expect_err("nobody knows whose it is").to_string();
    assert!(error.contains("does not fit the name third") && error.contains("--name"), "{error}");
}

#[test]
fn half_a_case_of_several_channels_is_named_and_the_same_call_finishes_it() {
    // One file with both channels, and one for each.
    for images in [&["new/scan.nii"][..], &["new/scan_0000.nii.gz", "new/scan_0001.nii.gz"]] {
        let dataset = || {
            let folder = nnunet();
            folder.image("new/scan_0000.nii.gz", 40, 1);
            folder.image("new/scan_0001.nii.gz", 41, 1);
            let mut job = job(&folder, images[0], "new/corrected.nii.gz");
            job.case.images = images.iter().map(|image| VolumeSource::File(folder.at(image))).collect();
            (folder, job)
        };
        let (whole, job) = dataset();
        assert_eq!(add(&job).expect("a new case").change, Change::Added);
        let parts = ["labelsTr/scan.nii.gz", "imagesTr/scan_0000.nii.gz", "imagesTr/scan_0001.nii.gz"];
        let content = |folder: &Folder, name: &str| std::fs::read(folder.at("data").join(name)).expect("a file");
        // Some of the case's files, but not all, in whatever order they were written.
        for there in 1..7 {
            let (half, job) = dataset();
            let has = |part: &usize| (there >> part) & 1 == 1;
            (0..3).filter(has).for_each(|part| drop(half.text(&format!("data/{}", parts[part]), content(&whole, parts[part]))));
            let between = open(&half);
            let unread =
                between.cases.iter().filter_map(|case| between.load(case, Default::default()).err()).map(|error| error.to_string());
            let named: Vec<String> = between.findings.iter().map(|finding| finding.error.to_string()).chain(unread).collect();
            // A label map alone is a file of no case; of a case the first file that is missing is named.
            let expected = if there == 1 { parts[0] } else { parts[(0..3).find(|part| !has(part)).expect("one is missing")] };
            assert!(named.iter().any(|text| text.contains(expected)), "{images:?}, {there}: {expected} is not in {named:?}");
            assert_eq!(add(&job).unwrap_or_else(|error| panic!("{images:?}, {there}: {error}")).change, Change::Added);
            for part in ["dataset.json", parts[1], parts[2]] {
                assert!(content(&half, part) == content(&whole, part), "{images:?}, {there}: {part}");
            }
            let [one, other] = [&half, &whole].map(|folder| nifti::read(&folder.at("data").join(parts[0])).expect("a label map").volume);
            assert_eq!(one, other, "{images:?}, {there}");
            assert!(open(&half).findings.is_empty(), "{images:?}, {there}");
            assert_eq!(files(&half.at("data")).len(), files(&whole.at("data")).len(), "{images:?}, {there}: nothing is left over");
        }
    }
}
