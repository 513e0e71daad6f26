//! Names and colours of labels as other viewers keep them: label descriptions of ITK-SNAP (`.label`) and colour tables of 3D Slicer and
//! FreeSurfer (`.ctbl`, `.txt`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::file::{Format, ending, format, stem};
use super::segment::{Segment, Segments};
use super::{Fault, dicom, nrrd};
use crate::atomic_file;

/// Bytes beyond which a file is no table of labels.
const LONGEST: u64 = 4 << 20;

/// How another viewer shows one label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelEntry {
    /// None where the table has a placeholder.
    pub name: Option<String>,
    /// Red, green, blue.
    pub colour: [u8; 3],
}

/// Names and colours by label number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelTable {
    /// Where it was read.
    pub file: PathBuf,
    /// By label number; the background is left out.
    pub entries: BTreeMap<u32, LabelEntry>,
}

impl LabelTable {
    /// Reads a table. Which of the two forms a line has is shown by its quoted name.
    ///
    /// # Errors
    /// A file that cannot be read, and the first line that has neither form, in words.
    pub fn read(file: &Path) -> Result<Self, String> {
        let failed = |cause: String| format!("the label table {} is not used: {cause}", file.display());
        let length = std::fs::metadata(file).map_err(|error| failed(error.to_string()))?.len();
        if length > LONGEST {
            return Err(failed(format!("it is {length} bytes long")));
        }
        let text = std::fs::read_to_string(file).map_err(|error| failed(error.to_string()))?;
        let mut entries = BTreeMap::new();
        for (number, line) in text.trim_start_matches('\u{feff}').lines().map(str::trim).enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (label, entry) = entry(line).ok_or_else(|| {
                let forms =
                    "`NUMBER RED GREEN BLUE OPACITY VISIBLE MESH \"NAME\"` (ITK-SNAP) or `NUMBER NAME RED GREEN BLUE OPACITY` (3D Slicer)";
                failed(format!("line {} is {line:?}; expected {forms}", number + 1))
            })?;
            if entries.insert(label, entry).is_some() {
                return Err(failed(format!("it lists label {label} twice, again in line {}", number + 1)));
            }
        }
        entries.remove(&0);
        if entries.is_empty() {
            return Err(failed("it lists no label".to_owned()));
        }
        Ok(Self { file: file.to_owned(), entries })
    }

    /// Writes names and colours in ITK-SNAP's form. The file appears whole or not at all.
    ///
    /// # Errors
    /// A file that cannot be written, in words.
    pub fn write(file: &Path, segments: &Segments) -> Result<(), String> {
        let background = "    0     0    0    0        0  0  0    \"Clear Label\"\n".to_owned();
        let line = |(value, Segment { name, colour: [r, g, b] }): (&u32, &Segment)| {
            // The form has no sign for a quotation mark or a new line within a name.
            let name: String = name.chars().map(|c| if c == '"' || c.is_control() { '\'' } else { c }).collect();
            format!("{value:5} {r:5} {g:4} {b:4}        1  1  1    \"{name}\"\n")
        };
        let lines = std::iter::once(background).chain(segments.iter().filter(|(value, _)| **value != 0).map(line));
        atomic_file::write(file, lines.collect::<String>().as_bytes()).map_err(|error| format!("{}: {error}", file.display()))
    }

    /// The table of the segments that a volume's own header names, if any.
    ///
    /// # Errors
    /// A header that cannot be read, in words.
    pub fn within(volume: &Path) -> Result<Option<Self>, String> {
        let segments = match format(volume) {
            Format::Nrrd | Format::SegNrrd => nrrd::segments(volume),
            Format::Dicom if dicom::segmentation::is_segmentation(volume) => dicom::segmentation::segments(volume),
            Format::Dicom if dicom::structures::is_structure_set(volume) => dicom::structures::segments(volume),
            _ => return Ok(None),
        };
        let segments = segments.map_err(|error| error.to_string())?;
        let entry = |(number, segment): (u32, Segment)| (number, LabelEntry { name: Some(segment.name), colour: segment.colour });
        let entries: BTreeMap<_, _> = segments.into_iter().filter(|&(number, _)| number != 0).map(entry).collect();
        Ok((!entries.is_empty()).then(|| Self { file: volume.to_owned(), entries }))
    }

    /// The table of a volume: its own ([`Self::within`]), else one that lies beside it: of the volume's own name, else the only one of its folder, unless that is named like another
    /// volume there; else the same of the folder above, where that holds a `dataset.json`. A `.txt` file counts where it is such a table.
    ///
    /// # Errors
    /// A table that cannot be read, and several of which none is named like the volume, in words.
    pub fn beside(volume: &Path) -> Result<Option<Self>, String> {
        if let Some(own) = Self::within(volume)? {
            return Ok(Some(own));
        }
        let Some(folder) = volume.parent() else { return Ok(None) };
        let found = Self::in_folder(folder, &stem(volume))?;
        let above = folder.parent().filter(|above| above.join("dataset.json").is_file());
        match (found, above) {
            (None, Some(above)) => Self::in_folder(above, &stem(volume)),
            (found, _) => Ok(found),
        }
    }

    /// The fault of the first value that the `other` table calls otherwise. Values without a name in one of them are none.
    pub fn contradicts(&self, other: &Self) -> Option<Fault> {
        self.entries.iter().find_map(|(&value, entry)| {
            let (name, otherwise) = (entry.name.as_ref()?, other.entries.get(&value)?.name.as_ref()?);
            (!same_name(name, otherwise)).then(|| Fault::SegmentNames(value, name.clone(), other.file.clone(), otherwise.clone()))
        })
    }

    fn in_folder(folder: &Path, volume: &str) -> Result<Option<Self>, String> {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        // Whoever reads the volume reports a folder that cannot be listed.
        let files: Vec<PathBuf> = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        let volumes: Vec<String> = files.iter().filter(|file| ending(&name(file)).is_some()).map(|file| stem(file)).collect();
        let of = |file: &Path| file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let ends = |file: &Path, endings: &[&str]| {
            let ending = file.extension().unwrap_or_default().to_string_lossy().to_lowercase();
            endings.contains(&ending.as_str()) && !name(file).starts_with('.')
        };
        let mine = |file: &&PathBuf| of(file) == volume || !volumes.contains(&of(file));
        let mut tables: Vec<&PathBuf> = files.iter().filter(|file| ends(file, &["label", "ctbl"])).filter(mine).collect();
        if tables.is_empty() {
            // Most texts are something else.
            tables = files.iter().filter(|file| ends(file, &["txt"])).filter(mine).filter(|file| Self::read(file).is_ok()).collect();
        }
        if tables.iter().any(|file| of(file) == volume) {
            tables.retain(|file| of(file) == volume);
        }
        tables.sort();
        match tables.as_slice() {
            [] => Ok(None),
            [table] => Self::read(table).map(Some),
            several => {
                let names = several.iter().map(|file| name(file)).collect::<Vec<_>>().join(", ");
                Err(format!(
                    "{} holds several label tables ({names}): none is used; name the right one {volume}.label or {volume}.ctbl",
                    folder.display()
                ))
            }
        }
    }
}

/// Whether two names are one: neither case tells them apart nor an underscore in place of a space.
pub fn same_name(a: &str, b: &str) -> bool {
    a.replace('_', " ").eq_ignore_ascii_case(&b.replace('_', " "))
}

fn name(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The label and its looks in one line.
fn entry(line: &str) -> Option<(u32, LabelEntry)> {
    let (numbers, name) = match line.split_once('"') {
        // ITK-SNAP: seven numbers, then the name.
        Some((numbers, quoted)) => {
            let numbers: Vec<&str> = numbers.split_whitespace().collect();
            let [label, red, green, blue, _opacity, _visible, _mesh] = numbers.as_slice() else { return None };
            ([*label, *red, *green, *blue], quoted.strip_suffix('"')?.trim().to_owned())
        }
        // 3D Slicer and FreeSurfer: spaces of a name are written as underscores.
        None => {
            let parts: Vec<&str> = line.split_whitespace().collect();
            let [label, name @ .., red, green, blue, opacity] = parts.as_slice() else { return None };
            opacity.parse::<f32>().ok()?;
            ([*label, *red, *green, *blue], name.join(" ").replace('_', " "))
        }
    };
    let [label, red, green, blue] = numbers;
    let colour = [red.parse().ok()?, green.parse().ok()?, blue.parse().ok()?];
    let named = !name.is_empty() && name != "(none)";
    Some((label.parse().ok()?, LabelEntry { name: named.then_some(name), colour }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ITK_SNAP: &str = "################\n# ITK-SnAP Label Description File\n################\n    0     0    0    0        0  0  0    \"Clear Label\"\n    1   255    0    0        1  1  1    \"Left lung\"\n   10     0  128  255     0.35  0  1    \"Vessels (\u{fc}bersicht)\"\n";
    const SLICER: &str = "# Color table file x.ctbl\n# 3 values\n0 Background 0 0 0 0\n1 left_lung 128 174 128 255\n2 (none) 0 0 0 0\r\n10 aorta 216 101 79 255\n";

    fn named(table: &LabelTable, label: u32) -> Option<&str> {
        table.entries.get(&label)?.name.as_deref()
    }

    #[test]
    fn tables_of_itk_snap_and_of_slicer_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let read = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
            LabelTable::read(&folder.path().join(name))
        };
        let snap = read("snap.label", ITK_SNAP).unwrap();
        assert_eq!(snap.entries.keys().copied().collect::<Vec<_>>(), [1, 10]);
        assert_eq!((named(&snap, 1), snap.entries[&10].colour), (Some("Left lung"), [0, 128, 255]));
        let slicer = read("slicer.ctbl", SLICER).unwrap();
        assert_eq!((named(&slicer, 1), named(&slicer, 2), named(&slicer, 10)), (Some("left lung"), None, Some("aorta")));
        assert_eq!(slicer.entries[&10].colour, [216, 101, 79]);

        let surface = read("lh.cortex.label", "#!ascii label, from subject bert\n2\n0 -1.8 20.3 4.1 0.0\n").unwrap_err();
        assert!(surface.contains("lh.cortex.label") && surface.contains("line 2") && surface.contains("ITK-SNAP"), "{surface}");
        assert!(read("beyond.ctbl", "1 x 300 0 0 255\n").unwrap_err().contains("line 1"));
        assert!(read("twice.ctbl", "1 x 3 0 0 255\n1 y 4 0 0 255\n").unwrap_err().contains("label 1 twice"));
    }

    #[test]
    fn the_table_beside_a_volume_is_its_own_or_the_only_one() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &str| {
            std::fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            std::fs::write(at(name), text).unwrap();
        };
        let found = |volume: &str| LabelTable::beside(&at(volume)).map(|table| table.map(|table| name(&table.file)));
        write("labelsTr/a.nii.gz", "");
        write("labelsTr/b.nii.gz", "");
        write("labelsTr/notes.txt", "1 left lung is missing in 3 of 7 scans\n");
        assert_eq!(found("labelsTr/a.nii.gz"), Ok(None));
        write("organs.ctbl", SLICER);
        assert_eq!(found("labelsTr/a.nii.gz"), Ok(None), "the folder above is no dataset's");
        write("dataset.json", "{}");
        assert_eq!(found("labelsTr/a.nii.gz"), Ok(Some("organs.ctbl".to_owned())));
        write("labelsTr/colours.txt", SLICER);
        assert_eq!(found("labelsTr/a.nii.gz"), Ok(Some("colours.txt".to_owned())));
        write("labelsTr/a.label", ITK_SNAP);
        assert_eq!(found("labelsTr/a.nii.gz"), Ok(Some("a.label".to_owned())));
        assert_eq!(found("labelsTr/b.nii.gz"), Ok(Some("colours.txt".to_owned())), "a.label is of a.nii.gz");
        write("labelsTr/one.label", ITK_SNAP);
        write("labelsTr/two.label", ITK_SNAP);
        let several = found("labelsTr/b.nii.gz").unwrap_err();
        assert!(several.contains("one.label, two.label") && several.contains("b.ctbl"), "{several}");
        assert_eq!(found("labelsTr/a.nii.gz"), Ok(Some("a.label".to_owned())));
    }
}
