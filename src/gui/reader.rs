//! Reads an experiment's folder on a thread of its own: the window reads no record and works out no result in a frame.

use std::sync::Arc;
use std::time::{Duration, Instant};

use eframe::egui;

use super::Background;
use crate::experiment::{Estimate, Experiment, ExperimentFolder, ExperimentState};
use crate::protocol::{RunFolder, TokenPreview};
use crate::results::ExperimentResults;
use crate::results::table::Table;

/// How often records are read while somebody works on the experiment.
const EVERY: Duration = Duration::from_secs(2);
/// How often it is looked whether somebody does.
const IDLE: Duration = Duration::from_secs(6);
/// Reading takes this share of a thread's time at most.
const SHARE: u32 = 5;

/// What an experiment's records show.
#[derive(Clone, Debug)]
pub struct Look {
    /// Numbers, sentences, and how far each training is.
    pub results: ExperimentResults,
    /// The table of scores, and that of the comparisons.
    pub tables: [Table; 2],
    /// Time and disk that it still needs.
    pub estimate: Estimate,
    /// Finished fine-tunings in its folder that are none of its own any more, such as those from before cases were added to its dataset.
    pub others: Vec<RunFolder>,
    /// Whether another program works on it.
    pub busy: bool,
    /// How long it took to find out.
    took: Duration,
}

/// What a look found that was not known before.
pub(super) struct News {
    pub(super) look: Look,
    pub(super) state: ExperimentState,
    pub(super) tokens: Vec<(usize, Arc<TokenPreview>)>,
    pub(super) troubles: Vec<String>,
    /// What was a trouble and is none any more: a share that was gone.
    pub(super) healed: Option<String>,
}

/// Reads an experiment's records, again and again.
pub(super) struct Reader {
    /// What was read last.
    state: Option<ExperimentState>,
    reading: Option<Background<News>>,
    read: Option<Instant>,
    /// Something happened that the records tell of.
    stale: bool,
}

impl Default for Reader {
    fn default() -> Self {
        Self { state: None, reading: None, read: None, stale: true }
    }
}

impl Look {
    /// Of what `state` holds. `own`: this window works on the experiment itself.
    pub(super) fn new(experiment: &Experiment, state: &ExperimentState, folder: &ExperimentFolder, own: bool) -> Self {
        let all: Vec<usize> = (0..experiment.trainings.len()).collect();
        let results = ExperimentResults::new(experiment, state);
        Self {
            tables: [results.groups_table(), results.comparisons_table()],
            results,
            estimate: Estimate::new(experiment, state, folder, &all),
            others: folder.finetuned_others(experiment),
            busy: !own && folder.busy().is_some(),
            took: Duration::ZERO,
        }
    }
}

impl Reader {
    /// Records that are known, for tests: they are not looked at again.
    #[cfg(test)]
    pub(super) fn known() -> Self {
        Self { state: None, reading: None, read: Some(Instant::now() + Duration::from_secs(3600)), stale: false }
    }

    /// Asks for a look as soon as may be.
    pub(super) fn wake(&mut self) {
        self.stale = true;
    }

    /// Whether something happened since the last look began.
    pub(super) fn is_stale(&self) -> bool {
        self.stale
    }

    /// Whether nothing is being read.
    pub(super) fn is_idle(&self) -> bool {
        self.reading.is_none()
    }

    /// Looks again when it is time, and hands out what was found. `own`: this window works on the experiment.
    pub(super) fn poll(
        &mut self,
        ctx: &egui::Context,
        (experiment, folder): (&Arc<Experiment>, &ExperimentFolder),
        last: Option<&Look>,
        own: bool,
    ) -> Option<News> {
        if let Some(reading) = &mut self.reading {
            if !reading.poll() {
                return None;
            }
            let news = self.reading.take().and_then(Background::take)?;
            (self.state, self.read) = (Some(news.state.clone()), Some(Instant::now()));
            return Some(news);
        }
        let active = own || last.is_some_and(|look| look.busy);
        let pause = if active { EVERY.max(SHARE * last.map_or(Duration::ZERO, |look| look.took)) } else { IDLE };
        let due = self.read.is_none_or(|read| Instant::now().saturating_duration_since(read) >= pause);
        if !due && !self.stale {
            ctx.request_repaint_after(pause);
            return None;
        }
        let state = self.state.clone();
        self.stale = false;
        let (experiment, folder) = (experiment.clone(), folder.clone());
        self.reading = Some(Background::start(ctx, move || read(&experiment, &folder, state.as_ref(), own)));
        None
    }
}

fn read(experiment: &Experiment, folder: &ExperimentFolder, before: Option<&ExperimentState>, own: bool) -> News {
    let began = Instant::now();
    let mut state = before.cloned().unwrap_or_else(|| ExperimentState::new(experiment));
    state.refresh(experiment, folder);
    let (mut tokens, mut troubles) = (Vec::new(), Vec::from_iter(state.lost.clone()));
    let healed = before.and_then(|before| before.lost.clone()).filter(|trouble| state.lost.as_ref() != Some(trouble));
    for (training, run) in state.runs.iter().enumerate().filter_map(|(training, run)| Some((training, run.as_ref()?))) {
        let known = before.as_ref().and_then(|before| before.runs[training].as_ref());
        if known.is_some_and(|known| Arc::ptr_eq(known, run)) {
            continue;
        }
        for stage in run.stages.iter().filter(|stage| stage.last_probe().is_some()) {
            match folder.training(&experiment.trainings[training]).read_tokens(&stage.stage) {
                Ok(found) => tokens.extend(found.map(|found| (training, Arc::new(found)))),
                Err(error) => troubles.push(error.to_string()),
            }
        }
    }
    let look = Look { took: began.elapsed(), ..Look::new(experiment, &state, folder, own) };
    News { look, state, tokens, troubles, healed }
}
