//! Manifest v1: reads and checks the JSON form of a pipeline. All problems of a text are reported
//! at once, each with its place and what to do.
//!
//! Which node goes to which worker is decided in [`crate::plan`].

mod check;
mod fields;
pub mod json;
mod lenient;
mod limits;
mod node;
mod optional;
mod problem;
mod read;

#[cfg(test)]
mod tests;

use crate::model::Manifest;
pub use lenient::without_unknown;
pub use problem::{ManifestError, ManifestErrorClass, Problem, ProblemKind};

/// The JSON Schema of manifest v1, as published in `config/manifest.v1.schema.json`. It describes
/// the form; names, references, cycles and the parameters of native nodes are checked by
/// [`Manifest::parse`].
pub const SCHEMA: &str = include_str!("../../config/manifest.v1.schema.json");

/// The only version of manifests that this build reads.
pub const VERSION: &str = "v1";

/// Author of a manifest; decides whether the field `instance` is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// Any author but the SDK: a file, a user, the functions of `remotemedia_runtime`.
    Anyone,
    /// The Python SDK: `instance` refers to a node object of its caller.
    Sdk,
}

impl Manifest {
    /// Reads and checks a manifest of any author.
    ///
    /// # Errors
    /// One [`ManifestError`] with every problem found.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        Self::parse_from(text, Author::Anyone)
    }

    /// Reads and checks a manifest of `author`.
    ///
    /// # Errors
    /// One [`ManifestError`] with every problem found.
    pub fn parse_from(text: &str, author: Author) -> Result<Self, ManifestError> {
        read::manifest(text, author)
    }
}
