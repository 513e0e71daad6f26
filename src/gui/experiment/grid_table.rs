//! How a grid of any number of axes becomes a table: points down, arms across, repeats of the same experiment side by side.

use std::collections::{BTreeMap, BTreeSet};

use crate::experiment::{Cell, Experiment};
use crate::protocol::StageKind;
use crate::results::Names;

/// Results beside one another in a row at most: more repeats go below one another.
const ACROSS: usize = 18;

/// The table of an experiment's cells.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct GridTable {
    /// Axes whose levels make the rows.
    pub(super) row_axes: Vec<usize>,
    /// Names of the levels of each row, by row axis.
    pub(super) rows: Vec<Vec<String>>,
    /// Names of the repeats that stand next to one another under each arm; one without a name where there are none.
    pub(super) repeats: Vec<String>,
    /// Names of the arms.
    pub(super) arms: Vec<String>,
    /// The cell of each row, arm and repeat.
    cells: BTreeMap<(usize, usize, usize), usize>,
    /// Trainings that pre-train, with what tells them apart.
    pub(super) pretrainings: Vec<(usize, String)>,
}

impl GridTable {
    /// Of an experiment.
    pub(super) fn new(experiment: &Experiment) -> Self {
        let axes = &experiment.config.axes;
        let arms: Vec<String> = experiment.arms().iter().map(|arm| arm.name.clone()).collect();
        let (mut repeating, mut row_axes): (Vec<usize>, Vec<usize>) = (0..axes.len()).partition(|&axis| axes[axis].repeats());
        let repeated: usize = repeating.iter().map(|&axis| experiment.levels[axis].len()).product();
        if row_axes.is_empty() || repeated * arms.len() > ACROSS {
            row_axes = (0..axes.len()).collect();
            repeating.clear();
        }
        let at = |cell: &Cell, axes: &[usize]| axes.iter().map(|&axis| cell.point[axis]).collect::<Vec<usize>>();
        let [rows, columns] =
            [&row_axes, &repeating].map(|axes| experiment.cells.iter().map(|cell| at(cell, axes)).collect::<BTreeSet<_>>());
        let place = |list: &BTreeSet<Vec<usize>>, key: Vec<usize>| list.iter().position(|known| *known == key).unwrap_or(0);
        let placed = experiment.cells.iter().enumerate().map(|(index, cell)| {
            let row = place(&rows, at(cell, &row_axes));
            ((row, cell.arm, place(&columns, at(cell, &repeating))), index)
        });
        let cells = placed.collect();
        let level = |axis: usize, level: usize| experiment.levels[axis][level].name.clone();
        let row_names = rows.iter().map(|row| row_axes.iter().zip(row).map(|(&axis, &at)| level(axis, at)).collect());
        let repeat_names = columns.iter().map(|column| {
            let words = repeating.iter().zip(column).map(|(&axis, &at)| format!("{} {}", axes[axis].name, level(axis, at)));
            words.collect::<Vec<_>>().join(", ")
        });
        let trained = (0..experiment.trainings.len()).filter(|&training| experiment.trainings[training].kind == StageKind::Pretrain);
        Self {
            rows: row_names.collect(),
            repeats: repeat_names.collect(),
            pretrainings: trained.map(|training| (training, Names::training(experiment, training, |_| true))).collect(),
            row_axes,
            arms,
            cells,
        }
    }

    /// The cell at a place; none where that point is not part of the experiment.
    pub(super) fn cell(&self, row: usize, arm: usize, repeat: usize) -> Option<usize> {
        self.cells.get(&(row, arm, repeat)).copied()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::ExperimentConfig;

    fn table(axes: &str) -> (Experiment, GridTable) {
        let text = format!("(name: \"s\", base: run(()), axes: [{axes}])");
        let experiment =
            Experiment::new(ExperimentConfig::from_ron(&text, "s.ron", Path::new("")).unwrap(), crate::experiment::Contents::default())
                .unwrap();
        let table = GridTable::new(&experiment);
        (experiment, table)
    }

    const LABELS: &str = r#"(name: "labels", key: "data.label_fraction", values: ["0.5", "1"]),"#;
    const SEEDS: &str = r#"(name: "seed", key: "seed", values: ["0", "1", "2"]),"#;

    #[test]
    fn seeds_stand_side_by_side_and_levels_below_one_another() {
        let (experiment, table) = table(&format!("{LABELS}{SEEDS}"));
        assert_eq!(table.rows, [["0.5"], ["1"]]);
        assert_eq!(table.repeats, ["seed 0", "seed 1", "seed 2"]);
        assert_eq!(table.arms.len(), 3);
        let cell = &experiment.cells[table.cell(1, 1, 2).unwrap()];
        assert_eq!((experiment.level(cell, 0), experiment.level(cell, 1), cell.arm), ("1", "2", 1));
        let titles: Vec<&str> = table.pretrainings.iter().map(|(_, title)| title.as_str()).collect();
        assert_eq!(titles, ["seed 0, simtrot_w", "seed 1, simtrot_w", "seed 2, simtrot_w"], "labels do not matter to pre-training");
    }

    #[test]
    fn a_grid_of_seeds_alone_and_one_of_many_repeats_go_down() {
        assert_eq!(table(SEEDS).1.rows, [["0"], ["1"], ["2"]]);
        let folds = r#"(name: "fold", levels: [(name: "0", set: ["seed=10"]), (name: "1", set: ["seed=11"]), (name: "2", set: ["seed=12"]), (name: "3", set: ["seed=13"])]),"#;
        let (_, many) = table(&format!("{LABELS}{SEEDS}{folds}"));
        assert_eq!((many.rows.len(), many.repeats.len()), (2 * 3 * 4, 1));
        assert_eq!(table("").1.rows, [Vec::<String>::new()]);
    }
}
