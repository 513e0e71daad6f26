//! Losses: tokens or logits in, one number and its parts out.
//!
//! Each loss computes its own gradient in closed form next to its value and hands both to the autodiff graph
//! (`known_gradient`). The graph then holds one small node instead of a chain of matrices as large as the similarity
//! matrix or the logits.

mod dice_ce_kernel;
#[cfg(test)]
mod finite_difference;
mod known_gradient;
mod lanes;
mod token_contrast_kernel;

pub mod dice_ce;
pub mod token_contrast;
