//! The cases of a dataset, prepared a few at a time, each on disk as soon as it is done, and kept between runs.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::cache;
use super::case::{Case, prepare_one};
use super::prepared::PreparedCase;
use super::resample::Resampling;
use crate::config::PreprocessConfig;
use crate::geometry::SignedPermutation;
use crate::volume::{CaseFiles, DataError, DataErrors, Dataset, Fault, content};
use crate::{folders, wording};

/// Arrays of a case's size that preparing it holds at once: as it was read, reoriented, and as its channels are put together.
const COPIES: u64 = 3;

/// What prepares cases of a dataset, and where they are kept.
#[derive(Clone, Copy, Debug)]
pub struct Preparation<'a> {
    /// The dataset.
    pub dataset: &'a Dataset,
    /// How.
    pub config: &'a PreprocessConfig,
    /// The folder of prepared cases; none: they stay in memory.
    pub folder: Option<&'a Path>,
    /// Bytes of memory that preparing may take, where that leaves one case at a time; none: a case for each thread.
    pub memory: Option<u64>,
}

/// What preparing some cases takes at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Number of cases.
    pub cases: usize,
    /// Bytes of all of them on disk, before the empty border is cut away.
    pub disk_bytes: u64,
    /// Bytes of memory that preparing the largest one takes.
    pub memory_bytes: u64,
}

/// Prepares cases of a dataset in parallel, in the order of `names`.
///
/// With a `folder`, what is there is taken and what isn't is written. `progress` is called with (cases done,
/// cases in all), from several threads.
///
/// # Errors
/// Everything wrong with any of the cases, at once.
pub fn prepare(
    dataset: &Dataset,
    names: &[String],
    config: &PreprocessConfig,
    folder: Option<&Path>,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Vec<PreparedCase>, DataErrors> {
    let watch = |done, total| {
        progress(done, total);
        true
    };
    Ok(Preparation { dataset, config, folder, memory: None }.prepare_while(names, &watch)?.unwrap_or_default())
}

impl Preparation<'_> {
    /// Those of the named cases that are prepared already, by name.
    pub fn found(&self, names: &[String]) -> BTreeMap<String, PreparedCase> {
        let open = |name: &String| {
            let case = self.dataset.case(name)?;
            Some((name.clone(), self.open(&self.key(case).ok()?, case)?))
        };
        names.par_iter().filter_map(open).collect()
    }

    /// What preparing the named cases takes at most. A case that cannot be looked at counts nothing: preparing it says why.
    pub fn needs(&self, names: &[String]) -> Needs {
        let sizes = names.iter().filter_map(|name| self.dataset.case(name)).filter_map(|case| self.sizes(case).ok());
        sizes.fold(Needs { cases: names.len(), ..Needs::default() }, |needs, [disk, memory]| Needs {
            disk_bytes: needs.disk_bytes + disk,
            memory_bytes: needs.memory_bytes.max(memory),
            ..needs
        })
    }

    /// Bytes that a case takes at most: prepared, on disk; and in memory while it is prepared.
    fn sizes(&self, case: &CaseFiles) -> Result<[u64; 2], DataError> {
        let Some(image) = case.images.first() else { return Ok([0; 2]) };
        let read = content::of(image)?.grid;
        let oriented = SignedPermutation::to_ras(&read).grid(&read);
        let resampled = self.config.spacing_mm.and_then(|spacing_mm| Resampling::plan(&oriented, spacing_mm)).map(|plan| plan.grid);
        let channels = self.dataset.channels.len() as u64;
        let of = |voxels: usize| voxels as u64 * (4 * channels + u64::from(case.label.is_some()));
        let [before, after] = [read.len(), resampled.unwrap_or(oriented).len()].map(of);
        Ok([after, COPIES * before.max(after)])
    }

    /// Prepares the named cases, a few at a time, in their order. `watch` is called with (cases done, cases in all) before and after each
    /// case, from several threads, and ends the work by returning false: no further case is begun, and there is no result; cases that are
    /// done stay on disk.
    ///
    /// # Errors
    /// Everything wrong with any of the cases that were read, at once.
    pub fn prepare_while(
        &self,
        names: &[String],
        watch: &(dyn Fn(usize, usize) -> bool + Sync),
    ) -> Result<Option<Vec<PreparedCase>>, DataErrors> {
        let done = AtomicUsize::new(0);
        let one = |name: &String| {
            if !watch(done.load(Ordering::Relaxed), names.len()) {
                return Ok(None);
            }
            let case = self.dataset.case(name).ok_or_else(|| self.dataset.fault(self.dataset.unknown(name, "the cases to prepare")))?;
            let prepared = self.one(case);
            watch(done.fetch_add(1, Ordering::Relaxed) + 1, names.len());
            prepared.map(Some)
        };
        let mut results: Vec<Result<Option<PreparedCase>, DataErrors>> = Vec::with_capacity(names.len());
        for some in names.chunks(self.at_once(names)) {
            results.par_extend(some.par_iter().map(one));
            // What could not be written for one case can for none.
            if results.iter().any(is_unwritable) {
                break;
            }
        }
        // Without one of them there is no result.
        Ok(DataErrors::gather(results)?.into_iter().collect())
    }

    /// Cases at work at the same time.
    fn at_once(&self, names: &[String]) -> usize {
        let threads = rayon::current_num_threads();
        let within = self.memory.map(|memory| memory / self.needs(names).memory_bytes.max(1));
        within.map_or(threads, |cases| usize::try_from(cases).unwrap_or(threads).clamp(1, threads))
    }

    /// Opens a case, or prepares it.
    fn one(&self, case: &CaseFiles) -> Result<PreparedCase, DataErrors> {
        let Some(folder) = self.folder else { return Ok(PreparedCase::in_memory(&self.fresh(case)?)) };
        // A file at fault has no key: the full read explains it.
        let key = self.key(case).or_else(|error| self.fresh(case).and(Err(error.into())))?;
        if let Some(found) = self.open(&key, case) {
            return Ok(found);
        }
        let prepared = self.fresh(case)?;
        if self.key(case)? != key {
            let file = case.images.first().map(|image| image.file().into_owned()).unwrap_or_default();
            return Err(Fault::Changed.at(&file).into());
        }
        Ok(cache::store(folder, &key, &prepared)?)
    }

    /// A listing at fault has no entry either.
    fn open(&self, key: &str, case: &CaseFiles) -> Option<PreparedCase> {
        let sound = self.dataset.findings_of(&case.name).next().is_none();
        self.folder.filter(|_| sound).and_then(|folder| cache::open(folder, key, case))
    }

    fn key(&self, case: &CaseFiles) -> Result<String, DataError> {
        cache::key(case, &self.dataset.label_values(), self.dataset.channels.len(), self.config)
    }

    fn fresh(&self, case: &CaseFiles) -> Result<Case, DataErrors> {
        let loaded = self.dataset.load(case, self.config.non_finite)?;
        Ok(prepare_one(&case.name, loaded, &self.dataset.label_values(), self.config)?)
    }
}

impl Needs {
    /// Refuses a folder that cannot be written, and what does not fit on its disk; else says what is free there, where the system tells.
    ///
    /// # Errors
    /// A folder that cannot be written though cases are to be prepared, or less space than they take.
    pub fn require_room(&self, folder: &Path) -> Result<Option<u64>, DataError> {
        if self.cases > 0 {
            folders::require_writable(folder).map_err(|cause| Fault::NoCache(cause.to_string()).at(folder))?;
        }
        self.require_within(folders::free_mib(folder).map(|mib| mib << 20), folder)
    }

    fn require_within(&self, free: Option<u64>, folder: &Path) -> Result<Option<u64>, DataError> {
        match free.filter(|&free| free < self.disk_bytes) {
            Some(free) => Err(Fault::DiskFull(wording::bytes(free), wording::bytes(self.disk_bytes)).at(folder)),
            None => Ok(free),
        }
    }
}

/// Whether a case could not be written.
fn is_unwritable<T>(result: &Result<T, DataErrors>) -> bool {
    result.as_ref().is_err_and(|DataErrors(errors)| errors.iter().any(|error| matches!(error.fault, Fault::Unwritable(_))))
}

#[cfg(test)]
#[path = "prepare_tests.rs"]
mod tests;
