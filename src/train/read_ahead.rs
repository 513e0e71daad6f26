//! How far batches are made ahead of the device, and what memory they take.

use crate::config::RunConfig;
use crate::protocol::StageKind;
use crate::sampling::{LabelledPlan, ReadAhead, SamplingError, ViewPlan};

/// Threads that prepare batches where the host's own cores make the step.
const LOADER_THREADS: usize = 2;

/// The most that prepare batches for another device: each holds up to three of them.
const MOST_LOADER_THREADS: usize = 8;

/// How far batches of so many bytes are made ahead of a device, within `memory` bytes.
pub(super) fn read_ahead(on_host: bool, memory: Option<u64>, batch_bytes: u64) -> ReadAhead {
    let threads = if on_host { LOADER_THREADS } else { rayon::current_num_threads().clamp(LOADER_THREADS, MOST_LOADER_THREADS) };
    ReadAhead::within(threads, memory, batch_bytes)
}

/// Bytes that the batches of a training take at most that are made ahead, within `memory` bytes.
///
/// # Errors
/// Views that do not fit the crop.
pub fn ahead_bytes(
    (kind, config): (StageKind, &RunConfig),
    channels: usize,
    on_host: bool,
    memory: Option<u64>,
) -> Result<u64, SamplingError> {
    let bytes = if kind == StageKind::Pretrain {
        let (settings, network) = (&config.pretrain, config.model.backbone());
        ViewPlan::new(settings, network.patch_size(), network.total_stride(), config.seed)?.batch_bytes(settings.batch, channels)
    } else {
        LabelledPlan::new(&config.finetune, config.seed).batch_bytes(config.finetune.batch, channels)
    };
    Ok(read_ahead(on_host, memory, bytes).batches() as u64 * bytes)
}
