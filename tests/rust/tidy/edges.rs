//! Crate edges: which crates may depend on each other, and external crates that only one of them
//! may use.

use std::process::Command;

use serde_json::Value;
use tests::repository::root;

use super::assert_none;

/// Crates of the product, their folders, and the crates of the product that each may use.
const EDGES: &[(&str, &str, &[&str])] = &[
    ("ipc-protocol", "ipc-protocol", &[]),
    ("nodes", "nodes", &["ipc-protocol"]),
    ("orchestrator", "orchestrator", &["nodes", "ipc-protocol"]),
    ("durable", "durable", &["orchestrator", "ipc-protocol"]),
    ("worker-shim", "worker-shim", &["ipc-protocol"]),
    (
        "remotemedia-python",
        "python",
        &["durable", "orchestrator", "worker-shim", "nodes", "ipc-protocol"],
    ),
];

/// Crates that may use anything: nothing of the product depends on them.
const OUTSIDE: &[&str] = &["tests", "benches"];

/// Outside crates (by the start of their names) that only some crates of the product may use.
const HOMES: &[(&str, &[&str])] = &[
    ("pyo3", &["remotemedia-python"]),
    ("numpy", &["remotemedia-python"]),
    ("rustpython", &["worker-shim"]),
    ("rmp", &["ipc-protocol"]),
    // The driver of PostgreSQL needs it.
    ("tokio", &["orchestrator", "durable"]),
    ("rusqlite", &["durable"]),
    ("clap", &["orchestrator"]),
    ("rubato", &["nodes"]),
    ("symphonia", &["nodes"]),
];

fn packages() -> Vec<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline", "--manifest-path"])
        .arg(root().join("Cargo.toml"))
        .output()
        .unwrap_or_else(|error| panic!("cargo metadata: {error}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("cargo metadata wrote no JSON: {error}"));
    metadata["packages"].as_array().cloned().unwrap_or_default()
}

fn name(package: &Value) -> &str {
    package["name"].as_str().unwrap_or_default()
}

fn dependencies(package: &Value) -> Vec<&str> {
    package["dependencies"].as_array().into_iter().flatten().map(name).collect()
}

#[test]
fn crates_depend_on_each_other_in_one_direction() {
    let packages = packages();
    let members: Vec<&str> = packages.iter().map(name).collect();
    let mut broken = Vec::new();
    let mut edges = 0;
    for package in packages.iter().filter(|package| !OUTSIDE.contains(&name(package))) {
        let Some((_, _, allowed)) =
            EDGES.iter().find(|(crate_name, ..)| *crate_name == name(package))
        else {
            broken.push(format!("{} has no place in the list of crates", name(package)));
            continue;
        };
        let inner = dependencies(package).into_iter().filter(|other| members.contains(other));
        for other in inner {
            edges += 1;
            if !allowed.contains(&other) {
                broken.push(format!("{} uses {other}", name(package)));
            }
        }
    }
    assert!(edges > 0, "no edge was looked at");
    assert_none("edges that must not exist", &broken);
}

#[test]
fn every_crate_of_the_list_exists_in_its_folder() {
    let packages = packages();
    let missing = EDGES.iter().filter(|(crate_name, folder, _)| {
        let manifest = root().join(folder).join("Cargo.toml");
        let expected = manifest.to_string_lossy();
        !packages.iter().any(|package| {
            name(package) == *crate_name && package["manifest_path"].as_str() == Some(&*expected)
        })
    });
    let missing: Vec<String> = missing.map(|(crate_name, ..)| (*crate_name).to_owned()).collect();
    assert_none("crates that are not where they belong", &missing);
}

#[test]
fn outside_crates_stay_in_their_homes() {
    let packages = packages();
    let mut broken = Vec::new();
    let mut looked_at = 0;
    for package in packages.iter().filter(|package| !OUTSIDE.contains(&name(package))) {
        for dependency in dependencies(package) {
            let in_family = |prefix: &str| {
                dependency
                    .strip_prefix(prefix)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
            };
            for (_, homes) in HOMES.iter().filter(|(prefix, _)| in_family(prefix)) {
                looked_at += 1;
                if !homes.contains(&name(package)) {
                    let homes = homes.join(", ");
                    broken.push(format!(
                        "{} uses {dependency}, whose home is {homes}",
                        name(package)
                    ));
                }
            }
        }
    }
    assert!(looked_at > 0, "no outside crate was looked at");
    assert_none("crates outside their homes", &broken);
}

#[test]
fn every_crate_inherits_the_lints() {
    let packages = packages();
    assert!(packages.len() >= EDGES.len(), "cargo metadata listed {} packages", packages.len());
    let manifests = packages.iter().filter_map(|package| package["manifest_path"].as_str());
    let deaf = manifests.filter(|path| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        !text.contains("[lints]\nworkspace = true")
    });
    let deaf: Vec<String> = deaf.map(str::to_owned).collect();
    assert_none("crates without `[lints] workspace = true`", &deaf);
}
