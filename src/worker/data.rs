//! A run's cases: opened, split, prepared. Each training has its own settings of the data; equal ones share what is made of them.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use super::cases::{frame, prepare};
use super::work::Work;
use super::{JobError, Recorder, Start};
use crate::config::{DataConfig, DataSource, PreprocessConfig, ProbeConfig, RunConfig};
use crate::protocol::{RunFolder, SPLIT, Severity, StageKind};
use crate::sampling::TokenFrame;
use crate::train::{CaseSet, DatasetInfo, Probe, ProbeData, TrainingCase};
use crate::volume::{Dataset, Split, SplitRecord, Together};

/// Cases named in a notice; the others are counted.
const NAMED: usize = 8;

/// A dataset with its split, before any voxel is read.
pub(super) struct Plan {
    pub(super) dataset: Rc<Dataset>,
    pub(super) split: Split,
    source: DataSource,
    preprocess: PreprocessConfig,
    hold_back_test: bool,
    /// What was left out, to be said in the run.
    left_out: Rc<Vec<String>>,
}

/// Prepared cases by the part of the split.
pub(super) struct Prepared {
    pub(super) pretrain: CaseSet,
    pub(super) finetune: CaseSet,
    pub(super) validation: CaseSet,
    pub(super) test: CaseSet,
}

/// What one training is made from.
#[derive(Clone)]
pub(super) struct Data {
    pub(super) plan: Rc<Plan>,
    pub(super) record: Rc<SplitRecord>,
    pub(super) prepared: Rc<Prepared>,
}

/// Opens the dataset of each training and draws its split, in the order of the trainings; with `skip_bad`, without the cases that a
/// check finds unusable.
pub(super) fn open(works: &[Work]) -> Result<Vec<Rc<Plan>>, JobError> {
    type Opened = (Rc<Dataset>, Rc<Vec<String>>);
    let mut datasets: Vec<(&DataConfig, Opened)> = Vec::new();
    let mut plans: Vec<Rc<Plan>> = Vec::new();
    for work in works {
        let data = &work.config.data;
        let alike = |a: &DataConfig, b: &DataConfig| {
            (&a.source, a.skip_bad, &a.groups, a.preprocess.non_finite) == (&b.source, b.skip_bad, &b.groups, b.preprocess.non_finite)
        };
        let known = datasets.iter().position(|(known, _)| alike(known, data));
        let known = known.map_or_else(
            || {
                let (dataset, left_out) = usable(&work.config).map_err(|error| work.explain(error))?;
                datasets.push((data, (Rc::new(dataset), Rc::new(left_out))));
                Ok::<_, JobError>(datasets.len() - 1)
            },
            Ok,
        )?;
        let (dataset, left_out) = &datasets[known].1;
        let split = Split::draw(dataset, data, work.config.seed).map_err(|error| work.explain(error.into()))?;
        crate::metrics::dataset_regions(dataset, &data.regions).map_err(|error| work.explain(error.into()))?;
        let same = |plan: &&Rc<Plan>| Rc::ptr_eq(&plan.dataset, dataset) && plan.preprocess == data.preprocess && plan.split == split;
        let plan = plans.iter().find(same).cloned();
        plans.push(plan.unwrap_or_else(|| {
            Rc::new(Plan {
                dataset: dataset.clone(),
                split,
                source: data.source.clone(),
                preprocess: data.preprocess.clone(),
                hold_back_test: data.hold_back_test,
                left_out: left_out.clone(),
            })
        }));
    }
    Ok(plans)
}

/// The dataset of a config, and what was left out of it.
fn usable(config: &RunConfig) -> Result<(Dataset, Vec<String>), JobError> {
    let mut dataset = Dataset::open(&config.data.source)?;
    let mut left_out = Vec::new();
    if config.data.skip_bad {
        let report = crate::volume::check::inspect(&dataset, config.data.preprocess.non_finite, &|_, _| {});
        left_out = report.problems.iter().map(|problem| problem.error.to_string()).collect();
        dataset = dataset.without(&report.unusable());
    }
    dataset.notes.extend(Together::of(&dataset, &config.data)?.notes(&dataset));
    Ok((dataset, left_out))
}

impl Plan {
    /// Channels and labels.
    pub(super) fn info(&self) -> DatasetInfo {
        DatasetInfo { name: self.dataset.name.clone(), channels: self.dataset.channels.clone(), labels: self.dataset.labels.clone() }
    }

    /// Label names in the order of the classes.
    pub(super) fn classes(&self) -> Vec<String> {
        self.dataset.labels.values().cloned().collect()
    }
}

/// The split of each training with the content of its cases. Where a training goes on, they must be what they were.
pub(super) fn records(works: &[Work], plans: &[Rc<Plan>], start: Start) -> Result<Vec<SplitRecord>, JobError> {
    let mut known: Vec<(Rc<Dataset>, BTreeMap<String, String>)> = Vec::new();
    let mut records = Vec::new();
    for (work, plan) in works.iter().zip(plans) {
        let index = known.iter().position(|(dataset, _)| Rc::ptr_eq(dataset, &plan.dataset)).unwrap_or_else(|| {
            known.push((plan.dataset.clone(), BTreeMap::new()));
            known.len() - 1
        });
        let record =
            SplitRecord::new(&plan.dataset, plan.split.clone(), &mut known[index].1).map_err(|error| work.explain(error.into()))?;
        if start == Start::Resume
            && let Some(then) = work.recorded_split()?
            && let Some(change) = record.change_since(&then)
        {
            let path = work.split_path().display().to_string();
            return Err(JobError::Input(format!(
                "{path}: the data are not those that this run began with: {change}. Put them back to go on with it, or start a new run"
            )));
        }
        records.push(record);
    }
    Ok(records)
}

/// Keeps the split of a training in its folder, or that of the first training in the run's.
pub(super) fn write_record(folder: &RunFolder, record: &SplitRecord) -> Result<(), JobError> {
    Ok(folder.write(SPLIT, &serde_json::to_vec_pretty(record).expect("plain data becomes JSON"))?)
}

/// Says what of the data a reader of the results should know.
pub(super) fn announce(works: &[Work], plans: &[Rc<Plan>], recorder: &Recorder) {
    let mut told: BTreeSet<String> = BTreeSet::new();
    let mut tell = |severity, text: String| {
        if told.insert(text.clone()) {
            recorder.notice(severity, text);
        }
    };
    for work in works.iter().filter(|work| work.stage.kind == StageKind::Pretrain) {
        let settings = &work.config.pretrain;
        let unused = settings.unused();
        if !unused.is_empty() {
            let task = settings.task.title(settings.weight);
            tell(Severity::Warning, format!("{}: set, but not used by {task}: {}", work.stage, unused.join(", ")));
        }
    }
    for plan in plans {
        if plan.hold_back_test {
            let scored = plan.split.test.len();
            let text = format!(
                "the test cases are left out of this run (data.hold_back_test); the {scored} validation cases are scored in their place, at \
                 the end only, and choose no checkpoint"
            );
            tell(Severity::Info, text);
        }
        for problem in plan.left_out.iter() {
            tell(Severity::Warning, format!("left out (--skip-bad): {problem}"));
        }
    }
    let tested = || works.iter().zip(plans).filter(|(work, _)| work.stage.kind == StageKind::Finetune);
    let cases = |plan: &Plan| (plan.source.clone(), plan.split.test.iter().cloned().collect::<BTreeSet<_>>());
    if let Some((first, reference)) = tested().next() {
        let others = tested().filter(|(_, plan)| cases(plan) != cases(reference)).map(|(work, _)| work.stage.arm.as_str());
        let others: Vec<&str> = others.collect();
        if !others.is_empty() {
            let text = format!(
                "not all arms are tested on the same cases: {} are tested on others than {}. Differences are taken over shared cases only",
                others.join(", "),
                first.stage.arm
            );
            tell(Severity::Warning, text);
        }
    }
}

/// Warns of test cases that the encoder of a fine-tuning has seen in its pre-training, where that is known.
pub(super) fn warn_of_seen(work: &Work, own: &SplitRecord, recorder: &Recorder) {
    let Some(source) = work.recorded_split_of_source() else { return };
    let seen: BTreeSet<&String> = source.split.pretrain.iter().filter_map(|name| source.content.get(name)).collect();
    let tested = &own.split.test;
    let both: Vec<&str> = tested.iter().filter(|name| seen.contains(&own.content[*name])).map(String::as_str).collect();
    if !both.is_empty() {
        let named = both[..both.len().min(NAMED)].join(", ");
        let text = format!(
            "{}: {} of the {} test cases were pre-trained on, without their labels ({named}{}): its test is not one of unseen scans. Equal \
             data.split_seed keep test cases out of both",
            work.stage,
            both.len(),
            tested.len(),
            if both.len() > NAMED { ", ..." } else { "" }
        );
        recorder.notice(Severity::Warning, text);
    }
}

/// Prepares the cases of all plans, each once for equal preprocessing.
pub(super) fn prepare_plans(
    works: &[Work],
    plans: &[Rc<Plan>],
    records: Vec<SplitRecord>,
    recorder: &Recorder,
) -> Result<Vec<Data>, JobError> {
    type Cases = BTreeMap<String, Arc<TrainingCase>>;
    let mut stores: Vec<(&Rc<Plan>, Cases)> = Vec::new();
    let alike = |a: &Plan, b: &Plan| Rc::ptr_eq(&a.dataset, &b.dataset) && a.preprocess == b.preprocess;
    let mut made: Vec<Data> = Vec::new();
    for (index, ((work, plan), record)) in works.iter().zip(plans).zip(records).enumerate() {
        if let Some(known) = plans[..index].iter().position(|other| Rc::ptr_eq(other, plan)) {
            made.push(made[known].clone());
            continue;
        }
        let store = stores.iter().position(|(other, _)| alike(other, plan));
        let store = if let Some(store) = store {
            store
        } else {
            // All that any training asks of this store, so that it is filled in one go.
            let wanted = plans.iter().filter(|other| alike(other, plan)).flat_map(|other| other.split.cases());
            let names: Vec<String> = wanted.collect::<BTreeSet<_>>().into_iter().cloned().collect();
            let arm = if stores.is_empty() { String::new() } else { work.stage.arm.clone() };
            let cases = prepare(&plan.dataset, &names, (&plan.preprocess, &arm), recorder).map_err(|error| work.explain(error))?;
            stores.push((plan, cases.into_iter().map(|case| (case.case.name.clone(), case)).collect()));
            stores.len() - 1
        };
        let cases = &stores[store].1;
        let set = |names: &[String]| names.iter().map(|name| cases[name].clone()).collect::<Vec<_>>().into();
        let Split { pretrain, finetune, validation, test } = &plan.split;
        let prepared = Prepared { pretrain: set(pretrain), finetune: set(finetune), validation: set(validation), test: set(test) };
        made.push(Data { plan: plan.clone(), record: Rc::new(record), prepared: Rc::new(prepared) });
    }
    Ok(made)
}

impl Data {
    /// Cases that no training of this split sees: of the test or, where those are fewer than two, of the validation.
    fn held_out(&self) -> &CaseSet {
        if self.prepared.test.len() >= 2 { &self.prepared.test } else { &self.prepared.validation }
    }
}

/// Probe probe_sets of pre-trainings; those that measure alike on the same cases share one.
#[derive(Default)]
pub(super) struct ProbeSets(Vec<(BankKey, Option<Rc<Probe>>)>);

/// What decides a probe_set.
type BankKey = (TokenFrame, ProbeConfig, DataSource, PreprocessConfig, Vec<String>, BTreeSet<String>);

impl ProbeSets {
    /// The probe set on the held-out cases of a pre-training's data; None, with a notice, where fewer than two are held out.
    /// `seed` draws it: of the run, so that arms with other seeds are measured on the same crops.
    pub(super) fn of(&mut self, config: &RunConfig, data: &Data, seed: u64, recorder: &Recorder) -> Result<Option<Rc<Probe>>, JobError> {
        let names = |cases: &CaseSet| cases.iter().map(|case| case.case.name.clone()).collect::<Vec<_>>();
        let Data { plan, prepared, .. } = data;
        let key = (
            frame(config),
            config.probe.clone(),
            plan.source.clone(),
            plan.preprocess.clone(),
            names(data.held_out()),
            names(&prepared.finetune).into_iter().collect(),
        );
        if let Some((_, probe_set)) = self.0.iter().find(|(known, _)| *known == key) {
            return Ok(probe_set.clone());
        }
        let probe_set = if data.held_out().len() < 2 {
            recorder.notice(
                Severity::Warning,
                "collapse is not measured: fewer than two cases are held out. Set data.split so that some are tested",
            );
            None
        } else {
            let classes = plan.dataset.labels.len();
            let cases = ProbeData { held_out: data.held_out().clone(), labelled: prepared.finetune.clone(), classes };
            Some(Rc::new(Probe::new(&config.probe, frame(config), &cases, seed)?))
        };
        self.0.push((key, probe_set.clone()));
        Ok(probe_set)
    }
}
