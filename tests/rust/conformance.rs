//! Every requirement in scope is cited by a test, every citation names a requirement, and
//! `docs/conformance.md` and its pages are current. `UPDATE_CONFORMANCE=1` writes them.

use std::collections::BTreeMap;

use tests::citations::{Citation, Found, in_python, in_rust};
use tests::conformance::{FOLDER, INDEX, pages};
use tests::ledger::Ledger;
use tests::repository::{absolute, files_with_extension};

const LEDGER: &str = include_str!("../ledger.toml");

fn ledger() -> Ledger {
    Ledger::parse(LEDGER).unwrap_or_else(|error| panic!("tests/ledger.toml: {error}"))
}

fn found() -> Found {
    let rust = files_with_extension("rs").map(|file| in_rust(&file.path, &file.text));
    let python = files_with_extension("py").map(|file| in_python(&file.path, &file.text));
    let mut all = Found::default();
    for found in rust.chain(python) {
        all.citations.extend(found.citations);
        all.stray.extend(found.stray);
    }
    all.citations.sort();
    assert!(!all.citations.is_empty(), "no citation was found at all");
    all
}

fn citations() -> Vec<Citation> {
    found().citations
}

#[test]
fn every_requirement_in_scope_has_a_test() {
    let ledger = ledger();
    assert!(ledger.scope_len() > 0, "nothing is in scope");
    let gaps = ledger.gaps(&citations());
    assert_eq!(gaps.malformed, [""; 0], "tests/ledger.toml: ids without a title, or listed twice");
    assert_eq!(gaps.unproven, [""; 0], "in scope, but cited by no test");
}

#[test]
fn every_citation_names_a_requirement_and_stands_in_a_test() {
    let found = found();
    assert_eq!(ledger().gaps(&found.citations).unknown, [""; 0], "cited, but not in the ledger");
    assert_eq!(found.stray, [""; 0], "citations in no test's body and not right above a test");
}

#[test]
fn the_pages_are_current() {
    let pages = pages(&ledger(), &citations());
    if std::env::var_os("UPDATE_CONFORMANCE").is_some() {
        write(&pages).unwrap_or_else(|error| panic!("{INDEX}: {error}"));
    }
    let outdated: Vec<_> = pages
        .iter()
        .filter(|(path, page)| {
            std::fs::read_to_string(absolute(path)).unwrap_or_default() != **page
        })
        .map(|(path, _)| path)
        .collect();
    assert_eq!(outdated, [""; 0], "out of date: run `make conformance`");
    let left: Vec<_> = written().into_iter().filter(|path| !pages.contains_key(path)).collect();
    assert_eq!(left, [""; 0], "about no requirement with a test: run `make conformance`");
}

/// Paths of the pages in the folder, stale ones included.
fn written() -> Vec<String> {
    let entries = std::fs::read_dir(absolute(FOLDER)).into_iter().flatten().flatten();
    entries.map(|entry| format!("{FOLDER}/{}", entry.file_name().to_string_lossy())).collect()
}

fn write(pages: &BTreeMap<String, String>) -> std::io::Result<()> {
    std::fs::create_dir_all(absolute(FOLDER))?;
    for stale in written().iter().filter(|path| !pages.contains_key(*path)) {
        std::fs::remove_file(absolute(stale))?;
    }
    pages.iter().try_for_each(|(path, page)| std::fs::write(absolute(path), page))
}
