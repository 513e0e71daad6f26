//! Gathers every out-of-range value of a config, so that one look shows them all.

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

impl Checker {
    /// Refuses `value` outside `allowed`.
    pub fn range<T: PartialOrd + Copy + Display>(&mut self, key: &str, value: T, allowed: RangeInclusive<T>) {
        let (low, high) = (allowed.start(), allowed.end());
        self.require(key, *low <= value && value <= *high, format_args!("is {value}; allowed is {low} to {high}"));
    }

    /// Refuses each of `values` outside `allowed`.
    pub fn each<T: PartialOrd + Copy + Display>(&mut self, key: &str, values: &[T], allowed: RangeInclusive<T>) {
        values.iter().for_each(|&value| self.range(key, value, allowed.clone()));
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
