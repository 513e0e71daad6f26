//! Drawing by the program's own shaders inside egui's pass: a triangle that covers a view, for targets of any format, and what it reads.

use std::collections::HashMap;

use eframe::egui::Pos2;
use eframe::egui_wgpu::ScreenDescriptor;
use eframe::wgpu::{self, TextureFormat};

/// A shader whose vertex entry `cover` covers a view, and whose fragment entries `linear_target` and `gamma_target` colour it.
pub(super) struct Cover {
    name: &'static str,
    pub(super) module: wgpu::ShaderModule,
    pipelines: HashMap<TextureFormat, wgpu::RenderPipeline>,
}

impl Cover {
    /// Of the WGSL text `source`; `name` is what the graphics driver calls it.
    pub(super) fn new(device: &wgpu::Device, name: &'static str, source: &'static str) -> Self {
        let source = wgpu::ShaderSource::Wgsl(source.into());
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor { label: Some(name), source });
        Self { name, module, pipelines: HashMap::new() }
    }

    /// The layout of the first group that the shader binds for a target, whose pipeline is made where it is not there yet.
    pub(super) fn layout(&mut self, device: &wgpu::Device, target: TextureFormat) -> wgpu::BindGroupLayout {
        let (name, module) = (self.name, &self.module);
        let pipeline = self.pipelines.entry(target).or_insert_with(|| {
            let fragment = if target.is_srgb() { "linear_target" } else { "gamma_target" };
            device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
                label: Some(name),
                // What the shader declares.
                layout: None,
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
        pipeline.get_bind_group_layout(0)
    }

    /// Covers the view of the pass with what a group of [`Self::layout`] holds.
    pub(super) fn draw(&self, pass: &mut wgpu::RenderPass<'static>, target: TextureFormat, group: &wgpu::BindGroup) {
        let Some(pipeline) = self.pipelines.get(&target) else { return };
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, group, &[]);
        pass.draw(0..3, 0..1);
    }
}

/// A buffer for the uniform block `T` of a shader.
pub(super) fn uniform_buffer<T>(device: &wgpu::Device, name: &'static str) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(name),
        size: size_of::<T>() as u64,
        usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}

/// A point of the window in whole pixels, across and down.
pub(super) fn pixels(point: Pos2, screen: &ScreenDescriptor) -> [f32; 2] {
    [point.x, point.y].map(|points| (points * screen.pixels_per_point).round())
}
