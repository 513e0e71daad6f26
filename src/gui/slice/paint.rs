//! Hands a view to the GPU inside egui's own pass: one uniform block and one triangle a frame.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use eframe::egui_wgpu::{CallbackResources, CallbackTrait, ScreenDescriptor};
use eframe::wgpu;
use eframe::{egui, epaint};

use super::look::Look;
use super::texture::Stored;

/// Textures of a view; the image always, the others where there are any.
#[derive(Clone)]
pub struct Textures {
    pub image: Arc<Stored>,
    pub labels: Option<Arc<Stored>>,
    pub truth: Option<Arc<Stored>>,
    pub heat: Option<Arc<Stored>>,
}

impl Textures {
    fn is(&self, other: &Self) -> bool {
        let same = |a: &Option<Arc<Stored>>, b: &Option<Arc<Stored>>| match (a, b) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        };
        Arc::ptr_eq(&self.image, &other.image)
            && same(&self.labels, &other.labels)
            && same(&self.truth, &other.truth)
            && same(&self.heat, &other.heat)
    }
}

/// What a view keeps on the GPU from frame to frame; filled at its first.
#[derive(Clone, Default)]
pub struct Slot(Arc<Mutex<Option<Bound>>>);

struct Bound {
    textures: Textures,
    uniform: wgpu::Buffer,
    group: wgpu::BindGroup,
}

/// One view in one frame.
pub struct Paint {
    pub look: Box<Look>,
    /// Where the view lies, in points.
    pub rect: egui::Rect,
    pub textures: Textures,
    pub slot: Slot,
}

impl Paint {
    fn target(&self) -> wgpu::TextureFormat {
        self.textures.image.target
    }
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
        shared.pipeline(device, self.target());
        let mut slot = self.slot.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bound = slot.take().filter(|bound| bound.textures.is(&self.textures));
        let bound = slot.insert(bound.unwrap_or_else(|| shared.bind(device, &self.textures)));
        let corner = [self.rect.min.x, self.rect.min.y].map(|points| (points * screen.pixels_per_point).round());
        let look = Look { pane: corner, ..*self.look };
        queue.write_buffer(&bound.uniform, 0, bytemuck::bytes_of(&look));
        Vec::new()
    }

    fn paint(&self, _info: epaint::PaintCallbackInfo, pass: &mut wgpu::RenderPass<'static>, resources: &CallbackResources) {
        let slot = self.slot.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pipeline = resources.get::<Shared>().and_then(|shared| shared.pipelines.get(&self.target()));
        let (Some(pipeline), Some(bound)) = (pipeline, slot.as_ref()) else { return };
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, &bound.group, &[]);
        pass.draw(0..3, 0..1);
    }
}

/// What all views share, made when the first is drawn.
struct Shared {
    module: wgpu::ShaderModule,
    layout: wgpu::BindGroupLayout,
    pipelines: HashMap<wgpu::TextureFormat, wgpu::RenderPipeline>,
    /// Bound in place of labels and of a heat map that are not there.
    no_labels: wgpu::TextureView,
    no_heat: wgpu::TextureView,
}

impl Shared {
    fn new(device: &wgpu::Device) -> Self {
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("slice"),
            source: wgpu::ShaderSource::Wgsl(include_str!("../../../shaders/slice.wgsl").into()),
        });
        let texture = |binding, sample_type| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::FRAGMENT,
            ty: wgpu::BindingType::Texture { sample_type, view_dimension: wgpu::TextureViewDimension::D3, multisampled: false },
            count: None,
        };
        let float = wgpu::TextureSampleType::Float { filterable: false };
        let uniform = wgpu::BindGroupLayoutEntry {
            binding: 0,
            visibility: wgpu::ShaderStages::VERTEX_FRAGMENT,
            ty: wgpu::BindingType::Buffer { ty: wgpu::BufferBindingType::Uniform, has_dynamic_offset: false, min_binding_size: None },
            count: None,
        };
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("slice"),
            entries: &[
                uniform,
                texture(1, float),
                texture(2, wgpu::TextureSampleType::Uint),
                texture(3, wgpu::TextureSampleType::Uint),
                texture(4, float),
            ],
        });
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
        let (no_labels, no_heat) = (one_voxel(wgpu::TextureFormat::R8Uint), one_voxel(wgpu::TextureFormat::R32Float));
        Self { module, layout, pipelines: HashMap::new(), no_labels, no_heat }
    }

    fn pipeline(&mut self, device: &wgpu::Device, target: wgpu::TextureFormat) {
        let (module, layout) = (&self.module, &self.layout);
        self.pipelines.entry(target).or_insert_with(|| {
            let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some("slice"),
                bind_group_layouts: &[Some(layout)],
                immediate_size: 0,
            });
            let fragment = if target.is_srgb() { "linear_target" } else { "gamma_target" };
            device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
                label: Some("slice"),
                layout: Some(&layout),
                vertex: wgpu::VertexState {
                    module,
                    entry_point: Some("cover"),
                    compilation_options: wgpu::PipelineCompilationOptions::default(),
                    buffers: &[],
                },
                primitive: wgpu::PrimitiveState::default(),
                depth_stencil: None,
                multisample: wgpu::MultisampleState::default(),
                // Opaque: nothing to blend, and premultiplied alpha is alpha 1.
                fragment: Some(wgpu::FragmentState {
                    module,
                    entry_point: Some(fragment),
                    compilation_options: wgpu::PipelineCompilationOptions::default(),
                    targets: &[Some(target.into())],
                }),
                multiview_mask: None,
                cache: None,
            })
        });
    }

    fn bind(&self, device: &wgpu::Device, textures: &Textures) -> Bound {
        let uniform = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("slice"),
            size: size_of::<Look>() as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let or = |stored: &Option<Arc<Stored>>, nothing: &wgpu::TextureView| {
            stored.as_ref().map_or_else(|| nothing.clone(), |stored| stored.view.clone())
        };
        let views = [
            textures.image.view.clone(),
            or(&textures.labels, &self.no_labels),
            or(&textures.truth, &self.no_labels),
            or(&textures.heat, &self.no_heat),
        ];
        let mut entries = vec![wgpu::BindGroupEntry { binding: 0, resource: uniform.as_entire_binding() }];
        entries.extend(
            (1..).zip(&views).map(|(binding, view)| wgpu::BindGroupEntry { binding, resource: wgpu::BindingResource::TextureView(view) }),
        );
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor { label: Some("slice"), layout: &self.layout, entries: &entries });
        Bound { textures: textures.clone(), uniform, group }
    }
}
