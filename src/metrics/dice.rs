//! The Dice coefficient of a region.

use super::counts::Counts;

/// `2 |T ∩ P| / (|T| + |P|)`; `None` where both are empty.
pub fn dice(counts: &Counts) -> Option<f64> {
    let size = counts.truth() + counts.predicted();
    (size > 0).then(|| 2.0 * counts.true_positive as f64 / size as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_emptiness_of_both_leaves_it_undefined() {
        let counts = |true_positive, false_positive, false_negative| Counts { true_positive, false_positive, false_negative };
        assert_eq!(dice(&counts(0, 0, 0)), None);
        assert_eq!(dice(&counts(0, 5, 0)), Some(0.0));
        assert_eq!(dice(&counts(3, 1, 1)), Some(0.75));
    }
}
