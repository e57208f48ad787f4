//! Workers that fail to start: each failure is one error that says what to do, and leaves no
//! process running. The "interpreters" are real programs that misbehave.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use orchestrator::Session;
use orchestrator::error::StartError;
use orchestrator::options::OpenOptions;
use orchestrator::{Config, Error, Manifest, Runtime};

use super::quiet::Quiet;

const MANIFEST: &str =
    r#"{"version": "v1", "nodes": [{"id": "a", "node_type": "some.module:Node"}]}"#;

fn open_with(interpreter: &Path, config: &str) -> (Error, Arc<Runtime>) {
    let runtime = Arc::new(Runtime::new(Config::from_toml(config).unwrap()));
    let manifest = Manifest::parse(MANIFEST).unwrap();
    let options = OpenOptions {
        interpreter: Some(interpreter.to_owned()),
        environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
        ..OpenOptions::default()
    };
    let error = Session::open(&runtime, &manifest, options, &mut Quiet).unwrap_err();
    (error, runtime)
}

/// A shell script in place of the Python interpreter.
fn program(folder: &tempfile::TempDir, body: &str) -> PathBuf {
    let path = folder.path().join("python");
    std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn handshake_error(body: &str) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let (error, runtime) = open_with(&program(&folder, body), "");
    assert_eq!(runtime.workers().len(), 0, "nothing is left running");
    match error {
        Error::Start(StartError::Handshake { reason, stderr, .. }) => (reason, stderr),
        other => panic!("another error: {other}"),
    }
}

#[test]
fn an_interpreter_that_does_not_exist_is_named() {
    let (error, _) = open_with(Path::new("/does/not/exist/python3"), "");
    assert!(matches!(error, Error::Start(StartError::Spawn { .. })), "{error}");
    let text = error.to_string();
    assert!(text.contains("/does/not/exist/python3"), "{text}");
    assert!(text.contains("[python] interpreter"), "{text}");
}

#[test]
fn an_interpreter_without_the_package_gets_the_command_that_installs_it() {
    let folder = tempfile::tempdir().unwrap();
    // After the failed start the orchestrator asks what is missing (`-c`); exit code 12 says that
    // the package is.
    let body = "[ \"$1\" = -c ] && exit 12; echo 'Kein Modul' >&2; exit 1";
    let (error, _) = open_with(&program(&folder, body), "");
    assert!(matches!(error, Error::Start(StartError::NoPackage { .. })), "{error}");
    assert!(error.to_string().contains("-m pip install ./python"), "{error}");
}

#[test]
fn a_worker_that_ends_at_once_is_quoted() {
    let (reason, stderr) = handshake_error("echo 'no licence found' >&2; exit 3");
    assert_eq!(reason, "it ended with exit code 3 before completing the handshake");
    assert_eq!(stderr, "no licence found");
    let (reason, stderr) = handshake_error("kill -SEGV $$");
    assert_eq!(reason, "it ended by SIGSEGV before completing the handshake");
    assert_eq!(stderr, "");
}

#[test]
fn an_error_without_output_ends_with_its_own_words() {
    let folder = tempfile::tempdir().unwrap();
    let (error, _) = open_with(&program(&folder, "exit 3"), "");
    assert!(error.to_string().ends_with("before completing the handshake"), "{error}");
}

#[test]
fn a_python_that_is_too_old_is_told() {
    let (reason, _) = handshake_error("[ \"$1\" = -c ] && exit 11; exit 2");
    assert_eq!(reason, "it is older than Python 3.11");
}

#[test]
fn what_a_program_writes_is_shown_and_not_read() {
    let body = "echo \"No module named 'remotemedia'\" >&2; echo 'Unknown option: -P' >&2; exit 1";
    let (reason, stderr) = handshake_error(body);
    assert_eq!(reason, "it ended with exit code 1 before completing the handshake");
    assert!(stderr.contains("No module named"), "{stderr}");
}

#[test]
fn a_worker_that_says_something_else_is_refused() {
    let (reason, _) = handshake_error("echo 'GET / HTTP/1.1' >&0; sleep 1000");
    assert!(reason.contains("frame"), "{reason}");
}

#[test]
fn a_worker_that_is_too_slow_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let config = "[workers]\nstart_timeout = \"200 ms\"\n";
    let (error, runtime) = open_with(&program(&folder, "exec sleep 1000"), config);
    assert!(matches!(error, Error::Start(StartError::TooSlow { .. })), "{error}");
    assert!(error.to_string().contains("start_timeout"), "{error}");
    assert_eq!(runtime.workers().len(), 0, "nothing is left running");
}

#[test]
fn the_next_try_starts_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = program(&folder, "exit 1");
    let (_, runtime) = open_with(&path, "");
    std::fs::write(&path, "#!/bin/sh\necho second >&2; exit 2\n").unwrap();
    let manifest = Manifest::parse(MANIFEST).unwrap();
    let options = OpenOptions { interpreter: Some(path), ..OpenOptions::default() };
    let error = Session::open(&runtime, &manifest, options, &mut Quiet).unwrap_err();
    assert!(error.to_string().contains("second"), "{error}");
}
