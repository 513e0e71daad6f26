//! How far several segmentations of one case differ, without a truth.

/// Mean of 1 - Dice over all pairs of segmentations, in each pair over the classes that one of both holds, background left out (the pairwise
/// Dice of Roy et al., arXiv:1811.09800). 0 for a pair that finds nothing at all; None for fewer than two.
///
/// `segmentations`: of each the class of every voxel, of `classes` classes.
///
/// # Panics
/// If a class is not below `classes`.
pub fn disagreement(segmentations: &[Vec<u8>], classes: usize) -> Option<f64> {
    let pairs: Vec<f64> = segmentations
        .iter()
        .enumerate()
        .flat_map(|(index, one)| segmentations[..index].iter().map(move |other| difference(one, other, classes)))
        .collect();
    (!pairs.is_empty()).then(|| pairs.iter().sum::<f64>() / pairs.len() as f64)
}

/// Mean of 1 - Dice over the classes of a pair.
fn difference(one: &[u8], other: &[u8], classes: usize) -> f64 {
    let (mut sizes, mut shared) = (vec![0_u64; classes], vec![0_u64; classes]);
    for (&a, &b) in one.iter().zip(other) {
        let [a, b] = [a, b].map(usize::from);
        sizes[a] += 1;
        sizes[b] += 1;
        shared[a] += u64::from(a == b);
    }
    let found: Vec<f64> = sizes
        .iter()
        .zip(&shared)
        .skip(1)
        .filter(|(size, _)| **size > 0)
        .map(|(&size, &shared)| 2.0 * shared as f64 / size as f64)
        .collect();
    if found.is_empty() { 0.0 } else { 1.0 - found.iter().sum::<f64>() / found.len() as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_and_classes_are_averaged_and_background_counts_for_nothing() {
        let one = vec![0, 0, 0, 0, 1, 1, 2, 2];
        let other = vec![0, 0, 0, 1, 1, 1, 2, 0];
        let nothing = vec![0; 8];
        // Dice 4/5 of class 1 and 2/3 of class 2.
        let expected = 1.0 - (0.8 + 2.0 / 3.0) / 2.0;
        let found = disagreement(&[one.clone(), other.clone()], 3).unwrap();
        assert!((found - expected).abs() < 1e-12, "{found}");
        let three = disagreement(&[one.clone(), other, nothing.clone()], 3).unwrap();
        assert!((three - (expected + 1.0 + 1.0) / 3.0).abs() < 1e-12, "{three}");
        assert_eq!(disagreement(&[one.clone(), one.clone()], 3), Some(0.0));
        assert_eq!(disagreement(&[nothing.clone(), nothing], 3), Some(0.0), "both find nothing");
        assert_eq!(disagreement(&[one], 3), None);
    }
}
