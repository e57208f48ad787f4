//! Purity: modules that say in their first paragraph that they are pure use no clock, no thread, no
//! input and no output. They get the time as an argument.

use tests::lexer::has_phrase;
use tests::modules::{Module, product, uses};

use super::assert_none;

const IMPURE: &[&str] = &[
    "async",
    "await",
    "tokio",
    "interprocess",
    "nix",
    "rustix",
    "sysinfo",
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "Instant::now",
    "SystemTime",
];

/// Modules that must say that they are pure; others may say so.
const CORES: &[&str] = &[
    "orchestrator/src/choice.rs",
    "orchestrator/src/fallback.rs",
    "orchestrator/src/reason.rs",
    "orchestrator/src/graph.rs",
    "orchestrator/src/plan.rs",
    "orchestrator/src/schedule.rs",
    "orchestrator/src/worker/pool.rs",
    "durable/src/engine.rs",
    "durable/src/condition.rs",
    "durable/src/retry.rs",
    "durable/src/record.rs",
    "ipc-protocol/src/memory/ring.rs",
    "ipc-protocol/src/patience.rs",
];

/// Whether the first paragraph of a module says that it is pure.
fn says_pure(module: &Module) -> bool {
    let mut lines = module.file.text.lines().map_while(|line| line.strip_prefix("//!"));
    let mut paragraph = lines.by_ref().take_while(|line| !line.trim().is_empty());
    paragraph.any(|line| has_phrase(line, "Pure") || has_phrase(line, "pure"))
}

#[test]
fn pure_modules_are_pure() {
    let modules = product();
    let pure: Vec<&Module> = modules.iter().filter(|module| says_pure(module)).collect();
    let silent = CORES.iter().filter(|core| !pure.iter().any(|module| module.file.path == **core));
    let silent: Vec<String> = silent.map(|core| (*core).to_owned()).collect();
    assert_none("cores whose first sentences do not say that they are pure", &silent);
    let mut broken = Vec::new();
    for module in &modules {
        let is_below = |pure: &&&Module| {
            pure.crate_folder == module.crate_folder && module.path.starts_with(&pure.path)
        };
        let Some(pure) = pure.iter().find(is_below) else { continue };
        let (paths, _) = uses(&module.code);
        let names = IMPURE.iter().filter(|name| {
            has_phrase(&module.code, name) || paths.iter().any(|path| has_phrase(path, name))
        });
        broken.extend(names.map(|name| {
            format!("{}: {name} ({} says that it is pure)", module.file.path, pure.file.path)
        }));
    }
    assert_none("clock, threads, input or output in pure modules", &broken);
}
