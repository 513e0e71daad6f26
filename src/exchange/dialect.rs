//! What the files of each backbone look like: names, and what their shapes tell of the network.

mod nnformer;

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::config::{ModelConfig, Preset};
use crate::model::HostTensor;

/// Shapes of a network's tensors by their names in simtrot.
pub(super) struct Shapes(pub(super) BTreeMap<String, Vec<usize>>);

impl Shapes {
    /// Length of an axis of a tensor.
    pub(super) fn axis(&self, name: &str, axis: usize) -> Option<usize> {
        self.0.get(name)?.get(axis).copied()
    }

    /// How many of `start0.`, `start1.`, ... there are, without a gap.
    pub(super) fn count(&self, start: &str) -> usize {
        let has = |index: usize| {
            let start = format!("{start}{index}.");
            self.0.range(start.clone()..).next().is_some_and(|(name, _)| name.starts_with(&start))
        };
        (0..).take_while(|&index| has(index)).count()
    }

    /// Edge of the cubic window whose relative position table has `rows` rows: one for each offset along each axis.
    pub(super) fn window(&self, table: &str) -> Option<usize> {
        let rows = self.axis(table, 0)?;
        (1..=64).find(|edge| (2 * edge - 1_usize).pow(3) == rows)
    }
}

/// A tensor that a reference's state dict holds without computing with it.
#[derive(Debug, PartialEq)]
pub(super) enum Unused {
    /// Whole numbers.
    Index {
        /// Length of each axis.
        shape: Vec<usize>,
        /// Elements, last axis fastest.
        values: Vec<i64>,
    },
    /// Numbers as they are initialised.
    Weight(HostTensor),
}

/// How the weights of one backbone are written by its reference, and read by others.
pub(super) trait Dialect: Sync {
    /// What the names of the encoder's tensors begin with in the whole network.
    fn prefix(&self) -> &'static str;

    /// A tensor that every encoder of this backbone and of no other has, named without the prefix.
    fn landmark(&self) -> &'static str;

    /// A tensor that every whole network has besides its encoder.
    fn decoder_landmark(&self) -> &'static str;

    /// Today's name of an encoder's tensor that an older file may call otherwise; both without the prefix.
    fn current<'a>(&self, name: &'a str) -> Cow<'a, str> {
        Cow::Borrowed(name)
    }

    /// `like` with every hyper-parameter that the shapes tell put in its place; none if they are no such network's.
    fn read(&self, shapes: &Shapes, like: &ModelConfig) -> Option<ModelConfig>;

    /// Hyper-parameters that no shape tells, and on which the network's outputs depend.
    fn untold(&self, shapes: &Shapes) -> Vec<&'static str>;

    /// Image channels.
    fn channels(&self, shapes: &Shapes) -> Option<usize>;

    /// Classes of the segmentation, background included; none for an encoder alone.
    fn classes(&self, shapes: &Shapes) -> Option<usize>;

    /// Tensors whose second axis runs over the image channels (its innermost part, where it runs over more).
    fn stem(&self) -> &'static [&'static str];

    /// The crop that a published size is for, D,H,W; without a size, one that will do for any. None where it must be known.
    fn crop_size(&self, preset: Option<Preset>) -> Option<[usize; 3]>;

    /// What else the reference's state dict holds.
    fn unused(&self, model: &ModelConfig, weights: &BTreeMap<String, HostTensor>) -> BTreeMap<String, Unused>;
}

/// The dialect of a model's backbone.
pub(super) fn of(model: &ModelConfig) -> &'static dyn Dialect {
    match model.resolve() {
        ModelConfig::Nnformer(_) => &nnformer::NnFormer,
        ModelConfig::Preset(preset) => unreachable!("{preset:?} resolves to a backbone"),
    }
}

/// Index tables of cubic windows beside every relative position table in `weights`.
fn index_tables(weights: &BTreeMap<String, HostTensor>, index: impl Fn(usize) -> Vec<u32>) -> BTreeMap<String, Unused> {
    let tables = weights.iter().filter_map(|(name, table)| Some((name.strip_suffix("relative_position_bias_table")?, table)));
    tables
        .filter_map(|(attention, table)| {
            let edge = (1..=64).find(|edge| (2 * edge - 1_usize).pow(3) == table.shape[0])?;
            let values: Vec<i64> = index(edge).into_iter().map(i64::from).collect();
            Some((format!("{attention}relative_position_index"), Unused::Index { shape: vec![edge.pow(3); 2], values }))
        })
        .collect()
}
