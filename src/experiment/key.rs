//! What a training is known by: a digest of all that decides its result.

use serde_json::Value;

use crate::config::RunConfig;
use crate::digest::sha256;
use crate::protocol::{StageKind, TRAINING_VERSION};

/// Networks with a setting that came after their trainings had keys, and that counts only where it is on: of a network that is not the
/// default's every other setting counts.
const LATER: [(&str, &str); 2] = [("unetr", "deep_supervision"), ("swin_unetr", "deep_supervision")];

/// A digest of all that decides a training's result: its settings, the version of the code that trains, the data (by their content where
/// it is known, so that the place of the same data does not count), and what it starts from: the key of a training, or the digest of a
/// checkpoint's weights.
///
/// Only departures from the defaults count, so that a setting added by a later version leaves finished trainings valid.
pub(super) fn key(kind: StageKind, config: &RunConfig, data: Option<&str>, from: Option<&str>) -> String {
    let settings = settings(kind, config, data.is_some());
    let (from, data) = (from.unwrap_or("scratch"), data.unwrap_or("not known"));
    sha256(format!("{kind:?} from {from} version {TRAINING_VERSION} data {data} {settings}"))
}

/// The settings that count, as far as they depart from the defaults.
fn settings(kind: StageKind, config: &RunConfig, data_is_known: bool) -> Value {
    let idle: &[&str] = match kind {
        StageKind::Pretrain => &["name", "arms", "finetune", "infer", "evaluate"],
        _ => &["name", "arms", "pretrain", "probe"],
    };
    let tree = |config: &RunConfig| serde_json::to_value(config).expect("a config has no type that JSON cannot hold");
    let mut departures = departures(tree(config), &tree(&RunConfig::default().resolved())).unwrap_or_default();
    if let Value::Object(map) = &mut departures {
        map.retain(|key, _| !idle.contains(&key.as_str()));
        for part in ["pretrain", "finetune"] {
            if let Some(Value::Object(settings)) = map.get_mut(part) {
                settings.retain(|key, _| !["checkpoint_every", "checkpoint_minutes"].contains(&key.as_str()));
            }
        }
        if let Some(Value::Object(settings)) = map.get_mut("data").filter(|_| data_is_known) {
            settings.remove("source");
        }
        for (network, setting) in LATER {
            if let Some(Value::Object(settings)) = map.get_mut("model").and_then(|model| model.get_mut(network)) {
                settings.retain(|key, value| key != setting || *value == Value::Bool(true));
            }
        }
        map.retain(|_, value| value.as_object().is_none_or(|map| !map.is_empty()));
    }
    departures
}

/// What of `value` differs from `default`; none where nothing does.
fn departures(value: Value, default: &Value) -> Option<Value> {
    match (value, default) {
        (Value::Object(map), Value::Object(defaults)) => {
            let own = map.into_iter().filter_map(|(key, value)| {
                let departure = match defaults.get(&key) {
                    Some(default) => departures(value, default)?,
                    None => value,
                };
                Some((key, departure))
            });
            let own: serde_json::Map<_, _> = own.collect();
            // Another variant of an enum without a field that departs is no default either.
            (!own.is_empty()).then_some(Value::Object(own))
        }
        (value, default) => (value != *default).then_some(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_counts_departures_from_the_defaults_only() {
        let own = |text: &str| RunConfig::from_ron(text, "x").unwrap().resolved();
        let of = |text: &str| key(StageKind::Finetune, &own(text), None, None);
        assert_eq!(of("(name: \"a\")"), of("(name: \"b\", pretrain: (steps: 3), finetune: (steps: 1000))"));
        assert_ne!(of("(seed: 1)"), of("()"));
        let pretraining = |text: &str| key(StageKind::Pretrain, &own(text), None, None);
        assert_eq!(pretraining("(pretrain: (rotation_code: false, reconstruction_weight: 0.0))"), pretraining("()"));
        assert_ne!(pretraining("(pretrain: (rotation_code: true))"), pretraining("()"));
        assert_ne!(of("(data: (split: hold_out(test: 0.2, validation: 0.0)))"), of("(data: (split: folds(folds: 5, fold: 0)))"));
        assert_ne!(key(StageKind::Finetune, &own("()"), None, Some("1")), of("()"));
        assert_ne!(key(StageKind::Finetune, &own("()"), Some("1"), None), of("()"));
    }

    #[test]
    fn a_later_setting_of_a_network_counts_only_where_it_is_on() {
        for (network, setting) in LATER {
            let of = |text: &str| settings(StageKind::Finetune, &RunConfig::from_ron(text, "x").unwrap().resolved(), false);
            let [plain, off, on] = ["", ": false", ": true"].map(|value| {
                let set = if value.is_empty() { String::new() } else { format!("{setting}{value}") };
                of(&format!("(model: {network}(({set})))"))
            });
            assert_eq!(plain, off);
            assert!(plain["model"][network].get(setting).is_none() && plain["model"][network].get("feature_size").is_some(), "{plain}");
            assert_eq!(on["model"][network][setting], Value::Bool(true));
        }
    }
}
