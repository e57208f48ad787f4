//! The native node types by name, and their descriptions as JSON. [`crate::builtin`] implements the
//! types.

use std::sync::OnceLock;

use serde_json::{Map, Value as Json, json};

use crate::builtin;
use crate::node::NodeType;
use crate::params::metadata;
use crate::suggest;

/// A set of node types, found by name or alias.
#[derive(Debug)]
pub struct Registry {
    types: Vec<&'static NodeType>,
}

/// The registry of the nodes in this crate.
#[must_use]
pub fn builtin() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| Registry { types: builtin::ALL.to_vec() })
}

/// How to get a node type that this build leaves out; `None` for those that it has, and for other
/// names.
#[must_use]
pub fn how_to_get(name: &str) -> Option<&'static str> {
    const OPUS: [&str; 2] = ["OpusEncoderNode", "OpusDecoderNode"];
    let is_missing = OPUS.contains(&name) && !cfg!(feature = "opus");
    is_missing.then_some(
        "it needs libopus (Debian: libopus-dev) and a build of its own: \
         MATURIN_PEP517_ARGS='--features opus' pip install ./python",
    )
}

impl Registry {
    /// The type with this name or alias; upper and lower case matter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'static NodeType> {
        self.types.iter().copied().find(|t| t.name == name || t.aliases.contains(&name))
    }

    /// Canonical names, in alphabetical order.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.types.iter().map(|t| t.name).collect();
        names.sort_unstable();
        names
    }

    /// Canonical names and aliases, in alphabetical order.
    #[must_use]
    pub fn names_and_aliases(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self
            .types
            .iter()
            .flat_map(|t| std::iter::once(t.name).chain(t.aliases.iter().copied()))
            .collect();
        names.sort_unstable();
        names
    }

    /// The name or alias that is most similar to a misspelt one, if any is similar.
    #[must_use]
    pub fn nearest(&self, name: &str) -> Option<&'static str> {
        suggest::nearest(name, self.names_and_aliases())
    }

    /// All types, in no particular order.
    #[must_use]
    pub fn types(&self) -> &[&'static NodeType] {
        &self.types
    }
}

impl NodeType {
    /// Description of the type as JSON, for users and tools: `name`, `version`, `summary`,
    /// `aliases`, `capabilities`, and `parameters` (per canonical name: `type`, `default`, `range`,
    /// `unit`, `aliases`, `choices`, `description`; keys without a value are left out, but for
    /// `default`).
    #[must_use]
    pub fn metadata(&self) -> Json {
        let parameters: Map<String, Json> =
            self.params.iter().map(|spec| (spec.name.to_owned(), metadata(spec))).collect();
        json!({
            "name": self.name,
            "version": self.version,
            "summary": self.summary,
            "aliases": self.aliases,
            "capabilities": self.capabilities,
            "parameters": parameters,
        })
    }
}
