//! Why RustPython does not run a node, and what the user can do about it: as data, and as
//! sentences, which are made only here. Pure.

use std::fmt;

use ipc_protocol::{ImportFault, ImportReason};

use crate::limits::Refused;

/// Why RustPython does not run a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The interpreter lacks a module, or a feature of a module.
    Import(ImportFault),
    /// The node's module cannot be loaded.
    Load {
        /// The exception in one line.
        error: String,
    },
    /// A value cannot be converted for the interpreter, or from it.
    Value {
        /// The exception in one line.
        error: String,
    },
    /// The node object cannot be sent to another interpreter than the caller's.
    Shipment {
        /// What prevents it, as a clause.
        error: String,
    },
    /// The worker died while the node was made.
    Died {
        /// How the worker ended.
        error: String,
    },
    /// The node failed several times in a row, for an unknown cause.
    Failures {
        /// Number of failures in a row.
        count: u32,
        /// The last exception in one line.
        error: String,
    },
}

impl Reason {
    /// The name of the reason in metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Import(fault) => match fault.reason {
                ImportReason::CExtension => "c_extension",
                ImportReason::StdlibMissing => "stdlib_missing",
                ImportReason::NotInstalled => "not_installed",
                ImportReason::Blocked => "blocked",
                ImportReason::Unsupported => "unsupported",
            },
            Self::Load { .. } => "load",
            Self::Value { .. } => "value",
            Self::Shipment { .. } => "shipment",
            Self::Died { .. } => "died",
            Self::Failures { .. } => "failures",
        }
    }

    /// True when no trace of the module was found, so CPython may fail the same way.
    #[must_use]
    pub fn is_doubtful(&self) -> bool {
        match self {
            Self::Import(fault) => match fault.reason {
                ImportReason::NotInstalled => true,
                ImportReason::CExtension => fault.path.is_empty(),
                ImportReason::StdlibMissing | ImportReason::Blocked | ImportReason::Unsupported => {
                    false
                }
            },
            _ => false,
        }
    }

    /// True when a failure on CPython shows that CPython lacks the same module, so the node had no
    /// reason to move.
    #[must_use]
    pub fn is_disproved_by(&self, there: Option<&ImportFault>) -> bool {
        let (Self::Import(here), Some(there)) = (self, there) else { return false };
        self.is_doubtful()
            && here.root_package == there.root_package
            && matches!(there.reason, ImportReason::NotInstalled | ImportReason::StdlibMissing)
    }

    /// The module that the interpreter lacks.
    #[must_use]
    pub fn module(&self) -> Option<&str> {
        match self {
            Self::Import(fault) => Some(&fault.module),
            _ => None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Import(fault) => write_lack(fault, out),
            Self::Load { error } => write!(out, "its module cannot be loaded: {error}"),
            Self::Value { error } => write!(out, "a value could not be converted: {error}"),
            Self::Shipment { error } => out.write_str(error),
            Self::Died { error } => write!(out, "the worker died while the node was made: {error}"),
            Self::Failures { count, error } => {
                write!(out, "it failed {count} times in a row, at last with {error}")
            }
        }
    }
}

/// The extension module that the Python classes of native nodes call.
const NATIVE_MODULE: &str = "remotemedia._native";

fn write_lack(fault: &ImportFault, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    let ImportFault { module, root_package, .. } = fault;
    match fault.reason {
        ImportReason::CExtension if module == NATIVE_MODULE => {
            write!(out, "'{module}', which runs native nodes, is not in RustPython workers")
        }
        ImportReason::CExtension if module == root_package => {
            write!(out, "'{module}' is a C extension")
        }
        ImportReason::CExtension => {
            write!(out, "'{module}' of '{root_package}' is a C extension")
        }
        ImportReason::StdlibMissing => write!(out, "its standard library has no '{module}'"),
        ImportReason::NotInstalled => write!(out, "there is no module '{module}'"),
        ImportReason::Blocked => write!(out, "'{module}' is refused in RustPython workers"),
        ImportReason::Unsupported => {
            write!(out, "RustPython's module '{module}' lacks a feature that the node uses")
        }
    }
}

/// What the user can do about a node that failed because of its interpreter, or of a limit. Shown
/// behind the text of the failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Advice {
    /// The next session runs the node on CPython without a change by the user.
    WaitForNext(Reason),
    /// The node may not move to CPython; the user can allow it.
    LetMove {
        /// Why it cannot run on RustPython.
        reason: Reason,
        /// Whether the text of the failure already says that `runtime_hint` can be set.
        names_hint: bool,
    },
    /// The kernel refused the node something that a limit bounds.
    Raise(Refused),
}

impl Advice {
    /// The advice for a node that may not move. `None` for a module that CPython may lack too: the
    /// failure says what to install.
    #[must_use]
    pub fn let_move(reason: Reason, names_hint: bool) -> Option<Self> {
        match &reason {
            Reason::Import(fault) if fault.reason == ImportReason::NotInstalled => None,
            // The suggestion of a worker already says what to set.
            Reason::Import(fault) => {
                let names_hint = !fault.suggestion.is_empty();
                Some(Self::LetMove { reason, names_hint })
            }
            _ => Some(Self::LetMove { reason, names_hint }),
        }
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by_itself = "let it move to CPython by itself: REMOTEMEDIA_ENABLE_FALLBACK=true, \
                         [fallback] enabled = true, or fallback=True";
        match self {
            Self::WaitForNext(reason) => {
                write!(out, "The next session runs it on CPython: {reason}")
            }
            Self::Raise(refused) => refused.fmt(out),
            Self::LetMove { names_hint: true, .. } => write!(out, "Or {by_itself}"),
            Self::LetMove { reason, .. } => {
                out.write_str("RustPython cannot run this node")?;
                if let Reason::Import(_) = reason {
                    write!(out, ": {reason}")?;
                }
                write!(out, ". Set runtime_hint \"cpython\" for the node, or {by_itself}")
            }
        }
    }
}
