//! Orientation, resampling, CT window and foreground crop against nibabel and MONAI.
//!
//! The reference's arrays are in x,y,z order; ours are D,H,W = z,y,x.

use simtrot::config::{Intensity, PreprocessConfig};
use simtrot::geometry::SignedPermutation;
use simtrot::infer::export::to_source;
use simtrot::preprocess::{Resampling, orient, prepare_one, scale_and_box};
use simtrot::volume::labels::from_scan;
use simtrot::volume::{Grid, LoadedCase, Volume, nifti};

use super::Outcomes;
use crate::fixtures::Entry;

pub fn applies(entry: &Entry) -> bool {
    entry.kind == "preprocessing" && entry.hyper()["volumes"].is_object()
}

/// Every volume of the entry, stage by stage and then in one go.
pub fn run(entry: &Entry) -> Outcomes {
    let volumes = entry.hyper()["volumes"].as_object().expect("an entry lists its volumes");
    volumes.iter().flat_map(|(name, volume)| Check { entry, name, volume, outcomes: Vec::new() }.stages()).collect()
}

struct Check<'a> {
    entry: &'a Entry,
    name: &'a str,
    volume: &'a serde_json::Value,
    outcomes: Outcomes,
}

impl Check<'_> {
    fn stages(mut self) -> Outcomes {
        let file = |part: &str| self.entry.folder.join(self.volume["files"][part].as_str().expect("a volume names its files"));
        let scan = nifti::read(&file("image")).expect("the fixture's image");
        let label = from_scan(nifti::read(&file("label")).expect("the fixture's label"), None).expect("whole labels").map;
        let case = LoadedCase { image: scan.clone(), label: Some(label.clone()) };
        self.same("orientation", &self.volume["orientation"], &scan.volume.grid.axis_codes());
        self.same("shape", &self.volume["shape"], &reversed(scan.volume.grid.shape));
        self.affine(&format!("input.{}.affine", self.name), &scan.volume.grid);

        let classes: Vec<u8> = label.voxels.iter().map(|&value| u8::try_from(value).expect("a small label value")).collect();
        let turn = SignedPermutation::to_ras(&scan.volume.grid);
        let ras = orient(scan.volume, turn);
        let ras_label = turn.reorient(classes, label.grid.shape);
        self.same("ras_shape", &self.volume["ras_shape"], &reversed(ras.grid.shape));
        self.stage("ras", &ras, &ras_label);

        let hyper = self.entry.hyper();
        let number = |value: &serde_json::Value| value.as_f64().expect("a number");
        let [x, y, z] = [0, 1, 2].map(|axis| number(&hyper["pixdim"][axis]));
        let [low, high] = [0, 1].map(|end| number(&hyper["win"][end]));
        let spacing_mm = Some([z, y, x]);
        let config = PreprocessConfig { spacing_mm, intensity: Intensity::CtWindow { low, high }, ..PreprocessConfig::default() };

        let (spaced, spaced_label) = match Resampling::plan(&ras.grid, [z, y, x]) {
            Some(plan) => {
                let voxels = plan.trilinear(&ras.voxels);
                (Volume { channels: 1, voxels, grid: plan.grid.clone() }, plan.nearest(&ras_label))
            }
            None => (ras, ras_label),
        };
        self.stage("spaced", &spaced, &spaced_label);

        let (scaled, crop) = scale_and_box(spaced, &config);
        self.compare("scaled_image", &xyz(&scaled.voxels, scaled.grid.shape));
        self.compare("crop_start", &reversed(crop.ranges().map(|range| range.start)).map(|n| n as f32));
        self.compare("crop_end", &reversed(crop.ranges().map(|range| range.end)).map(|n| n as f32));

        let values: Vec<u32> = (0..=u32::from(label.voxels.iter().copied().max().unwrap_or(0))).collect();
        let prepared = prepare_one(self.name, case, &values, &config).expect("known labels");
        self.same("cropped_shape", &self.volume["cropped_shape"], &reversed(prepared.image.grid.shape));
        self.compare("cropped_image", &xyz(&prepared.image.voxels, prepared.image.grid.shape));
        let cropped = prepared.label.expect("the case has a label");
        self.compare("cropped_label", &xyz(&floats(&cropped), prepared.image.grid.shape));
        let back = to_source(cropped, &prepared.preprocess_record, &values);
        self.outcomes.push(if back.grid == label.grid {
            Ok(0.0)
        } else {
            Err(format!("{}: the way back leads to another grid", self.name))
        });
        self.outcomes
    }

    fn stage(&mut self, stage: &str, image: &Volume, label: &[u8]) {
        self.compare(&format!("{stage}_image"), &xyz(&image.voxels, image.grid.shape));
        self.compare(&format!("{stage}_label"), &xyz(&floats(label), image.grid.shape));
        self.affine(&format!("expected.{}.{stage}_affine", self.name), &image.grid);
    }

    fn compare(&mut self, tensor: &str, got: &[f32]) {
        self.outcomes.push(self.entry.compare(&format!("expected.{}.{tensor}", self.name), got, 1.0));
    }

    fn affine(&mut self, tensor: &str, grid: &Grid) {
        let got: Vec<f32> = grid.world_from_voxel.iter().flatten().map(|&value| value as f32).collect();
        self.outcomes.push(self.entry.compare(tensor, &got, 1.0));
    }

    fn same<T: serde::Serialize + ?Sized>(&mut self, what: &str, expected: &serde_json::Value, got: &T) {
        let got = serde_json::to_value(got).expect("plain data");
        self.outcomes.push(if &got == expected {
            Ok(0.0)
        } else {
            Err(format!("{}: {}: {what} is {got}, expected {expected}", self.entry.name, self.name))
        });
    }
}

fn reversed([a, b, c]: [usize; 3]) -> [usize; 3] {
    [c, b, a]
}

fn floats(label: &[u8]) -> Vec<f32> {
    label.iter().map(|&class| f32::from(class)).collect()
}

/// `[D, H, W]` as the reference's `[x, y, z]`.
fn xyz(voxels: &[f32], [depth, height, width]: [usize; 3]) -> Vec<f32> {
    let at = move |x: usize, y: usize, z: usize| voxels[(z * height + y) * width + x];
    (0..width).flat_map(|x| (0..height).flat_map(move |y| (0..depth).map(move |z| (x, y, z)))).map(|(x, y, z)| at(x, y, z)).collect()
}
