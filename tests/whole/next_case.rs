//! `next`: which case to label next, as a user calls it.

use std::path::Path;

use crate::{refused, simtrot, succeed};

#[test]
fn a_pre_training_ranks_the_demo_and_what_cannot_be_measured_is_said_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut pretrain = simtrot(&["pretrain"]);
    pretrain.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/demo.ron")).arg("--out").arg(at("run"));
    for setting in ["pretrain.steps=1", "probe.volumes=2", "probe.crops=1", "probe.label_volumes=[2]"] {
        pretrain.args(["--set", setting]);
    }
    succeed(pretrain);
    let next = |data: &[&str], out: &str| {
        let mut next = simtrot(&["next"]);
        next.args(data).arg("--checkpoint").arg(at("run")).args(["--count", "3"]).arg("--out").arg(at(out));
        next
    };
    // By label maps, and by the split of the training, which tests twelve of them.
    for (data, out, labelled) in [(&["demo"][..], "by_maps", "(22 labelled)"), (&[], "by_split", "(10 labelled)")] {
        let told = succeed(next(data, out));
        for words in
            ["of 18 cases without labels", labelled, "and 15 more", "the nearest labelled case (rank 1 of 18)", "entropy was not measured"]
        {
            assert!(told.contains(words), "no {words:?} in: {told}");
        }
        let csv = std::fs::read_to_string(at(out).join("ranking.csv")).unwrap();
        assert_eq!(csv.lines().count(), 19, "{csv}");
        assert!(at(out).join("ranking.json").is_file());
    }
    let mut by = next(&[], "by_split");
    by.args(["--by", "disagreement"]);
    refused(by, 2, &["cannot be ranked by disagreement", "no network that segments was named"]);
    let mut by = next(&[], "by_split");
    by.args(["--by", "size"]);
    refused(by, 2, &["none of entropy, disagreement and distance"]);
    let mut set = next(&[], "by_split");
    set.args(["--set", "data.label_fraction=0.5"]);
    refused(set, 2, &["data.label_fraction", "a ranking of cases does not use it"]);
    let mut none = simtrot(&["next", "demo", "--checkpoint"]);
    none.arg(at("none")).arg("--out").arg(at("out"));
    refused(none, 2, &["no checkpoint there"]);
}
