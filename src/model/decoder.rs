//! The decoder of all U-shaped networks: from the coarsest stage up to the finest level, a skip at each, logits at the heads.
//!
//! What differs from one network to the next is data: what a skip passes on its way across, how a level up-samples and merges, which
//! levels have a head.

use burn::module::Module;
use burn::tensor::Tensor;

use super::size::crop;
use crate::nn::{
    Arithmetic, Block, ConvBlock, ExpandTokens, ExpandVoxels, Extent, Initialiser, LayerNorm, Memory, Pass, PointConv, PositionIndex,
    SkipAttention, TokenGrid, UpBlock, WindowAttention, window_tables,
};

/// A decoder.
#[derive(Module, Debug)]
pub struct Decoder {
    /// What each skip passes on its way across, finest first. A skip beyond the last one crosses as it is.
    pub skips: Vec<SkipPath>,
    /// Of the coarsest stage.
    pub bottleneck: Option<ConvBlock>,
    /// Levels, finest first; they run in the opposite order. Where there are as many as stages, the finest merges with the voxels.
    pub levels: Vec<DecoderLevel>,
    /// Tokens of the finest levels to logits, finest first.
    pub heads: Vec<Head>,
}

/// What a skip passes on its way across.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "few live in a network; boxing them would hide the module from burn's derive")]
pub enum SkipPath {
    /// A convolution block.
    Convolved(ConvBlock),
    /// From the tokens of a plain transformer to the resolution of the level.
    Projected(Projection),
}

/// How a level takes the coarser tokens and the skip.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "few live in a network; boxing them would hide the module from burn's derive")]
pub enum DecoderLevel {
    /// Transposed convolution, and a convolution block of both.
    Convolved(UpBlock),
    /// nnFormer's attention from the up-sampled tokens to the skip.
    Attended(AttendedLevel),
}

/// Tokens to logits.
#[derive(Module, Debug)]
pub enum Head {
    /// A token for each voxel of its level.
    Tokens(PointConv),
    /// The voxels of each token's patch.
    Patches(ExpandVoxels),
}

/// Tokens to a skip: doubles the resolution once, and once more in each step.
#[derive(Module, Debug)]
pub struct Projection {
    /// From the tokens' channels to the skip's.
    pub transp_conv_init: ExpandTokens,
    /// Further doublings.
    pub blocks: Vec<ProjectionStep>,
}

/// One more doubling.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "few live in a network; boxing them would hide the module from burn's derive")]
pub enum ProjectionStep {
    /// A transposed convolution alone.
    Plain(PlainStep),
    /// With a convolution block after it.
    Convolved(ConvolvedStep),
}

/// See [`ProjectionStep::Plain`].
#[derive(Module, Debug)]
pub struct PlainStep {
    /// Kernel and stride 2.
    pub up: ExpandTokens,
}

/// See [`ProjectionStep::Convolved`].
#[derive(Module, Debug)]
pub struct ConvolvedStep {
    /// Kernel and stride 2.
    pub transp_conv: ExpandTokens,
    /// At the new resolution.
    pub conv_block: ConvBlock,
}

/// See [`DecoderLevel::Attended`].
#[derive(Module, Debug)]
pub struct AttendedLevel {
    /// Attends from the up-sampled tokens to the skip; never shifted.
    pub cross: Block<SkipAttention>,
    /// Ordinary blocks, all of them shifted.
    pub blocks: Vec<Block<WindowAttention>>,
    /// From the coarser level.
    pub upsample: Upsample,
    #[module(skip)]
    pub(super) window: usize,
    #[module(skip)]
    pub(super) shift: usize,
}

/// Twice the grid, half the channels.
#[derive(Module, Debug)]
pub struct Upsample {
    /// Before the transposed convolution.
    pub norm: LayerNorm,
    /// Kernel and stride 2.
    pub up: ExpandTokens,
}

impl Decoder {
    /// A padded volume `[batch, channel, depth, height, width]` and its stages (finest first) -> logits of each head, full resolution
    /// first. Those of a head whose tokens are `s` voxels apart are cropped to `size / s`, rounded up.
    pub fn forward(&self, volume: Tensor<5>, stages: Vec<TokenGrid>, size: [usize; 3], pass: Pass) -> Vec<Tensor<5>> {
        let [_, _, depth, height, width] = volume.dims();
        let levels = self.levels(volume, stages, pass);
        let logits = self.heads.iter().zip(levels).map(|(head, tokens)| {
            let logits = head.forward(tokens);
            let [_, _, d, h, w] = logits.dims();
            crop(logits, [size[0].div_ceil(depth / d), size[1].div_ceil(height / h), size[2].div_ceil(width / w)])
        });
        logits.collect()
    }

    /// The tokens of each level, finest first; of a decoder without one the coarsest stage.
    pub fn levels(&self, volume: Tensor<5>, mut stages: Vec<TokenGrid>, pass: Pass) -> Vec<TokenGrid> {
        if self.levels.len() == stages.len() {
            stages.insert(0, TokenGrid::from_volume(volume));
        }
        let coarsest = stages.pop().expect("an encoder has a stage");
        let mut x = match &self.bottleneck {
            Some(block) => block.forward(coarsest),
            None => coarsest,
        };
        let mut levels = Vec::with_capacity(self.levels.len().max(1));
        for (index, (level, skip)) in self.levels.iter().zip(stages).enumerate().rev() {
            let skip = match self.skips.get(index) {
                Some(path) => path.forward(skip),
                None => skip,
            };
            x = level.forward(x, skip, pass);
            levels.push(x.clone());
        }
        if levels.is_empty() {
            levels.push(x);
        }
        levels.reverse();
        levels
    }

    /// Adds what levels and heads, and the loss behind them, hold.
    pub fn kept(&self, volume: Extent, mut stages: Vec<Extent>, memory: &mut Memory) {
        if self.levels.len() == stages.len() {
            stages.insert(0, volume);
        }
        let coarsest = stages.pop().expect("an encoder has a stage");
        let mut x = self.bottleneck.as_ref().map_or(coarsest, |block| block.kept(coarsest, memory));
        let mut levels = Vec::new();
        for (index, (level, skip)) in self.levels.iter().zip(stages).enumerate().rev() {
            let skip = self.skips.get(index).map_or(skip, |path| path.kept(skip, memory));
            x = level.kept(x, skip, memory);
            levels.push(x);
        }
        if levels.is_empty() {
            levels.push(x);
        }
        for (head, tokens) in self.heads.iter().zip(levels.iter().rev()) {
            let logits = head.logits(*tokens);
            memory.compute(Arithmetic::linear(logits * tokens.dim as u64));
            // The loss keeps its gradient; on its way are the logits, the same class by class, and the labels.
            memory.keep(logits);
            memory.work(2 * logits + tokens.elements());
        }
    }
}

impl SkipPath {
    fn forward(&self, skip: TokenGrid) -> TokenGrid {
        match self {
            Self::Convolved(block) => block.forward(skip),
            Self::Projected(projection) => projection.forward(skip),
        }
    }

    fn kept(&self, skip: Extent, memory: &mut Memory) -> Extent {
        match self {
            Self::Convolved(block) => block.kept(skip, memory),
            Self::Projected(projection) => projection.kept(skip, memory),
        }
    }
}

impl DecoderLevel {
    fn forward(&self, x: TokenGrid, skip: TokenGrid, pass: Pass) -> TokenGrid {
        match self {
            Self::Convolved(block) => block.forward(x, skip),
            Self::Attended(level) => level.forward(&x, &skip, pass),
        }
    }

    fn kept(&self, x: Extent, skip: Extent, memory: &mut Memory) -> Extent {
        match self {
            Self::Convolved(block) => block.kept(x, memory),
            Self::Attended(level) => level.kept(x, skip, memory),
        }
    }
}

impl Head {
    /// Heads of `classes` in the layout of MONAI's networks, for decoder levels of so many `channels`, finest first: of all of them for deep
    /// supervision, else of the finest alone. MONAI has the finest's, `out`; the others go by their own names.
    pub fn of_levels(channels: impl Iterator<Item = usize>, deep_supervision: bool, classes: usize, init: &Initialiser<'_>) -> Vec<Self> {
        let head = |(level, channels)| {
            let init = if level == 0 { init.at("out") } else { init.at("heads").at(level) };
            Self::Tokens(PointConv::init(channels, classes, [1; 3], &init))
        };
        channels.enumerate().take(if deep_supervision { usize::MAX } else { 1 }).map(head).collect()
    }

    fn forward(&self, tokens: TokenGrid) -> Tensor<5> {
        match self {
            Self::Tokens(head) => head.forward(tokens).into_volume(),
            Self::Patches(head) => head.forward(tokens),
        }
    }

    /// Elements of the logits of tokens of these sizes.
    fn logits(&self, tokens: Extent) -> u64 {
        match self {
            Self::Tokens(head) => tokens.count() * head.outputs() as u64,
            Self::Patches(head) => tokens.count() * head.outputs() as u64,
        }
    }
}

impl Projection {
    /// Tokens of the encoder -> the skip, on a grid `2^(1 + steps)` times as fine.
    pub fn forward(&self, tokens: TokenGrid) -> TokenGrid {
        self.blocks.iter().fold(self.transp_conv_init.forward(tokens), |x, step| match step {
            ProjectionStep::Plain(step) => step.up.forward(x),
            ProjectionStep::Convolved(step) => step.conv_block.forward(step.transp_conv.forward(x)),
        })
    }

    fn kept(&self, tokens: Extent, memory: &mut Memory) -> Extent {
        self.blocks.iter().fold(self.transp_conv_init.kept(tokens, memory), |x, step| match step {
            ProjectionStep::Plain(step) => step.up.kept(x, memory),
            ProjectionStep::Convolved(step) => {
                let up = step.transp_conv.kept(x, memory);
                step.conv_block.kept(up, memory)
            }
        })
    }
}

impl AttendedLevel {
    fn forward(&self, coarse: &TokenGrid, skip: &TokenGrid, pass: Pass) -> TokenGrid {
        let windows = |shift: usize| window_tables(skip.grid, [self.window; 3], [shift; 3], PositionIndex::NnFormer);
        let Upsample { norm, up } = &self.upsample;
        let up = up.forward(coarse.with(norm.forward(coarse.tokens.clone())));
        let mut tokens = self.cross.forward(up.tokens, skip.tokens.clone(), &windows(0), pass);
        for block in &self.blocks {
            tokens = block.forward(tokens, &windows(self.shift), pass);
        }
        skip.with(tokens)
    }

    fn kept(&self, coarse: Extent, skip: Extent, memory: &mut Memory) -> Extent {
        let Upsample { norm, up } = &self.upsample;
        let normed = norm.kept(coarse, memory);
        up.kept(normed, memory);
        // The skip passes the first norm as well.
        memory.keep(skip.elements());
        self.cross.kept(skip, [self.window; 3], memory);
        self.blocks.iter().fold(skip, |x, block| block.kept(x, [self.window; 3], memory))
    }
}
