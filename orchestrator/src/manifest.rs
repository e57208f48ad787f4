//! Manifest v1: the way from a pipeline's JSON form to a checked [`Manifest`]. Every problem of a text is
//! reported at once, with its place and what to do.
//!
//! Which node goes to which worker is decided in [`crate::plan`].

mod check;
mod fields;
pub mod json;
mod node;
mod optional;
mod problem;
mod read;

#[cfg(test)]
mod tests;

use crate::model::Manifest;
pub use problem::{ManifestError, ManifestErrorClass, Problem, ProblemKind};

/// The JSON Schema of manifest v1, as published in `config/manifest.v1.schema.json`. It describes
/// the form; names, references, cycles and the parameters of native nodes are checked by
/// [`Manifest::parse`].
pub const SCHEMA: &str = include_str!("../../config/manifest.v1.schema.json");

/// The only version there is.
pub const VERSION: &str = "v1";

/// Who wrote a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// A person, a file, a network peer, the functions of the foreign-function interface.
    Anyone,
    /// The Python SDK, for the node objects of its caller: `instance` is allowed.
    Sdk,
}

impl Manifest {
    /// Reads and checks a manifest that anyone may have written.
    ///
    /// # Errors
    /// One [`ManifestError`] with every problem found.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        Self::parse_from(text, Author::Anyone)
    }

    /// Reads and checks a manifest by a known author.
    ///
    /// # Errors
    /// One [`ManifestError`] with every problem found.
    pub fn parse_from(text: &str, author: Author) -> Result<Self, ManifestError> {
        read::manifest(text, author)
    }
}
