//! Volumes on the window's GPU. Each is sent in slabs, so that the host never holds a second copy of it; a volume larger than
//! the adapter's textures or memory is reduced by whole-number steps and says so.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use eframe::egui_wgpu::RenderState;
use eframe::wgpu;

use super::uniforms::{NOT_FINITE, drawable};
use crate::edit::ClassVolume;
use crate::geometry::{VoxelBox, ravel};

/// Bytes that are on their way to the GPU at once.
const SLAB: usize = 32 << 20;

/// One channel of an image, a label map or a heat map on the GPU. Cheap to clone.
#[derive(Clone, Debug)]
pub struct VolumeTexture(pub(super) Arc<Stored>);

/// A texture, its shape and step.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) view: wgpu::TextureView,
    /// D,H,W of what was sent.
    pub(super) shape: [usize; 3],
    /// Voxels of the volume along D,H,W for one of the texture.
    pub(super) step: [usize; 3],
    /// Format of the target that it is drawn to.
    pub(super) target: wgpu::TextureFormat,
    notice: Option<String>,
}

impl VolumeTexture {
    /// Sends one channel of an image, `[D, H, W]` row-major. A volume beyond the adapter's limit is reduced to means of whole blocks.
    /// Takes as long as its bytes take to travel: hundreds of MiB are better sent from a thread of their own.
    ///
    /// # Panics
    /// Where `voxels` do not fill `shape`: our own bug.
    pub fn image(gpu: &RenderState, voxels: &[f32], shape: [usize; 3]) -> Self {
        Upload::new(gpu, shape).image(voxels)
    }

    /// Sends a label map, `[D, H, W]` row-major: for each voxel an index into the table of colours, 0 for background. A map
    /// beyond the adapter's limit keeps the middle voxel of each block.
    ///
    /// # Panics
    /// Where `classes` do not fill `shape`: our own bug.
    pub fn labels(gpu: &RenderState, classes: &[u8], shape: [usize; 3]) -> Self {
        Upload::new(gpu, shape).labels(classes)
    }

    /// Sends what has changed of a label map again: the voxels of a box that lies within it. The views that show it draw it in their
    /// next frame. Nobody waits for it: a box should be no more than a brush or a few slices hold.
    ///
    /// # Panics
    /// Where `classes` are not of the shape that was sent: our own bug.
    pub fn update_labels(&self, gpu: &RenderState, classes: &ClassVolume, changed: &VoxelBox) {
        assert_eq!(classes.shape(), self.0.shape, "the shape that was sent");
        if !changed.is_empty() {
            self.0.update(gpu, classes, changed);
        }
    }

    /// Sends values from 0 to 1 on a coarse `grid` (D,H,W) that is stretched over the volume; NaN is not painted.
    ///
    /// # Panics
    /// Where `values` do not fill `grid`: our own bug.
    pub fn heat(gpu: &RenderState, values: &[f32], grid: [usize; 3]) -> Self {
        // Shaders may take NaN for any number.
        let painted: Vec<f32> = values.iter().map(|&value| if value.is_nan() { -1.0 } else { value.clamp(0.0, 1.0) }).collect();
        Self(Arc::new(Upload::new(gpu, grid).send(&painted, wgpu::TextureFormat::R32Float, mean)))
    }

    /// What the user should know about the drawing: that it is coarser than the volume.
    pub fn notice(&self) -> Option<&str> {
        self.0.notice.as_deref()
    }
}

impl Stored {
    /// Writes the voxels of a box of the volume along D,H,W; of a reduced texture those that stand for any of them.
    fn update(&self, gpu: &RenderState, classes: &ClassVolume, changed: &VoxelBox) {
        let ranges = changed.ranges();
        let [planes, rows, columns] = [0, 1, 2].map(|axis| {
            let Range { start, end } = ranges[axis];
            start / self.step[axis]..end.div_ceil(self.step[axis])
        });
        let sent = if self.step == [1; 3] {
            classes.cut(*changed)
        } else {
            let lines = planes.clone().flat_map(|plane| rows.clone().map(move |row| [plane, row]));
            let blocks = lines.flat_map(|[plane, row]| columns.clone().map(move |column| [plane, row, column]));
            blocks.map(|at| classes.get(middle_of(at, self.step, self.shape)).unwrap_or_default()).collect()
        };
        let texture = self.view.texture();
        let origin = wgpu::Origin3d { x: columns.start as u32, y: rows.start as u32, z: planes.start as u32 };
        // Rows without gaps: the copy that travels is no larger than the box.
        gpu.queue.write_texture(
            wgpu::TexelCopyTextureInfo { texture, mip_level: 0, origin, aspect: wgpu::TextureAspect::All },
            &sent,
            wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(columns.len() as u32), rows_per_image: Some(rows.len() as u32) },
            extent([planes.len(), rows.len(), columns.len()]),
        );
    }
}

/// A volume on its way.
pub(super) struct Upload<'a> {
    pub(super) gpu: &'a RenderState,
    /// D,H,W.
    pub(super) shape: [usize; 3],
    /// Longest side of a texture.
    pub(super) limit: usize,
}

impl<'a> Upload<'a> {
    pub(super) fn new(gpu: &'a RenderState, shape: [usize; 3]) -> Self {
        Self { gpu, shape, limit: gpu.device.limits().max_texture_dimension_3d as usize }
    }

    pub(super) fn image(&self, voxels: &[f32]) -> VolumeTexture {
        // A second copy only where some voxels cannot be sent as they are.
        let plain = voxels.iter().all(|&value| drawable(value) == value);
        let sent = if plain { Cow::Borrowed(voxels) } else { voxels.iter().map(|&value| drawable(value)).collect() };
        VolumeTexture(Arc::new(self.send(&sent, wgpu::TextureFormat::R32Float, mean)))
    }

    pub(super) fn labels(&self, classes: &[u8]) -> VolumeTexture {
        VolumeTexture(Arc::new(self.send(classes, wgpu::TextureFormat::R8Uint, middle)))
    }

    /// Sends `voxels`, reduced by `block` where the texture has to be smaller.
    fn send<T: bytemuck::Pod>(&self, voxels: &[T], format: wgpu::TextureFormat, block: fn(&Block<'_, T>) -> T) -> Stored {
        assert_eq!(voxels.len(), self.shape.iter().product::<usize>(), "voxels fill {:?}", self.shape);
        let mut step = self.shape.map(|voxels| voxels.div_ceil(self.limit).max(1));
        let texture = loop {
            let (texture, fits) = self.reserve(format, step);
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
            for (plane, row) in planes.clone().flat_map(|plane| (0..height).map(move |row| (plane, row))) {
                let at = |column| Block { voxels, shape: self.shape, step, at: [plane, row, column] };
                reduced.extend((0..width).map(|column| block(&at(column))));
            }
            self.write(&texture, &reduced, planes, [height, width]);
        }
        let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
        Stored { view, shape: self.shape, step, target: self.gpu.target_format, notice: self.notice(step) }
    }

    /// D,H,W of the texture.
    fn reduced(&self, step: [usize; 3]) -> [usize; 3] {
        [0, 1, 2].map(|axis| self.shape[axis].div_ceil(step[axis]))
    }

    /// Makes the texture, and says whether the adapter had the memory for it.
    fn reserve(&self, format: wgpu::TextureFormat, step: [usize; 3]) -> (wgpu::Texture, bool) {
        let scope = self.gpu.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let texture = self.gpu.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("volume"),
            size: extent(self.reduced(step)),
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D3,
            format,
            usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        });
        (texture, pollster::block_on(scope.pop()).is_none())
    }

    /// Writes whole planes. Waits until they have arrived where more are to come, so that their staging memory is free for the next;
    /// what fits at once makes nobody wait.
    fn write<T: bytemuck::Pod>(&self, texture: &wgpu::Texture, slab: &[T], planes: Range<usize>, [height, width]: [usize; 2]) {
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
    fn range(&self, axis: usize) -> Range<usize> {
        let first = self.at[axis] * self.step[axis];
        first..(first + self.step[axis]).min(self.shape[axis])
    }

    fn voxel(&self, at: [usize; 3]) -> T {
        self.voxels[ravel(at, self.shape)]
    }
}

/// Of the voxels that are finite, if any is.
fn mean(block: &Block<'_, f32>) -> f32 {
    let voxels = block.range(0).flat_map(|d| block.range(1).flat_map(move |h| block.range(2).map(move |w| [d, h, w])));
    let finite = voxels.map(|at| block.voxel(at)).filter(|&value| value < NOT_FINITE);
    let (sum, count) = finite.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count > 0.0 { sum / count } else { NOT_FINITE }
}

fn middle(block: &Block<'_, u8>) -> u8 {
    block.voxel(middle_of(block.at, block.step, block.shape))
}

/// The middle voxel of the block of `step` voxels that stands at `at` in a reduced texture of a volume of `shape`; all D,H,W.
fn middle_of(at: [usize; 3], step: [usize; 3], shape: [usize; 3]) -> [usize; 3] {
    [0, 1, 2].map(|axis| {
        let first = at[axis] * step[axis];
        first + ((first + step[axis]).min(shape[axis]) - first) / 2
    })
}
