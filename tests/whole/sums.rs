//! No loss and no norm adds a whole tensor up by the tensor library's own sum, whose order and length a device decides.

use std::path::Path;

/// Lines of `source` before its tests that add a whole tensor up, or take its mean.
fn whole_sums(source: &str) -> Vec<&str> {
    let own = source.split("#[cfg(test)]").next().unwrap_or_default();
    let of_an_iterator = |line: &str| [".iter", ".map(", ".values()", "filter"].iter().any(|word| line.contains(word));
    let adds = |line: &&str| line.contains(".mean()") || line.contains(".mean_dim(") || line.contains(".sum()") && !of_an_iterator(line);
    own.lines().filter(adds).collect()
}

#[test]
fn losses_and_norms_are_added_up_in_a_fixed_order() {
    let mut read = 0;
    for folder in ["src/objective", "src/train"] {
        for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).expect("the source folder") {
            let path = entry.expect("a readable folder").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.ends_with("_tests.rs") || !name.ends_with(".rs") {
                continue;
            }
            let source = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let found = whole_sums(&source);
            assert!(found.is_empty(), "{}: use kernels::sum, mean or mean_axis in {found:?}", path.display());
            read += 1;
        }
    }
    assert!(read > 20, "{read} files were read");
    assert_eq!(whole_sums("let a = x.square().sum();\nlet b: f64 = list.iter().sum();\nlet c = x.mean();").len(), 2);
}
