use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};

use super::*;
use crate::device::for_tests;
use crate::train::testing::by_hand;

const SGD: OptimiserConfig = OptimiserConfig::Sgd { lr: 0.01, momentum: 0.99, weight_decay: 3e-5 };
const ADAM_W: OptimiserConfig = OptimiserConfig::AdamW { lr: 0.01, weight_decay: 0.1 };

#[derive(Module, Debug)]
struct Net {
    layers: Vec<Linear>,
    unused: Option<Linear>,
}

/// The same weights for every call, but other parameter ids.
fn net(device: &Device) -> Net {
    let layer = |shift: f32| {
        let mut layer = LinearConfig::new(3, 3).init(device);
        let weight = Tensor::<1>::from_floats([0.3, -0.2, 0.1, 0.5, -0.4, 0.2, 0.7, -0.1, -0.6], device) + shift;
        layer.weight = layer.weight.map(|_| weight.reshape([3, 3]).require_grad());
        layer.bias = layer.bias.map(|bias| bias.map(|bias| bias.zeros_like().require_grad()));
        layer
    };
    Net { layers: vec![layer(0.0), layer(0.1)], unused: Some(layer(0.2)) }
}

fn run(mut net: Net, optimiser: &mut Optimiser, steps: std::ops::Range<usize>, device: &Device) -> Net {
    for step in steps {
        let input = Tensor::<2>::from_floats([[0.1, 0.2, -0.3], [1.0, -1.0, 0.5]], device) * (1.0 + step as f64);
        let hidden = net.layers.iter().fold(input, |input, layer| layer.forward(input).tanh());
        let gradients = GradientsParams::from_grads(hidden.square().mean().backward(), &net);
        net = optimiser.step(net, gradients, 0.05);
    }
    net
}

fn weights(net: &Net) -> Vec<u32> {
    let layers = net.layers.iter().chain(&net.unused);
    layers.flat_map(|layer| layer.weight.val().inner().into_data().iter::<f32>().map(f32::to_bits).collect::<Vec<_>>()).collect()
}

#[test]
fn resuming_in_a_new_module_is_exact_to_the_bit() {
    let device = Device::flex().autodiff();
    for config in [SGD, ADAM_W] {
        let mut whole = Optimiser::new(config);
        let straight = run(net(&device), &mut whole, 0..7, &device);

        let mut first = Optimiser::new(config);
        let half = run(net(&device), &mut first, 0..3, &device);
        let mut fresh = net(&device);
        fresh.layers = fresh.layers.into_iter().zip(&half.layers).map(|(new, old)| copy(new, old)).collect();
        let mut resumed = Optimiser::from_bytes(config, &first.to_bytes(), &fresh).unwrap();
        let resumed_net = run(fresh, &mut resumed, 3..7, &device);

        assert_eq!(weights(&straight), weights(&resumed_net), "{config:?}");
        assert_eq!(whole.to_bytes(), resumed.to_bytes());
        assert_eq!(resumed.steps(), 7);
        let paths: Vec<_> = whole.momentum().into_keys().collect();
        assert_eq!(paths, ["layers.0.bias", "layers.0.weight", "layers.1.bias", "layers.1.weight"], "`unused` took no step");
    }
}

fn copy(mut new: Linear, old: &Linear) -> Linear {
    let value = |tensor: &Param<Tensor<2>>| tensor.val().inner().into_data();
    new.weight = new.weight.map(|weight| Tensor::from_data(value(&old.weight), &weight.device()).require_grad());
    let bias = old.bias.as_ref().map(|bias| bias.val().inner().into_data());
    new.bias = new.bias.zip(bias).map(|(new, old)| new.map(|new| Tensor::from_data(old, &new.device()).require_grad()));
    new
}

#[test]
fn state_of_another_rule_or_model_is_refused() {
    let device = Device::flex().autodiff();
    let mut optimiser = Optimiser::new(SGD);
    let trained = run(net(&device), &mut optimiser, 0..1, &device);
    let bytes = optimiser.to_bytes();
    let refused = |outcome: Result<Optimiser, OptimiserError>| outcome.unwrap_err().to_string();
    assert!(refused(Optimiser::from_bytes(ADAM_W, &bytes, &trained)).contains("is of sgd, the config asks for adam_w"));
    assert!(refused(Optimiser::from_bytes(SGD, &bytes, &trained.layers)).contains("\"layers.0.bias\""));
    assert!(refused(Optimiser::from_bytes(SGD, &bytes[..9], &trained)).contains("damaged"));
}

/// A module of one vector.
#[derive(Module, Debug)]
struct Vector {
    x: Param<Tensor<1>>,
}

/// `torch.optim.SGD` and `torch.optim.AdamW(lr=0.01, weight_decay=0.1)`: from 1 and -2 with gradients 0.5 and -3, then 0.1 and 4. After one
/// step of AdamW the bias-corrected ratio is the gradient's sign, whatever its size.
#[test]
fn both_rules_take_the_steps_of_torch() {
    let by_hand = |rule| [by_hand(rule, 0.01, 1.0, [0.5, 0.1]), by_hand(rule, 0.01, -2.0, [-3.0, 4.0])];
    let adam_w = by_hand(ADAM_W);
    assert!((adam_w[0][0] - (1.0 - 0.001 - 0.01)).abs() < 1e-9 && (adam_w[1][0] - (-2.0 + 0.002 + 0.01)).abs() < 1e-9);
    for (name, device) in for_tests() {
        for rule in [SGD, ADAM_W] {
            let (device, expected) = (device.clone().autodiff(), by_hand(rule));
            let x = Tensor::<1>::from_floats([1.0, -2.0], &device).require_grad();
            let mut vector = Vector { x: Param::from_tensor(x) };
            let mut optimiser = Optimiser::new(rule);
            for (step, gradient) in [[0.5_f32, -3.0], [0.1, 4.0]].into_iter().enumerate() {
                let mut gradients = GradientsParams::new();
                gradients.register(vector.x.id, Tensor::<1>::from_floats(gradient, &device.clone().inner()));
                vector = optimiser.step(vector, gradients, 0.01);
                assert!(vector.x.val().is_require_grad());
                for (got, expected) in vector.x.val().into_data().iter::<f64>().zip(&expected) {
                    assert!((got - expected[step]).abs() < 3e-7, "{name}, {rule:?}: {got} is not {}", expected[step]);
                }
            }
        }
    }
}

#[test]
fn a_parameter_of_many_chunks_is_updated_throughout() {
    let device = Device::flex();
    let count = 100_001;
    let mut vector = Vector { x: Param::initialized(ParamId::new(), Tensor::<1>::ones([count], &device)) };
    let mut optimiser = Optimiser::new(SGD);
    let mut gradients = GradientsParams::new();
    gradients.register(vector.x.id, Tensor::<1>::ones([count], &device));
    vector = optimiser.step(vector, gradients, 0.5);
    let gradient = 1.0 + 3e-5_f32;
    let expected = 1.0 - 0.5 * (gradient + 0.99 * gradient);
    assert!(vector.x.val().into_data().iter::<f32>().all(|value| (value - expected).abs() < 1e-6));
}

/// From no momentum, and without decay, a parameter moves by `lr * (1 + momentum)` times its gradient.
#[test]
fn each_parameter_steps_along_its_own_gradient_at_its_own_rate() {
    for (name, device) in for_tests() {
        let module = net(&device.clone().autodiff());
        let (before, unused) = (numbers(&module), module.unused.clone());
        let ids: Vec<ParamId> = module.layers.iter().flat_map(|layer| [layer.weight.id, layer.bias.as_ref().unwrap().id]).collect();
        let number = |id| 1.0 + ids.iter().position(|&known| known == id).unwrap() as f64;
        let mut gradients = GradientsParams::new();
        for layer in &module.layers {
            let bias = layer.bias.as_ref().unwrap().id;
            gradients.register(layer.weight.id, Tensor::<2>::full([3, 3], number(layer.weight.id), &device));
            gradients.register(bias, Tensor::<1>::full([3], number(bias), &device));
        }
        let mut optimiser = Optimiser::new(OptimiserConfig::Sgd { lr: 0.1, momentum: 0.5, weight_decay: 0.0 });
        let module = optimiser.step_at(module, gradients, None, &|id| 0.01 * number(id));
        for (place, (before, after)) in before.iter().zip(numbers(&module)).enumerate() {
            let number = (place + 1) as f64;
            let moved = 0.01 * number * 1.5 * number;
            assert_eq!(before.len(), after.len());
            before.iter().zip(after).for_each(|(before, after)| assert!((before - moved - after).abs() < 1e-6, "{name}: {place}"));
        }
        let weight = |layer: &Option<Linear>| layer.as_ref().unwrap().weight.val();
        assert_eq!(weight(&module.unused).into_data(), weight(&unused).into_data(), "{name}");
        assert!(module.layers[0].weight.val().is_require_grad() && weight(&module.unused).is_require_grad(), "{name}");
        assert_eq!(optimiser.momentum().len(), 4, "{name}");
    }
}

/// Weight and bias of each layer.
fn numbers(net: &Net) -> Vec<Vec<f64>> {
    let of = |layer: &Linear| [layer.weight.val().into_data(), layer.bias.as_ref().unwrap().val().into_data()];
    net.layers.iter().flat_map(of).map(|data| data.iter::<f64>().collect()).collect()
}
