//! Memory of this process, in MiB; none where the system does not say.

/// Memory held now.
pub fn resident_mib() -> Option<f64> {
    #[cfg(target_os = "linux")]
    return status("VmRSS:");
    #[cfg(not(target_os = "linux"))]
    None
}

/// Most memory held at once since the process began.
pub fn peak_mib() -> Option<f64> {
    #[cfg(target_os = "linux")]
    return status("VmHWM:");
    #[cfg(all(unix, not(target_os = "linux")))]
    {
        use nix::sys::resource::{UsageWho, getrusage};
        // Apple counts bytes, the others KiB.
        let bytes_each = if cfg!(target_vendor = "apple") { 1.0 } else { 1024.0 };
        let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
        Some(usage.max_rss() as f64 * bytes_each / f64::from(1 << 20))
    }
    #[cfg(not(unix))]
    None
}

/// Memory that the machine has.
pub fn installed_mib() -> Option<f64> {
    #[cfg(target_os = "linux")]
    return field("/proc/meminfo", "MemTotal:");
    #[cfg(not(target_os = "linux"))]
    None
}

/// Memory that new programs can have without swapping.
pub fn available_mib() -> Option<f64> {
    #[cfg(target_os = "linux")]
    return field("/proc/meminfo", "MemAvailable:");
    #[cfg(not(target_os = "linux"))]
    None
}

/// A field of Linux's `/proc/self/status`.
#[cfg(target_os = "linux")]
fn status(name: &str) -> Option<f64> {
    field("/proc/self/status", name)
}

/// A field of one of Linux's tables, given there in KiB.
#[cfg(target_os = "linux")]
fn field(table: &str, field: &str) -> Option<f64> {
    let text = std::fs::read_to_string(table).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: f64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_available_than_there_is() {
        assert!(available_mib().unwrap() < installed_mib().unwrap());
    }

    #[test]
    fn a_large_buffer_is_seen_and_the_peak_remembers_it() {
        let bytes = std::hint::black_box(vec![1_u8; 256 << 20]);
        let held = resident_mib().unwrap();
        assert!(held >= 256.0, "{held} MiB");
        drop(bytes);
        assert!(peak_mib().unwrap() >= 256.0);
    }
}
