//! Every requirement in scope is cited by a test, every citation names a requirement, and
//! `docs/conformance.md` says so. `UPDATE_CONFORMANCE=1` writes the page anew.

use tests::citations::{Citation, Found, in_python, in_rust};
use tests::ledger::Ledger;
use tests::repository::{absolute, files_with_extension};

const LEDGER: &str = include_str!("../ledger.toml");
const PAGE: &str = "docs/conformance.md";

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
fn the_page_is_current() {
    let page = ledger().page(&citations());
    let path = absolute(PAGE);
    if std::env::var_os("UPDATE_CONFORMANCE").is_some() {
        std::fs::write(&path, &page).unwrap_or_else(|error| panic!("{PAGE}: {error}"));
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "{PAGE} is out of date: run `make conformance`");
}
