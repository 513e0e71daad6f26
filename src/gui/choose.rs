//! Asking for a path: in the desktop's dialog, and in a field where a path is typed or pasted, since not every desktop has one.
//!
//! What was chosen is looked at before it is handed on: what is not of the kind that is asked for is told beneath the field, and
//! whatever was open stays open.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use eframe::egui::{self, Id, Key, Modal, RichText, TextEdit};

use super::{Background, Palette};

/// Nobody cancels a dialog sooner than this: it was never shown.
const NEVER_SHOWN: Duration = Duration::from_millis(400);
/// Said then.
const NO_DIALOG: &str = "The desktop's file dialog does not open here. Type or paste the path instead.";
/// Tests have no desktop.
const HAS_DESKTOP: bool = !cfg!(test);
const WIDTH: f32 = 520.0;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A folder.
    Folder,
    /// A file with one of these endings, and what such files are called.
    File(&'static str, &'static [&'static str]),
}

/// Looks at what was chosen, on a thread of its own: what it is, or what is wrong with it.
type Look<T> = Arc<dyn Fn(&Path) -> Result<T, String> + Send + Sync>;

/// A path that is being asked for.
pub(super) struct Choosing<T> {
    title: &'static str,
    wanted: Wanted,
    look: Look<T>,
    /// The path under edit.
    text: String,
    dialog: Option<(Instant, Background<Option<PathBuf>>)>,
    looking: Option<Background<Result<T, String>>>,
    /// Why there is no answer yet.
    message: Option<String>,
}

/// How the question was answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer<T> {
    /// With this.
    Chosen(T),
    /// Not at all.
    Cancelled,
}

impl<T: Send + 'static> Choosing<T> {
    /// Opens the desktop's dialog, if there is one, and the field behind it.
    pub(super) fn new(
        ctx: &egui::Context,
        (title, wanted): (&'static str, Wanted),
        look: impl Fn(&Path) -> Result<T, String> + Send + Sync + 'static,
    ) -> Self {
        let (text, message) = (String::new(), None);
        let mut choosing = Self { title, wanted, look: Arc::new(look), text, dialog: None, looking: None, message };
        choosing.browse(ctx);
        choosing
    }

    fn browse(&mut self, ctx: &egui::Context) {
        if !HAS_DESKTOP {
            return;
        }
        let (title, wanted) = (self.title, self.wanted);
        let dialog = move || {
            let dialog = rfd::FileDialog::new().set_title(title);
            match wanted {
                Wanted::Folder => dialog.pick_folder(),
                Wanted::File(name, endings) => dialog.add_filter(name, endings).pick_file(),
            }
        };
        self.dialog = Some((Instant::now(), Background::start(ctx, dialog)));
    }

    fn begin_looking(&mut self, ctx: &egui::Context, path: PathBuf) {
        let look = self.look.clone();
        self.message = None;
        self.looking = Some(Background::start(ctx, move || look(&path)));
    }

    /// Draws the question; an answer ends it.
    pub(super) fn show(&mut self, ctx: &egui::Context) -> Option<Answer<T>> {
        if let Some((opened, mut dialog)) = self.dialog.take() {
            if !dialog.poll() {
                self.dialog = Some((opened, dialog));
            } else if let Some(path) = dialog.take().flatten() {
                self.text = path.display().to_string();
                self.begin_looking(ctx, path);
            } else if opened.elapsed() < NEVER_SHOWN {
                self.message = Some(NO_DIALOG.to_owned());
            } else {
                return Some(Answer::Cancelled);
            }
        }
        if self.looking.as_mut().is_some_and(Background::poll) {
            match self.looking.take().and_then(Background::take) {
                Some(Ok(chosen)) => return Some(Answer::Chosen(chosen)),
                Some(Err(message)) => self.message = Some(message),
                None => self.message = Some("This could not be looked at: an internal error; try again".to_owned()),
            }
        }
        let modal = Modal::new(Id::unique("choose a path")).show(ctx, |ui| {
            ui.set_width(WIDTH);
            self.fields(ui)
        });
        let closed = modal.should_close().then_some(Answer::Cancelled);
        modal.inner.or(closed)
    }

    fn fields(&mut self, ui: &mut egui::Ui) -> Option<Answer<T>> {
        let mut answer = None;
        let heading = ui.heading(self.title);
        ui.horizontal(|ui| {
            let browse = ui.add_enabled(self.dialog.is_none(), egui::Button::new("Browse ..."));
            if browse.on_hover_text("The desktop's file dialog").clicked() {
                self.message = None;
                self.browse(&ui.ctx().clone());
            }
            let edit = TextEdit::singleline(&mut self.text).hint_text("Type or paste a path").desired_width(f32::INFINITY);
            let edit = ui.add(edit).labelled_by(heading.id);
            if edit.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter)) {
                self.submit(&ui.ctx().clone());
            }
        });
        if let Some(message) = &self.message {
            let colour = Palette::of(ui).bad();
            ui.label(RichText::new(message).color(colour));
        }
        ui.horizontal(|ui| {
            let free = self.looking.is_none() && !self.text.trim().is_empty();
            if ui.add_enabled(free, egui::Button::new("Open")).clicked() {
                self.submit(&ui.ctx().clone());
            }
            if ui.button("Cancel").clicked() {
                answer = Some(Answer::Cancelled);
            }
            if self.looking.is_some() {
                ui.spinner();
                ui.label("looking at it ...");
            } else if self.dialog.is_some() {
                ui.label("The desktop's dialog is open.");
            }
        });
        answer
    }

    fn submit(&mut self, ctx: &egui::Context) {
        let path = typed(&self.text);
        let fits = match self.wanted {
            Wanted::Folder => path.is_dir(),
            Wanted::File(..) => path.is_file(),
        };
        if fits {
            self.begin_looking(ctx, path);
        } else {
            let kind = if self.wanted == Wanted::Folder { "folder" } else { "file" };
            self.message = Some(format!("{} is no {kind} that can be read", path.display()));
        }
    }
}

/// A path as people paste it: in quotes, as a file manager's address, from the home folder.
fn typed(text: &str) -> PathBuf {
    let text = text.trim().trim_matches(['"', '\'']);
    if let Some(encoded) = text.strip_prefix("file://") {
        return PathBuf::from(decoded(encoded));
    }
    match (text.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(text),
    }
}

/// Text with `%20` and the like as the letters that they stand for.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        let code = behind.get(..2).and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        let (byte, behind) = code.filter(|_| byte == b'%').map_or((byte, behind), |code| (code, &behind[2..]));
        bytes.push(byte);
        rest = behind;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_as_it_was_copied() {
        for (text, path) in [
            ("  /data/Task04 \n", "/data/Task04"),
            ("\"/data/my scans\"", "/data/my scans"),
            ("file:///data/my%20scans%C3%A9", "/data/my scansé"),
            ("/data/100%", "/data/100%"),
        ] {
            assert_eq!(typed(text), PathBuf::from(path));
        }
        assert!(!typed("~/scans").starts_with("~"));
    }
}
