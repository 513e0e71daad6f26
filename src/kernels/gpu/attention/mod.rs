//! Attention on a GPU: scores live in registers, keys and values pass through shared memory, tables stay on the device.
//!
//! Backward, the scores are computed again from the softmax's sums (as in FlashAttention, Dao et al. 2022, algorithm 4): by query, by
//! key, and by pair of a window's places over all windows, for the position table; of small windows the pass by query adds up the pairs as
//! well. No pass adds atomically.

mod bias_gradient;
mod forward;
mod kernel;
mod key_gradient;
mod query_gradient;

use burn::tensor::Tensor;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::launch::{
    BUSY, SHARED_BYTES, UNITS, buffer, cubes_for, element, empty, empty_sums, numbers, reshaped, spread, table, tensor, vector_size,
};
use super::sums::{sum_of_parts, sum_over_rows};
use crate::kernels::window_tables::WindowTables;
use bias_gradient::{bias_gradient_kernel, table_gradient_kernel};
use forward::attention_kernel;
use kernel::{AttentionLaunch, AttentionPlan, WindowExtentsLaunch};
use key_gradient::key_gradient_kernel;
use query_gradient::{projected_kernel, query_gradient_kernel};

/// Tokens of a window whose pairs shared memory holds beside all else.
const SMALL: usize = 64;

/// Queries of a cube of the pass by pair, about.
const QUERIES: usize = 16;

/// What the backward pass needs of a forward one.
#[derive(Clone, Debug)]
pub(in crate::kernels) struct Attended {
    /// `[batch, tokens, dim]`.
    pub out: Tensor<3>,
    /// By window, head and query the logarithm of the softmax's sum.
    statistics: Tensor<1>,
}

/// Queries, keys and values `[batch, tokens, 3 dim]`, the row of padded places `[3 dim]`, the position table `[rows, heads]`.
type WindowInputs = (Tensor<3>, Tensor<1>, Tensor<2>);

/// One attention: its sizes, and its inputs in GPU memory.
struct Call {
    batch: usize,
    count: usize,
    heads: usize,
    head_dim: usize,
    windows: usize,
    tokens: usize,
    padded: usize,
    offset: u32,
    plan: AttentionPlan,
    /// `qkv`, `padding`, `table`, `index`: where there are none, `qkv` once more, which is not read then.
    inputs: [CubeTensor; 4],
}

/// Attention within windows; `None` where its tables or sizes are not what the kernels can do.
pub(in crate::kernels) fn window_attention(inputs: &WindowInputs, tables: &WindowTables) -> Option<Attended> {
    Call::of_windows(inputs, tables).map(|call| call.run())
}

/// Gradients of [`window_attention`] with respect to its inputs.
pub(in crate::kernels) fn window_attention_gradients(
    inputs: &WindowInputs,
    attended: Attended,
    tables: &WindowTables,
    grad: Tensor<3>,
) -> WindowInputs {
    let call = Call::of_windows(inputs, tables).expect("what ran forward runs backward");
    let [table_rows, heads] = inputs.2.dims();
    let width = 3 * heads * call.head_dim;
    let grad = buffer(grad);
    let (gradient, known) = call.input_gradients(attended, &grad);
    let of_table = call.table_gradient(&grad, known, tables, table_rows);
    let gradient: Tensor<3> = tensor(gradient);
    if call.padded == 0 {
        return (gradient.clone(), Tensor::zeros([width], &gradient.device()), of_table);
    }
    let of_padding = sum_of_parts(buffer(gradient.clone().narrow(1, call.count, call.padded)), [width]);
    (gradient.narrow(1, 0, call.count), of_padding, of_table)
}

/// Attention of all tokens of a sample, `qkv` `[batch, tokens, 3 dim]`; `None` where a head is too wide for the kernels.
pub(in crate::kernels) fn global_attention(qkv: &Tensor<3>, heads: usize) -> Option<Attended> {
    Call::of_samples(qkv, heads).map(|call| call.run())
}

/// The gradient of [`global_attention`].
pub(in crate::kernels) fn global_attention_gradient(qkv: &Tensor<3>, heads: usize, attended: Attended, grad: Tensor<3>) -> Tensor<3> {
    let call = Call::of_samples(qkv, heads).expect("what ran forward runs backward");
    tensor(call.input_gradients(attended, &buffer(grad)).0)
}

/// Whether a GPU has a kernel for heads of `head_dim` channels with a position table of `table` rows, none being 0.
pub fn gpu_attends(head_dim: usize, table: usize) -> bool {
    AttentionPlan::new([1, 1], head_dim, table, table > 0, false).is_some()
}

/// Elements of the gradients by pair that the position table's is summed from, of so many windows.
pub fn gpu_parts_of_pairs(windows: usize, tokens: usize, heads: usize) -> usize {
    splits_of(windows, tokens, heads) * heads * tokens * tokens
}

/// Parts that the gradients of pairs are added up in: by as many cubes as keep a GPU busy.
fn splits_of(windows: usize, tokens: usize, heads: usize) -> usize {
    if tokens <= SMALL {
        // No unit takes more than 256 windows.
        return (BUSY / heads).clamp(1, windows).max(windows.div_ceil(256));
    }
    let cubes = tokens.div_ceil(QUERIES) * tokens.div_ceil(UNITS as usize) * heads;
    (BUSY / cubes).clamp(1, windows).min(16)
}

impl Call {
    fn of_windows((qkv, padding, bias): &WindowInputs, tables: &WindowTables) -> Option<Self> {
        let on = tables.on_gpu(&qkv.device())?;
        let ([batch, count, width], [table_rows, heads]) = (qkv.dims(), bias.dims());
        let (head_dim, tokens) = (width / 3 / heads, tables.window_tokens);
        let plan = AttentionPlan::new([tokens, on.run], head_dim, table_rows, true, !tables.mask_groups.is_empty())?;
        let inputs = [numbers(qkv.clone()), numbers(padding.clone()), numbers(bias.clone()), table(on.index.clone())];
        let (windows, padded) = (tables.windows(), tables.padded.len());
        Some(Self { batch, count, heads, head_dim, windows, tokens, padded, offset: on.offset, plan, inputs })
    }

    fn of_samples(qkv: &Tensor<3>, heads: usize) -> Option<Self> {
        let [batch, count, width] = qkv.dims();
        let head_dim = width / 3 / heads;
        let plan = AttentionPlan::new([count, longest_run(count)], head_dim, 0, false, false)?;
        let qkv = numbers(qkv.clone());
        let inputs = [qkv.clone(), qkv.clone(), qkv.clone(), qkv];
        Some(Self { batch, count, heads, head_dim, windows: 1, tokens: count, padded: 0, offset: 0, plan, inputs })
    }

    fn extents(&self) -> WindowExtentsLaunch {
        let [windows, all, tokens, count, heads, padded] =
            [self.windows, self.batch * self.windows, self.tokens, self.count, self.heads, self.padded].map(|size| size as u32);
        let (scale, known) = ((self.head_dim as f32).powf(-0.5), self.splits() * self.pairs());
        WindowExtentsLaunch::new(windows, all, tokens, count, heads, self.offset, padded, scale, known as u32)
    }

    /// What every kernel takes.
    fn attention<F: Float, N: Size>(&self) -> AttentionLaunch<F, N> {
        let [qkv, padding, bias, index] = self.inputs.each_ref().map(|input| input.clone().into_buffer_arg());
        AttentionLaunch::new(qkv, padding, bias, index, self.extents(), self.plan)
    }

    /// Parts that the gradients of pairs are added up in.
    fn splits(&self) -> usize {
        splits_of(self.batch * self.windows, self.tokens, self.heads)
    }

    /// Pairs of all heads that the pass by query adds up.
    fn pairs(&self) -> usize {
        self.heads * self.plan.pairs * self.plan.pairs
    }

    /// Cubes and units of a pass by query or by key, for so many windows at a time.
    fn cubes(&self, windows: usize) -> (CubeCount, CubeDim) {
        let [x, y] = spread(windows * self.heads);
        let blocks = self.plan.busy_units(self.tokens).div_ceil(self.plan.units);
        (CubeCount::Static(x, y, blocks as u32), CubeDim::new_1d(self.plan.units as u32))
    }

    fn vector_size(&self) -> usize {
        vector_size(&[self.head_dim])
    }

    fn run(&self) -> Attended {
        let like = &self.inputs[0];
        let out = empty(like, [self.batch, self.count, self.heads * self.head_dim]);
        let statistics = empty_sums(like, [self.batch * self.windows * self.heads * self.tokens * 2]);
        let (cubes, units) = self.cubes(self.batch * self.windows);
        attention_kernel::launch(
            &like.client,
            cubes,
            units,
            self.vector_size(),
            self.attention(),
            out.clone().into_buffer_arg(),
            statistics.clone().into_buffer_arg(),
            element(like),
        );
        Attended { out: tensor(out), statistics: tensor(statistics) }
    }

    /// Gradients with respect to `qkv`, `[batch, tokens and padded places, 3 dim]`, and what is known behind the gradients by pair, if there
    /// are any.
    fn input_gradients(&self, attended: Attended, grad: &CubeTensor) -> (CubeTensor, CubeTensor) {
        let like = &self.inputs[0];
        let (out, statistics) = (buffer(attended.out), buffer(attended.statistics));
        let all = self.batch * self.windows;
        let total = all * self.heads * self.tokens;
        let known = empty(like, [self.splits() * self.pairs() + total * 2]);
        let [_, _, _, index] = self.inputs.clone();
        projected_kernel::launch(
            &like.client,
            cubes_for(total),
            CubeDim::new_1d(UNITS),
            self.vector_size(),
            out.into_buffer_arg(),
            grad.clone().into_buffer_arg(),
            index.into_buffer_arg(),
            statistics.into_buffer_arg(),
            known.clone().into_buffer_arg(),
            self.extents(),
            self.plan,
        );
        let gradient = empty(like, [self.batch, self.count + self.padded, 3 * self.heads * self.head_dim]);
        let splits = if self.plan.pairs > 0 { self.splits() } else { all };
        let (cubes, units) = self.cubes(splits);
        query_gradient_kernel::launch(
            &like.client,
            cubes,
            units,
            self.vector_size(),
            self.attention(),
            grad.clone().into_buffer_arg(),
            known.clone().into_buffer_arg(),
            gradient.clone().into_buffer_arg(),
            splits as u32,
        );
        let (cubes, units) = self.cubes(all);
        key_gradient_kernel::launch(
            &like.client,
            cubes,
            units,
            self.vector_size(),
            self.attention(),
            grad.clone().into_buffer_arg(),
            known.clone().into_buffer_arg(),
            gradient.clone().into_buffer_arg(),
        );
        (gradient, known)
    }

    fn table_gradient(&self, grad: &CubeTensor, known: CubeTensor, tables: &WindowTables, rows: usize) -> Tensor<2> {
        let like = &self.inputs[0];
        let square = self.tokens * self.tokens;
        let splits = self.splits();
        let pairs = if self.plan.pairs > 0 { known } else { self.pair_gradients(grad, known) };
        let pairs = sum_over_rows(reshaped(pairs, [splits, self.heads * square]), [1, splits, self.heads * square]);
        let pairs_of_row = tables.pairs_of_row(rows);
        let of_table = empty(like, [rows, self.heads]);
        let total = rows * self.heads;
        table_gradient_kernel::launch(
            &like.client,
            cubes_for(total),
            CubeDim::new_1d(UNITS),
            pairs.into_buffer_arg(),
            table(pairs_of_row.on(&tensor::<2>(of_table.clone()).device())).into_buffer_arg(),
            of_table.clone().into_buffer_arg(),
            total as u32,
            self.heads as u32,
            (pairs_of_row.len() / rows) as u32,
            square as u32,
        );
        tensor(of_table)
    }

    /// The scores' gradients by pair in parts, `[splits, heads, tokens, tokens]`.
    fn pair_gradients(&self, grad: &CubeTensor, known: CubeTensor) -> CubeTensor {
        let like = &self.inputs[0];
        let (queries, splits) = (self.tokens.div_ceil(self.plan.queries), self.splits());
        let keys = self.plan.busy_units(self.tokens).div_ceil(self.plan.units);
        let pairs = empty(like, [splits, self.heads * self.tokens * self.tokens]);
        bias_gradient_kernel::launch(
            &like.client,
            CubeCount::Static(queries as u32, (self.heads * splits) as u32, keys as u32),
            CubeDim::new_1d(self.plan.units as u32),
            self.vector_size(),
            self.attention(),
            grad.clone().into_buffer_arg(),
            known.into_buffer_arg(),
            pairs.clone().into_buffer_arg(),
            splits as u32,
        );
        pairs
    }
}

/// The longest run that `tokens` places are made of, where nothing else asks for one.
fn longest_run(tokens: usize) -> usize {
    [4, 2].into_iter().find(|&run| tokens.is_multiple_of(run)).unwrap_or(1)
}

impl AttentionPlan {
    /// For windows of `tokens` tokens in runs of `run`; `None` where shared memory does not hold what the kernels need.
    fn new([tokens, run]: [usize; 2], head_dim: usize, table: usize, windowed: bool, masked: bool) -> Option<Self> {
        /// Channels of a head of windows at most: the kernel by key has four rows of them in registers.
        const WIDEST: usize = 64;
        /// Channels of all rows of one kind that a unit has, where it has several.
        const CHANNELS: usize = 32;
        /// Units of a cube at least.
        const FEWEST: usize = 32;
        /// Sums of pairs that a unit has in registers, where it has several runs.
        const SUMS: usize = 64;
        /// Numbers that the kernel by key keeps of a query beside its rows.
        const BESIDE: usize = 6;
        let vectors = head_dim / vector_size(&[head_dim]);
        // As many places as the registers hold share what passes, a run's parts being as alike as can be.
        let parts = run.div_ceil((CHANNELS / head_dim).min(tokens / FEWEST).clamp(1, run));
        let each = run.div_ceil(parts);
        let busy = tokens / run * parts;
        let units = busy.div_ceil(busy.div_ceil(UNITS as usize)).next_multiple_of(8);
        let queries = run * (QUERIES / run).min(SUMS / (each * run)).max(1);
        let of_pairs = tokens / run * run.next_multiple_of(4) * each * units;
        let pairs = if table > 0 && tokens <= SMALL && 8 * of_pairs <= SHARED_BYTES { tokens } else { 0 };
        let beside = table.max(1) + if pairs > 0 { of_pairs } else { 4 };
        let bytes = |block: usize| 4 * (block * (2 * head_dim + BESIDE) + beside);
        let block = [64, 32, 16, 8].into_iter().find(|&block| bytes(block) <= SHARED_BYTES)? / run * run;
        if table > 0 && head_dim > WIDEST {
            return None;
        }
        Some(Self { vectors, block, units, run, each, queries, table, windowed, masked, pairs })
    }
}

/// Operations of the longest pass over so many windows, heads included: that by key, which multiplies four rows a pair.
#[cfg(test)]
pub(crate) fn work_of_attention(windows: usize, tokens: usize, head_dim: usize, rows: usize) -> u64 {
    let places = [tokens, longest_run(tokens)];
    let windowed = AttentionPlan::new(places, head_dim, rows, true, true);
    let plan = windowed.or(AttentionPlan::new(places, head_dim, 0, false, false)).expect("heads of published networks fit");
    (windows * plan.busy_units(tokens).next_multiple_of(plan.units) * plan.each * tokens * 4 * 2 * head_dim) as u64
}
