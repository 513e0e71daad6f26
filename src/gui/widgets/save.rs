//! A table or plot as a file: CSV of its numbers, PNG of the window where it stands.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, sync_channel};

use eframe::egui::{Align, Button, ColorImage, Context, Id, Layout, Rect, Role, Sense, Ui, UiBuilder, WidgetInfo, vec2};

use super::{Answer, PathDialog};
use crate::atomic_file;

/// Height of the row of a title, and room at its end for the menu, in points.
const TITLE: f32 = 24.0;
const MENU: f32 = 26.0;

/// What a menu asked for, until the shell takes it up.
#[derive(Clone, Debug)]
enum Request {
    /// The text of a CSV file.
    Csv(String),
    /// A part of the window, in points.
    Png(Rect),
}

/// The requests of a frame, each with its file's name without ending; kept in egui's memory, so that widgets need nobody's state.
type Requests = Vec<(String, Request)>;

/// Draws `contents` below its title, with a menu at the title's end that saves both as PNG, or their numbers, as `csv` makes them, as
/// CSV. The file is named after `name`.
pub(in crate::gui) fn figure<R>(
    ui: &mut Ui,
    (name, title): (&str, impl FnOnce(&mut Ui)),
    contents: impl FnOnce(&mut Ui) -> R,
    csv: impl FnOnce() -> String,
) -> R {
    let (row, _) = ui.allocate_exact_size(vec2(ui.available_width(), TITLE), Sense::hover());
    let room = Rect::from_min_max(row.min, row.max - vec2(MENU, 0.0));
    title(&mut ui.new_child(UiBuilder::new().max_rect(room).layout(Layout::left_to_right(Align::Center))));
    let below = ui.vertical(contents);
    let mut end = ui.new_child(UiBuilder::new().max_rect(row).layout(Layout::right_to_left(Align::Center)));
    menu(&mut end, name, row.union(below.response.rect), csv);
    below.inner
}

/// A small menu that saves what lies in `rect`.
fn menu(ui: &mut Ui, title: &str, rect: Rect, csv: impl FnOnce() -> String) {
    let ask =
        |ui: &Ui, request| ui.ctx().data_mut(|data| data.get_temp_mut_or_default::<Requests>(Id::NULL).push((file_name(title), request)));
    let menu = eframe::egui::containers::menu::MenuButton::from_button(Button::new("...").small().frame(false));
    let (response, _) = menu.ui(ui, |ui| {
        if ui.button("Save as CSV ...").on_hover_text("The numbers, one row each").clicked() {
            ask(ui, Request::Csv(csv()));
        }
        if ui.button("Save as PNG ...").on_hover_text("The picture as it is on the screen").clicked() {
            ask(ui, Request::Png(rect));
        }
    });
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, format!("Save {title}")));
    response.on_hover_text("Save as CSV or PNG");
}

/// A title as a file's name: letters, digits and underscores.
fn file_name(title: &str) -> String {
    let words = title.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join("_")
}

/// Takes up what the menus asked for: asks where to save, and saves.
#[derive(Default)]
pub(in crate::gui) struct Saving {
    picture: Option<(String, Receiver<ColorImage>)>,
    dialog: Option<PathDialog<PathBuf>>,
    /// Where something was saved last.
    folder: Option<PathBuf>,
}

impl Saving {
    /// Takes up one request at a time. Once something is saved, returns a sentence that names the file.
    pub(in crate::gui) fn show(&mut self, ctx: &Context) -> Option<String> {
        let requests = ctx.data_mut(|data| data.remove_temp::<Requests>(Id::NULL)).unwrap_or_default();
        if self.dialog.is_none()
            && let Some((name, request)) = requests.into_iter().next()
        {
            match request {
                Request::Csv(text) => self.ask(ctx, (&name, "CSV", &["csv"]), text.into_bytes()),
                Request::Png(rect) => self.capture(ctx, name, rect),
            }
        }
        if let Some((name, receiver)) = self.picture.take() {
            match receiver.try_recv() {
                Ok(image) => self.ask(ctx, (&name, "PNG", &["png"]), png_bytes(&image)),
                Err(std::sync::mpsc::TryRecvError::Empty) => self.picture = Some((name, receiver)),
                Err(std::sync::mpsc::TryRecvError::Disconnected) => {}
            }
        }
        let answer = self.dialog.as_mut()?.show(ctx)?;
        self.dialog = None;
        let Answer::Chosen(file) = answer else { return None };
        self.folder = file.parent().map(PathBuf::from);
        Some(format!("Saved as {}", file.display()))
    }

    /// Suggests a folder, for tests.
    #[cfg(test)]
    pub(in crate::gui) fn save_in(&mut self, folder: &std::path::Path) {
        self.folder = Some(folder.to_owned());
    }

    /// Takes a picture of the next frame, in which the menu is closed.
    fn capture(&mut self, ctx: &Context, name: String, rect: Rect) {
        let (sender, receiver) = sync_channel(1);
        let (pixels_per_point, waker) = (ctx.pixels_per_point(), ctx.clone());
        ctx.request_screenshot(move |image| {
            let whole = Rect::from_min_size(Default::default(), image.size.map(|pixels| pixels as f32 / pixels_per_point).into());
            let _ = sender.try_send(image.region(&rect.intersect(whole), Some(pixels_per_point)));
            waker.request_repaint();
        });
        self.picture = Some((name, receiver));
    }

    fn ask(&mut self, ctx: &Context, (name, kind, endings): (&str, &'static str, &'static [&'static str]), bytes: Vec<u8>) {
        let folder = self.folder.clone().or_else(|| std::env::current_dir().ok()).unwrap_or_default();
        let write = move |file: &std::path::Path| {
            atomic_file::write(file, &bytes).map(|()| file.to_owned()).map_err(|error| format!("{}: {error}", file.display()))
        };
        self.dialog =
            Some(PathDialog::save(ctx, (format!("Save as {kind}"), kind, endings), folder.join(format!("{name}.{}", endings[0])), write));
    }
}

/// An 8-bit RGB PNG.
///
/// # Panics
/// Never: the bytes are written to memory, and their count is that of the image.
pub(in crate::gui) fn png_bytes(image: &ColorImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    let [width, height] = image.size;
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_source_srgb(png::SrgbRenderingIntent::Perceptual);
    let rgb: Vec<u8> = image.pixels.iter().flat_map(|pixel| [pixel.r(), pixel.g(), pixel.b()]).collect();
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&rgb).and_then(|()| writer.finish()));
    written.expect("an image in memory becomes a PNG in memory");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_become_names_of_files() {
        assert_eq!(file_name("Place decides (eta2 turned)"), "place_decides_eta2_turned");
        assert_eq!(file_name("Throughput, volumes/s"), "throughput_volumes_s");
    }
}
