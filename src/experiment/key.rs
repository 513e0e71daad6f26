//! What a training is known by: a digest of all that decides its result.

use serde_json::Value;

use crate::config::RunConfig;
use crate::digest::sha256;
use crate::protocol::{StageKind, TRAINING_VERSION};

/// A digest of all that decides a training's result: its settings, the version of the code that trains, the data (by their content where
/// it is known, so that the place of the same data does not count), and what it starts from: the key of a training, or the digest of a
/// checkpoint's weights.
///
/// Only departures from the defaults count, so that a setting added by a later version leaves finished trainings valid.
pub(super) fn key(kind: StageKind, config: &RunConfig, data: Option<&str>, from: Option<&str>) -> String {
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
        if let Some(Value::Object(settings)) = map.get_mut("data").filter(|_| data.is_some()) {
            settings.remove("source");
        }
        map.retain(|_, value| value.as_object().is_none_or(|map| !map.is_empty()));
    }
    let (from, data) = (from.unwrap_or("scratch"), data.unwrap_or("not known"));
    sha256(format!("{kind:?} from {from} version {TRAINING_VERSION} data {data} {departures}"))
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
        assert_ne!(of("(data: (split: hold_out(test: 0.2, validation: 0.0)))"), of("(data: (split: folds(folds: 5, fold: 0)))"));
        assert_ne!(key(StageKind::Finetune, &own("()"), None, Some("1")), of("()"));
        assert_ne!(key(StageKind::Finetune, &own("()"), Some("1"), None), of("()"));
    }
}
