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
