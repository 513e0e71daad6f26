//! Reads `manifest.json` and its safetensors: inputs, weights and outputs of the reference implementations.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use serde_json::Value;

/// One tensor of a fixture, float32 on the host.
#[derive(Clone, Debug)]
pub struct Array {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// One entry of the manifest with its tensors loaded.
pub struct Entry {
    pub name: String,
    pub kind: String,
    pub manifest: Value,
    pub tensors: BTreeMap<String, Array>,
    pub folder: PathBuf,
}

/// The folder of fixtures: `SIMTROT_FIXTURES`, by default `tests/fixtures`.
pub fn folder() -> PathBuf {
    std::env::var_os("SIMTROT_FIXTURES").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"), PathBuf::from)
}

/// All entries of the manifest. A file that the manifest names and the folder lacks is an error.
pub fn entries() -> Vec<Entry> {
    let folder = folder();
    let path = folder.join("manifest.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let manifest: Value = serde_json::from_str(&text).expect("manifest.json is JSON");
    let fixtures = manifest["fixtures"].as_array().expect("manifest.json lists fixtures");
    fixtures.iter().map(|entry| Entry::load(&folder, entry)).collect()
}

impl Entry {
    fn load(folder: &Path, manifest: &Value) -> Self {
        let file = manifest["file"].as_str().expect("an entry names its file");
        let tensors = load(&folder.join(file));
        Self {
            name: file.trim_end_matches(".safetensors").to_owned(),
            kind: manifest["kind"].as_str().unwrap_or_default().to_owned(),
            manifest: manifest.clone(),
            tensors,
            folder: folder.to_owned(),
        }
    }

    /// The entry's hyper-parameters.
    pub fn hyper(&self) -> &Value {
        &self.manifest["hyper_parameters"]
    }

    /// A tensor by name.
    pub fn tensor(&self, name: &str) -> &Array {
        self.tensors.get(name).unwrap_or_else(|| panic!("{}: no tensor {name:?}", self.name))
    }

    /// The weights, named as in the reference's state dict.
    pub fn weights(&self) -> BTreeMap<String, Array> {
        named_weights(&self.tensors)
    }

    /// The weights of the file that `weights_from` names, overridden by the entry's own.
    pub fn all_weights(&self) -> BTreeMap<String, Array> {
        let mut weights = self.other("weights_from").map_or_else(BTreeMap::new, |tensors| named_weights(&tensors));
        weights.extend(self.weights());
        weights
    }

    /// The tensor `name`, from the file that the entry's field `field` names if it has that field.
    pub fn shared(&self, field: &str, name: &str) -> Array {
        match self.other(field) {
            Some(mut tensors) => tensors.remove(name).unwrap_or_else(|| panic!("{}: {field} has no tensor {name:?}", self.name)),
            None => self.tensor(name).clone(),
        }
    }

    fn other(&self, field: &str) -> Option<BTreeMap<String, Array>> {
        self.manifest[field].as_str().map(|file| load(&self.folder.join(file)))
    }

    /// (atol, rtol) for a tensor: its own entry, or the entry whose `*` pattern fits.
    pub fn tolerance(&self, name: &str) -> (f64, f64) {
        let table = self.manifest["tolerances"].as_object().expect("an entry has tolerances");
        let entry = table.get(name).or_else(|| table.iter().find(|(pattern, _)| fits(pattern, name)).map(|(_, entry)| entry));
        let entry = entry.unwrap_or_else(|| panic!("{}: no tolerance for {name:?}", self.name));
        (entry["atol"].as_f64().unwrap_or(0.0), entry["rtol"].as_f64().unwrap_or(0.0))
    }

    /// Compares `got` with the tensor `name`, the tolerance widened `slack` times (1 on the CPU).
    ///
    /// Ok(share of the tolerance used) or Err(description of the worst value). NaN matches NaN only, infinities themselves.
    pub fn compare(&self, name: &str, got: &[f32], slack: f64) -> Result<f64, String> {
        let expected = &self.tensor(name).values;
        let (atol, rtol) = self.tolerance(name);
        compare(&format!("{}: {name}", self.name), got, expected, atol * slack, rtol * slack)
    }
}

/// Elementwise `|got - expected| <= atol + rtol * |expected|`; see [`Entry::compare`].
pub fn compare(what: &str, got: &[f32], expected: &[f32], atol: f64, rtol: f64) -> Result<f64, String> {
    if got.len() != expected.len() {
        return Err(format!("{what}: {} values, expected {}", got.len(), expected.len()));
    }
    let mut worst = (0.0, 0);
    for (index, (&got, &expected)) in got.iter().zip(expected).enumerate() {
        if got == expected || (got.is_nan() && expected.is_nan()) {
            continue;
        }
        let used = (f64::from(got) - f64::from(expected)).abs() / (atol + rtol * f64::from(expected).abs());
        let used = if used.is_nan() { f64::INFINITY } else { used };
        if used > worst.0 {
            worst = (used, index);
        }
    }
    let (used, index) = worst;
    if used <= 1.0 {
        Ok(used)
    } else {
        Err(format!("{what}[{index}]: got {}, expected {}, {used:.2} times the tolerance", got[index], expected[index]))
    }
}

/// Whether `name` fits a pattern in which `*` stands for anything.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(head) else { return false };
    loop {
        if fits(rest, name) {
            return true;
        }
        let mut chars = name.chars();
        if chars.next().is_none() {
            return false;
        }
        name = chars.as_str();
    }
}

fn load(path: &Path) -> BTreeMap<String, Array> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file = SafeTensors::deserialize(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    file.tensors()
        .into_iter()
        .map(|(name, view)| {
            let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
            (name, Array { shape: view.shape().to_vec(), values })
        })
        .collect()
}

/// The tensors `weights.NAME`, as NAME.
fn named_weights(tensors: &BTreeMap<String, Array>) -> BTreeMap<String, Array> {
    tensors.iter().filter_map(|(name, array)| Some((name.strip_prefix("weights.")?.to_owned(), array.clone()))).collect()
}

/// A JSON list of whole numbers as an array of three.
pub fn triple(value: &Value) -> [usize; 3] {
    let list = list(value);
    list.try_into().unwrap_or_else(|list| panic!("{list:?} is not a list of three"))
}

/// A JSON list of whole numbers.
pub fn list(value: &Value) -> Vec<usize> {
    value
        .as_array()
        .unwrap_or_else(|| panic!("{value} is not a list"))
        .iter()
        .map(|v| v.as_u64().expect("a whole number") as usize)
        .collect()
}
