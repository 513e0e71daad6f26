//! What the user asks for: `auto | cpu | gpu | gpu:N | gpu:NAME`, and which adapters fit it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{AdapterDescription, DeviceError};

/// The device asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceChoice {
    /// The best hardware adapter, or else the CPU. A software adapter is slower than the CPU and never taken.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The best adapter, were it in software.
    Gpu,
    /// An adapter by its place in the list, from 0; a number beyond the list is looked for in the names (`gpu:4090`).
    GpuIndex(usize),
    /// The first adapter of the list whose name, driver or backend contains the text, capitals ignored.
    GpuName(String),
}

/// A text that names no device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no device: give auto, cpu, gpu, gpu:N (place in the list of `simtrot doctor`) or gpu:NAME (part of its name)")]
pub struct ChoiceError(pub String);

/// A device that fits a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Candidate {
    /// The CPU.
    Cpu,
    /// The adapter at this place in the list.
    Adapter(usize),
}

impl DeviceChoice {
    /// The devices that fit, in the order in which to try them: one, or for `auto` all hardware adapters and then the CPU.
    ///
    /// # Errors
    /// No adapter at all, or none that fits; the error lists what is there.
    pub(super) fn candidates(&self, adapters: &[AdapterDescription]) -> Result<Vec<Candidate>, DeviceError> {
        let only = |place: Option<usize>| match place {
            Some(place) => Ok(vec![Candidate::Adapter(place)]),
            None if adapters.is_empty() => Err(DeviceError::NoAdapter),
            None => Err(DeviceError::NoneFits { wanted: self.clone(), adapters: adapters.to_vec() }),
        };
        let named = |part: &str| adapters.iter().position(|adapter| adapter.is_called(part));
        match self {
            Self::Auto => {
                let hardware = adapters.iter().filter(|adapter| !adapter.is_software());
                Ok(hardware.map(|adapter| Candidate::Adapter(adapter.index)).chain([Candidate::Cpu]).collect())
            }
            Self::Cpu => Ok(vec![Candidate::Cpu]),
            Self::Gpu => only((!adapters.is_empty()).then_some(0)),
            Self::GpuIndex(index) if *index < adapters.len() => only(Some(*index)),
            Self::GpuIndex(index) => only(named(&index.to_string())),
            Self::GpuName(name) => only(named(name)),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = ChoiceError;

    fn from_str(text: &str) -> Result<Self, ChoiceError> {
        let wrong = || ChoiceError(text.to_owned());
        let (head, rest) = match text.split_once(':') {
            Some((head, rest)) => (head, Some(rest.trim())),
            None => (text, None),
        };
        match (head.trim().to_ascii_lowercase().as_str(), rest) {
            ("auto", None) => Ok(Self::Auto),
            ("cpu", None) => Ok(Self::Cpu),
            ("gpu", None) => Ok(Self::Gpu),
            ("gpu", Some("")) => Err(wrong()),
            ("gpu", Some(rest)) => Ok(rest.parse().map_or_else(|_| Self::GpuName(rest.to_owned()), Self::GpuIndex)),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Gpu => f.write_str("gpu"),
            Self::GpuIndex(index) => write!(f, "gpu:{index}"),
            Self::GpuName(name) => write!(f, "gpu:{name}"),
        }
    }
}

impl TryFrom<String> for DeviceChoice {
    type Error = ChoiceError;

    fn try_from(text: String) -> Result<Self, ChoiceError> {
        text.parse()
    }
}

impl From<DeviceChoice> for String {
    fn from(choice: DeviceChoice) -> Self {
        choice.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::super::AdapterKind;
    use super::*;

    fn adapter(index: usize, name: &str, kind: AdapterKind) -> AdapterDescription {
        AdapterDescription { index, name: name.to_owned(), kind, ..AdapterDescription::default() }
    }

    fn machine() -> Vec<AdapterDescription> {
        vec![
            adapter(0, "NVIDIA GeForce RTX 4090", AdapterKind::Discrete),
            adapter(1, "Intel(R) UHD Graphics 770", AdapterKind::Integrated),
            adapter(2, "llvmpipe (LLVM 15.0.6, 256 bits)", AdapterKind::Software),
        ]
    }

    #[test]
    fn a_choice_survives_its_text() {
        for text in ["auto", "cpu", "gpu", "gpu:1", "gpu:RTX 4090"] {
            let choice: DeviceChoice = text.parse().unwrap();
            assert_eq!(choice.to_string(), text);
            let json = serde_json::to_string(&choice).unwrap();
            assert_eq!(json, format!("{text:?}"));
            assert_eq!(serde_json::from_str::<DeviceChoice>(&json).unwrap(), choice);
        }
        for text in ["", "tpu", "gpu:", "gpu: ", "cpu:0", "gpu1"] {
            let error = text.parse::<DeviceChoice>().unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")) && error.contains("gpu:N"), "{error}");
        }
    }

    #[test]
    fn auto_tries_hardware_then_the_cpu_and_never_software() {
        let tried = DeviceChoice::Auto.candidates(&machine()).unwrap();
        assert_eq!(tried, [Candidate::Adapter(0), Candidate::Adapter(1), Candidate::Cpu]);
        assert_eq!(DeviceChoice::Auto.candidates(&machine()[2..]).unwrap(), [Candidate::Cpu]);
    }

    #[test]
    fn an_adapter_is_found_by_place_and_by_name() {
        for (text, place) in [("gpu", 0), ("gpu:1", 1), ("gpu:intel", 1), ("gpu:4090", 0), ("gpu:LLVMPIPE", 2)] {
            let choice: DeviceChoice = text.parse().unwrap();
            assert_eq!(choice.candidates(&machine()).unwrap(), [Candidate::Adapter(place)], "{text}");
        }
    }

    #[test]
    fn a_missing_adapter_is_refused_with_the_list() {
        for text in ["gpu:3", "gpu:radeon"] {
            let error = text.parse::<DeviceChoice>().unwrap().candidates(&machine()).unwrap_err().to_string();
            assert!(error.contains(text) && error.contains("gpu:1  Intel(R) UHD"), "{error}");
        }
        assert!(matches!(DeviceChoice::Gpu.candidates(&[]), Err(DeviceError::NoAdapter)));
    }
}
