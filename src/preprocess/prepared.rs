//! A prepared case of which only the header is in memory: what a crop needs of its voxels is read when it is cut.
//!
//! Of each plane of a crop its rows lie together and are read at once. What was read before, the system keeps in its page cache, and gives
//! up where memory is short: memory of the process does not grow with the number of cases, and no store of our own decides what to drop.
//! A crop of 128³ voxels and four channels out of 155 x 240 x 240 takes 10 ms so, with the file in the page cache, on a quiet core of an
//! AMD EPYC (20 ms where all cores are busy); 60 ms row by row, 120 ms for the whole file. A memory map would take 6 ms and `unsafe`, an array
//! in memory 5 ms; a chunked store (`zarrs`) decodes whole chunks around a crop.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::case::{Case, PreprocessRecord};
use super::class_planes::ClassPlanes;
use crate::geometry::VoxelBox;
use crate::volume::{DataError, Fault, Grid, Note, Volume};

/// Values written at a time.
const BLOCK: usize = 1 << 14;

/// Bytes of an intensity.
const INTENSITY: usize = size_of::<f32>();

/// What stays in memory of a prepared case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) grid: Grid,
    pub(super) channels: usize,
    /// The least intensity of each channel.
    pub(super) background: Vec<f32>,
    /// Where the classes lie; none without a label map.
    pub(super) classes: Option<Vec<ClassPlanes>>,
    pub(super) preprocess_record: PreprocessRecord,
    pub(super) notes: Vec<Note>,
}

/// A prepared case: its header, and where its voxels are.
#[derive(Clone, Debug)]
pub struct PreparedCase {
    name: String,
    header: Header,
    place: Place,
}

/// Where voxels are: float32 little-endian, `[channel, D, H, W]`, then the class indices `[D, H, W]`, if there are any.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// In a file, from this byte on.
    File(PathBuf, u64),
    /// In memory.
    Memory(Arc<[u8]>),
}

/// What can be read anywhere.
trait Source: Read + Seek {}
impl<T: Read + Seek> Source for T {}

impl Header {
    pub(super) fn of(case: &Case) -> Self {
        let Case { image, label, preprocess_record, notes, .. } = case;
        let [_, height, width] = image.grid.shape;
        Self {
            grid: image.grid.clone(),
            channels: image.channels,
            background: image.minima(),
            classes: label.as_deref().map(|label| ClassPlanes::of_map(label, height * width)),
            preprocess_record: preprocess_record.clone(),
            notes: notes.clone(),
        }
    }

    /// Bytes of the voxels.
    pub(super) fn voxel_bytes(&self) -> u64 {
        let each = INTENSITY * self.channels + usize::from(self.classes.is_some());
        (self.grid.len() * each) as u64
    }
}

/// Writes the voxels of a case as [`Place`] says.
pub(super) fn write_voxels(case: &Case, out: &mut dyn Write) -> io::Result<()> {
    for block in case.image.voxels.chunks(BLOCK) {
        out.write_all(&block.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())?;
    }
    out.write_all(case.label.as_deref().unwrap_or_default())
}

impl PreparedCase {
    pub(super) fn new(name: String, header: Header, place: Place) -> Self {
        Self { name, header, place }
    }

    /// A case that stays in memory as a whole.
    ///
    /// # Panics
    /// If the label map does not lie on the image's grid.
    pub fn in_memory(case: &Case) -> Self {
        assert!(
            case.label.as_ref().is_none_or(|label| label.len() == case.image.grid.len()),
            "the label map does not lie on the image's grid"
        );
        let mut bytes = Vec::new();
        write_voxels(case, &mut bytes).expect("memory can be written");
        Self::new(case.name.clone(), Header::of(case), Place::Memory(bytes.into()))
    }

    /// Its name in the dataset.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its voxels lie in the patient.
    pub fn grid(&self) -> &Grid {
        &self.header.grid
    }

    /// Channels of its image.
    pub fn channels(&self) -> usize {
        self.header.channels
    }

    /// Whether it has a label map.
    pub fn is_labelled(&self) -> bool {
        self.header.classes.is_some()
    }

    /// The classes of its label map that are present, background left out.
    pub fn classes(&self) -> &[ClassPlanes] {
        self.header.classes.as_deref().unwrap_or_default()
    }

    /// The least intensity of each channel: what stands outside the volume.
    pub fn background(&self) -> &[f32] {
        &self.header.background
    }

    /// What was assumed, left out or replaced in its files.
    pub fn notes(&self) -> &[Note] {
        &self.header.notes
    }

    /// Reads all of it.
    ///
    /// # Errors
    /// A file that is no longer as it was.
    pub fn load(&self) -> Result<Case, DataError> {
        let Header { grid, channels, classes, preprocess_record, notes, .. } = &self.header;
        let whole = VoxelBox::whole(grid.shape);
        let mut voxels = vec![0.0; channels * grid.len()];
        self.cut_image(&whole, &mut voxels)?;
        let label = classes.as_ref().map(|_| {
            let mut label = vec![0; grid.len()];
            self.cut_label(&whole, &mut label).map(|()| label)
        });
        Ok(Case {
            name: self.name.clone(),
            image: Volume { channels: *channels, grid: grid.clone(), voxels },
            label: label.transpose()?,
            preprocess_record: preprocess_record.clone(),
            notes: notes.clone(),
        })
    }

    /// Copies the intensities of a box, `[channel, D, H, W]`, into `crop`; outside the volume stands each channel's background.
    ///
    /// # Errors
    /// A file that is no longer as it was.
    ///
    /// # Panics
    /// If `crop` is of another size.
    pub fn cut_image(&self, of: &VoxelBox, crop: &mut [f32]) -> Result<(), DataError> {
        assert_eq!(crop.len(), self.header.channels * of.len(), "an image of another size than the box");
        let channel = (INTENSITY * self.header.grid.len()) as u64;
        let mut crops = (0..).zip(&self.header.background).zip(crop.chunks_exact_mut(of.len()));
        self.told(crops.try_for_each(|((index, outside), crop)| {
            self.cut(index * channel, of, outside.to_le_bytes(), &mut |plane, values| {
                let crop = &mut crop[plane * values.len()..][..values.len()];
                crop.iter_mut().zip(values).for_each(|(value, &bytes)| *value = f32::from_le_bytes(bytes));
            })
        }))
    }

    /// Copies the class indices of a box into `crop`; outside the volume stands background.
    ///
    /// # Errors
    /// A file that is no longer as it was.
    ///
    /// # Panics
    /// If `crop` is of another size, or the case has no label map.
    pub fn cut_label(&self, of: &VoxelBox, crop: &mut [u8]) -> Result<(), DataError> {
        assert!(self.is_labelled() && crop.len() == of.len(), "a label map of the box's size");
        self.told(self.cut(self.label_at(), of, [0], &mut |plane, values| {
            crop[plane * values.len()..][..values.len()].copy_from_slice(values.as_flattened());
        }))
    }

    /// The index into the label map of the `number`-th voxel of one of [`Self::classes`].
    ///
    /// # Errors
    /// A file that is no longer as it was.
    ///
    /// # Panics
    /// If the class has not so many voxels.
    pub fn voxel(&self, class: &ClassPlanes, number: usize) -> Result<usize, DataError> {
        let [_, height, width] = self.header.grid.shape;
        let (plane, number) = class.plane(number);
        let mut labels = vec![0; height * width];
        let read = self.open().and_then(|mut source| {
            source.seek(SeekFrom::Start(self.start() + self.label_at() + (plane * labels.len()) as u64))?;
            source.read_exact(&mut labels)
        });
        self.told(read)?;
        let place = labels.iter().enumerate().filter(|(_, label)| **label == class.class).map(|(place, _)| place).nth(number);
        place.map(|place| plane * labels.len() + place).ok_or_else(|| self.lost("it holds other labels than when it was opened"))
    }

    /// Reads, plane by plane, a box of the array `[D, H, W]` that begins `first` bytes behind the first voxel, and hands each plane on with
    /// its number in the box.
    fn cut<const BYTES: usize>(
        &self,
        first: u64,
        of: &VoxelBox,
        outside: [u8; BYTES],
        take: &mut dyn FnMut(usize, &[[u8; BYTES]]),
    ) -> io::Result<()> {
        let mut source = self.open()?;
        let ([depth, height, width], [planes, rows, columns]) = (self.header.grid.shape, of.shape());
        let mut plane = vec![outside; rows * columns];
        // The rows of a plane that the box reaches into.
        let [top, bottom] = [of.start[1], of.end[1]].map(|row| row.clamp(0, height as i64) as usize);
        let mut bytes = vec![0; (bottom - top) * width * BYTES];
        let place = VoxelBox::at([0, of.start[1] - top as i64, of.start[2]], [1, rows, columns]);
        for number in 0..planes {
            match usize::try_from(of.start[0] + number as i64).ok().filter(|&d| d < depth && !bytes.is_empty()) {
                None => plane.fill(outside),
                Some(d) => {
                    source.seek(SeekFrom::Start(self.start() + first + ((d * height + top) * width * BYTES) as u64))?;
                    source.read_exact(&mut bytes)?;
                    place.cut_padded(bytes.as_chunks().0, [1, bottom - top, width], &[outside], &mut plane);
                }
            }
            take(number, &plane);
        }
        Ok(())
    }

    fn open(&self) -> io::Result<Box<dyn Source + '_>> {
        Ok(match &self.place {
            Place::File(path, _) => Box::new(File::open(path)?),
            Place::Memory(bytes) => Box::new(Cursor::new(&bytes[..])),
        })
    }

    /// Where the first voxel is.
    fn start(&self) -> u64 {
        if let Place::File(_, first) = self.place { first } else { 0 }
    }

    /// Where the label map begins behind the first voxel.
    fn label_at(&self) -> u64 {
        (INTENSITY * self.header.channels * self.header.grid.len()) as u64
    }

    fn told(&self, read: io::Result<()>) -> Result<(), DataError> {
        read.map_err(|error| self.lost(&error.to_string()))
    }

    fn lost(&self, why: &str) -> DataError {
        let path = if let Place::File(path, _) = &self.place { path.clone() } else { self.name.clone().into() };
        Fault::PreparedLost(format!("{} ({why})", self.name)).at(&path)
    }
}

#[cfg(test)]
#[path = "prepared_tests.rs"]
mod tests;
