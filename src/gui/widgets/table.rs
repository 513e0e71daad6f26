//! The table: columns that explain themselves on hover, sort on a click, and can be saved.

use std::borrow::Cow;

use eframe::egui::{Align, Button, Color32, Label, Layout, RichText, Role, ScrollArea, Sense, Ui, WidgetInfo, vec2};
use egui_extras::{Column as Track, TableBuilder, TableRow};

use super::{card, save};

/// Height of a row of one line, and of the header, in points.
const ROW: f32 = 22.0;
/// How far a cell may flow over others, in points.
const SPAN: f32 = 300.0;
/// Width of a letter in points, about, and what a column has beside its letters.
const LETTER: f32 = 7.4;
const MARGIN: f32 = 14.0;

/// How wide a column is, in points.
#[derive(Clone, Copy, Debug)]
pub(in crate::gui) enum Width {
    /// Always so wide.
    Exact(f32),
    /// So wide at first; the user may drag it.
    Drag(f32),
    /// What is left, and at least this.
    Rest(f32),
}

impl Width {
    /// Room for the longest of some texts, within `least` and `most` points.
    pub(in crate::gui) fn fit<'a>(texts: impl Iterator<Item = &'a str>, least: f32, most: f32) -> Self {
        Self::Exact(texts.map(|text| text.chars().count() as f32 * LETTER + MARGIN).fold(0.0, f32::max).clamp(least, most))
    }
}

/// A column.
#[derive(Clone, Debug)]
pub(in crate::gui) struct Column<'a> {
    title: Cow<'a, str>,
    meaning: Cow<'a, str>,
    width: Width,
    numbers: bool,
    /// Names, which are cut at their beginning.
    names: bool,
}

impl<'a> Column<'a> {
    /// A column of text; `meaning` shows on hover.
    pub(in crate::gui) fn new(title: impl Into<Cow<'a, str>>, meaning: impl Into<Cow<'a, str>>, width: Width) -> Self {
        Self { title: title.into(), meaning: meaning.into(), width, numbers: false, names: false }
    }

    /// A column of names: where the room is too small, their ends stay.
    pub(in crate::gui) fn names(title: impl Into<Cow<'a, str>>, meaning: impl Into<Cow<'a, str>>, width: Width) -> Self {
        Self { names: true, ..Self::new(title, meaning, width) }
    }

    /// A column of numbers: in even letters, aligned to the right.
    pub(in crate::gui) fn numbers(title: impl Into<Cow<'a, str>>, meaning: impl Into<Cow<'a, str>>, width: Width) -> Self {
        Self { numbers: true, ..Self::new(title, meaning, width) }
    }
}

/// Draws something into a cell.
type Draw<'a> = Box<dyn FnOnce(&mut Ui) + 'a>;

/// What stands in a cell.
#[derive(Default)]
pub(in crate::gui) struct Cell<'a> {
    /// The text, which CSV has as well.
    pub(in crate::gui) text: Cow<'a, str>,
    /// A second, quieter line.
    pub(in crate::gui) note: Cow<'a, str>,
    /// Shown on hover; empty: the text itself, where it is cut.
    pub(in crate::gui) hover: Cow<'a, str>,
    pub(in crate::gui) colour: Option<Color32>,
    pub(in crate::gui) strong: bool,
    pub(in crate::gui) weak: bool,
    /// Flows over the cells to its right, as the title of the rows below it does.
    pub(in crate::gui) spans: bool,
    /// A square of a colour before the text.
    pub(in crate::gui) swatch: Option<Color32>,
    /// Draws the cell in place of the text.
    pub(in crate::gui) draw: Option<Draw<'a>>,
}

impl<'a, T: Into<Cow<'a, str>>> From<T> for Cell<'a> {
    fn from(text: T) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}

/// By which column a table is sorted, and which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::gui) struct Sort {
    pub(in crate::gui) column: usize,
    pub(in crate::gui) descending: bool,
}

impl Sort {
    /// After a click on a column's title: by that column, or the other way round.
    fn clicked(&mut self, column: usize) {
        *self = Self { column, descending: self.column == column && !self.descending };
    }
}

/// A table, ready to be drawn.
pub(in crate::gui) struct Table<'a> {
    title: &'a str,
    columns: Vec<Column<'a>>,
    sort: Option<&'a mut Sort>,
    row_height: f32,
    scrolls: bool,
    heading: Option<&'a str>,
    /// Whether rows can be clicked, and the one that is the chosen one.
    marked: Option<Option<usize>>,
}

impl<'a> Table<'a> {
    /// A table; `title` names its file and is unique in its panel.
    pub(in crate::gui) fn new(title: &'a str, columns: Vec<Column<'a>>) -> Self {
        Self { title, columns, sort: None, row_height: ROW, scrolls: false, heading: None, marked: None }
    }

    /// Shows the title, explained by `meaning`, and the menu that saves.
    pub(in crate::gui) fn heading(self, meaning: &'a str) -> Self {
        Self { heading: Some(meaning), ..self }
    }

    /// Titles sort: a click on one changes `sort`; the caller's rows follow it.
    pub(in crate::gui) fn sortable(self, sort: &'a mut Sort) -> Self {
        Self { sort: Some(sort), ..self }
    }

    /// Scrolls up and down by itself, as tall as there is room.
    pub(in crate::gui) fn scrolling(self) -> Self {
        Self { scrolls: true, ..self }
    }

    /// Rows of another height than one line's.
    pub(in crate::gui) fn row_height(self, row_height: f32) -> Self {
        Self { row_height, ..self }
    }

    /// Rows can be clicked; marks one as the chosen one.
    pub(in crate::gui) fn marked(self, marked: Option<usize>) -> Self {
        Self { marked: Some(marked), ..self }
    }

    /// Draws `rows` rows of `cell(row, column)`, those that are in sight. Returns a row that was clicked.
    pub(in crate::gui) fn show<'c>(mut self, ui: &mut Ui, rows: usize, mut cell: impl FnMut(usize, usize) -> Cell<'c>) -> Option<usize> {
        let Some(meaning) = self.heading else { return self.body(ui, rows, &mut cell) };
        let (name, titles) = (self.title, self.columns.iter().map(|column| column.title.to_string()).collect::<Vec<_>>());
        let cell = std::cell::RefCell::new(cell);
        let text = |row, column| cell.borrow_mut()(row, column).text.into_owned();
        let lines = || (0..rows).map(|row| (0..titles.len()).map(|column| text(row, column)).collect());
        let title = |ui: &mut Ui| card::heading(ui, name, meaning);
        save::figure(ui, (name, title), |ui| self.body(ui, rows, &mut *cell.borrow_mut()), || csv(&titles, lines()))
    }

    fn body<'c>(&mut self, ui: &mut Ui, rows: usize, cell: &mut dyn FnMut(usize, usize) -> Cell<'c>) -> Option<usize> {
        let mut clicked = None;
        ScrollArea::horizontal().id_salt((self.title, "across")).auto_shrink([false, !self.scrolls]).show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            let mut table = TableBuilder::new(ui)
                .id_salt(self.title)
                .striped(true)
                .vscroll(self.scrolls)
                .auto_shrink([false, !self.scrolls])
                .sense(if self.marked.is_some() { Sense::click() } else { Sense::hover() })
                .cell_layout(Layout::left_to_right(Align::Center));
            for column in &self.columns {
                table = table.column(match column.width {
                    Width::Exact(width) => Track::exact(width).clip(true),
                    Width::Drag(width) => Track::initial(width).at_least(width * 0.5).clip(true).resizable(true),
                    Width::Rest(least) => Track::remainder().at_least(least).clip(true),
                });
            }
            let (columns, marked, height) = (&self.columns, self.marked, self.row_height);
            let body = |body: egui_extras::TableBody<'_>| {
                body.rows(height, rows, |mut row| {
                    let index = row.index();
                    row.set_selected(marked == Some(Some(index)));
                    for (number, column) in columns.iter().enumerate() {
                        row.col(|ui| {
                            // Text that can be selected would take the row's clicks.
                            ui.style_mut().interaction.selectable_labels &= marked.is_none();
                            draw(ui, column, cell(index, number));
                        });
                    }
                    if row.response().clicked() {
                        clicked = Some(index);
                    }
                });
            };
            let sort = &mut self.sort;
            table.header(ROW, |mut row| columns.iter().enumerate().for_each(|column| title(&mut row, column, sort))).body(body);
        });
        clicked
    }
}

/// A column's title, which sorts where the table is sortable.
fn title(row: &mut TableRow<'_, '_>, (number, column): (usize, &Column<'_>), sort: &mut Option<&mut Sort>) {
    row.col(|ui| {
        align(ui, column.numbers, |ui| {
            let Some(sort) = sort else {
                let text = card::quiet(ui, column.title.as_ref()).small();
                card::one_line(ui, text).on_hover_text(column.meaning.as_ref());
                return;
            };
            let mark = match (sort.column == number, sort.descending) {
                (false, _) => "",
                (true, false) => " ^",
                (true, true) => " v",
            };
            let text = RichText::new(format!("{}{mark}", column.title)).small().strong();
            if ui.add(Button::new(text).frame(false)).on_hover_text(column.meaning.as_ref()).clicked() {
                sort.clicked(number);
            }
        });
    });
}

fn align(ui: &mut Ui, right: bool, add: impl FnOnce(&mut Ui)) {
    if right {
        ui.with_layout(Layout::right_to_left(Align::Center), add);
    } else {
        add(ui);
    }
}

fn draw(ui: &mut Ui, column: &Column<'_>, cell: Cell<'_>) {
    if let Some(draw) = cell.draw {
        return draw(ui);
    }
    if cell.spans {
        ui.set_clip_rect(ui.clip_rect().expand2(vec2(SPAN, 0.0)));
        ui.add(Label::new(RichText::new(cell.text.as_ref()).strong()).extend());
        return;
    }
    align(ui, column.numbers, |ui| {
        if let Some(colour) = cell.swatch {
            let (rect, _) = ui.allocate_exact_size(vec2(10.0, 10.0), Sense::hover());
            ui.painter().rect_filled(rect, 2.0, colour);
        }
        let shown = if column.names { card::end_of_name(ui, &cell.text) } else { Cow::Borrowed(cell.text.as_ref()) };
        let hover = if cell.hover.is_empty() && shown != cell.text { &cell.text } else { &cell.hover };
        let mut text = RichText::new(shown.as_ref());
        if column.numbers {
            text = text.monospace();
        }
        if let Some(colour) = cell.colour {
            text = text.color(colour);
        }
        text = if cell.strong { text.strong() } else { text };
        text = if cell.weak { text.weak() } else { text };
        let explain = |response: eframe::egui::Response| {
            // Screen readers are told the whole name.
            if shown != cell.text {
                response.widget_info(|| WidgetInfo::labeled(Role::Label, true, cell.text.as_ref()));
            }
            if !hover.is_empty() {
                response.on_hover_text(hover.as_ref());
            }
        };
        if cell.note.is_empty() {
            explain(card::one_line(ui, text));
            return;
        }
        ui.with_layout(Layout::top_down(if column.numbers { Align::Max } else { Align::Min }), |ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            explain(card::one_line(ui, text));
            let note = ui.add(Label::new(RichText::new(cell.note.as_ref()).small().weak()).truncate());
            if !hover.is_empty() {
                note.on_hover_text(hover.as_ref());
            }
        });
    });
}

/// Rows as CSV.
pub(in crate::gui) fn csv(titles: &[String], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let written = writer.write_record(titles).and_then(|()| rows.into_iter().try_for_each(|row| writer.write_record(row)));
    written.expect("rows of one length go to memory");
    String::from_utf8(writer.into_inner().expect("memory takes all")).expect("text stays text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_click_turns_the_order_round() {
        let mut sort = Sort { column: 0, descending: false };
        let mut after = |column| {
            sort.clicked(column);
            (sort.column, sort.descending)
        };
        assert_eq!([after(0), after(2), after(2), after(2)], [(0, true), (2, false), (2, true), (2, false)]);
    }

    #[test]
    fn rows_become_csv() {
        let titles = ["Arm".to_owned(), "Dice".to_owned()];
        assert_eq!(csv(&titles, [vec!["a, b".to_owned(), "0.8".to_owned()]].into_iter()), "Arm,Dice\n\"a, b\",0.8\n");
    }
}
