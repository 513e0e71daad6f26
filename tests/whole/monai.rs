//! A whole network of MONAI segments here as it does there.

use std::path::{Path, PathBuf};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, serialize};
use simtrot::exchange::{ExportJob, Format, ImportJob, export, import};
use simtrot::infer::InputConvention;
use simtrot::train::Checkpoint;
use simtrot::volume::nifti;

use crate::fixtures::entries;
use crate::{simtrot, succeed};

/// Voxels whose class may differ: six logits of the scan lie within 1e-4 of each other. Along S,A,R 30 % differ.
const DIFFERING: usize = 10;

/// A file written by `fixtures/monai/make.py`.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/monai").join(name)
}

/// The weights of MONAI's UNETR for crops of 32 x 32 x 16 voxels along R,A,S, under MONAI's names.
fn write_unetr(path: &Path) {
    let entry = entries().into_iter().find(|entry| entry.name == "unetr_a").expect("the fixtures hold it");
    let weights = entry.weights();
    let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let tensors: Vec<_> = weights.iter().map(|(name, array)| (name, array.shape.clone(), bytes(&array.values))).collect();
    let views = tensors.iter().map(|(name, shape, bytes)| (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    std::fs::write(path, serialize(views, None).unwrap()).unwrap();
}

#[test]
fn a_whole_network_of_monai_segments_as_it_does_there() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write_unetr(&at("unetr.safetensors"));
    let settings = ["model.unetr.num_heads=3", "data.preprocess.intensity={\"ct_window\":{\"low\":-175,\"high\":250}}"];
    let settings = settings.map(str::to_owned).to_vec();
    let job = ImportJob { file: at("unetr.safetensors"), out: at("net"), crop_size: Some([32, 32, 16]), settings, ..ImportJob::default() };
    let report = import(&job).unwrap();
    assert!(report.notes.iter().any(|note| note.contains("axes R,A,S")), "{report}");

    let mut infer = simtrot(&["infer", "--checkpoint"]);
    infer.arg(at("net")).arg(file("image.nii.gz")).arg("--out").arg(at("out"));
    let told = succeed(infer);
    assert!(told.contains("imported from MONAI"), "{told}");
    let [expected, found] = [file("segmentation.nii.gz"), at("out").join("image.nii.gz")].map(|path| nifti::read(&path).unwrap().volume);
    assert_eq!(expected.grid.shape, found.grid.shape);
    let differing = expected.voxels.iter().zip(&found.voxels).filter(|(one, other)| one != other).count();
    assert!(differing <= DIFFERING, "{differing} of {} voxels are of another class", expected.voxels.len());

    // The convention goes with the weights.
    let convention = |name: &str| Checkpoint::read_info(&at(name)).unwrap().convention;
    for (format, name) in [(Format::Safetensors, "own"), (Format::Monai, "theirs")] {
        let out = at(name).with_extension("safetensors");
        let given = ExportJob { checkpoint: at("net"), format, out: out.clone(), encoder_only: false, example: None, overwrite: false };
        export(&given).unwrap();
        import(&ImportJob { file: out, out: at(name), ..ImportJob::default() }).unwrap();
        assert_eq!((convention("net"), convention(name)), (InputConvention::Monai, InputConvention::Monai), "{name}");
    }
}
