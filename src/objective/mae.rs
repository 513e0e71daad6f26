//! MAE (arXiv:2111.06377): the encoder sees the visible patches alone, and a light decoder predicts the others.

use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor, TensorData};

use super::views::{device_of, hidden, masked_mean, volume};
use super::{Loss, Objective, Setup};
use crate::device::Peers;
use crate::model::{Encoder, NamedWeights, Pass};
use crate::nn::{AttentionConfig, Block, BlockConfig, GlobalAttention, LayerNorm, Linear, ShuffleVoxels, TokenGrid};
use crate::sampling::ViewBatch;

/// Hidden width of a block's perceptron over its width.
const MLP_RATIO: usize = 4;

/// The decoder.
#[derive(Module, Debug)]
pub struct Mae {
    /// Encoder tokens to decoder tokens.
    pub embed: Linear,
    /// Stands where a patch is hidden, `[1, 1, dim]`.
    pub mask_token: Param<Tensor<3>>,
    /// Code of each position, `[1, tokens, dim]`.
    pub position: Param<Tensor<3>>,
    /// Transformer blocks.
    pub blocks: Vec<Block<GlobalAttention>>,
    /// After the blocks.
    pub norm: LayerNorm,
    /// Tokens to the voxels of their patches.
    pub voxels: ShuffleVoxels,
    #[module(skip)]
    grid: [usize; 3],
}

impl Objective for Mae {
    fn init(setup: &Setup<'_>) -> Self {
        let settings = &setup.config.pretrain;
        let (stride, decoder) = (setup.encoder.total_stride(), &settings.mae);
        let init = setup.init().at("mae");
        let grid: [usize; 3] = std::array::from_fn(|axis| settings.crop_size[axis] / stride[axis]);
        let attention = AttentionConfig { dim: decoder.dim, heads: decoder.heads, window: [1; 3], qkv_bias: true };
        let block = BlockConfig { attention, hidden: MLP_RATIO * decoder.dim, drop_path: 0.0, recompute: false };
        Self {
            embed: Linear::init(setup.dim(), decoder.dim, true, &init.at("embed")),
            mask_token: init.truncated_normal("mask_token", [1, 1, decoder.dim]),
            position: init.truncated_normal("position", [1, grid.iter().product(), decoder.dim]),
            blocks: (0..decoder.depth).map(|index| Block::<GlobalAttention>::init(&block, &init.at("blocks").at(index))).collect(),
            norm: LayerNorm::init(decoder.dim, &init.at("norm")),
            voxels: ShuffleVoxels::init(decoder.dim, setup.channels, stride, &init.at("voxels")),
            grid,
        }
    }

    fn loss_of_share(&self, encoder: &Encoder, batch: &ViewBatch, _pass: Pass, _peers: &Peers) -> Loss {
        let device = device_of(encoder);
        let view = &batch.views[0];
        let order = Order::of(&view.mask, batch.shape[0]);
        let clean = volume(&view.clean, batch, &device);
        let visible = Tensor::from_data(TensorData::new(order.visible, [batch.shape[0], order.kept]), &device);
        let seen = encoder.encode_visible(clean.clone(), visible).expect("MAE is refused on encoders that need every patch");
        let predicted = self.decode(seen, &order.rows);
        Loss::of(masked_mean((predicted - clean).square(), hidden(view, batch, &device)), [])
    }
}

impl Mae {
    /// `seen` `[batch, kept, encoder dim]` -> predicted voxels `[batch, channel, depth, height, width]`. `rows` holds, for each
    /// token of each volume, its row among the `kept` visible ones with the mask token behind them.
    fn decode(&self, seen: Tensor<3>, rows: &[i32]) -> Tensor<5> {
        let tokens = self.embed.forward(seen);
        let [batch, kept, dim] = tokens.dims();
        let with_mask = Tensor::cat(vec![tokens, self.mask_token.val().expand([batch, 1, dim])], 1);
        let rows = Tensor::<1, Int>::from_data(TensorData::new(rows.to_vec(), [rows.len()]), &with_mask.device());
        let all = with_mask.reshape([batch * (kept + 1), dim]).select(0, rows).reshape([batch, self.grid.iter().product(), dim]);
        let tokens = self.blocks.iter().fold(all + self.position.val(), |tokens, block| block.forward(tokens, Pass::EVALUATION));
        self.voxels.forward(TokenGrid { tokens: self.norm.forward(tokens), grid: self.grid })
    }
}

/// Which tokens an encoder sees, and how they are put back among the others.
struct Order {
    /// Visible tokens of a volume; the same number in each.
    kept: usize,
    /// Their numbers, `[batch, kept]`.
    visible: Vec<i32>,
    /// See [`Mae::decode`].
    rows: Vec<i32>,
}

impl Order {
    fn of(mask: &[bool], batch: usize) -> Self {
        let tokens = mask.len() / batch;
        let kept = mask[..tokens].iter().filter(|&&hidden| !hidden).count();
        let (mut visible, mut rows) = (Vec::with_capacity(batch * kept), Vec::with_capacity(mask.len()));
        for (volume, mask) in mask.chunks_exact(tokens).enumerate() {
            let first = volume * (kept + 1);
            let mut rank = 0;
            for (token, &hidden) in mask.iter().enumerate() {
                rows.push((first + if hidden { kept } else { rank }) as i32);
                if !hidden {
                    visible.push(token as i32);
                    rank += 1;
                }
            }
        }
        Self { kept, visible, rows }
    }
}

impl NamedWeights for Mae {}
