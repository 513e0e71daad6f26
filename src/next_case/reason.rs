//! Why a case stands where it stands, in a sentence.

use super::{Basis, Centre, Chosen, Criterion, Measured};
use crate::wording::{list, sentence};

/// The numbers that decided, each with its rank. `nearest` is the case whose tokens are nearest.
pub(super) fn reason(measured: &Measured, (chosen, nearest): (&Chosen, Option<&str>), basis: &Basis) -> String {
    let part = |(&criterion, &rank): (&Criterion, &f64)| {
        let number = |value: Option<f32>| value.map_or_else(String::new, |value| significant(f64::from(value)));
        let text = match criterion {
            Criterion::Entropy if basis.networks.len() > 1 => {
                format!("the networks together are unsure by {} nats", number(measured.entropy))
            }
            Criterion::Entropy => format!("the network is unsure by {} nats", number(measured.entropy)),
            Criterion::Disagreement => {
                format!("the {} networks differ by {}", basis.networks.len(), number(measured.disagreement))
            }
            Criterion::Distance => away(chosen, nearest),
        };
        format!("{text} (rank {rank} of {})", chosen.of)
    };
    let parts: Vec<String> = basis.by.iter().zip(&chosen.ranks).map(part).collect();
    sentence(&format!("{}.", list(&parts)))
}

/// How far its tokens lie from the nearest centre.
fn away(chosen: &Chosen, nearest: Option<&str>) -> String {
    let far = significant(chosen.distance);
    match (chosen.nearest, nearest) {
        (Centre::Labelled(_), Some(name)) => format!("its tokens lie {far} from those of {name}, the nearest labelled case"),
        (_, Some(name)) => format!("its tokens lie {far} from those of {name}, the nearest, which stands above it"),
        (_, None) => format!("its tokens lie {far} from the mean of all: nothing is labelled yet, and the most typical case begins"),
    }
}

/// With three digits that count, and at least three decimals: distances may be small.
fn significant(value: f64) -> String {
    let decimals = if value > 0.0 { (2.0 - value.log10().floor()).clamp(3.0, 9.0) as usize } else { 3 };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_that_decided_is_told_with_its_rank() {
        let measured = Measured { entropy: Some(0.4123), disagreement: Some(0.25), ..Measured::default() };
        let basis =
            Basis { by: Criterion::ALL.to_vec(), networks: vec!["a".to_owned(), "b".to_owned(), "c".to_owned()], ..Basis::default() };
        let mut chosen = Chosen { candidate: 0, distance: 0.0213, nearest: Centre::Labelled(4), ranks: vec![1.0, 2.5, 7.0], of: 18 };
        assert_eq!(
            reason(&measured, (&chosen, Some("scan_7")), &basis),
            "The networks together are unsure by 0.412 nats (rank 1 of 18), the 3 networks differ by 0.250 (rank 2.5 of 18) and its tokens \
             lie 0.0213 from those of scan_7, the nearest labelled case (rank 7 of 18)."
        );
        chosen.nearest = Centre::Chosen(1);
        let basis = Basis { by: vec![Criterion::Distance], ..basis };
        let told = reason(&measured, (&chosen, Some("scan_7")), &basis);
        assert!(told.contains("which stands above it (rank 1 of 18).") && !told.contains("nats"), "{told}");
        chosen.nearest = Centre::Mean;
        let told = reason(&measured, (&chosen, None), &basis);
        assert!(told.starts_with("Its tokens lie 0.0213 from the mean of all: nothing is labelled yet"), "{told}");
    }
}
