//! Settings of RustPython: its workers, and when a node moves from RustPython to CPython. Three
//! keys of `[python]` are here too.

use std::ffi::OsString;
use std::path::PathBuf;

use super::keys::{Key, Kind, as_u32};
use super::pools::{Pooled, pool_keys};
use super::{Config, PoolBounds, env};
use crate::choice;
use crate::placement::Engine;

/// The workers that run RustPython, a pool of their own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RustPythonConfig {
    /// Path of the worker's program; `None` searches for it (see [`super::env::find_rustpython`]).
    pub executable: Option<PathBuf>,
    /// Comma-separated names of modules that nodes may import although they can endanger the
    /// worker.
    pub allow_modules: String,
    /// Number and lifetime of these workers.
    pub pool: PoolBounds,
}

impl Config {
    /// Environment variables that pass `allow_modules` and `modules` to workers.
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
    /// Whether nodes move. If not, the run fails with an error that says what to change.
    pub enabled: bool,
    /// Consecutive failures of unknown cause after which a node moves; 0 disables this.
    pub failures: u32,
}

impl Default for FallbackConfig {
    fn default() -> Self {
        Self { enabled: true, failures: 3 }
    }
}

const SECTION: &str = "rustpython";

pub(super) fn keys() -> Vec<Key> {
    let pool = pool_keys::<RustPythonPool>();
    let mut keys = vec![executable_key(), pool.min, pool.max, allow_key()];
    keys.extend([pool.idle_timeout, pool.max_sessions, pool.recycle_after_calls]);
    keys.extend([pool.recycle_above_memory, pool.recycle_above_growth]);
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
                Some(Engine::RustPython) => "rustpython",
                Some(_) => "cpython",
                None => "auto",
            },
            set: |c, word| c.python.runtime = choice::parse_runtime(word).ok().flatten(),
        },
        doc: "The interpreter of Python nodes whose runtime_hint names none, unless an \
              argument or REMOTEMEDIA_PYTHON_RUNTIME does. \"auto\" is cpython.",
    }
}

pub(super) fn start_variables_key() -> Key {
    Key {
        section: "python",
        name: "start_variables",
        kind: Kind::List {
            get: |c| c.python.start_variables.clone(),
            set: |c, names| c.python.start_variables = names,
        },
        doc: "Environment variables that count only when a worker starts, because a library reads \
              them once: a run in which one of them differs gets another worker. `PYTHON*`, `LD_*`, \
              `LC_*`, `LANG`, `GLIBC_TUNABLES`, `MALLOC_*` and those of OpenMP and BLAS always do.",
    }
}

pub(super) fn modules_key() -> Key {
    Key {
        section: "python",
        name: "modules",
        kind: Kind::Texts {
            get: |c| c.python.modules.clone(),
            set: |c, t| {
                let path = |text: String| env::at_home(&text).display().to_string();
                c.python.modules = t.into_iter().map(|(name, text)| (name, path(text))).collect();
            },
        },
        doc: "Modules that every node can import, by name, with the Python file of each: \
              { settings = \"/etc/remotemedia/settings.py\" }. They come before installed ones.",
    }
}

fn allow_key() -> Key {
    Key {
        section: SECTION,
        name: "allow_modules",
        kind: Kind::Names {
            known: &["ctypes", "os.fork", "multiprocessing"],
            get: |c| c.rustpython.allow_modules.clone(),
            set: |c, s| c.rustpython.allow_modules = s,
        },
        doc: "What RustPython workers refuse because it can endanger the worker, and nodes \
              may still use: \"ctypes\", \"os.fork\", \"multiprocessing\" (which allows \
              os.fork too), or several with commas.",
    }
}

struct RustPythonPool;

impl Pooled for RustPythonPool {
    const SECTION: &'static str = SECTION;
    const MIN: &'static str =
        "Workers that are kept even when idle, once RustPython has been used.";
    const MAX: &'static str =
        "Most workers at one time, beside those of CPython. \"auto\" is as in [workers].";

    fn of(config: &Config) -> &PoolBounds {
        &config.rustpython.pool
    }

    fn of_mut(config: &mut Config) -> &mut PoolBounds {
        &mut config.rustpython.pool
    }
}

fn executable_key() -> Key {
    Key {
        section: SECTION,
        name: "executable",
        kind: Kind::Path {
            get: |c| c.rustpython.executable.as_deref(),
            set: |c, p| c.rustpython.executable = p,
        },
        doc: "Path of remotemedia-rustpython. Empty looks for it: REMOTEMEDIA_RUSTPYTHON in the \
              environment, beside the interpreter of the calling program, beside the running \
              program, on PATH.",
    }
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
            doc: "After this many consecutive failures of unknown cause, over all runs of one \
                  process, a node is moved to CPython. 0 disables this.",
        },
    ]
}
