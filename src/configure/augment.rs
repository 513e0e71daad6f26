//! How fine-tuning changes its crops: as nnU-Net does.

use super::fingerprint::Class;
use super::mirror::opposites;
use super::text::Choice;
use crate::config::AugmentConfig;
use crate::wording::list;

/// nnU-Net's augmentation for crops of `crop_size` that hold `classes`.
pub fn augmentation(classes: &[Class], crop_size: [usize; 3]) -> Vec<Choice> {
    let nnunet = AugmentConfig::nnunet(crop_size);
    let AugmentConfig { field_of_view: [near, far], blur_sigma: [least, most], noise_std, low_resolution: [coarsest, _], .. } = nnunet;
    let ([darker, brighter], [flatter, steeper], [low, high]) = (nnunet.brightness, nnunet.contrast, nnunet.gamma);
    let about = match nnunet.in_plane {
        true => "crops are more than 3 times as long in plane as along D: rotated about D alone, by any angle, as nnU-Net does".to_owned(),
        false => format!("by up to {} degrees about each axis", nnunet.rotation_deg),
    };
    let mut choices = vec![
        mirrors(classes),
        Choice::new(
            "finetune.augment.scale_p",
            &nnunet.scale_p,
            "in place of scale and shift stand nnU-Net's brightness and contrast, below",
        ),
        Choice::new("finetune.augment.shift_p", &nnunet.shift_p, "as above"),
    ];
    if nnunet.in_plane {
        let reason = "crops are that flat: rotation, field of view and low resolution leave D alone";
        choices.push(Choice::new("finetune.augment.in_plane", &nnunet.in_plane, reason));
    }
    choices.extend([
        Choice::new("finetune.augment.rotation_p", &nnunet.rotation_p, "nnU-Net's share of crops that are rotated"),
        Choice::new("finetune.augment.rotation_deg", &nnunet.rotation_deg, about),
        Choice::new(
            "finetune.augment.field_of_view_p",
            &nnunet.field_of_view_p,
            format!("nnU-Net's scaling: such a crop reaches {near} to {far} times as far"),
        ),
        Choice::new("finetune.augment.noise_p", &nnunet.noise_p, format!("nnU-Net's noise, of a standard deviation up to {noise_std}")),
        Choice::new("finetune.augment.blur_p", &nnunet.blur_p, format!("nnU-Net's blur by {least} to {most} voxels, half of the channels")),
        Choice::new("finetune.augment.brightness_p", &nnunet.brightness_p, format!("nnU-Net's: times {darker} to {brighter}")),
        Choice::new(
            "finetune.augment.contrast_p",
            &nnunet.contrast_p,
            format!("nnU-Net's: differences from the mean times {flatter} to {steeper}"),
        ),
        Choice::new(
            "finetune.augment.low_resolution_p",
            &nnunet.low_resolution_p,
            format!("nnU-Net's: down to {coarsest} of the voxels of each axis and back, half of the channels"),
        ),
        Choice::new("finetune.augment.gamma_inverted_p", &nnunet.gamma_inverted_p, "nnU-Net's: the gamma below, of the negative image"),
        Choice::new("finetune.augment.gamma_p", &nnunet.gamma_p, format!("nnU-Net's: to the power of {low} to {high}")),
    ]);
    choices
}

/// No axis along which labels differ by name alone.
fn mirrors(classes: &[Class]) -> Choice {
    let pairs = opposites(classes);
    let flip_p = pairs.map(|pair| if pair.is_some() { 0.0 } else { 0.5 });
    let named: Vec<String> =
        pairs.iter().zip(["D", "H", "W"]).filter_map(|(pair, axis)| pair.map(|[a, b]| format!("{axis} ({a}, {b})"))).collect();
    let reason = match named.is_empty() {
        true => "mirrored along every axis, as nnU-Net does: no two labels are each other's mirror image by name".to_owned(),
        false => format!("not mirrored along {}: a mirrored scan would show the one label where the other is", list(&named)),
    };
    Choice::new("finetune.augment.flip_p", &flip_p, reason)
}
