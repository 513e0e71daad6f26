//! Which tokens lie side by side in which merged token.

use super::index::{Index, PADDING};

/// Which tokens lie side by side in which merged token.
#[derive(Debug)]
pub struct MergeTables {
    /// Tokens of a merged token.
    pub parts: usize,
    /// For each merged token its `parts` tokens; [`PADDING`] for none, which counts as zeros.
    pub sources: Index,
    /// For each token the first and the second place in `sources` that hold it, [`PADDING`] where there is none.
    pub uses: [Index; 2],
}

impl MergeTables {
    /// The tables of `sources`, as the field, for `tokens` tokens.
    ///
    /// # Panics
    /// If a token is used more than twice.
    pub fn new(parts: usize, sources: Vec<u32>, tokens: usize) -> Self {
        let mut uses = [vec![PADDING; tokens], vec![PADDING; tokens]];
        for (place, &token) in (0..).zip(&sources).filter(|&(_, &token)| token != PADDING) {
            let free = uses.iter_mut().map(|uses| &mut uses[token as usize]).find(|use_| **use_ == PADDING);
            *free.expect("a token is merged twice at most") = place;
        }
        let places = sources.len();
        Self { parts, sources: Index::new(sources, tokens), uses: uses.map(|uses| Index::new(uses, places)) }
    }

    /// Number of merged tokens.
    pub fn merged(&self) -> usize {
        self.sources.len() / self.parts
    }
}
