//! Surfaces of labels, drawn by the window's GPU.
//!
//! [`SurfaceMeshes`] holds the meshes of a label map on the GPU; [`SurfaceView`] shows those of a [`SurfaceScene`] from where its [`Camera`]
//! is, with everything that mouse and keys do, and `shaders/surface.wgsl` shades them. Meshes are made by
//! [`crate::geometry::LabelSurfaces`], in the patient's millimetres; a change of colour, visibility or camera makes none anew.

mod camera;
mod mesh;
mod overlay;
mod paint;
#[cfg(test)]
mod tests;
mod view;

pub use camera::Camera;
pub use mesh::SurfaceMeshes;
pub use view::{SurfaceScene, SurfaceView};
