//! A course over the steps of a training that stays small however long the training is.

use std::collections::BTreeMap;
use std::ops::Deref;

use super::{CollapsePair, StepNumbers};

/// Something that a training tells again and again.
pub trait Entry: Clone {
    /// Groups that are kept at most, beside the newest entries.
    const MOST_GROUPS: usize;
    /// Newest entries that are kept as they are, at least.
    const NEWEST: usize;

    /// Optimiser steps done when it was told.
    fn step(&self) -> usize;

    /// What stands for some that follow each other.
    fn merged(group: &[Self]) -> Self;
}

/// The entries of a training in order: all of them, until they are too many. Then the older ones are merged in groups of one size,
/// which doubles whenever the groups are too many; the newest always stay as they were told.
///
/// Which entries are merged depends on nothing but the entries, so that a record read again gives the same course.
#[derive(Clone, Debug, PartialEq)]
pub struct Thinned<T> {
    /// Groups first, then single entries.
    kept: Vec<T>,
    groups: usize,
    group_size: usize,
    told: usize,
}

impl<T> Default for Thinned<T> {
    fn default() -> Self {
        Self { kept: Vec::new(), groups: 0, group_size: 1, told: 0 }
    }
}

impl<T: Entry> Thinned<T> {
    /// Adds the next entry.
    pub fn push(&mut self, entry: T) {
        self.kept.push(entry);
        self.told += 1;
        if self.kept.len() - self.groups < T::NEWEST + self.group_size {
            return;
        }
        self.merge(self.groups, self.groups + self.group_size);
        self.groups += 1;
        if self.groups == T::MOST_GROUPS {
            let pairs: Vec<T> = self.kept[..self.groups].chunks(2).map(T::merged).collect();
            let merged = pairs.len();
            self.kept.splice(..self.groups, pairs);
            (self.groups, self.group_size) = (merged, 2 * self.group_size);
        }
    }

    fn merge(&mut self, from: usize, to: usize) {
        if to - from > 1 {
            let merged = T::merged(&self.kept[from..to]);
            self.kept.splice(from..to, [merged]);
        }
    }

    /// Forgets what was told after `step`; of a group that reaches beyond it, all.
    pub fn forget_after(&mut self, step: usize) {
        self.kept.retain(|entry| entry.step() <= step);
        self.groups = self.groups.min(self.kept.len());
    }

    /// How many entries were added in all: another number after each.
    pub fn told(&self) -> usize {
        self.told
    }

    /// How many entries each of the older ones stands for; 1 where none were merged.
    pub fn group_size(&self) -> usize {
        self.group_size
    }
}

impl<T> Deref for Thinned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.kept
    }
}

impl<'a, T> IntoIterator for &'a Thinned<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.kept.iter()
    }
}

/// A group is the mean of its steps under the number of the last, its memory the largest.
impl Entry for StepNumbers {
    const MOST_GROUPS: usize = 8192;
    const NEWEST: usize = 128;

    fn step(&self) -> usize {
        self.step
    }

    fn merged(group: &[Self]) -> Self {
        let mean = |value: fn(&Self) -> f64| group.iter().map(value).sum::<f64>() / group.len() as f64;
        let mut parts: BTreeMap<&String, (f64, usize)> = BTreeMap::new();
        for (name, value) in group.iter().flat_map(|numbers| &numbers.parts) {
            let (sum, count) = parts.entry(name).or_default();
            (*sum, *count) = (*sum + value, *count + 1);
        }
        Self {
            step: group.last().map_or(0, |last| last.step),
            loss: mean(|numbers| numbers.loss),
            parts: parts.into_iter().map(|(name, (sum, count))| (name.clone(), sum / count as f64)).collect(),
            lr: mean(|numbers| numbers.lr),
            grad_norm: mean(|numbers| numbers.grad_norm),
            step_secs: mean(|numbers| numbers.step_secs),
            volumes_per_sec: mean(|numbers| numbers.volumes_per_sec),
            resident_mib: group.iter().filter_map(|numbers| numbers.resident_mib).reduce(f64::max),
        }
    }
}

/// The first of a group stands for it: the untrained encoder stays.
impl Entry for (usize, CollapsePair) {
    const MOST_GROUPS: usize = 512;
    const NEWEST: usize = 64;

    fn step(&self) -> usize {
        self.0
    }

    fn merged(group: &[Self]) -> Self {
        group[0].clone()
    }
}

/// The first of a group stands for it.
impl Entry for (usize, f64) {
    const MOST_GROUPS: usize = 4096;
    const NEWEST: usize = 64;

    fn step(&self) -> usize {
        self.0
    }

    fn merged(group: &[Self]) -> Self {
        group[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = StepNumbers::MOST_GROUPS + 2 * StepNumbers::NEWEST;

    fn course(steps: usize) -> Thinned<StepNumbers> {
        let mut course = Thinned::default();
        (1..=steps).for_each(|step| course.push(numbers(step)));
        course
    }

    fn numbers(step: usize) -> StepNumbers {
        StepNumbers { step, loss: step as f64, resident_mib: Some((step % 1000) as f64), ..StepNumbers::default() }
    }

    #[test]
    fn a_short_course_is_whole() {
        let course = course(8000);
        assert!(course.len() == 8000 && course.group_size() == 1);
        assert!(course.iter().enumerate().all(|(index, numbers)| numbers.step == index + 1 && numbers.loss == numbers.step as f64));
    }

    #[test]
    fn a_long_course_stays_small_and_keeps_means_peaks_of_memory_and_its_newest_steps() {
        let steps = 250_000;
        let mut course = Thinned::default();
        for step in 1..=steps {
            course.push(numbers(step));
            assert!(course.len() <= MOST, "{} entries at step {step}", course.len());
        }
        let size = course.group_size();
        assert!(size >= 32);
        for pair in course.windows(2) {
            let group = pair[1].step - pair[0].step;
            assert!(group == size || group == 1);
            let mean = pair[1].step as f64 - (group - 1) as f64 / 2.0;
            assert!((pair[1].loss - mean).abs() < 1e-6, "step {}", pair[1].step);
        }
        let newest: Vec<usize> = course[course.len() - 100..].iter().map(|numbers| numbers.step).collect();
        assert_eq!(newest, (steps - 99..=steps).collect::<Vec<_>>());
        assert_eq!(course.iter().filter_map(|numbers| numbers.resident_mib).reduce(f64::max), Some(999.0));
    }

    #[test]
    fn what_came_after_a_checkpoint_is_forgotten_and_the_course_goes_on_in_order() {
        for done in [100_000, 199_950] {
            let mut course = course(200_000);
            course.forget_after(done);
            assert!(course.last().unwrap().step <= done && course.last().unwrap().step + course.group_size() > done);
            (done + 1..=230_000).for_each(|step| course.push(numbers(step)));
            assert!(course.windows(2).all(|pair| pair[0].step < pair[1].step) && course.len() <= MOST);
            assert_eq!(course.last().unwrap().step, 230_000);
        }
    }

    #[test]
    fn the_untrained_encoder_stays_first() {
        let mut course = Thinned::default();
        (0..100_000).for_each(|step| course.push((step, f64::from(u8::from(step == 0)))));
        assert!(course[0] == (0, 1.0) && course.len() < 4400 && course.last().unwrap().0 == 99_999);
    }
}
