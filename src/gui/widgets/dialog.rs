//! Asking for a path: in the desktop's dialog, and in a field where a path is typed or pasted, since not every desktop has one.
//!
//! What was chosen is opened, or saved, on a thread of its own before it is handed on: what fails is shown beneath the field, and
//! whatever was open stays open.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use eframe::egui::{Button, Context, Key, RichText, TextEdit, Ui};

use super::{Background, modal};
use crate::gui::Palette;

/// Nobody cancels a dialog sooner than this: it was never shown.
const NEVER_SHOWN: Duration = Duration::from_millis(400);
/// Said then.
const NO_DIALOG: &str = "The desktop's file dialog does not open here. Type or paste the path instead.";
/// Tests have no desktop.
const HAS_DESKTOP: bool = !cfg!(test);
/// Width of the window, where the panel has room for it, in points.
const WIDTH: f32 = 520.0;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gui) enum PathKind {
    /// A folder.
    Folder,
    /// A file with one of these endings, and what such files are called.
    File(&'static str, &'static [&'static str]),
    /// One such file or several, typed with `;` between them.
    Files(&'static str, &'static [&'static str]),
    /// The same, or one folder, which is typed or pasted: the desktop's dialog shows files.
    FilesOrFolder(&'static str, &'static [&'static str]),
    /// A new file with one of these endings, the first of which stands for none, and what such files are called.
    Save(&'static str, &'static [&'static str]),
}

/// Opens or saves what was chosen, on a thread of its own: what it is, or what is wrong with it.
type Execute<T> = Arc<dyn Fn(&[PathBuf]) -> Result<T, String> + Send + Sync>;
/// How long the desktop's dialog took, measured where it was waited for, and what was chosen in it.
type Desktop = (Duration, Option<Vec<PathBuf>>);

/// A path that is being asked for.
pub(in crate::gui) struct PathDialog<T> {
    title: String,
    kind: PathKind,
    execute: Execute<T>,
    /// The path under edit.
    text: String,
    desktop: Option<Background<Desktop>>,
    work: Option<Background<Result<T, String>>>,
    /// Why there is no answer yet.
    message: Option<String>,
    /// A file that is there already: saving once more replaces it.
    replaces: Option<PathBuf>,
    /// The field takes the keyboard in the next frame: it has just opened, or its path does not do.
    takes_keyboard: bool,
}

/// How the question was answered.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::gui) enum Answer<T> {
    /// With this.
    Chosen(T),
    /// Not at all.
    Cancelled,
}

impl<T: Send + 'static> PathDialog<T> {
    /// Opens the desktop's dialog, if there is one, and the field behind it. `read` reads what was chosen.
    pub(in crate::gui) fn new(
        ctx: &Context,
        (title, kind): (impl Into<String>, PathKind),
        read: impl Fn(&Path) -> Result<T, String> + Send + Sync + 'static,
    ) -> Self {
        Self::begin(ctx, title.into(), kind, String::new(), Arc::new(move |paths| read(&paths[0])))
    }

    /// The same for several files, or for what else such a `kind` allows.
    pub(in crate::gui) fn several(
        ctx: &Context,
        (title, kind): (impl Into<String>, PathKind),
        read: impl Fn(&[PathBuf]) -> Result<T, String> + Send + Sync + 'static,
    ) -> Self {
        Self::begin(ctx, title.into(), kind, String::new(), Arc::new(read))
    }

    /// Asks where to save, `suggested` at first; `write` saves there.
    pub(in crate::gui) fn save(
        ctx: &Context,
        (title, name, endings): (impl Into<String>, &'static str, &'static [&'static str]),
        suggested: PathBuf,
        write: impl Fn(&Path) -> Result<T, String> + Send + Sync + 'static,
    ) -> Self {
        let text = suggested.into_os_string().to_string_lossy().into_owned();
        Self::begin(ctx, title.into(), PathKind::Save(name, endings), text, Arc::new(move |paths| write(&paths[0])))
    }

    fn begin(ctx: &Context, title: String, kind: PathKind, text: String, execute: Execute<T>) -> Self {
        let (desktop, work, message, replaces) = (None, None, None, None);
        let mut dialog = Self { title, kind, execute, text, desktop, work, message, replaces, takes_keyboard: true };
        dialog.browse(ctx);
        dialog
    }

    fn browse(&mut self, ctx: &Context) {
        if !HAS_DESKTOP {
            return;
        }
        let (title, kind, text) = (self.title.clone(), self.kind, PathBuf::from(&self.text));
        let ask = move || {
            let dialog = rfd::FileDialog::new().set_title(title);
            let one = |path: Option<PathBuf>| path.map(|path| vec![path]);
            let asked = Instant::now();
            let chosen = match kind {
                PathKind::Folder => one(dialog.pick_folder()),
                PathKind::File(name, endings) => one(dialog.add_filter(name, endings).pick_file()),
                PathKind::Files(name, endings) | PathKind::FilesOrFolder(name, endings) => dialog.add_filter(name, endings).pick_files(),
                PathKind::Save(name, endings) => {
                    let folder = text.parent().unwrap_or(Path::new("."));
                    let file = text.file_name().unwrap_or_default().to_string_lossy();
                    one(dialog.add_filter(name, endings).set_directory(folder).set_file_name(file).save_file())
                }
            };
            (asked.elapsed(), chosen)
        };
        self.desktop = Some(Background::start(ctx, ask));
    }

    fn start(&mut self, ctx: &Context, paths: Vec<PathBuf>) {
        let execute = self.execute.clone();
        self.message = None;
        self.work = Some(Background::start(ctx, move || execute(&paths)));
    }

    /// Takes in what the desktop's dialog gave, once it is closed; true where the user cancelled it.
    fn desktop_cancelled(&mut self, ctx: &Context) -> bool {
        let Some(desktop) = self.desktop.take_if(Background::poll) else { return false };
        match desktop.take() {
            Some((_, Some(paths))) if !paths.is_empty() => {
                self.text = paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join("; ");
                // The desktop has asked already whether a file may be replaced.
                self.start(ctx, paths);
            }
            Some((took, _)) if took >= NEVER_SHOWN => return true,
            _ => self.message = Some(NO_DIALOG.to_owned()),
        }
        false
    }

    /// Draws the question; an answer ends it. Escape cancels.
    pub(in crate::gui) fn show(&mut self, ctx: &Context) -> Option<Answer<T>> {
        if self.desktop_cancelled(ctx) {
            return Some(Answer::Cancelled);
        }
        if self.work.as_mut().is_some_and(Background::poll) {
            match self.work.take().and_then(Background::take) {
                Some(Ok(chosen)) => return Some(Answer::Chosen(chosen)),
                Some(Err(message)) => self.complain(message),
                None => self.message = Some("Reading it ended by an internal error; try again.".to_owned()),
            }
        }
        let (answer, close) = modal(ctx, "choose a path", |ui| self.fields(ui));
        answer.or(close.then_some(Answer::Cancelled))
    }

    fn fields(&mut self, ui: &mut Ui) -> Option<Answer<T>> {
        ui.set_max_width(WIDTH.min(ui.ctx().content_rect().width() - 60.0));
        ui.set_width(ui.max_rect().width());
        let mut answer = None;
        let heading = ui.heading(&self.title);
        ui.horizontal(|ui| {
            let browse = ui.add_enabled(self.desktop.is_none(), Button::new("Browse ..."));
            if browse.on_hover_text("The desktop's file dialog").clicked() {
                self.message = None;
                self.browse(ui.ctx());
            }
            let edit = TextEdit::singleline(&mut self.text).hint_text("Type or paste a path").desired_width(f32::INFINITY);
            let edit = ui.add(edit).labelled_by(heading.id);
            if edit.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter)) {
                self.submit(ui.ctx());
            }
            if std::mem::take(&mut self.takes_keyboard) {
                edit.request_focus();
            }
        });
        if let Some(message) = &self.message {
            let colour = Palette::of(ui).bad();
            ui.label(RichText::new(message).color(colour));
        }
        ui.horizontal(|ui| {
            let free = self.work.is_none() && !self.text.trim().is_empty();
            let word = if matches!(self.kind, PathKind::Save(..)) { "Save" } else { "Open" };
            if ui.add_enabled(free, Button::new(word)).clicked() {
                self.submit(ui.ctx());
            }
            if ui.button("Cancel").clicked() {
                answer = Some(Answer::Cancelled);
            }
            if self.work.is_some() {
                ui.spinner();
                ui.label(if word == "Save" { "saving ..." } else { "reading ..." });
            } else if self.desktop.is_some() {
                ui.label("The desktop's dialog is open.");
            }
        });
        answer
    }

    /// Says what is wrong with the path, which can be mended at once.
    fn complain(&mut self, message: String) {
        (self.message, self.takes_keyboard) = (Some(message), true);
    }

    /// Goes on with the typed path, or says why not.
    fn submit(&mut self, ctx: &Context) {
        let texts: Vec<&str> = if matches!(self.kind, PathKind::Files(..) | PathKind::FilesOrFolder(..)) {
            self.text.split(';').collect()
        } else {
            vec![&self.text]
        };
        let mut paths: Vec<PathBuf> = texts.into_iter().filter(|text| !text.trim().is_empty()).map(typed).collect();
        let wrong = match self.kind {
            PathKind::Folder => {
                paths.iter().find(|path| !path.is_dir()).map(|path| format!("{} is no folder that can be read", path.display()))
            }
            PathKind::File(..) | PathKind::Files(..) => {
                paths.iter().find(|path| !path.is_file()).map(|path| format!("{} is no file that can be read", path.display()))
            }
            PathKind::FilesOrFolder(..) => {
                let fits = |path: &PathBuf| path.is_file() || path.is_dir() && paths.len() == 1;
                paths
                    .iter()
                    .find(|path| !fits(path))
                    .map(|path| format!("{} is neither a file nor a single folder that can be read", path.display()))
            }
            PathKind::Save(_, endings) => {
                for path in paths.iter_mut().filter(|path| path.extension().is_none()) {
                    path.set_extension(endings[0]);
                }
                let there = paths.iter().find(|path| path.exists() && self.replaces.as_ref() != Some(path)).cloned();
                let message = there.as_ref().map(|path| format!("{} is there already. Save once more to replace it.", path.display()));
                self.replaces = there.or(self.replaces.take());
                message
            }
        };
        match wrong {
            Some(message) => self.complain(message),
            None if paths.is_empty() => {}
            None => self.start(ctx, paths),
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

    #[test]
    fn a_desktop_without_a_dialog_is_told_from_a_cancelled_one_however_slow_frames_are() {
        let ctx = Context::default();
        for (took, chosen, cancelled) in
            [(NEVER_SHOWN / 8, None, false), (2 * NEVER_SHOWN, None, true), (NEVER_SHOWN / 8, Some(vec![]), false)]
        {
            let mut dialog = PathDialog::new(&ctx, ("Folder", PathKind::Folder), |_| Ok(()));
            dialog.desktop = Some(Background::start(&ctx, move || (took, chosen)));
            // The frame that looks comes later than a dialog that was shown would have taken.
            std::thread::sleep(2 * NEVER_SHOWN);
            assert_eq!(dialog.desktop_cancelled(&ctx), cancelled, "{took:?}");
            assert_eq!(dialog.message.as_deref(), (!cancelled).then_some(NO_DIALOG));
            assert!(dialog.desktop.is_none());
        }
    }
}
