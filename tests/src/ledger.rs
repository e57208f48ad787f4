//! The requirement ledger (`tests/ledger.toml`) and the page that is generated from it and from the
//! citations. Finding the citations is `citations`' job.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Deserialize;

use crate::citations::Citation;

/// Every requirement that has an id.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// Ids that a test must prove.
    in_scope: Vec<String>,
    /// What each id asks for.
    titles: BTreeMap<String, String>,
}

/// What the ledger and the citations say of each other.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Ids in scope that no test cites.
    pub unproven: Vec<String>,
    /// Citations of ids that do not exist, with their place.
    pub unknown: Vec<String>,
    /// Ids in scope that have no title, or that stand there twice.
    pub malformed: Vec<String>,
}

impl Ledger {
    /// Reads the text of `tests/ledger.toml`.
    ///
    /// # Errors
    /// When it is not TOML of the expected form.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// Number of ids that a test must prove.
    #[must_use]
    pub fn scope_len(&self) -> usize {
        self.in_scope.len()
    }

    /// Compares the ledger with what the tests cite.
    #[must_use]
    pub fn gaps(&self, citations: &[Citation]) -> Gaps {
        let cited: BTreeSet<&str> = citations.iter().map(|citation| citation.id.as_str()).collect();
        let mut seen = BTreeSet::new();
        let malformed = self.in_scope.iter().filter(|id| {
            let is_new = seen.insert(id.as_str());
            !is_new || !self.titles.contains_key(*id)
        });
        let unproven = self.in_scope.iter().filter(|id| !cited.contains(id.as_str()));
        let unknown = citations.iter().filter(|citation| !self.titles.contains_key(&citation.id));
        Gaps {
            malformed: malformed.cloned().collect(),
            unproven: unproven.cloned().collect(),
            unknown: unknown
                .map(|citation| format!("{} in {}", citation.id, citation.test))
                .collect(),
        }
    }

    /// The text of `docs/conformance.md`.
    #[must_use]
    pub fn page(&self, citations: &[Citation]) -> String {
        let mut tests: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for citation in citations {
            tests.entry(&citation.id).or_default().insert(&citation.test);
        }
        let scope: BTreeSet<&str> = self.in_scope.iter().map(String::as_str).collect();
        let (inside, outside): (Vec<_>, Vec<_>) =
            self.titles.iter().partition(|(id, _)| scope.contains(id.as_str()));

        let mut page = String::from(HEADER);
        for (id, title) in inside {
            let tests = tests.get(id.as_str()).into_iter().flatten();
            let tests: Vec<String> = tests.map(|test| format!("`{test}`")).collect();
            let proof = if tests.is_empty() { "none".to_owned() } else { tests.join("<br>") };
            // Writing to a String cannot fail.
            let _ = writeln!(page, "| {id} | {title} | {proof} |");
        }
        page.push_str(OUTSIDE);
        for (id, title) in outside {
            let _ = writeln!(page, "| {id} | {title} |");
        }
        page
    }
}

const HEADER: &str = "\
# Conformance

Generated from `tests/ledger.toml` and the citations in the tests; `make conformance` writes it anew.
A test fails while this page is out of date, while a row below has no test, or while a test cites a
row that does not exist.

| id | requirement | proven by |
|---|---|---|
";

const OUTSIDE: &str = "
## Rows outside the scope

No test has to prove these, and nothing is promised about them.

| id | requirement |
|---|---|
";

#[cfg(test)]
mod tests {
    use super::*;

    fn citation(id: &str, test: &str) -> Citation {
        Citation { id: id.to_owned(), test: test.to_owned() }
    }

    fn ledger() -> Ledger {
        let text = "in_scope = ['AAA-01', 'AAA-02', 'AAA-02', 'AAA-09']\n\
                    [titles]\nAAA-01 = 'one'\nAAA-02 = 'two'\nAAA-03 = 'three'\n";
        Ledger::parse(text).unwrap()
    }

    #[test]
    fn gaps_of_every_kind_are_found() {
        let gaps = ledger().gaps(&[citation("AAA-01", "t.rs::a"), citation("BBB-01", "t.rs::b")]);
        assert_eq!(gaps.unproven, ["AAA-02", "AAA-02", "AAA-09"]);
        assert_eq!(gaps.unknown, ["BBB-01 in t.rs::b"]);
        assert_eq!(gaps.malformed, ["AAA-02", "AAA-09"]);
    }

    #[test]
    fn the_page_names_the_tests_of_a_row_once() {
        let proofs =
            [citation("AAA-01", "t::b"), citation("AAA-01", "t::a"), citation("AAA-01", "t::a")];
        let page = ledger().page(&proofs);
        assert!(page.contains("| AAA-01 | one | `t::a`<br>`t::b` |\n"), "{page}");
        assert!(page.contains("| AAA-02 | two | none |\n"), "{page}");
        assert!(page.contains("| AAA-03 | three |\n"), "{page}");
    }
}
