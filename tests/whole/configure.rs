//! A config made of a dataset: exact choices on datasets made for the purpose, and the commands that write it.

use std::path::Path;
use std::time::Instant;

use serde_json::json;
use simtrot::config::{
    Arm, ArmsConfig, AugmentConfig, DataConfig, DataSource, FinetuneConfig, Intensity, ModelConfig, OptimiserConfig, PreprocessConfig,
    PretrainConfig, Rotate, RunConfig, ScheduleConfig, SplitConfig, SyntheticConfig, UnetConfig,
};
use simtrot::configure::time::Measured;
use simtrot::configure::{Configuration, ConfigureError, Limits, Planner, Request};
use simtrot::device::DeviceChoice;
use simtrot::plan::{Room, Step};
use simtrot::protocol::StageKind;
use simtrot::volume::{Dataset, Grid};

use crate::volumes::Folder;
use crate::{ends, refused, simtrot, succeed, text, trainings};

/// More than any network here takes.
const PLENTY: u64 = 8 << 30;

/// What intensities a case has.
#[derive(Clone, Copy)]
enum Scanner {
    Mr,
    Ct,
}

/// An nnU-Net dataset: cases named `case_00` and so on with the voxel sizes given, the outermost voxels empty and labels inside;
/// `unlabelled` more without labels, of the first voxel size.
fn dataset(channel: &str, labels: [&str; 2], shape: [usize; 3], spacings: &[[f64; 3]], unlabelled: usize) -> Folder {
    let folder = Folder::new(shape);
    let scanner = if channel == "MRI" { Scanner::Mr } else { Scanner::Ct };
    let [depth, height, width] = shape;
    let place = |index: usize| [index / (height * width), index / width % height, index % width];
    let is_inner = |at: [usize; 3]| (0..3).all(|axis| (1..shape[axis] - 1).contains(&at[axis]));
    let label = |index: usize| {
        let at = place(index);
        let is_labelled = is_inner(at) && at[0] >= depth / 4 && at[0] < depth / 2 && at[1] < height / 2;
        if is_labelled { 1 + u16::from(at[2] < width / 2) } else { 0 }
    };
    for case in 0..spacings.len() + unlabelled {
        let grid = Grid::axis_aligned(shape, *spacings.get(case).unwrap_or(&spacings[0]));
        let value = |index: usize| match scanner {
            _ if !is_inner(place(index)) => -1000.0,
            Scanner::Mr => ((index * 37 + case * 1009) % 101) as f32,
            // Inside the labels half 40, half 60; around them from -900 to 899.
            Scanner::Ct if label(index) > 0 => 40.0 + 20.0 * (index % 2) as f32,
            Scanner::Ct => ((index * 37 + case * 1009) % 1800) as f32 - 900.0,
        };
        let is_labelled = case < spacings.len();
        let images = if is_labelled { "imagesTr" } else { "imagesTs" };
        folder.image_with(&format!("{images}/case_{case:02}_0000.nii.gz"), &grid, 1, value);
        if is_labelled {
            folder.labels_with(&format!("labelsTr/case_{case:02}.nii.gz"), &grid, label);
        }
    }
    let [one, two] = labels;
    let list = json!({
        "name": "My Set", "channel_names": { "0": channel }, "labels": { "background": 0, one: 1, two: 2 }, "file_ending": ".nii.gz",
    });
    folder.text("dataset.json", list.to_string());
    folder
}

fn made(source: &DataSource, request: &Request) -> Result<Configuration, ConfigureError> {
    let dataset = Dataset::open(source).expect("a dataset");
    Planner::read((&dataset, source), request, &DeviceChoice::Cpu, &|_, _| ())?.plan(&mut |_| true)
}

/// The config of a folder with plenty of memory, which must be what its text says, and sound with all of its arms.
fn of(folder: &Folder) -> (DataSource, Configuration) {
    let source = DataSource::Dataset(folder.at(""));
    let made = made(&source, &Request { memory: Some(PLENTY), ..Request::default() }).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(RunConfig::from_ron(&made.text, "its text").unwrap_or_else(|error| panic!("{error}")), made.config);
    assert_eq!((made.config.problems(), made.config.arm_problems(&made.config)), (Vec::new(), Vec::new()));
    (source, made)
}

fn reason<'a>(made: &'a Configuration, key: &str) -> &'a str {
    made.choices.iter().find(|choice| choice.key == key).map_or_else(|| panic!("{key} was not chosen"), |choice| choice.reason.as_str())
}

/// What every config for the CPU has in common here.
fn expected(source: &DataSource, folds: usize, preprocess: PreprocessConfig, model: UnetConfig, crop_size: [usize; 3]) -> RunConfig {
    let split = SplitConfig::Folds { folds, fold: 0 };
    let finetune = FinetuneConfig {
        steps: 5000,
        batch: 2,
        crop_size,
        foreground_in_each_batch: true,
        augment: AugmentConfig::nnunet(crop_size),
        batch_dice: false,
        optimiser: OptimiserConfig::AdamW { lr: 1e-3, weight_decay: 3e-5 },
        schedule: ScheduleConfig::WarmupCosine { warmup: 151 },
        ..FinetuneConfig::default()
    };
    RunConfig {
        name: "my_set".to_owned(),
        data: DataConfig { source: source.clone(), split, preprocess, ..DataConfig::default() },
        model: ModelConfig::Unet(model),
        pretrain: PretrainConfig { crop_size, ..PretrainConfig::default() },
        finetune,
        ..RunConfig::default()
    }
}

fn scratch_alone() -> ArmsConfig {
    ArmsConfig { pretrain: Vec::new(), finetune: vec![Arm { name: "scratch".to_owned(), ..Arm::default() }] }
}

/// Without its border 20 x 24 x 22 voxels of 1 mm: 20 > 10 > 5, 24 > 12 > 6 and 22 > 11 > 6 make three stages, and 22 is padded to 24. A
/// twentieth of 12 * 10 560 voxels is less than one crop. Three of 12 cases test, so that 9 and the 2 without labels pre-train.
#[test]
fn isotropic_mr_with_left_and_right_labels_is_pretrained_on_all_scans_and_not_mirrored_along_w() {
    let folder = dataset("MRI", ["left hippocampus", "right hippocampus"], [22, 26, 24], &[[1.0; 3]; 12], 2);
    let (source, made) = of(&folder);
    let preprocess = PreprocessConfig { spacing_mm: Some([1.0; 3]), ..PreprocessConfig::default() };
    let strides = vec![[1; 3], [2; 3], [2; 3]];
    let model = UnetConfig { features: vec![32, 64, 128], strides, blocks: vec![1; 3], ..UnetConfig::default() };
    let mut expected = expected(&source, 5, preprocess, model, [20, 24, 24]);
    expected.pretrain = PretrainConfig { steps: 2000, rotate: Rotate::Full, probe_every: 40, ..expected.pretrain };
    expected.finetune.augment.flip_p = [0.5, 0.5, 0.0];
    assert_eq!(made.config, expected);
    assert!(reason(&made, "arms").starts_with("11 volumes pre-train"), "{}", reason(&made, "arms"));
    assert!(!reason(&made, "arms").contains("AdamW"), "from scratch it trains by AdamW already: {}", reason(&made, "arms"));
    assert!(reason(&made, "data.preprocess.crop_foreground").contains("23 %"), "10 560 of 13 728 voxels are no border");
    assert!(reason(&made, "finetune.augment.flip_p").contains("W (left hippocampus, right hippocampus)"));
    assert!(reason(&made, "data.preprocess.intensity").contains("MR by the channel's name"));
    assert_eq!(made.hints, Vec::<String>::new());
    assert!(made.to_string().lines().all(|line| line.chars().count() <= 110), "{made}");
}

/// Without its border 12 x 48 x 40 voxels, slices of 2.5 mm once and 5 mm five times: 5 mm are more than three times 1 mm, and 12 slices
/// less than a third of 40. The 10th percentile is half-way between 2.5 and 5. The median volume has 12 * 5 / 3.75 = 16 slices. Pixels are
/// halved alone until 3.75 mm are less than twice 2 mm; then 16 > 8 > 4, 24 > 12 > 6 and 20 > 10 > 5.
#[test]
fn ct_with_thick_slices_takes_the_tenth_percentile_and_the_statistics_of_its_labels() {
    let mut spacings = [[5.0, 1.0, 1.0]; 6];
    spacings[4][0] = 2.5;
    let (source, made) = of(&dataset("CT", ["liver", "spleen"], [14, 50, 42], &spacings, 0));
    let intensity = Intensity::CtStatistics { low: 40.0, high: 60.0, mean: 50.0, deviation: 10.0 };
    let preprocess = PreprocessConfig { spacing_mm: Some([3.75, 1.0, 1.0]), intensity, ..PreprocessConfig::default() };
    let strides = vec![[1; 3], [1, 2, 2], [2; 3], [2; 3]];
    let model = UnetConfig { features: vec![32, 64, 128, 256], strides, blocks: vec![1; 4], ..UnetConfig::default() };
    let expected = RunConfig { arms: scratch_alone(), ..expected(&source, 5, preprocess, model, [16, 48, 40]) };
    assert_eq!(made.config, expected);
    assert!(reason(&made, "data.preprocess.spacing_mm").contains("but D"));
    assert!(reason(&made, "data.preprocess.intensity").contains("less their mean"), "{}", reason(&made, "data.preprocess.intensity"));
    assert!(reason(&made, "arms").contains("4 volumes are too few"), "{}", reason(&made, "arms"));
}

#[test]
fn three_cases_make_three_folds_and_are_trained_from_scratch_alone() {
    let (_, made) = of(&dataset("MRI", ["one", "two"], [18, 18, 18], &[[2.0, 1.0, 1.0], [1.0; 3], [1.0; 3]], 0));
    assert_eq!((made.config.data.split, made.config.arms), (SplitConfig::Folds { folds: 3, fold: 0 }, scratch_alone()));
    assert_eq!(made.config.data.preprocess.spacing_mm, Some([1.0; 3]));
    assert_eq!(made.config.finetune.batch, 2);
    assert!(made.choices.iter().all(|choice| !choice.reason.is_empty()));
}

#[test]
fn what_looks_like_hounsfield_units_is_said_and_not_assumed() {
    let (_, made) = of(&dataset("scan", ["one", "two"], [18, 18, 18], &[[1.0; 3]; 4], 0));
    assert_eq!(made.config.data.preprocess.intensity, Intensity::default());
    let [hint] = &made.hints[..] else { panic!("{:?}", made.hints) };
    assert!(
        hint.contains("as Hounsfield units do") && hint.contains("ct_statistics(low: 40.0, high: 60.0, mean: 50.0, deviation: 10.0)"),
        "{hint}"
    );
    assert!(made.to_string().contains("LOOK: "));
}

#[test]
fn scans_of_a_patient_stay_together_where_somebody_says_whose_they_are() {
    let folder = Folder::new([18, 18, 18]);
    for name in ["a_1", "a_2", "b_1", "b_2", "c_1"] {
        folder.image(&format!("imagesTr/{name}.nii.gz"), name.bytes().map(usize::from).sum(), 1);
        folder.labels_with(&format!("labelsTr/{name}.nii.gz"), &folder.grid, |index| u16::from(index > 3000));
    }
    let source = DataSource::Dataset(folder.at(""));
    let with =
        |groups: Option<&str>| made(&source, &Request { groups: groups.map(str::to_owned), memory: Some(PLENTY), ..Request::default() });
    let alone = with(None).unwrap();
    assert_eq!(alone.config.data.split, SplitConfig::Folds { folds: 5, fold: 0 });
    assert!(alone.hints[0].contains("may be of 3 patients") && alone.hints[0].contains("--groups"), "{:?}", alone.hints);
    let grouped = with(Some("{patient}_{scan}")).unwrap();
    assert_eq!((&grouped.config.data.split, grouped.hints.len()), (&SplitConfig::Folds { folds: 3, fold: 0 }, 0));
    assert!(reason(&grouped, "data.groups").starts_with("3 patients"));
    for (pattern, words) in [("{patient}-{scan}", "does not fit the name \"a_1\""), ("{scan}", "expected one")] {
        let error = with(Some(pattern)).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains(pattern), "{error}");
    }
}

#[test]
fn network_and_batch_fit_the_memory_that_is_given_and_too_little_is_refused() {
    let config = SyntheticConfig { cases: 10, shape: [80, 72, 64], channels: 2, labels: 2 };
    let source = DataSource::Synthetic(config);
    let mut steps = Vec::new();
    for memory in [8 << 30, 1 << 30, 256 << 20] {
        let made = made(&source, &Request { memory: Some(memory), ..Request::default() }).unwrap_or_else(|error| panic!("{error}"));
        let RunConfig { finetune, .. } = &made.config;
        let room = Room { free_bytes: Some(memory), binding_bytes: None };
        let step = Step { config: &made.config, kind: StageKind::Finetune, channels: 2, classes: 3, room };
        assert!(step.look(finetune.batch, finetune.crop_size).2, "{} does not fit", made.text);
        assert!(finetune.batch >= 2, "{}", made.text);
        steps.push(finetune.batch * finetune.crop_size.iter().product::<usize>());
    }
    assert!(steps.is_sorted_by(|more, less| more > less), "more memory takes more voxels: {steps:?}");
    let error = made(&source, &Request { memory: Some(1 << 20), ..Request::default() }).unwrap_err().to_string();
    assert!(error.contains("--memory") && error.contains("1.00 MiB"), "{error}");
}

#[test]
fn cases_that_cannot_be_used_are_refused_or_left_out_as_asked() {
    let folder = dataset("MRI", ["one", "two"], [18, 18, 18], &[[1.0; 3]; 4], 0);
    folder.damage("imagesTr/case_02_0000.nii.gz", |bytes| bytes.truncate(bytes.len() / 2));
    let source = DataSource::Dataset(folder.at(""));
    let error = made(&source, &Request::default()).unwrap_err().to_string();
    assert!(error.contains("case_02") && error.contains("--skip-bad") && error.contains("simtrot check"), "{error}");
    let left = made(&source, &Request { skip_bad: true, memory: Some(PLENTY), ..Request::default() }).unwrap();
    assert!(left.config.data.skip_bad && reason(&left, "data.skip_bad").contains("case_02"));
    assert_eq!(left.config.data.split, SplitConfig::Folds { folds: 3, fold: 0 });
}

#[test]
fn the_command_writes_a_config_that_plan_takes_and_replaces_none_unasked() {
    let folder = dataset("MRI", ["one", "two"], [18, 18, 18], &[[1.0; 3]; 3], 0);
    let file = folder.at("mine.ron");
    let call = |more: &[&str]| {
        let mut command = simtrot(&["configure"]);
        command.arg(folder.at("")).arg("--out").arg(&file).args(["--memory", "2GiB"]).args(more);
        command
    };
    let told = succeed(call(&[]));
    for words in ["3 cases: 3 with a label map", "data.preprocess.spacing_mm", "as --memory says", "mine.ron is written"] {
        assert!(told.contains(words), "no {words:?} in {told}");
    }
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(RunConfig::from_ron(&text, "mine.ron").unwrap().name, "mine");
    folder.text("mine.ron", format!("// my own\n{text}"));
    refused(call(&[]), 2, &["mine.ron", "already there", "--overwrite"]);
    assert!(std::fs::read_to_string(&file).unwrap().starts_with("// my own"));
    succeed(call(&["--overwrite"]));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "the same data, the same config");
    let mut plan = simtrot(&["plan"]);
    plan.arg(&file).arg("--dry-run");
    assert!(succeed(plan).contains("fine-tuning: batch 2"));
    let mut wrong = simtrot(&["configure"]);
    wrong.arg(folder.at("")).args(["--memory", "much"]);
    refused(wrong, 2, &["no amount of memory"]);
}

#[test]
fn run_of_a_dataset_writes_its_config_beside_the_runs_and_goes_on_with_it() {
    let folder = dataset("MRI", ["one", "two"], [10, 10, 10], &[[1.0; 3]; 3], 0);
    let place = tempfile::tempdir().unwrap();
    let (out, config) = (place.path().join("trial"), place.path().join("trial.ron"));
    let call = |data: &Path, more: &[&str]| {
        let mut command = simtrot(&["run"]);
        command.arg(data).arg("--out").arg(&out).args(["--max-steps", "1"]).args(more);
        command
    };
    refused(call(&folder.at(""), &["--dry-run"]), 2, &["is a dataset without a config", "simtrot configure"]);
    assert!(!config.exists(), "a dry run writes nothing");
    let told = succeed(call(&folder.at(""), &["--memory", "2GiB", "--time", "1h"]));
    for words in ["trial.ron is written", "as --memory says", "a fine-tuning step on crops of "] {
        assert!(told.contains(words), "no {words:?} in {told}");
    }
    refused(call(&folder.at(""), &["--time", "1h"]), 2, &["--time", "already has the config", "trial.ron"]);
    refused(call(&config, &["--time", "1h"]), 2, &["--time", "is no dataset"]);
    assert_eq!(trainings(&out, "finetune-scratch").len(), 1, "{told}");
    let text = std::fs::read_to_string(&config).unwrap();
    let own = format!("// my own\n{text}");
    std::fs::write(&config, &own).unwrap();
    let told = succeed(call(&folder.at("dataset.json"), &["--dry-run"]));
    assert!(told.contains("is there already and used as it is"), "{told}");
    assert_eq!(std::fs::read_to_string(&config).unwrap(), own);
    for words in [&["plan", "--dry-run"][..], &["status"]] {
        let look = |out: &Path| {
            let mut command = simtrot(words);
            command.arg(folder.at("")).arg("--out").arg(out);
            command
        };
        assert!(succeed(look(&out)).contains("is there already and used as it is"), "{words:?}");
        refused(look(&place.path().join("other")), 2, &["is a dataset without a config", "other.ron"]);
    }
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::write(elsewhere.path().join("letter.txt"), "no dataset").unwrap();
    let told = ends(call(elsewhere.path(), &[]), 2);
    assert!(!told.contains("is written"), "{told}");
}

/// Three volumes train from scratch alone. A step on two crops of 32 voxels, or of 16, takes more than a hundredth of a second anywhere.
#[test]
fn a_time_is_divided_by_steps_that_are_measured_and_one_too_short_is_refused() {
    let folder = dataset("MRI", ["one", "two"], [34, 34, 34], &[[1.0; 3]; 3], 0);
    let file = folder.at("timed.ron");
    let call = |time: &str| {
        let mut command = simtrot(&["configure"]);
        command.arg(folder.at("")).arg("--out").arg(&file).args(["--memory", "2GiB", "--time", time, "--overwrite"]);
        command
    };
    let told = succeed(call("10d"));
    assert!(told.contains("a fine-tuning step on crops of 32x32x32, 2 a step: "), "{told}");
    let text = std::fs::read_to_string(&file).unwrap();
    let config = RunConfig::from_ron(&text, "timed.ron").unwrap();
    let words = text.split_whitespace().filter(|word| *word != "//").collect::<Vec<_>>().join(" ");
    assert!(words.contains("s a step, measured on") && words.contains("10 d 0 h allow"), "{text}");
    assert!((1000..=250_000).contains(&config.finetune.steps), "{text}");
    assert_eq!(config.finetune.schedule, ScheduleConfig::warmup_cosine(config.finetune.steps));
    refused(call("1s"), 2, &["1.0 s are too few", "measured on", "--time"]);
    refused(call("soon"), 2, &["no amount of time"]);
}

/// A minute for measuring, a step under way, collapse measured, and fourteen small cases to read: a minute and a half.
#[test]
fn measuring_is_short_and_says_nothing_but_what_it_measured() {
    let folder = dataset("MRI", ["one", "two"], [22, 26, 24], &[[1.0; 3]; 12], 2);
    let (file, cache) = (folder.at("timed.ron"), folder.at("cache"));
    let mut command = simtrot(&["configure"]);
    command.arg(folder.at("")).arg("--out").arg(&file).args(["--memory", "2GiB", "--time", "10min"]).env("SIMTROT_CACHE", &cache);
    let began = Instant::now();
    let output = command.output().unwrap();
    assert!(output.status.success() && began.elapsed().as_secs() < 150, "{:?}: {}", began.elapsed(), text(&output));
    let told = String::from_utf8(output.stderr).unwrap();
    let (first, measured) = told.split_once('\n').unwrap();
    assert!(first.starts_with("measuring steps on made-up crops, for 1 min 00 s at most"), "{told}");
    let (measured, collapse) = measured.trim_end().rsplit_once('\n').unwrap();
    assert!(collapse.starts_with("a measurement of collapse on crops of ") && collapse.ends_with(" s on the CPU"), "{told}");
    let [mut pretrained, mut finetuned] = [0, 0];
    for line in measured.lines() {
        pretrained += usize::from(line.starts_with("a pre-training step on crops of "));
        finetuned += usize::from(line.starts_with("a fine-tuning step on crops of "));
        assert!(line.contains(" a step: ") && line.ends_with(" s on the CPU"), "{told}");
    }
    assert_eq!((pretrained, finetuned), (finetuned, measured.lines().count() / 2), "a line for each kind: {told}");
    assert!((1..=6).contains(&finetuned), "{told}");
    // The last is of what was chosen, and no case was prepared. Of twelve labelled cases three are held out, and four of nine fit the label
    // probe: 2 * (3 * 3 + 4) crops.
    let RunConfig { finetune, pretrain, .. } = RunConfig::from_ron(&std::fs::read_to_string(&file).unwrap(), "timed.ron").unwrap();
    assert!(collapse.contains(", 26 in all: ") && (2..=pretrain.steps).contains(&pretrain.probe_every), "{collapse}");
    let crop = finetune.crop_size.map(|edge| edge.to_string()).join("x");
    let last = measured.lines().last().unwrap();
    assert!(last.starts_with(&format!("a fine-tuning step on crops of {crop}, {} a step: ", finetune.batch)), "{told}");
    assert!(!cache.exists(), "nothing is prepared");
}

/// 85 % of two hours are 6120 s: some 12 200 steps of half a second beside the test of two cases, some 200 of 30 s, some 50 of 120 s.
#[test]
fn a_time_decides_the_steps_and_where_they_are_few_the_crops() {
    let config = SyntheticConfig { cases: 10, shape: [80, 72, 64], channels: 1, labels: 2 };
    let source = DataSource::Synthetic(config);
    let request = Request { memory: Some(PLENTY), time_secs: Some(7200.0), ..Request::default() };
    let dataset = Dataset::open(&source).unwrap();
    let planner = Planner::read((&dataset, &source), &request, &DeviceChoice::Cpu, &|_, _| ()).unwrap();
    let within = |step_secs, voxels| {
        let place = "measured on a made-up device".to_owned();
        let measured =
            Measured { pretrain_secs: None, finetune_secs: Some(step_secs), probe_secs: None, pretrainings: 0, finetunings: 1, place };
        planner.choose(&Limits { measured: Some(measured), voxels })
    };
    let enough = within(0.5, None).unwrap();
    let steps = enough.config.finetune.steps;
    assert!((12_000..=12_240).contains(&steps), "{steps}");
    assert_eq!((enough.voxels_for_more(steps), enough.hints.len()), (None, 0));
    assert!(reason(&enough, "finetune.steps").contains("0.500 s a step, measured on a made-up device: 2 h 00 min allow"));

    let few = within(30.0, None).unwrap();
    let steps = few.config.finetune.steps;
    assert!((150..=204).contains(&steps) && few.hints.iter().any(|hint| hint.contains("a first look")), "{steps} {:?}", few.hints);
    let size = |made: &Configuration| made.config.finetune.batch * made.config.finetune.crop_size.iter().product::<usize>();
    let voxels = few.voxels_for_more(steps).unwrap();
    let smaller = within(6.0, Some(voxels)).unwrap();
    assert!(size(&smaller) <= voxels && size(&smaller) < size(&few), "{} of {voxels}", size(&smaller));
    assert!(reason(&smaller, "finetune.crop_size").contains("enough steps the time"));

    let error = within(120.0, None).unwrap_err().to_string();
    assert!(error.contains("2 h 00 min are too few") && error.contains("120.000 s") && error.contains("--time"), "{error}");
}
