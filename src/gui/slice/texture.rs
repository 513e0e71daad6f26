//! Volumes on the window's GPU. Each is sent in slabs, so that the host never holds a second copy of it; a volume larger than
//! the adapter's textures or memory is reduced by whole-number steps and says so.

use std::borrow::Cow;
use std::sync::Arc;

use eframe::egui_wgpu::RenderState;
use eframe::wgpu;

use super::look::{NOT_FINITE, drawable};

/// Bytes that are on their way to the GPU at once.
const SLAB: usize = 32 << 20;

/// A texture, its shape and step.
#[derive(Debug)]
pub(super) struct Stored {
    pub view: wgpu::TextureView,
    /// Voxels of the volume along D,H,W for one of the texture.
    pub step: [usize; 3],
    /// Format of the target that it is drawn to.
    pub target: wgpu::TextureFormat,
    notice: Option<String>,
}

/// One channel of an image on the GPU. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ImageTexture(pub(super) Arc<Stored>);

/// A label map on the GPU. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LabelTexture(pub(super) Arc<Stored>);

/// A coarse grid of values on the GPU, stretched over a volume. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HeatTexture(pub(super) Arc<Stored>, pub(super) [usize; 3]);

impl ImageTexture {
    /// Sends one channel, `[D, H, W]` row-major. A volume beyond the adapter's limit is reduced to means of whole blocks. Takes as
    /// long as its bytes take to travel: hundreds of MiB are better sent from a thread of their own.
    ///
    /// # Panics
    /// Where `voxels` do not fill `shape`: our own bug.
    pub fn upload(gpu: &RenderState, voxels: &[f32], shape: [usize; 3]) -> Self {
        Self::upload_within(gpu, voxels, shape, limit(gpu))
    }

    pub(super) fn upload_within(gpu: &RenderState, voxels: &[f32], shape: [usize; 3], limit: usize) -> Self {
        // A second copy only where some voxels cannot be sent as they are.
        let plain = voxels.iter().all(|&value| drawable(value) == value);
        let sent = if plain { Cow::Borrowed(voxels) } else { voxels.iter().map(|&value| drawable(value)).collect() };
        Self(Arc::new(Upload { gpu, shape, limit, format: wgpu::TextureFormat::R32Float }.send(&sent, mean)))
    }

    /// What the user should know about the drawing: that it is coarser than the volume.
    pub fn notice(&self) -> Option<&str> {
        self.0.notice.as_deref()
    }
}

impl LabelTexture {
    /// Sends a label map, `[D, H, W]` row-major: the place of each voxel's label in the table of colours, 0 for background. A map
    /// beyond the adapter's limit keeps the middle voxel of each block.
    ///
    /// # Panics
    /// Where `classes` do not fill `shape`: our own bug.
    pub fn upload(gpu: &RenderState, classes: &[u8], shape: [usize; 3]) -> Self {
        Self::upload_within(gpu, classes, shape, limit(gpu))
    }

    pub(super) fn upload_within(gpu: &RenderState, classes: &[u8], shape: [usize; 3], limit: usize) -> Self {
        Self(Arc::new(Upload { gpu, shape, limit, format: wgpu::TextureFormat::R8Uint }.send(classes, middle)))
    }
}

impl HeatTexture {
    /// Sends values from 0 to 1 on a coarse `grid` (D,H,W) that is stretched over the volume; NaN is not painted.
    ///
    /// # Panics
    /// Where `values` do not fill `grid`: our own bug.
    pub fn upload(gpu: &RenderState, values: &[f32], grid: [usize; 3]) -> Self {
        // Shaders may take NaN for any number.
        let painted: Vec<f32> = values.iter().map(|&value| if value.is_nan() { -1.0 } else { value.clamp(0.0, 1.0) }).collect();
        let upload = Upload { gpu, shape: grid, limit: usize::MAX, format: wgpu::TextureFormat::R32Float };
        Self(Arc::new(upload.send(&painted, mean)), grid)
    }
}

/// Voxels along one side of a 3D texture.
fn limit(gpu: &RenderState) -> usize {
    gpu.device.limits().max_texture_dimension_3d as usize
}

/// A volume on its way.
struct Upload<'a> {
    gpu: &'a RenderState,
    /// D,H,W.
    shape: [usize; 3],
    /// Longest side of a texture.
    limit: usize,
    format: wgpu::TextureFormat,
}

impl Upload<'_> {
    fn send<T: bytemuck::Pod>(&self, voxels: &[T], block: fn(&Block<'_, T>) -> T) -> Stored {
        assert_eq!(voxels.len(), self.shape.iter().product::<usize>(), "voxels fill {:?}", self.shape);
        let mut step = self.shape.map(|voxels| voxels.div_ceil(self.limit).max(1));
        let texture = loop {
            let (texture, fits) = self.reserve(step);
            if fits || self.reduced(step) == [1; 3] {
                break texture;
            }
            step = step.map(|step| 2 * step);
        };
        let [depth, height, width] = self.reduced(step);
        let planes_at_once = (SLAB / (height * width * size_of::<T>()).max(1)).max(1);
        let mut reduced = Vec::new();
        for first in (0..depth).step_by(planes_at_once) {
            let planes = first..(first + planes_at_once).min(depth);
            if step == [1; 3] {
                self.write(&texture, &voxels[planes.start * height * width..planes.end * height * width], planes, [height, width]);
                continue;
            }
            reduced.clear();
            for plane in planes.clone() {
                for row in 0..height {
                    let at = |column| Block { voxels, shape: self.shape, step, at: [plane, row, column] };
                    reduced.extend((0..width).map(|column| block(&at(column))));
                }
            }
            self.write(&texture, &reduced, planes, [height, width]);
        }
        let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
        Stored { view, step, target: self.gpu.target_format, notice: self.notice(step) }
    }

    /// D,H,W of the texture.
    fn reduced(&self, step: [usize; 3]) -> [usize; 3] {
        [0, 1, 2].map(|axis| self.shape[axis].div_ceil(step[axis]))
    }

    /// Makes the texture, and says whether the adapter had the memory for it.
    fn reserve(&self, step: [usize; 3]) -> (wgpu::Texture, bool) {
        let scope = self.gpu.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let texture = self.gpu.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("volume"),
            size: extent(self.reduced(step)),
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D3,
            format: self.format,
            usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        });
        (texture, pollster::block_on(scope.pop()).is_none())
    }

    /// Writes whole planes. Waits until they have arrived where more are to come, so that their staging memory is free for the next;
    /// what fits at once makes nobody wait.
    fn write<T: bytemuck::Pod>(&self, texture: &wgpu::Texture, slab: &[T], planes: std::ops::Range<usize>, [height, width]: [usize; 2]) {
        self.gpu.queue.write_texture(
            wgpu::TexelCopyTextureInfo {
                texture,
                mip_level: 0,
                origin: wgpu::Origin3d { x: 0, y: 0, z: planes.start as u32 },
                aspect: wgpu::TextureAspect::All,
            },
            bytemuck::cast_slice(slab),
            wgpu::TexelCopyBufferLayout {
                offset: 0,
                bytes_per_row: Some((width * size_of::<T>()) as u32),
                rows_per_image: Some(height as u32),
            },
            extent([planes.len(), height, width]),
        );
        let more = planes.end < texture.depth_or_array_layers() as usize;
        let submitted = self.gpu.queue.submit([]);
        if more {
            // A device that is lost says so to the window; waiting for it would say nothing more.
            let _ = self.gpu.device.poll(wgpu::PollType::Wait { submission_index: Some(submitted), timeout: None });
        }
    }

    fn notice(&self, step: [usize; 3]) -> Option<String> {
        let [d, h, w] = step;
        let why = if self.shape.iter().any(|&voxels| voxels > self.limit) {
            format!("this adapter's textures end at {} voxels a side", self.limit)
        } else {
            "this adapter has no memory for more".to_owned()
        };
        (step != [1; 3])
            .then(|| format!("Drawn coarser than it is, in blocks of {w} x {h} x {d} voxels: {why}. Numbers are of the whole volume."))
    }
}

fn extent([depth, height, width]: [usize; 3]) -> wgpu::Extent3d {
    wgpu::Extent3d { width: width as u32, height: height as u32, depth_or_array_layers: depth as u32 }
}

/// The voxels that one voxel of a reduced texture stands for.
struct Block<'a, T> {
    voxels: &'a [T],
    shape: [usize; 3],
    step: [usize; 3],
    /// D,H,W in the texture.
    at: [usize; 3],
}

impl<T: Copy> Block<'_, T> {
    fn range(&self, axis: usize) -> std::ops::Range<usize> {
        let first = self.at[axis] * self.step[axis];
        first..(first + self.step[axis]).min(self.shape[axis])
    }

    fn voxel(&self, [d, h, w]: [usize; 3]) -> T {
        self.voxels[(d * self.shape[1] + h) * self.shape[2] + w]
    }
}

/// Of the voxels that are finite, if any is.
fn mean(block: &Block<'_, f32>) -> f32 {
    let (mut sum, mut count) = (0.0, 0.0);
    for d in block.range(0) {
        for h in block.range(1) {
            for w in block.range(2) {
                let value = block.voxel([d, h, w]);
                if value < NOT_FINITE {
                    sum += value;
                    count += 1.0;
                }
            }
        }
    }
    if count > 0.0 { sum / count } else { NOT_FINITE }
}

fn middle(block: &Block<'_, u8>) -> u8 {
    block.voxel([0, 1, 2].map(|axis| {
        let range = block.range(axis);
        range.start + range.len() / 2
    }))
}
