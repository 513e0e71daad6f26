//! Surfaces on the window's GPU, with the host's own for the pointer.

use std::sync::Arc;

use bytemuck::{Pod, Zeroable};
use eframe::egui_wgpu::RenderState;
use eframe::wgpu::{self, util::DeviceExt as _};

use crate::geometry::{LabelMesh, LabelSurfaces, SurfaceVertex};

/// The surfaces of a label map on the host and the GPU. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SurfaceMeshes(pub(super) Arc<StoredMeshes>);

#[derive(Debug)]
pub(super) struct StoredMeshes {
    pub(super) surfaces: LabelSurfaces,
    /// Those of `surfaces.meshes`, one for one.
    pub(super) buffers: Vec<Buffers>,
    /// Format of the target that they are drawn to.
    pub(super) target: wgpu::TextureFormat,
}

#[derive(Debug)]
pub(super) struct Buffers {
    pub(super) vertices: wgpu::Buffer,
    pub(super) indices: wgpu::Buffer,
    /// Number of indices.
    pub(super) count: u32,
}

/// A vertex as the shader gets it.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Vertex {
    position_mm: [f32; 3],
    label: f32,
    /// Shares of `i16::MAX`.
    normal: [i16; 4],
}

impl Vertex {
    fn new(vertex: &SurfaceVertex, label: u8) -> Self {
        let [x, y, z] = vertex.normal.map(|part| (part * f32::from(i16::MAX)).round() as i16);
        Self { position_mm: vertex.position_mm, label: f32::from(label), normal: [x, y, z, 0] }
    }
}

impl SurfaceMeshes {
    /// Sends surfaces to the GPU. Takes as long as their bytes take to travel: better called on a thread of its own.
    pub fn new(gpu: &RenderState, surfaces: LabelSurfaces) -> Self {
        let buffer = |contents: &[u8], usage| {
            gpu.device.create_buffer_init(&wgpu::util::BufferInitDescriptor { label: Some("surface"), contents, usage })
        };
        let send = |mesh: &LabelMesh| {
            let vertices: Vec<Vertex> = mesh.vertices.iter().map(|vertex| Vertex::new(vertex, mesh.label)).collect();
            Buffers {
                vertices: buffer(bytemuck::cast_slice(&vertices), wgpu::BufferUsages::VERTEX),
                indices: buffer(bytemuck::cast_slice(&mesh.triangles), wgpu::BufferUsages::INDEX),
                count: 3 * mesh.triangles.len() as u32,
            }
        };
        let buffers = surfaces.meshes.iter().map(send).collect();
        Self(Arc::new(StoredMeshes { surfaces, buffers, target: gpu.target_format }))
    }

    /// The same on the host.
    pub fn surfaces(&self) -> &LabelSurfaces {
        &self.0.surfaces
    }

    /// What the user should know about the drawing: that it is coarser than the label map.
    pub fn notice(&self) -> Option<String> {
        let [d, h, w] = self.0.surfaces.step;
        ([d, h, w] != [1; 3]).then(|| {
            format!(
                "Drawn coarser than it is, in blocks of {w} x {h} x {d} voxels, each with the label of most of its voxels: the surfaces of single voxels would have more than {} faces. What is thinner than a block may be missing here. Slices and numbers are of the whole map.",
                LabelSurfaces::MOST_FACES
            )
        })
    }
}
