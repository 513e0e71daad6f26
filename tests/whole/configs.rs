//! Every config that ships is sound.

use std::path::{Path, PathBuf};

use simtrot::config::RunConfig;

fn configs(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.expect("a readable folder").path());
    let (folders, files): (Vec<_>, Vec<_>) = paths.partition(|path| path.is_dir());
    let files = files.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "ron"));
    files.chain(folders.iter().flat_map(|folder| configs(folder))).collect()
}

#[test]
fn every_shipped_config_is_sound() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    let files = configs(&root);
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).expect("found in its folder");
        let name = file.strip_prefix(&root).expect("found under it").display().to_string();
        let config = RunConfig::from_ron(&text, &name).unwrap_or_else(|error| panic!("{error}"));
        let resolved = config.resolved();
        for arm in config.arms.pretrain.iter().chain(&config.arms.finetune) {
            // A report lays the arms over what the run's folder keeps.
            let [own, replayed] =
                [&config, &resolved].map(|config| config.with_arm(arm).unwrap_or_else(|error| panic!("{name}, arm {}: {error}", arm.name)));
            assert_eq!(own.resolved(), replayed.resolved(), "{name}, arm {}", arm.name);
        }
        // What a run's folder keeps reads back as the same settings.
        let written = resolved.to_ron();
        assert_eq!(RunConfig::from_ron(&written, &name).unwrap_or_else(|error| panic!("{error}")), resolved, "{name}");
    }
}
