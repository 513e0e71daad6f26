//! Notes the commit the program is built from, so that every run on disk can name it.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rustc-env=SIMTROT_COMMIT={}", commit().unwrap_or_else(|| "unknown".to_owned()));
    for path in ["build.rs", "Cargo.toml", "Cargo.lock", "src"] {
        println!("cargo::rerun-if-changed={path}");
    }
}

/// The checked-out commit, marked when tracked files differ from it; none without git or outside a checkout of its own.
fn commit() -> Option<String> {
    // A copy of the sources inside another project's checkout has a prefix there: that commit is not ours.
    if !git(&["rev-parse", "--show-prefix"])?.is_empty() {
        return None;
    }
    // HEAD moves by itself on a checkout, and through its branch on a commit; a branch may also lie packed.
    let branch = git(&["rev-parse", "--symbolic-full-name", "HEAD"])?;
    for name in ["HEAD", &branch, "packed-refs"] {
        let path = git(&["rev-parse", "--git-path", name])?;
        if Path::new(&path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let changed = !git(&["status", "--porcelain", "--untracked-files=no", "--", "src", "Cargo.toml", "Cargo.lock", "build.rs"])?.is_empty();
    Some(if changed { format!("{commit}-changed") } else { commit })
}

/// What git prints, or none where it is missing or refuses.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
