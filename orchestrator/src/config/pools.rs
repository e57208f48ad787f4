//! `[pools.NAME]`: pools of workers beside those of the two interpreters. A pool has the settings of
//! its interpreter's pool, except for those that its section sets.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use toml::Value;

use super::declare::{Declared, within};
use super::error::ConfigProblemKind;
use super::merge::{nearest, owned};
use super::{
    CallsConfig, Config, LimitsConfig, OwnPoolConfig, PoolBounds, PythonConfig, WorkersConfig,
};
use crate::placement::{CPYTHON_POOL, Engine, RUSTPYTHON_POOL};

/// The section's name.
pub(super) const SECTION: &str = "pools";
/// Keys of inherited sections that hold for a whole runtime.
const SHARED: [&str; 3] = ["runtime", "max_frame", "max_depth"];
/// What `interpreter` says for a pool of RustPython workers.
const RUSTPYTHON: &str = "rustpython";

/// All that is set for the workers of one pool.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolConfig {
    /// Its name: `cpython`, `rustpython`, or that of its section.
    pub name: String,
    /// What its workers run.
    pub engine: Engine,
    /// Number and lifetime of its workers.
    pub bounds: PoolBounds,
    /// How its workers start and end.
    pub workers: WorkersConfig,
    /// Their interpreter, and what their nodes find there.
    pub python: PythonConfig,
    /// The time limit of its nodes.
    pub calls: CallsConfig,
    /// What its workers may use.
    pub limits: LimitsConfig,
    /// What no other section has.
    pub own: OwnPoolConfig,
    /// Whether a configuration that came later has no such pool.
    pub is_removed: bool,
}

/// A section `[pools.NAME]`.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedPool {
    /// Its name.
    pub name: String,
    /// What it sets, as it is written.
    set: BTreeMap<&'static str, Value>,
}

/// The keys of a pool.
pub(super) fn keys() -> &'static [Declared<PoolConfig>] {
    static KEYS: LazyLock<Vec<Declared<PoolConfig>>> = LazyLock::new(|| {
        let mut keys = Vec::new();
        keys.extend(within(|p: &PoolConfig| &p.own, |p| &mut p.own));
        keys.extend(within(|p: &PoolConfig| &p.python, |p| &mut p.python));
        keys.extend(within(|p: &PoolConfig| &p.bounds, |p| &mut p.bounds));
        keys.extend(within(|p: &PoolConfig| &p.workers, |p| &mut p.workers));
        keys.extend(
            within(|p: &PoolConfig| &p.calls, |p| &mut p.calls).filter(|key| key.name == "timeout"),
        );
        keys.extend(within(|p: &PoolConfig| &p.limits, |p| &mut p.limits));
        keys.retain(|key| !SHARED.contains(&key.name));
        keys
    });
    &KEYS
}

/// The key of that name.
pub(super) fn key(name: &str) -> Option<&'static Declared<PoolConfig>> {
    keys().iter().find(|key| key.name == name)
}

/// Sees to it that there is a pool of that name.
pub(super) fn add(pools: &mut Vec<NamedPool>, name: &str) -> Result<(), ConfigProblemKind> {
    let is_regular = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    let reserved = ["cpython", RUSTPYTHON, "native"];
    if name.is_empty() || !name.chars().all(is_regular) || reserved.contains(&name) {
        let allowed = "letters, digits, `_` and `-`, and no interpreter's name";
        return Err(ConfigProblemKind::OutOfRange {
            value: format!("the name `{name}`"),
            allowed: allowed.to_owned(),
        });
    }
    if !pools.iter().any(|pool| pool.name == name) {
        pools.push(NamedPool { name: name.to_owned(), set: BTreeMap::new() });
    }
    Ok(())
}

/// Sets a key of the pool of that name.
pub(super) fn set(
    pools: &mut [NamedPool],
    pool: &str,
    name: &str,
    value: &Value,
) -> Result<(), ConfigProblemKind> {
    let Some(key) = key(name) else {
        let known: Vec<&str> = keys().iter().map(|key| key.name).collect();
        let (nearest, known) = (nearest(name, &known), owned(&known));
        return Err(ConfigProblemKind::UnknownKey { name: name.to_owned(), nearest, known });
    };
    (key.set)(&mut PoolConfig::of_engine(&Config::default(), Engine::CPython), value)?;
    if let Some(pool) = pools.iter_mut().find(|known| known.name == pool) {
        pool.set.insert(key.name, value.clone());
    }
    Ok(())
}

impl NamedPool {
    /// Its keys that are set, and their values as they are written.
    pub(super) fn settings(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.set.iter().map(|(name, value)| (*name, value))
    }

    /// All settings of the pool.
    #[must_use]
    pub fn within(&self, config: &Config) -> PoolConfig {
        let is_rustpython = self.set.get("interpreter").and_then(Value::as_str) == Some(RUSTPYTHON);
        let engine = if is_rustpython { Engine::RustPython } else { Engine::CPython };
        let mut pool = PoolConfig::of_engine(config, engine);
        pool.name.clone_from(&self.name);
        for (name, value) in &self.set {
            // Checked when it was set.
            let _checked = key(name).map(|key| (key.set)(&mut pool, value));
        }
        if is_rustpython {
            pool.python.interpreter.clone_from(&config.rustpython.executable);
        }
        pool
    }
}

impl PoolConfig {
    /// The pool of an engine's workers that no other pool has.
    fn of_engine(config: &Config, engine: Engine) -> Self {
        let mut python = config.python.clone();
        let bounds = if engine == Engine::RustPython {
            python.interpreter.clone_from(&config.rustpython.executable);
            &config.rustpython_bounds
        } else {
            &config.bounds
        };
        Self {
            name: engine.name().to_owned(),
            engine,
            bounds: bounds.clone(),
            workers: config.workers.clone(),
            python,
            calls: config.calls.clone(),
            limits: config.limits.clone(),
            own: OwnPoolConfig::default(),
            is_removed: false,
        }
    }

    /// The section that sets its size, for messages.
    #[must_use]
    pub fn section(&self) -> String {
        match self.name.as_str() {
            "cpython" => "[workers]".to_owned(),
            RUSTPYTHON => "[rustpython]".to_owned(),
            name => format!("[{SECTION}.{name}]"),
        }
    }

    /// The key that names its interpreter, for messages.
    #[must_use]
    pub fn interpreter_key(&self) -> String {
        match (self.name.as_str(), self.engine) {
            ("cpython", _) => "[python] interpreter".to_owned(),
            (_, Engine::RustPython) => "[rustpython] executable".to_owned(),
            (name, _) => format!("[{SECTION}.{name}] interpreter"),
        }
    }

    /// Path of its interpreter, if one is set.
    #[must_use]
    pub fn interpreter(&self) -> Option<&Path> {
        self.python.interpreter.as_deref()
    }
}

impl Config {
    /// All pools; their index is their number. Pools that `earlier` has keep their numbers: those that
    /// are not there any more are marked.
    #[must_use]
    pub fn pools(&self, earlier: &[std::sync::Arc<PoolConfig>]) -> Vec<PoolConfig> {
        let mut pools = vec![
            PoolConfig::of_engine(self, Engine::CPython),
            PoolConfig::of_engine(self, Engine::RustPython),
        ];
        debug_assert_eq!((CPYTHON_POOL, RUSTPYTHON_POOL), (0, 1), "their order");
        let named = |name: &str| self.named_pools.iter().find(|pool| pool.name == name);
        for known in earlier.iter().skip(pools.len()) {
            pools.push(match named(&known.name) {
                Some(pool) => pool.within(self),
                None => PoolConfig { is_removed: true, ..(**known).clone() },
            });
        }
        for pool in &self.named_pools {
            if !pools.iter().any(|known| known.name == pool.name) {
                pools.push(pool.within(self));
            }
        }
        pools
    }
}
