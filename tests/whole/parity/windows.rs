//! Index tables of windows: nnFormer's and MONAI's relative positions, masks, partition and patch merging.

use simtrot::config::MergingOrder;
use simtrot::kernels::PADDING;
use simtrot::nn::{PositionIndex, merge_tables, relative_position_index, window_tables};

use super::Outcomes;
use crate::fixtures::{Array, Entry, triple};

pub fn applies(entry: &Entry) -> bool {
    entry.kind == "index tables"
}

pub fn run(entry: &Entry) -> Outcomes {
    entry.tensors.keys().filter(|name| name.starts_with("expected.")).map(|name| entry.compare(name, &compute(entry, name), 1.0)).collect()
}

fn compute(entry: &Entry, name: &str) -> Vec<f32> {
    let short = name.trim_start_matches("expected.");
    if let Some(window) = short.strip_prefix("relative_position_index.") {
        let window: usize = window.parse().expect("a window's edge");
        return floats(&relative_position_index(PositionIndex::NnFormer, [window; 3]));
    }
    if let Some(window) = short.strip_prefix("monai_relative_position_index.") {
        let window: Vec<usize> = window.split('x').map(|edge| edge.parse().expect("a window's edge")).collect();
        return floats(&relative_position_index(PositionIndex::OneToOne, window.try_into().expect("three edges")));
    }
    if let Some(mask) = short.strip_prefix("monai_mask.") {
        let sizes = &entry.hyper()["masks"][format!("mask.{mask}")];
        let [grid, window, shift] = ["padded_dims", "window", "shift"].map(|key| triple(&sizes[key]));
        return window_tables(grid, window, shift, PositionIndex::OneToOne).mask();
    }
    match short {
        "partition" => {
            let x = entry.tensor("input.partition_x");
            let window = triple(&entry.hyper()["partition_window"]);
            let tables = window_tables(spatial(x), window, [0; 3], PositionIndex::OneToOne);
            let mut back = tables.token_to_window.iter().map(|&place| tables.window_to_token[place as usize]);
            assert!(back.by_ref().enumerate().all(|(token, row)| token == row as usize), "the partition is not undone");
            gather(x, &tables.window_to_token)
        }
        "merging_gather" => merge(entry, MergingOrder::Merging),
        "mergingv2_gather" => merge(entry, MergingOrder::MergingV2),
        _ => panic!("{}: {name} is no known table", entry.name),
    }
}

fn merge(entry: &Entry, order: MergingOrder) -> Vec<f32> {
    let x = entry.tensor("input.merge_x");
    gather(x, &merge_tables(order, spatial(x)).sources)
}

/// Rows of a channels-last array, zeros for padding.
fn gather(x: &Array, rows: &[u32]) -> Vec<f32> {
    let channels = x.shape[4];
    let tokens: usize = spatial(x).iter().product();
    let row = |sample: &[f32], row: u32| match row {
        PADDING => vec![0.0; channels],
        row => sample[row as usize * channels..][..channels].to_vec(),
    };
    x.values.chunks_exact(tokens * channels).flat_map(|sample| rows.iter().flat_map(move |&index| row(sample, index))).collect()
}

fn spatial(x: &Array) -> [usize; 3] {
    x.shape[1..4].try_into().expect("B D H W C")
}

fn floats(indices: &[u32]) -> Vec<f32> {
    indices.iter().map(|&index| index as f32).collect()
}
