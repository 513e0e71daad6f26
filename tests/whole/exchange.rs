//! Weights in and out: files as other programs write them, round trips, and what is refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use simtrot::config::{ModelConfig, Preset, RunConfig};
use simtrot::exchange::{ExchangeError, ExportJob, Format, ImportJob, ImportReport, export, import};
use simtrot::model::{HostTensor, export_named};
use simtrot::protocol::StageKind;
use simtrot::train::{Checkpoint, CheckpointInfo, DatasetInfo, init_segmenter, untrained};

use crate::fixtures::{Array, entries, triple};

/// A file written by `weights/make.py`.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/weights").join(name)
}

/// Imports `name` with a crop and settings.
fn take(name: &Path, out: &Path, crop_size: Option<[usize; 3]>, settings: &[&str]) -> Result<ImportReport, ExchangeError> {
    let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
    import(&ImportJob { file: name.to_owned(), out: out.to_owned(), crop_size, settings, overwrite: true, ..ImportJob::default() })
}

fn give(checkpoint: &Path, format: Format, out: &Path) -> Result<simtrot::exchange::Exported, ExchangeError> {
    let (checkpoint, out) = (checkpoint.to_owned(), out.to_owned());
    export(&ExportJob { checkpoint, format, out, encoder_only: false, example: None, overwrite: false })
}

/// The values that `make.py` gives the tensor called `name` in the whole network.
fn filled(name: &str, count: usize) -> Vec<f32> {
    let sum: usize = name.bytes().map(usize::from).sum();
    (0..count).map(|i| (((i * 31 + 7 * sum) % 511) as f32 - 255.0) / 256.0).collect()
}

fn assert_filled(weights: &BTreeMap<String, HostTensor>) {
    assert!(!weights.is_empty());
    for (name, tensor) in weights {
        assert_eq!(tensor.values, filled(name, tensor.values.len()), "{name}");
    }
}

/// A safetensors file of named float32 tensors.
fn write(path: &Path, prefix: &str, tensors: &BTreeMap<String, Array>) {
    let bytes: BTreeMap<String, Vec<u8>> = tensors
        .iter()
        .map(|(name, array)| (format!("{prefix}{name}"), array.values.iter().flat_map(|value| value.to_le_bytes()).collect()))
        .collect();
    let shapes = tensors.values().map(|array| array.shape.clone());
    let views = bytes.iter().zip(shapes).map(|((name, bytes), shape)| (name, TensorView::new(Dtype::F32, shape, bytes).unwrap()));
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

#[test]
fn files_of_every_container_and_naming_are_taken_in_whole() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("checkpoint");
    struct Case {
        file: &'static str,
        crop: Option<[usize; 3]>,
        settings: &'static [&'static str],
        kind: StageKind,
        prefix: &'static str,
        matched: usize,
        no_weights: usize,
        skipped: usize,
    }
    let encoder = StageKind::Pretrain;
    #[rustfmt::skip]
    let cases = [
        Case { file: "nnformer_trainer.model", crop: Some([16; 3]), settings: &[], kind: StageKind::Finetune, prefix: "state_dict.model_down.", matched: 108, no_weights: 6, skipped: 3 },
        Case { file: "nnformer_encoder_legacy.pth", crop: Some([16; 3]), settings: &["model.nnformer.patch_size=[4,4,4]"], kind: encoder, prefix: "state_dict.module.model_down.", matched: 76, no_weights: 0, skipped: 0 },
        Case { file: "swinvit_published.pt", crop: None, settings: &[], kind: encoder, prefix: "state_dict.module.", matched: 79, no_weights: 5, skipped: 4 },
        Case { file: "swinvit_twins_float16.pth", crop: None, settings: &[], kind: encoder, prefix: "model.online_encoder.net.swin_vit.", matched: 79, no_weights: 0, skipped: 79 },
        Case { file: "vit_bfloat16.pt", crop: Some([32; 3]), settings: &["model.unetr.num_heads=1"], kind: encoder, prefix: "network_weights.backbone.encoder.", matched: 137, no_weights: 24, skipped: 0 },
    ];
    for Case { file: name, crop, settings, kind, prefix, matched, no_weights, skipped } in cases {
        let report = take(&file(name), &out, crop, settings).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((report.kind, report.prefix.as_str()), (kind, prefix), "{name}");
        assert_eq!((report.matched.len(), report.no_weights.len(), report.skipped.len()), (matched, no_weights, skipped), "{report}");
        let checkpoint = Checkpoint::open(&out).unwrap();
        assert_filled(&checkpoint.weights);
        assert!(checkpoint.info.parents[0].contains(&report.sha256) && checkpoint.info.parents[0].contains(name));
    }
}

#[test]
fn what_a_file_does_not_tell_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("checkpoint");
    let refused = |name: &str, crop, settings: &[&str], words: &[&str]| {
        let error = take(&file(name), &out, crop, settings).expect_err(name).to_string();
        words.iter().for_each(|word| assert!(error.contains(word), "no {word:?} in: {error}"));
        assert!(!out.exists(), "a refused import leaves nothing behind");
    };
    refused("nnformer_trainer.model", None, &[], &["--crop", "nnformer_synapse"]);
    refused("nnformer_encoder_legacy.pth", Some([16; 3]), &[], &["--set model.nnformer.patch_size=", "--preset"]);
    refused("vit_bfloat16.pt", Some([32; 3]), &[], &["--set model.unetr.num_heads=..., or name"]);
    refused("vit_bfloat16.pt", None, &[], &["--set model.unetr.num_heads=... --crop D,H,W, or name"]);
    let docs = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/weights.md")).unwrap();
    assert!(docs.contains("--set model.unetr.num_heads=12 --crop 96,96,96"), "what a UNETR needs stands where `import` is explained");
    refused(
        "vit_bfloat16.pt",
        Some([48; 3]),
        &["model.unetr.num_heads=1"],
        &["position_embeddings", "[1, 27, 2]", "[1, 8, 2]", "--adapt-position"],
    );
    let asked = |backbone: Option<&str>, preset: Option<&str>| {
        let [backbone, preset] = [backbone, preset].map(|name| name.map(str::to_owned));
        let file = file("swinvit_published.pt");
        import(&ImportJob { file, backbone, preset, out: out.clone(), ..ImportJob::default() }).unwrap_err().to_string()
    };
    assert!(asked(Some("unetr"), None).contains("patch_embedding.position_embeddings"));
    assert!(asked(Some("resnet"), None).contains("nnformer, swin_unetr, unet, unetr"));
    assert!(asked(Some("unet"), None).contains("no other program writes"));
    assert!(asked(None, Some("nnformer_synapse")).contains("swin_unetr_tumour"));
    let other_size = asked(None, Some("tumour"));
    assert!(other_size.contains("mismatched") && other_size.contains("nothing is written"), "{other_size}");
}

#[test]
fn damaged_and_foreign_files_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let (out, place) = (folder.path().join("checkpoint"), folder.path().join("file.pt"));
    let refused = |name: &str, words: &[&str]| {
        let error = take(&place, &out, Some([16; 3]), &[]).expect_err(name).to_string();
        words.iter().for_each(|word| assert!(error.contains(word), "{name}: no {word:?} in: {error}"));
    };
    for name in ["nnformer_trainer.model", "nnformer_encoder_legacy.pth"] {
        let bytes = std::fs::read(file(name)).unwrap();
        for share in [0.0, 0.01, 0.3, 0.9] {
            std::fs::write(&place, &bytes[..(bytes.len() as f64 * share) as usize]).unwrap();
            refused(name, &["file.pt", "fetch it again"]);
        }
    }
    // A flipped bit in a tensor's bytes is found by the archive's checksum.
    let mut bytes = std::fs::read(file("nnformer_trainer.model")).unwrap();
    let value = filled("final.0.up.weight", 64).iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>();
    let at = bytes.windows(value.len()).position(|window| window == value).expect("the tensor's bytes lie as they are");
    bytes[at] ^= 1;
    std::fs::write(&place, &bytes).unwrap();
    refused("flipped", &["final.0.up.weight", "fetch the file again"]);
    std::fs::copy(file("sparse.pt"), &place).unwrap();
    refused("sparse", &["sparse", "nothing in a pickle is ever run", "torch.save(model.state_dict(), FILE)"]);
    std::fs::write(&place, b"<!DOCTYPE html><html>not found</html>").unwrap();
    refused("html", &["no weights can be read", "safetensors"]);
    assert!(!out.exists());
}

#[test]
fn reference_weights_come_back_bit_by_bit_under_any_prefix() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let landmarks = ["patch_embed.proj1.conv1.weight", "patch_embedding.position_embeddings", "layers1.0.blocks.0.norm1.weight"];
    let entries = entries().into_iter().filter(|entry| entry.kind == "network");
    let entries = entries.filter(|entry| entry.weights().keys().any(|name| landmarks.iter().any(|landmark| name.ends_with(landmark))));
    let mut seen = 0;
    for (entry, prefix) in entries.zip(["", "module.", "state_dict.model.", "network.backbone."].iter().cycle()) {
        let (hyper, weights) = (entry.hyper(), entry.weights());
        let crop = ["crop_size", "img_size"].iter().find_map(|key| hyper.get(key)).map(triple);
        let heads = hyper["num_heads"].as_u64().map(|heads| format!("model.unetr.num_heads={heads}"));
        let settings: Vec<&str> = heads.iter().filter(|_| weights.contains_key("vit.norm.weight")).map(String::as_str).collect();
        write(&at("in.safetensors"), prefix, &weights);
        let report = take(&at("in.safetensors"), &at("c"), crop, &settings).unwrap_or_else(|error| panic!("{}: {error}", entry.name));
        assert_eq!((report.kind, report.skipped.as_slice()), (StageKind::Finetune, [].as_slice()), "{}", entry.name);
        give(&at("c"), Format::Monai, &at("out.safetensors")).unwrap();
        let bytes = std::fs::read(at("out.safetensors")).unwrap();
        let exported = SafeTensors::deserialize(&bytes).unwrap();
        for (name, array) in &weights {
            let tensor = exported.tensor(name).unwrap_or_else(|_| panic!("{}: {name} is not exported", entry.name));
            assert_eq!(tensor.shape(), array.shape, "{name}");
            // Nothing reads it, so that its values do not travel.
            let given: Vec<u8> = array.values.iter().flat_map(|value| value.to_le_bytes()).collect();
            assert!(tensor.data() == given || name.contains("norm_cross_attn"), "{}: {name} changed", entry.name);
        }
        let added = exported.names().into_iter().filter(|name| !weights.contains_key(*name));
        added.for_each(|name| assert!(name.ends_with("relative_position_index"), "{}: {name} is added", entry.name));
        std::fs::remove_file(at("out.safetensors")).unwrap();
        seen += 1;
    }
    assert!(seen >= 4, "{seen} networks have weights");
}

/// A checkpoint of fresh weights.
fn fresh(preset: Preset, kind: StageKind) -> Checkpoint {
    let config = RunConfig { model: ModelConfig::Preset(preset), ..RunConfig::default() };
    let labels = BTreeMap::from([(0, "background".to_owned()), (7, "lesion".to_owned())]);
    let dataset = DatasetInfo { name: "made up".to_owned(), channels: vec!["CT".to_owned()], labels };
    let info = CheckpointInfo::new(kind, 12, &config, &dataset);
    let device = Device::flex();
    let weights = match kind {
        StageKind::Finetune => export_named(&init_segmenter(&config, &dataset, &device)),
        _ => export_named(&untrained(&info, &device)),
    };
    Checkpoint { info, weights, optimiser: Vec::new() }
}

#[test]
fn export_import_export_is_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let presets = Preset::ALL.iter().filter(|preset| preset.to_string().ends_with("small"));
    for (&preset, kind) in presets.flat_map(|preset| [(preset, StageKind::Pretrain), (preset, StageKind::Finetune)]) {
        let first = fresh(preset, kind);
        first.save(folder.path(), "first").unwrap();
        for format in [Format::Safetensors, Format::Monai] {
            let [one, two] = [1, 2].map(|number| at(&format!("{preset}_{kind:?}_{format:?}_{number}")));
            if matches!(first.info.config.model, ModelConfig::Unet(_)) && format == Format::Monai {
                let refusal = give(&at("first"), format, &one).unwrap_err().to_string();
                assert!(refusal.contains("no counterpart") && !one.exists(), "{refusal}");
                continue;
            }
            give(&at("first"), format, &one).unwrap();
            let report = take(&one, &at("second"), None, &[]).unwrap_or_else(|error| panic!("{preset} {kind:?} {format:?}: {error}"));
            assert_eq!((report.kind, report.skipped.as_slice()), (kind, [].as_slice()));
            give(&at("second"), format, &two).unwrap();
            assert!(std::fs::read(&one).unwrap() == std::fs::read(&two).unwrap(), "{preset} {kind:?} {format:?}");
            let mut second = Checkpoint::open(&at("second")).unwrap();
            assert_eq!((&first.info.config, &first.info.dataset, 12), (&second.info.config, &second.info.dataset, second.info.step));
            second.weights.retain(|name, tensor| first.weights.get(name).is_some_and(|own| own == tensor));
            let lost = first.weights.keys().filter(|name| !second.weights.contains_key(*name)).count();
            // What pre-training throws away has no place in the reference.
            assert_eq!(lost > 0, kind == StageKind::Pretrain && format == Format::Monai, "{preset} {kind:?} {format:?}: {lost} changed");
            assert!(matches!(give(&at("first"), format, &one), Err(ExchangeError::Exists(_))), "nothing is replaced unasked");
        }
    }
}

#[test]
fn stems_and_tables_change_only_where_asked() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("checkpoint");
    let job =
        ImportJob { file: file("vit_bfloat16.pt"), out, settings: vec!["model.unetr.num_heads=1".to_owned()], ..ImportJob::default() };
    let crop_size = Some([16, 32, 48]);
    assert!(matches!(import(&ImportJob { crop_size, ..job.clone() }), Err(ExchangeError::Incomplete { .. })));
    let unsaid = import(&ImportJob { crop_size, adapt_position: Some(None), ..job.clone() }).unwrap_err().to_string();
    assert!(unsaid.contains("--adapt-position=D,H,W"), "{unsaid}");
    let adapted = ImportJob { crop_size, adapt_position: Some(Some([32; 3])), adapt_stem: Some(4), ..job.clone() };
    let report = import(&adapted).unwrap();
    assert_eq!(report.adapted.len(), 2, "{report}");
    let Checkpoint { info, weights, .. } = Checkpoint::open(&job.out).unwrap();
    assert_eq!((info.dataset.channels.len(), info.origin.unwrap().adapted), (4, report.adapted));
    let [stem, table] = ["patch_embeddings.weight", "position_embeddings"].map(|name| format!("vit.patch_embedding.{name}"));
    assert_eq!((&weights[&stem].shape, &weights[&table].shape), (&vec![2, 4, 16, 16, 16], &vec![1, 6, 2]));
    assert_eq!(weights[&stem].values[0], filled(&stem, 1)[0] / 4.0);
    let rest = weights.into_iter().filter(|(name, _)| ![&stem, &table].contains(&name)).collect();
    assert_filled(&rest);
}

#[test]
fn an_encoder_is_taken_in_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let (out, place) = (folder.path().join("c"), folder.path().join("file.safetensors"));
    let refused = |file: &Path, settings: &[&str], words: &[&str]| {
        // The published Swin encoder would turn a smaller crop into a single token.
        let crop_size = if file.ends_with("swinvit_published.pt") { [64; 3] } else { [32; 3] };
        let error = take(file, &out, Some(crop_size), settings).expect_err(words[0]).to_string();
        words.iter().for_each(|word| assert!(error.contains(word), "no {word:?} in: {error}"));
        assert!(!out.exists(), "a refused import leaves nothing behind");
    };
    // The shapes say otherwise than the flags.
    let one_head = "model.unetr.num_heads=1";
    let vit = file("vit_bfloat16.pt");
    refused(&vit, &[one_head, "model.unetr.num_layers=4"], &["model.unetr.num_layers is 12 in the file and 4", "blocks.11."]);
    refused(&vit, &[one_head, "model.unetr.position=sinusoid"], &["position is \"learned\" in the file and \"sinusoid\""]);
    refused(
        &file("swinvit_published.pt"),
        &["model.swin_unetr.depths=[1,1,1,1]"],
        &["model.swin_unetr.depths is [2,1,1,1] in the file and [1,1,1,1] as the flags say", "layers1.0.blocks.1.attn.qkv.weight"],
    );
    // The file's encoder computes with more than this one.
    let checkpoint = fresh(Preset::UnetrSmall, StageKind::Pretrain);
    let encoder = checkpoint.weights.into_iter().filter(|(name, _)| name.starts_with("vit."));
    let encoder: BTreeMap<String, Array> = encoder.map(|(name, HostTensor { shape, values })| (name, Array { shape, values })).collect();
    let with = |name: &str| {
        let more = Array { shape: vec![1, 1, 96], values: vec![0.5; 96] };
        write(&place, "", &encoder.clone().into_iter().chain([(name.to_owned(), more)]).collect());
    };
    let heads = "model.unetr.num_heads=6";
    for name in ["vit.cls_token", "vit.blocks.3.attn.rel_positional_embedding.rel_pos_arr.0"] {
        with(name);
        refused(&place, &[heads], &[name, "has no place in the network"]);
    }
    for (name, is_weight) in [("vit.blocks.0.cross_attn.to_q.bias", false), ("vit.rotation_head.weight", true), ("unrelated", true)] {
        with(name);
        let report = take(&place, &out, Some([32; 3]), &[heads]).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((report.no_weights.len(), report.skipped.len()), (usize::from(!is_weight), usize::from(is_weight)), "{name}");
        std::fs::remove_dir_all(&out).unwrap();
    }
}

#[test]
fn an_export_comes_back_with_the_settings_of_its_header_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (preset, setting, expected) in [
        (Preset::UnetrSmall, "model.unetr.num_heads=3", "num_heads is 6 in the file and 3"),
        (Preset::NnformerSmall, "model.nnformer.patch_size=[2,4,4]", "patch_size is [4,4,4] in the file and [2,4,4]"),
        (Preset::SwinUnetrSmall, "model.swin_unetr.merging=paper", "merging is \"merging\" in the file and \"paper\""),
        (Preset::SwinUnetrSmall, "model.swin_unetr.normalize=false", "normalize is true in the file and false"),
        (Preset::UnetSmall, "model.unet.strides=[[1,1,1],[2,2,2],[2,2,2],[2,2,1]]", "strides is [[1,1,1],[2,2,2],[2,2,2],[2,2,2]] in"),
    ] {
        let (mut checkpoint, file) = (fresh(preset, StageKind::Pretrain), at("file.safetensors"));
        checkpoint.info.config.model = checkpoint.info.config.model.resolve();
        checkpoint.save(folder.path(), "first").unwrap();
        give(&at("first"), Format::Safetensors, &file).unwrap();
        let error = take(&file, &at("second"), None, &[setting]).expect_err(setting).to_string();
        assert!(error.contains(expected) && error.contains("nothing is written") && !at("second").exists(), "{error}");
        std::fs::remove_file(&file).unwrap();
    }
    // A table of another grid with as many places: the header says which, so that it is refused, or resampled where that is asked for.
    fresh(Preset::UnetrSmall, StageKind::Pretrain).save(folder.path(), "first").unwrap();
    give(&at("first"), Format::Monai, &at("file")).unwrap();
    let job = ImportJob { file: at("file"), out: at("second"), crop_size: Some([16, 32, 64]), ..ImportJob::default() };
    let error = import(&job).unwrap_err().to_string();
    assert!(error.contains("is [4,4,4] in the file and [2,4,8] as the flags say"), "{error}");
    let report = import(&ImportJob { adapt_position: Some(None), ..job }).unwrap();
    assert!(report.adapted.len() == 1 && report.adapted[0].contains("from [4, 4, 4] to [2, 4, 8]"), "{report}");

    // The table that a fixed position code stands for in MONAI's file is the one that is computed here.
    let mut sinusoid = fresh(Preset::UnetrSmall, StageKind::Finetune);
    sinusoid.info.config = sinusoid.info.config.with_overrides(&["model.unetr.position=sinusoid".to_owned()]).unwrap();
    sinusoid.weights.remove("vit.patch_embedding.position_embeddings").unwrap();
    sinusoid.save(folder.path(), "first").unwrap();
    give(&at("first"), Format::Monai, &at("fixed")).unwrap();
    take(&at("fixed"), &at("third"), None, &[]).unwrap();
}
