//! The rules of the repository, as tests: what must be absent, where things live, how files look.
//! Every check asserts that it looked at something.

mod cycles;
mod decisions;
mod edges;
mod homes;
mod layout;
mod messages;
mod names;
mod purity;
mod text;
mod types;
mod words;

use tests::lexer::{Kind, Lexed, without_test_module};
use tests::repository::{SourceFile, files_with_extension};

/// The product's Rust files (no tests, no benchmarks) with their code, without comments, literals
/// and test modules.
fn product_rust() -> Vec<(&'static SourceFile, String)> {
    let files = files_with_extension("rs").filter(|file| !file.is_test());
    let code =
        files.map(|file| (file, Lexed::rust(without_test_module(&file.text)).only(Kind::Code)));
    let code: Vec<_> = code.collect();
    assert!(!code.is_empty(), "no Rust file was looked at");
    code
}

/// The Python package's files with their code, without comments and strings.
fn product_python() -> Vec<(&'static SourceFile, String)> {
    let files =
        files_with_extension("py").filter(|file| file.path.starts_with("python/remotemedia"));
    let code: Vec<_> =
        files.map(|file| (file, Lexed::python(&file.text).only(Kind::Code))).collect();
    assert!(!code.is_empty(), "no Python file was looked at");
    code
}

/// Fails with everything that broke a rule.
fn assert_none(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}
