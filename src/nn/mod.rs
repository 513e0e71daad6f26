//! Building blocks of the networks, one config and module a file.
//!
//! Everything between the stem and the heads is a channels-last token sequence `[batch, tokens, dim]`,
//! tokens row-major over D,H,W.

mod arithmetic;
mod attention;
mod block;
mod conv;
mod drop_path;
mod expand;
mod init;
mod kept;
mod layer_norm;
mod linear;
mod memory;
mod patch_embed;
mod patch_merging;
mod patch_tokens;
mod token_grid;
mod unet_block;
mod window;

pub use crate::kernels::gelu;
pub use arithmetic::Arithmetic;
pub use attention::{AttentionConfig, GlobalAttention, SkipAttention, WindowAttention};
pub use block::{Block, BlockConfig};
pub use conv::{Conv3d, PatchConv, PointConv};
pub use drop_path::{DropPath, Pass};
pub use expand::{ExpandTokens, ExpandVoxels, ShuffleVoxels};
pub use init::{Initialiser, Scheme};
pub use kept::AttentionSize;
pub use layer_norm::{LayerNorm, normalise};
pub use linear::{Linear, Mlp};
pub use memory::{Extent, Memory, Weights};
pub use patch_embed::{PatchEmbed, StemHalf};
pub use patch_merging::{PatchMerging, TokenMerging, merge_tables};
pub use patch_tokens::{PatchMap, PatchTokens, PatchTokensConfig, PositionTable, sinusoids};
pub use token_grid::TokenGrid;
pub use unet_block::{ConvBlock, LEAKY_SLOPE, UpBlock};
pub use window::{PositionIndex, clamped_window, clamped_window_tables, relative_position_index, table_rows, window_tables};
