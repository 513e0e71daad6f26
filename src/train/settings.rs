//! Which settings of a training may change when it goes on, and which of them did.

use crate::config::RunConfig;

/// Keys of the settings in which two configs differ, those left out that may change when a run goes on: lengths, saving,
/// how test cases are scored, and where the data lie (their content is compared in its own right).
pub fn changed_settings(then: &RunConfig, now: &RunConfig) -> Vec<String> {
    let mut keys = Vec::new();
    differences(&comparable(&then.resolved()), &comparable(&now.resolved()), "", &mut keys);
    keys
}

/// A config as a tree without what may change when a run goes on.
fn comparable(config: &RunConfig) -> serde_json::Value {
    let mut tree = serde_json::to_value(config).expect("plain data becomes JSON");
    for part in ["pretrain", "finetune"] {
        for key in ["steps", "checkpoint_every", "checkpoint_minutes", "probe_every", "validate_every"] {
            if let Some(map) = tree[part].as_object_mut() {
                map.remove(key);
            }
        }
    }
    for key in ["name", "arms", "infer", "evaluate"] {
        tree.as_object_mut().expect("a config is a map").remove(key);
    }
    tree["data"].as_object_mut().expect("settings of the data are a map").remove("source");
    tree
}

fn differences(then: &serde_json::Value, now: &serde_json::Value, key: &str, keys: &mut Vec<String>) {
    match (then, now) {
        (serde_json::Value::Object(then), serde_json::Value::Object(now)) => {
            for name in then.keys().chain(now.keys().filter(|name| !then.contains_key(*name))) {
                let dotted = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                let null = serde_json::Value::Null;
                differences(then.get(name).unwrap_or(&null), now.get(name).unwrap_or(&null), &dotted, keys);
            }
        }
        _ if then != now => keys.push(key.to_owned()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_is_the_same_run_and_another_mask_ratio_is_not() {
        let change = |setting: &str| RunConfig::default().with_overrides(&[setting.to_owned()]).unwrap();
        let changed = |setting: &str| changed_settings(&RunConfig::default(), &change(setting));
        assert_eq!(changed("pretrain.steps=77"), [""; 0]);
        assert_eq!(changed("data.source={\"dataset\":\"moved\"}"), [""; 0]);
        assert_eq!(changed("pretrain.mask_ratio=0.1"), ["pretrain.mask_ratio"]);
    }
}
