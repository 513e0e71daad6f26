//! A measurement of collapse on made-up volumes.

use std::sync::Arc;
use std::time::Instant;

use burn::tensor::Device;

use super::{Noise, made_up_case};
use crate::config::RunConfig;
use crate::device::on_host;
use crate::sampling::{CaseSet, TokenFrame};
use crate::train::{Pretraining, Probe, ProbeData, TrainError};

/// Seconds of a measurement of collapse by the config's network and crop of pre-training, on so many held-out volumes of noise and so many
/// on which the label probe is fitted: on a GPU those of a second one: the first waits for kernels to be translated. None where `goes_on`,
/// asked before each batch of crops, says no.
///
/// # Errors
/// What the device cannot do.
pub fn probe_secs(
    config: &RunConfig,
    noise: Noise,
    [held_out, fitted]: [usize; 2],
    device: &Device,
    goes_on: &mut dyn FnMut() -> bool,
) -> Result<Option<f64>, String> {
    let (network, crop) = (config.model.backbone(), config.pretrain.crop_size);
    let frame = TokenFrame { crop, patch: network.patch_size(), stride: network.total_stride() };
    let cases = |purpose: &str, count: usize| -> CaseSet {
        (0..count).map(|number| Arc::new(made_up_case(&format!("{purpose}.{number}"), crop, noise))).collect()
    };
    let data = ProbeData { held_out: cases("bench.held_out", held_out), labelled: cases("bench.labelled", fitted), classes: noise.classes };
    let probe = Probe::new(&config.probe, frame, &data, config.seed).map_err(|error| error.to_string())?;
    let Pretraining { encoder, pretext } = Pretraining::init(config, noise.channels, device);
    let mut timed = || {
        let began = Instant::now();
        let measured = probe.measure(&encoder, Some(&pretext), &mut || if goes_on() { Ok(()) } else { Err(TrainError::Stopped) });
        match measured {
            Ok(_) => Ok(Some(began.elapsed().as_secs_f64())),
            Err(TrainError::Stopped) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    };
    let first = timed()?;
    let again = !on_host(device) && first.is_some();
    let found = if again { timed()? } else { first };
    if !on_host(device) {
        device.memory_cleanup();
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ModelConfig, UnetConfig};

    /// Two held-out volumes in three passes, two that are fitted on: of two crops each three batches of four, and one. The second measurement
    /// on a GPU asks as often.
    #[test]
    fn a_measurement_of_collapse_is_timed_and_ends_where_it_is_told_to() {
        let model = UnetConfig { features: vec![4, 8], strides: vec![[1; 3], [2; 3]], blocks: vec![1; 2], ..UnetConfig::default() };
        let mut config = RunConfig { model: ModelConfig::Unet(model), ..RunConfig::default() };
        config.pretrain.crop_size = [8; 3];
        config.probe.label_volumes = vec![2];
        let noise = Noise { channels: 2, classes: 4 };
        for (_, device) in crate::device::for_tests() {
            let mut asked = 0;
            let found = probe_secs(&config, noise, [2, 2], &device, &mut || {
                asked += 1;
                true
            });
            assert!(found.unwrap().is_some_and(|secs| secs > 0.0));
            assert_eq!(asked, if on_host(&device) { 4 } else { 8 });
            assert_eq!(probe_secs(&config, noise, [2, 2], &device, &mut || false), Ok(None));
        }
    }
}
