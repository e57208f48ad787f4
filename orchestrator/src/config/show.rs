//! What the command line tells about settings: all of them as they are in force, or one.

use std::fmt::Write as _;

use super::declare::{Declared, Group, Key};
use super::layers::Loaded;
use super::merge::nearest;
use super::{Config, keys, policies, pools};
use super::{NamedPool, OwnPoolConfig, PoolConfig};

/// Why a name is that of no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no key is called `{name}`{}", .nearest.as_ref().map_or_else(
    || "; docs/configuration.md lists all keys".to_owned(),
    |nearest| format!("; did you mean `{nearest}`?"),
))]
pub struct UnknownKey {
    /// The name as given.
    pub name: String,
    /// The most similar known name.
    pub nearest: Option<String>,
}

/// All settings in force as TOML, section by section; with their origins where `origins` is set.
#[must_use]
pub fn all(loaded: &Loaded, origins: bool) -> String {
    let mut text = String::new();
    let mut section = "";
    for key in keys() {
        if key.section != section {
            section = key.section;
            let _ = writeln!(text, "{}[{section}]", if text.is_empty() { "" } else { "\n" });
        }
        let line = format!("{} = {}", key.setting.name, (key.setting.get)(&loaded.config));
        let _ = match origins {
            true => writeln!(text, "{line:40} # {}", origin(loaded, &key.path())),
            false => writeln!(text, "{line}"),
        };
    }
    let policies = loaded.config.nodes.iter().map(|policy| {
        let quoted = toml::Value::String(policy.pattern.clone()).to_string();
        (policies::SECTION, quoted, policy.pattern.as_str(), policy.settings().collect())
    });
    let pools = loaded.config.named_pools.iter().map(|pool| {
        let set = pool.settings().map(|(name, value)| (name, value.clone()));
        (pools::SECTION, pool.name.clone(), pool.name.as_str(), set.collect::<Vec<_>>())
    });
    for (section, written, name, settings) in policies.chain(pools) {
        let _ = writeln!(text, "\n[{section}.{written}]");
        for (key, value) in settings {
            let path = format!("[{section}.{name}] {key}");
            let line = format!("{key} = {value}");
            let _ = match origins {
                true => writeln!(text, "{line:40} # {}", origin(loaded, &path)),
                false => writeln!(text, "{line}"),
            };
        }
    }
    text
}

/// The names of all keys, as `section.key`; for pools with names those that no other section has.
#[must_use]
pub fn names() -> Vec<String> {
    let own = OwnPoolConfig::declared();
    let own = own.iter().map(|key| format!("{}.{}", pools::SECTION, key.name));
    keys().iter().map(|key| format!("{}.{}", key.section, key.setting.name)).chain(own).collect()
}

/// A key with everything that is known about it: `name` is `section.key`, or a key alone.
///
/// # Errors
/// [`UnknownKey`] when no key has that name.
pub fn explain(loaded: &Loaded, name: &str) -> Result<String, UnknownKey> {
    let dotted = |key: &Key| format!("{}.{}", key.section, key.setting.name);
    let wanted = name.trim().trim_start_matches('[').replace("] ", ".");
    if let Some((pool, key)) = of_pool(&wanted) {
        return Ok(explained_of_pool(loaded, pool, key));
    }
    let found: Vec<&Key> =
        keys().iter().filter(|key| dotted(key) == wanted || key.setting.name == wanted).collect();
    if found.is_empty() {
        let all: Vec<String> = keys().iter().map(dotted).collect();
        let names: Vec<&str> = keys().iter().map(|key| key.setting.name).collect();
        let whole: Vec<&str> = all.iter().map(String::as_str).collect();
        let nearest =
            if wanted.contains('.') { nearest(&wanted, &whole) } else { nearest(&wanted, &names) };
        return Err(UnknownKey { name: name.to_owned(), nearest });
    }
    let told: Vec<String> = found.into_iter().map(|key| explained(loaded, key)).collect();
    Ok(told.join("\n"))
}

/// The pool and the key that `pools.NAME.KEY` names.
fn of_pool(wanted: &str) -> Option<(&str, &'static Declared<PoolConfig>)> {
    let (pool, key) = wanted.strip_prefix("pools.")?.rsplit_once('.')?;
    Some((pool, pools::key(key)?))
}

fn explained(loaded: &Loaded, key: &Key) -> String {
    let facts = [
        ("default", (key.setting.get)(&Config::default()).to_string()),
        ("now", (key.setting.get)(&loaded.config).to_string()),
        ("set by", origin(loaded, &key.path())),
        ("variable", key.variable()),
    ];
    described(&key.path(), &key.setting, facts)
}

fn explained_of_pool(loaded: &Loaded, pool: &str, key: &Declared<PoolConfig>) -> String {
    let path = format!("[{}.{pool}] {}", pools::SECTION, key.name);
    let named = loaded.config.named_pools.iter().find(|known| known.name == pool);
    let value = |named: &NamedPool| (key.get)(&named.within(&loaded.config)).to_string();
    let is_set = named.is_some_and(|named| named.settings().any(|(name, _)| name == key.name));
    let facts = [
        ("now", named.map_or_else(|| "there is no such pool".to_owned(), value)),
        ("set by", if is_set { origin(loaded, &path) } else { "inherited".to_owned() }),
    ];
    described(&path, key, facts)
}

fn described<C, const N: usize>(
    path: &str,
    setting: &Declared<C>,
    facts: [(&str, String); N],
) -> String {
    let mut text = format!("{path}\n\n");
    for line in super::reference::wrapped(&setting.doc, 90) {
        let _ = writeln!(text, "  {line}");
    }
    let allowed = match setting.range.as_str() {
        "" => setting.kind.to_owned(),
        range => format!("{}: {range}", setting.kind),
    };
    let counts = ("a change counts", setting.effect.to_string());
    for (what, value) in [("allowed", allowed)].into_iter().chain(facts).chain([counts]) {
        let _ = writeln!(text, "  {what}: {value}");
    }
    text
}

fn origin(loaded: &Loaded, path: &str) -> String {
    loaded.set.get(path).map_or_else(|| "default".to_owned(), ToString::to_string)
}
