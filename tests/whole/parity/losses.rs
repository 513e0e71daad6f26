//! Losses and their gradients against the paper's equations and MONAI / nnU-Net, in double precision.

use burn::tensor::{Device, Gradients, Int, Tensor, TensorData};
use serde_json::{Map, Value};
use simtrot::config::Weighting;
use simtrot::device::for_tests;
use simtrot::geometry::SignedPermutation;
use simtrot::objective::byol_loss;
use simtrot::objective::dice_ce::{DiceCeConfig, classes_from_host, deep_supervision_weights, downsample};
use simtrot::objective::pooled;
use simtrot::objective::token_contrast::TokenContrast;

use super::Outcomes;
use crate::fixtures::{Array, Entry, compare};

/// How much wider the tolerance is on the GPU: it was derived from the reference's own float32 run on a CPU, whose sums are
/// exact to about 1e-7 of their size; a GPU adds in another order and its `exp` and `log` are off by up to 4 units.
const GPU_SLACK: f64 = 4.0;

fn slack(device: &str) -> f64 {
    if device == "gpu" { GPU_SLACK } else { 1.0 }
}

fn tensor<const D: usize>(array: &Array, device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(array.values.clone(), array.shape.clone()), device)
}

fn host<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.to_data().iter::<f32>().collect()
}

fn gradient<const D: usize>(tensor: &Tensor<D>, gradients: &Gradients) -> Vec<f32> {
    host(&tensor.grad(gradients).expect("the loss depends on it"))
}

pub fn is_token_contrast(entry: &Entry) -> bool {
    entry.kind == "loss" && entry.tensors.contains_key("input.0.z") && entry.tensors.contains_key("expected.0.eq3")
}

pub fn token_contrast(entry: &Entry) -> Outcomes {
    let cases = entry.hyper()["cases"].as_array().expect("a list of cases");
    let mut outcomes = Outcomes::new();
    for (name, device) in for_tests() {
        let device = device.autodiff();
        for (case, number) in cases.iter().map(|case| (case, case["index"].as_u64().expect("index"))) {
            agreement(entry, number, (name, &device), &mut outcomes);
            let tau = case["tau"].as_f64().expect("tau");
            for (equation, weight) in [("eq1", 1.0), ("eq3", case["w"].as_f64().expect("w"))] {
                let views = ["z", "zhat"].map(|view| tensor::<3>(entry.tensor(&format!("input.{number}.{view}")), &device).require_grad());
                let [z, z_hat] = views.clone();
                let output = TokenContrast::new(tau, weight, Weighting::Term).forward(z, z_hat);
                let gradients = output.loss.backward();
                outcomes.push(entry.compare(&format!("expected.{number}.{equation}"), &host(&output.loss), slack(name)));
                for (view, value) in ["z", "zhat"].iter().zip(&views) {
                    let key = format!("grad.{number}.{equation}.{view}");
                    // The tolerance is stated for one view; the other's gradient has the same size.
                    let (atol, rtol) = entry.tolerance(&format!("grad.{number}.{equation}.z"));
                    let expected = &entry.tensor(&key).values;
                    let got = gradient(value, &gradients);
                    outcomes.push(compare(&format!("{}: {key}", entry.name), &got, expected, atol * slack(name), rtol * slack(name)));
                }
            }
        }
    }
    outcomes
}

/// Eq. 2, one way: the target is a constant.
fn agreement(entry: &Entry, number: u64, (name, device): (&str, &Device), outcomes: &mut Outcomes) {
    let [z, z_hat] = ["z", "zhat"].map(|view| tensor::<3>(entry.tensor(&format!("input.{number}.{view}")), device).require_grad());
    let loss = byol_loss(z.clone(), z_hat.clone());
    outcomes.push(entry.compare(&format!("expected.{number}.eq2_one_way"), &host(&loss), slack(name)));
    let gradients = loss.backward();
    assert!(z_hat.grad(&gradients).is_none(), "a target has no gradient");
    outcomes.push(entry.compare(&format!("grad.{number}.eq2_one_way.z"), &gradient(&z, &gradients), slack(name)));
}

/// A loss of two views' tokens.
type PairLoss<'a> = dyn Fn(Tensor<3>, Tensor<3>) -> Tensor<1> + 'a;

pub fn is_global(entry: &Entry) -> bool {
    entry.kind == "loss" && entry.tensors.contains_key("expected.0.simclr")
}

/// The losses of whole volumes, without a projection head.
pub fn global(entry: &Entry) -> Outcomes {
    let mut outcomes = Outcomes::new();
    for (name, device) in for_tests() {
        let device = device.autodiff();
        for case in entry.hyper()["cases"].as_array().expect("a list of cases") {
            let (index, tau) = (case["index"].as_u64().expect("index"), number(&case["tau"]));
            let input = |view: &str| tensor::<5>(entry.tensor(&format!("input.{index}.{view}")), &device).require_grad();
            let simclr = |first: Tensor<3>, second: Tensor<3>| TokenContrast::new(tau, 1.0, Weighting::Term).forward(first, second).loss;
            let losses: [(&str, &PairLoss<'_>); 2] = [("simclr", &simclr), ("byol_one_way", &byol_loss)];
            for (loss_name, loss) in losses {
                let [first, second] = ["f1", "f2"].map(input);
                let value = loss(pooled(first.clone()).unsqueeze_dim(1), pooled(second).unsqueeze_dim(1));
                outcomes.push(entry.compare(&format!("expected.{index}.{loss_name}"), &host(&value), slack(name)));
                let gradients = value.backward();
                outcomes.push(entry.compare(&format!("grad.{index}.{loss_name}.f1"), &gradient(&first, &gradients), slack(name)));
            }
        }
    }
    outcomes
}

pub fn is_released_code(entry: &Entry) -> bool {
    entry.tensors.contains_key("expected.released_rows_1") && entry.hyper().get("values_float64").is_some()
}

/// The paper's released code: its weighting is offered, its rows and its restoring are not, and are met here on the way.
pub fn released_code(entry: &Entry) -> Outcomes {
    let mut outcomes = Outcomes::new();
    let values = entry.hyper()["values_float64"].as_object().expect("values by name");
    let tau = number(&entry.hyper()["tau"]);
    let (atol, rtol) = entry.tolerance("values_float64");
    let [z1, z2] = ["input.z1", "input.z2"].map(|name| entry.tensor(name));
    outcomes.push(entry.compare("expected.released_rows_1", &z1.values, 1.0));
    for (name, device) in for_tests() {
        for (key, expected) in values {
            let weight = key.split('_').find_map(|word| word.parse::<f64>().ok()).unwrap_or(1.0);
            let weighting = if key.starts_with("released_weight") { Weighting::Logit } else { Weighting::Term };
            let [first, second] = [z1, z2].map(|z| {
                let volume = tensor::<5>(z, &device);
                let [batch, dim, d, h, w] = volume.dims();
                if key.ends_with("on_real_tokens") {
                    volume.reshape([batch, dim, d * h * w]).swap_dims(1, 2)
                } else {
                    // The released rows are the memory of a channels-first array, cut into pieces of the channels' number.
                    volume.reshape([batch, d * h * w, dim])
                }
            });
            // The released loss puts its second argument first, which only its asymmetric marks can tell.
            let loss = TokenContrast::new(tau, weight, weighting).forward(second, first).loss;
            let what = format!("{}: {key}", entry.name);
            outcomes.push(compare(&what, &host(&loss), &[number(expected) as f32], atol * slack(name), rtol * slack(name)));
        }
    }
    outcomes.extend(released_restores(entry));
    outcomes
}

/// For each turn that the released code draws: ours restores it, whereas the released inverse does so in the cases it is said to.
fn released_restores(entry: &Entry) -> Outcomes {
    let z = entry.tensor("input.restore_z");
    let [_, channels, d, h, w] = z.shape[..] else { panic!("{}: restore_z is [1,C,D,H,W]", entry.name) };
    let cases = entry.hyper()["restore"].as_array().expect("a list of turns");
    let check = |case: &Value| {
        let [rot, flip] = ["rot", "flip"].map(|key| case[key].as_u64().expect("a whole number"));
        let turn = SignedPermutation::rot90(rot as i64, [1, 2]).then(SignedPermutation::flip([false, flip == 1, flip == 2]));
        let view = turn.apply(&z.values, channels, [d, h, w]);
        let what = format!("{}: restore {rot}.{flip}", entry.name);
        let released = &entry.tensor(&format!("expected.released_restore.{rot}.{flip}")).values;
        if (released == &z.values) != (case["is_the_inverse"] == true) {
            return Err(format!("{what}: the released result and what is said of it disagree"));
        }
        compare(&what, &turn.inverse().apply(&view, channels, turn.shape([d, h, w])), &z.values, 0.0, 0.0)
    };
    cases.iter().map(check).collect()
}

pub fn is_segmentation(entry: &Entry) -> bool {
    entry.kind == "loss" && entry.tensors.contains_key("input.logits_0") && entry.hyper().get("dc_ce").is_some()
}

pub fn segmentation(entry: &Entry) -> Outcomes {
    let mut outcomes = Outcomes::new();
    for (name, device) in for_tests() {
        let device = device.autodiff();
        let config = nnunet(&entry.hyper()["dc_ce"]);
        heads(entry, &config, name, &device, &mut outcomes);
        degenerate_targets(entry, &config, name, &device, &mut outcomes);
        let variants = entry.hyper()["monai"].as_object().expect("MONAI variants by name");
        for (variant, options) in variants {
            monai(entry, (variant, options.as_object().expect("options")), name, &device, &mut outcomes);
        }
    }
    let weights: Vec<f32> =
        entry.hyper()["deep_supervision_weights"].as_array().expect("a list").iter().map(|weight| number(weight) as f32).collect();
    let got: Vec<f32> = deep_supervision_weights(weights.len()).into_iter().map(|weight| weight as f32).collect();
    outcomes.push(compare("deep supervision weights", &got, &weights, 1e-7, 0.0));
    outcomes
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

fn nnunet(options: &Value) -> DiceCeConfig {
    assert_eq!(options["softmax"], true, "nnU-Net's loss of classes has a softmax");
    let config = DiceCeConfig {
        batch_dice: options["batch_dice"] == true,
        include_background: options["do_bg"] == true,
        smooth_numerator: number(&options["smooth"]),
        smooth_denominator: number(&options["smooth"]) + number(&options["extra_denominator_eps"]),
        dice_weight: number(&options["weight_dice"]),
        ce_weight: number(&options["weight_ce"]),
        ..DiceCeConfig::nnunet()
    };
    if config.batch_dice && !config.include_background && number(&options["smooth"]) == 1e-5 {
        assert_eq!(config, DiceCeConfig::nnunet());
    }
    config
}

fn classes(array: &Array, device: &Device) -> Tensor<4, Int> {
    let [batch, _, depth, height, width] = array.shape[..] else { panic!("a target is [B,1,D,H,W]") };
    let classes: Vec<u8> = array.values.iter().map(|&class| class as u8).collect();
    classes_from_host(&classes, [batch, depth, height, width], device)
}

/// The heads of deep supervision: each loss, their weighted sum, its gradients, and our own down-sampled targets.
fn heads(entry: &Entry, config: &DiceCeConfig, name: &str, device: &Device, outcomes: &mut Outcomes) {
    let count = (0..).take_while(|head| entry.tensors.contains_key(&format!("input.logits_{head}"))).count();
    let logits: Vec<Tensor<5>> =
        (0..count).map(|head| tensor(entry.tensor(&format!("input.logits_{head}")), device).require_grad()).collect();
    let finest = classes(entry.tensor("input.target_0"), device);
    for (head, logits) in logits.iter().enumerate() {
        let given = entry.tensor(&format!("input.target_{head}"));
        let target = classes(given, device);
        let [_, depth, height, width] = target.dims();
        let own: Vec<f32> = downsample(finest.clone(), [depth, height, width]).to_data().iter::<f32>().collect();
        outcomes.push(compare(&format!("{}: down-sampled target_{head}", entry.name), &own, &given.values, 0.0, 0.0));
        let loss = config.loss(logits.clone(), &target);
        outcomes.push(entry.compare(&format!("expected.dc_ce_{head}"), &host(&loss.loss), slack(name)));
    }
    let total = config.deep_supervision(logits.clone(), &finest);
    outcomes.push(entry.compare("expected.deep_supervision_total", &host(&total.loss), slack(name)));
    let gradients = total.loss.backward();
    for (head, logits) in logits.iter().enumerate() {
        outcomes.push(entry.compare(&format!("grad.logits_{head}"), &gradient(logits, &gradients), slack(name)));
    }
}

fn degenerate_targets(entry: &Entry, config: &DiceCeConfig, name: &str, device: &Device, outcomes: &mut Outcomes) {
    let logits: Tensor<5> = tensor(entry.tensor("input.logits_0"), device);
    let target = entry.tensor("input.target_0");
    let last = (logits.dims()[1] - 1) as f32;
    let mut background = target.clone();
    background.values.fill(0.0);
    let mut last_absent = target.clone();
    last_absent.values.iter_mut().filter(|class| **class == last).for_each(|class| *class = 0.0);
    for (key, target) in [("all_background", background), ("last_class_absent", last_absent)] {
        let loss = config.loss(logits.clone(), &classes(&target, device)).loss;
        outcomes.push(entry.compare(&format!("expected.dc_ce_0_{key}"), &host(&loss), slack(name)));
    }
}

/// MONAI's `DiceLoss` and, where the variant's name says so, `DiceCELoss`, from its keyword arguments.
fn monai(entry: &Entry, (variant, options): (&str, &Map<String, Value>), name: &str, device: &Device, outcomes: &mut Outcomes) {
    let known = ["to_onehot_y", "softmax", "sigmoid", "squared_pred", "smooth_nr", "smooth_dr", "include_background", "batch"];
    let known = [&known[..], &["lambda_dice", "lambda_ce"]].concat();
    if let Some(option) = options.keys().find(|option| !known.contains(&option.as_str())) {
        outcomes.push(Err(format!("{}: {variant}: {option} is not offered", entry.name)));
        return;
    }
    let flag = |name: &str, default: bool| options.get(name).map_or(default, |value| value == true);
    let size = |name: &str, default: f64| options.get(name).map_or(default, number);
    let config = DiceCeConfig {
        batch_dice: flag("batch", false),
        include_background: flag("include_background", true),
        squared_prediction: flag("squared_pred", false),
        smooth_numerator: size("smooth_nr", 1e-5),
        smooth_denominator: size("smooth_dr", 1e-5),
        one_minus: true,
        dice_weight: size("lambda_dice", 1.0),
        ce_weight: if variant.starts_with("dice_ce") { size("lambda_ce", 1.0) } else { 0.0 },
    };
    let multilabel = flag("sigmoid", false);
    let input = if multilabel { "multilabel_logits" } else { "logits_0" };
    let logits = tensor::<5>(entry.tensor(&format!("input.{input}")), device).require_grad();
    let loss = if multilabel {
        config.regions_loss(logits.clone(), tensor(entry.tensor("input.multilabel_target"), device))
    } else {
        config.loss(logits.clone(), &classes(entry.tensor("input.target_0"), device))
    };
    outcomes.push(entry.compare(&format!("expected.monai_{variant}"), &host(&loss.loss), slack(name)));
    let gradients = loss.loss.backward();
    outcomes.push(entry.compare(&format!("grad.monai_{variant}.{input}"), &gradient(&logits, &gradients), slack(name)));
}
