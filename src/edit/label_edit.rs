//! The edit of one label map: strokes, fills, undo and redo, each kept in the journal.

use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::sync::Arc;

use super::brush::Brush;
use super::class_volume::{ClassVolume, include_span};
use super::fill::Filled;
use super::history::History;
use super::journal::{Change, Journal, JournalSubject, NamedLabel};
use super::step::{PaintLabel, Run, Step};
use crate::geometry::{Grid, VoxelBox};
use crate::volume::segment::Segment;

/// What may be painted over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// All labels and the background.
    All,
    /// The background alone.
    Background,
    /// The label of this class alone.
    Label(u8),
}

impl Over {
    fn allows(self, class: u8) -> bool {
        match self {
            Self::All => true,
            Self::Background => class == 0,
            Self::Label(only) => class == only,
        }
    }
}

/// What one stroke paints. An eraser paints [`PaintLabel::BACKGROUND`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Paint {
    /// With what.
    pub label: PaintLabel,
    /// Over what.
    pub over: Over,
    /// How widely.
    pub brush: Brush,
}

/// Keeps a stroke to voxels whose intensity lies in a range; never to one that is NaN.
#[derive(Clone, Copy, Debug)]
pub struct WithinRange<'a> {
    /// Intensities of the image on the same grid, `[D, H, W]`.
    pub voxels: &'a [f32],
    /// From the lowest to the highest that is painted.
    pub range: &'a RangeInclusive<f32>,
}

/// The edit of one label map on one grid.
pub struct LabelEdit {
    grid: Grid,
    classes: ClassVolume,
    history: History,
    /// The stroke under way: what it paints and what it changed so far.
    stroke: Option<(Paint, Vec<Run>)>,
    /// For each version the first one in which the map was the same: undo and redo bring it back.
    first_alike: Vec<u64>,
    /// The version that was saved last.
    saved: u64,
    journal: Option<Journal>,
}

impl LabelEdit {
    /// Begins with a map as it is, and keeps every step in a journal of the `subject`. Without one a crash takes what is not saved.
    ///
    /// # Panics
    /// Where map and grid differ in shape: our own bug.
    pub fn new(grid: Grid, classes: ClassVolume, subject: Option<JournalSubject>) -> Self {
        assert_eq!(classes.shape(), grid.shape, "classes on their grid");
        let journal = subject.map(|subject| Journal::start(subject, classes.clone()));
        Self { grid, classes, history: History::default(), stroke: None, first_alike: vec![0], saved: 0, journal }
    }

    /// Where the voxels lie.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// The map as it is now.
    pub fn classes(&self) -> &ClassVolume {
        &self.classes
    }

    /// The map as it is now, for another thread that counts, fills or saves it, and its version. A stroke under way is ended.
    pub fn snapshot(&mut self) -> (ClassVolume, u64) {
        self.end_stroke();
        (self.classes.clone(), self.version())
    }

    /// Steps that can be undone, and that can be redone.
    pub fn depth(&self) -> (usize, usize) {
        self.history.depth()
    }

    /// A number that grows with every change of the map.
    pub fn version(&self) -> u64 {
        self.first_alike.len() as u64 - 1
    }

    /// Whether the map is another one than was saved or opened.
    pub fn is_unsaved(&self) -> bool {
        self.version() != self.saved || self.stroke.as_ref().is_some_and(|(_, runs)| !runs.is_empty())
    }

    /// The map of a `version` was saved. The journal records it, and its file goes with the edit unless the map is another one by now.
    pub fn saved(&mut self, version: u64) {
        self.saved = if self.is_alike(version) { self.version() } else { version };
        self.record(Change::Saved { since: self.version() - self.saved });
    }

    /// Whether the map is as it was in a version.
    fn is_alike(&self, version: u64) -> bool {
        self.first_alike.last() == self.first_alike.get(version as usize)
    }

    /// Gives the edit up, with its journal. An edit that is dropped otherwise leaves the journal of what is not saved, for the next start.
    pub fn discard(mut self) {
        self.stroke = None;
        if let Some(journal) = self.journal.take() {
            journal.remove();
        }
    }

    /// Where the journal lies, once it does; none without one.
    pub fn journal_file(&self) -> Option<PathBuf> {
        self.journal.as_ref()?.file()
    }

    /// What the user should know of the journal, in a sentence: that it lies elsewhere than beside the volume, or that it cannot be kept.
    pub fn journal_notice(&self) -> Option<String> {
        self.journal.as_ref()?.notice()
    }

    /// A label has a new name or colour, which the journal keeps for the next start.
    pub fn name_label(&mut self, value: u32, segment: &Segment) {
        self.record(Change::Label(NamedLabel::new(value, segment)));
    }

    /// Begins a stroke, which will be one step of undo. A stroke under way is ended.
    pub fn begin_stroke(&mut self, paint: Paint) {
        self.end_stroke();
        self.stroke = Some((paint, Vec::new()));
    }

    /// Whether a stroke is under way.
    pub fn is_stroking(&self) -> bool {
        self.stroke.is_some()
    }

    /// Paints along a segment (D,H,W, whole numbers at voxel centres), clipped at the borders. Returns the box of what changed, empty where nothing
    /// did. Without a stroke under way nothing is painted.
    ///
    /// # Panics
    /// Where the intensities are of another grid: our own bug.
    pub fn stroke(&mut self, from: [f64; 3], to: [f64; 3], within: Option<WithinRange<'_>>) -> VoxelBox {
        let Some((paint, mut runs)) = self.stroke.take() else { return VoxelBox::EMPTY };
        assert!(within.is_none_or(|within| within.voxels.len() == self.grid.len()), "intensities on the grid of the labels");
        let spans = paint.brush.spans(&self.grid, from, to);
        let begin = runs.len();
        for span in spans {
            self.change(span, paint.label.class, &mut runs, |class, index| {
                paint.over.allows(class) && within.is_none_or(|within| within.range.contains(&within.voxels[index]))
            });
        }
        let changed = self.bounds(runs[begin..].iter().map(|run| &run.span));
        self.stroke = Some((paint, runs));
        changed
    }

    /// Ends the stroke: it becomes one step of undo and goes to the journal. Whether it changed anything.
    pub fn end_stroke(&mut self) -> bool {
        self.stroke.take().is_some_and(|(paint, runs)| self.finish(paint.label, runs))
    }

    /// Paints what [`super::fill_between`] found, as one step of undo. Voxels that `over` does not allow any more are left.
    pub fn apply_fill(&mut self, filled: &Filled, value: u16, over: Over) -> VoxelBox {
        self.end_stroke();
        let label = PaintLabel { class: filled.class, value };
        self.paint_spans(label, filled.spans.iter().cloned(), |class| over.allows(class))
    }

    /// Takes the last step back; the box of what changed, empty where there was none. A stroke under way is ended first.
    pub fn undo(&mut self) -> VoxelBox {
        self.end_stroke();
        let Some((step, [before, _])) = self.history.undo() else { return VoxelBox::EMPTY };
        self.put(&step, |run| run.before, (Change::Undo, before))
    }

    /// Does the step again that was undone last; the box of what changed, empty where there was none.
    pub fn redo(&mut self) -> VoxelBox {
        self.end_stroke();
        let Some((step, [_, after])) = self.history.redo() else { return VoxelBox::EMPTY };
        self.put(&step, |_| step.after.class, (Change::Redo, after))
    }

    /// Goes on with the journal that the edit was brought back from.
    pub(super) fn resume(&mut self, journal: Journal) {
        self.journal = Some(journal);
    }

    /// Does a step of a journal again, with its label as it is `label` here.
    pub(super) fn replay(&mut self, step: &Step, label: PaintLabel) {
        self.paint_spans(label, step.runs().map(|run| run.span), |_| true);
    }

    fn paint_spans(&mut self, label: PaintLabel, spans: impl Iterator<Item = Range<usize>>, allowed: impl Fn(u8) -> bool) -> VoxelBox {
        let mut runs = Vec::new();
        for span in spans {
            self.change(span, label.class, &mut runs, |class, _| allowed(class));
        }
        let changed = self.bounds(runs.iter().map(|run| &run.span));
        self.finish(label, runs);
        changed
    }

    /// Gives a class to the voxels of a span that are `allowed` it, by their class and index, and notes what they were.
    fn change(&mut self, span: Range<usize>, class: u8, runs: &mut Vec<Run>, allowed: impl Fn(u8, usize) -> bool) {
        for (d, first, piece) in self.classes.pieces(span) {
            let begin = runs.len();
            let is = |at: usize, before: u8| before != class && allowed(before, first + at);
            let slice = self.classes.slice(d);
            for (at, &before) in piece.clone().zip(&slice[piece]).filter(|&(at, &before)| is(at, before)) {
                let index = first + at;
                match runs[begin..].last_mut() {
                    Some(run) if run.span.end == index && run.before == before => run.span.end += 1,
                    _ => runs.push(Run { span: index..index + 1, before }),
                }
            }
            for run in &runs[begin..] {
                self.classes.fill(d, run.span.start - first..run.span.end - first, class);
            }
        }
    }

    /// Makes a step of what was changed.
    fn finish(&mut self, label: PaintLabel, runs: Vec<Run>) -> bool {
        let Some(step) = Step::new(label, runs).map(Arc::new) else { return false };
        let (before, after) = (self.first_alike[self.version() as usize], self.version() + 1);
        self.first_alike.push(after);
        self.history.push(step.clone(), [before, after]);
        self.record(Change::Step(step));
        true
    }

    /// Sets the voxels of a step to what `class` says of each run: a change after which the map is as it was in the version `alike`.
    fn put(&mut self, step: &Step, class: impl Fn(&Run) -> u8, (change, alike): (Change, u64)) -> VoxelBox {
        self.first_alike.push(alike);
        self.record(change);
        if self.is_alike(self.saved) {
            // Back to what was saved or opened: nothing would be lost.
            self.saved(self.saved);
        }
        let mut changed = VoxelBox::EMPTY;
        for run in step.runs() {
            include_span(&mut changed, &run.span, self.grid.shape);
            for (d, _, piece) in self.classes.pieces(run.span.clone()) {
                self.classes.fill(d, piece, class(&run));
            }
        }
        changed
    }

    fn bounds<'a>(&self, spans: impl Iterator<Item = &'a Range<usize>>) -> VoxelBox {
        spans.fold(VoxelBox::EMPTY, |mut all, span| {
            include_span(&mut all, span, self.grid.shape);
            all
        })
    }

    fn record(&self, change: Change) {
        if let Some(journal) = &self.journal {
            journal.record(change);
        }
    }
}

impl Drop for LabelEdit {
    fn drop(&mut self) {
        self.end_stroke();
    }
}
