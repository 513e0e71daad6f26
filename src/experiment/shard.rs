//! Shards: an experiment's trainings in so many shares of about the same work, for as many computers.

use std::collections::BTreeMap;

use super::Experiment;

/// One of the shares of an experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which, from 1.
    number: usize,
    /// Of how many.
    count: usize,
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.number, self.count)
    }
}

impl std::str::FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected I/N, the I-th of N shards, for example 1/4 to 4/4: shards count from 1".to_owned();
        let (number, count) = text.split_once('/').ok_or_else(expected)?;
        let whole = |text: &str| text.trim().parse::<usize>().map_err(|_| expected());
        let (number, count) = (whole(number)?, whole(count)?);
        if (1..=count).contains(&number) { Ok(Self { number, count }) } else { Err(expected()) }
    }
}

impl Experiment {
    /// The part of `trainings` that a shard makes. What starts from one pre-training stays together, and the shards' costs are as equal as
    /// that allows: the costliest first, each goes to the shard that has least. Who asks with the same config and the same costs, by
    /// training of the whole experiment, gets the same answer, however far the experiment is.
    pub fn share(&self, trainings: &[usize], costs: &[f64], shard: Shard) -> Vec<usize> {
        let mut groups: BTreeMap<usize, (f64, Vec<usize>)> = BTreeMap::new();
        for &training in trainings {
            let (cost, group) = groups.entry(self.trainings[training].after.unwrap_or(training)).or_default();
            *cost += costs[training];
            group.push(training);
        }
        let mut groups: Vec<_> = groups.into_values().collect();
        // Equal ones keep the order of the experiment.
        groups.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        let mut shards = vec![(0.0, Vec::new()); shard.count];
        for (cost, group) in groups {
            let least = shards.iter_mut().min_by(|(one, _), (other, _)| f64::total_cmp(one, other)).expect("there is a shard");
            least.0 += cost;
            least.1.extend(group);
        }
        let mut own = shards.swap_remove(shard.number - 1).1;
        own.sort_unstable();
        own
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::ExperimentConfig;

    /// Five pre-trainings with a fine-tuning each, and two trainings from scratch.
    fn experiment() -> Experiment {
        let text =
            r#"(name: "s", base: run(()), axes: [(name: "mask", key: "pretrain.mask_ratio", values: ["0", "0.2", "0.4", "0.6", "0.8"])])"#;
        Experiment::outline(ExperimentConfig::from_ron(text, "s.ron", Path::new("")).unwrap()).unwrap()
    }

    fn shares(experiment: &Experiment, trainings: &[usize], costs: &[f64], count: usize) -> Vec<Vec<usize>> {
        (1..=count).map(|number| experiment.share(trainings, costs, Shard { number, count })).collect()
    }

    #[test]
    fn every_training_has_one_shard_that_has_its_pretraining_too() {
        let experiment = experiment();
        let all: Vec<usize> = (0..experiment.trainings.len()).collect();
        let costs: Vec<f64> = all.iter().map(|&training| if experiment.trainings[training].after.is_some() { 1.0 } else { 3.0 }).collect();
        for count in 1..=9 {
            let shares = shares(&experiment, &all, &costs, count);
            let mut made = shares.concat();
            made.sort_unstable();
            assert_eq!(made, all, "each once, in {count} shards");
            for share in &shares {
                assert!(
                    share.is_sorted() && share.iter().all(|&own| experiment.trainings[own].after.is_none_or(|from| share.contains(&from)))
                );
            }
        }
        // Five pairs of 4, and two of 3 from scratch.
        let cost = |share: &Vec<usize>| share.iter().map(|&training| costs[training]).sum::<f64>();
        assert_eq!(shares(&experiment, &all, &costs, 2).iter().map(cost).collect::<Vec<_>>(), [12.0, 14.0]);
        assert_eq!(shares(&experiment, &all, &costs, 9).iter().filter(|share| share.is_empty()).count(), 2, "nine shards of seven groups");
        let some: Vec<usize> = all.iter().copied().filter(|&training| costs[training] < 3.0).collect();
        assert_eq!(shares(&experiment, &some, &costs, 5).iter().map(Vec::len).collect::<Vec<_>>(), [1; 5], "a part of the experiment");
    }

    #[test]
    fn a_shard_is_written_as_one_of_so_many_from_one() {
        for text in ["1/4", "4/4", "1/1"] {
            assert_eq!(text.parse::<Shard>().unwrap().to_string(), text);
        }
        for text in ["0/4", "5/4", "2", "a/b", "1/0", "-1/4", ""] {
            assert!(text.parse::<Shard>().unwrap_err().contains("count from 1"), "{text}");
        }
    }
}
