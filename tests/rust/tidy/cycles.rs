//! Layers: the top-level modules of a crate name each other in one direction only.

use std::collections::BTreeSet;

use tests::modules::{Edges, circles, edges, product};

use super::assert_none;

/// Circles that are still there: the crate, and the modules in them.
const KNOWN: &[(&str, &[&str])] = &[
    // A session holds the runtime that opens it; this goes when it is handed only what it asks of it.
    ("orchestrator", &["runtime", "session"]),
];

#[test]
fn modules_form_layers() {
    let modules = product();
    let crates: BTreeSet<&str> = modules.iter().map(|module| module.crate_folder).collect();
    let mut broken = Vec::new();
    let mut gone: Vec<String> = KNOWN.iter().map(|known| format!("{known:?}")).collect();
    for folder in &crates {
        let edges = edges(modules.iter().filter(|module| module.crate_folder == *folder));
        assert!(!edges.is_empty(), "{folder}: no module that names another was found");
        for circle in circles(&edges) {
            let known = (*folder, circle.as_slice());
            if KNOWN.contains(&known) {
                gone.retain(|text| *text != format!("{known:?}"));
            } else {
                broken.push(format!("{folder}: {}", described(&circle, &edges)));
            }
        }
    }
    assert!(crates.len() > 5, "only {crates:?} were looked at");
    assert_none("modules that name each other in a circle", &broken);
    assert_none("circles that are gone, and still stand in tests/rust/tidy/cycles.rs", &gone);
}

/// A circle with every edge in it.
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
