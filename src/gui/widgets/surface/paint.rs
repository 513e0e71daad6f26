//! Draws surfaces into a picture of the pane's size, with depth and smooth edges, whenever something has changed, and lays that picture
//! into each of the window's frames.

use std::sync::{Arc, Mutex, PoisonError};

use bytemuck::{Pod, Zeroable};
use eframe::egui_wgpu::{CallbackResources, CallbackTrait, ScreenDescriptor};
use eframe::wgpu::{self, TextureFormat};
use eframe::{egui, epaint};

use super::mesh::{StoredMeshes, Vertex};
use crate::gui::theme::colour;
use crate::gui::widgets::cover::{Cover, pixels, uniform_buffer};
use crate::gui::widgets::slice::LABELS;
use crate::palette;

/// Colours in gamma space, as labels have them.
const PICTURE: TextureFormat = TextureFormat::Rgba8Unorm;
const DEPTH: TextureFormat = TextureFormat::Depth32Float;
/// Samples of a pixel: every adapter has four.
const SAMPLES: u32 = 4;

/// The uniform block `View` of `shaders/surface.wgsl`; see there for what its fields mean.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Uniforms {
    pub(super) clip_from_world: [[f32; 4]; 4],
    pub(super) light: [f32; 4],
    pub(super) pane: [f32; 4],
    pub(super) labels: [[f32; 4]; LABELS],
}

/// What a view keeps on the GPU from frame to frame; filled at its first.
#[derive(Clone, Default)]
pub(super) struct Slot(Arc<Mutex<Option<Canvas>>>);

/// One view in one frame.
pub(super) struct Paint {
    pub(super) uniforms: Box<Uniforms>,
    /// Where the view lies, in points.
    pub(super) rect: egui::Rect,
    pub(super) meshes: Arc<StoredMeshes>,
    /// Which of the meshes are drawn.
    pub(super) visible: Vec<usize>,
    pub(super) slot: Slot,
}

/// The picture of a view, and what it is drawn with.
struct Canvas {
    size: [u32; 2],
    picture: wgpu::TextureView,
    samples: wgpu::TextureView,
    depth: wgpu::TextureView,
    uniform: wgpu::Buffer,
    /// For drawing meshes, and for laying the picture into the frame.
    groups: [wgpu::BindGroup; 2],
    /// What the picture shows.
    shown: Option<(Box<Uniforms>, Arc<StoredMeshes>, Vec<usize>)>,
}

impl CallbackTrait for Paint {
    fn prepare(
        &self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        screen: &ScreenDescriptor,
        encoder: &mut wgpu::CommandEncoder,
        resources: &mut CallbackResources,
    ) -> Vec<wgpu::CommandBuffer> {
        let shared = resources.entry::<Shared>().or_insert_with(|| Shared::new(device));
        let (corner, end) = (pixels(self.rect.min, screen), pixels(self.rect.max, screen));
        let size = [0, 1].map(|side: usize| ((end[side] - corner[side]) as u32).max(1));
        let mut slot = self.slot.0.lock().unwrap_or_else(PoisonError::into_inner);
        let canvas = slot.take().filter(|canvas| canvas.size == size);
        let canvas = slot.insert(canvas.unwrap_or_else(|| shared.canvas(device, self.meshes.target, size)));
        let uniforms = Uniforms { pane: [corner[0], corner[1], 0.0, 0.0], ..*self.uniforms };
        queue.write_buffer(&canvas.uniform, 0, bytemuck::bytes_of(&uniforms));
        let same = |shown: &(Box<Uniforms>, Arc<StoredMeshes>, Vec<usize>)| {
            shown.0 == self.uniforms && Arc::ptr_eq(&shown.1, &self.meshes) && shown.2 == self.visible
        };
        if !canvas.shown.as_ref().is_some_and(same) {
            self.draw(encoder, canvas, &shared.meshes);
            canvas.shown = Some((self.uniforms.clone(), self.meshes.clone(), self.visible.clone()));
        }
        Vec::new()
    }

    fn paint(&self, _info: epaint::PaintCallbackInfo, pass: &mut wgpu::RenderPass<'static>, resources: &CallbackResources) {
        let slot = self.slot.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(shared), Some(canvas)) = (resources.get::<Shared>(), slot.as_ref()) else { return };
        shared.frame.draw(pass, self.meshes.target, &canvas.groups[1]);
    }
}

impl Paint {
    fn draw(&self, encoder: &mut wgpu::CommandEncoder, canvas: &Canvas, pipeline: &wgpu::RenderPipeline) {
        let [r, g, b, _] = colour(palette::AROUND).to_array().map(|part| f64::from(part) / 255.0);
        let clear = wgpu::LoadOp::Clear(wgpu::Color { r, g, b, a: 1.0 });
        let attachment = wgpu::RenderPassColorAttachment {
            view: &canvas.samples,
            resolve_target: Some(&canvas.picture),
            ops: wgpu::Operations { load: clear, store: wgpu::StoreOp::Discard },
            depth_slice: None,
        };
        let depth = wgpu::RenderPassDepthStencilAttachment {
            view: &canvas.depth,
            depth_ops: Some(wgpu::Operations { load: wgpu::LoadOp::Clear(1.0), store: wgpu::StoreOp::Discard }),
            stencil_ops: None,
        };
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            label: Some("surface"),
            color_attachments: &[Some(attachment)],
            depth_stencil_attachment: Some(depth),
            ..wgpu::RenderPassDescriptor::default()
        });
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, &canvas.groups[0], &[]);
        for buffers in self.visible.iter().map(|&mesh| &self.meshes.buffers[mesh]) {
            pass.set_vertex_buffer(0, buffers.vertices.slice(..));
            pass.set_index_buffer(buffers.indices.slice(..), wgpu::IndexFormat::Uint32);
            pass.draw_indexed(0..buffers.count, 0, 0..1);
        }
    }
}

/// What all views share, made when the first is drawn.
struct Shared {
    /// Draws meshes.
    meshes: wgpu::RenderPipeline,
    /// Lays a picture into the window's frame.
    frame: Cover,
}

impl Shared {
    fn new(device: &wgpu::Device) -> Self {
        let frame = Cover::new(device, "surface", include_str!("../../../../shaders/surface.wgsl"));
        let attributes = wgpu::vertex_attr_array![0 => Float32x4, 1 => Snorm16x4];
        let layout = wgpu::VertexBufferLayout {
            array_stride: size_of::<Vertex>() as u64,
            step_mode: wgpu::VertexStepMode::Vertex,
            attributes: &attributes,
        };
        let meshes = device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
            label: Some("surface"),
            layout: None,
            vertex: wgpu::VertexState {
                module: &frame.module,
                entry_point: Some("place"),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                buffers: &[Some(layout)],
            },
            // Where two labels touch, each has a wall: only that which faces the viewer is drawn.
            primitive: wgpu::PrimitiveState { cull_mode: Some(wgpu::Face::Back), ..wgpu::PrimitiveState::default() },
            depth_stencil: Some(wgpu::DepthStencilState {
                format: DEPTH,
                depth_write_enabled: Some(true),
                depth_compare: Some(wgpu::CompareFunction::Less),
                stencil: wgpu::StencilState::default(),
                bias: wgpu::DepthBiasState::default(),
            }),
            multisample: wgpu::MultisampleState { count: SAMPLES, ..wgpu::MultisampleState::default() },
            fragment: Some(wgpu::FragmentState {
                module: &frame.module,
                entry_point: Some("shade"),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                targets: &[Some(PICTURE.into())],
            }),
            multiview_mask: None,
            cache: None,
        });
        Self { meshes, frame }
    }

    fn canvas(&mut self, device: &wgpu::Device, target: TextureFormat, size: [u32; 2]) -> Canvas {
        let layouts = [self.meshes.get_bind_group_layout(0), self.frame.layout(device, target)];
        let texture = |format, sample_count, usage| {
            let texture = device.create_texture(&wgpu::TextureDescriptor {
                label: Some("surface"),
                size: wgpu::Extent3d { width: size[0], height: size[1], depth_or_array_layers: 1 },
                mip_level_count: 1,
                sample_count,
                dimension: wgpu::TextureDimension::D2,
                format,
                usage: wgpu::TextureUsages::RENDER_ATTACHMENT | usage,
                view_formats: &[],
            });
            texture.create_view(&wgpu::TextureViewDescriptor::default())
        };
        let picture = texture(PICTURE, 1, wgpu::TextureUsages::TEXTURE_BINDING);
        let uniform = uniform_buffer::<Uniforms>(device, "surface");
        let entries = [
            wgpu::BindGroupEntry { binding: 0, resource: uniform.as_entire_binding() },
            wgpu::BindGroupEntry { binding: 1, resource: wgpu::BindingResource::TextureView(&picture) },
        ];
        let group = |part: usize| {
            let (layout, entries) = (&layouts[part], &entries[..=part]);
            device.create_bind_group(&wgpu::BindGroupDescriptor { label: Some("surface"), layout, entries })
        };
        let groups = [group(0), group(1)];
        let none = wgpu::TextureUsages::empty();
        let (samples, depth) = (texture(PICTURE, SAMPLES, none), texture(DEPTH, SAMPLES, none));
        Canvas { size, picture, samples, depth, uniform, groups, shown: None }
    }
}
