//! Encoders whose numbers are known.

use rand::RngExt as _;

use super::*;
use crate::random::stream;

const GRID: [usize; 3] = [3, 3, 3];
const DIM: usize = 12;

fn close(got: Option<f64>, expected: f64, tolerance: f64) -> bool {
    got.is_some_and(|got| (got - expected).abs() <= tolerance)
}

/// A probe_set in which a token is `number(volume, crop, position, component)`.
fn probe_set(volumes: usize, crops: usize, mut number: impl FnMut(usize, usize, usize, usize) -> f32) -> ProbeTokens {
    let mut tokens = Vec::new();
    for volume in 0..volumes {
        for crop in 0..crops {
            for position in 0..27 {
                tokens.extend((0..DIM).map(|component| number(volume, crop, position, component)));
            }
        }
    }
    ProbeTokens { volumes, crops, positions: GRID, dim: DIM, tokens }
}

/// Noise that is a function of its key.
fn noise(key: &str, a: usize, b: usize) -> f32 {
    stream(5, key, a as u64, b as u64).random_range(-1.0..1.0)
}

fn by_position(volumes: usize, crops: usize) -> ProbeTokens {
    probe_set(volumes, crops, |_, _, position, component| noise("position", position, component))
}

#[test]
fn tokens_by_position_alone_are_collapsed() {
    let probe_set = by_position(8, 2);
    // However the volume is rotated, such an encoder gives the same tokens.
    let numbers = Collapse::measure(ProbeSets { original: &probe_set, rotated: Some(&probe_set), reflected: Some(&probe_set) });
    for eta2 in [numbers.eta2, numbers.eta2_turned, numbers.index_lock, numbers.retrieval_wrong_volume] {
        assert!(close(eta2, 1.0, 1e-9), "{numbers:?}");
    }
    assert!(close(numbers.volume_share, 0.0, 1e-9) && close(numbers.remainder_share, 0.0, 1e-9));
    assert!(numbers.anatomy_lock.unwrap() < 0.3 && numbers.gap.unwrap() > 0.7, "{numbers:?}");
    assert_eq!(numbers.residual_rankme, None);
    assert!(close(numbers.content_probe_accuracy, 1.0 / 8.0, 1e-9), "chance");
    assert_eq!(verdict(&numbers, &Collapse::default()).unwrap().verdict, Verdict::Collapsed);
}

#[test]
fn tokens_by_content_alone_are_healthy() {
    let original = probe_set(8, 2, |volume, _, _, component| noise("content", volume, component));
    let numbers = Collapse::measure(ProbeSets { original: &original, rotated: Some(&original), reflected: Some(&original) });
    assert!(close(numbers.eta2, 0.0, 1e-9) && close(numbers.volume_share, 1.0, 1e-9) && close(numbers.eta2_turned, 0.0, 1e-9));
    assert!(close(numbers.gap, 0.0, 1e-9) && close(numbers.content_probe_accuracy, 1.0, 1e-9) && close(numbers.alignment, 0.0, 1e-9));
    assert!(numbers.position_probe_r2.unwrap().abs() < 1e-6, "{numbers:?}");
}

#[test]
fn anatomy_is_found_again_in_the_reflected_volume() {
    let original = probe_set(6, 1, |volume, _, position, component| noise("anatomy", volume * 27 + position, component));
    let reflected = probe_set(6, 1, |volume, _, position, component| noise("anatomy", volume * 27 + 26 - position, component));
    let numbers = Collapse::measure(ProbeSets { original: &original, rotated: Some(&original), reflected: Some(&reflected) });
    assert!(close(numbers.anatomy_lock, 1.0, 1e-6) && close(numbers.alignment, 0.0, 1e-9));
    assert!(numbers.index_lock.unwrap().abs() < 0.15, "{numbers:?}");
    assert_eq!(verdict(&numbers, &Collapse::default()).unwrap().verdict, Verdict::Healthy);
}

/// Of independent tokens, positions explain (P - 1) of nP - 1 degrees of freedom, crops n - 1.
#[test]
fn noise_explains_as_much_as_its_degrees_of_freedom() {
    let original = probe_set(20, 1, |volume, _, position, component| noise("noise", volume * 27 + position, component));
    let numbers = Collapse::measure(ProbeSets { original: &original, rotated: None, reflected: None });
    let all = (20 * 27 - 1) as f64;
    assert!(close(numbers.eta2, 26.0 / all, 0.012), "{numbers:?}");
    assert!(close(numbers.volume_share, 19.0 / all, 0.012));
    assert!(close(numbers.gap, 0.0, 0.02) && numbers.position_probe_r2.unwrap() < 0.05);
    assert!(numbers.rankme.unwrap() > 11.5 && numbers.residual_rankme.unwrap() > 11.5, "{numbers:?}");
    assert_eq!((numbers.eta2_turned, numbers.index_lock, numbers.alignment), (None, None, None));
}

#[test]
fn a_constant_encoder_leaks_no_nan() {
    let original = probe_set(4, 2, |_, _, _, component| component as f32 + 1.0);
    let numbers = Collapse::measure(ProbeSets { original: &original, rotated: Some(&original), reflected: Some(&original) });
    for none in [numbers.eta2, numbers.eta2_turned, numbers.volume_share, numbers.index_lock, numbers.anatomy_lock, numbers.residual_rankme]
    {
        assert_eq!(none, None);
    }
    assert!(close(numbers.rankme, 1.0, 1e-12) && close(numbers.gap, 0.0, 1e-9) && close(numbers.uniformity, 0.0, 1e-6), "{numbers:?}");
    assert!(close(numbers.content_probe_accuracy, 0.25, 0.0) && close(numbers.position_probe_r2, 0.0, 1e-9));
    assert_eq!(verdict(&numbers, &numbers).unwrap().verdict, Verdict::Collapsed);
    let text = serde_json::to_string(&numbers).unwrap();
    assert_eq!(serde_json::from_str::<Collapse>(&text).unwrap().rankme, numbers.rankme);

    let broken = probe_set(4, 2, |_, _, _, _| f32::NAN);
    let labelled = LabelledTokens { labels: 1, shares: vec![0.5; broken.len()], tokens: broken.clone() };
    assert_eq!(label_probe(&labelled, &labelled, &[2]), LabelProbe::default());
    assert_eq!(Collapse::measure(ProbeSets { original: &broken, rotated: None, reflected: None }), Collapse::default());
    let zeros = Collapse::measure(ProbeSets { original: &probe_set(4, 1, |_, _, _, _| 0.0), rotated: None, reflected: None });
    assert_eq!((zeros.eta2, zeros.rankme, zeros.spectrum.len()), (None, None, 0));
    assert_eq!(verdict(&zeros, &zeros).unwrap().verdict, Verdict::Collapsed);
}

/// Orthogonal directions of equal weight: the rank is their number, with or without a Gram matrix of tokens smaller than dim.
#[test]
fn the_effective_rank_counts_equal_directions() {
    for rank in [1, 3, 9] {
        let original = probe_set(6, 1, |_, _, position, component| f32::from(u8::from(component == position % rank)));
        let numbers = Collapse::measure(ProbeSets { original: &original, rotated: None, reflected: None });
        assert!(close(numbers.rankme, rank as f64, 1e-3 * rank as f64), "{rank}: {:?}", numbers.rankme);
        assert!((numbers.spectrum[0] - 1.0 / rank as f64).abs() < 1e-4);
    }
    let few = ProbeTokens { volumes: 2, crops: 1, positions: [1, 1, 2], dim: DIM, tokens: by_position(1, 1).tokens[..4 * DIM].to_vec() };
    assert_eq!(Collapse::measure(ProbeSets { original: &few, rotated: None, reflected: None }).spectrum.len(), 4);
}

#[test]
fn coordinates_are_read_off_where_they_are_written() {
    let original = probe_set(6, 1, |volume, _, position, component| match component {
        0 => 1.0,
        1..=3 => 0.1 * [position / 9, position / 3 % 3, position % 3][component - 1] as f32,
        _ => 0.01 * noise("else", volume * 27 + position, component),
    });
    let numbers = Collapse::measure(ProbeSets { original: &original, rotated: None, reflected: None });
    assert!(numbers.position_probe_r2.unwrap() > 0.95, "{numbers:?}");
}

/// A label that is written into the tokens is found by tokens, one that goes by position is found by both.
#[test]
fn the_label_probe_tells_tokens_from_position() {
    let labelled = |volumes: usize, start: usize, by_position: bool| {
        let tokens = probe_set(volumes, 1, |volume, _, position, component| noise("label", (start + volume) * 27 + position, component));
        let share = |token: usize| if by_position { (token % 27) as f32 / 27.0 } else { 0.5 + 0.4 * tokens.tokens[token * DIM] };
        let shares = (0..tokens.len()).flat_map(|token| [share(token), 0.0]).collect();
        LabelledTokens { labels: 2, shares, tokens }
    };
    let probe = label_probe(&labelled(10, 0, false), &labelled(5, 10, false), &[1, 4, 10, 99]);
    assert_eq!(probe.tokens.keys().copied().collect::<Vec<_>>(), [1, 4, 10], "99 volumes there are not");
    assert!(probe.tokens[&10] > 0.99 && probe.tokens[&1] > 0.9, "{probe:?}");
    assert!(probe.position[&10] < 0.1, "{probe:?}");
    let probe = label_probe(&labelled(10, 0, true), &labelled(5, 10, true), &[10]);
    assert!(probe.position[&10] > 0.99 && probe.tokens[&10] < 0.1, "{probe:?}");
    let labels = Collapse::default().with_labels(probe.clone());
    assert_eq!(labels.label_probe_r2, probe.tokens);
}

#[test]
fn gap_and_rank_alone_are_those_of_the_whole_measurement() {
    let original =
        probe_set(4, 1, |volume, _, position, component| noise("mixed", volume, component) + 0.5 * noise("place", position, component));
    let numbers = Collapse::measure(ProbeSets { original: &original, rotated: None, reflected: None });
    assert!(numbers.gap.is_some() && gap(&original) == numbers.gap && rankme(&original) == numbers.rankme);
    let mut broken = original;
    broken.tokens[5] = f32::NAN;
    assert_eq!((gap(&broken), rankme(&broken)), (None, None));
}
