//! What a step needs is counted, and what does not fit comes with what would.

use super::*;
use crate::config::{ModelConfig, Preset, PretrainConfig, SyntheticConfig};

fn step(room: Room) -> StepPlan {
    let mut config = RunConfig { model: ModelConfig::Preset(Preset::NnformerSynapse), ..RunConfig::default() };
    config.data.source = DataSource::Synthetic(SyntheticConfig::default());
    config.finetune.crop_size = [64, 128, 128];
    let dataset = Dataset::open(&config.data.source).unwrap();
    let (channels, classes) = (dataset.channels.len(), dataset.class_count());
    StepPlan::new(&Step { config: &config, kind: StageKind::Finetune, channels, classes, room }, 1)
}

/// nnFormer's last stage has 4³ tokens of 96 channels for such crops, the one before 8³ of 48: twice 2 * 64 and 2 * 512 for both
/// views in a batch of two.
#[test]
fn the_contrast_of_every_stage_is_counted() {
    let mut config = RunConfig::default();
    config.data.source = DataSource::Synthetic(SyntheticConfig::default());
    let dataset = Dataset::open(&config.data.source).unwrap();
    let mut step = |token_stages| {
        config.pretrain.token_stages = token_stages;
        let (channels, classes, room) = (dataset.channels.len(), dataset.class_count(), Room::default());
        StepPlan::new(&Step { config: &config, kind: StageKind::Pretrain, channels, classes, room }, 1)
    };
    let last = step(1);
    assert_eq!(last.model.stages.iter().map(|stage| stage.grid).collect::<Vec<_>>(), [[8; 3], [4; 3]]);
    let tokens = [2 * 2 * 64, 2 * 2 * 512];
    let kept = [tokens[0] * (96 + 2 * 192 + 2 * 96), tokens[1] * (48 + 2 * 96 + 2 * 48)];
    let contrast =
        |stages| LossSize::of_contrast(&PretrainConfig { token_stages: stages, ..PretrainConfig::default() }, &last.model.stages, 2);
    assert_eq!(contrast(1).bytes, 4 * (kept[0] + tokens[0] * tokens[0]));
    assert_eq!(contrast(2).bytes, 4 * (kept[0] + kept[1] + tokens[1] * tokens[1]));
    let held = |step: &StepPlan, bytes| step.model.peak_bytes.max(step.model.kept_bytes + bytes);
    let both = step(2);
    assert_eq!(both.bytes - last.bytes, held(&last, contrast(2).bytes) - held(&last, contrast(1).bytes));
    assert!(both.model.largest_buffer_bytes >= 4 * tokens[1] * tokens[1]);
}

/// One view in a batch of two: 2 * 64 tokens of 96 channels.
#[test]
fn a_single_trained_view_and_its_prototypes_are_counted() {
    let step = |settings: &[&str]| {
        let config = RunConfig::default().with_overrides(&settings.iter().map(|&setting| setting.to_owned()).collect::<Vec<_>>()).unwrap();
        let step = Step { config: &config, kind: StageKind::Pretrain, channels: 1, classes: 2, room: Room::default() };
        let step = StepPlan::new(&step, 1);
        (LossSize::of_prototypes(&config.pretrain, step.model.stages.last().unwrap(), 2).bytes, step)
    };
    let (few, ibot) = step(&["pretrain.task=ibot"]);
    let (many, wide) = step(&["pretrain.task=ibot", "pretrain.ibot.prototypes=32768"]);
    let (_, b_trot) = step(&["pretrain.task=b_trot"]);
    assert_eq!((few, many), (4 * 128 * (96 + 2 * 192 + 2 * 96 + 6 * 256), 4 * 128 * (96 + 2 * 192 + 2 * 96 + 6 * 32_768)));
    assert!(ibot.model.kept_bytes < b_trot.model.kept_bytes, "the target's view keeps nothing");
    assert!(wide.bytes > ibot.bytes && wide.model.largest_buffer_bytes >= 4 * 128 * 32_768, "{wide:?}");
}

#[test]
fn hidden_voxels_beside_the_contrast_are_counted() {
    let look = |reconstruction_weight| {
        let config = &RunConfig { pretrain: PretrainConfig { reconstruction_weight, ..Default::default() }, ..RunConfig::default() };
        Step { config, kind: StageKind::Pretrain, channels: 1, classes: 0, room: Room::default() }.look(2, [32; 3])
    };
    let ((plain, ..), (both, bytes, _)) = (look(0.0), look(0.1));
    let added = LossSize::of_hidden_voxels(&plain, 1, 2);
    let held = LossSize::of_contrast(&PretrainConfig::default(), &plain.stages, 2).bytes + added.bytes;
    assert_eq!((both.weight_bytes, bytes), (plain.weight_bytes + added.weight_bytes, both.step_bytes(held, 2)));
}

#[test]
fn what_does_not_fit_comes_with_what_would() {
    let open = step(Room::default());
    assert!(open.fits && open.instead.is_none());
    let tight = step(Room { free_bytes: Some(open.bytes), binding_bytes: None });
    let smaller = tight.instead.expect("one volume instead of two");
    assert!(!tight.fits);
    assert_eq!((smaller.batch, smaller.accumulate, smaller.crop_size), (1, 2, open.crop_size));
    let narrow = step(Room { free_bytes: Some(open.bytes / 2), binding_bytes: None });
    let smaller = narrow.instead.expect("a smaller crop");
    assert!(smaller.crop_size.iter().product::<usize>() < open.crop_size.iter().product::<usize>());
    assert!(step(Room { free_bytes: Some(1000), binding_bytes: None }).instead.is_none());
}

#[test]
fn memory_is_known_where_it_is_the_computers_and_else_the_user_is_told_to_compare() {
    use crate::device::AdapterKind::{Discrete, Integrated, Software, Unknown, Virtual};
    let cpu = DeviceDescription::cpu();
    let room = |kind| {
        let adapter = AdapterDescription { kind, max_binding_bytes: 7, ..AdapterDescription::default() };
        Room::of(&DeviceDescription { adapter: Some(adapter), ..cpu.clone() })
    };
    let told = device::memory::available_mib().is_some();
    for (kind, shared) in [(Integrated, true), (Software, true), (Discrete, false), (Virtual, false), (Unknown, false)] {
        let room = room(kind);
        assert_eq!((room.free_bytes.is_some(), room.binding_bytes), (shared && told, Some(7)), "{kind}");
        assert_eq!(room.untold().is_some_and(|sentence| sentence.contains("the card's")), !(shared && told), "{kind}");
    }
    let unknown = Plan { device: "a card".to_owned(), free_bytes: None, binding_bytes: Some(7), steps: Vec::new() };
    assert!(unknown.to_string().contains("compare with the card's"));
    assert_eq!(Plan { free_bytes: Some(7), ..unknown }.untold(), None);
}

#[test]
fn each_kind_of_step_is_told_once_and_what_holds_for_all_at_the_end() {
    let mut config = RunConfig::default();
    config.data.source = DataSource::Synthetic(SyntheticConfig::default());
    let coarse = RunConfig { seed: 7, ..config.clone() };
    let trainings = [(StageKind::Pretrain, &config), (StageKind::Finetune, &config), (StageKind::Finetune, &coarse)];
    let plan = plan(&trainings, &DeviceChoice::Cpu, &[]).unwrap();
    let text = plan.to_string();
    assert_eq!((plan.steps.len(), text.matches("fine-tuning: batch").count()), (2, 1), "a seed costs nothing: {text}");
    assert!(text.matches("Memory is an estimate").count() == 1 && text.matches("free memory").count() <= 1, "{text}");
}

#[test]
fn a_device_that_shares_batches_needs_less_and_has_its_part_of_the_memory() {
    let mut config = RunConfig::default().with_overrides(&["finetune.batch=4".to_owned()]).unwrap();
    config.data.source = DataSource::Synthetic(SyntheticConfig::default());
    let trainings = [(StageKind::Finetune, &config), (StageKind::Pretrain, &config)];
    let [alone, shared] = [&[][..], &[DeviceChoice::Cpu]].map(|beside| plan(&trainings, &DeviceChoice::Cpu, beside).unwrap());
    for (alone, shared) in alone.steps.iter().zip(&shared.steps) {
        assert!(shared.bytes < alone.bytes && shared.model.kept_bytes < alone.model.kept_bytes, "{} of {}", shared.bytes, alone.bytes);
        assert_eq!(shared.batch, alone.batch);
    }
    assert!(shared.to_string().starts_with("On each of 2 devices ("), "{shared}");
    if let (Some(alone), Some(shared)) = (alone.free_bytes, shared.free_bytes) {
        assert!(shared < alone * 3 / 4, "{shared} of {alone}");
    }
    let refused = plan(&trainings, &DeviceChoice::Cpu, &[DeviceChoice::Cpu, DeviceChoice::Cpu]).unwrap_err().to_string();
    assert!(refused.contains("finetune.batch is 4"), "{refused}");
}

#[test]
fn what_would_fit_several_devices_can_be_shared_among_them() {
    let config = RunConfig::default().with_overrides(&["finetune.batch=6".to_owned()]).unwrap();
    let step = |room| StepPlan::new(&Step { config: &config, kind: StageKind::Finetune, channels: 1, classes: 3, room }, 2);
    let open = step(Room::default());
    for percent in [100, 80, 60] {
        let Smaller { batch, accumulate, .. } =
            step(Room { free_bytes: Some(open.bytes * percent / 100), binding_bytes: None }).instead.expect("a smaller batch");
        assert!([2, 4].contains(&batch) && batch * accumulate >= 6, "{accumulate} batches of {batch} in {percent} %");
    }
}
