//! A token preview as a safetensors file, so that the tokens of a finished run can be looked at as well.

use std::collections::HashMap;
use std::sync::Arc;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use super::{Stage, TokenPreview, TokenSet};

/// Where the description lies among the file's metadata.
const KEY: &str = "simtrot";

/// What a preview is besides its arrays.
#[derive(Serialize, Deserialize)]
struct Description {
    stage: Stage,
    step: usize,
    cases: Vec<String>,
    spacing_mm: Vec<[f64; 3]>,
}

impl TokenPreview {
    /// The preview as the content of a safetensors file: `voxels`, `encoder`, and `projected` where there are such tokens.
    ///
    /// # Panics
    /// If an array does not hold as many numbers as the preview says.
    pub fn to_safetensors(&self) -> Vec<u8> {
        let Self { stage, step, cases, channels, crop: [depth, height, width], spacing_mm, grid: [d, h, w], voxels, .. } = self;
        let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let tokens = |name, set: &TokenSet| (name, vec![cases.len(), *d, *h, *w, set.dim], bytes(&set.values));
        let mut arrays = vec![("voxels", vec![cases.len(), *channels, *depth, *height, *width], bytes(voxels))];
        arrays.push(tokens("encoder", &self.encoder));
        arrays.extend(self.projected.as_ref().map(|set| tokens("projected", set)));
        let views = arrays.iter().map(|(name, shape, bytes)| {
            (*name, TensorView::new(Dtype::F32, shape.clone(), bytes).expect("arrays hold what their shapes say"))
        });
        let description = Description { stage: stage.clone(), step: *step, cases: cases.clone(), spacing_mm: spacing_mm.clone() };
        let text = serde_json::to_string(&description).expect("plain data becomes JSON");
        safetensors::serialize(views, Some(HashMap::from([(KEY.to_owned(), text)]))).expect("a short header")
    }

    /// Reads what [`Self::to_safetensors`] made.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_safetensors(bytes: &[u8]) -> Result<Self, String> {
        let wrong = |error: safetensors::SafeTensorError| error.to_string();
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(wrong)?;
        let text = metadata.metadata().as_ref().and_then(|map| map.get(KEY)).ok_or("it does not say what it holds")?;
        let Description { stage, step, cases, spacing_mm } = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let file = SafeTensors::deserialize(bytes).map_err(wrong)?;
        let (voxels_shape, voxels) = array(&file, "voxels")?;
        let [_, channels, depth, height, width] = voxels_shape;
        let (shape, encoder) = array(&file, "encoder")?;
        let [_, d, h, w, dim] = shape;
        let projected = file.names().contains(&"projected").then(|| array(&file, "projected")).transpose()?;
        let first_axes = [voxels_shape[0], shape[0], spacing_mm.len()];
        let grids_agree = projected.as_ref().is_none_or(|(other, _)| other[..4] == shape[..4]);
        if first_axes.iter().any(|&volumes| volumes != cases.len()) || !grids_agree || cases.is_empty() {
            return Err("its arrays are of different volumes".to_owned());
        }
        Ok(Self {
            stage,
            step,
            cases,
            channels,
            crop: [depth, height, width],
            spacing_mm,
            grid: [d, h, w],
            voxels: Arc::new(voxels),
            projected: projected.map(|([.., dim], values)| TokenSet { dim, values }),
            encoder: TokenSet { dim, values: encoder },
        })
    }
}

/// The shape and the numbers of an array of five axes.
fn array(file: &SafeTensors<'_>, name: &str) -> Result<([usize; 5], Vec<f32>), String> {
    let view = file.tensor(name).map_err(|error| error.to_string())?;
    let shape = view.shape().try_into().map_err(|_| format!("{name} has {} axes instead of 5", view.shape().len()))?;
    if view.dtype() != Dtype::F32 {
        return Err(format!("{name} is {:?} instead of float32", view.dtype()));
    }
    Ok((shape, view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{RunFolder, StageKind};

    fn preview() -> TokenPreview {
        let numbers = |count: usize| (0..count).map(|n| n as f32 * 0.5 - 3.0).collect::<Vec<_>>();
        TokenPreview {
            stage: Stage { kind: StageKind::Pretrain, arm: "plain".to_owned() },
            step: 40,
            cases: vec!["a".to_owned(), "b".to_owned()],
            channels: 2,
            crop: [4, 6, 8],
            spacing_mm: vec![[2.0, 1.0, 1.0], [3.0, 0.5, 0.5]],
            grid: [1, 3, 2],
            voxels: Arc::new(numbers(2 * 2 * 192)),
            projected: Some(TokenSet { dim: 3, values: numbers(2 * 6 * 3) }),
            encoder: TokenSet { dim: 5, values: numbers(2 * 6 * 5) },
        }
    }

    #[test]
    fn tokens_come_back_from_a_run_s_folder() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::new(folder.path());
        let mut seen = preview();
        assert_eq!(run.read_tokens(&seen.stage).unwrap(), None);
        run.write_tokens(&seen).unwrap();
        assert_eq!(run.read_tokens(&seen.stage).unwrap().as_ref(), Some(&seen));
        assert_eq!(run.read_untrained_tokens(&seen.stage).unwrap(), None);
        let first = TokenPreview { step: 0, ..seen.clone() };
        run.write_tokens(&first).unwrap();
        (seen.projected, seen.step) = (None, 80);
        run.write_tokens(&seen).unwrap();
        assert_eq!(run.read_tokens(&seen.stage).unwrap().as_ref(), Some(&seen), "the newer stands in place of the older");
        assert_eq!(run.read_untrained_tokens(&seen.stage).unwrap(), Some(first), "the untrained encoder's stay");
        assert_eq!(std::fs::read_dir(folder.path().join("tokens")).unwrap().count(), 2);
    }

    #[test]
    fn a_file_that_holds_something_else_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::new(folder.path());
        let seen = preview();
        run.write_tokens(&seen).unwrap();
        let path = run.tokens_path(&seen.stage);
        let bytes = std::fs::read(&path).unwrap();
        for damaged in [&bytes[..bytes.len() - 1], &bytes[..40], b"{}"] {
            std::fs::write(&path, damaged).unwrap();
            let error = run.read_tokens(&seen.stage).unwrap_err().to_string();
            assert!(error.contains("pretrain_plain.safetensors"), "{error}");
        }
        let mut torn = seen;
        torn.spacing_mm.pop();
        std::fs::write(&path, torn.to_safetensors()).unwrap();
        assert!(run.read_tokens(&torn.stage).unwrap_err().to_string().contains("different volumes"));
    }
}
