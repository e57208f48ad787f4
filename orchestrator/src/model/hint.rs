//! Runtime hints: where a node is to run, in all spellings that any version has accepted.

use nodes::suggest;

/// Where a node is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RuntimeHint {
    /// Native where a native node of that name exists, else a Python worker.
    #[default]
    Auto,
    /// The native node.
    Native,
    /// A CPython worker, even where a native node exists.
    CPython,
    /// A RustPython worker.
    RustPython,
}

/// All spellings, canonical ones first; upper and lower case are the same.
const SPELLINGS: [(&str, RuntimeHint); 10] = [
    ("auto", RuntimeHint::Auto),
    ("rust_native", RuntimeHint::Native),
    ("cpython", RuntimeHint::CPython),
    ("rustpython", RuntimeHint::RustPython),
    ("native", RuntimeHint::Native),
    ("rust", RuntimeHint::Native),
    ("python", RuntimeHint::CPython),
    ("rust_python", RuntimeHint::RustPython),
    // CPython compiled to WebAssembly, which older versions offered; CPython gives the same results.
    ("cpython_wasm", RuntimeHint::CPython),
    ("wasm", RuntimeHint::CPython),
];

impl RuntimeHint {
    /// The hint with this spelling, in upper or lower case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        SPELLINGS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, hint)| *hint)
    }

    /// Every spelling, in lower case.
    pub fn spellings() -> impl Iterator<Item = &'static str> {
        SPELLINGS.iter().map(|(name, _)| *name)
    }

    /// The known spelling nearest to a misspelt one.
    #[must_use]
    pub fn nearest(text: &str) -> Option<&'static str> {
        suggest::nearest(text, Self::spellings())
    }
}
