//! What differs between two configurations, and when the differences count.

use std::collections::{BTreeMap, BTreeSet};

use toml::Value;

use super::declare::Effect;
use super::{Config, NamedPool, keys, policies, pools};

/// A key that has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key, such as `[workers] max`.
    pub key: String,
    /// When the new value counts.
    pub effect: Effect,
}

/// The keys that differ, section by section.
pub(crate) fn between(old: &Config, new: &Config) -> Vec<Change> {
    let mut changes = Vec::new();
    for key in keys() {
        if (key.setting.get)(old) != (key.setting.get)(new) {
            changes.push(Change { key: key.path(), effect: key.setting.effect });
        }
    }
    for pattern in names(old.nodes.iter().chain(&new.nodes), |policy| &policy.pattern) {
        let find = |config: &'_ Config| {
            config.nodes.iter().find(|policy| policy.pattern == pattern).cloned()
        };
        if find(old) != find(new) {
            let key = format!("[{}.{pattern}]", policies::SECTION);
            changes.push(Change { key, effect: Effect::Sessions });
        }
    }
    for name in names(old.named_pools.iter().chain(&new.named_pools), |pool| &pool.name) {
        of_pool(&name, set_in(old, &name), set_in(new, &name), &mut changes);
    }
    changes
}

/// The settings of one pool that differ.
fn of_pool(
    name: &str,
    old: Option<BTreeMap<&'static str, Value>>,
    new: Option<BTreeMap<&'static str, Value>>,
    changes: &mut Vec<Change>,
) {
    let at = format!("[{}.{name}]", pools::SECTION);
    if old.is_some() != new.is_some() {
        changes.push(Change { key: at.clone(), effect: Effect::Sessions });
    }
    let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
    let all: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
    for key in all.into_iter().filter(|key| old.get(key) != new.get(key)) {
        let effect = pools::key(key).map_or(Effect::Sessions, |key| key.effect);
        changes.push(Change { key: format!("{at} {key}"), effect });
    }
}

fn set_in(config: &Config, name: &str) -> Option<BTreeMap<&'static str, Value>> {
    let pool: &NamedPool = config.named_pools.iter().find(|pool| pool.name == name)?;
    Some(pool.settings().map(|(name, value)| (name, value.clone())).collect())
}

fn names<'a, T: 'a>(
    all: impl Iterator<Item = &'a T>,
    name: impl Fn(&'a T) -> &'a String,
) -> BTreeSet<String> {
    all.map(|one| name(one).clone()).collect()
}
