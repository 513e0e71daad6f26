//! Slices of volumes, drawn by the window's GPU.
//!
//! [`VolumeTexture`] holds a volume on the GPU; [`SliceView`] shows one plane of a [`Scene`] with everything that mouse and keys do,
//! and `shaders/slice.wgsl` colours its pixels. What the shader has to draw is specified on the host (`tests/reference.rs`), and a
//! test holds the two together.

mod colours;
mod framing;
mod input;
mod overlay;
mod paint;
mod presets;
#[cfg(test)]
mod tests;
mod texture;
mod uniforms;
mod view;

use serde::{Deserialize, Serialize};

pub use crate::geometry::{Plane, PlaneGeometry, WindowLevel, world_letters};
pub use colours::{Difference, LabelColours, heat_colour};
pub use framing::{Framing, Placement};
pub use input::{Phase, Touch};
pub(in crate::gui) use overlay::Outlined;
pub use presets::WindowPreset;
pub use texture::VolumeTexture;
pub use view::SliceView;

use crate::geometry::{Convention, Grid};

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
    /// Whether the crosshair is drawn.
    pub crosshair: bool,
    /// Whether the planes of a volume share their zoom.
    pub linked_zoom: bool,
}

impl Default for SliceSettings {
    fn default() -> Self {
        Self {
            opacity: 0.35,
            shown: true,
            fill: true,
            outline: true,
            outline_width: 1.5,
            linear: true,
            difference: false,
            crosshair: true,
            linked_zoom: true,
        }
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

/// Which token belongs to which voxels, and what is drawn over tokens.
#[derive(Clone, Copy, Debug)]
pub struct TokenOverlay<'a> {
    /// Voxels of one token along D,H,W; the first begins at the volume's first voxel.
    pub cell: [usize; 3],
    /// Tokens to mark, by their index along D,H,W in the token grid.
    pub marked: &'a [[usize; 3]],
    /// A number for each token, row-major; empty: none has one.
    pub numbers: &'a [u32],
    /// Which tokens are masked, row-major; empty: none is.
    pub masked: &'a [bool],
}

impl TokenOverlay<'_> {
    /// Borders alone.
    pub fn new(cell: [usize; 3]) -> Self {
        Self { cell, marked: &[], numbers: &[], masked: &[] }
    }
}

/// How voxels become colours.
#[derive(Clone, Copy, Debug)]
pub struct Style<'a> {
    /// What is black and white.
    pub window: WindowLevel,
    /// What labels look like.
    pub colours: &'a LabelColours,
    /// How slices are drawn.
    pub settings: &'a SliceSettings,
    /// Which side is on the left.
    pub convention: Convention,
}

/// What a view shows: an image and what lies over it, on the GPU or elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a, I = &'a VolumeTexture, L = I, H = I> {
    /// Where the voxels lie.
    pub grid: &'a Grid,
    /// One channel of the image.
    pub image: I,
    /// Labels over it.
    pub labels: Option<L>,
    /// The true labels, which differences are counted from.
    pub truth: Option<L>,
    /// A coarse heat map under the labels; its cells are the tokens where these are given, else it is stretched over the volume.
    pub heat: Option<H>,
    /// Borders of tokens.
    pub tokens: Option<TokenOverlay<'a>>,
    /// How it is drawn.
    pub style: Style<'a>,
}

impl<'a, I, L, H> Scene<'a, I, L, H> {
    /// An image with nothing over it.
    pub fn new(grid: &'a Grid, image: I, style: Style<'a>) -> Self {
        Self { grid, image, labels: None, truth: None, heat: None, tokens: None, style }
    }
}
