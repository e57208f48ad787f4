//! The program itself: exit codes, what goes to standard output and what to standard error.
//! Pipelines here are native; those with Python nodes are tested with the SDK.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

fn remotemedia(arguments: &[&str], stdin: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_remotemedia"))
        .args(arguments)
        .env_remove("REMOTEMEDIA_CONFIG")
        .env_remove("REMOTEMEDIA_PYTHON_RUNTIME")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that ends before it has read everything closes the pipe.
    let _unread = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    child.wait_with_output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn arithmetic() -> String {
    json!({"version": "v1", "metadata": {"name": "sums"}, "nodes": [
        {"id": "twice", "node_type": "MultiplyNode", "params": {"factor": 2}},
        {"id": "more", "node_type": "AddNode", "params": {"addend": 1}}],
        "connections": [{"from": "twice", "to": "more"}]})
    .to_string()
}

#[test]
fn commands_in_python_say_how_to_get_them() {
    for verb in ["compat", "doctor", "replay"] {
        let output = remotemedia(&[verb, "--json", "x"], "");
        assert_eq!(code(&output), 3);
        assert!(err(&output).contains(&format!("python3 -m remotemedia {verb}")), "{verb}");
    }
}

#[test]
fn validate_accepts_and_refuses() {
    let folder = Folder::new();
    let good = folder.file("good.json", arithmetic());
    let done = remotemedia(&["validate", good.to_str().unwrap()], "");
    assert_eq!(code(&done), 0, "{}", err(&done));
    assert!(out(&done).contains("valid, 2 nodes, 1 connections"));

    let done = remotemedia(&["validate", "-"], r#"{"version": "v1", "nodes": []}"#);
    assert_eq!(code(&done), 2);
    assert!(err(&done).contains("at least one node") && done.stdout.is_empty());

    let done = remotemedia(&["validate", "/nonexistent.json"], "");
    assert_eq!(code(&done), 2);
    assert!(err(&done).starts_with("error: cannot read the manifest /nonexistent.json"));
}

#[test]
fn run_writes_json_lines_and_metrics() {
    let folder = Folder::new();
    let manifest = folder.file("m.json", arithmetic());
    let metrics = folder.0.path().join("metrics.json");
    let arguments =
        ["run", manifest.to_str().unwrap(), "--input", "-", "--metrics", metrics.to_str().unwrap()];
    let done = remotemedia(&arguments, "1\n2.5\n");
    assert_eq!(code(&done), 0, "{}", err(&done));
    let lines: Vec<Value> =
        out(&done).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| line["node_id"] == "more"));
    assert_eq!(lines[0]["output"].as_f64(), Some(3.0));
    assert_eq!(lines[1]["output"].as_f64(), Some(6.0));
    let metrics: Value = serde_json::from_str(&std::fs::read_to_string(metrics).unwrap()).unwrap();
    assert_eq!(metrics["pipeline_id"], "sums");
    assert_eq!(metrics["nodes"][0]["execution_count"].as_u64(), Some(2), "two items");
}

#[test]
fn audio_files_and_raw_samples_go_in() {
    let folder = Folder::new();
    let text = json!({"version": "v1", "nodes": [
        {"id": "down", "node_type": "ResampleNode", "params": {"target_rate": 16000}}]});
    let manifest = folder.file("m.json", text.to_string());
    let samples = folder.file("a.pcm", vec![0_u8; 2 * 2 * 4800]);
    let arguments = [
        "run",
        manifest.to_str().unwrap(),
        "--input",
        samples.to_str().unwrap(),
        "--raw",
        "48000,2",
    ];
    let done = remotemedia(&arguments, "");
    assert_eq!(code(&done), 0, "{}", err(&done));
    let line: Value = serde_json::from_str(&out(&done)).unwrap();
    assert_eq!(line["output"][0]["shape"], json!([2, 1600]));
    assert_eq!(line["output"][1], 16000);
}

#[test]
fn each_kind_of_failure_has_its_exit_code_and_one_message() {
    let folder = Folder::new();
    let manifest = folder.file("m.json", arithmetic());
    let manifest = manifest.to_str().unwrap();
    let unknown = folder.file("c.toml", "[workers]\nmx = 1\n");
    let calculator = json!({"version": "v1", "nodes": [{"id": "div", "node_type": "CalculatorNode",
        "params": {"operation": "divide", "operand": 0}}]});
    let divide = folder.file("d.json", calculator.to_string());
    let python = json!({"version": "v1", "nodes": [{"id": "p", "node_type": "BufferNode"}]});
    let python = folder.file("p.json", python.to_string());
    for (arguments, stdin, wanted, phrase) in [
        (vec!["run", manifest, "--inptu", "-"], "", 2, "--input"),
        (vec!["run", manifest, "--input", "/nonexistent.wav"], "", 2, "/nonexistent.wav"),
        (vec!["run", manifest, "--input", "-"], "1\n}\n", 2, "line 2"),
        (vec!["run", manifest], "", 2, "no input"),
        (vec!["run", "-", "--input", "-"], "", 2, "both"),
        (
            vec!["run", manifest, "--config", unknown.to_str().unwrap()],
            "",
            2,
            "unknown key `mx`, did you mean `max`?",
        ),
        (vec!["run", divide.to_str().unwrap(), "--input", "-"], "1\n", 1, "node 'div'"),
        (
            vec![
                "run",
                python.to_str().unwrap(),
                "--input",
                "-",
                "--python",
                "/nonexistent/python",
            ],
            "1\n",
            3,
            "/nonexistent/python",
        ),
        (vec!["nodes", "VadNod"], "", 2, "did you mean 'VADNode'?"),
    ] {
        let done = remotemedia(&arguments, stdin);
        let text = err(&done);
        assert_eq!(code(&done), wanted, "{arguments:?}: {text}");
        assert!(text.contains(phrase) && text.starts_with("error: "), "{arguments:?}: {text}");
        assert!(!text.contains("panicked"), "{text}");
    }
}

#[test]
fn outputs_before_a_failure_are_written() {
    let folder = Folder::new();
    let manifest = folder.file("m.json", arithmetic());
    let done = remotemedia(&["run", manifest.to_str().unwrap(), "--input", "-"], "1\n\"x\"\n2\n");
    assert_eq!(code(&done), 1, "{}", err(&done));
    assert_eq!(out(&done).lines().count(), 1);
}

#[test]
fn version_and_help_are_no_errors() {
    let done = remotemedia(&["--version"], "");
    assert_eq!(
        (code(&done), out(&done).trim()),
        (0, concat!("remotemedia ", env!("CARGO_PKG_VERSION")))
    );
    let done = remotemedia(&["run", "--help"], "");
    assert_eq!(code(&done), 0);
    assert!(out(&done).contains("Exit codes:") && out(&done).contains("__numpy__"));
}
