//! Turns gradients into steps: SGD with Nesterov momentum or AdamW, as PyTorch defines them.
//!
//! What the optimiser remembers is keyed by the parameter's path in the module (`stages.0.norm.gamma`), which another process
//! builds alike, so that a run resumes exactly where it stopped. Burn's own optimisers key by an id drawn at random; besides,
//! their bias correction is in single precision, and their clipping is for each parameter alone.

use std::collections::{BTreeMap, HashMap};

use burn::module::{Module, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::gradients::{GradientNorm, flattened};
use super::step_rule::{Moments, Step, take_steps};
use crate::config::OptimiserConfig;
use crate::model::{Parameter, parameters, update_parameters};

/// An optimiser and all it remembers.
#[derive(Clone, Debug)]
pub struct Optimiser {
    config: OptimiserConfig,
    steps: u64,
    moments: BTreeMap<String, Moments>,
}

/// Why a saved optimiser cannot be resumed.
#[derive(Debug, thiserror::Error)]
pub enum OptimiserError {
    /// The bytes are no safetensors file.
    #[error("the optimiser's state is no safetensors file: {0}; it is damaged: start from the weights alone")]
    Format(#[from] safetensors::SafeTensorError),
    /// An entry is missing or not as it is written here.
    #[error("the optimiser's state has no proper {entry:?}; it was written by another program or version: start from the weights alone")]
    Entry {
        /// Its name.
        entry: String,
    },
    /// It was saved under another rule.
    #[error("the optimiser's state is of {found}, the config asks for {expected}: change the config, or start from the weights alone")]
    Rule {
        /// In the file.
        found: String,
        /// In the config.
        expected: &'static str,
    },
    /// A parameter differs from that of the module.
    #[error("the optimiser's state holds {found} numbers for {path:?}, the model {expected}: model and state are not of the same run")]
    Parameter {
        /// Path in the module.
        path: String,
        /// Numbers in the file.
        found: usize,
        /// Numbers in the module; 0 if it has no such parameter.
        expected: usize,
    },
}

impl Optimiser {
    /// An optimiser that has taken no step.
    pub fn new(config: OptimiserConfig) -> Self {
        Self { config, steps: 0, moments: BTreeMap::new() }
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The module after one step along `gradients` at rate `lr`. A parameter without a gradient stays as it is.
    pub fn step<M: Module>(&mut self, module: M, gradients: GradientsParams, lr: f64) -> M {
        self.step_at(module, gradients, None, &|_| lr)
    }

    /// The same with a rate for each parameter, along gradients that are still to be clipped where `norm` says so.
    pub fn step_at<M: Module>(
        &mut self,
        module: M,
        gradients: GradientsParams,
        norm: Option<&GradientNorm>,
        rate: &dyn Fn(ParamId) -> f64,
    ) -> M {
        self.steps += 1;
        let clipping = norm.and_then(GradientNorm::unread);
        let mut gradients = flattened(&module, gradients);
        update_parameters(module, |parameters| {
            let (mut paths, mut steps) = (Vec::new(), Vec::new());
            let start = |Parameter { path, id, value }: Parameter| {
                let Some(gradient) = gradients.remove(&id) else { return Some(value) };
                let moments = self.moments.remove(&path).unwrap_or_else(|| Moments::new(&self.config, &value));
                paths.push(path);
                steps.push(Step { lr: rate(id), value, moments, gradient });
                None
            };
            let kept: Vec<Option<Tensor<1>>> = parameters.into_iter().map(start).collect();
            let mut stepped = paths.into_iter().zip(take_steps(&self.config, steps, clipping)).map(|(path, (value, moments))| {
                self.moments.insert(path, moments);
                value
            });
            kept.into_iter().map(|value| value.unwrap_or_else(|| stepped.next().expect("a value of each step"))).collect()
        })
    }

    /// The momentum of each parameter by path, on the host.
    pub fn momentum(&self) -> BTreeMap<&str, TensorData> {
        self.moments.iter().map(|(path, moments)| (path.as_str(), moments.first.to_data())).collect()
    }

    /// The whole state as a safetensors file: `first.PATH`, for AdamW `second.PATH`, `steps.PATH`; the rule in its header.
    pub fn to_bytes(&self) -> Vec<u8> {
        let numbers = |name: String, tensor: &Tensor<1>| {
            let data = tensor.to_data();
            let values = data.as_slice::<f32>().expect("moments are f32");
            (name, Dtype::F32, values.len(), values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())
        };
        let count = |name: String, count: u64| (name, Dtype::U64, 1, count.to_le_bytes().to_vec());
        let mut entries = vec![count("steps".to_owned(), self.steps)];
        for (path, Moments { first, second, steps }) in &self.moments {
            entries.push(numbers(format!("first.{path}"), first));
            entries.extend(second.iter().map(|second| numbers(format!("second.{path}"), second)));
            entries.push(count(format!("steps.{path}"), *steps));
        }
        let views = entries.iter().map(|(name, dtype, length, bytes)| {
            (name, TensorView::new(*dtype, vec![*length], bytes).expect("as many bytes as numbers take"))
        });
        let header = HashMap::from([("rule".to_owned(), rule(&self.config).to_owned())]);
        safetensors::serialize(views, Some(header)).expect("names are distinct and lengths fit")
    }

    /// The optimiser saved by [`Optimiser::to_bytes`], for a module built anew.
    ///
    /// # Errors
    /// A damaged file, another rule than `config`'s, or parameters that are not `module`'s.
    pub fn from_bytes<M: Module>(config: OptimiserConfig, bytes: &[u8], module: &M) -> Result<Self, OptimiserError> {
        let (_, header) = SafeTensors::read_metadata(bytes)?;
        let found = header.metadata().as_ref().and_then(|header| header.get("rule")).cloned().unwrap_or_default();
        if found != rule(&config) {
            return Err(OptimiserError::Rule { found, expected: rule(&config) });
        }
        let file = SafeTensors::deserialize(bytes)?;
        let places: BTreeMap<String, Tensor<1>> = parameters(module).into_iter().collect();
        let mut optimiser = Self { config, steps: count(&file, "steps")?, moments: BTreeMap::new() };
        let mut names = file.names();
        names.sort_unstable();
        for path in names.iter().filter_map(|name| name.strip_prefix("first.")) {
            let first = numbers(&file, &format!("first.{path}"))?;
            let place = places.get(path);
            let expected = place.map_or(0, |value| value.shape().num_elements());
            let Some(place) = place.filter(|_| first.len() == expected) else {
                return Err(OptimiserError::Parameter { path: path.to_owned(), found: first.len(), expected });
            };
            let on_device = |values: Vec<f32>| Tensor::<1>::from_data(values.as_slice(), &place.device());
            let second = match config {
                OptimiserConfig::Sgd { .. } => None,
                OptimiserConfig::AdamW { .. } => {
                    let entry = format!("second.{path}");
                    let second = numbers(&file, &entry)?;
                    Some(second).filter(|second| second.len() == expected).ok_or(OptimiserError::Entry { entry }).map(Some)?
                }
            };
            let moments =
                Moments { first: on_device(first), second: second.map(on_device), steps: count(&file, &format!("steps.{path}"))? };
            optimiser.moments.insert(path.to_owned(), moments);
        }
        Ok(optimiser)
    }
}

/// The rule's name in a saved state.
fn rule(config: &OptimiserConfig) -> &'static str {
    match config {
        OptimiserConfig::Sgd { .. } => "sgd",
        OptimiserConfig::AdamW { .. } => "adam_w",
    }
}

/// Numbers of an entry of a saved state.
fn numbers(file: &SafeTensors, entry: &str) -> Result<Vec<f32>, OptimiserError> {
    let view = file.tensor(entry).ok().filter(|view| view.dtype() == Dtype::F32);
    let view = view.ok_or_else(|| OptimiserError::Entry { entry: entry.to_owned() })?;
    let (words, _) = view.data().as_chunks::<4>();
    Ok(words.iter().map(|&word| f32::from_le_bytes(word)).collect())
}

/// A count in a saved state.
fn count(file: &SafeTensors, entry: &str) -> Result<u64, OptimiserError> {
    let view = file.tensor(entry).ok().filter(|view| view.dtype() == Dtype::U64);
    let count = view.and_then(|view| view.data().first_chunk().map(|&word| u64::from_le_bytes(word)));
    count.ok_or_else(|| OptimiserError::Entry { entry: entry.to_owned() })
}

#[cfg(test)]
#[path = "optimiser_tests.rs"]
mod tests;
