//! One word and one sentence about an encoder, for someone who does not read eta².

use serde::{Deserialize, Serialize};

use super::Collapse;

/// From here on the way from the untrained encoder (0) to a pure function of the index (1), `eta2_turned` means collapse.
/// In the calibration collapsed encoders stood at 0.996 of it.
const COLLAPSED_FROM: f64 = 0.8;
/// Below this, health: the encoder cured by rotation stood at 0.41, one half cured (w = 50, no rotation) at 0.50.
const HEALTHY_BELOW: f64 = 0.5;
/// Below this a lock says nothing: those of an untrained encoder lie around 0.07.
pub const LEAST_LOCK: f64 = 0.1;
/// Least part of the scale that is left above the untrained encoder, so that one near 1 (strong position codes) divides nothing by 0.
const LEAST_ROOM: f64 = 0.05;

/// What has become of the encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Tokens follow what they see.
    Healthy,
    /// Tokens are on the way to follow their index only.
    Drifting,
    /// Tokens follow their index only, or are all equal.
    Collapsed,
}

/// A verdict and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// The word.
    pub verdict: Verdict,
    /// The sentence.
    pub sentence: String,
}

/// Judges an encoder beside its untrained self, by `eta2_turned` and the pair of locks.
///
/// `None` if the bank of turned volumes was not measured, or the encoder gave no finite numbers.
pub fn verdict(collapse: &Collapse, untrained: &Collapse) -> Option<Judgement> {
    let judged = |verdict, sentence: String| Some(Judgement { verdict, sentence });
    // Tokens that differ have a variance, and so its shares; uniformity is there for any tokens.
    let constant = collapse.eta2.is_none() && collapse.uniformity.is_some();
    if constant {
        return judged(Verdict::Collapsed, "Every token is the same, whatever is in the image.".to_owned());
    }
    let turned = collapse.eta2_turned?;
    let start = untrained.eta2_turned.unwrap_or(0.0);
    let risen = (turned - start) / (1.0 - start).max(LEAST_ROOM);
    // Of the point-reflected volume a token keeps either its index or its anatomy.
    let locks = collapse.index_lock.zip(collapse.anatomy_lock).filter(|(index, anatomy)| index.max(*anatomy) > LEAST_LOCK);
    let follows_anatomy = locks.map(|(index, anatomy)| anatomy > index);
    let percent = turned * 100.0;
    if risen >= COLLAPSED_FROM && follows_anatomy != Some(true) {
        let sentence = format!("The place in the crop alone decides {percent:.0} % of a token: what is in the image hardly counts.");
        return judged(Verdict::Collapsed, sentence);
    }
    if risen < HEALTHY_BELOW && follows_anatomy != Some(false) {
        let sentence = match follows_anatomy {
            Some(_) => format!("Tokens follow what is in the image; the place in the crop decides {percent:.0} % of them."),
            None => {
                format!("The place in the crop decides {percent:.0} % of a token; tokens do not follow the anatomy either: train longer.")
            }
        };
        return judged(Verdict::Healthy, sentence);
    }
    let sentence =
        format!("The place in the crop decides {percent:.0} % of a token, and its share should not grow: watch it, or turn rotation on.");
    judged(Verdict::Drifting, sentence)
}

/// Where `eta2_turned` leaves health, and where collapse begins, beside an untrained encoder: the bands of a plot. The locks have
/// their say as well, so that a verdict may be worse than its band.
pub fn borders(untrained: &Collapse) -> [f64; 2] {
    let start = untrained.eta2_turned.unwrap_or(0.0);
    [HEALTHY_BELOW, COLLAPSED_FROM].map(|share| start + share * (1.0 - start).max(LEAST_ROOM))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(eta2_turned: f64, index_lock: f64, anatomy_lock: f64) -> Collapse {
        let some = |value: f64| Some(value);
        Collapse {
            eta2: some(0.8),
            eta2_turned: some(eta2_turned),
            index_lock: some(index_lock),
            anatomy_lock: some(anatomy_lock),
            ..Collapse::default()
        }
    }

    #[test]
    fn the_calibration_is_judged_as_it_was_found() {
        let untrained = measured(0.10, 0.3, 0.3);
        let word = |collapse: &Collapse| verdict(collapse, &untrained).unwrap().verdict;
        assert_eq!(word(&measured(0.996, 0.99, -0.05)), Verdict::Collapsed);
        assert_eq!(word(&measured(0.47, 0.24, 0.93)), Verdict::Healthy);
        assert_eq!(word(&measured(0.55, 0.5, 0.6)), Verdict::Drifting);
        assert_eq!(word(&measured(0.3, 0.8, 0.1)), Verdict::Drifting, "the locks are asked as well");
        let fresh = verdict(&measured(0.10, 0.02, -0.03), &untrained).unwrap();
        assert!(fresh.verdict == Verdict::Healthy && fresh.sentence.contains("train longer"), "{fresh:?}");
    }

    #[test]
    fn the_borders_are_those_of_the_verdict() {
        let untrained = measured(0.10, 0.3, 0.3);
        let [drifting, collapsed] = borders(&untrained);
        let word = |turned: f64| verdict(&measured(turned, 0.05, 0.05), &untrained).unwrap().verdict;
        assert_eq!((word(drifting - 1e-6), word(drifting + 1e-6)), (Verdict::Healthy, Verdict::Drifting));
        assert_eq!((word(collapsed - 1e-6), word(collapsed + 1e-6)), (Verdict::Drifting, Verdict::Collapsed));
    }

    #[test]
    fn missing_numbers_give_no_verdict_but_equal_tokens_do() {
        assert_eq!(verdict(&Collapse::default(), &Collapse::default()), None);
        let constant = Collapse { uniformity: Some(0.0), ..Collapse::default() };
        assert_eq!(verdict(&constant, &Collapse::default()).unwrap().verdict, Verdict::Collapsed);
    }
}
