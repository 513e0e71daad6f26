//! What differs between settings, in plain words: no RON stands in a sentence.

use serde_json::Value;

use crate::config::RunConfig;

/// What is not read as a setting: names, and how they are compared.
const LEFT_OUT: [&str; 2] = ["name", "arms"];

/// What parts of keys and values are called.
const WORDS: [(&str, &str); 22] = [
    ("pretrain", "pre-training"),
    ("finetune", "fine-tuning"),
    ("infer", "inference"),
    ("evaluate", "evaluation"),
    ("model", "network"),
    ("lr", "learning rate"),
    ("encoder_lr", "encoder learning rate"),
    ("encoder_lr_decay", "encoder learning rate decay"),
    ("hd95_convention", "HD95 convention"),
    ("adam_w", "AdamW"),
    ("sgd", "SGD"),
    ("simtrot", "SimTROT"),
    ("b_trot", "B-TROT"),
    ("simclr", "SimCLR"),
    ("byol", "BYOL"),
    ("simmim", "SimMIM"),
    ("mae", "MAE"),
    ("rcr", "RCR"),
    ("ibot", "iBOT"),
    ("unetr", "UNETR"),
    ("swin_unetr", "Swin UNETR"),
    ("nnformer", "nnFormer"),
];

/// A setting in which some configs differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name: `pre-training mask ratio`.
    pub name: String,
    /// Its value in each config.
    pub values: Vec<String>,
}

/// The settings in which `configs` differ, with the value in each of them.
///
/// # Panics
/// Never: a config has no type that JSON cannot hold.
pub fn compared(configs: &[&RunConfig]) -> Vec<Setting> {
    let trees: Vec<Value> = configs.iter().map(|config| serde_json::to_value(config).expect("plain data becomes JSON")).collect();
    let mut found = Vec::new();
    compare(&mut Vec::new(), &trees.iter().collect::<Vec<_>>(), &mut found);
    found
}

/// The settings in which `own` departs from `base`: `pre-training rotate: off`.
pub fn departures(base: &RunConfig, own: &RunConfig) -> Vec<String> {
    compared(&[base, own]).into_iter().map(|Setting { name, values }| format!("{name}: {}", values[1])).collect()
}

fn compare<'a>(path: &mut Vec<&'a str>, values: &[&'a Value], found: &mut Vec<Setting>) {
    if values.windows(2).all(|pair| pair[0] == pair[1]) {
        return;
    }
    let maps: Option<Vec<_>> = values.iter().map(|value| value.as_object()).collect();
    // Variants of an enum have keys of their own: they are one value.
    match maps.filter(|maps| maps.windows(2).all(|pair| pair[0].keys().eq(pair[1].keys()))) {
        None => found.push(Setting { name: name(path), values: values.iter().map(|value| text(value)).collect() }),
        Some(maps) => {
            let is_root = path.is_empty();
            for key in maps[0].keys().filter(|key| !is_root || !LEFT_OUT.contains(&key.as_str())) {
                path.push(key);
                compare(path, &maps.iter().map(|map| &map[key]).collect::<Vec<_>>(), found);
                path.pop();
            }
        }
    }
}

fn name(path: &[&str]) -> String {
    path.iter().map(|key| word(key)).collect::<Vec<_>>().join(" ")
}

/// A key or a bare value in words; a path or a file's name as it is.
fn word(text: &str) -> String {
    let known = WORDS.iter().find(|(key, _)| *key == text).map(|(_, word)| (*word).to_owned());
    known.unwrap_or_else(|| if text.contains(['/', '.', '\\']) { text.to_owned() } else { text.replace('_', " ") })
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Bool(on) => if *on { "on" } else { "off" }.to_owned(),
        Value::Number(number) => number.to_string().trim_end_matches(".0").to_owned(),
        Value::String(text) => word(text),
        Value::Array(values) if values.is_empty() => "none".to_owned(),
        Value::Array(values) => {
            let separator = if values.len() == 3 && values.iter().all(Value::is_u64) { " × " } else { ", " };
            values.iter().map(text).collect::<Vec<_>>().join(separator)
        }
        Value::Object(map) => {
            let entry = |(key, value): (&String, &Value)| match value {
                Value::Object(inner) if inner.is_empty() => word(key),
                Value::Object(_) => format!("{} ({})", word(key), text(value)),
                _ => format!("{} {}", word(key), text(value)),
            };
            map.iter().map(entry).collect::<Vec<_>>().join(", ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Arm;

    #[test]
    fn what_differs_is_said_in_plain_words() {
        let base = RunConfig::default();
        let cases = [
            ("pretrain.rotate=off", "pre-training rotate: off"),
            ("pretrain.mask_ratio=0.5", "pre-training mask ratio: 0.5"),
            ("pretrain.task=b_trot", "pre-training task: B-TROT"),
            ("data.split_seed=3", "data split seed: 3"),
            (
                "finetune.optimiser={\"adam_w\":{\"lr\":1e-3,\"weight_decay\":3e-5}}",
                "fine-tuning optimiser: AdamW (learning rate 0.001, weight decay 0.00003)",
            ),
            ("pretrain.crop_size=[32,64,64]", "pre-training crop size: 32 × 64 × 64"),
            ("data.source={\"dataset\":\"data/Task_04\"}", "data source: dataset data/Task_04"),
        ];
        for (set, words) in cases {
            let own = base.with_arm(&Arm { set: vec![set.to_owned()], ..Arm::default() }).unwrap();
            assert_eq!(departures(&base, &own), [words], "{set}");
        }
        let lower = base.with_overrides(&["finetune.optimiser.sgd.lr=0.5".to_owned(), "name=other".to_owned()]).unwrap();
        let differing = compared(&[&base, &lower, &base]);
        assert_eq!(
            differing,
            [Setting {
                name: "fine-tuning optimiser SGD learning rate".into(),
                values: ["0.01", "0.5", "0.01"].map(str::to_owned).to_vec()
            }]
        );
    }
}
