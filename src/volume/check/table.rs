//! The report as text, for a terminal of a hundred columns.

use std::fmt;

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, TableComponent, presets};

use super::{CaseRow, CheckReport, ImageSummary};
use crate::volume::{natural, note};

/// Columns of the terminal that the table is made for.
const WIDTH: u16 = 100;

/// Labels of a dataset up to which each has its own count in a row.
const LABELS_SHOWN: usize = 4;

impl fmt::Display for CheckReport {
    /// Name, one line for each case, notes, problems.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labelled = self.rows.iter().filter(|row| row.labels.is_some()).count();
        writeln!(f, "{}: {} cases, {labelled} with labels", self.name, self.rows.len())?;
        writeln!(f, "{}", wrapped("channels: ", &self.channels))?;
        let labels: Vec<String> = self.labels.iter().map(|(value, name)| format!("{value} {name}")).collect();
        writeln!(f, "{}", wrapped("labels: ", &labels))?;
        writeln!(f, "{}", self.table())?;
        for row in &self.rows {
            for note in &row.notes {
                writeln!(f, "note: {}: {note}", row.name)?;
            }
        }
        for line in note::lines(&self.notes) {
            writeln!(f, "note: {line}")?;
        }
        if self.problems.is_empty() {
            return match self.equal_images.len() {
                0 => write!(f, "no problems"),
                1 => write!(f, "every case can be used, but 1 image is there more than once"),
                many => write!(f, "every case can be used, but {many} images are there more than once"),
            };
        }
        write!(f, "{} problems; unusable cases: {}", self.problems.len(), self.unusable().len())?;
        for problem in &self.problems {
            write!(f, "\n- {}{}", problem.case.as_ref().map(|case| format!("{case}: ")).unwrap_or_default(), problem.error)?;
        }
        Ok(())
    }
}

impl CheckReport {
    /// The label values besides the background.
    pub(crate) fn foreground(&self) -> Vec<u32> {
        self.labels.keys().copied().filter(|&value| value != 0).collect()
    }

    /// What [`label_cell`] counts, as a column's title.
    pub(crate) fn label_title(&self) -> String {
        let foreground = self.foreground();
        let values = foreground.iter().map(u32::to_string).collect::<Vec<_>>().join(" / ");
        if foreground.len() <= LABELS_SHOWN { format!("voxels of {values}") } else { "labelled voxels".to_owned() }
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(WIDTH).remove_style(TableComponent::HorizontalLines).remove_style(TableComponent::MiddleIntersections);
        let (foreground, voxels) = (self.foreground(), self.label_title());
        table.set_header(["case", "D x H x W", "mm", "axes", "ch", "0.5 / 50 / 99.5 %", &voxels, ""]);
        let unusable = self.unusable();
        let mut rows: Vec<&CaseRow> = self.rows.iter().collect();
        rows.sort_by(|a, b| natural(&a.name, &b.name));
        for row in rows {
            let state = if unusable.contains(&row.name) { "!" } else { "" };
            let [shape, spacing, axes, intensity] = row.image.as_ref().map_or(["-", "-", "-", "-"].map(str::to_owned), image_cells);
            let labels = label_cell(row, &foreground);
            let cells = [row.name.clone(), shape, spacing, axes, row.channels().to_string(), intensity, labels, state.to_owned()];
            table.add_row(cells.map(Cell::new));
        }
        for column in [1, 2, 4, 5, 6] {
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

/// A list on as many lines as it needs.
fn wrapped(title: &str, items: &[String]) -> String {
    let mut text = title.to_owned();
    let mut column = title.len();
    for (index, item) in items.iter().enumerate() {
        let comma = if index + 1 < items.len() { "," } else { "" };
        let length = item.chars().count() + comma.len();
        if index > 0 && column + 1 + length > usize::from(WIDTH) {
            text.push_str("\n ");
            column = 1;
        }
        let space = if index > 0 { " " } else { "" };
        text.push_str(&format!("{space}{item}{comma}"));
        column += space.len() + length;
    }
    text
}

/// Shape, voxel size, letters, intensities of the first channel.
pub(crate) fn image_cells(image: &ImageSummary) -> [String; 4] {
    let [d, h, w] = image.shape;
    let spacing = image.spacing_mm.map(number);
    let spacing = if spacing[0] == spacing[1] && spacing[1] == spacing[2] { spacing[0].clone() } else { spacing.join(" x ") };
    let intensity = image.intensity.first().map(|values| values.map(|v| number(f64::from(v))).join(" / ")).unwrap_or_default();
    [format!("{d} x {h} x {w}"), spacing, image.axes.clone(), intensity]
}

/// Voxels of each label of the dataset, or of all of them together if they are many.
pub(crate) fn label_cell(row: &CaseRow, foreground: &[u32]) -> String {
    let Some(found) = &row.labels else { return "none".to_owned() };
    if foreground.len() <= LABELS_SHOWN {
        let voxels = foreground.iter().map(|value| found.get(value).unwrap_or(&0).to_string());
        return voxels.collect::<Vec<_>>().join(" / ");
    }
    let present = found.iter().filter(|&(&value, _)| value != 0);
    format!("{} in {} labels", present.clone().map(|(_, voxels)| voxels).sum::<u64>(), present.count())
}

/// A number to three digits, in powers of ten if long.
pub(crate) fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let magnitude = value.abs().log10().floor();
    if !(-3.0..5.0).contains(&magnitude) {
        return format!("{value:.2e}");
    }
    let decimals = (2.0 - magnitude).max(0.0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::{number, wrapped};

    #[test]
    fn long_lists_go_on_in_the_next_line() {
        let items: Vec<String> = (0..40).map(|number| format!("label {number}")).collect();
        let text = wrapped("labels: ", &items);
        assert!(text.lines().count() == 5 && text.lines().all(|line| line.len() <= 100), "{text}");
        assert_eq!(text.split_whitespace().collect::<Vec<_>>().join(" "), format!("labels: {}", items.join(", ")));
    }

    #[test]
    fn numbers_are_short() {
        let values = [0.0, 1.0, 0.82912, 2.4713, -175.0, 1_712_345.0, 0.00012];
        assert_eq!(values.map(number), ["0", "1", "0.829", "2.47", "-175", "1.71e6", "1.20e-4"]);
    }
}
