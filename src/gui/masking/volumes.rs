//! The crop, its views and the restored tokens on the GPU, each in the axes of its pane.

use eframe::egui_wgpu::RenderState;

use crate::geometry::{Grid, SignedPermutation, ravel, unravel};
use crate::gui::widgets::slice::VolumeTexture;
use crate::worker::views::{DrawnViews, HiddenView};

/// What a pane shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Original,
    /// A view by its number.
    View(usize),
    Restored,
}

impl Content {
    /// Title, what it is, and what that means.
    pub(super) fn words(self, drawn: &DrawnViews) -> (&'static str, String, &'static str) {
        let ([d, h, w], [z, y, x]) = (drawn.crop, drawn.spacing_mm.map(|mm| (mm * 100.0).round() / 100.0));
        match self {
            Self::Original => (
                "Original",
                format!("crop of {d} x {h} x {w} voxels of {z} x {y} x {x} mm (D, H, W)"),
                "A crop of the volume, cut into tokens. Each has a number: its position in the grid.",
            ),
            Self::View(0) => (
                "Masked view",
                if rotation(drawn, 0).is_identity() { "what is hatched is noise".to_owned() } else { drawn.views[0].turn.clone() },
                "The first view: masked cells hold noise, and the network has to make out from the rest what lies there.",
            ),
            Self::View(view) => (
                "Rotated view",
                drawn.views[view].turn.clone(),
                "The second view, whole but rotated. Each number is the position that the token had in the original crop.",
            ),
            Self::Restored => (
                "Restored tokens",
                "the rotated view's, put back".to_owned(),
                "Each token of the rotated view back at its position, drawn as the mean of its patch. Numbers run as in the original: the \
                 rotation is undone exactly.",
            ),
        }
    }

    /// How the pane's volume lies to the crop.
    pub(super) fn rotation(self, drawn: &DrawnViews) -> SignedPermutation {
        match self {
            Self::View(view) => rotation(drawn, view),
            Self::Original | Self::Restored => SignedPermutation::IDENTITY,
        }
    }

    /// The number of each token of the pane: its position in the original crop, from 1.
    fn numbers(self, drawn: &DrawnViews) -> Vec<u32> {
        let mut numbers: Vec<u32> = (1..=drawn.tokens().iter().product::<usize>() as u32).collect();
        if let Self::View(view) = self {
            for (position, &from) in (1..).zip(&drawn.views[view].restore) {
                numbers[from as usize] = position;
            }
        }
        numbers
    }
}

fn rotation(drawn: &DrawnViews, view: usize) -> SignedPermutation {
    let view = &drawn.views[view];
    SignedPermutation::new(view.axes, view.flips).expect("a view has three axes")
}

/// A volume on the GPU.
pub(super) struct Shown {
    pub(super) content: Content,
    pub(super) grid: Grid,
    pub(super) image: VolumeTexture,
    /// Masked cells, row-major; empty where there are none.
    pub(super) mask: Vec<bool>,
    /// The number of each token.
    pub(super) numbers: Vec<u32>,
}

/// The volumes of the panes, before cells are masked.
pub(super) fn upload(gpu: &RenderState, drawn: &DrawnViews, channel: usize) -> Vec<Shown> {
    let shown = |content: Content, voxels: &[f32]| {
        let rotation = content.rotation(drawn);
        let (shape, spacing) = (rotation.shape(drawn.crop), rotation.axes().map(|axis| drawn.spacing_mm[axis]));
        let image = VolumeTexture::image(gpu, voxels, shape);
        Shown { content, grid: Grid::axis_aligned(shape, spacing), image, mask: Vec::new(), numbers: content.numbers(drawn) }
    };
    let mut volumes = vec![shown(Content::Original, of_channel(&drawn.original, drawn, channel))];
    let views = drawn.views.iter().enumerate();
    volumes.extend(views.map(|(index, view)| shown(Content::View(index), of_channel(&view.voxels, drawn, channel))));
    if drawn.views.len() > 1 {
        volumes.push(shown(Content::Restored, &restored(drawn, channel)));
    }
    volumes
}

/// The tokens of the last view put back, each as the mean of its patch: what an encoder without position codes makes of it.
fn restored(drawn: &DrawnViews, channel: usize) -> Vec<f32> {
    let last = drawn.views.len() - 1;
    let token_of = |index: usize, shape: [usize; 3], cell: [usize; 3]| {
        let at = unravel(index, shape);
        ravel(std::array::from_fn(|axis| at[axis] / cell[axis]), std::array::from_fn(|axis| shape[axis] / cell[axis]))
    };
    let [shape, cell] = [drawn.crop, drawn.token].map(|sizes| rotation(drawn, last).shape(sizes));
    let mut means = vec![0.0_f64; drawn.tokens().iter().product()];
    for (index, value) in of_channel(&drawn.views[last].voxels, drawn, channel).iter().enumerate() {
        means[token_of(index, shape, cell)] += f64::from(*value) / cell.iter().product::<usize>() as f64;
    }
    let from = |index| drawn.views[last].restore[token_of(index, drawn.crop, drawn.token)] as usize;
    (0..drawn.crop.iter().product()).map(|index| means[from(index)] as f32).collect()
}

/// A view with its cells masked.
pub(super) struct Masked {
    pub(super) view: usize,
    pub(super) mask: Vec<bool>,
    pub(super) image: VolumeTexture,
}

/// The views that have masked cells, at a ratio.
pub(super) fn mask(gpu: &RenderState, drawn: &DrawnViews, channel: usize, ratio: f64) -> Vec<Masked> {
    let views = (0..drawn.views.len()).map(|view| (view, drawn.hide(view, ratio)));
    let masked = views.filter(|(view, hidden)| *view == 0 || !hidden.mask.is_empty()).map(|(view, HiddenView { voxels, mask })| {
        let image = VolumeTexture::image(gpu, of_channel(&voxels, drawn, channel), rotation(drawn, view).shape(drawn.crop));
        Masked { view, mask, image }
    });
    masked.collect()
}

/// One channel of a crop.
pub(super) fn of_channel<'a>(voxels: &'a [f32], drawn: &DrawnViews, channel: usize) -> &'a [f32] {
    let one: usize = drawn.crop.iter().product();
    &voxels[channel * one..][..one]
}
