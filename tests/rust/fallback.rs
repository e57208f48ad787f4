//! Nodes on two interpreters, and moves from RustPython to CPython, in sessions with real
//! processes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;

use ipc_protocol::Value;
use orchestrator::options::OpenOptions;
use orchestrator::session::Session;
use orchestrator::{Config, Error, Manifest, Runtime};
use serde_json::{Value as Json, json};

use super::quiet::Quiet;

/// A runtime whose two interpreters are the same test worker under two names.
struct Rig {
    runtime: Arc<Runtime>,
    folder: tempfile::TempDir,
}

impl Rig {
    fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["python3", "remotemedia-rustpython"] {
            symlink(env!("CARGO_BIN_EXE_fickle-worker"), folder.path().join(name)).unwrap();
        }
        let runtime = Arc::new(Runtime::new(Config::from_toml(config).unwrap()));
        Self { runtime, folder }
    }

    fn options(&self) -> OpenOptions {
        OpenOptions {
            runtime: Some("rustpython".to_owned()),
            interpreter: Some(self.python()),
            ..OpenOptions::default()
        }
    }

    fn python(&self) -> PathBuf {
        self.folder.path().join("python3")
    }

    fn open(&self, classes: &[&str]) -> Result<Session, Error> {
        Session::open(&self.runtime, &line(classes), self.options(), &mut Quiet)
    }

    /// Runs one item. Returns the trace that the nodes wrote, or the error.
    fn run(&self, classes: &[&str]) -> Result<String, Error> {
        let mut session = self.open(classes)?;
        let trace = process(&mut session);
        let _ended = session.close(&mut Quiet);
        trace
    }

    fn explain(&self, classes: &[&str]) -> String {
        self.runtime.explain(&line(classes), &self.options()).unwrap().to_string()
    }
}

/// A manifest of nodes a, b, c ... of these classes, connected in a row.
fn line(classes: &[&str]) -> Manifest {
    let ids = ["a", "b", "c", "d"];
    let nodes: Vec<Json> = ids
        .iter()
        .zip(classes)
        .map(|(id, class)| match class.strip_prefix("cpython ") {
            Some(class) => {
                json!({"id": id, "node_type": format!("m:{class}"), "runtime_hint": "cpython"})
            }
            None => json!({"id": id, "node_type": format!("m:{class}")}),
        })
        .collect();
    let pairs = ids[..classes.len()].windows(2);
    let edges: Vec<Json> = pairs.map(|pair| json!({"from": pair[0], "to": pair[1]})).collect();
    let text = json!({"version": "v1", "nodes": nodes, "connections": edges}).to_string();
    Manifest::parse(&text).unwrap()
}

fn process(session: &mut Session) -> Result<String, Error> {
    let outputs = session.process(Value::List(Vec::new()), &mut Quiet);
    let outputs = outputs.map_err(|failed| failed.error)?;
    assert_eq!(outputs.len(), 1);
    let Value::List(trace) = &outputs[0].value else { panic!("{:?}", outputs[0].value) };
    let words: Vec<&str> = trace
        .iter()
        .map(|word| match word {
            Value::Str(text) => text.as_ref(),
            other => panic!("{other:?}"),
        })
        .collect();
    Ok(words.join(", "))
}

#[test]
fn nodes_that_rustpython_cannot_run_move_once_per_runtime() {
    // spec: IOP-39, IOP-41, CARD-03, CARD-07
    for class in ["ImportsAtLoad", "ImportsInCall", "DiesAtLoad"] {
        let rig = Rig::new("");
        let classes = ["Runs", class, "Runs", "cpython Runs"];
        let wanted = "a rustpython, b cpython, c rustpython, d cpython";
        assert_eq!(rig.run(&classes).unwrap(), wanted, "{class}");
        let explanation = rig.explain(&classes);
        assert!(explanation.contains("moved from RustPython"), "{explanation}");
        let sessions: Vec<_> = rig
            .runtime
            .workers()
            .iter()
            .map(|worker| (worker.runtime.name(), worker.sessions))
            .collect();
        assert_eq!(rig.run(&classes).unwrap(), wanted, "{class}, again");
        // The second run is one session of each of two warm workers: nothing is tried on RustPython
        // again.
        let again: Vec<_> = rig.runtime.workers().iter().map(|worker| worker.sessions).collect();
        let before: u64 = sessions.iter().map(|(_, count)| count).sum();
        assert_eq!(again.iter().sum::<u64>(), before + 2, "{class}: {sessions:?}, {again:?}");
        assert!(!Rig::new("").explain(&classes).contains("moved"), "{class}: another runtime");
    }
}

#[test]
fn a_node_that_gave_something_keeps_its_state_until_the_session_ends() {
    // spec: IOP-39
    let rig = Rig::new("");
    let mut session = rig.open(&["ImportsLater"]).unwrap();
    assert_eq!(process(&mut session).unwrap(), "a rustpython");
    let error = process(&mut session).unwrap_err().to_string();
    assert!(error.contains("numpy") && error.contains("next session"), "{error}");
    drop(session);
    assert_eq!(rig.run(&["ImportsLater"]).unwrap(), "a cpython");
}

#[test]
fn three_failures_in_a_row_move_a_node_with_its_input() {
    // spec: IOP-39
    for (class, config) in [("Fails", ""), ("Dies", "")] {
        let rig = Rig::new(config);
        for _ in 0..2 {
            let error = rig.run(&[class]).unwrap_err();
            assert!(matches!(error, Error::Node(_) | Error::Crashed(_)), "{class}: {error}");
        }
        assert_eq!(rig.run(&[class]).unwrap(), "a cpython", "{class}");
    }
    let rig = Rig::new("[fallback]\nfailures = 1");
    assert_eq!(rig.run(&["Fails"]).unwrap(), "a cpython");
    let rig = Rig::new("[fallback]\nfailures = 0");
    assert!((0..5).all(|_| rig.run(&["Fails"]).is_err()));
}

#[test]
fn what_was_decided_shows_in_the_metrics() {
    // spec: IOP-39
    let rig = Rig::new("");
    let mut session = rig.open(&["Runs", "ImportsInCall"]).unwrap();
    process(&mut session).unwrap();
    let metrics = session.metrics().to_json();
    assert_eq!(metrics["fallback_count"], 1);
    assert_eq!(metrics["nodes"][0]["runtime"], "rustpython");
    assert!(metrics["nodes"][0]["fallback"].is_null());
    let moved = &metrics["nodes"][1];
    assert_eq!(moved["runtime"], "cpython");
    assert_eq!(moved["fallback"]["kind"], "c_extension");
    assert_eq!(moved["fallback"]["module"], "numpy");
}

#[test]
fn without_fallback_the_error_names_node_module_and_ways_out() {
    // spec: IOP-39, IOP-40
    for class in ["ImportsAtLoad", "ImportsInCall"] {
        let rig = Rig::new("[fallback]\nenabled = false");
        let error = rig.run(&["Runs", class]).unwrap_err();
        let Error::Node(failure) = &error else { panic!("{error}") };
        assert_eq!(failure.import.as_ref().unwrap().module, "numpy");
        let text = error.to_string();
        for part in ["'b'", "numpy", "runtime_hint", "REMOTEMEDIA_ENABLE_FALLBACK"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let options = OpenOptions { fallback: Some(true), ..rig.options() };
        let mut session =
            Session::open(&rig.runtime, &line(&["Runs", class]), options, &mut Quiet).unwrap();
        assert_eq!(process(&mut session).unwrap(), "a rustpython, b cpython", "the argument wins");
    }
}

#[test]
fn pools_of_both_interpreters_are_bounded_apart_and_workers_are_used_again() {
    // spec: CARD-03, IOP-09, IOP-11
    let rig = Rig::new("[workers]\nmax = 1\n[rustpython]\nmax = 1\nmax_sessions = 3");
    let classes = ["Runs", "cpython Runs"];
    let pids = |rig: &Rig, name: &str| -> Vec<u32> {
        let workers = rig.runtime.workers();
        workers.iter().filter(|w| w.runtime.name() == name).map(|w| w.pid).collect()
    };
    rig.run(&classes).unwrap();
    let (light, heavy) = (pids(&rig, "rustpython"), pids(&rig, "cpython"));
    assert_eq!((light.len(), heavy.len()), (1, 1));
    rig.run(&classes).unwrap();
    assert_eq!((pids(&rig, "rustpython"), pids(&rig, "cpython")), (light.clone(), heavy.clone()));
    rig.run(&classes).unwrap();
    rig.run(&classes).unwrap();
    assert!(!pids(&rig, "rustpython").contains(&light[0]), "replaced after three sessions");
    assert_eq!(pids(&rig, "cpython"), heavy);
}

#[test]
fn sessions_at_the_same_time_have_interpreters_of_their_own() {
    // spec: IOP-10, CARD-03
    let rig = Rig::new("");
    let mut first = rig.open(&["Runs"]).unwrap();
    let mut second = rig.open(&["Runs"]).unwrap();
    assert_eq!(process(&mut first).unwrap(), "a rustpython");
    assert_eq!(process(&mut second).unwrap(), "a rustpython");
    let workers = rig.runtime.workers();
    assert_eq!(workers.len(), 2);
    assert_ne!(workers[0].pid, workers[1].pid);
}

#[test]
fn a_program_that_is_another_interpreter_is_refused() {
    // spec: CARD-03
    let rig = Rig::new("");
    let config = format!("[rustpython]\nexecutable = \"{}\"", rig.python().display());
    let wrong = Rig { runtime: Arc::new(Runtime::new(Config::from_toml(&config).unwrap())), ..rig };
    let error = wrong.run(&["Runs"]).unwrap_err().to_string();
    for part in ["it runs cpython 3.11.7", "rustpython was wanted", "[rustpython] executable"] {
        assert!(error.contains(part), "{part} in {error}");
    }
}
