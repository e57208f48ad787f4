//! `[python]`, `[rustpython]` and `[fallback]`: the interpreters of nodes.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::choice;
use crate::config::declare::settings;
use crate::config::env;
use crate::config::kinds::{AnyPath, Choice, Flag, List, Texts, count, list, or_zero, size};
use crate::placement::Engine;

/// The interpreters that `[python] runtime` may name; `None`: `auto`.
const RUNTIMES: Choice<Option<Engine>> = Choice {
    words: &["auto", "cpython", "rustpython"],
    parse: |word| choice::parse_runtime(word).ok(),
    word: |engine| engine.map_or("auto", Engine::name),
};

settings! {
    /// The interpreter of the worker processes, and what their nodes find there.
    pub struct PythonConfig {
        /// The interpreter of Python nodes whose runtime_hint names none, unless an argument or
        /// REMOTEMEDIA_PYTHON_RUNTIME does. "auto" is cpython.
        runtime: Option<Engine> = None, RUNTIMES, Sessions;
        /// Path of the interpreter that workers run. Empty is the interpreter of the calling program;
        /// for the command line, python3 of the active virtual environment, else on PATH.
        interpreter: Option<PathBuf> = None, AnyPath, Sessions;
        /// Environment variables added to those that workers inherit from the caller, for instance
        /// { HF_HOME = "/models" }.
        environment: BTreeMap<String, String> = BTreeMap::new(), Texts, Sessions;
        /// Environment variables that count only when a worker starts, because a library reads them
        /// once: a run in which one of them differs gets another worker. `PYTHON*`, `LD_*`, `LC_*`,
        /// `LANG`, `GLIBC_TUNABLES`, `MALLOC_*` and those of OpenMP and BLAS always do.
        start_variables: Vec<String> = vec!["CUDA_VISIBLE_DEVICES".to_owned()], list(), Sessions;
        /// Modules that every node can import, by name, with the Python file of each, for instance
        /// { settings = "/etc/remotemedia/settings.py" }. They come before installed ones.
        modules: BTreeMap<String, String> = BTreeMap::new(), Texts, Workers;
        /// Modules that are imported before workers are forked (see `zygote` in `[workers]`), beside
        /// numpy and those that sessions have loaded before, for instance ["torch"].
        preload: Vec<String> = Vec::new(), list(), Workers;
        /// Threads of BLAS and OpenMP in each worker, unless the environment sets them (OMP_NUM_THREADS
        /// and the like). Workers run side by side, so 1 is usually fastest.
        threads: u32 = 1, count(1..=1024), Sessions;
        /// Whether objects that are neither plain data nor arrays may pass between the caller and the
        /// workers as pickles. false makes them an error.
        allow_pickle: bool = true, Flag, Sessions;
        /// When a session closes, attributes of nodes that changed are written back to the caller's
        /// objects, unless the pickle of one is larger than this.
        write_back_max: u64 = 1 << 20,
            or_zero(size(1..=1 << 40), "nothing is written back"), Sessions;
    }
}

settings! {
    /// The program of RustPython workers, and what it refuses.
    pub struct RustPythonConfig {
        /// Path of remotemedia-rustpython. Empty looks for it: REMOTEMEDIA_RUSTPYTHON in the environment,
        /// beside the interpreter of the calling program, beside the running program, in the active
        /// virtual environment, on PATH.
        executable: Option<PathBuf> = None, AnyPath, Sessions;
        /// What RustPython workers refuse because it can endanger the worker, and nodes may still use
        /// ("multiprocessing" allows os.fork too).
        allow_modules: Vec<String> = Vec::new(),
            List { known: Some(&["ctypes", "os.fork", "multiprocessing"]) }, Workers;
    }
}

settings! {
    /// Moving nodes that RustPython cannot run to CPython.
    pub struct FallbackConfig {
        /// Whether a node that RustPython cannot run moves to CPython. false makes it an error that says
        /// what to change. REMOTEMEDIA_ENABLE_FALLBACK in the environment and the argument `fallback` in
        /// Python overrule it.
        enabled: bool = true, Flag, Sessions;
        /// After this many consecutive failures of unknown cause, over all runs of one process, a node is
        /// moved to CPython.
        failures: u32 = 3, or_zero(count(1..=1_000_000), "never"), Sessions;
    }
}

/// Environment variables that pass `allow_modules` and `modules` to workers.
pub(crate) fn module_settings(
    python: &PythonConfig,
    rustpython: &RustPythonConfig,
) -> Vec<(OsString, OsString)> {
    let mut settings = Vec::new();
    if !rustpython.allow_modules.is_empty() {
        let allowed = rustpython.allow_modules.join(",");
        settings.push(("REMOTEMEDIA_ALLOW_MODULES".into(), allowed.into()));
    }
    if !python.modules.is_empty() {
        let files = python.modules.iter().map(|(name, file)| {
            let file = env::at_home(file).display().to_string();
            (name.clone(), serde_json::json!({ "file": file }))
        });
        let injected = serde_json::Value::Object(files.collect()).to_string();
        settings.push(("REMOTEMEDIA_INJECT_MODULES".into(), injected.into()));
    }
    settings
}
