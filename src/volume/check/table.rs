//! The report as text, for a terminal of a hundred columns.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use super::{CaseRow, CheckReport, ImageSummary};

/// Columns of the terminal that the table is made for.
const WIDTH: u16 = 100;

/// Label values counted one by one in a row; of more, their number is told.
const LABELS_SHOWN: usize = 3;

impl fmt::Display for CheckReport {
    /// Name, one line for each case, notes, problems.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labelled = self.rows.iter().filter(|row| row.labels.is_some()).count();
        writeln!(f, "{}: {} cases, {labelled} with labels", self.name, self.rows.len())?;
        writeln!(f, "channels: {}", self.channels.join(", "))?;
        let labels = self.labels.iter().map(|(value, name)| format!("{value} {name}")).collect::<Vec<_>>();
        writeln!(f, "labels: {}", labels.join(", "))?;
        writeln!(f, "{}", self.table())?;
        for row in &self.rows {
            for note in &row.notes {
                writeln!(f, "note: {}: {note}", row.name)?;
            }
        }
        if self.problems.is_empty() {
            return write!(f, "no problems");
        }
        write!(f, "{} problems; unusable cases: {}", self.problems.len(), self.unusable().len())?;
        for problem in &self.problems {
            write!(f, "\n- {}{}", problem.case.as_ref().map(|case| format!("{case}: ")).unwrap_or_default(), problem.error)?;
        }
        Ok(())
    }
}

impl CheckReport {
    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(WIDTH);
        table.set_header(["case", "D x H x W", "mm", "axes", "0.5 / 50 / 99.5 %", "voxels of labels", ""]);
        let unusable = self.unusable();
        for row in &self.rows {
            let state = if unusable.contains(&row.name) { "!" } else { "" };
            let [shape, spacing, axes, intensity] = row.image.as_ref().map_or(["-", "-", "-", "-"].map(str::to_owned), image_cells);
            let labels = row.labels.as_ref().map_or("none".to_owned(), label_cell);
            let cells = [row.name.clone(), shape, spacing, axes, intensity, labels, state.to_owned()];
            table.add_row(cells.map(Cell::new));
        }
        for column in [1, 2, 4] {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table
    }
}

impl CaseRow {
    /// Number of channels, 0 if the image cannot be read.
    pub fn channels(&self) -> usize {
        self.image.as_ref().map_or(0, |image| image.intensity.len())
    }
}

fn image_cells(image: &ImageSummary) -> [String; 4] {
    let [d, h, w] = image.shape;
    let spacing = image.spacing_mm.map(|mm| number(mm, 3));
    let spacing = if spacing[0] == spacing[1] && spacing[1] == spacing[2] { spacing[0].clone() } else { spacing.join(" x ") };
    let mut intensity = image.intensity.first().map(|values| values.map(|v| number(f64::from(v), 3)).join(" / ")).unwrap_or_default();
    if image.intensity.len() > 1 {
        let _ = write!(intensity, " (1 of {})", image.intensity.len());
    }
    [format!("{d} x {h} x {w}"), spacing, image.axes.clone(), intensity]
}

fn label_cell(labels: &BTreeMap<u32, u64>) -> String {
    let foreground = || labels.iter().filter(|&(&value, _)| value != 0);
    match foreground().count() {
        0 => "background only".to_owned(),
        1..=LABELS_SHOWN => foreground().map(|(value, count)| format!("{value}: {count}")).collect::<Vec<_>>().join(", "),
        many => format!("{many} labels, {} in all", foreground().map(|(_, count)| count).sum::<u64>()),
    }
}

/// A number to so many digits, in powers of ten if long.
fn number(value: f64, digits: usize) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let magnitude = value.abs().log10().floor();
    if !(-3.0..5.0).contains(&magnitude) {
        return format!("{value:.*e}", digits - 1);
    }
    let decimals = (digits as f64 - 1.0 - magnitude).max(0.0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_are_short() {
        let values = [0.0, 1.0, 0.82912, 2.4713, -175.0, 1_712_345.0, 0.00012];
        assert_eq!(values.map(|value| number(value, 3)), ["0", "1", "0.829", "2.47", "-175", "1.71e6", "1.20e-4"]);
    }
}
