//! Losses and their gradients against the paper's equations and MONAI / nnU-Net, in double precision.

use burn::tensor::{Device, Gradients, Int, Tensor, TensorData};
use serde_json::{Map, Value};
use simtrot::device::for_tests;
use simtrot::objective::dice_ce::{DiceCeConfig, classes_from_host, deep_supervision_weights, downsample};
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
            let tau = case["tau"].as_f64().expect("tau");
            for (equation, weight) in [("eq1", 1.0), ("eq3", case["w"].as_f64().expect("w"))] {
                let views = ["z", "zhat"].map(|view| tensor::<3>(entry.tensor(&format!("input.{number}.{view}")), &device).require_grad());
                let [z, z_hat] = views.clone();
                let output = TokenContrast::new(tau, weight).forward(z, z_hat);
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
    println!("{:28} eq. 2 (B-TROT): not yet", entry.name);
    outcomes
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
