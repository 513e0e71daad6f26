//! What a training step costs on a device that Burn reaches over the network: the same steps on this processor, and on the same processor
//! served by another process at 127.0.0.1. Prints the median seconds of a step, the bytes over loopback, and whether the losses are equal.

use std::time::Instant;

use burn::module::Module;
use burn::nn::attention::{MhaInput, MultiHeadAttention, MultiHeadAttentionConfig};
use burn::nn::conv::{Conv3d, Conv3dConfig};
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig, PaddingConfig3d};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::remote::RemoteHost;
use burn::server::{RemoteServer, WebSocketTransport};
use burn::tensor::activation::{gelu, relu};
use burn::tensor::{Device, Tensor, TensorData};

const STEPS: usize = 20;

/// Three convolutions of 3x3x3 and a linear head: 1 -> 16 -> 16 -> 16 -> 3.
#[derive(Module, Debug)]
struct Convolutions {
    layers: Vec<Conv3d>,
    head: Linear,
}

/// A transformer block of 256 tokens of 96 numbers: attention of 3 heads, and an MLP of four times the width.
#[derive(Module, Debug)]
struct Block {
    norms: Vec<LayerNorm>,
    attention: MultiHeadAttention,
    mlp: Vec<Linear>,
}

trait Network: Module {
    fn new(device: &Device) -> Self;
    /// Shape of the input.
    const INPUT: &'static [usize];
    fn loss(&self, input: TensorData, device: &Device) -> Tensor<1>;
}

impl Network for Convolutions {
    fn new(device: &Device) -> Self {
        let layer =
            |channels: usize| Conv3dConfig::new([channels, 16], [3; 3]).with_padding(PaddingConfig3d::Explicit(1, 1, 1)).init(device);
        Self { layers: [1, 16, 16].map(layer).into(), head: LinearConfig::new(16, 3).init(device) }
    }
    const INPUT: &'static [usize] = &[2, 1, 32, 32, 32];
    fn loss(&self, input: TensorData, device: &Device) -> Tensor<1> {
        let x = self.layers.iter().fold(Tensor::<5>::from_data(input, device), |x, layer| relu(layer.forward(x)));
        let x = self.head.forward(x.reshape([2, 16, 32 * 32 * 32]).swap_dims(1, 2));
        (x - 1.0).square().mean()
    }
}

impl Network for Block {
    fn new(device: &Device) -> Self {
        let attention = MultiHeadAttentionConfig::new(96, 3).with_dropout(0.0).init(device);
        let norms = vec![LayerNormConfig::new(96).init(device), LayerNormConfig::new(96).init(device)];
        Self { norms, attention, mlp: vec![LinearConfig::new(96, 384).init(device), LinearConfig::new(384, 96).init(device)] }
    }
    const INPUT: &'static [usize] = &[2, 256, 96];
    fn loss(&self, input: TensorData, device: &Device) -> Tensor<1> {
        let x = Tensor::<3>::from_data(input, device);
        let attended = self.attention.forward(MhaInput::self_attn(self.norms[0].forward(x.clone()))).context;
        let x = x + attended;
        let x = x.clone() + self.mlp[1].forward(gelu(self.mlp[0].forward(self.norms[1].forward(x))));
        (x - 1.0).square().mean()
    }
}

/// Bytes that the loopback interface has received since the computer started.
fn loopback_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/net/dev").expect("Linux");
    let line = text.lines().find_map(|line| line.trim().strip_prefix("lo:")).expect("a loopback interface");
    line.split_whitespace().next().and_then(|bytes| bytes.parse().ok()).expect("a count")
}

/// Median seconds and kilobytes of a step, and the losses. The first two steps, which send the weights and warm up, count in the losses alone.
fn train<N: Network>(mut network: N, device: &Device) -> (f64, f64, Vec<f32>) {
    let mut optimiser = AdamWConfig::new().init();
    let (mut secs, mut losses, mut bytes) = (Vec::new(), Vec::new(), 0);
    for step in 0..STEPS + 2 {
        if step == 2 {
            bytes = loopback_bytes();
        }
        let numbers = (0..N::INPUT.iter().product()).map(|index: usize| ((index * 37 + step * 1009) % 101) as f32 / 101.0);
        let input = TensorData::new(numbers.collect::<Vec<f32>>(), N::INPUT.to_vec());
        let began = Instant::now();
        let loss = network.loss(input, device);
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        network = optimiser.step(1e-3, network, gradients);
        // The only read: the step is waited for.
        losses.push(loss.into_scalar::<f32>());
        device.sync().expect("the device computes");
        secs.push(began.elapsed().as_secs_f64());
    }
    let mut secs = secs.split_off(2);
    secs.sort_by(f64::total_cmp);
    (secs[STEPS / 2], (loopback_bytes() - bytes) as f64 / STEPS as f64 / 1e3, losses)
}

fn compare<N: Network>(name: &str, local: &Device, remote: &Device) {
    local.seed(7);
    let network = N::new(local);
    let there = network.clone().fork(remote);
    let (secs, _, losses) = train(network, local);
    let (remote_secs, kilobytes, remote_losses) = train(there, remote);
    let apart = losses.iter().zip(&remote_losses).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
    println!("{name}: {secs:.4} s here, {remote_secs:.4} s remote, {kilobytes:.0} kB a step over loopback");
    println!("  losses {} ... {}; largest difference {apart}", losses[0], losses[losses.len() - 1]);
}

fn main() {
    if let Some(port) = std::env::args().nth(1) {
        let listener = std::net::TcpListener::bind(format!("127.0.0.1:{port}")).expect("a free port");
        return RemoteServer::new([Device::flex()]).serve(WebSocketTransport::from_listener(listener)).expect("it serves");
    }
    let mut server = std::process::Command::new(std::env::current_exe().expect("a program")).arg("39391").spawn().expect("it starts");
    std::thread::sleep(std::time::Duration::from_secs(2));
    let remote = Device::remote_options(&RemoteHost::websocket("ws://127.0.0.1:39391")).init().expect("the server answers").autodiff();
    let local = Device::flex().autodiff();
    compare::<Convolutions>("convolutions", &local, &remote);
    compare::<Block>("transformer block", &local, &remote);
    server.kill().expect("a child");
}
