//! Parity with the reference implementations, driven by `manifest.json`.
//!
//! An entry is recognised by its structure (kind, reference, tensor and hyper-parameter names), never by its file
//! name, so that other sets of the same kinds can be tested with `SIMTROT_FIXTURES=DIR`. Of such a set an entry that no check is
//! for is reported by name as `not yet`; of ours it is an error, as is a check that no entry is for.

mod augment;
mod losses;
mod metrics;
mod networks;
mod nnformer;
mod optimiser;
mod preprocess;
mod sliding_window;
mod swin_unetr;
mod unetr;
mod windows;

use std::collections::BTreeSet;

use crate::fixtures::{Entry, entries};

/// What checking an entry brought: one outcome for each compared tensor.
pub type Outcomes = Vec<Result<f64, String>>;

/// A check, and which entries it is for.
struct Check {
    what: &'static str,
    applies: fn(&Entry) -> bool,
    run: fn(&Entry) -> Outcomes,
}

/// Every kind of entry that is built.
const CHECKS: &[Check] = &[
    Check { what: "intensity changes", applies: augment::is_intensity, run: augment::intensity },
    Check { what: "mask", applies: augment::is_mask, run: augment::mask },
    Check { what: "rotate and restore", applies: augment::is_turn, run: augment::turn },
    Check { what: "sliding window", applies: sliding_window::applies, run: sliding_window::run },
    Check { what: "token contrast", applies: losses::is_token_contrast, run: losses::token_contrast },
    Check { what: "Dice and cross-entropy", applies: losses::is_segmentation, run: losses::segmentation },
    Check { what: "Dice and HD95", applies: metrics::applies, run: metrics::run },
    Check { what: "optimiser and schedule", applies: optimiser::applies, run: optimiser::run },
    Check { what: "preprocessing", applies: preprocess::applies, run: preprocess::run },
    Check { what: "UNETR", applies: unetr::is_network, run: unetr::network },
    Check { what: "plain transformer", applies: unetr::is_encoder, run: unetr::encoder },
    Check { what: "losses of whole volumes", applies: losses::is_global, run: losses::global },
    Check { what: "released code", applies: losses::is_released_code, run: losses::released_code },
    Check { what: "nnFormer", applies: nnformer::applies, run: nnformer::run },
    Check { what: "Swin UNETR", applies: swin_unetr::applies, run: swin_unetr::run },
    Check { what: "window tables", applies: windows::applies, run: windows::run },
];

#[test]
fn every_entry_of_the_manifest_matches_its_reference() {
    let ours = std::env::var_os("SIMTROT_FIXTURES").is_none();
    let mut failures = Vec::new();
    let mut used = BTreeSet::new();
    for entry in entries() {
        let mut known = false;
        for check in CHECKS.iter().filter(|check| (check.applies)(&entry)) {
            known = true;
            used.insert(check.what);
            let outcomes = (check.run)(&entry);
            assert!(!outcomes.is_empty(), "{}: {} compared nothing", entry.name, check.what);
            let (passed, failed): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
            let worst = passed.iter().flatten().fold(0.0_f64, |worst, &used| worst.max(used));
            println!(
                "{:28} {:28} {} within tolerance (most used: {:.2}), {} off",
                entry.name,
                check.what,
                passed.len(),
                worst,
                failed.len()
            );
            failures.extend(failed.into_iter().filter_map(Result::err));
        }
        if !known {
            println!("{:28} not yet", entry.name);
            assert!(!ours, "{}: no check is for it", entry.name);
        }
    }
    for check in CHECKS.iter().filter(|check| ours && !used.contains(check.what)) {
        failures.push(format!("{}: no entry is for it", check.what));
    }
    assert!(failures.is_empty(), "{} values off:\n{}", failures.len(), failures.join("\n"));
}
