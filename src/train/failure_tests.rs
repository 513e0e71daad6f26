//! What a device cannot do ends a training at its first step, with the name of the operation.

use burn::tensor::Tensor;

use super::devices::BatchLoss;
use super::session::{Control, Session, TrainError};
use super::testing::{prepared, tiny};
use super::training_loop::{Parents, RunContext, TrainingLoop, TrainingTask};
use super::*;
use crate::config::RunConfig;
use crate::device::{DeviceChoice, Peers, open};
use crate::kernels::linear;
use crate::model::{Pass, Segmenter};
use crate::objective::{DiceCeConfig, Loss, classes_from_host};
use crate::protocol::{Stage, StageKind};

const ROWS: usize = 1 << 16;

/// A fine-tuning whose images are made of a product larger than any tensor of the device.
struct TooLarge;

impl BatchLoss for TooLarge {
    type Model = Segmenter;
    /// Columns of the product.
    type Batch = usize;

    fn shares(&columns: &usize, count: usize) -> Vec<usize> {
        vec![columns; count]
    }

    fn forward_loss(_: &RunConfig, network: &Segmenter, columns: usize, pass: Pass, _: &Peers) -> (Loss, Vec<String>) {
        let device = burn::module::Module::devices(network).pop().expect("a network has parameters");
        let product = linear(Tensor::<2>::ones([ROWS, 1], &device), Tensor::ones([1, columns], &device), None);
        let image = Tensor::<5>::zeros([1, 1, 8, 8, 8], &device) + product.slice([0..1, 0..1]).reshape([1; 5]);
        let classes = classes_from_host(&[0; 512], [1, 8, 8, 8], &device);
        (DiceCeConfig::nnunet().deep_supervision(network.forward(image, pass), &classes), vec!["case".to_owned()])
    }
}

impl TrainingTask for TooLarge {
    const BEST_BY_LOSS: bool = false;

    fn measure_every(&self) -> Option<usize> {
        None
    }

    fn measure(&self, _: &mut TrainingLoop<'_, Segmenter>) -> Result<(), TrainError> {
        Ok(())
    }
}

#[test]
fn the_first_step_names_the_operation_that_the_device_cannot_do() {
    let Ok(opened) = open(&DeviceChoice::Gpu) else { return };
    let most = opened.description.adapter.expect("a GPU is an adapter").max_binding_bytes;
    let columns = (most / 4 / ROWS as u64 + 1024) as usize;
    let config = tiny(2, 16);
    let (cases, info) = prepared(&config, None);
    let folder = tempfile::tempdir().expect("a folder");
    let session = Session {
        stage: Stage { kind: StageKind::Finetune, arm: String::new() },
        device: opened.device.clone(),
        beside: Vec::new(),
        checkpoints: folder.path().to_owned(),
        resume: false,
        max_steps: None,
        memory: None,
        emit: &|_| {},
        show: &|_| {},
        control: &|| Control::Continue,
    };
    let network = init_segmenter(&config, &info, &opened.device.autodiff());
    let context = RunContext { session: &session, config: &config, dataset: &info, cases: cases.len() };
    let start = |network| Ok((network, Parents::default()));
    let training = TrainingLoop::begin(context, (&config.finetune).into(), network, start).expect("a new training");
    let Err(error) = training.run(&TooLarge, 0, move |_| Ok(columns)) else { panic!("it was computed after all") };
    let text = error.to_string();
    assert!(text.starts_with("the device failed at step 1, on case: in linear: "), "{text}");
}
