//! What is said of an encoder to someone who does not read eta²: a word, what it means, and what to try.

use crate::config::{PretrainConfig, Rotate};
use crate::metrics::collapse::{Collapse, Judgement, Verdict, verdict};
use crate::wording::sentence;

/// The least mask ratio that was tried; less is not advised.
const LITTLE_MASKED: f64 = 0.25;

/// What is said of an encoder, whether or not there is a verdict.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessment {
    /// None where it cannot be judged.
    pub verdict: Option<Verdict>,
    /// In a word or two.
    pub word: String,
    /// What it means.
    pub sentence: String,
    /// What to try.
    pub advice: String,
}

impl Assessment {
    /// Of the newest measurement, beside that of the untrained network.
    pub fn new(now: &Collapse, untrained: &Collapse, config: &PretrainConfig) -> Self {
        if let Some(Judgement { verdict, sentence: why }) = verdict(now, untrained) {
            return Self { verdict: Some(verdict), word: sentence(verdict.word()), sentence: why, advice: advice(verdict, config) };
        }
        let (word, sentence, advice) = if now.uniformity.is_none() {
            (
                "Not a number",
                "Some tokens were not finite numbers when they were measured: there is nothing to judge.",
                "lower the learning rate (pretrain.optimiser.lr), or check the volumes with `simtrot check`.",
            )
        } else {
            (
                "Not judged",
                "The rotated volumes were not measured, and the verdict rests on them.",
                "measure the checkpoint again with this version.",
            )
        };
        Self { verdict: None, word: word.to_owned(), sentence: sentence.to_owned(), advice: advice.to_owned() }
    }

    /// Before anything was measured.
    pub fn unmeasured(sentence: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { verdict: None, word: "Nothing measured yet".to_owned(), sentence: sentence.into(), advice: advice.into() }
    }
}

/// What may help, never what is set already. Rotation was the cure in the method's calibration; a weight of 5 changed nothing that
/// could be measured; the less was masked, the less of a token its position decided.
fn advice(verdict: Verdict, config: &PretrainConfig) -> String {
    let rotates = config.task.rotates_as_set();
    match verdict {
        Verdict::Untrained => {
            "train on, and look again later. If the run has ended, take more steps (pretrain.steps) or a larger learning rate \
             (pretrain.optimiser.lr)."
                .to_owned()
        }
        Verdict::Healthy => "nothing needs to change. Go on, and look again later: the loss does not show a collapse.".to_owned(),
        _ if rotates && config.rotate == Rotate::Off => {
            "turn rotation on (pretrain.rotate: full). It is what cures this; raising w without it changes little.".to_owned()
        }
        _ if rotates && config.rotate == Rotate::InPlane => {
            "rotate volumes about all axes (pretrain.rotate: full); so far they are rotated in plane.".to_owned()
        }
        _ if rotates && config.mask_ratio > LITTLE_MASKED => {
            let ratio = config.mask_ratio;
            format!("mask less (pretrain.mask_ratio, now {ratio}): the less is masked, the less of a token its position decides.")
        }
        _ => format!("take more volumes in a batch (pretrain.batch, now {}), or train longer.", config.batch),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PretextTask;

    const UNTRAINED: [f64; 3] = [0.134, 0.072, -0.026];

    fn numbers([eta2_turned, index_lock, anatomy_lock]: [f64; 3]) -> Collapse {
        Collapse {
            eta2: Some(0.8),
            uniformity: Some(-2.0),
            eta2_turned: Some(eta2_turned),
            index_lock: Some(index_lock),
            anatomy_lock: Some(anatomy_lock),
            ..Collapse::default()
        }
    }

    fn config(rotate: Rotate, mask_ratio: f64) -> PretrainConfig {
        PretrainConfig { rotate, mask_ratio, ..PretrainConfig::default() }
    }

    #[test]
    fn what_to_try_depends_on_what_was_tried() {
        let bound = [0.65, 0.5, 0.6];
        for (now, config, word, advice) in [
            ([0.99, 0.9, 0.0], config(Rotate::Off, 0.75), "Collapsed", "turn rotation on"),
            (bound, config(Rotate::Full, 0.75), "Partly position-bound", "mask less (pretrain.mask_ratio, now 0.75)"),
            (bound, config(Rotate::InPlane, 0.75), "Partly position-bound", "all axes"),
            (bound, config(Rotate::Full, 0.25), "Partly position-bound", "pretrain.batch"),
            ([0.4, 0.2, 0.9], config(Rotate::Full, 0.75), "Healthy", "nothing needs to change"),
            ([0.137, 0.075, -0.021], PretrainConfig::default(), "Not trained yet", "train on"),
        ] {
            let found = Assessment::new(&numbers(now), &numbers(UNTRAINED), &config);
            assert!(found.word == word && found.advice.contains(advice), "{found:?}");
        }
    }

    #[test]
    fn advice_never_names_what_is_set_already() {
        for now in [UNTRAINED, [0.163, 0.101, 0.047], [0.453, 0.372, 0.015], [0.528, 0.516, 0.924], [0.99, 0.98, 0.0]] {
            let rotated = config(Rotate::Full, 0.75);
            // Cut-outs are rotated and cut out as the task has it, whatever is set.
            let cut_out = PretrainConfig { task: PretextTask::Rcr, rotate: Rotate::Off, ..rotated.clone() };
            for config in [rotated, cut_out] {
                let found = Assessment::new(&numbers(now), &numbers(UNTRAINED), &config);
                assert!(!found.advice.contains("rotat"), "{found:?}");
            }
        }
    }

    #[test]
    fn numbers_that_are_missing_are_not_judged() {
        let word = |now: &Collapse| Assessment::new(now, &numbers(UNTRAINED), &PretrainConfig::default()).word;
        assert_eq!(word(&Collapse::default()), "Not a number");
        assert_eq!(word(&Collapse { eta2_turned: None, ..numbers([0.0; 3]) }), "Not judged");
    }
}
