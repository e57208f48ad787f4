//! The requirement ledger (`tests/ledger.toml`) against the citations. Finding the citations is
//! `citations`' job, the pages about them are `conformance`'.

use std::collections::{BTreeMap, BTreeSet};

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

    /// Every requirement with its title and whether it is in scope, in the order of the ids.
    pub fn rows(&self) -> impl Iterator<Item = (&str, &str, bool)> {
        let scope: BTreeSet<&str> = self.in_scope.iter().map(String::as_str).collect();
        self.titles
            .iter()
            .map(move |(id, title)| (id.as_str(), title.as_str(), scope.contains(id.as_str())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn citation(id: &str, test: &str) -> Citation {
        Citation { id: id.to_owned(), test: test.to_owned(), place: 0 }
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
    fn rows_say_which_requirements_are_in_scope() {
        let ledger = ledger();
        let rows: Vec<_> = ledger.rows().collect();
        assert_eq!(
            rows,
            [("AAA-01", "one", true), ("AAA-02", "two", true), ("AAA-03", "three", false)]
        );
    }
}
