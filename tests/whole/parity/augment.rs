//! Parity of intensity changes, masks and turns with MONAI and torch. Host data: no device.

use simtrot::geometry::SignedPermutation;
use simtrot::sampling::mask::MaskGrid;
use simtrot::sampling::rotation::{TokenFrame, restore_rows};
use simtrot::sampling::texture::{gibbs, scale, scale_min_max, shift};

use super::Outcomes;
use crate::fixtures::{Array, Entry, compare, list, triple};

/// Entries with Gibbs alphas.
pub fn is_intensity(entry: &Entry) -> bool {
    entry.kind == "augmentation" && entry.hyper().get("alphas").is_some()
}

/// Entries with a mask ratio.
pub fn is_mask(entry: &Entry) -> bool {
    entry.kind == "augmentation" && entry.hyper().get("ratio").is_some()
}

/// Entries whose hyper-parameters are sets of turns.
pub fn is_turn(entry: &Entry) -> bool {
    let sets = entry.hyper().as_object();
    entry.kind == "augmentation" && sets.is_some_and(|sets| !sets.is_empty() && sets.values().all(|set| set.get("cases").is_some()))
}

/// The last three sizes.
fn spatial(array: &Array) -> [usize; 3] {
    *array.shape.last_chunk().expect("an array with three spatial axes")
}

/// Gibbs noise at each alpha, scale, shift and min-max scaling of each volume.
pub fn intensity(entry: &Entry) -> Outcomes {
    let hyper = entry.hyper();
    let number = |key: &str| hyper[key].as_f64().unwrap_or_else(|| panic!("{}: no number {key:?}", entry.name));
    let mut outcomes = Vec::new();
    for volume in 0..hyper["volumes"].as_array().expect("a list of volumes").len() {
        let input = entry.tensor(&format!("input.vol_{volume}"));
        let mut check = |name: String, change: &dyn Fn(&mut [f32])| {
            let mut values = input.values.clone();
            change(&mut values);
            outcomes.push(entry.compare(&name, &values, 1.0));
        };
        for alpha in hyper["alphas"].as_array().expect("a list of alphas") {
            let value = alpha.as_f64().expect("a number");
            check(format!("expected.gibbs_{volume}_alpha_{alpha}"), &|values| gibbs(values, spatial(input), value));
        }
        check(format!("expected.scale_{volume}"), &|values| scale(values, number("factor") as f32));
        check(format!("expected.shift_{volume}"), &|values| shift(values, number("offset") as f32));
        check(format!("expected.scale_minmax_{volume}"), &scale_min_max);
    }
    outcomes
}

/// Which voxels a mask of cells hides, what stands there, and how many cells are drawn.
pub fn mask(entry: &Entry) -> Outcomes {
    let hyper = entry.hyper();
    let (volumes, noise, mask) = (entry.tensor("input.vol"), entry.tensor("input.noise"), entry.tensor("input.mask"));
    let grid = MaskGrid::new(spatial(volumes), triple(&hyper["patch"])).expect("cells fill the volume");
    let mut masked = volumes.values.clone();
    // The reference's mask of voxels may have one channel where the volumes have several.
    let mut voxel_mask = vec![0.0; entry.tensor("expected.voxel_mask").values.len()];
    let [values, mask_values] = [masked.len(), voxel_mask.len()].map(|all| all / volumes.shape[0]);
    let mut counts = Vec::new();
    for (volume, mask) in mask.values.chunks_exact(grid.count()).enumerate() {
        let mask: Vec<bool> = mask.iter().map(|&hidden| hidden == 1.0).collect();
        let first = volume * values;
        grid.hide(&mut voxel_mask[volume * mask_values..][..mask_values], &mask, |_| 1.0);
        grid.hide(&mut masked[first..][..values], &mask, |index| noise.values[first + index]);
        let hidden = |mask: &[bool]| mask.iter().filter(|&&hidden| hidden).count() as f32;
        let ratio = hyper["ratio"].as_f64().expect("a ratio");
        let drawn = grid.draw(ratio, &mut simtrot::random::stream(0, "parity", 0, volume as u64));
        counts.push(compare(&format!("{}: hidden cells", entry.name), &[hidden(&drawn)], &[hidden(&mask)], 0.0, 0.0));
    }
    let mut outcomes = vec![entry.compare("expected.voxel_mask", &voxel_mask, 1.0), entry.compare("expected.masked", &masked, 1.0)];
    outcomes.push(if grid.cells() == triple(&hyper["grid"]) { Ok(0.0) } else { Err(format!("{}: {grid:?}", entry.name)) });
    outcomes.extend(counts);
    outcomes
}

/// Turned views, and their pooled tokens put back: by turning the grid, and by the row order used on a device.
pub fn turn(entry: &Entry) -> Outcomes {
    let mut outcomes = Vec::new();
    for (set, hyper) in entry.hyper().as_object().expect("sets of turns") {
        let volume = entry.tensor(&format!("input.{set}.vol"));
        let pooled = entry.tensor(&format!("expected.{set}.pooled"));
        let channels = volume.shape[0];
        let tokens = pooled.values.len() / channels;
        let patch = triple(&hyper["patch"]);
        let frame = TokenFrame { crop: spatial(volume), patch, stride: patch };
        for (case, turn) in hyper["cases"].as_array().expect("a list of turns").iter().enumerate() {
            let (plane, mut flips) = (list(&turn["axes"]), [false; 3]);
            // The entry counts the channel as axis 0.
            list(&turn["flip_axes"]).into_iter().for_each(|axis| flips[axis - 1] = true);
            let quarters = turn["k"].as_i64().expect("a number of quarter turns");
            let element = SignedPermutation::rot90(quarters, [plane[0] - 1, plane[1] - 1]).then(SignedPermutation::flip(flips));
            outcomes.push(frame.admits(element).map(|()| 0.0).map_err(|refusal| format!("{}: {set}.{case}: {refusal}", entry.name)));

            let view = element.apply(&volume.values, channels, spatial(volume));
            outcomes.push(entry.compare(&format!("expected.{set}.{case}.view"), &view, 1.0));

            let turned = entry.tensor(&format!("expected.{set}.{case}.view_pooled"));
            let restored = element.inverse().apply(&turned.values, channels, spatial(turned));
            outcomes.push(entry.compare(&format!("expected.{set}.pooled"), &restored, 1.0));
            let rows = restore_rows(&[element], spatial(pooled));
            let selected: Vec<f32> =
                turned.values.chunks_exact(tokens).flat_map(|channel| rows.iter().map(|&row| channel[row as usize])).collect();
            outcomes.push(entry.compare(&format!("expected.{set}.pooled"), &selected, 1.0));
        }
    }
    outcomes
}
