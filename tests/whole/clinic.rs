//! From a scanner's folder of DICOM series and a few label maps to a config.

use simtrot::config::{DataSource, RunConfig};
use simtrot::volume::file;

use crate::volumes::Folder;
use crate::{refused, simtrot, succeed};

/// Three of them have a label map.
const PATIENTS: [&str; 4] = ["ANNA", "BERT", "CARL", "DORA"];

#[test]
fn a_folder_of_series_and_one_of_label_maps_become_a_config_that_can_be_planned() {
    let folder = Folder::new([14, 20, 24]);
    for (content, patient) in PATIENTS.iter().enumerate() {
        folder.series_of(&format!("scans/{patient}/t1"), patient, content);
    }
    let grid = file::read(&folder.at("scans/ANNA/t1")).expect("a good series").volume.grid;
    let label = |name: &str| folder.labels_with(&format!("labels/{name}.nii.gz"), &grid, |index| u16::from(index % 5 == 0));
    PATIENTS[..3].iter().for_each(|patient| label(patient));
    let call = |command: &str, more: &[&str]| {
        let mut call = simtrot(&[command]);
        call.arg(folder.at("scans")).arg("--labels").arg(folder.at("labels")).args(more);
        call
    };
    let config = folder.at("planned.ron").display().to_string();
    let plan = || {
        let mut plan = simtrot(&["plan", "--dry-run", &config]);
        plan.arg("--out").arg(folder.at("run"));
        plan
    };

    let text = succeed(call("check", &[]));
    assert!(text.contains("4 cases, 3 with labels") && text.contains("no problems"), "{text}");
    let text = succeed(call("configure", &["--out", &config, "--memory", "8GiB"]));
    let written = std::fs::read_to_string(&config).expect("a config");
    assert!(written.contains("3 with a label map, 1 without"), "{written}");
    let run = RunConfig::from_ron(&written, &config).expect("a sound config");
    assert_eq!(run.data.source, DataSource::Folders { images: folder.at("scans"), labels: Some(folder.at("labels")) });
    let planned = succeed(plan());
    for patient in PATIENTS {
        assert!([&text, &written, &planned].iter().all(|text| !text.contains(patient)), "{patient} is named in {text}{written}{planned}");
    }

    label("NOBODY");
    let words = ["NOBODY.nii.gz", "is of no DICOM series", "without a label map are CT_", "Call it as its case"];
    refused(call("check", &[]), 2, &words);
    refused(call("configure", &["--out", &config, "--overwrite"]), 2, &words);
    let text = succeed(call("configure", &["--out", &config, "--overwrite", "--skip-bad", "--memory", "8GiB"]));
    assert!(text.contains("left out (--skip-bad)") && text.contains("NOBODY.nii.gz"), "{text}");
    succeed(plan());
}
