//! The cases of a dataset, prepared in parallel and kept between runs.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::cache;
use super::case::{Case, prepare_one};
use crate::config::PreprocessConfig;
use crate::volume::{CaseFiles, DataErrors, Dataset};

/// Prepares cases of a dataset in parallel, in the order of `names`.
///
/// With a `cache` folder, what is there is read and what isn't is written. `progress` is called with (cases done,
/// cases in all), from several threads.
///
/// # Errors
/// Everything wrong with any of the cases, at once.
pub fn prepare(
    dataset: &Dataset,
    names: &[String],
    config: &PreprocessConfig,
    cache: Option<&Path>,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Vec<Case>, DataErrors> {
    let watch = |done, total| {
        progress(done, total);
        true
    };
    Ok(prepare_while(dataset, names, config, cache, &watch)?.unwrap_or_default())
}

/// The same, but `watch` is called before each case as well, and ends the work by returning false: no further case is begun, and
/// there is no result.
///
/// # Errors
/// Everything wrong with any of the cases that were read, at once.
pub fn prepare_while(
    dataset: &Dataset,
    names: &[String],
    config: &PreprocessConfig,
    cache: Option<&Path>,
    watch: &(dyn Fn(usize, usize) -> bool + Sync),
) -> Result<Option<Vec<Case>>, DataErrors> {
    let label_values = dataset.label_values();
    let done = AtomicUsize::new(0);
    let one = |name: &String| {
        if !watch(done.load(Ordering::Relaxed), names.len()) {
            return Ok(None);
        }
        let case = dataset.case(name).ok_or_else(|| dataset.fault(dataset.unknown(name, "the cases to prepare")))?;
        let prepared = prepare_cached(dataset, case, &label_values, config, cache);
        watch(done.fetch_add(1, Ordering::Relaxed) + 1, names.len());
        prepared.map(Some)
    };
    let results: Vec<Result<Option<Case>, DataErrors>> = names.par_iter().map(one).collect();
    // Without one of them there is no result.
    Ok(DataErrors::gather(results)?.into_iter().collect())
}

fn prepare_cached(
    dataset: &Dataset,
    case: &CaseFiles,
    label_values: &[u32],
    config: &PreprocessConfig,
    cache: Option<&Path>,
) -> Result<Case, DataErrors> {
    let fresh = || -> Result<Case, DataErrors> {
        let loaded = dataset.load(case, config.non_finite)?;
        Ok(prepare_one(&case.name, loaded, label_values, config)?)
    };
    let Some(folder) = cache else { return fresh() };
    // A listing or file at fault has no entry: the full read explains it.
    let Ok(key) = cache::key(case, label_values, dataset.channels.len(), config) else { return fresh() };
    if dataset.findings_of(&case.name).next().is_none()
        && let Some(found) = cache::load(folder, &key, case)
    {
        return Ok(found);
    }
    let prepared = fresh()?;
    if let Err(error) = cache::store(folder, &key, &prepared) {
        // The case is in memory; only the next run will be slower.
        tracing::warn!("{error}");
    }
    Ok(prepared)
}
