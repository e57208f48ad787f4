//! Problems of a manifest, as data.

use std::fmt;

use nodes::ParamProblem;

use super::json::JsonErrorKind;
use crate::catalog::ResolveError;
use crate::graph::{GraphError, GraphProblem};

/// A manifest that cannot be used, with all of its problems.
#[derive(Debug, Clone, PartialEq)]
pub struct ManifestError {
    /// Every problem; never empty.
    pub problems: Vec<Problem>,
}

/// Kind of a manifest error as a whole; Python raises another exception for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManifestErrorClass {
    /// The text breaks JSON, the schema or a parameter's rules.
    Invalid,
    /// All problems are unknown node types.
    NodeNotFound,
    /// All problems are ids and connections that do not make a graph.
    Graph,
    /// All problems are cycles.
    Cycle,
}

impl ManifestError {
    /// The class of all problems. When their classes differ: [`Graph`] if all concern the graph,
    /// otherwise [`Invalid`].
    ///
    /// [`Invalid`]: ManifestErrorClass::Invalid
    /// [`Graph`]: ManifestErrorClass::Graph
    #[must_use]
    pub fn class(&self) -> ManifestErrorClass {
        let all = |test: fn(&ProblemKind) -> bool| self.problems.iter().all(|p| test(&p.kind));
        if all(|kind| matches!(kind, ProblemKind::NodeType(ResolveError::UnknownType { .. }))) {
            ManifestErrorClass::NodeNotFound
        } else if all(|kind| matches!(kind, ProblemKind::Graph(GraphProblem::Cycle { .. }))) {
            ManifestErrorClass::Cycle
        } else if all(|kind| matches!(kind, ProblemKind::Graph(_))) {
            ManifestErrorClass::Graph
        } else {
            ManifestErrorClass::Invalid
        }
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.problems.as_slice() {
            return write!(out, "invalid manifest: {only}");
        }
        write!(out, "invalid manifest: {} problems", self.problems.len())?;
        for problem in &self.problems {
            write!(out, "\n  - {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ManifestError {}

impl From<GraphError> for ManifestError {
    fn from(error: GraphError) -> Self {
        let problem = |graph: GraphProblem| Problem {
            path: graph.path(),
            node_id: None,
            kind: ProblemKind::Graph(graph),
        };
        Self { problems: error.problems.into_iter().map(problem).collect() }
    }
}

/// One problem and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Place in the document (`nodes[2].params.target_rate`); empty for the document as a whole.
    pub path: String,
    /// Id of the node concerned, where it is known.
    pub node_id: Option<String>,
    /// What is wrong.
    pub kind: ProblemKind,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            out.write_str(&self.path)?;
            if let Some(id) = &self.node_id {
                write!(out, " (node '{id}')")?;
            }
            out.write_str(": ")?;
        }
        write!(out, "{}", self.kind)
    }
}

/// What is wrong at one place of a manifest.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ProblemKind {
    /// The text is not JSON.
    #[error("line {line}, column {column}: not valid JSON: {problem}")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// What is wrong there.
        problem: JsonErrorKind,
    },
    /// A key appears twice in one object.
    #[error("this key appears twice in its object; remove one of them")]
    RepeatedKey,
    /// A field has the wrong type.
    #[error("expected {expected}, got {found}")]
    WrongType {
        /// Description of the allowed values.
        expected: &'static str,
        /// Type and value in the text.
        found: String,
    },
    /// A required field is missing.
    #[error("missing; it must be {expected}")]
    Missing {
        /// Description of the allowed values.
        expected: &'static str,
    },
    /// No field of that name exists.
    #[error("unknown field{}", unknown_hint(.nearest.as_deref(), .known))]
    UnknownField {
        /// The most similar known name.
        nearest: Option<String>,
        /// All known names.
        known: &'static [&'static str],
    },
    /// A field of an older manifest format.
    #[error("manifest v1 has no such field; write {instead}")]
    OldField {
        /// What v1 has instead.
        instead: &'static str,
    },
    /// The version is not one that this build reads.
    #[error("Unsupported manifest version {found}: this build reads \"v1\"")]
    UnsupportedVersion {
        /// The version as written.
        found: String,
    },
    /// There are no nodes.
    #[error("a pipeline needs at least one node")]
    NoNodes,
    /// A text breaks the rule of its field.
    #[error("'{found}' is not allowed: {rule}")]
    BadText {
        /// The text, shortened.
        found: String,
        /// The rule, as a sentence.
        rule: &'static str,
    },
    /// A text is none of the words that the field takes.
    #[error(
        "'{found}' is not known{}",
        choice_hint(.nearest.as_deref(), .known)
    )]
    NotAChoice {
        /// The text.
        found: String,
        /// The most similar known word.
        nearest: Option<String>,
        /// All known words.
        known: Vec<&'static str>,
    },
    /// A number is outside the range of its field.
    #[error("{found} is out of range: it must be {rule}")]
    OutOfRange {
        /// The number as written.
        found: String,
        /// The range in words.
        rule: &'static str,
    },
    /// An integer that does not fit 64 bits.
    #[error("the integer {digits} does not fit 64 bits; pass it as a text or as an input")]
    HugeInteger {
        /// The integer.
        digits: String,
    },
    /// Something that this build cannot do.
    #[error("this build cannot {what}; {advice}")]
    Unsupported {
        /// What the build cannot do, as a verb phrase.
        what: &'static str,
        /// Advice on what to do instead.
        advice: &'static str,
    },
    /// The node type cannot be resolved.
    #[error(transparent)]
    NodeType(ResolveError),
    /// A parameter of a native node is wrong.
    #[error(transparent)]
    Param(ParamProblem),
    /// The ids and connections do not make a graph.
    #[error(transparent)]
    Graph(GraphProblem),
}

fn unknown_hint(nearest: Option<&str>, known: &[&str]) -> String {
    match nearest {
        Some(name) => format!(", did you mean '{name}'?"),
        None => format!("; known are {}", known.join(", ")),
    }
}

fn choice_hint(nearest: Option<&str>, known: &[&str]) -> String {
    match nearest {
        Some(word) => format!(", did you mean '{word}'? Known are {}", known.join(", ")),
        None => format!("; known are {}", known.join(", ")),
    }
}
