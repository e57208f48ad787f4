//! The top-level folders, and what may not lie in the repository.

use tests::repository::{root, text_files};

use super::assert_none;

#[test]
fn the_top_level_has_the_folders_of_the_design() {
    // spec: CARD-10
    let folders = [
        "orchestrator",
        "worker-shim",
        "ipc-protocol",
        "nodes",
        "python",
        "tests",
        "benches",
        "config",
    ];
    let missing = folders.iter().filter(|folder| {
        let prefix = format!("{folder}/");
        !text_files().iter().any(|file| file.path.starts_with(&prefix))
    });
    let missing: Vec<String> = missing.map(|folder| (*folder).to_owned()).collect();
    assert_none("folders that are missing or empty", &missing);
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap_or_default();
    assert!(manifest.contains("[workspace]"), "Cargo.toml is the workspace's");
}

#[test]
fn the_papers_are_there() {
    let papers = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "ipc-protocol/PROTOCOL.md",
    ];
    let missing =
        papers.iter().filter(|paper| !text_files().iter().any(|file| file.path == **paper));
    let missing: Vec<String> = missing.map(|paper| (*paper).to_owned()).collect();
    assert_none("papers that are missing", &missing);
}

#[test]
fn modules_have_a_file_of_their_own_name() {
    let rust = text_files().iter().filter(|file| file.has_extension("rs"));
    let paths: Vec<&str> = rust.map(|file| file.path.as_str()).collect();
    assert!(!paths.is_empty(), "no Rust file was looked at");
    let old = paths.iter().filter(|path| path.ends_with("/mod.rs"));
    let old: Vec<String> = old.map(|path| (*path).to_owned()).collect();
    assert_none("modules in mod.rs instead of a file of their name", &old);
}
