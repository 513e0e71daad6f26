//! The order in which cases are chosen: one after the other, each the best of those that are left.
//!
//! Each criterion ranks what is left, and the mean of the ranks decides (Borda's count): no scale and no weight need be set, and one
//! criterion with far-out values does not drown the others. By distance alone this is the greedy k-centre of Sener and Savarese
//! (arXiv:1708.00489, algorithm 1): each case that was chosen is a centre for those after it, so that of cases that are alike one is taken.

use super::Criterion;

/// What is known of a case that can be chosen.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Mean entropy of the networks' probabilities in nats.
    pub entropy: f64,
    /// Mean of 1 - Dice over pairs of networks.
    pub disagreement: f64,
    /// Its mean token.
    pub token: &'a [f32],
}

/// Where the nearest tokens are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Centre {
    /// Those of a labelled case, by its index.
    Labelled(usize),
    /// Those of a candidate that was chosen before.
    Chosen(usize),
    /// Nothing is labelled or chosen yet: the mean of all candidates, which the most typical of them lies nearest to.
    Mean,
}

/// A case that was chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// Index among the candidates.
    pub candidate: usize,
    /// Distance to the nearest centre when it was chosen.
    pub distance: f64,
    /// That centre.
    pub nearest: Centre,
    /// Its rank by each criterion that was asked for, 1 the best, equal values sharing the mean of theirs.
    pub ranks: Vec<f64>,
    /// How many were left when it was chosen, itself included.
    pub of: usize,
}

/// Chooses all candidates one after the other, the best first: that of the least mean rank over `by`; of equal ones the first.
///
/// `labelled` are the mean tokens of the labelled cases. Without any the first case is the one nearest to the mean of all candidates where
/// distance counts.
pub fn order(candidates: &[Candidate<'_>], labelled: &[&[f32]], by: &[Criterion]) -> Vec<Chosen> {
    let mean = mean(candidates);
    let first = |candidate: &Candidate<'_>| {
        let centres = labelled.iter().enumerate().map(|(index, token)| (distance(candidate.token, token), Centre::Labelled(index)));
        centres.reduce(nearer).unwrap_or_else(|| (gap(candidate.token, &mean), Centre::Mean))
    };
    let mut nearest: Vec<(f64, Centre)> = candidates.iter().map(first).collect();
    let mut left: Vec<usize> = (0..candidates.len()).collect();
    let mut chosen = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let value = |criterion: Criterion, index: usize| match (criterion, nearest[index]) {
            (Criterion::Entropy, _) => candidates[index].entropy,
            (Criterion::Disagreement, _) => candidates[index].disagreement,
            (Criterion::Distance, (distance, Centre::Mean)) => -distance,
            (Criterion::Distance, (distance, _)) => distance,
        };
        let ranks: Vec<Vec<f64>> =
            by.iter().map(|&criterion| ranks(&left.iter().map(|&index| value(criterion, index)).collect::<Vec<_>>())).collect();
        let sum = |place: usize| ranks.iter().map(|ranks| ranks[place]).sum::<f64>();
        let best = (1..left.len()).fold(0, |best, place| if sum(place) < sum(best) { place } else { best });
        let (ranks, of) = (ranks.iter().map(|ranks| ranks[best]).collect(), left.len());
        let candidate = left.remove(best);
        let (distance_to, centre) = nearest[candidate];
        chosen.push(Chosen { candidate, distance: distance_to, nearest: centre, ranks, of });
        for &other in &left {
            let to_chosen = (distance(candidates[other].token, candidates[candidate].token), Centre::Chosen(candidate));
            nearest[other] = if nearest[other].1 == Centre::Mean { to_chosen } else { nearer(nearest[other], to_chosen) };
        }
    }
    chosen
}

/// Whether all tokens are the same: then a distance says nothing.
pub fn all_alike<'a>(mut tokens: impl Iterator<Item = &'a [f32]>) -> bool {
    let first = tokens.next();
    tokens.all(|token| Some(token) == first)
}

/// The nearer centre; of equal ones the first.
fn nearer(one: (f64, Centre), other: (f64, Centre)) -> (f64, Centre) {
    if other.0 < one.0 { other } else { one }
}

/// Euclidean distance of two tokens.
fn distance(one: &[f32], other: &[f32]) -> f64 {
    one.iter().zip(other).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum::<f64>().sqrt()
}

/// Euclidean distance of a token and a mean.
fn gap(token: &[f32], mean: &[f64]) -> f64 {
    token.iter().zip(mean).map(|(&a, &b)| (f64::from(a) - b).powi(2)).sum::<f64>().sqrt()
}

fn mean(candidates: &[Candidate<'_>]) -> Vec<f64> {
    let mut sums = vec![0.0; candidates.first().map_or(0, |candidate| candidate.token.len())];
    for candidate in candidates {
        sums.iter_mut().zip(candidate.token).for_each(|(sum, &value)| *sum += f64::from(value));
    }
    sums.iter_mut().for_each(|sum| *sum /= candidates.len() as f64);
    sums
}

/// Rank of each value, 1 the largest; equal values share the mean of their ranks.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut places: Vec<usize> = (0..values.len()).collect();
    places.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for equal in places.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = before as f64 + (equal.len() + 1) as f64 / 2.0;
        equal.iter().for_each(|&place| ranks[place] = rank);
        before += equal.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Candidates on a line.
    fn candidates<'a>(entropies: &[f64], tokens: &'a [[f32; 1]]) -> Vec<Candidate<'a>> {
        entropies.iter().zip(tokens).map(|(&entropy, token)| Candidate { entropy, disagreement: 0.0, token }).collect()
    }

    fn indices(chosen: &[Chosen]) -> Vec<usize> {
        chosen.iter().map(|chosen| chosen.candidate).collect()
    }

    #[test]
    fn equal_values_share_their_ranks() {
        assert_eq!(ranks(&[0.5, 2.0, 0.5, 1.0, 0.5]), [4.0, 1.0, 4.0, 2.0, 4.0]);
        assert_eq!(ranks(&[7.0; 4]), [2.5; 4]);
        assert_eq!(ranks(&[]), [0.0; 0]);
    }

    #[test]
    fn outliers_come_first_and_their_doubles_do_not_follow_them() {
        // Two groups far from the labelled case at 0, one farther than the other, and cases like the labelled one.
        let tokens = [[0.1], [10.0], [10.1], [-6.0], [0.2], [-6.1]];
        let chosen = order(&candidates(&[0.0; 6], &tokens), &[&[0.0]], &[Criterion::Distance]);
        assert_eq!(indices(&chosen)[..2], [2, 5], "the farthest of each group");
        assert_eq!((chosen[0].nearest, chosen[1].nearest), (Centre::Labelled(0), Centre::Labelled(0)));
        assert!((chosen[0].distance - 10.1).abs() < 1e-6 && (chosen[1].distance - 6.1).abs() < 1e-6);
        assert_eq!(indices(&chosen)[2], 4, "0.2 from the labelled one is more than 0.1 from a chosen one");
        let double = chosen.iter().find(|chosen| chosen.candidate == 1).unwrap();
        assert_eq!(double.nearest, Centre::Chosen(2));
        assert_eq!(chosen.iter().map(|chosen| chosen.of).collect::<Vec<_>>(), [6, 5, 4, 3, 2, 1]);
    }

    #[test]
    fn without_a_label_the_most_typical_case_comes_first_and_then_the_farthest_from_it() {
        let tokens = [[0.0], [4.9], [9.0], [5.5], [6.0]];
        let chosen = order(&candidates(&[0.0; 5], &tokens), &[], &[Criterion::Distance]);
        assert_eq!(indices(&chosen)[..3], [1, 0, 2], "5.08 is the mean");
        assert_eq!((chosen[0].nearest, chosen[1].nearest, chosen[1].ranks[0]), (Centre::Mean, Centre::Chosen(1), 1.0));
    }

    #[test]
    fn the_least_mean_rank_wins_and_ties_go_to_the_first() {
        let tokens = [[1.0], [3.0], [2.0], [0.0]];
        let both = [Criterion::Entropy, Criterion::Distance];
        // Ranks by entropy 1, 3, 2, 4 and by distance 3, 1, 2, 4: the first three tie.
        let all = candidates(&[0.9, 0.3, 0.5, 0.1], &tokens);
        let chosen = order(&all, &[&[0.0]], &both);
        assert_eq!((chosen[0].candidate, &chosen[0].ranks), (0, &vec![1.0, 3.0]));
        assert_eq!(*indices(&chosen).last().unwrap(), 3);
        assert_eq!(chosen, order(&all, &[&[0.0]], &both), "the same again");
        assert_eq!(indices(&order(&all, &[&[0.0]], &[Criterion::Entropy])), [0, 2, 1, 3]);
        let alike = candidates(&[0.5; 4], &[[1.0]; 4]);
        assert_eq!(indices(&order(&alike, &[&[0.0]], &both)), [0, 1, 2, 3]);
        assert!(order(&[], &[&[0.0]], &both).is_empty());
    }

    #[test]
    fn equal_tokens_are_seen() {
        let tokens = [[1.0, 2.0], [1.0, 2.0], [1.0, 2.5]];
        assert!(all_alike(tokens[..2].iter().map(<[f32; 2]>::as_slice)));
        assert!(!all_alike(tokens.iter().map(<[f32; 2]>::as_slice)));
    }
}
