//! Crashes: what the journal brings back, and what it refuses.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::*;
use crate::edit::journal::WITHOUT_LOCKS;
use crate::edit::{JournalSubject, Recovered, find_journals};
use crate::folder_lock::SILENCE;
use crate::random::stream;
use crate::volume::nifti::{write_labels, write_volume};
use crate::volume::segment::{Segment, named};
use crate::volume::{LabelMap, Scan, SourceHeader, Volume, VolumeSource};

/// A folder with an image, and its label map in a file and as classes.
struct Case {
    folder: tempfile::TempDir,
    scan: Arc<Scan>,
    start: Vec<u8>,
}

impl Case {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut random = stream(5, "journal", 0, 0);
        let mut grid = Grid::axis_aligned([5, 8, 9], [2.5, 1.0, 0.8]);
        (grid.world_from_voxel[0][1], grid.world_from_voxel[1][0]) = (0.2, -0.25);
        let start: Vec<u8> = (0..grid.len()).map(|_| random.random_range(0..4)).collect();
        let labels = LabelMap { grid: grid.clone(), voxels: start.iter().map(|&class| VALUES[usize::from(class)]).collect() };
        let header = SourceHeader::for_grid(&grid);
        write_labels(&folder.path().join("labels.nii"), &labels, &header).expect("a writable folder");
        let voxels = (0..grid.len()).map(|_| random.random_range(0.0..1.0)).collect();
        let file = folder.path().join("scan.nii");
        write_volume(&file, &Volume { channels: 1, grid, voxels }, &header).expect("a writable folder");
        let scan = VolumeSource::File(file).read().expect("our own file");
        Self { folder, scan: Arc::new(scan), start }
    }

    fn image(&self) -> VolumeSource {
        VolumeSource::File(self.scan.file.clone())
    }

    fn labels(&self) -> PathBuf {
        self.folder.path().join("labels.nii")
    }

    fn edit(&self) -> LabelEdit {
        let subject = JournalSubject {
            image: self.image(),
            scan: self.scan.clone(),
            title: "labels".to_owned(),
            source: Some(self.labels()),
            values: VALUES.to_vec(),
            segments: named(&[(4, "liver".to_owned())].into()),
        };
        let grid = self.scan.volume.grid.clone();
        let classes = ClassVolume::new(&self.start, grid.shape);
        LabelEdit::new(grid, classes, Some(subject))
    }

    /// An edit of some random strokes, some of them taken back.
    fn scribbled(&self) -> LabelEdit {
        let mut edit = self.edit();
        let mut random = stream(6, "scribbles", 0, 0);
        for stroke in 0..40 {
            random_stroke(&mut edit, &mut random, &self.scan.volume.voxels);
            if stroke % 3 == 0 {
                edit.undo();
            }
            if stroke % 6 == 0 {
                edit.redo();
            }
        }
        edit
    }

    /// The one edit that waits to be restored.
    fn found(&self) -> Recovered {
        let mut found = find_journals(&self.image());
        assert_eq!(found.len(), 1);
        found.remove(0).expect("an edit")
    }

    fn restored(&self) -> LabelEdit {
        self.found().restore(&self.scan, class_of).expect("the edit")
    }

    /// The journals in the folder.
    fn journals(&self) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.folder.path()).expect("a folder").map(|entry| entry.expect("a file").path());
        files.filter(|file| file.extension().is_some_and(|ending| ending == "simtrot-edit")).collect()
    }
}

fn class_of(value: u16) -> Result<u8, String> {
    VALUES.iter().position(|&known| known == value).map(|class| class as u8).ok_or_else(|| format!("no label {value}"))
}

/// Ends an edit as a crash would once its last change is on the disk: without saving and without discarding.
fn crash(edit: LabelEdit) -> (Vec<u8>, (usize, usize)) {
    let left = (bytes(&edit), edit.depth());
    drop(edit);
    left
}

/// Journals are written on threads of their own.
fn wait_until(holds: impl Fn() -> bool) {
    let waiting = Instant::now();
    while !holds() && waiting.elapsed().as_secs() < 60 {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_crash_takes_nothing() {
    let case = Case::new();
    let (before, depth) = crash(case.scribbled());
    assert_eq!(case.journals(), [case.folder.path().join(".scan.nii.simtrot-edit")]);
    let found = case.found();
    assert_eq!((found.title(), found.source(), found.source_notice()), ("labels", Some(case.labels().as_path()), None));
    assert!(found.summary().contains("labels") && found.summary().contains("changes"), "{}", found.summary());
    assert_eq!(found.segments()[&4].name, "liver");
    let mut edit = found.restore(&case.scan, class_of).expect("the edit");
    assert_eq!((bytes(&edit), edit.depth(), edit.is_unsaved()), (before, depth, true));

    // It goes on in the same journal, and what could be undone still can.
    edit.undo();
    edit.name_label(9, &Segment { name: "node".to_owned(), colour: [1, 2, 3] });
    paint(&mut edit, Paint { label: label(4), over: Over::All, brush: round(2.0) }, [1.0; 3], [3.0; 3]);
    let (before, depth) = crash(edit);
    assert_eq!(case.found().segments()[&9].name, "node");
    let mut edit = case.restored();
    assert_eq!((bytes(&edit), edit.depth()), (before, depth));
    while !edit.undo().is_empty() {}
    assert_eq!((bytes(&edit) == case.start, depth.0 < 50), (true, true));
    edit.discard();
    assert_eq!(case.journals().len() + find_journals(&case.image()).len(), 0);
}

#[test]
fn other_classes_of_the_same_labels_are_the_same_labels() {
    let case = Case::new();
    let (before, _) = crash(case.scribbled());
    let other = |value| class_of(value).map(|class| if class == 0 { 0 } else { 9 - class });
    let edit = case.found().restore(&case.scan, other).expect("the edit");
    let expected: Vec<u8> = before.into_iter().map(|class| if class == 0 { 0 } else { 9 - class }).collect();
    assert_eq!(bytes(&edit), expected);
    drop(edit);
    let refused = |value| if value == 300 { Err("too many labels".to_owned()) } else { class_of(value) };
    let said = case.found().restore(&case.scan, refused).err().expect("no class for it");
    assert!(said.contains("too many labels") && said.contains(".scan.nii.simtrot-edit"), "{said}");
}

#[test]
fn a_torn_end_takes_the_last_change_alone() {
    let case = Case::new();
    let one = |class| Paint { label: label(class), over: Over::All, brush: round(1.5) };
    let mut edit = case.edit();
    paint(&mut edit, one(1), [0.0; 3], [2.0; 3]);
    let first = bytes(&edit);
    paint(&mut edit, one(2), [4.0; 3], [4.0; 3]);
    let (second, _) = crash(edit);
    assert_ne!(first, second);
    let journal = case.journals().remove(0);
    let whole = std::fs::read(&journal).expect("a journal");
    std::fs::write(&journal, &whole[..whole.len() - 2]).expect("a writable folder");
    let mut edit = case.restored();
    assert_eq!((bytes(&edit), edit.depth()), (first, (1, 0)));
    paint(&mut edit, one(3), [2.0; 3], [4.0; 3]);
    let (before, _) = crash(edit);
    assert_eq!(bytes(&case.restored()), before, "what follows is written over the torn end");

    let mut damaged = whole.clone();
    damaged[40] ^= 1;
    std::fs::write(&journal, damaged).expect("a writable folder");
    let said = find_journals(&case.image()).remove(0).expect_err("its header is damaged, and steps follow");
    assert!(said.contains("damaged") && journal.is_file(), "{said}");

    std::fs::write(&journal, &whole[..40]).expect("a writable folder");
    assert_eq!((find_journals(&case.image()).len(), case.journals().len()), (0, 0), "no step was whole");
    std::fs::write(&journal, "simtrot edit 99\n and what a later program writes").expect("a writable folder");
    let said = find_journals(&case.image()).remove(0).expect_err("another version");
    assert!(said.contains("version") && journal.is_file(), "{said}");
}

#[test]
fn another_grid_and_another_image_are_refused_by_name() {
    let case = Case::new();
    crash(case.scribbled());
    let refused = |change: &dyn Fn(&mut Scan)| {
        let mut scan = (*case.scan).clone();
        change(&mut scan);
        case.found().restore(&scan, class_of).err().expect("another image")
    };
    let moved = refused(&|scan| scan.volume.grid.world_from_voxel[0][3] += 1.0);
    assert!(moved.contains("mm away from") && moved.contains("scan.nii") && moved.contains("Open the image"), "{moved}");
    let cut = refused(&|scan| {
        scan.volume.grid.shape[0] -= 1;
        scan.volume.voxels.truncate(scan.volume.grid.len());
    });
    assert!(cut.contains("[5, 8, 9]") && cut.contains("[4, 8, 9]"), "{cut}");
    let changed = refused(&|scan| scan.volume.voxels[7] += 0.5);
    assert!(changed.contains("scan.nii is not the image any more"), "{changed}");
    assert_eq!(case.journals().len(), 1, "it waits for its image");

    std::fs::write(case.labels(), "something else").expect("a writable folder");
    let notice = case.found().source_notice().expect("a changed label map");
    assert!(notice.contains("labels.nii has changed"), "{notice}");
    std::fs::remove_file(case.labels()).expect("a file");
    assert!(case.found().source_notice().is_some_and(|notice| notice.contains("cannot be read any more")));
    assert!(case.restored().is_unsaved(), "the journal holds the map that the edit began with");
}

#[test]
fn what_is_saved_leaves_no_journal_and_what_follows_does() {
    let case = Case::new();
    let one = |class| Paint { label: label(class), over: Over::All, brush: round(1.5) };
    let untouched = case.edit();
    drop(untouched);
    assert_eq!(find_journals(&case.image()).len(), 0);

    let mut edit = case.edit();
    paint(&mut edit, one(1), [0.0; 3], [2.0; 3]);
    let first = bytes(&edit);
    paint(&mut edit, one(2), [4.0; 3], [4.0; 3]);
    let (_, version) = edit.snapshot();
    edit.saved(version);
    crash(edit);
    assert_eq!((case.journals().len(), find_journals(&case.image()).len()), (0, 0));

    let mut edit = case.edit();
    paint(&mut edit, one(1), [0.0; 3], [2.0; 3]);
    edit.undo();
    crash(edit);
    assert_eq!((case.journals().len(), find_journals(&case.image()).len()), (0, 0), "it was undone back to what was opened");

    let mut edit = case.edit();
    paint(&mut edit, one(1), [0.0; 3], [2.0; 3]);
    paint(&mut edit, one(2), [4.0; 3], [4.0; 3]);
    let (_, version) = edit.snapshot();
    // While the file is written the user goes back behind what is saved.
    edit.undo();
    edit.saved(version);
    let (before, depth) = crash(edit);
    assert_eq!((&before, depth), (&first, (1, 1)));
    let found = case.found();
    assert!(found.summary().contains("1 change."), "{}", found.summary());
    let mut edit = found.restore(&case.scan, class_of).expect("the edit");
    assert_eq!((bytes(&edit), edit.depth(), edit.is_unsaved()), (before, depth, true));
    let version = edit.version();
    edit.saved(version);
    drop(edit);
    assert_eq!(case.journals().len(), 0);
}

#[test]
fn two_windows_keep_two_journals_and_one_offers_none_of_the_other() {
    let case = Case::new();
    let [mut one, mut two] = [case.edit(), case.edit()];
    let stroke = Paint { label: label(4), over: Over::All, brush: round(1.5) };
    paint(&mut one, stroke, [0.0; 3], [2.0; 3]);
    paint(&mut two, stroke, [4.0; 3], [4.0; 3]);
    let (two, _) = crash(two);
    wait_until(|| one.journal_file().is_some());
    assert_eq!((one.journal_notice(), case.journals().len()), (None, 2));
    let (mine, others): (Vec<_>, Vec<_>) = find_journals(&case.image()).into_iter().partition(Result::is_ok);
    assert!(others.iter().all(|other| other.as_ref().is_err_and(|said| said.contains("another window"))));
    let restored = mine.into_iter().flatten().next().expect("the edit that ended").restore(&case.scan, class_of).expect("the edit");
    assert_eq!((bytes(&restored), others.len()), (two, 1));
    one.discard();
    restored.discard();
    assert!(case.journals().is_empty() && case.scan.file.is_file() && Path::new(&case.labels()).is_file());
}

#[test]
fn without_locks_signs_of_life_keep_other_windows_away() {
    let case = Case::new();
    WITHOUT_LOCKS.lock().expect("nobody panics with it").push(case.folder.path().to_owned());
    let refused = || find_journals(&case.image()).remove(0).expect_err("somebody's");
    let mut edit = case.edit();
    wait_until(|| edit.journal_file().is_some());
    let notice = edit.journal_notice().expect("a notice");
    assert!(notice.contains(".scan.nii.simtrot-edit") && notice.contains("cannot lock files"), "{notice}");
    assert!(refused().contains("another window") && case.journals().len() == 1, "it holds no change yet, and is left to its window");
    paint(&mut edit, Paint { label: label(1), over: Over::All, brush: round(1.5) }, [0.0; 3], [2.0; 3]);
    let (before, _) = crash(edit);
    assert!(refused().contains("open the image again in"), "it might be alive");

    let file = std::fs::File::options().write(true).open(&case.journals()[0]).expect("a journal");
    file.set_modified(SystemTime::now() - SILENCE - Duration::from_secs(10)).expect("our own file");
    let [one, two, three] = [case.found(), case.found(), case.found()];
    let restored = one.restore(&case.scan, class_of).expect("the edit");
    assert_eq!(bytes(&restored), before);
    wait_until(|| find_journals(&case.image()).remove(0).is_err());
    assert!(refused().contains("another window") && restored.journal_notice().is_some());
    let said = two.restore(&case.scan, class_of).err().expect("another window has it");
    assert!(said.contains("has taken it up") && three.discard().is_err() && case.journals().len() == 1, "{said}");
    restored.discard();
    assert!(case.journals().is_empty());
}
