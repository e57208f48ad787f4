//! Kinds come, are found again, and are forgotten.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::Kinds;
use crate::placement::{CPYTHON_POOL, Engine};
use crate::worker::{Start, Wanted, WorkerKey};

fn wanted(device: &str, place: u64) -> Wanted {
    let key = WorkerKey {
        pool: CPYTHON_POOL,
        setting: String::new(),
        runtime: Engine::CPython,
        interpreter: PathBuf::from("/usr/bin/python3"),
        options: Vec::new(),
        start_variables: vec![("CUDA_VISIBLE_DEVICES".into(), device.into())],
        user: (0, 0),
        apart: None,
    };
    let start = Start::default();
    Wanted { key, start: Arc::new(start), place, count: 1 }
}

fn apart(wanted: &Wanted) -> Wanted {
    let key = WorkerKey { apart: Some(wanted.place), ..wanted.key.clone() };
    Wanted { key, ..wanted.clone() }
}

/// spec: CARD-02: workers are the same when nothing differs that counts at their start.
#[test]
fn a_kind_is_found_again_whatever_the_session_brings_along() {
    let mut kinds = Kinds::default();
    let first = kinds.intern(&wanted("0", 1));
    let environment = vec![("TZ".into(), "UTC".into())];
    let start =
        Arc::new(Start { environment, working_directory: Some("/srv".into()), ..Start::default() });
    let other = Wanted { start: Arc::clone(&start), ..wanted("0", 2) };
    assert_eq!(kinds.intern(&other), first);
    assert_eq!(kinds.get(first).unwrap().start, start, "new workers start as the last session is");
    assert_ne!(kinds.intern(&wanted("1", 1)), first);
    assert_eq!(kinds.len(), 2);
}

#[test]
fn a_path_whose_sessions_are_apart_has_its_own_kind_until_that_is_forgotten() {
    let mut kinds = Kinds::default();
    let common = kinds.intern(&wanted("0", 1));
    let own = kinds.intern(&apart(&wanted("0", 2)));
    assert_ne!(own, common);
    assert_eq!(kinds.intern(&wanted("0", 2)), own);
    assert_eq!(kinds.intern(&wanted("0", 1)), common);
    assert_eq!(kinds.intern(&wanted("0", 3)), common);
    kinds.keep(&BTreeSet::from([common.number]));
    assert_eq!(kinds.intern(&wanted("0", 2)), common);
}

#[test]
fn kinds_that_are_not_in_use_are_forgotten() {
    let mut kinds = Kinds::default();
    for request in 0..10_000 {
        let used = kinds.intern(&wanted(&request.to_string(), request));
        kinds.intern(&apart(&wanted(&request.to_string(), request)));
        kinds.keep(&BTreeSet::from([used.number]));
        assert!(kinds.get(used).is_some());
    }
    assert_eq!(kinds.len(), 1);
    kinds.keep(&BTreeSet::new());
    assert_eq!((kinds.len(), kinds.numbers.len(), kinds.apart), (0, 0, 0));
}
