//! Layers: the top-level modules of a crate name each other in one direction only.

use std::collections::BTreeSet;

use tests::modules::{Edges, circles, edges, product};

use super::assert_none;

#[test]
fn modules_form_layers() {
    let modules = product();
    let crates: BTreeSet<&str> = modules.iter().map(|module| module.crate_folder).collect();
    let mut broken = Vec::new();
    for folder in &crates {
        let edges = edges(modules.iter().filter(|module| module.crate_folder == *folder));
        assert!(!edges.is_empty(), "{folder}: no module that names another was found");
        for circle in circles(&edges) {
            broken.push(format!("{folder}: {}", described(&circle, &edges)));
        }
    }
    assert!(crates.len() > 5, "only {crates:?} were looked at");
    assert_none("modules that name each other in a circle", &broken);
}

/// Describes a circle with all of its edges.
fn described(circle: &[&str], edges: &Edges) -> String {
    let mut lines = vec![circle.join(", ")];
    for from in circle {
        for (to, places) in edges.get(from).into_iter().flatten() {
            if circle.contains(to) {
                let places = places.iter().map(|place| format!("    {from} -> {to}: {place}"));
                lines.extend(places);
            }
        }
    }
    lines.join("\n")
}
