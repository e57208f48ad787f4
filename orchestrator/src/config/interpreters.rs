//! The settings of the second interpreter: its workers, and when a node moves from it to CPython.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::keys::{DAY, Key, Kind, MILLISECOND, as_u32, as_u64, as_usize};
use super::{Config, automatic_max};
use crate::choice;
use crate::plan::Runtime;

/// The workers that run RustPython. They are a pool of their own, beside that of CPython.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RustPythonConfig {
    /// The worker's program; `None` looks for it (see [`super::env::find_rustpython`]).
    pub executable: Option<PathBuf>,
    /// Names of modules, with commas in between, that nodes may import although they can endanger
    /// the worker.
    pub allow_modules: String,
    /// Workers that are kept even when idle.
    pub min: usize,
    /// Most workers at one time; `None` is automatic, see [`RustPythonConfig::max_workers`].
    pub max: Option<usize>,
    /// How long an idle worker above `min` is kept; `None` keeps it for ever.
    pub idle_timeout: Option<Duration>,
    /// Sessions after which a worker is replaced; `None` never replaces it for that.
    pub max_sessions: Option<u64>,
    /// Resident memory in bytes, after a session, above which a worker is replaced; `None` never
    /// replaces it for that.
    pub recycle_above_memory_bytes: Option<u64>,
}

impl Default for RustPythonConfig {
    fn default() -> Self {
        Self {
            executable: None,
            allow_modules: String::new(),
            min: 0,
            max: None,
            idle_timeout: Some(Duration::from_secs(300)),
            max_sessions: None,
            recycle_above_memory_bytes: None,
        }
    }
}

impl RustPythonConfig {
    /// Most workers at one time: the configured number, or the number of processors this process
    /// may use, but at least four.
    #[must_use]
    pub fn max_workers(&self) -> usize {
        self.max.unwrap_or_else(automatic_max)
    }
}

impl Config {
    /// What tells workers of modules, as environment variables; see `_guest/process.py`.
    pub(crate) fn module_settings(&self) -> Vec<(OsString, OsString)> {
        let mut settings = Vec::new();
        if !self.rustpython.allow_modules.is_empty() {
            let allowed = self.rustpython.allow_modules.clone();
            settings.push(("REMOTEMEDIA_ALLOW_MODULES".into(), allowed.into()));
        }
        if !self.python.modules.is_empty() {
            let files = self.python.modules.iter();
            let files: serde_json::Map<String, serde_json::Value> = files
                .map(|(name, file)| (name.clone(), serde_json::json!({ "file": file })))
                .collect();
            let injected = serde_json::Value::Object(files).to_string();
            settings.push(("REMOTEMEDIA_INJECT_MODULES".into(), injected.into()));
        }
        settings
    }
}

/// Moving nodes that RustPython cannot run to CPython.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FallbackConfig {
    /// Whether nodes move; otherwise the run fails and says what to change.
    pub enabled: bool,
    /// Failures in a row after which a node moves that fails in no known way; 0 is never.
    pub failures: u32,
}

impl Default for FallbackConfig {
    fn default() -> Self {
        Self { enabled: true, failures: 3 }
    }
}

const SECTION: &str = "rustpython";

pub(super) fn keys() -> Vec<Key> {
    let mut keys = Vec::from(worker_keys());
    keys.push(allow_key());
    keys.extend(recycling_keys());
    keys.extend(fallback_keys());
    keys
}

pub(super) fn runtime_key() -> Key {
    Key {
        section: "python",
        name: "runtime",
        kind: Kind::Choice {
            names: &["auto", "cpython", "rustpython"],
            get: |c| match c.python.runtime {
                Some(Runtime::RustPython) => "rustpython",
                Some(_) => "cpython",
                None => "auto",
            },
            set: |c, word| c.python.runtime = choice::parse_runtime(word).ok().flatten(),
        },
        doc: "The interpreter of Python nodes whose runtime_hint names none, unless an \
              argument or REMOTEMEDIA_PYTHON_RUNTIME does. \"auto\" is cpython.",
    }
}

pub(super) fn modules_key() -> Key {
    Key {
        section: "python",
        name: "modules",
        kind: Kind::Texts { get: |c| c.python.modules.clone(), set: |c, t| c.python.modules = t },
        doc: "Modules that every node can import, by name, with the Python file of each: \
              { settings = \"/etc/remotemedia/settings.py\" }. They come before installed ones.",
    }
}

fn allow_key() -> Key {
    Key {
        section: SECTION,
        name: "allow_modules",
        kind: Kind::Text {
            get: |c| c.rustpython.allow_modules.clone(),
            set: |c, s| c.rustpython.allow_modules = s,
        },
        doc: "What RustPython workers refuse because it can endanger the worker, and nodes may \
              use nevertheless: \"ctypes\", \"os.fork\", \"multiprocessing\" (which allows \
              os.fork too), or several with commas.",
    }
}

fn worker_keys() -> [Key; 3] {
    [
        Key {
            section: SECTION,
            name: "executable",
            kind: Kind::Text {
                get: |c| {
                    let path = c.rustpython.executable.as_ref();
                    path.map_or_else(String::new, |path| path.display().to_string())
                },
                set: |c, s| c.rustpython.executable = (!s.is_empty()).then(|| PathBuf::from(s)),
            },
            doc: "Path of remotemedia-rustpython. Empty looks for it: REMOTEMEDIA_RUSTPYTHON in the \
                  environment, beside the interpreter of the calling program, beside the running \
                  program, on PATH.",
        },
        Key {
            section: SECTION,
            name: "min",
            kind: Kind::Count {
                range: 0..=1024,
                get: |c| as_u64(c.rustpython.min),
                set: |c, n| c.rustpython.min = as_usize(n),
            },
            doc: "Workers that are kept even when idle, once RustPython has been used.",
        },
        Key {
            section: SECTION,
            name: "max",
            kind: Kind::AutoCount {
                range: 1..=1024,
                get: |c| c.rustpython.max.map(as_u64),
                set: |c, n| c.rustpython.max = n.map(as_usize),
            },
            doc: "Most workers at one time, beside those of CPython. \"auto\" is as in [workers].",
        },
    ]
}

fn recycling_keys() -> [Key; 3] {
    [
        Key {
            section: SECTION,
            name: "idle_timeout",
            kind: Kind::Duration {
                range: MILLISECOND..=365 * DAY,
                zero: Some("never"),
                get: |c| c.rustpython.idle_timeout.unwrap_or_default(),
                set: |c, t| c.rustpython.idle_timeout = (!t.is_zero()).then_some(t),
            },
            doc: "An idle worker above `min` ends after this time. 0 keeps it for ever.",
        },
        Key {
            section: SECTION,
            name: "max_sessions",
            kind: Kind::Count {
                range: 0..=u64::from(u32::MAX),
                get: |c| c.rustpython.max_sessions.unwrap_or(0),
                set: |c, n| c.rustpython.max_sessions = (n > 0).then_some(n),
            },
            doc: "A worker is replaced after this many sessions. 0 never replaces it for that.",
        },
        Key {
            section: SECTION,
            name: "recycle_above_memory",
            kind: Kind::Size {
                range: 1 << 20..=1 << 50,
                zero: Some("off"),
                get: |c| c.rustpython.recycle_above_memory_bytes.unwrap_or(0),
                set: |c, n| c.rustpython.recycle_above_memory_bytes = (n > 0).then_some(n),
            },
            doc: "A worker whose resident memory is above this after a session is replaced. 0 is \
                  off.",
        },
    ]
}

fn fallback_keys() -> [Key; 2] {
    [
        Key {
            section: "fallback",
            name: "enabled",
            kind: Kind::Flag { get: |c| c.fallback.enabled, set: |c, f| c.fallback.enabled = f },
            doc: "Whether a node that RustPython cannot run moves to CPython. false makes it an \
                  error that says what to change. REMOTEMEDIA_ENABLE_FALLBACK in the environment \
                  and the argument `fallback` in Python overrule it.",
        },
        Key {
            section: "fallback",
            name: "failures",
            kind: Kind::Count {
                range: 0..=1_000_000,
                get: |c| u64::from(c.fallback.failures),
                set: |c, n| c.fallback.failures = as_u32(n),
            },
            doc: "Failures in a row, over all runs, after which a node moves that fails in no way \
                  that is known to be RustPython's. 0 moves it never for that.",
        },
    ]
}
