//! How the weights of a backbone are written by its reference, and what their shapes say of the network.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::config::{ModelConfig, Preset};
use crate::infer::InputConvention;
use crate::model::HostTensor;

/// What MONAI's classes lack beside a network with deep supervision.
pub(super) const COARSER_HEADS: &str = "MONAI's class has one head, `out`: the heads of deep supervision (decoder.heads.*) have no place there, and \
     load_state_dict takes the file with strict=False. They only trained; predictions are the same without them";

/// Shapes of a network's tensors by their names in simtrot.
pub(in crate::exchange) struct Shapes {
    /// Length of each axis.
    pub(in crate::exchange) tensors: BTreeMap<String, Vec<usize>>,
    /// Whether the file calls tensors by names that are no longer in use.
    pub(in crate::exchange) older_names: bool,
}

impl Shapes {
    /// Whether there is such a tensor.
    pub(in crate::exchange) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Length of an axis of a tensor.
    pub(in crate::exchange) fn axis(&self, name: &str, axis: usize) -> Option<usize> {
        self.tensors.get(name)?.get(axis).copied()
    }

    /// Rows of a matrix over its columns: how much wider a layer's output is than its input.
    pub(in crate::exchange) fn ratio(&self, name: &str) -> Option<f64> {
        Some(self.axis(name, 0)? as f64 / self.axis(name, 1)? as f64)
    }

    /// Lengths of a kernel's axes D,H,W.
    pub(in crate::exchange) fn kernel(&self, name: &str) -> Option<[usize; 3]> {
        self.tensors.get(name)?.get(2..5)?.try_into().ok()
    }

    /// How many numbers from `first` on, without a gap, stand between `start` and a dot.
    pub(in crate::exchange) fn count(&self, start: &str, first: usize) -> usize {
        let has = |number: &usize| {
            let start = format!("{start}{number}.");
            self.tensors.range(start.clone()..).next().is_some_and(|(name, _)| name.starts_with(&start))
        };
        (first..).take_while(has).count()
    }

    /// Edge of the cubic window whose relative position table this is: it has one row for each offset along each axis.
    pub(in crate::exchange) fn window(&self, table: &str) -> Option<usize> {
        edge_of(self.axis(table, 0)?)
    }
}

/// Edge of the cubic window whose relative position table has so many rows.
pub(super) fn edge_of(rows: usize) -> Option<usize> {
    (1..=64).find(|edge| (2 * edge - 1_usize).pow(3) == rows)
}

/// A table with a row for each cell of a grid, to be resampled to another.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::exchange) struct Table {
    pub(in crate::exchange) name: String,
    pub(in crate::exchange) from: [usize; 3],
    pub(in crate::exchange) to: [usize; 3],
}

/// A tensor that a reference's state dict holds without computing with it, or that simtrot computes.
#[derive(Debug, PartialEq)]
pub(in crate::exchange) enum Extra {
    /// Whole numbers.
    Index {
        /// Length of each axis.
        shape: Vec<usize>,
        /// Elements, last axis fastest.
        values: Vec<i64>,
    },
    /// Floating-point numbers.
    Numbers(HostTensor),
}

/// The tensors that a format is known by.
pub(in crate::exchange) struct Names {
    /// What the names of the encoder's tensors begin with in the whole network.
    pub(in crate::exchange) prefix: &'static str,
    /// A tensor that every encoder of this backbone and of no other has, named without the prefix.
    pub(in crate::exchange) landmark: &'static str,
    /// What the names of the tensors begin with that an encoder's output depends on, without the prefix. Others below the prefix
    /// are heads of a pre-training.
    pub(in crate::exchange) computes: &'static [&'static str],
    /// A tensor that every whole network has besides its encoder.
    pub(in crate::exchange) decoder_landmark: &'static str,
    /// Tensors whose second axis runs over the image channels: alone, or over voxels with the channels innermost.
    pub(in crate::exchange) stem: &'static [&'static str],
    /// The head of full resolution, and its axis of classes.
    pub(in crate::exchange) head: (&'static str, usize),
}

/// How the weights of one backbone are written by its reference.
pub(in crate::exchange) trait StateDictFormat: Sync {
    /// The tensors that it is known by.
    fn names(&self) -> &'static Names;

    /// How its program hands volumes to the network.
    fn convention(&self) -> InputConvention;

    /// Today's name of an encoder's tensor that an older file may call otherwise; both without the prefix.
    fn current<'a>(&self, name: &'a str) -> Cow<'a, str> {
        Cow::Borrowed(name)
    }

    /// `like` with every hyper-parameter that the shapes give put in its place; none if they are no such network's.
    fn read(&self, shapes: &Shapes, like: &ModelConfig) -> Option<ModelConfig>;

    /// Hyper-parameters that must be said, because no shape gives them.
    fn undetermined(&self, _shapes: &Shapes) -> Vec<&'static str> {
        Vec::new()
    }

    /// Sets hyper-parameters that have a usual value and that no shape gives: their names, and what was assumed.
    fn assume(&self, _shapes: &Shapes, _model: &mut ModelConfig) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// The crop that the weights are for, D,H,W: a published size's, or for any size one that will do. None where it must be said.
    fn crop_size(&self, shapes: &Shapes, preset: Option<Preset>) -> Option<[usize; 3]>;

    /// Image channels.
    fn channels(&self, shapes: &Shapes, _model: &ModelConfig) -> Option<usize> {
        shapes.axis(self.names().stem[0], 1)
    }

    /// Classes of the segmentation, background included; none for an encoder alone.
    fn classes(&self, shapes: &Shapes) -> Option<usize> {
        let (head, axis) = self.names().head;
        shapes.axis(head, axis)
    }

    /// Position tables that another crop or window than the file's (`from`: its crop, where it must be known) asks to resample.
    ///
    /// # Errors
    /// Why that cannot be done.
    fn tables(&self, shapes: &Shapes, model: &ModelConfig, crops: Crops) -> Result<Vec<Table>, String>;

    /// What else the reference's state dict holds for a network of these weights and this training crop.
    fn extras(&self, model: &ModelConfig, crop_size: [usize; 3], weights: &BTreeMap<String, HostTensor>) -> BTreeMap<String, Extra>;

    /// Why the reference's own class cannot hold such a network, where that is so.
    fn beyond(&self, _model: &ModelConfig, _whole: bool) -> Option<String> {
        None
    }
}

/// Crops, D,H,W.
#[derive(Clone, Copy, Debug)]
pub(in crate::exchange) struct Crops {
    /// That the file's tables are of, if it was said.
    pub(in crate::exchange) from: Option<[usize; 3]>,
    /// That the checkpoint is for.
    pub(in crate::exchange) to: [usize; 3],
}

/// Index tables beside every relative position table in `weights`; `index` computes that of a table with so many rows.
pub(super) fn index_tables(weights: &BTreeMap<String, HostTensor>, index: impl Fn(usize) -> Option<Vec<u32>>) -> BTreeMap<String, Extra> {
    let tables = weights.iter().filter_map(|(name, table)| Some((name.strip_suffix("relative_position_bias_table")?, table)));
    let indices = tables.filter_map(|(attention, table)| {
        let values: Vec<i64> = index(table.shape[0])?.into_iter().map(i64::from).collect();
        Some((format!("{attention}relative_position_index"), Extra::Index { shape: vec![values.len().isqrt(); 2], values }))
    });
    indices.collect()
}
