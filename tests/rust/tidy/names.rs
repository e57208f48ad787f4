//! Names of types that once stood for several things stand for one.

use super::{assert_none, product_rust};

/// Each name, and the file with its one definition; the glossary says what it means.
const DEFINED_IN: &[(&str, &str)] = &[
    ("Place", "orchestrator/src/plan.rs"),
    ("Output", "ipc-protocol/src/from_worker.rs"),
    ("State", "orchestrator/src/schedule/slots/slot.rs"),
    ("Memory", ""),
];

#[test]
fn a_name_means_one_type() {
    let files = product_rust();
    let defines = |code: &str, name: &str| {
        // The types of traits are named by the traits.
        let lines = code.lines().filter(|line| !line.starts_with("    type "));
        let code = lines.collect::<Vec<_>>().join("\n");
        let words: Vec<&str> = code.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        words
            .windows(2)
            .any(|pair| ["struct", "enum", "trait", "type"].contains(&pair[0]) && pair[1] == name)
    };
    for (name, home) in DEFINED_IN {
        let found = files.iter().filter(|(_, code)| defines(code, name));
        let found: Vec<&str> = found.map(|(file, _)| file.path.as_str()).collect();
        assert!(home.is_empty() || found.contains(home), "{name} is not defined in {home}");
        let others = found.into_iter().filter(|path| path != home);
        let others: Vec<String> = others.map(|path| format!("{path}: {name}")).collect();
        assert_none(
            "types with a name that means another type (tests/rust/tidy/names.rs)",
            &others,
        );
    }
}
