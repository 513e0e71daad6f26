//! Which devices fit a choice.

use super::{AdapterDescription, DeviceChoice, DeviceError};

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
