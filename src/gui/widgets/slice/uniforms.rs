//! What the shader is given for one view: the uniform block `View` of `shaders/slice.wgsl`.

use bytemuck::{Pod, Zeroable};
use eframe::egui::Color32;

use super::colours::{Difference, LABELS};
use super::{Placement, PlaneGeometry, Style};
use crate::gui::theme::colour;
use crate::palette;

/// The image is interpolated in the plane.
pub(super) const LINEAR: u32 = 1;
/// Labels are filled.
pub(super) const FILL: u32 = 2;
/// Labels are outlined.
pub(super) const OUTLINE: u32 = 4;
/// Differences from the truth instead of labels.
pub(super) const DIFFERENCE: u32 = 8;
/// A heat map lies over the image.
pub(super) const HEAT: u32 = 16;

/// Stands for a voxel that is NaN or infinite, and bounds those that are not: shaders may take NaN for any number.
pub(super) const NOT_FINITE: f32 = 3.4e38;
/// The largest number that is drawn as one.
const LARGEST: f32 = 3.3e38;

/// An intensity as the shader gets it.
pub(super) fn drawable(value: f32) -> f32 {
    if value.is_finite() { value.min(LARGEST) } else { NOT_FINITE }
}

/// How strongly a heat map covers the image.
const HEAT_OPACITY: f32 = 0.55;

/// The uniform block; see the shader for what its fields mean.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Uniforms {
    pub(super) first: [f32; 2],
    pub(super) step: [f32; 2],
    pub(super) size: [f32; 2],
    pub(super) pane: [f32; 2],
    pub(super) corner: [f32; 4],
    pub(super) across: [f32; 4],
    pub(super) down: [f32; 4],
    /// Of image, labels and truth.
    pub(super) texel_steps: [[f32; 4]; 3],
    pub(super) heat_scale: [f32; 4],
    pub(super) low: f32,
    pub(super) per_width: f32,
    pub(super) opacity: f32,
    pub(super) outline: f32,
    pub(super) heat: [f32; 4],
    pub(super) flags: [u32; 4],
    pub(super) around: [f32; 4],
    pub(super) not_finite: [f32; 4],
    pub(super) difference: [[f32; 4]; 3],
    pub(super) ramp: [[f32; 4]; palette::HEAT.len() + 1],
    pub(super) labels: [[f32; 4]; LABELS],
}

/// One slice of a plane, laid into a pane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drawn<'a> {
    pub(super) geometry: &'a PlaneGeometry,
    pub(super) slice: usize,
    pub(super) placement: Placement,
    pub(super) pixels_per_point: f32,
}

/// What there is to draw.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layers {
    /// Voxels of the volume along D,H,W for one of image, labels and truth, as far as they are there.
    pub(super) steps: [Option<[usize; 3]>; 3],
    /// Cells of the heat map for each voxel, along D,H,W.
    pub(super) heat: Option<[f32; 3]>,
}

/// Cells for each voxel of a heat map of `grid` (D,H,W) over a volume of `shape`: of the tokens' size where there are tokens, else
/// stretched over the whole.
pub(super) fn heat_scale(grid: [usize; 3], shape: [usize; 3], token: Option<[usize; 3]>) -> [f32; 3] {
    let stretched = || [0, 1, 2].map(|axis: usize| grid[axis] as f32 / shape[axis].max(1) as f32);
    token.map_or_else(stretched, |cell| cell.map(|voxels| 1.0 / voxels.max(1) as f32))
}

impl Uniforms {
    pub(super) fn new(drawn: &Drawn<'_>, style: &Style<'_>, layers: &Layers) -> Self {
        let geometry = drawn.geometry;
        let corner = geometry.voxel(drawn.slice, [0.0, 0.0]);
        let way = |at: [f64; 2]| {
            let to = geometry.voxel(drawn.slice, at);
            xyz([0, 1, 2].map(|axis: usize| (to[axis] - corner[axis]) as f32))
        };
        let settings = style.settings;
        let [_, labels, truth] = layers.steps;
        let overlay = settings.shown && labels.is_some();
        let flags = [
            (LINEAR, settings.linear),
            (FILL, overlay && settings.fill && settings.opacity > 0.0),
            (OUTLINE, overlay && settings.outline && settings.outline_width > 0.0),
            (DIFFERENCE, overlay && settings.difference && truth.is_some()),
            (HEAT, layers.heat.is_some()),
        ];
        Self {
            first: drawn.placement.first.map(|value| value as f32),
            step: drawn.placement.step.map(|value| value as f32),
            size: geometry.size.map(|voxels| voxels as f32),
            pane: [0.0; 2],
            corner: xyz(corner.map(|value| value as f32)),
            across: way([1.0, 0.0]),
            down: way([0.0, 1.0]),
            texel_steps: layers.steps.map(|step| xyz(step.unwrap_or([1; 3]).map(|step| step as f32))),
            heat_scale: xyz(layers.heat.unwrap_or_default()),
            low: style.window.low,
            per_width: 1.0 / style.window.width().max(f32::MIN_POSITIVE),
            opacity: settings.opacity.clamp(0.0, 1.0),
            outline: settings.outline_width * drawn.pixels_per_point,
            heat: [HEAT_OPACITY, 0.0, 0.0, 0.0],
            flags: [flags.iter().map(|&(bit, on)| if on { bit } else { 0 }).sum(), 0, 0, 0],
            around: rgb(colour(palette::AROUND), 1.0),
            not_finite: rgb(colour(palette::NOT_FINITE), 1.0),
            difference: Difference::ALL.map(|kind| rgb(kind.colour(), 1.0)),
            ramp: std::array::from_fn(|stop| rgb(colour(palette::HEAT[stop.min(palette::HEAT.len() - 1)]), 1.0)),
            labels: std::array::from_fn(|label| {
                let entry = style.colours.get(label as u8);
                rgb(entry.colour, f32::from(u8::from(entry.visible)))
            }),
        }
    }
}

/// D,H,W as the shader wants it.
fn xyz([d, h, w]: [f32; 3]) -> [f32; 4] {
    [w, h, d, 0.0]
}

fn rgb(colour: Color32, fourth: f32) -> [f32; 4] {
    let [r, g, b, _] = colour.to_array().map(|value| f32::from(value) / 255.0);
    [r, g, b, fourth]
}
