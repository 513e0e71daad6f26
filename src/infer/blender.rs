//! Where windows are blended: on the GPU that has made their logits, if it has room for their sums, else on the host.

use super::device_blender::DeviceBlender;
use super::error::SlidingWindowError;
use super::host_blender::HostBlender;
use super::logits::Logits;
use super::slab::Line;
use super::walk::{Pass, Walk};

/// Takes the runs of the network in their order, and hands on each line of voxels as soon as no window is left that touches it.
pub(super) enum Blender<'a> {
    /// Before the first run, which says where logits are.
    Unknown(&'a Walk),
    /// On the host.
    Host(Box<HostBlender<'a>>),
    /// On the GPU.
    Device(Box<DeviceBlender<'a>>),
}

impl<'a> Blender<'a> {
    /// Takes a run; the lines that it finishes may be handed on with a later one.
    pub fn take(&mut self, pass: Pass<'a, Logits>, finished: &mut dyn FnMut(Line<'_>)) -> Result<(), SlidingWindowError> {
        if let &mut Self::Unknown(walk) = self {
            let on_device = DeviceBlender::new(walk, &pass.logits);
            *self = on_device.map_or_else(|| Self::Host(Box::new(HostBlender::new(walk))), |blender| Self::Device(Box::new(blender)));
        }
        match self {
            Self::Unknown(_) => unreachable!("it was chosen above"),
            Self::Host(blender) => blender.take(pass, finished),
            Self::Device(blender) => blender.take(pass, finished),
        }
    }

    /// Hands on all that is left.
    pub fn finish(self, finished: &mut dyn FnMut(Line<'_>)) -> Result<(), SlidingWindowError> {
        match self {
            Self::Unknown(_) => Ok(()),
            Self::Host(blender) => blender.finish(finished),
            Self::Device(blender) => blender.finish(finished),
        }
    }
}
