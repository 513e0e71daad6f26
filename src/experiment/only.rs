//! Which part of an experiment is wanted.

use super::{Cell, Experiment};

/// What the arms are called beside the experiment's own axes.
const ARM: &str = "arm";

/// Which cells are wanted: a level of an axis, or an arm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Only {
    /// Name of the axis, or `arm`.
    pub axis: String,
    /// Name of the level.
    pub level: String,
}

/// An [`Only`] that fits no experiment.
#[derive(Debug, thiserror::Error)]
#[error("--only {axis}={level}: {reason}")]
pub struct OnlyError {
    axis: String,
    level: String,
    reason: String,
}

impl std::str::FromStr for Only {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (axis, level) = text.split_once('=').ok_or("expected AXIS=VALUE, for example seed=0 or arm=scratch")?;
        Ok(Self { axis: axis.trim().to_owned(), level: level.trim().to_owned() })
    }
}

impl Experiment {
    /// Cells that all of `only` want; several levels of one axis are alternatives.
    ///
    /// # Errors
    /// An axis or level that the experiment does not have.
    pub fn wanted(&self, only: &[Only]) -> Result<Vec<usize>, OnlyError> {
        for Only { axis, level } in only {
            let refuse = |reason: String| OnlyError { axis: axis.clone(), level: level.clone(), reason };
            let known: Vec<&str> = match self.config.axes.iter().position(|known| known.name == *axis) {
                Some(index) => self.levels[index].iter().map(|level| level.name.as_str()).collect(),
                None if axis == ARM => self.arms().iter().map(|arm| arm.name.as_str()).collect(),
                None => {
                    let axes: Vec<&str> = self.config.axes.iter().map(|axis| axis.name.as_str()).chain([ARM]).collect();
                    return Err(refuse(format!("no axis of that name; there are: {}", axes.join(", "))));
                }
            };
            if !known.contains(&level.as_str()) {
                return Err(refuse(format!("no level of that name; there are: {}", known.join(", "))));
            }
        }
        let has = |cell: &Cell, wanted: &Only| match self.config.axes.iter().position(|axis| axis.name == wanted.axis) {
            Some(axis) => self.level(cell, axis) == wanted.level,
            None => self.arms()[cell.arm].name == wanted.level,
        };
        let chosen = |cell: &Cell| only.iter().all(|one| only.iter().any(|other| other.axis == one.axis && has(cell, other)));
        Ok((0..self.cells.len()).filter(|&cell| chosen(&self.cells[cell])).collect())
    }

    /// The trainings that `only` wants: those behind its cells, or all where it is empty.
    ///
    /// # Errors
    /// As [`Experiment::wanted`].
    pub fn chosen(&self, only: &[Only]) -> Result<Vec<usize>, OnlyError> {
        Ok(if only.is_empty() { (0..self.trainings.len()).collect() } else { self.trainings_behind(&self.wanted(only)?) })
    }
}
