//! Tests of the slice engine as a whole.

mod interaction;
mod orientation;
mod reference;
mod shader;
mod snapshot;

use eframe::egui_wgpu::{RenderState, RendererOptions};
use egui_kittest::wgpu::{create_render_state, default_wgpu_setup};

use super::{LabelColours, SliceSettings, Style, VolumeTexture, WindowLevel};
use crate::gui::Convention;
use crate::volume::Grid;

fn gpu() -> RenderState {
    create_render_state(default_wgpu_setup(), RendererOptions::PREDICTABLE)
}

/// A volume with an oblique position, unequal spacing, three nested labels and a truth that lies aside.
struct Phantom {
    grid: Grid,
    image: Vec<f32>,
    labels: Vec<u8>,
    truth: Vec<u8>,
    colours: LabelColours,
    settings: SliceSettings,
    window: WindowLevel,
}

impl Phantom {
    fn new() -> Self {
        let shape = [14, 24, 19];
        let mut grid = Grid::axis_aligned(shape, [3.1, 0.9, 1.4]);
        grid.world_from_voxel = oblique([[-1.4, 0.0, 0.0], [0.0, 0.9, 0.0], [0.0, 0.0, 3.1]], [20.0, -15.0, 8.0]);
        let ball = |[d, h, w]: [usize; 3], centre: [f64; 3]| {
            let part = |index: usize, middle: f64, voxels: usize| ((index as f64 - middle) / voxels as f64).powi(2);
            (part(d, centre[0], shape[0]) + part(h, centre[1], shape[1]) + part(w, centre[2], shape[2])).sqrt()
        };
        let label = |radius: f64| [0.18, 0.3, 0.42].iter().position(|&limit| radius < limit).map_or(0, |index| 3 - index as u8);
        let voxels = || (0..grid.len()).map(|index| crate::geometry::unravel(index, shape));
        Self {
            image: voxels().map(|at| (1000.0 * (6.0 * ball(at, [5.0, 9.0, 8.0])).sin()) as f32 + (at[2] % 3) as f32 * 60.0).collect(),
            labels: voxels().map(|at| label(ball(at, [6.0, 11.0, 9.0]))).collect(),
            truth: voxels().map(|at| label(ball(at, [7.0, 13.0, 8.0]))).collect(),
            colours: LabelColours::default(),
            settings: SliceSettings::default(),
            window: WindowLevel { low: -700.0, high: 900.0 },
            grid,
        }
    }

    fn style(&self, convention: Convention) -> Style<'_> {
        Style { window: self.window, colours: &self.colours, settings: &self.settings, convention }
    }

    /// Image, labels, truth.
    fn textures(&self, gpu: &RenderState) -> [VolumeTexture; 3] {
        let shape = self.grid.shape;
        let [labels, truth] = [&self.labels, &self.truth].map(|labels| VolumeTexture::labels(gpu, labels, shape));
        [VolumeTexture::image(gpu, &self.image, shape), labels, truth]
    }
}

/// An affine of `columns` rotated by 11 degrees about each patient axis, with its first voxel at `origin`.
fn oblique(columns: [[f64; 3]; 3], origin: [f64; 3]) -> [[f64; 4]; 4] {
    let (sin, cos) = 11.0_f64.to_radians().sin_cos();
    let rotated = columns.map(|[x, y, z]| {
        let (x, y) = (cos * x - sin * y, sin * x + cos * y);
        let (y, z) = (cos * y - sin * z, sin * y + cos * z);
        [cos * x + sin * z, y, cos * z - sin * x]
    });
    let row = |row: usize| [rotated[0][row], rotated[1][row], rotated[2][row], origin[row]];
    [row(0), row(1), row(2), [0.0, 0.0, 0.0, 1.0]]
}
