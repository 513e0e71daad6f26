//! Building blocks of the networks, one config and module a file.
//!
//! Everything between the stem and the heads is a channels-last token sequence `[batch, tokens, dim]`,
//! tokens row-major over D,H,W.

mod block;
mod conv;
mod drop_path;
mod init;
mod layer_norm;
mod linear;
mod mlp;
mod patch_conv;
mod patch_embed;
mod patch_merging;
mod patch_tokens;
mod relative_position;
mod unet_block;
mod vit;
mod window;
mod window_attention;

pub use crate::kernels::gelu;
pub use block::{Block, BlockConfig};
pub use conv::{Conv3d, ExpandTokens, ExpandVoxels, PointConv, ShuffleVoxels, TokenGrid};
pub use drop_path::{DropPath, Pass};
pub use init::{Initialiser, Scheme};
pub use layer_norm::{LayerNorm, normalise};
pub use linear::Linear;
pub use mlp::Mlp;
pub use patch_conv::PatchConv;
pub use patch_embed::{PatchEmbed, StemHalf};
pub use patch_merging::{PatchMerging, TokenMerging, merge_tables};
pub use patch_tokens::{PatchMap, PatchTokens, PatchTokensConfig, PositionTable, sinusoids};
pub use relative_position::{PositionIndex, relative_position_index, table_rows};
pub use unet_block::{ConvBlock, LEAKY_SLOPE, UpBlock, convolution_name};
pub use vit::{GlobalAttention, VitBlock, VitBlockConfig};
pub use window::{WindowPlan, clamped_window, clamped_window_tables, window_tables};
pub use window_attention::{AttentionConfig, SkipAttention, WindowAttention};
