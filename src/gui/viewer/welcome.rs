//! What the panel shows while no volume is open: what to do first, what is being read, or what went wrong.

use std::path::{Path, PathBuf};

use eframe::egui::{Align, Button, Frame, Key, Label, Layout, Margin, RichText, Ui, vec2};

use crate::gui::{Palette, Workspace};
use crate::volume::nifti;

/// What the user chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// A file, by a dialog.
    Open,
    /// A folder that holds a dataset, by a dialog.
    OpenFolder,
    /// The forty cases inside the program.
    Demo,
    /// A file opened before.
    Recent(PathBuf),
    /// The same once more.
    Again,
}

/// Tells what to do first.
pub(super) fn empty(ui: &mut Ui, workspace: &Workspace, listed: bool) -> Option<Choice> {
    let mut choice = None;
    centred(ui, |ui| {
        ui.heading("Open a volume");
        let text = if listed {
            "Choose a case from the list, drop a NIfTI file here, or open one."
        } else {
            "Drop a NIfTI image here (.nii or .nii.gz), open one, or begin with a demo case. A label map dropped on an open volume lies over it."
        };
        ui.add(Label::new(text).wrap());
        ui.add_space(8.0);
        ui.horizontal_wrapped(|ui| {
            let open = Button::new(RichText::new("Open volume...").strong()).min_size(vec2(130.0, 30.0));
            if ui.add(open).clicked() {
                choice = Some(Choice::Open);
            }
            if ui
                .add(Button::new("Open dataset...").min_size(vec2(120.0, 30.0)))
                .on_hover_text("A folder with dataset.json or imagesTr")
                .clicked()
            {
                choice = Some(Choice::OpenFolder);
            }
            if ui
                .add(Button::new("Demo case").min_size(vec2(100.0, 30.0)))
                .on_hover_text("MRI of a hippocampus, from the cases inside the program")
                .clicked()
            {
                choice = Some(Choice::Demo);
            }
        });
        if !workspace.settings.recent_volumes.is_empty() {
            ui.add_space(10.0);
            ui.label(RichText::new("Opened last").small().weak());
            choice = recent(ui, &workspace.settings.recent_volumes).or(choice.take());
        }
    });
    choice
}

/// The files opened last, as buttons.
pub(super) fn recent(ui: &mut Ui, files: &[PathBuf]) -> Option<Choice> {
    let mut choice = None;
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let button = Button::new(name.as_ref()).frame(false).truncate();
        if ui.add(button).on_hover_text(file.display().to_string()).clicked() {
            choice = Some(Choice::Recent(file.clone()));
        }
    }
    choice
}

/// Tells what is being read.
pub(super) fn reading(ui: &mut Ui, title: &str) {
    centred(ui, |ui| {
        ui.heading(format!("Reading {title}"));
        ui.weak("The window stays usable meanwhile.");
    });
}

/// Tells what went wrong, and what to do.
pub(super) fn failed(ui: &mut Ui, title: &str, cause: &str) -> Option<Choice> {
    let palette = Palette::of(ui);
    let mut choice = None;
    centred(ui, |ui| {
        ui.heading(RichText::new(format!("{title} cannot be shown")).color(palette.bad()));
        ui.add(Label::new(cause).wrap());
        ui.add_space(8.0);
        ui.horizontal_wrapped(|ui| {
            if ui.button("Try again").clicked() || ui.input(|input| input.key_pressed(Key::F5)) {
                choice = Some(Choice::Again);
            }
            if ui.button("Open another...").clicked() {
                choice = Some(Choice::Open);
            }
        });
    });
    choice
}

fn centred(ui: &mut Ui, content: impl FnOnce(&mut Ui)) {
    let width = 460.0_f32.min(ui.available_width() - 24.0);
    let above = (ui.available_height() * 0.3).min(220.0);
    ui.add_space(above);
    ui.with_layout(Layout::top_down(Align::Center), |ui| {
        Frame::new().inner_margin(Margin::same(12)).show(ui, |ui| {
            ui.set_width(width);
            ui.with_layout(Layout::top_down(Align::Min), content);
        });
    });
}

/// What lies in a folder that was dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Dropped {
    /// A run: its settings are there.
    Run(PathBuf),
    /// A checkpoint.
    Checkpoint(PathBuf),
    /// A dataset, or its list.
    Dataset(PathBuf),
    /// Volumes.
    Volumes(Vec<PathBuf>),
    /// None of these.
    Unknown(PathBuf),
}

/// Looks what was dropped. A few looks at the disk, no reading.
pub(super) fn dropped(paths: &[PathBuf]) -> Dropped {
    // Of a pair (.hdr and .img) the header's file stands for both.
    let first = |path: &PathBuf| nifti::files(path).ok().and_then(|files| files.into_iter().next()).unwrap_or_else(|| path.clone());
    let mut volumes: Vec<PathBuf> = paths.iter().filter(|path| is_volume(path)).map(first).collect();
    volumes.sort();
    volumes.dedup();
    if !volumes.is_empty() {
        return Dropped::Volumes(volumes);
    }
    let Some(first) = paths.first() else { return Dropped::Volumes(Vec::new()) };
    let holds = |name: &str| first.join(name).is_file();
    if holds("config.ron") {
        Dropped::Run(first.clone())
    } else if holds("checkpoint.json") || first.join("last/checkpoint.json").is_file() || first.join("best/checkpoint.json").is_file() {
        Dropped::Checkpoint(first.clone())
    } else if holds("dataset.json") || first.join("imagesTr").is_dir() || first.extension().is_some_and(|extension| extension == "json") {
        Dropped::Dataset(first.clone())
    } else {
        Dropped::Unknown(first.clone())
    }
}

fn is_volume(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    nifti::ending(&name).is_some() && !path.is_dir()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_told_by_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (place, file) in [("run", "config.ron"), ("run", "checkpoint.json"), ("best", "checkpoint.json"), ("data", "dataset.json")] {
            std::fs::create_dir_all(at(place)).unwrap();
            std::fs::write(at(place).join(file), "{}").unwrap();
        }
        assert_eq!(dropped(&[at("run")]), Dropped::Run(at("run")));
        assert_eq!(dropped(&[at("best")]), Dropped::Checkpoint(at("best")));
        assert_eq!(dropped(&[folder.path().to_owned()]), Dropped::Checkpoint(folder.path().to_owned()));
        assert_eq!(dropped(&[at("data")]), Dropped::Dataset(at("data")));
        assert_eq!(dropped(&[at("x.txt")]), Dropped::Unknown(at("x.txt")));
        let volumes = [at("a.nii"), at("notes.txt"), at("B.NII.gz")];
        assert_eq!(dropped(&volumes), Dropped::Volumes(vec![at("B.NII.gz"), at("a.nii")]));
        let pair = [at("c.img"), at("c.hdr")];
        pair.iter().for_each(|file| std::fs::write(file, "").unwrap());
        assert_eq!(dropped(&pair), Dropped::Volumes(vec![at("c.hdr")]), "two files of one image");
    }
}
