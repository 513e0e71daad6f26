//! One word and one sentence about an encoder, for someone who does not read eta².
//!
//! Every threshold is one of the constants here; what shows a verdict shows them with it ([`THRESHOLDS`]).

use serde::{Deserialize, Serialize};

use super::Collapse;

/// Below this share of a token that its position decides (`eta2_turned`), health; below this index lock as well.
pub const HEALTHY_BELOW: f64 = 0.5;
/// From this share on, collapse, unless tokens follow the anatomy all the same.
pub const COLLAPSED_FROM: f64 = 0.8;
/// From this index lock on, tokens are bound to their position if they follow the anatomy less.
pub const BOUND_LOCK: f64 = 0.2;
/// Below this anatomy lock, tokens hardly follow the anatomy.
pub const WEAK_LOCK: f64 = 0.3;
/// Up to so much beside the untrained encoder, the position's share and the index lock are no different from it. 400 steps of MAE moved them
/// by 0.001, of SimMIM by 0.03; those of the tasks that compare tokens or vectors by more.
pub const SAME_POSITION: f64 = 0.05;
/// The same of the anatomy lock, which rises first: MAE moved it by 0.003, SimMIM by 0.07, RCR by 0.15, SimTROT by 0.95.
pub const SAME_ANATOMY: f64 = 0.1;

/// The thresholds, and what they were calibrated on.
pub const THRESHOLDS: &str = "Thresholds: healthy while the position decides less than 0.5 of a token (eta2 turned) and the index lock is below \
     0.5, or below 0.2 where the anatomy lock is no higher; collapsed from 0.8 on, unless tokens follow the anatomy; between them partly \
     position-bound. Not trained yet: eta2 turned and index lock within 0.05, and anatomy lock within 0.1, of the untrained network. \
     Calibrated with SimTROT on nnFormer and hippocampus crops, where eta2 turned was 0.10 untrained, 0.996 collapsed, 0.55 half cured \
     (w = 50 without rotation) and 0.47 cured by rotation.";

/// What has become of the encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// No different from the untrained encoder.
    Untrained,
    /// The position decides the lesser part of a token.
    Healthy,
    /// The position decides much of a token, or tokens keep to it rather than follow the anatomy.
    PartlyBound,
    /// Tokens follow their index only, or are all equal.
    Collapsed,
}

impl Verdict {
    /// All of them, the best first.
    pub const ALL: [Self; 4] = [Self::Healthy, Self::PartlyBound, Self::Collapsed, Self::Untrained];

    /// In a word or two.
    pub fn word(self) -> &'static str {
        match self {
            Self::Untrained => "not trained yet",
            Self::Healthy => "healthy",
            Self::PartlyBound => "partly position-bound",
            Self::Collapsed => "collapsed",
        }
    }
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
/// `None` if the probe set of rotated volumes was not measured, or the encoder gave no finite numbers.
pub fn verdict(collapse: &Collapse, untrained: &Collapse) -> Option<Judgement> {
    let judged = |verdict, sentence: String| Some(Judgement { verdict, sentence });
    // Tokens that differ have a variance, and so its shares; uniformity is there for any tokens.
    let constant = collapse.eta2.is_none() && collapse.uniformity.is_some();
    if constant {
        return judged(Verdict::Collapsed, "Every token is the same, whatever is in the image.".to_owned());
    }
    let eta2 = collapse.eta2_turned?;
    let locks = collapse.index_lock.zip(collapse.anatomy_lock);
    let percent = 100.0 * eta2;
    let position = format!("The position in the crop decides {percent:.0} % of a token");
    if is_untrained(collapse, untrained) {
        return judged(
            Verdict::Untrained,
            format!("{position}, as in the untrained network: training has changed nothing that is measured here."),
        );
    }
    let follows_anatomy = locks.is_some_and(|(index, anatomy)| anatomy > index);
    if eta2 >= COLLAPSED_FROM && !follows_anatomy {
        let sentence = format!("The position in the crop alone decides {percent:.0} % of a token: what is in the image hardly counts.");
        return judged(Verdict::Collapsed, sentence);
    }
    let (index, anatomy) = locks.unwrap_or((0.0, 1.0));
    if eta2 >= HEALTHY_BELOW || index >= HEALTHY_BELOW {
        let beside = if follows_anatomy { ", though tokens follow the anatomy as well" } else { "" };
        return judged(Verdict::PartlyBound, format!("{position}{beside}."));
    }
    if index >= BOUND_LOCK && !follows_anatomy {
        let sentence = format!(
            "{position}, and tokens keep to their position (index lock {index:.2}) more than they follow the anatomy ({anatomy:.2})."
        );
        return judged(Verdict::PartlyBound, sentence);
    }
    let sentence = match locks {
        None => format!("{position}."),
        Some(_) if anatomy < WEAK_LOCK => format!("{position}; tokens hardly follow the anatomy yet (anatomy lock {anatomy:.2})."),
        Some(_) => format!("{position}; tokens follow what is in the image."),
    };
    judged(Verdict::Healthy, sentence)
}

/// Whether none of the three numbers distinguishes the encoder from its untrained self.
fn is_untrained(collapse: &Collapse, untrained: &Collapse) -> bool {
    let near = |value: fn(&Collapse) -> Option<f64>, allowed: f64| match (value(collapse), value(untrained)) {
        (Some(now), Some(before)) => (now - before).abs() <= allowed,
        (now, before) => now == before,
    };
    untrained.eta2_turned.is_some()
        && near(|c| c.eta2_turned, SAME_POSITION)
        && near(|c| c.index_lock, SAME_POSITION)
        && near(|c| c.anatomy_lock, SAME_ANATOMY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured([eta2_turned, index_lock, anatomy_lock]: [f64; 3]) -> Collapse {
        let some = |value: f64| Some(value);
        Collapse {
            eta2: some(0.8),
            eta2_turned: some(eta2_turned),
            index_lock: some(index_lock),
            anatomy_lock: some(anatomy_lock),
            ..Collapse::default()
        }
    }

    /// eta2 turned, index lock and anatomy lock of nnFormer before and after the demo's trainings, projected tokens where a task has them.
    const UNTRAINED: [f64; 3] = [0.134, 0.072, -0.026];

    fn word(now: [f64; 3], untrained: [f64; 3]) -> Verdict {
        verdict(&measured(now), &measured(untrained)).unwrap().verdict
    }

    #[test]
    fn an_encoder_that_stands_where_it_began_is_not_trained_yet() {
        // After 12 steps, every number at its untrained value.
        let fresh = verdict(&measured([0.137, 0.075, -0.021]), &measured(UNTRAINED)).unwrap();
        assert!(fresh.verdict == Verdict::Untrained && fresh.sentence.contains("14 %") && !fresh.sentence.contains("follow"), "{fresh:?}");
        assert_eq!(word(UNTRAINED, UNTRAINED), Verdict::Untrained);
        // Masked reconstruction leaves them there; an untrained U-Net's index lock lies above its anatomy lock all by itself.
        assert_eq!(word([0.163, 0.101, 0.047], UNTRAINED), Verdict::Untrained);
        assert_eq!(word([0.074, -0.006, 0.272], [0.073, -0.006, 0.269]), Verdict::Untrained);
        assert_eq!(word([0.201, 0.174, -0.024], [0.198, 0.170, -0.026]), Verdict::Untrained);
    }

    #[test]
    fn more_than_half_bound_to_the_position_is_not_healthy() {
        let judged = verdict(&measured([0.528, 0.516, 0.924]), &measured(UNTRAINED)).unwrap();
        assert!(judged.verdict == Verdict::PartlyBound && judged.sentence.contains("53 %"), "{judged:?}");
        assert_eq!(word([0.855, 0.816, 0.829], [0.198, 0.170, -0.026]), Verdict::PartlyBound);
        assert_eq!(word([0.453, 0.372, 0.015], UNTRAINED), Verdict::PartlyBound, "the locks are asked as well");
        assert_eq!(word([0.3, 0.8, 0.1], UNTRAINED), Verdict::PartlyBound);
    }

    #[test]
    fn the_calibration_and_the_demo_are_judged_as_they_were_found() {
        for (now, untrained, expected) in [
            ([0.996, 0.99, -0.05], [0.10, 0.02, -0.03], Verdict::Collapsed),
            ([0.984, 0.983, 0.031], UNTRAINED, Verdict::Collapsed),
            ([0.55, 0.5, 0.6], [0.10, 0.02, -0.03], Verdict::PartlyBound),
            ([0.47, 0.24, 0.93], [0.10, 0.02, -0.03], Verdict::Healthy),
            ([0.223, 0.165, 0.170], UNTRAINED, Verdict::Healthy),
            ([0.113, 0.061, 0.128], UNTRAINED, Verdict::Healthy),
            ([0.111, 0.101, 0.377], UNTRAINED, Verdict::Healthy),
            ([0.067, -0.002, 0.779], [0.051, -0.042, 0.242], Verdict::Healthy),
        ] {
            assert_eq!(word(now, untrained), expected, "{now:?} beside {untrained:?}");
        }
        let weak = verdict(&measured([0.223, 0.165, 0.170]), &measured(UNTRAINED)).unwrap();
        assert!(weak.sentence.contains("hardly follow the anatomy"), "{weak:?}");
    }

    #[test]
    fn the_thresholds_printed_are_those_of_the_verdict() {
        let word = |eta2: f64| word([eta2, 0.05, 0.05], UNTRAINED);
        assert_eq!(
            [word(0.49), word(0.5), word(0.79), word(0.8)],
            [Verdict::Healthy, Verdict::PartlyBound, Verdict::PartlyBound, Verdict::Collapsed]
        );
        for threshold in [HEALTHY_BELOW, COLLAPSED_FROM, BOUND_LOCK, SAME_POSITION, SAME_ANATOMY] {
            assert!(THRESHOLDS.contains(&threshold.to_string()), "{threshold} is not printed");
        }
    }

    #[test]
    fn missing_numbers_give_no_verdict_but_equal_tokens_do() {
        assert_eq!(verdict(&Collapse::default(), &Collapse::default()), None);
        let constant = Collapse { uniformity: Some(0.0), ..Collapse::default() };
        assert_eq!(verdict(&constant, &Collapse::default()).unwrap().verdict, Verdict::Collapsed);
        let alone = verdict(&measured([0.137, 0.075, -0.021]), &Collapse::default()).unwrap();
        assert_eq!(alone.verdict, Verdict::Healthy, "without the untrained numbers, no one can say that nothing has changed");
    }
}
