//! What a network computes, worked out from sizes alone.

use std::ops::{AddAssign, Mul};

use serde::{Deserialize, Serialize};

/// Floating point operations by the kind of kernel that does them; a multiplication and the addition after it are two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arithmetic {
    /// 3x3x3 convolutions.
    pub convolution: u64,
    /// Products of tokens and weights.
    pub linear: u64,
    /// Products of queries and keys, and of their softmax and the values.
    pub attention: u64,
}

impl Arithmetic {
    /// Convolutions of so many multiplications.
    pub fn convolution(multiplications: u64) -> Self {
        Self { convolution: 2 * multiplications, ..Self::default() }
    }

    /// Linear maps of so many multiplications.
    pub fn linear(multiplications: u64) -> Self {
        Self { linear: 2 * multiplications, ..Self::default() }
    }

    /// Attention of so many multiplications.
    pub fn attention(multiplications: u64) -> Self {
        Self { attention: 2 * multiplications, ..Self::default() }
    }

    /// Seconds that it takes a device of these speeds, in 10⁹ operations a second of each kind.
    pub fn seconds(&self, [convolution, linear, attention]: [f64; 3]) -> f64 {
        let kinds = [(self.convolution, convolution), (self.linear, linear), (self.attention, attention)];
        kinds.into_iter().map(|(operations, speed)| operations as f64 / (1e9 * speed)).sum()
    }
}

impl AddAssign for Arithmetic {
    fn add_assign(&mut self, other: Self) {
        self.convolution += other.convolution;
        self.linear += other.linear;
        self.attention += other.attention;
    }
}

impl Mul<u64> for Arithmetic {
    type Output = Self;

    fn mul(self, times: u64) -> Self {
        Self { convolution: times * self.convolution, linear: times * self.linear, attention: times * self.attention }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_the_sum_of_each_kind_over_its_speed() {
        let work = Arithmetic { convolution: 4_000_000_000, linear: 3_000_000_000, attention: 500_000_000 };
        assert_eq!(work.seconds([2.0, 6.0, 0.25]), 2.0 + 0.5 + 2.0);
        assert_eq!((work * 3).seconds([2.0, 6.0, 0.25]), 13.5);
    }
}
