//! A network in half precision, to segment with: training needs the range of float32.

use burn::module::{Module as _, ModuleMapper, Param};
use burn::tensor::{DType, Tensor};

use super::segmenter::Segmenter;

impl Segmenter {
    /// The network with float16 weights: it takes float16 volumes and gives float16 logits, with sums in float32.
    #[must_use]
    pub fn in_half(self) -> Self {
        self.map(&mut ToHalf)
    }
}

struct ToHalf;

impl ModuleMapper for ToHalf {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|values| values.cast(DType::F16))
    }
}
