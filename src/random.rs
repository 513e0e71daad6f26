//! Every random draw of the host, from a counter-based generator.
//!
//! A draw is keyed by (seed, purpose, a, b), usually (seed, purpose, step, place in the batch), so that
//! neither the number of loader threads nor a resumed run changes it.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// A generator of its own for one draw of `purpose` at counters `a` and `b`.
pub fn stream(seed: u64, purpose: &str, a: u64, b: u64) -> ChaCha8Rng {
    let mut hash = Sha256::new();
    for number in [seed, a, b] {
        hash.update(number.to_le_bytes());
    }
    hash.update(purpose.as_bytes());
    ChaCha8Rng::from_seed(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::stream;
    use rand::Rng as _;

    #[test]
    fn a_stream_is_its_key() {
        assert_eq!(stream(1, "mask", 2, 3).next_u64(), stream(1, "mask", 2, 3).next_u64());
        let others = [stream(0, "mask", 2, 3), stream(1, "crop", 2, 3), stream(1, "mask", 3, 2)];
        for mut other in others {
            assert_ne!(stream(1, "mask", 2, 3).next_u64(), other.next_u64());
        }
    }
}
