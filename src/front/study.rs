//! `simtrot study`: laying a grid out, working on it, looking at it.

use std::path::Path;

use super::{BAD_INPUT, FAILED, Manner, Refusal, STOPPED};
use crate::cli::{StudyArgs, StudyLook, StudyPart};
use crate::config::StudyConfig;
use crate::device::DeviceChoice;
use crate::headless::{self, follow_study, study_estimate, study_plan, study_status, study_story};
use crate::protocol::StageKind;
use crate::report::wording::{bytes, count};
use crate::study::{Estimate, OnlyError, StagePlan, Study, StudyFolder, StudyFolderError, StudyState, Tally};
use crate::worker::{StudyHandle, StudyJob, spawn_study};
use crate::{plan, report};

/// Means the demo's settings where a path is expected.
const DEMO_WORD: &str = "demo";

/// Steps of a trial: the first is slower than the others, the median of three is not.
const TRIAL_STEPS: usize = 3;

impl From<StudyFolderError> for Refusal {
    fn from(error: StudyFolderError) -> Self {
        match error {
            StudyFolderError::Io { .. } => Self::Failure(error.to_string()),
            _ => Self::Input(error.to_string()),
        }
    }
}

impl From<OnlyError> for Refusal {
    fn from(error: OnlyError) -> Self {
        Self::Input(error.to_string())
    }
}

/// Works on a study, or looks at it.
pub(super) fn study(arguments: StudyArgs, manner: &Manner) -> Result<u8, Refusal> {
    let StudyArgs { look, config, part, jobs, dry_run, max_steps } = arguments;
    match (look, config) {
        (Some(StudyLook::Plan { config, part }), _) => show_plan(&config, &part, manner),
        (Some(StudyLook::Status { study, part }), _) => show_status(&study, &part),
        (Some(StudyLook::Report { study }), _) => write_report(&study, manner),
        (None, Some(config)) => {
            let (folder, study) = find(&config, part.out.as_deref())?;
            let cells = study.wanted(&part.only)?;
            if dry_run {
                headless::say(study_plan(&study, &cells));
                return Ok(0);
            }
            let stages = study.stages_of(&cells);
            require_room(&study, &stages, jobs, &manner.device)?;
            let job = StudyJob { study, folder, stages, at_once: jobs, max_steps };
            if manner.window { super::window::follow_study(job, manner) } else { work(&job, manner) }
        }
        (None, None) => unreachable!("the command line asks for a config where nothing is looked at"),
    }
}

/// The folder and the study that a path means: a study's config, a run's, the folder of a study, or the demo by its name.
fn find(path: &Path, out: Option<&Path>) -> Result<(StudyFolder, Study), Refusal> {
    if path.is_dir() {
        let folder = StudyFolder::new(path);
        let study = folder.read()?;
        return Ok((folder, study));
    }
    let config = if path == Path::new(DEMO_WORD) { StudyConfig::of_run(super::demo()?) } else { StudyConfig::load(path)? };
    let folder = StudyFolder::named(out, &config.name);
    let study = Study::new(config, folder.contents())?;
    Ok((folder, study))
}

fn work(job: &StudyJob, manner: &Manner) -> Result<u8, Refusal> {
    let handle = spawn_study(job.clone(), manner.device.clone())?;
    follow(handle, job, manner)
}

/// Follows a study at work to its end, and tells what came out.
pub(super) fn follow(handle: StudyHandle, job: &StudyJob, manner: &Manner) -> Result<u8, Refusal> {
    let StudyJob { study, folder, stages, .. } = job;
    let (tally, stopped) = follow_study(handle, study, stages, headless::Options { quiet: manner.quiet, config: None });
    let state = StudyState::read(study, folder);
    if tally.done > 0 {
        conclude(folder, study, &state, manner)?;
    } else {
        let wanted = |cell: &usize| stages.contains(&study.cells[*cell].finetuned);
        let cells: Vec<usize> = (0..study.cells.len()).filter(wanted).collect();
        headless::say(study_status(study, &state, &cells));
    }
    if !manner.quiet {
        tell_of_others(folder, study);
    }
    if stopped {
        headless::remark("stopped and saved; the same command goes on");
    }
    Ok(exit_code(tally, stopped))
}

/// What is missing without anybody's wish is a failure.
fn exit_code(tally: Tally, stopped: bool) -> u8 {
    match (stopped, tally.failed) {
        (true, _) => STOPPED,
        (false, 0) => 0,
        (false, _) => FAILED,
    }
}

fn show_plan(config: &Path, part: &StudyPart, manner: &Manner) -> Result<u8, Refusal> {
    let (folder, study) = find(config, part.out.as_deref())?;
    let cells = study.wanted(&part.only)?;
    let stages = study.stages_of(&cells);
    headless::say(format_args!("{}\n", study_plan(&study, &cells)));
    let state = StudyState::read(&study, &folder);
    let needed = Estimate::unmeasured(&study, &state, &stages);
    if needed.is_empty() {
        headless::say(study_estimate(&Estimate::new(&study, &state, &folder, &stages), 1));
        return Ok(0);
    }
    let place = tempfile::tempdir().map_err(|error| Refusal::Failure(error.to_string()))?;
    let tried = StudyFolder::new(place.path().join("trial"));
    // A step costs the same from whatever weights: in the trial, every training starts from scratch.
    let mut scratch = study.clone();
    scratch.stages.iter_mut().for_each(|stage| stage.after = None);
    let job = StudyJob { study: scratch, folder: tried.clone(), stages: needed.clone(), at_once: 1, max_steps: Some(TRIAL_STEPS) };
    if !manner.quiet {
        eprintln!("measuring {TRIAL_STEPS} steps of each kind; nothing of it is kept");
    }
    let handle = spawn_study(job, manner.device.clone())?;
    let (tally, stopped) = follow_study(handle, &study, &needed, headless::Options { quiet: true, config: None });
    let measured = StudyState::read(&study, &tried);
    let estimate = Estimate::from_trial(&study, &stages, (&state, &folder), (&measured, &tried));
    headless::say(study_estimate(&estimate, 1));
    Ok(if stopped {
        STOPPED
    } else if tally.failed > 0 {
        BAD_INPUT
    } else {
        0
    })
}

fn show_status(path: &Path, part: &StudyPart) -> Result<u8, Refusal> {
    let (folder, study) = find(path, part.out.as_deref())?;
    let cells = study.wanted(&part.only)?;
    let state = StudyState::read(&study, &folder);
    headless::say(study_status(&study, &state, &cells));
    tell_of_others(&folder, &study);
    let stages = study.stages_of(&cells);
    if state.tally(&study, &stages).done < stages.len() {
        headless::say(study_estimate(&Estimate::new(&study, &state, &folder, &stages), 1));
    }
    Ok(0)
}

/// Says that finished trainings lie in the folder which are not those of the study as it is now.
fn tell_of_others(folder: &StudyFolder, study: &Study) {
    let others = folder.others(study);
    if others > 0 {
        headless::say(format_args!(
            "The folder also holds {} of other settings, other data or another version of the program; they are left as they are and \
             count for nothing here.",
            count(others, "finished training")
        ));
    }
}

fn write_report(path: &Path, manner: &Manner) -> Result<u8, Refusal> {
    let (folder, study) = find(path, None)?;
    let state = StudyState::read(&study, &folder);
    conclude(&folder, &study, &state, manner)?;
    Ok(0)
}

/// Refuses more trainings at once than the device has room for.
fn require_room(study: &Study, stages: &[usize], jobs: usize, device: &DeviceChoice) -> Result<(), Refusal> {
    if jobs <= 1 {
        return Ok(());
    }
    for stage in Estimate::one_of_each(study, stages) {
        let StagePlan { kind, config, .. } = &study.stages[stage];
        let plan = plan::plan(config, device).map_err(|error| Refusal::Input(format!("{error:#}")))?;
        if plan.binding_bytes.is_some() {
            return Err(Refusal::Input(format!(
                "--jobs {jobs}: on a GPU one training runs at a time, since its driver does not tell how much memory is left; \
                 leave --jobs away, or add --device cpu"
            )));
        }
        let each = if *kind == StageKind::Pretrain { plan.pretrain.bytes } else { plan.finetune.bytes };
        if let Some(free) = plan.free_bytes.filter(|&free| each * jobs as u64 > free) {
            return Err(Refusal::Input(format!(
                "--jobs {jobs}: trainings of {} each do not fit into the {} that are free; --jobs {} does",
                bytes(each),
                bytes(free),
                (free / each.max(1)).max(1)
            )));
        }
    }
    Ok(())
}

/// Tables and pictures into the study's folder, the story to the terminal.
fn conclude(folder: &StudyFolder, study: &Study, state: &StudyState, manner: &Manner) -> Result<(), Refusal> {
    let report = report::study::write(folder, study, state).map_err(|error| Refusal::Failure(error.to_string()))?;
    if !manner.quiet {
        headless::say(study_story(study, state, &report));
    }
    Ok(())
}
