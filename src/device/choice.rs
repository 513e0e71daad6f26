//! What the user asks for: `auto | cpu | gpu | gpu:N | gpu:NAME`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

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
    use super::*;

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
}
