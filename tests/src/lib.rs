//! Helpers shared by the integration tests: the repository's files, a lexer that tells code from
//! comments, the requirement ledger and its citations, and the recordings of other packages.
//! The tests themselves live in `rust/` and `python/`.

pub mod citations;
pub mod conformance;
pub mod ledger;
pub mod lexer;
pub mod modules;
pub mod recordings;
pub mod repository;
pub mod types;
