//! Gathers every out-of-range value of a config, so that one look shows them all.

use std::collections::BTreeSet;
use std::fmt::{Arguments, Display};
use std::ops::RangeInclusive;

/// One refused value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem {
    /// Dotted key, for example `pretrain.mask_ratio`.
    pub key: String,
    /// What is wrong and what is allowed.
    pub message: String,
}

/// Collects [`ConfigProblem`]s.
#[derive(Debug, Default)]
pub struct Checker {
    problems: Vec<ConfigProblem>,
}

/// The numbers of a setting, each of which must lie within its range: one, several, or none where it isn't set.
pub trait Numbers {
    /// Their type.
    type Number: PartialOrd + Copy + Display;

    /// All of them, in order.
    fn numbers(&self) -> Vec<Self::Number>;
}

macro_rules! single_numbers {
    ($($number:ty)+) => {$(
        impl Numbers for $number {
            type Number = Self;

            fn numbers(&self) -> Vec<Self> {
                vec![*self]
            }
        }
    )+};
}
single_numbers!(f64 usize);

macro_rules! several_numbers {
    ($([$($generic:tt)*] $several:ty;)+) => {$(
        impl<T: Numbers, $($generic)*> Numbers for $several {
            type Number = T::Number;

            fn numbers(&self) -> Vec<T::Number> {
                self.iter().flat_map(T::numbers).collect()
            }
        }
    )+};
}
several_numbers!([] Option<T>; [] Vec<T>; [const N: usize] [T; N];);

/// A group of settings, the default and the range of each in one place.
pub(super) trait Settings {
    /// Refuses each setting that lies outside its range; `key` is the group's.
    fn check_ranges(&self, key: &str, checker: &mut Checker);
}

/// Defines a group of settings: each field once, as `name: type = default`, with `in range` behind it where it holds numbers that
/// must lie in one.
macro_rules! settings {
    ($(#[$doc:meta])* pub struct $group:ident {
        $($(#[$field_doc:meta])* $field:ident: $type:ty = $default:expr $(, in $range:expr)?;)+
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $group {
            $($(#[$field_doc])* pub $field: $type,)+
        }

        impl Default for $group {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }

        impl $crate::config::check::Settings for $group {
            fn check_ranges(&self, key: &str, checker: &mut $crate::config::check::Checker) {
                let _ = (key, &checker);
                $($(checker.within(&format!("{key}.{}", stringify!($field)), &self.$field, $range);)?)+
            }
        }
    };
}
pub(super) use settings;

impl Checker {
    /// Refuses each number of a setting outside `allowed`.
    pub fn within<N: Numbers + ?Sized>(&mut self, key: &str, setting: &N, allowed: RangeInclusive<N::Number>) {
        let (low, high) = (allowed.start(), allowed.end());
        for value in setting.numbers() {
            self.require(key, allowed.contains(&value), format_args!("is {value}; allowed is {low} to {high}"));
        }
    }

    /// Refuses a list that has not one entry for each stage of the list `like`.
    pub fn entries(&mut self, key: &str, found: usize, stages: usize, like: &str) {
        self.require(key, found == stages, format_args!("needs {stages} entries, one for each stage of `{like}`; has {found}"));
    }

    /// Refuses attention heads that do not share the channels evenly; `place` says where, or nothing.
    pub fn heads(&mut self, key: &str, place: &str, heads: usize, channels: usize) {
        let fits = heads > 0 && channels.is_multiple_of(heads.max(1));
        self.require(key, fits, format_args!("{place}{heads} heads do not divide {channels} channels"));
    }

    /// Refuses attention heads of the stages of a network that do not share the channels of their stage, `dim`, evenly.
    pub fn heads_of_stages(&mut self, heads: &[usize], stages: usize, dim: impl Fn(usize) -> usize) {
        for (stage, &heads) in heads.iter().enumerate().take(stages) {
            self.heads("model.num_heads", &format!("stage {stage}: "), heads, dim(stage));
        }
    }

    /// Refuses a `name` that can't be a folder's on every system.
    pub fn folder_name(&mut self, name: &str) {
        let is_plain = !name.is_empty() && !name.starts_with('.') && name.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c));
        self.require("name", is_plain, format_args!("{name:?} must be letters, digits, '-', '_' or '.'"));
    }

    /// Refuses each of `names` that stood there before, with what `message` says of it.
    pub fn distinct<'a>(&mut self, key: &str, names: impl IntoIterator<Item = &'a String>, message: impl Fn(&str) -> String) {
        let mut known = BTreeSet::new();
        for name in names {
            self.require(key, known.insert(name), format_args!("{}", message(name)));
        }
    }

    /// Refuses with `message` unless `holds`.
    pub fn require(&mut self, key: &str, holds: bool, message: Arguments<'_>) {
        if !holds {
            self.problems.push(ConfigProblem { key: key.to_owned(), message: message.to_string() });
        }
    }

    /// All problems found, in the order of the checks.
    pub fn into_problems(self) -> Vec<ConfigProblem> {
        self.problems
    }
}
