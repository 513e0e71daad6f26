//! From a choice to a device that has proved to compute.
//!
//! Burn is given the very adapter chosen, as a wgpu device of ours: its own selection goes by kind and
//! cannot distinguish two alike. All limits and features that the adapter has are requested, since
//! wgpu's defaults stop at 128 MiB for a tensor.

use std::sync::Mutex;
use std::time::Duration;

use burn::tensor::wgpu::WgpuSetup;
use burn::tensor::{DType, Device, ExecutionError, Tensor};

use super::adapter::{Found, find, instance};
use super::candidate::Candidate;
use super::{AdapterDescription, DeviceChoice, DeviceDescription, DeviceError, bounded, on_host};

/// How long a driver may take to hand out a device and to compile and run a first kernel.
const OPENING_LIMIT: Duration = Duration::from_secs(60);

/// GPUs already opened: Burn never forgets a device, so that opening one anew each time would only pile them up.
static OPEN: Mutex<Vec<(AdapterDescription, Device)>> = Mutex::new(Vec::new());

/// A device ready to compute.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Burn's device, without autodiff.
    pub device: Device,
    /// What it is, for the records.
    pub description: DeviceDescription,
}

/// Opens the device asked for and proves it on a small sum.
///
/// The same adapter asked for twice is the same device, unless it was lost in between: then it is opened anew.
/// With `auto`, an adapter that fails is passed over, and the reason stands in the description's notes.
///
/// # Errors
/// No adapter that fits, a request refused, a wrong sum, or a driver that hangs or crashes.
pub fn open(choice: &DeviceChoice) -> Result<Opened, DeviceError> {
    let passes_over = *choice == DeviceChoice::Auto;
    let mut notes = Vec::new();
    let found = match choice {
        DeviceChoice::Cpu => Vec::new(),
        _ => match find() {
            Err(error) if passes_over => {
                notes.push(error.to_string());
                Vec::new()
            }
            found => found?,
        },
    };
    let adapters: Vec<_> = found.iter().map(|found| found.description.clone()).collect();
    for candidate in choice.candidates(&adapters)? {
        let opened = match candidate {
            Candidate::Cpu => Ok(Opened { device: Device::flex(), description: DeviceDescription::cpu() }),
            Candidate::Adapter(place) => open_adapter(&found[place]),
        };
        match opened {
            Err(error) if passes_over => notes.push(error.to_string()),
            Err(error) => return Err(error),
            Ok(mut opened) => {
                opened.description.notes.append(&mut notes);
                return Ok(opened);
            }
        }
    }
    unreachable!("a choice without a candidate is refused, and `auto` ends with the CPU")
}

/// Whether kernels can read and write float16.
///
/// # Errors
/// The CPU, and a GPU without `SHADER_F16`, which [`open`] asks for where it is there.
pub fn require_half(device: &Device) -> Result<(), DeviceError> {
    if !on_host(device) && device.supports_dtype(DType::F16) { Ok(()) } else { Err(DeviceError::NoHalf) }
}

/// Waits until the device has computed everything this thread asked of it.
///
/// Call it where a late error must surface, such as at log points: an operation that fails shows here.
///
/// # Errors
/// A lost device or a failed operation.
pub fn wait(device: &Device) -> Result<(), DeviceError> {
    device.sync().map_err(DeviceError::from)
}

impl From<ExecutionError> for DeviceError {
    fn from(error: ExecutionError) -> Self {
        match error {
            ExecutionError::DevicePoisoned { reason } => Self::Lost { reason },
            ExecutionError::WithContext { reason } | ExecutionError::Generic { reason, .. } => Self::Failed { reason },
        }
    }
}

fn open_adapter(found: &Found) -> Result<Opened, DeviceError> {
    let description = found.description.clone();
    // A panic while the lock was held left the list whole: it is changed by single calls.
    let mut open = OPEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let what = format!("opening {}", description.name);
    if let Some(place) = open.iter().position(|(known, _)| *known == description) {
        let known = open[place].1.clone();
        let name = description.name.clone();
        let proved = bounded(&what, OPENING_LIMIT, move || prove(&known, &name))?;
        if proved.is_ok() {
            return Ok(Opened { device: open[place].1.clone(), description: DeviceDescription::gpu(&description) });
        }
        open.swap_remove(place);
    }
    let fresh = found.clone();
    let device = bounded(&what, OPENING_LIMIT, move || {
        let device = request(&fresh)?;
        prove(&device, &fresh.description.name).map(|()| device)
    })??;
    open.push((description.clone(), device.clone()));
    Ok(Opened { device, description: DeviceDescription::gpu(&description) })
}

/// A Burn device on this very adapter.
fn request(found: &Found) -> Result<Device, DeviceError> {
    let refused = |reason: String| DeviceError::Refused { adapter: found.description.name.clone(), reason };
    let adapter = &found.adapter;
    // Experimental features are for other shader languages than WGSL, and mapping primary buffers is slow on discrete GPUs.
    let unwanted = wgpu::Features::all_experimental_mask() | wgpu::Features::MAPPABLE_PRIMARY_BUFFERS;
    let request = wgpu::DeviceDescriptor {
        label: Some("simtrot"),
        required_features: adapter.features().difference(unwanted),
        required_limits: adapter.limits(),
        // Burn pools its buffers itself.
        memory_hints: wgpu::MemoryHints::MemoryUsage,
        ..wgpu::DeviceDescriptor::default()
    };
    let (device, queue) = pollster::block_on(adapter.request_device(&request)).map_err(|error| refused(error.to_string()))?;
    let backend = adapter.get_info().backend;
    let setup = WgpuSetup { instance: instance().clone(), adapter: adapter.clone(), device, queue, backend };
    Device::wgpu_options().setup(setup).init().map_err(|error| refused(error.to_string()))
}

/// Adds small numbers on the device: fails on one that was lost, cannot compile a kernel or miscalculates.
fn prove(device: &Device, adapter: &str) -> Result<(), DeviceError> {
    let adapter = adapter.to_owned();
    let sum = Tensor::<1>::from_floats([1.0, 2.5, -4.0], device) + Tensor::from_floats([1.0, 0.5, 4.0], device);
    match sum.try_into_vec_as::<f32>() {
        Ok(found) if found == [2.0, 3.0, 0.0] => Ok(()),
        Ok(found) => Err(DeviceError::Wrong { adapter, found: format!("{found:?}"), expected: "[2.0, 3.0, 0.0]".to_owned() }),
        Err(error) => Err(DeviceError::Refused { adapter, reason: error.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DeviceKind, for_tests};
    use super::*;

    #[test]
    fn the_cpu_is_always_there() {
        let opened = open(&DeviceChoice::Cpu).unwrap();
        assert_eq!((opened.device, opened.description.kind), (Device::flex(), DeviceKind::Cpu));
        assert!(opened.description.threads >= 1 && !opened.description.name.is_empty());
    }

    #[test]
    fn half_precision_is_refused_on_the_cpu() {
        let refused = require_half(&Device::flex()).unwrap_err().to_string();
        assert!(refused.contains("infer.precision=full") && refused.contains("doctor"), "{refused}");
    }

    #[test]
    fn auto_is_the_best_adapter_that_is_no_software_and_else_the_cpu() {
        let hardware = find().unwrap_or_default().into_iter().map(|found| found.description).find(|adapter| !adapter.is_software());
        assert_eq!(open(&DeviceChoice::Auto).unwrap().description.adapter, hardware);
    }

    #[test]
    fn an_adapter_opened_twice_is_one_device_with_the_adapters_own_limits() {
        let mut twice = vec![[DeviceChoice::Cpu, DeviceChoice::Cpu]];
        twice.extend((for_tests().len() > 1).then_some([DeviceChoice::Gpu, DeviceChoice::GpuIndex(0)]));
        let mut opened = None;
        for choices in twice {
            let [first, second] = choices.each_ref().map(|choice| open(choice).unwrap());
            assert_eq!(first.device, second.device, "{choices:?}");
            opened = Some(first);
        }
        let first = opened.unwrap();
        let Some(adapter) = first.description.adapter else { return };
        assert_eq!(adapter.is_software(), first.description.notes.iter().any(|note| note.contains("software")));
        // Just over wgpu's default binding limit.
        let floats = (128 << 18) + 1024;
        if adapter.max_binding_bytes > 4 * floats as u64 {
            let last = (Tensor::<1>::ones([floats], &first.device) + 1.0).narrow(0, floats - 1, 1);
            assert_eq!(last.try_into_scalar::<f32>().unwrap(), 2.0);
        }
    }
}
