//! Hands a view to the GPU inside egui's own pass: one uniform block and one triangle a frame.

use std::sync::{Arc, Mutex, PoisonError};

use eframe::egui_wgpu::{CallbackResources, CallbackTrait, ScreenDescriptor};
use eframe::wgpu::{self, TextureFormat};
use eframe::{egui, epaint};

use super::texture::Stored;
use super::uniforms::Uniforms;
use crate::gui::widgets::cover::{Cover, pixels, uniform_buffer};

/// Image, labels, truth and heat map of a view, as the shader binds them.
pub(super) type Textures = [Option<Arc<Stored>>; 4];
/// Their formats.
const FORMATS: [TextureFormat; 4] = [TextureFormat::R32Float, TextureFormat::R8Uint, TextureFormat::R8Uint, TextureFormat::R32Float];

/// What a view keeps on the GPU from frame to frame; filled at its first.
#[derive(Clone, Default)]
pub(super) struct Slot(Arc<Mutex<Option<Bound>>>);

struct Bound {
    textures: Textures,
    uniform: wgpu::Buffer,
    group: wgpu::BindGroup,
}

/// One view in one frame.
pub(super) struct Paint {
    pub(super) uniforms: Box<Uniforms>,
    /// Where the view lies, in points.
    pub(super) rect: egui::Rect,
    pub(super) textures: Textures,
    /// Format of the target.
    pub(super) target: TextureFormat,
    pub(super) slot: Slot,
}

impl CallbackTrait for Paint {
    fn prepare(
        &self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        screen: &ScreenDescriptor,
        _encoder: &mut wgpu::CommandEncoder,
        resources: &mut CallbackResources,
    ) -> Vec<wgpu::CommandBuffer> {
        let shared = resources.entry::<Shared>().or_insert_with(|| Shared::new(device));
        let mut slot = self.slot.0.lock().unwrap_or_else(PoisonError::into_inner);
        let texture = |texture: &Option<Arc<Stored>>| texture.as_ref().map(Arc::as_ptr);
        let bound = slot.take().filter(|bound| bound.textures.iter().map(texture).eq(self.textures.iter().map(texture)));
        let bound = slot.insert(bound.unwrap_or_else(|| shared.bind(device, self)));
        let uniforms = Uniforms { pane: pixels(self.rect.min, screen), ..*self.uniforms };
        queue.write_buffer(&bound.uniform, 0, bytemuck::bytes_of(&uniforms));
        Vec::new()
    }

    fn paint(&self, _info: epaint::PaintCallbackInfo, pass: &mut wgpu::RenderPass<'static>, resources: &CallbackResources) {
        let slot = self.slot.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(shared), Some(bound)) = (resources.get::<Shared>(), slot.as_ref()) else { return };
        shared.cover.draw(pass, self.target, &bound.group);
    }
}

/// What all views share, made when the first is drawn.
struct Shared {
    cover: Cover,
    /// Bound in place of what is not there.
    nothing: [wgpu::TextureView; 4],
}

impl Shared {
    fn new(device: &wgpu::Device) -> Self {
        let cover = Cover::new(device, "slice", include_str!("../../../../shaders/slice.wgsl"));
        let one_voxel = |format| {
            let texture = device.create_texture(&wgpu::TextureDescriptor {
                label: Some("nothing"),
                size: wgpu::Extent3d::default(),
                mip_level_count: 1,
                sample_count: 1,
                dimension: wgpu::TextureDimension::D3,
                format,
                usage: wgpu::TextureUsages::TEXTURE_BINDING,
                view_formats: &[],
            });
            texture.create_view(&wgpu::TextureViewDescriptor::default())
        };
        Self { cover, nothing: FORMATS.map(one_voxel) }
    }

    fn bind(&mut self, device: &wgpu::Device, paint: &Paint) -> Bound {
        let layout = self.cover.layout(device, paint.target);
        let uniform = uniform_buffer::<Uniforms>(device, "slice");
        let views =
            paint.textures.iter().zip(&self.nothing).map(|(texture, nothing)| texture.as_ref().map_or(nothing, |stored| &stored.view));
        let views = (1..).zip(views).map(|(binding, view)| (binding, wgpu::BindingResource::TextureView(view)));
        let entries: Vec<_> = std::iter::once((0, uniform.as_entire_binding()))
            .chain(views)
            .map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource })
            .collect();
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor { label: Some("slice"), layout: &layout, entries: &entries });
        Bound { textures: paint.textures.clone(), uniform, group }
    }
}
