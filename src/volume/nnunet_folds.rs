//! nnU-Net's five folds of a dataset's cases.
//!
//! Source: `generate_crossval_split` of nnunetv2 (`nnunetv2/utilities/crossval_split.py`): scikit-learn's `KFold(n_splits=5, shuffle=True,
//! random_state=12345)` over the sorted case names. That shuffles with NumPy's `RandomState`, the Mersenne Twister MT19937 (Matsumoto and
//! Nishimura 1998), and cuts the shuffled order into five parts, the first ones a case longer where five does not divide the number.

use crate::config::NNUNET_FOLDS as FOLDS;

/// Seed of the shuffle.
const SEED: u32 = 12345;

/// Words of the generator's state.
const WORDS: usize = 624;
/// How far apart the words are that are mixed.
const APART: usize = 397;
/// The highest bit of a word; the others are the lower bits.
const UPPER: u32 = 0x8000_0000;

/// The fold of each of `cases` cases, which are in the order of their names.
pub(super) fn folds(cases: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..cases).collect();
    let mut generator = MersenneTwister::new(SEED);
    for last in (1..cases).rev() {
        order.swap(last, generator.at_most(last));
    }
    let mut folds = vec![0; cases];
    let numbers = (0..FOLDS).flat_map(|fold| std::iter::repeat_n(fold, cases / FOLDS + usize::from(fold < cases % FOLDS)));
    for (case, fold) in order.into_iter().zip(numbers) {
        folds[case] = fold;
    }
    folds
}

/// MT19937, seeded by one number as NumPy's `RandomState`.
struct MersenneTwister {
    state: [u32; WORDS],
    at: usize,
}

impl MersenneTwister {
    fn new(seed: u32) -> Self {
        let mut state = [seed; WORDS];
        for index in 1..WORDS {
            let before = state[index - 1];
            state[index] = 1_812_433_253_u32.wrapping_mul(before ^ (before >> 30)).wrapping_add(index as u32);
        }
        Self { state, at: WORDS }
    }

    fn word(&mut self) -> u32 {
        if self.at == WORDS {
            for index in 0..WORDS {
                let word = (self.state[index] & UPPER) | (self.state[(index + 1) % WORDS] & !UPPER);
                let odd = if word & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[index] = self.state[(index + APART) % WORDS] ^ (word >> 1) ^ odd;
            }
            self.at = 0;
        }
        let mut word = self.state[self.at];
        self.at += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    /// A number from 0 to `most`, which is above 0, as NumPy's `random_interval`: the lowest bits of one word after another until they are no larger.
    fn at_most(&mut self, most: usize) -> usize {
        let mask = usize::MAX >> most.leading_zeros();
        loop {
            let value = self.word() as usize & mask;
            if value <= most {
                return value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fold of each sorted case by scikit-learn 1.9.1 and NumPy 2.4.6: `for fold, (_, test) in enumerate(KFold(5, shuffle=True,
    /// random_state=12345).split(range(n)))`. 260 are the cases of the Decathlon's hippocampus task.
    const BY_SCIKIT_LEARN: [&str; 3] = [
        "03421",
        "0341341020122",
        "31232434200432110101033422112404304243310324233021020401103422334310031040343422343321243124112024211021041442021444304403034210\
         04041400224122441031231111330133122322401023312020301004431024113232001324103321424011030343110432100114110031332442220432342432\
         4440",
    ];

    #[test]
    fn the_folds_are_those_of_scikit_learn() {
        for expected in BY_SCIKIT_LEARN {
            let own: String = folds(expected.len()).iter().map(ToString::to_string).collect();
            assert_eq!(own, expected, "{} cases", expected.len());
        }
    }

    #[test]
    fn the_generator_is_numpy_s() {
        // `numpy.random.RandomState(12345).randint(0, 2**32, 4, dtype=numpy.uint32)`
        let mut generator = MersenneTwister::new(SEED);
        assert_eq!([(); 4].map(|()| generator.word()), [3_992_670_690, 3_823_185_381, 1_358_822_685, 561_383_553]);
    }
}
