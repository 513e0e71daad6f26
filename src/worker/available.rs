//! The devices that jobs can be given, as a list to choose from.

use crate::device::{self, DeviceChoice, DeviceDescription};

/// A device to choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AvailableDevice {
    /// What to ask for to get it.
    pub choice: DeviceChoice,
    /// Its name, for a person.
    pub name: String,
    /// Whether it is a GPU that the CPU imitates: right, but slower than the CPU itself.
    pub software: bool,
}

/// Automatic choice, CPU, and every adapter; the second value says why there may be fewer adapters than hoped for.
pub fn available_devices() -> (Vec<AvailableDevice>, Option<String>) {
    let (adapters, trouble) = match device::list() {
        Ok(adapters) => (adapters, None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    let cpu = DeviceDescription::cpu().name;
    let best = adapters.iter().find(|adapter| !adapter.is_software()).map_or(&cpu, |adapter| &adapter.name);
    let offer = |choice, name: String, software| AvailableDevice { choice, name, software };
    let mut offered =
        vec![offer(DeviceChoice::Auto, format!("Automatic: {best}"), false), offer(DeviceChoice::Cpu, format!("CPU: {cpu}"), false)];
    offered.extend(adapters.into_iter().map(|adapter| {
        let software = adapter.is_software();
        offer(DeviceChoice::GpuIndex(adapter.index), format!("{} ({})", adapter.name, adapter.backend), software)
    }));
    (offered, trouble)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_and_the_cpu_are_always_offered_and_software_is_never_the_automatic_choice() {
        let (offered, _) = available_devices();
        assert_eq!((&offered[0].choice, &offered[1].choice), (&DeviceChoice::Auto, &DeviceChoice::Cpu));
        let software: Vec<_> = offered.iter().filter(|device| device.software).collect();
        assert!(software.iter().all(|device| !offered[0].name.contains(&device.name)));
        assert!(offered[2..].iter().enumerate().all(|(place, device)| device.choice == DeviceChoice::GpuIndex(place)));
    }
}
