//! Which unlabelled case to label next: every case is measured, what was measured is kept, and the ranking is written.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::error::{JobError, is_of_input};
use super::infer::lock;
use super::measure::Predicted;
use super::networks::Networks;
use super::next_case_job::NextCaseJob;
use super::next_case_networks::{RankingNetworks, shown};
use super::recorder::Recorder;
use crate::device::Opened;
use crate::infer::{Segmentation, foreground_entropy};
use crate::metrics::disagreement;
use crate::next_case::order::all_alike;
use crate::next_case::{Basis, Criterion, Known, Measured, Measurements, Pool, Ranking};
use crate::preprocess::{Case, prepare_one};
use crate::protocol::{Severity, StageKind};
use crate::volume::{CaseFiles, DataError, DataErrors, Dataset, content};
use crate::wording::count;

/// What was measured is written after this long at the latest: what is lost when the program is killed.
const SAVE_EVERY: Duration = Duration::from_secs(10);

pub(super) fn next_case(job: &NextCaseJob, opened: &Opened, recorder: &Recorder) -> Result<(), JobError> {
    let networks = RankingNetworks::open(job, &opened.device)?;
    let (dataset, pool) = networks.pool(job)?;
    require_choice(&dataset, &pool)?;
    let not_measured = networks.not_measured();
    if let Some((criterion, why)) = job.by.iter().find_map(|criterion| not_measured.get_key_value(criterion)) {
        return Err(JobError::Input(format!("cases cannot be ranked by {criterion}: {why}")));
    }
    recorder.hold(lock(&job.out)?);
    let measurements = Measurements::open(&job.out, networks.key()?, job.overwrite)?;

    recorder.start("next case", &opened.description, networks.classes());
    recorder.notes(&dataset.notes);
    networks.segmenting.iter().for_each(|networks| networks.announce(&[], recorder));
    announce(&dataset, &pool, recorder);
    let (current, unread) = (BTreeMap::new(), Vec::new());
    let mut work = Work { job, networks: &networks, dataset: &dataset, opened, recorder, measurements, current, unread };
    let measured = work.all(&pool);
    work.measurements.save(&job.out)?;
    measured?;
    work.rank(&pool, not_measured)?.write(&job.out)?;
    Ok(())
}

/// Refuses a dataset in which there is nothing to choose.
fn require_choice(dataset: &Dataset, pool: &Pool) -> Result<(), JobError> {
    if !pool.unlabelled.is_empty() {
        return Ok(());
    }
    let held_out = match pool.held_out.len() {
        0 => String::new(),
        number => format!(", {number} held out for tests"),
    };
    Err(JobError::Input(format!(
        "{} has no unlabelled case to choose from ({} labelled{held_out}); add scans without label maps to it",
        dataset.name,
        pool.labelled.len()
    )))
}

/// Says what is ranked against what.
fn announce(dataset: &Dataset, pool: &Pool, recorder: &Recorder) {
    let unused = pool.unlabelled.iter().filter(|name| dataset.case(name).is_some_and(|case| case.label.is_some())).count();
    let mut text = format!("{} to choose from, {} labelled", count(pool.unlabelled.len(), "case"), pool.labelled.len());
    if !pool.held_out.is_empty() {
        text += &format!("; {} held out, which are not looked at", pool.held_out.len());
    }
    if unused > 0 {
        text += &format!("; {unused} of those to choose from have label maps that the split does not use, and none is read");
    }
    recorder.notice(Severity::Info, text);
}

/// What all cases are measured with, and what came of it.
struct Work<'a> {
    job: &'a NextCaseJob,
    networks: &'a RankingNetworks,
    dataset: &'a Dataset,
    opened: &'a Opened,
    recorder: &'a Recorder,
    /// Of this call and those before it.
    measurements: Measurements,
    /// Of the cases of this call.
    current: BTreeMap<String, Measured>,
    /// Cases that could not be read, and why.
    unread: Vec<(String, Vec<DataError>)>,
}

impl Work<'_> {
    /// Measures labelled cases, of which the tokens count alone, and those to choose from. One that cannot be read is left out and named.
    fn all(&mut self, pool: &Pool) -> Result<(), JobError> {
        let cases: Vec<(&String, bool)> =
            pool.labelled.iter().map(|name| (name, false)).chain(pool.unlabelled.iter().map(|name| (name, true))).collect();
        let under_way = self.recorder.begin(StageKind::NextCase.into(), cases.len(), 0);
        let mut saved = Instant::now();
        for (done, (name, is_candidate)) in cases.into_iter().enumerate() {
            match self.one(name, is_candidate) {
                Ok(measured) => drop(self.current.insert(name.clone(), measured)),
                Err(JobError::Data(errors)) if is_of_input(&errors) => {
                    self.recorder.notice(Severity::Warning, format!("{name} is not ranked: {errors}"));
                    self.unread.push((name.clone(), errors.0));
                }
                Err(error) => return Err(error),
            }
            if saved.elapsed() > SAVE_EVERY {
                self.measurements.save(&self.job.out)?;
                saved = Instant::now();
            }
            under_way.progress(done + 1);
        }
        under_way.finish();
        Ok(())
    }

    /// What is known of a case, or is measured of it now.
    fn one(&mut self, name: &str, is_candidate: bool) -> Result<Measured, JobError> {
        self.recorder.obey()?;
        // Labels are not looked at, be they there or not.
        let source = CaseFiles { label: None, ..self.dataset.case(name).expect("the pool is of this dataset").clone() };
        let key = content::case_key(&source);
        let segmenting = self.networks.segmenting.as_ref().filter(|_| is_candidate);
        let is_whole = |known: &&Measured| known.entropy.is_some() || segmenting.is_none();
        if let Some(known) = key.as_ref().ok().and_then(|key| self.measurements.known(name, key)).filter(is_whole) {
            return Ok(known.clone());
        }
        let preprocess = &self.networks.config().data.preprocess;
        // A file at fault has no key: reading it in full says why.
        let loaded = self.dataset.load(&source, preprocess.non_finite)?;
        let content = key?;
        self.recorder.notes(&loaded.image.notes);
        let case = prepare_one(name, loaded, &[], preprocess)?;
        let token = self.networks.reader.mean_token(&case.image, &mut || self.recorder.goes_on())?.ok_or(JobError::Stopped)?;
        let (entropy, disagreement) = match segmenting {
            Some(networks) => self.unsure(networks, &case)?,
            None => (None, None),
        };
        if token.iter().chain(&entropy).any(|value| !value.is_finite()) {
            let text =
                format!("{name}: the networks give numbers that are not finite; their training went wrong, and they can rank nothing");
            return Err(JobError::Input(text));
        }
        let measured = Measured { content, entropy, disagreement, token };
        self.measurements.keep(name, measured.clone());
        Ok(measured)
    }

    /// How unsure the networks are of a case, and how far they differ where there are several.
    fn unsure(&self, networks: &Networks, case: &Case) -> Result<(Option<f32>, Option<f32>), JobError> {
        let classes = networks.dataset.labels.len();
        let (mut mean, mut segmentations): (Vec<Vec<f32>>, _) = (Vec::new(), Vec::new());
        for network in &networks.segmenters {
            let predicted = Predicted {
                networks: std::slice::from_ref(network),
                config: networks.config(),
                mirror: networks.mirror(),
                convention: networks.convention,
                classes,
                probabilities: true,
                device: &self.opened.device,
            };
            let found = predicted.of(case, &mut |_, _, _| self.recorder.goes_on())?;
            let Some(Segmentation { classes: found, probabilities: Some(probabilities) }) = found else {
                return Err(JobError::Stopped);
            };
            segmentations.push(found);
            if mean.is_empty() {
                mean = probabilities;
            } else {
                mean.iter_mut().flatten().zip(probabilities.iter().flatten()).for_each(|(sum, share)| *sum += share);
            }
        }
        mean.iter_mut().flatten().for_each(|sum| *sum /= networks.segmenters.len() as f32);
        Ok((Some(foreground_entropy(&mean) as f32), disagreement(&segmentations, classes).map(|value| value as f32)))
    }

    /// Ranks what was measured.
    fn rank(self, pool: &Pool, mut not_measured: BTreeMap<Criterion, String>) -> Result<Ranking, JobError> {
        let known = |names: &'_ [String]| -> Vec<Known<'_>> {
            names.iter().filter_map(|name| self.current.get_key_value(name)).map(|(name, measured)| (name.as_str(), measured)).collect()
        };
        let (candidates, labelled) = (known(&pool.unlabelled), known(&pool.labelled));
        if candidates.is_empty() {
            return Err(DataErrors(self.unread.into_iter().flat_map(|(_, errors)| errors).collect()).into());
        }
        let tokens = || candidates.iter().chain(&labelled).map(|(_, measured)| measured.token.as_slice());
        if tokens().count() > 1 && all_alike(tokens()) {
            not_measured.insert(Criterion::Distance, "the encoder gives every case the same tokens".to_owned());
        }
        let asked = if self.job.by.is_empty() { &Criterion::ALL[..] } else { &self.job.by };
        let by: Vec<Criterion> =
            Criterion::ALL.into_iter().filter(|criterion| asked.contains(criterion) && !not_measured.contains_key(criterion)).collect();
        if by.is_empty() {
            let text = "the encoder gives every case the same tokens: it distinguishes no cases, and there is nothing else to rank by";
            return Err(JobError::Input(format!("{}: {text}", self.networks.encoder.display())));
        }
        let basis = Basis {
            dataset: self.dataset.name.clone(),
            networks: self.networks.places(),
            encoder: shown(&self.networks.encoder),
            by,
            not_measured,
            labelled: labelled.len(),
            held_out: pool.held_out.len(),
        };
        let unread = self.unread.iter().map(|(name, errors)| (name.clone(), DataErrors(errors.clone()).to_string())).collect();
        Ok(Ranking::new(basis, unread, &candidates, &labelled))
    }
}

#[cfg(test)]
#[path = "next_case_tests.rs"]
mod tests;
