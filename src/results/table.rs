//! A table: the same cells in terminal, window, page and Markdown, and unrounded in a CSV file.

/// A table with a line of names on top; the first column names the rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Its columns.
    pub columns: Vec<Column>,
    /// A cell for each column.
    pub rows: Vec<Vec<Cell>>,
    /// The row that is marked.
    pub best: Option<usize>,
}

/// A column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it means, in a sentence: shown under the pointer, and below the name where the table lies on its side.
    pub meaning: String,
    /// Whether it holds numbers.
    pub is_number: bool,
    /// Names of its fields in a CSV file; none: it is left out there.
    pub fields: Vec<String>,
}

/// What stands in a row and column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell {
    /// Words, or a number in words.
    pub text: String,
    /// Whether it is read first.
    pub is_strong: bool,
    /// Small, behind or below it.
    pub note: String,
    /// The series whose colour it has.
    pub series: Option<usize>,
    /// Values in a CSV file, one for each of the column's fields; none: the row is left out there.
    pub fields: Vec<String>,
}

impl Column {
    /// A column of names.
    pub fn words(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// A column of words that has the same name in a CSV file.
    pub fn field(name: &str) -> Self {
        Self::words(name).fields([name])
    }

    /// A column of numbers.
    pub fn numbers(name: impl Into<String>) -> Self {
        Self { is_number: true, ..Self::words(name) }
    }

    /// The same, explained.
    #[must_use]
    pub fn meaning(self, meaning: impl Into<String>) -> Self {
        Self { meaning: meaning.into(), ..self }
    }

    /// The same, with fields in a CSV file.
    #[must_use]
    pub fn fields<N: Into<String>>(self, names: impl IntoIterator<Item = N>) -> Self {
        Self { fields: names.into_iter().map(Into::into).collect(), ..self }
    }
}

impl Cell {
    /// Words or a number in words.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// Words that are the same in a CSV file.
    pub fn word(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { fields: vec![text.clone()], ..Self::text(text) }
    }

    /// A count.
    pub fn count(number: usize) -> Self {
        Self::word(number.to_string())
    }

    /// The same, to be read first.
    #[must_use]
    pub fn strong(self) -> Self {
        Self { is_strong: true, ..self }
    }

    /// The same with a small note.
    #[must_use]
    pub fn note(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }

    /// The same in the colour of a series.
    #[must_use]
    pub fn series(self, series: usize) -> Self {
        Self { series: Some(series), ..self }
    }

    /// The same with numbers for a CSV file: unrounded, an empty field where there is none.
    #[must_use]
    pub fn values(self, values: impl IntoIterator<Item = Option<f64>>) -> Self {
        let written = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
        self.fields(values.into_iter().map(written))
    }

    /// The same with words for a CSV file.
    #[must_use]
    pub fn fields<S: Into<String>>(self, fields: impl IntoIterator<Item = S>) -> Self {
        Self { fields: fields.into_iter().map(Into::into).collect(), ..self }
    }

    /// The same with one more field in a CSV file.
    #[must_use]
    pub fn and_field(mut self, field: &str) -> Self {
        self.fields.push(field.to_owned());
        self
    }
}

/// A table that grows by columns, each with what stands in it for each of `rows`.
pub struct Columns<'a, R> {
    rows: &'a [R],
    /// The table so far.
    pub table: Table,
}

impl<'a, R> Columns<'a, R> {
    /// Without a column yet.
    pub fn over(rows: &'a [R]) -> Self {
        Self { rows, table: Table { rows: vec![Vec::new(); rows.len()], ..Table::default() } }
    }

    /// Adds a column at the right.
    pub fn add(&mut self, column: Column, cell: impl Fn(&R) -> Cell) {
        self.table.columns.push(column);
        self.table.rows.iter_mut().zip(self.rows).for_each(|(cells, row)| cells.push(cell(row)));
    }
}

impl Table {
    /// The same with some of its columns, by name.
    #[must_use]
    pub fn keeping(mut self, keep: impl Fn(&Column) -> bool) -> Self {
        let kept: Vec<bool> = self.columns.iter().map(keep).collect();
        let filter = |cells: &mut Vec<Cell>| {
            let mut kept = kept.iter();
            cells.retain(|_| *kept.next().unwrap_or(&false));
        };
        self.rows.iter_mut().for_each(filter);
        let mut kept = kept.iter();
        self.columns.retain(|_| *kept.next().unwrap_or(&false));
        self
    }

    /// As a CSV file.
    ///
    /// # Panics
    /// If rows differ in their number of fields.
    pub fn csv(&self) -> Vec<u8> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let head: Vec<&String> = self.columns.iter().flat_map(|column| &column.fields).collect();
        let rows = self.rows.iter().map(|row| {
            let kept = row.iter().zip(&self.columns).filter(|(_, column)| !column.fields.is_empty());
            kept.flat_map(|(cell, _)| &cell.fields).collect::<Vec<_>>()
        });
        for row in std::iter::once(head).chain(rows).filter(|row| !row.is_empty()) {
            writer.write_record(row).expect("every row has as many fields as the first");
        }
        writer.into_inner().expect("writing into memory cannot fail")
    }

    /// On its side: a row for each column, named and explained by it.
    #[must_use]
    pub fn transposed(self) -> Self {
        let mut columns = self.columns.into_iter();
        let first = columns.next().unwrap_or_default();
        let mut cells: Vec<_> = self.rows.into_iter().map(Vec::into_iter).collect();
        let named: Vec<Column> = cells.iter_mut().map(|row| Column::numbers(row.next().unwrap_or_default().text)).collect();
        let rows = columns.map(|column| {
            let values = cells.iter_mut().map(|row| row.next().unwrap_or_default()).collect::<Vec<_>>();
            std::iter::once(Cell::text(column.name).note(column.meaning)).chain(values).collect()
        });
        Self { rows: rows.collect(), columns: std::iter::once(first).chain(named).collect(), best: None }
    }
}
