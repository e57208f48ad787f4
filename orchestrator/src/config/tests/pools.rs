//! `[pools.NAME]`: what pools inherit, what they set, and what is wrong with them.

use std::time::Duration;

use super::problems;
use crate::config::show;
use crate::config::{Config, Named, PoolConfig, Sources, changes};
use crate::placement::Engine;

fn pools(text: &str) -> Vec<PoolConfig> {
    Config::from_toml(text).unwrap().pools(&[])
}

/// spec: CARD-09
#[test]
fn a_pool_has_what_it_sets_and_inherits_the_rest() {
    let text = "[workers]\nmax = 6\nmin = 1\n[limits]\nmemory = \"1 GiB\"\n[rustpython]\nmax = 3\n\
                [pools.gpu]\nmax = 2\ntimeout = \"5 s\"\n\
                [pools.small]\ninterpreter = \"rustpython\"\nmemory = \"64 MiB\"\n";
    let pools = pools(text);
    let names: Vec<&str> = pools.iter().map(|pool| pool.name.as_str()).collect();
    assert_eq!(names, ["cpython", "rustpython", "gpu", "small"]);
    let (gpu, small) = (&pools[2], &pools[3]);
    assert_eq!((gpu.bounds.max, gpu.bounds.min, gpu.engine), (Some(2), 1, Engine::CPython));
    assert_eq!((gpu.limits.memory, gpu.calls.timeout), (1 << 30, Some(Duration::from_secs(5))));
    assert_eq!((small.bounds.max, small.engine), (Some(3), Engine::RustPython));
    assert_eq!((small.limits.memory, small.python.interpreter.as_ref()), (64 << 20, None));
    assert_eq!(pools[0].calls.timeout, None, "what a pool sets is its own");
}

#[test]
fn pools_keep_their_numbers_when_the_configuration_changes() {
    let before: Vec<_> =
        pools("[pools.a]\n[pools.b]\nmax = 1\n").into_iter().map(std::sync::Arc::new).collect();
    let after = Config::from_toml("[pools.b]\nmax = 2\n[pools.c]\n").unwrap().pools(&before);
    let told: Vec<_> = after.iter().map(|pool| (pool.name.as_str(), pool.is_removed)).collect();
    let known = [("cpython", false), ("rustpython", false)];
    assert_eq!(told[..2], known);
    assert_eq!(told[2..], [("a", true), ("b", false), ("c", false)]);
    assert_eq!(after[3].bounds.max, Some(2));
}

#[test]
fn wrong_pools_are_refused_with_their_place() {
    for (text, expected) in [
        ("[pools.gpu]\nmaxx = 1", "[pools.gpu] maxx: unknown key `maxx`, did you mean `max`?"),
        ("[pools.gpu]\nmin = 5\nmax = 2", "[pools.gpu]: min = 5 is more than max = 2"),
        ("[pools.cpython]\nmax = 2", "[pools.cpython]: the name `cpython` is out of range"),
        ("[pools.\"a b\"]", "[pools.a b]: the name `a b` is out of range"),
        ("pools = 3", "expected sections, written [pools.NAME]"),
        ("[pools]\ngpu = 3", "[pools.gpu]: expected a section, written [pools.gpu]"),
        ("[pools.gpu]\nnice = 20", "[pools.gpu] nice: 20 is out of range: allowed is -20 to 19"),
        ("[pools.gpu]\ncpu_affinity = \"3-1\"", "[pools.gpu] cpu_affinity: `3-1` is out of range"),
        ("[pools.gpu]\ncpu_affinity = \"a\"", "[pools.gpu] cpu_affinity: `a` is out of range"),
        ("[pools.gpu]\nmemory = 3", "[pools.gpu] memory: expected a size with its unit"),
        ("[pools.gpu]\nruntime = \"auto\"", "[pools.gpu] runtime: unknown key `runtime`"),
    ] {
        let told = problems(text);
        assert_eq!(told.len(), 1, "{text}: {told:?}");
        assert!(told[0].contains(expected), "{text}: {told:?}");
    }
}

#[test]
fn processors_are_written_as_they_are_read() {
    for (written, shown) in [("0-3,8", "0-3,8"), (" 1 , 0", "0-1"), ("", ""), ("5", "5")] {
        let pools = pools(&format!("[pools.a]\ncpu_affinity = \"{written}\"\n"));
        let key = crate::config::pools::key("cpu_affinity").unwrap();
        assert_eq!((key.get)(&pools[2]).as_str(), Some(shown), "{written}");
    }
}

#[test]
fn pools_are_shown_and_explained_with_their_origins() {
    let named = Some(Named::Text("[pools.gpu]\nmax = 2\n".to_owned()));
    let set = vec!["pools.gpu.memory=1 GiB".to_owned()];
    let loaded = Sources { named, set, ..Sources::default() }.load().unwrap();
    let all = show::all(&loaded, true);
    assert!(all.contains("[pools.gpu]\nmax = 2") && all.contains("# --set"), "{all}");
    let explained = show::explain(&loaded, "pools.gpu.max").unwrap();
    assert!(explained.contains("now: 2") && explained.contains("line 2"), "{explained}");
    let inherited = show::explain(&loaded, "pools.gpu.timeout").unwrap();
    assert!(inherited.contains("set by: inherited"), "{inherited}");
}

#[test]
fn changes_name_their_keys_and_when_they_count() {
    let config = |text: &str| Config::from_toml(text).unwrap();
    let old = config("[workers]\nmax = 4\n[pools.a]\nmax = 1\npreload = [\"torch\"]\n");
    let new = config(
        "[workers]\nmax = 5\n[status]\nsocket = false\n[pools.a]\nmax = 2\n[pools.b]\n\
         [nodes.\"x*\"]\nretry = true\n",
    );
    let told: Vec<(String, &str)> = changes::between(&old, &new)
        .into_iter()
        .map(|change| (change.key, change.effect.name()))
        .collect();
    let told: Vec<(&str, &str)> =
        told.iter().map(|(key, effect)| (key.as_str(), *effect)).collect();
    let expected = [
        ("[workers] max", "at once"),
        ("[status] socket", "restart"),
        ("[nodes.x*]", "next session"),
        ("[pools.a] max", "at once"),
        ("[pools.a] preload", "next worker"),
        ("[pools.b]", "next session"),
    ];
    assert_eq!(told, expected);
    assert_eq!(changes::between(&new, &new), []);
}
