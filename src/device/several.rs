//! Several devices for one training, each of which takes an equal share of every batch.

use super::{DeviceChoice, DeviceError, Opened, on_host, open};

/// Opens the devices that are to share batches with `first`. The CPU may be named several times, its threads are shared out; a GPU only once.
///
/// # Errors
/// As [`open`], and a GPU that is named twice.
pub fn open_beside(first: &Opened, choices: &[DeviceChoice]) -> Result<Vec<Opened>, DeviceError> {
    let mut others: Vec<Opened> = Vec::new();
    for choice in choices {
        let opened = open(choice)?;
        let known = others.iter().chain([first]).any(|known| known.device == opened.device);
        if known && !on_host(&opened.device) {
            return Err(DeviceError::Twice { name: opened.description.name });
        }
        others.push(opened);
    }
    Ok(others)
}

/// Refuses a batch, the value of a setting, that cannot be shared out evenly among so many devices.
///
/// # Errors
/// The setting, and the next batch that can.
pub fn require_even((setting, batch): (&'static str, usize), devices: usize) -> Result<(), DeviceError> {
    match batch.is_multiple_of(devices) {
        true => Ok(()),
        false => Err(DeviceError::Uneven { setting, batch, devices }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::for_tests;

    #[test]
    fn the_cpu_may_be_named_twice_and_a_gpu_once() {
        let cpu = open(&DeviceChoice::Cpu).unwrap();
        assert_eq!(open_beside(&cpu, &[DeviceChoice::Cpu, DeviceChoice::Cpu]).unwrap().len(), 2);
        if for_tests().len() > 1 {
            let gpu = open(&DeviceChoice::Gpu).unwrap();
            let refused = open_beside(&gpu, &[DeviceChoice::Cpu, DeviceChoice::GpuIndex(0)]).unwrap_err().to_string();
            assert!(refused.contains("--devices") && refused.contains("twice"), "{refused}");
            assert_eq!(open_beside(&cpu, &[DeviceChoice::Gpu]).unwrap().len(), 1);
        }
    }

    #[test]
    fn a_batch_that_cannot_be_shared_out_is_refused_with_one_that_can() {
        assert_eq!((require_even(("finetune.batch", 4), 2), require_even(("finetune.batch", 3), 1)), (Ok(()), Ok(())));
        let refused = require_even(("finetune.batch", 3), 2).unwrap_err().to_string();
        assert!(refused.contains("finetune.batch is 3") && refused.contains("finetune.batch=4"), "{refused}");
    }
}
