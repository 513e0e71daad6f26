//! Which case is shown under which settings: read and drawn on threads of their own.

use std::path::PathBuf;
use std::sync::Arc;

use eframe::egui;

use crate::config::{Arm, DataSource, RunConfig};
use crate::folders;
use crate::gui::{Background, OpenRun, Workspace};
use crate::protocol::{Stage, StageKind};
use crate::volume::Dataset;
use crate::worker::views::{CaseViews, DrawnViews};

/// The demo's settings: what is shown before a run is open.
const DEMO: &str = include_str!("../../../configs/demo.ron");

/// Settings whose views are shown, and the dataset they are shown on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Setting {
    /// An arm's settings laid over the run's.
    pub(super) config: RunConfig,
    pub(super) data: DataSource,
}

impl Setting {
    /// Those of an arm of the shown run, or of the demo where no run is open; `data` in place of the run's own dataset.
    pub(super) fn new(workspace: &Workspace, arm: Option<&Stage>, data: Option<&DataSource>) -> Self {
        let config = match workspace.shown() {
            Some(run) => {
                let arm = arms(run).into_iter().find(|own| arm.is_none_or(|stage| stage.arm == own.name));
                arm.and_then(|arm| run.config.with_arm(arm).ok()).unwrap_or_else(|| run.config.clone())
            }
            None => RunConfig::from_ron(DEMO, "configs/demo.ron").expect("the demo's config is sound"),
        };
        let data = data.unwrap_or(&config.data.source).clone();
        Self { config, data }
    }

    /// Whether both give the same views.
    fn has_views_of(&self, other: &Self) -> bool {
        let deciding = |Self { config, data }: &Self| {
            (data.clone(), config.pretrain.clone(), config.model.clone(), config.data.preprocess.clone(), config.seed)
        };
        deciding(self) == deciding(other)
    }
}

/// A draw that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) draw: u64,
    /// With the changes of intensity that pre-training makes.
    pub(super) texture: bool,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { draw: 0, texture: true }
    }
}

/// A case that is being prepared.
type Preparing = Background<Result<Arc<CaseViews>, String>>;

/// The case and its views, as far as they are made.
#[derive(Default)]
pub(super) struct Source {
    setting: Option<Setting>,
    names: Option<Background<Result<Vec<String>, String>>>,
    /// Which of the names.
    pub(super) case: usize,
    views: Option<(usize, Preparing)>,
    drawing: Option<(Wanted, Background<DrawnViews>)>,
    drawn: Option<(Wanted, Arc<DrawnViews>)>,
}

impl Source {
    /// Starts what is missing, and takes in what is done.
    pub(super) fn refresh(&mut self, ctx: &egui::Context, setting: &Setting, wanted: Wanted) {
        if !self.setting.as_ref().is_some_and(|known| known.has_views_of(setting)) {
            let keeps_case = self.setting.as_ref().is_some_and(|known| known.data == setting.data);
            *self = Self { case: if keeps_case { self.case } else { 0 }, setting: Some(setting.clone()), ..Self::default() };
        }
        let data = setting.data.clone();
        let names = self.names.get_or_insert_with(|| {
            Background::start(ctx, move || {
                let dataset = Dataset::open(&data).map_err(|error| error.to_string())?;
                Ok(dataset.cases.into_iter().map(|case| case.name).collect())
            })
        });
        names.poll();
        let Some(Ok(names)) = names.get() else { return };
        let Some(name) = names.get(self.case).cloned() else { return };
        if self.views.as_ref().is_none_or(|(case, _)| *case != self.case) {
            let setting = setting.clone();
            let prepare = move || {
                let cache: PathBuf = folders::cache().join("volumes");
                CaseViews::prepare(&setting.config, &setting.data, &name, Some(&cache)).map(Arc::new)
            };
            self.views = Some((self.case, Background::start(ctx, prepare)));
            (self.drawing, self.drawn) = (None, None);
        }
        let Some((_, views)) = &mut self.views else { return };
        views.poll();
        let Some(Ok(views)) = views.get() else { return };
        if self.drawing.as_mut().is_some_and(|(_, drawing)| drawing.poll())
            && let Some((asked, drawing)) = self.drawing.take()
        {
            self.drawn = drawing.take().map(|drawn| (asked, Arc::new(drawn)));
        }
        let is_drawn = self.drawn.as_ref().is_some_and(|(drawn, _)| *drawn == wanted);
        if !is_drawn && self.drawing.is_none() {
            let views = views.clone();
            self.drawing = Some((wanted, Background::start(ctx, move || views.draw(wanted.draw, wanted.texture))));
        }
    }

    /// Names of the dataset's cases, once they are known.
    pub(super) fn names(&self) -> &[String] {
        match self.names.as_ref().and_then(Background::get) {
            Some(Ok(names)) => names,
            _ => &[],
        }
    }

    /// The newest views.
    pub(super) fn drawn(&self) -> Option<&Arc<DrawnViews>> {
        self.drawn.as_ref().map(|(_, drawn)| drawn)
    }

    /// What is wrong, if something is.
    pub(super) fn trouble(&self) -> Option<&str> {
        let of_names = self.names.as_ref().and_then(Background::get).and_then(|names| names.as_ref().err());
        let of_views = || self.views.as_ref().and_then(|(_, views)| views.get()).and_then(|views| views.as_ref().err());
        let empty = || matches!(self.names.as_ref().and_then(Background::get), Some(Ok(names)) if names.is_empty());
        of_names.or_else(of_views).map(String::as_str).or_else(|| empty().then_some("the dataset holds no case"))
    }

    /// Whether the views are those that are wanted.
    #[cfg(test)]
    pub(super) fn is_settled(&self, wanted: Wanted) -> bool {
        self.trouble().is_some() || self.drawn.as_ref().is_some_and(|(drawn, _)| *drawn == wanted)
    }
}

/// The pre-training arms that a run compares; none where it pre-trains by itself, whatever its settings would compare.
pub(super) fn arms(run: &OpenRun) -> Vec<&Arm> {
    let began = |arm: &&Arm| run.stages_of(StageKind::Pretrain).any(|stage| stage.stage.arm == arm.name);
    let all = &run.config.arms.pretrain;
    if all.iter().any(|arm| began(&arm)) { all.iter().collect() } else { Vec::new() }
}

/// Pre-training arms of the shown run that have a checkpoint, and where it lies.
pub(super) fn checkpoints(workspace: &Workspace) -> Vec<(Stage, PathBuf)> {
    let Some(run) = workspace.shown() else { return Vec::new() };
    let stages = run.stages_of(StageKind::Pretrain).filter(|stage| !stage.checkpoints.is_empty());
    let folder = |stage: &Stage| run.training_folder(stage).checkpoints();
    stages.map(|stage| (stage.stage.clone(), folder(&stage.stage).join("last"))).collect()
}
