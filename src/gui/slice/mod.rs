//! Slices of volumes, drawn by the window's GPU.
//!
//! [`PlaneGeometry`] says how a plane of a grid lies on the screen; [`ImageTexture`] and its like hold volumes on the GPU;
//! [`SliceView`] shows one plane of a [`Scene`] with everything that mouse and keys do, and `shaders/slice.wgsl` colours its
//! pixels. [`draw_on_cpu`] is the same on the host: what tests hold the shader against, and what makes pictures of any size.

mod colours;
mod cpu;
mod geometry;
mod input;
mod look;
mod overlay;
mod paint;
#[cfg(test)]
mod tests;
mod texture;
mod view;
mod window;

use serde::{Deserialize, Serialize};

pub use crate::geometry::{Edges, Plane, PlaneGeometry, WindowLevel, world_letters};
pub use colours::{Difference, LABELS, LabelColour, LabelColours, heat_colour};
pub use cpu::{HostScene, Picture, draw_on_cpu};
pub use geometry::{Framing, Placement};
pub use texture::{HeatTexture, ImageTexture, LabelTexture};
pub use view::{MARGIN, SliceResponse, SliceView};
pub use window::{PresetRange, WindowPreset};

use super::{Convention, KeyMap};
use crate::volume::Grid;

/// How slices are drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SliceSettings {
    /// Opacity of filled labels, 0 to 1.
    pub opacity: f32,
    /// Whether labels are drawn at all.
    pub shown: bool,
    /// Whether they are filled.
    pub fill: bool,
    /// Whether they are outlined, at full strength.
    pub outline: bool,
    /// Width of outlines in points.
    pub outline_width: f32,
    /// Interpolated in the plane, or each voxel a rectangle.
    pub linear: bool,
    /// Differences from the truth instead of labels, where there is a truth.
    pub difference: bool,
}

impl Default for SliceSettings {
    fn default() -> Self {
        Self { opacity: 0.35, shown: true, fill: true, outline: true, outline_width: 1.5, linear: true, difference: false }
    }
}

/// The crosshair, shared by linked views.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// D,H,W.
    pub voxel: [usize; 3],
}

impl Cursor {
    /// At the middle of a volume.
    pub fn middle(shape: [usize; 3]) -> Self {
        Self { voxel: shape.map(|voxels| voxels / 2) }
    }
}

/// Which token belongs to which voxels.
#[derive(Clone, Copy, Debug)]
pub struct TokenOverlay<'a> {
    /// Voxels of one token along D,H,W; the first begins at the volume's first voxel.
    pub cell: [usize; 3],
    /// Tokens to mark, by their place along D,H,W in the token grid.
    pub marked: &'a [[usize; 3]],
}

/// What a view shows.
pub struct Scene<'a> {
    /// Where the voxels lie.
    pub grid: &'a Grid,
    /// One channel of the image.
    pub image: &'a ImageTexture,
    /// Labels over it.
    pub labels: Option<&'a LabelTexture>,
    /// The true labels, which differences are counted from.
    pub truth: Option<&'a LabelTexture>,
    /// A coarse heat map under the labels; its cells are the tokens where these are given, else it is stretched over the volume.
    pub heat: Option<&'a HeatTexture>,
    /// Borders of tokens.
    pub tokens: Option<TokenOverlay<'a>>,
    /// What is black and white.
    pub window: WindowLevel,
    /// What labels look like.
    pub colours: &'a LabelColours,
    /// How slices are drawn.
    pub settings: &'a SliceSettings,
    /// Which side is on the left.
    pub convention: Convention,
    /// Which key does what.
    pub keys: &'a KeyMap,
}
