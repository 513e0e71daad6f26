//! The report as text.

use std::fmt;

use super::half::PRESET;
use super::{DeviceCheck, DoctorReport, GPU_TOLERANCE, SLOPE_TOLERANCE, Verdict};

impl fmt::Display for DoctorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, commit, system, cpu, .. } = self;
        writeln!(f, "simtrot  {version} (commit {commit}), {system}")?;
        writeln!(f, "CPU      {}, {} threads, {}", cpu.name, cpu.threads, cpu.simd)?;
        let free = self.cache_free_mib.map(|mib| format!(", {:.1} GiB free", mib as f64 / 1024.0)).unwrap_or_default();
        writeln!(f, "cache    {}{free} ({} moves it)", self.cache.display(), crate::folders::CACHE_VARIABLE)?;
        match &self.config {
            Some(config) => writeln!(f, "config   {}", config.display())?,
            None => writeln!(f, "config   none: this user has no home folder")?,
        }
        writeln!(f, "\nGPUs, as for --device gpu:N (auto takes {})", self.automatic)?;
        for adapter in &self.adapters {
            writeln!(f, "  {adapter}")?;
        }
        if let Some(problem) = &self.listing_problem {
            writeln!(f, "  {problem}")?;
        } else if self.adapters.is_empty() {
            writeln!(f, "  {}", crate::device::DeviceError::NoAdapter)?;
        }
        let head = ["difference", "pass", "convolution", "linear", "attention"].map(|title| format!("{title:>11}")).join("  ");
        writeln!(f, "\n{:8} {:8} {head}", "device", "verdict")?;
        for device in &self.devices {
            write!(f, "{device}")?;
        }
        writeln!(
            f,
            "\ndifference: the largest, relative to the largest value, of outputs and gradients from the CPU's ({GPU_TOLERANCE:.0e} allowed);\n\
             on the CPU: gradients against finite differences ({SLOPE_TOLERANCE:.0e} allowed)\n\
             pass: one small encoder block forward and backward, mostly the cost of starting kernels\n\
             convolution, linear, attention: speed of training's own work, in GFLOP/s"
        )?;
        for DeviceCheck { choice, training, .. } in &self.devices {
            if let Some(training) = training {
                write!(f, "\nFine-tuning on {choice} (2 x 64x128x128: a step of two crops of 64x128x128 voxels)\n{training}")?;
            }
        }
        let halves: Vec<_> = self.devices.iter().filter_map(|device| Some((&device.choice, device.half.as_ref()?))).collect();
        if !halves.is_empty() {
            writeln!(
                f,
                "\nHalf precision (infer.precision=half) beside full, {PRESET} with initial weights; difference relative to the largest"
            )?;
        }
        for (choice, half) in halves {
            writeln!(f, "  {:8} {half}", choice.to_string())?;
        }
        if self.devices.iter().any(|device| device.training.is_some()) {
            writeln!(
                f,
                "\nMemory is an estimate. So is time: what a step has to compute over the speed measured above. It leaves out\n\
                 the cost of starting kernels: a step of less than 0.1 s takes longer than this estimate. `simtrot plan CONFIG` measures it."
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for DeviceCheck {
    /// One line with figures, then one for the problem and each note.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let worst = self.operations.iter().map(|operation| operation.difference).reduce(f64::max);
        let worst = worst.map_or_else(|| "-".to_owned(), |worst| format!("{worst:.1e}"));
        write!(f, "{:8} {:8} {worst:>11}", self.choice.to_string(), self.verdict.to_string())?;
        match &self.speed {
            Some(speed) => {
                let speeds = speed.gflops().map(|gflops| format!("{gflops:>11.1}")).join("  ");
                writeln!(f, "  {:>8.1} ms  {speeds}", speed.pass_millis)?;
            }
            None => writeln!(f)?,
        }
        let lines = self.problem.iter().chain(&self.notes).flat_map(|text| text.lines());
        lines.into_iter().try_for_each(|line| writeln!(f, "         {line}"))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Works => "works",
            Self::Wrong => "wrong",
            Self::Fails => "fails",
            Self::Hangs => "hangs",
        })
    }
}
