//! The encoders of an open run: what was measured of each, and its references.

use crate::config::PretrainConfig;
use crate::gui::OpenRun;
use crate::protocol::{CollapsePair, Stage, StageKind, StageState};
use crate::results::Tokens;

/// An encoder whose tokens are measured.
pub(super) struct Encoder<'a> {
    /// What it is called among the others of its run.
    pub(super) title: String,
    pub(super) stage: &'a StageState,
    run: &'a OpenRun,
}

impl<'a> Encoder<'a> {
    /// The newest measurement.
    pub(super) fn now(&self) -> Option<&'a CollapsePair> {
        self.stage.last_probe()
    }

    /// The same network before its first step.
    pub(super) fn untrained(&self) -> Option<&'a CollapsePair> {
        // An arm may have a network of its own: its own first measurement is the better reference.
        self.stage.untrained_probe().or_else(|| self.baseline("untrained"))
    }

    /// A reference of the run: `untrained`, `constant` or `noise`.
    pub(super) fn baseline(&self, name: &str) -> Option<&'a CollapsePair> {
        self.run.records().find_map(|run| run.baselines.get(name))
    }

    /// When the newest measurement was made, and of which tokens.
    pub(super) fn moment(&self, tokens: Tokens) -> String {
        let step = self.stage.probes.last().map_or(0, |(step, _)| *step);
        if self.stage.stage.kind == StageKind::Probe {
            return format!("{}, a checkpoint of step {step}", tokens.title());
        }
        let when = if step == 0 { "before the first step".to_owned() } else { format!("after {step} of {} steps", self.stage.total) };
        format!("{}, {}, {when}", self.title, tokens.title().to_lowercase())
    }
}

/// The encoders of a run, in the order in which their trainings began.
pub(super) fn encoders(run: &OpenRun) -> Vec<Encoder<'_>> {
    let measuring = run.stages().filter(|stage| matches!(stage.stage.kind, StageKind::Pretrain | StageKind::Probe));
    let title = |stage: &Stage| if stage.arm.is_empty() { stage.to_string() } else { stage.arm.clone() };
    measuring.map(|stage| Encoder { title: title(&stage.stage), stage, run }).collect()
}

/// The pre-training settings of an encoder.
pub(super) fn settings(run: &OpenRun, stage: &Stage) -> PretrainConfig {
    let arm = run.config.arms.pretrain.iter().find(|arm| arm.name == stage.arm && stage.kind == StageKind::Pretrain);
    let config = arm.and_then(|arm| run.config.with_arm(arm).ok());
    config.as_ref().unwrap_or(&run.config).pretrain.clone()
}
