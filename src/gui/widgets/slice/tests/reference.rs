//! What `shaders/slice.wgsl` has to draw, function by function, on the host: its specification.

use eframe::egui::{Color32, ColorImage};
use rayon::prelude::*;

use crate::geometry::ravel;
use crate::gui::widgets::slice::uniforms::{
    DIFFERENCE, Drawn, FILL, HEAT, LINEAR, Layers, NOT_FINITE, OUTLINE, Uniforms, drawable, heat_scale,
};
use crate::gui::widgets::slice::{Framing, Plane, PlaneGeometry, Scene};

/// `1 / sqrt(2)`, as the shader has it.
const DIAGONAL: f32 = std::f32::consts::FRAC_1_SQRT_2;

/// Samples of a pixel in each direction, as the shader has it.
const MOST_TAPS: f32 = 4.0;

/// What there is to draw, in the host's memory: image, labels, heat map with its D,H,W.
pub(super) type HostScene<'a> = Scene<'a, &'a [f32], &'a [u8], (&'a [f32], [usize; 3])>;

/// Which slice is drawn, and how large.
#[derive(Clone, Copy, Debug)]
pub(super) struct Picture {
    pub(super) plane: Plane,
    /// Index of the slice along the plane's axis.
    pub(super) slice: usize,
    /// Pixels across and down.
    pub(super) pixels: [usize; 2],
    pub(super) framing: Framing,
    /// Pixels kept free on each side of the whole slice.
    pub(super) margin: f64,
    /// Outlines are this many times as wide as their setting says.
    pub(super) pixels_per_point: f32,
}

impl Picture {
    /// A whole slice without a margin.
    pub(super) fn of(plane: Plane, slice: usize, pixels: [usize; 2]) -> Self {
        Self { plane, slice, pixels, framing: Framing::default(), margin: 0.0, pixels_per_point: 1.0 }
    }
}

/// Draws a slice: the pixels that the GPU has to draw, without letters and crosshair.
pub(super) fn draw_on_host(scene: &HostScene<'_>, picture: &Picture) -> ColorImage {
    let geometry = PlaneGeometry::new(scene.grid, picture.plane, scene.style.convention);
    let placement = picture.framing.placement(&geometry, picture.pixels.map(|pixels| pixels as f64), picture.margin);
    let drawn = Drawn { geometry: &geometry, slice: picture.slice, placement, pixels_per_point: picture.pixels_per_point };
    let token = scene.tokens.map(|tokens| tokens.cell);
    let layers = Layers {
        steps: [Some([1; 3]), scene.labels.map(|_| [1; 3]), scene.truth.map(|_| [1; 3])],
        heat: scene.heat.map(|(_, grid)| heat_scale(grid, scene.grid.shape, token)),
    };
    let canvas = Canvas { uniforms: Uniforms::new(&drawn, &scene.style, &layers), scene };
    let [width, height] = picture.pixels;
    let mut pixels = vec![Color32::BLACK; width * height];
    pixels.par_chunks_mut(width.max(1)).enumerate().for_each(|(row, line)| {
        for (column, pixel) in line.iter_mut().enumerate() {
            // A pixel is where its middle is.
            let [r, g, b] = canvas.colour([column as f32 + 0.5, row as f32 + 0.5]).map(|value| (value * 255.0).round() as u8);
            *pixel = Color32::from_rgb(r, g, b);
        }
    });
    ColorImage::new([width, height], pixels)
}

struct Canvas<'a> {
    uniforms: Uniforms,
    scene: &'a HostScene<'a>,
}

impl Canvas<'_> {
    fn position(&self, pixel: [f32; 2]) -> [f32; 2] {
        [0, 1].map(|side: usize| self.uniforms.first[side] + pixel[side] * self.uniforms.step[side])
    }

    fn inside(&self, at: [f32; 2]) -> bool {
        [0, 1].iter().all(|&side: &usize| at[side] >= -0.5 && at[side] < self.uniforms.size[side] - 0.5)
    }

    /// W,H,D, as in the shader.
    fn voxel(&self, at: [f32; 2]) -> [f32; 3] {
        [0, 1, 2].map(|axis: usize| self.uniforms.corner[axis] + at[0] * self.uniforms.across[axis] + at[1] * self.uniforms.down[axis])
    }

    /// Index of the voxel at x,y,z in `[D, H, W]` of `shape`; outside it, of the nearest.
    fn index(shape: [usize; 3], xyz: [f32; 3]) -> usize {
        let [depth, height, width] = shape;
        let whole = |value: f32, count: usize| (value.floor().max(0.0) as usize).min(count - 1);
        ravel([whole(xyz[2], depth), whole(xyz[1], height), whole(xyz[0], width)], shape)
    }

    fn load(&self, texel: [f32; 3]) -> f32 {
        drawable(self.scene.image[Self::index(self.scene.grid.shape, texel)])
    }

    /// The voxel that a position lies in.
    fn own(&self, at: [f32; 2]) -> f32 {
        self.load(self.voxel(at).map(|value| value + 0.5))
    }

    /// Neighbours that are not finite count as the voxel itself.
    fn interpolated(&self, at: [f32; 2]) -> f32 {
        let own = self.own(at);
        if own >= NOT_FINITE {
            return own;
        }
        let here = self.voxel(at);
        let axis_of = |way: [f32; 4]| (0..3).find(|&axis| way[axis] != 0.0).expect("a way along one axis");
        let (across, down) = (axis_of(self.uniforms.across), axis_of(self.uniforms.down));
        let mut low = here.map(|value| (value + 0.5).floor());
        let parts = [across, down].map(|axis| {
            low[axis] = here[axis].floor();
            here[axis] - low[axis]
        });
        let tap = |right: f32, below: f32| {
            let mut texel = low;
            texel[across] += right;
            texel[down] += below;
            Some(self.load(texel)).filter(|&value| value < NOT_FINITE).unwrap_or(own)
        };
        let upper = mix(tap(0.0, 0.0), tap(1.0, 0.0), parts[0]);
        let lower = mix(tap(0.0, 1.0), tap(1.0, 1.0), parts[0]);
        mix(upper, lower, parts[1])
    }

    fn intensity(&self, at: [f32; 2]) -> f32 {
        let uniforms = &self.uniforms;
        let own = self.own(at);
        if !has(uniforms, LINEAR) || own >= NOT_FINITE {
            return own;
        }
        let taps = uniforms.step.map(|voxels| voxels.ceil().clamp(1.0, MOST_TAPS));
        let counts = taps.map(|taps| taps as usize);
        let part = |side: usize, tap: usize| ((tap as f32 + 0.5) / taps[side] - 0.5) * uniforms.step[side];
        let positions = (0..counts[1]).flat_map(|row| (0..counts[0]).map(move |column| [part(0, column), part(1, row)]));
        let values = positions.map(|[across, down]| self.interpolated([at[0] + across, at[1] + down])).filter(|&value| value < NOT_FINITE);
        let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
        if count > 0.0 { sum / count } else { own }
    }

    fn shown(&self, label: u8) -> u8 {
        if self.uniforms.labels[usize::from(label)][3] > 0.5 { label } else { 0 }
    }

    fn class_at(&self, pixel: [f32; 2]) -> u8 {
        let at = self.position(pixel);
        let Some(labels) = self.scene.labels.filter(|_| self.inside(at)) else { return 0 };
        let index = Self::index(self.scene.grid.shape, self.voxel(at).map(|value| value + 0.5));
        let label = self.shown(labels[index]);
        let Some(truth) = self.scene.truth.filter(|_| has(&self.uniforms, DIFFERENCE)) else { return label };
        match self.shown(truth[index]) {
            right if right == label => u8::from(label != 0),
            _ if label == 0 => 2,
            _ => 3,
        }
    }

    fn class_colour(&self, class: u8) -> [f32; 3] {
        let class = usize::from(class);
        let [r, g, b, _] = if has(&self.uniforms, DIFFERENCE) { self.uniforms.difference[class - 1] } else { self.uniforms.labels[class] };
        [r, g, b]
    }

    fn on_edge(&self, [x, y]: [f32; 2], class: u8) -> bool {
        let far = self.uniforms.outline;
        let near = far * DIAGONAL;
        let around = [(far, 0.0), (-far, 0.0), (0.0, far), (0.0, -far), (near, near), (-near, -near), (near, -near), (-near, near)];
        around.iter().any(|&(right, below)| self.class_at([x + right, y + below]) != class)
    }

    fn with_heat(&self, grey: [f32; 3], at: [f32; 2]) -> [f32; 3] {
        let Some((values, grid)) = self.scene.heat else { return grey };
        let here = self.voxel(at);
        let cell = [0, 1, 2].map(|axis: usize| (here[axis] + 0.5) * self.uniforms.heat_scale[axis]);
        let value = values[Self::index(grid, cell)];
        if value.is_nan() {
            return grey;
        }
        let stop = value.clamp(0.0, 1.0) * (self.uniforms.ramp.len() - 2) as f32;
        let (below, part) = (stop.floor() as usize, stop.fract());
        [0, 1, 2].map(|channel: usize| {
            let hue = mix(self.uniforms.ramp[below][channel], self.uniforms.ramp[below + 1][channel], part);
            mix(grey[channel], hue, self.uniforms.heat[0])
        })
    }

    fn colour(&self, pixel: [f32; 2]) -> [f32; 3] {
        let at = self.position(pixel);
        if !self.inside(at) {
            let [r, g, b, _] = self.uniforms.around;
            return [r, g, b];
        }
        let uniforms = &self.uniforms;
        let value = self.intensity(at);
        let mut rgb = [((value - uniforms.low) * uniforms.per_width).clamp(0.0, 1.0); 3];
        if value >= NOT_FINITE {
            let [r, g, b, _] = uniforms.not_finite;
            rgb = [r, g, b];
        }
        if has(uniforms, HEAT) {
            rgb = self.with_heat(rgb, at);
        }
        if !has(uniforms, FILL) && !has(uniforms, OUTLINE) {
            return rgb;
        }
        let class = self.class_at(pixel);
        if class == 0 {
            return rgb;
        }
        let hue = self.class_colour(class);
        if has(uniforms, OUTLINE) && self.on_edge(pixel, class) {
            return hue;
        }
        if has(uniforms, FILL) {
            rgb = [0, 1, 2].map(|channel: usize| mix(rgb[channel], hue[channel], uniforms.opacity));
        }
        rgb
    }
}

fn has(uniforms: &Uniforms, flag: u32) -> bool {
    uniforms.flags[0] & flag != 0
}

fn mix(a: f32, b: f32, part: f32) -> f32 {
    a * (1.0 - part) + b * part
}
