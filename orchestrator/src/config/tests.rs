//! Struct, template, reference and schema of the configuration agree.

mod env;
mod policies;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::keys::{SECTIONS, keys};
use super::units::{parse_duration, parse_size, show_duration, show_size};
use super::{Config, ConfigProblemKind, DEFAULT_TOML, Origin, reference};
use crate::model::{FailingDefaults, OnOpen, Retry, RetryMode};
use crate::placement::Engine;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn problems(text: &str) -> Vec<String> {
    let error = Config::from_toml(text).unwrap_err();
    error.problems.iter().map(ToString::to_string).collect()
}

#[test]
fn template_is_the_default_and_names_every_key() {
    assert_eq!(Config::from_toml(DEFAULT_TOML).unwrap(), Config::default());
    assert_eq!(Config::from_toml("").unwrap(), Config::default());
    let template: toml::Table = toml::from_str(DEFAULT_TOML).unwrap();
    let written: Vec<String> = template
        .iter()
        .flat_map(|(section, keys)| {
            keys.as_table().unwrap().keys().map(move |key| format!("[{section}] {key}"))
        })
        .collect();
    for key in keys() {
        let name = format!("[{}] {}", key.section, key.name);
        assert!(written.contains(&name), "{name} is missing in config/default.toml");
    }
    assert_eq!(written.len(), keys().len());
    assert!(keys().iter().all(|key| SECTIONS.iter().any(|(name, _)| *name == key.section)));
}

/// `UPDATE=1 cargo test -p orchestrator generated` writes the files again.
#[test]
fn generated_files_are_current() {
    let files = [
        ("docs/configuration.md", reference::markdown()),
        ("config/config.schema.json", reference::json_schema()),
    ];
    for (name, wanted) in files {
        let path = root().join(name);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &wanted).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == wanted, "{name} is not current; run the tests with UPDATE=1");
    }
}

#[test]
fn examples_and_template_are_valid_by_parser_and_schema() {
    let schema: serde_json::Value = serde_json::from_str(&reference::json_schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut files: Vec<PathBuf> = std::fs::read_dir(root().join("config/examples"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(files.len() >= 3, "the examples are gone");
    files.push(root().join("config/default.toml"));
    for path in files {
        let config = Config::from_file(&path).unwrap();
        let is_template = path.ends_with("default.toml");
        assert_eq!(config == Config::default(), is_template, "{}", path.display());
        let text = std::fs::read_to_string(&path).unwrap();
        let table: toml::Table = toml::from_str(&text).unwrap();
        let json = serde_json::to_value(table).unwrap();
        assert!(validator.is_valid(&json), "{}", path.display());
    }
    let wrong = serde_json::json!({"workers": {"idle_timeout": "5 minutes", "mx": 1}});
    assert!(!validator.is_valid(&wrong));
}

/// For each key, a value that differs from its default.
const A_VALUE_FOR_EACH_KEY: &str = r#"
        [workers]
        min = 1
        max = 3
        idle_timeout = "1 h"
        max_sessions = 10
        recycle_above_memory = "1.5 GB"
        recycle_above_growth = "100 MiB"
        recycle_after_calls = 1000
        zygote = false
        start_timeout = "2 min"
        open_timeout = "90 s"
        close_timeout = "250 ms"
        stack_grace = "1 s"
        stop_grace = "1 s"
        acquire_timeout = "1 s"
        [rustpython]
        executable = "/opt/remotemedia-rustpython"
        allow_modules = "ctypes"
        min = 2
        max = 5
        idle_timeout = "2 h"
        max_sessions = 11
        recycle_above_memory = "64 MiB"
        recycle_above_growth = "32 MiB"
        recycle_after_calls = 500
        [fallback]
        enabled = false
        failures = 0
        [python]
        runtime = "rustpython"
        executable = "/opt/python/bin/python3"
        environment = { A = "1" }
        modules = { settings = "/etc/settings.py" }
        start_variables = ["CUDA_VISIBLE_DEVICES", "B"]
        preload = ["scipy.signal"]
        threads = 2
        allow_pickle = false
        write_back_max = "0"
        [calls]
        timeout = "500 us"
        window = 1
        queue = 2
        spin = "1 ms"
        retry = true
        retries = 5
        retry_delay = "0"
        retry_on = ["Flaky"]
        deadline = "2 s"
        breaker = 5
        breaker_pause = "1 min"
        on_open = "drop"
        checkpoint_every = 7
        standby = 1
        [shared_memory]
        segment = "named"
        inline_max = "2 KiB"
        ring = "1 MiB"
        ring_block_max = "64 KiB"
        max = "16 MiB"
        idle_max = "0 B"
        pinned_max = "1 MiB"
        [limits]
        memory = "2 GiB"
        memory_hard = "3 GiB"
        cpu_time = "1500 ms"
        open_files = 100
        output_size = "10 MiB"
        child_processes = 8
        log_rate = "1 MiB"
        max_frame = "64 MiB"
        max_depth = 9
        [output]
        forward_output = false
    "#;

fn check_failing(config: &Config) {
    let failing = FailingDefaults {
        retry: RetryMode::Always,
        tries: Retry { limit: 5, delay: Duration::ZERO },
        retry_on: vec!["Flaky".to_owned()],
        deadline: Some(Duration::from_secs(2)),
        breaker: 5,
        breaker_pause: Duration::from_secs(60),
        on_open: OnOpen::Drop,
        checkpoint_every: 7,
        standby: 1,
    };
    assert_eq!(config.calls.failing, failing);
}

fn check_interpreters(config: &Config) {
    let default = Config::default();
    let rustpython = &config.rustpython;
    assert_eq!(rustpython.executable, Some(PathBuf::from("/opt/remotemedia-rustpython")));
    assert_eq!((rustpython.pool.min, rustpython.pool.max_workers()), (2, 5));
    let settings: Vec<_> = config.module_settings().into_iter().map(|(_, value)| value).collect();
    assert_eq!(settings, ["ctypes", r#"{"settings":{"file":"/etc/settings.py"}}"#]);
    assert_eq!(default.module_settings(), []);
    assert_eq!(rustpython.pool.idle_timeout, Some(Duration::from_secs(7200)));
    assert_eq!(rustpython.pool.max_sessions, Some(11));
    assert_eq!(rustpython.pool.recycle_above_memory_bytes, Some(64 << 20));
    assert_eq!(rustpython.pool.recycle_above_growth_bytes, Some(32 << 20));
    assert_eq!(rustpython.pool.recycle_after_calls, Some(500));
    assert!(!config.fallback.enabled && default.fallback.enabled);
    assert_eq!((config.fallback.failures, default.fallback.failures), (0, 3));
    assert_eq!(config.python.runtime, Some(Engine::RustPython));
    assert_eq!(default.python.runtime, None);
}

#[test]
fn every_key_has_an_effect_on_the_struct() {
    let text = A_VALUE_FOR_EACH_KEY;
    // 500 us is below the range of `timeout`; everything else is fine.
    assert_eq!(
        problems(text),
        ["[calls] timeout: 500 us is out of range: allowed is 1 ms to 8760 h, or 0 (no limit)"]
    );
    let config = Config::from_toml(&text.replace("500 us", "500 ms")).unwrap();
    let default = Config::default();
    assert_eq!(config.workers.pool.min, 1);
    assert_eq!(config.workers.pool.max_workers(), 3);
    assert_eq!(config.workers.pool.idle_timeout, Some(Duration::from_secs(3600)));
    assert_eq!(config.workers.pool.max_sessions, Some(10));
    assert_eq!(config.workers.pool.recycle_above_memory_bytes, Some(1_500_000_000));
    assert_eq!(config.workers.pool.recycle_above_growth_bytes, Some(100 << 20));
    assert_eq!(config.workers.pool.recycle_after_calls, Some(1000));
    assert!(!config.workers.zygote && default.workers.zygote);
    assert_eq!(config.python.preload, ["scipy.signal"]);
    assert_eq!(config.workers.start_timeout, Duration::from_secs(120));
    assert_eq!(config.workers.open_timeout, Duration::from_secs(90));
    assert_eq!(config.workers.close_timeout, Duration::from_millis(250));
    assert_eq!(config.workers.stack_grace, Duration::from_secs(1));
    assert_eq!(config.workers.stop_grace, Duration::from_secs(1));
    assert_eq!(config.workers.acquire_timeout, Duration::from_secs(1));
    check_failing(&config);
    check_interpreters(&config);
    assert_eq!(config.python.executable, Some(PathBuf::from("/opt/python/bin/python3")));
    assert_eq!(config.python.environment["A"], "1");
    assert_eq!(config.python.start_variables, ["CUDA_VISIBLE_DEVICES", "B"]);
    assert_eq!(config.python.threads, 2);
    assert!(!config.python.allow_pickle && default.python.allow_pickle);
    assert_eq!(config.python.write_back_max_bytes, 0);
    assert_eq!(config.calls.timeout, Some(Duration::from_millis(500)));
    assert_eq!((config.calls.window, config.calls.queue), (1, 2));
    assert_eq!(config.calls.spin, Duration::from_millis(1));
    let memory = &config.shared_memory;
    assert_eq!(memory.segment, super::SegmentChoice::Named);
    assert_eq!((memory.inline_max_bytes, memory.ring_bytes), (2 << 10, 1 << 20));
    assert_eq!((memory.ring_block_max_bytes, memory.max_bytes), (64 << 10, 16 << 20));
    assert_eq!((memory.idle_max_bytes, memory.pinned_max_bytes), (0, 1 << 20));
    let of_worker = crate::limits::ALL.map(|limit| config.limits.worker.get(limit).unwrap_or(0));
    assert_eq!(of_worker, [2 << 30, 3 << 30, 1_500, 100, 10 << 20, 8, 1 << 20]);
    let limits = config.limits.to_protocol();
    assert_eq!((limits.max_frame_bytes, limits.max_depth), (64 << 20, 9));
    assert!(!config.output.forward_output && default.output.forward_output);
    assert_eq!(text.matches(" = ").count() - 2, keys().len(), "a key is missing in this test");
}

#[test]
fn automatic_worker_count_is_at_least_four() {
    assert!(Config::default().workers.pool.max_workers() >= 4);
}

#[test]
fn all_problems_are_reported_at_once_with_place_and_advice() {
    let text = r#"
        timeout = "1 s"
        [worker]
        [workers]
        mn = 1
        max = "many"
        idle_timeout = 30
        start_timeout = "soon"
        close_timeout = "0"
        [python]
        threads = 0
        environment = { A = 1 }
        [rustpython]
        allow_modules = "ctypes, os.frok"
        [limits]
        max_frame = "1 KiB"
        [calls]
        window = 1.5
    "#;
    let found = problems(text);
    let wanted = [
        "unknown section [timeout], did you mean `[calls] timeout`?",
        "unknown section [worker], did you mean `workers`?",
        "[workers]: unknown key `mn`, did you mean `min`?",
        "[workers] max: expected a whole number or \"auto\", got the text \"many\"",
        "[workers] idle_timeout: expected a duration with its unit, such as \"250 ms\", \"30 s\", \
         \"2 min\" or \"1 h\", got the number 30",
        "[workers] start_timeout: `soon` is not a duration with its unit, such as \"250 ms\", \
         \"30 s\", \"2 min\" or \"1 h\"",
        "[workers] close_timeout: 0 is out of range: allowed is 1 ms to 24 h",
        "[python] threads: 0 is out of range: allowed is 1 to 1024",
        "[python] environment: expected a text for A, got the number 1",
        "[rustpython] allow_modules: `os.frok` is out of range: allowed is \"ctypes\", \"os.fork\", \
         \"multiprocessing\"",
        "[limits] max_frame: 1 KiB is out of range: allowed is 64 KiB to 1 TiB",
        "[calls] window: expected a whole number, got the number 1.5",
    ];
    for line in wanted {
        assert!(found.iter().any(|problem| problem == line), "missing: {line}\nin {found:#?}");
    }
    assert_eq!(found.len(), wanted.len(), "{found:#?}");
}

#[test]
fn unknown_keys_without_a_neighbour_list_the_known_ones() {
    let found = problems("[output]\ncolour = true");
    assert_eq!(found, ["[output]: unknown key `colour`; known are forward_output"]);
}

#[test]
fn min_above_max_is_reported() {
    let found = problems("[workers]\nmin = 8\nmax = 2");
    assert_eq!(found, ["[workers]: min = 8 is more than max = 2; lower min or raise max"]);
}

#[test]
fn syntax_errors_have_line_and_column() {
    let error = Config::from_toml("[workers]\nmin = = 1\n").unwrap_err();
    let [problem] = error.problems.as_slice() else { panic!("{error}") };
    let ConfigProblemKind::Syntax { line, column, .. } = problem.kind else { panic!("{error}") };
    assert_eq!((line, column), (2, 7));
}

#[test]
fn a_missing_file_is_an_error_that_names_it() {
    let error = Config::load(Some(Path::new("/nonexistent/remotemedia.toml"))).unwrap_err();
    assert_eq!(error.origin, Origin::File("/nonexistent/remotemedia.toml".into()));
    let text = error.to_string();
    assert!(text.starts_with("configuration file /nonexistent/remotemedia.toml: cannot be read"));
}

#[test]
fn sizes_and_durations() {
    assert_eq!(parse_size("64 MiB"), Some(64 << 20));
    assert_eq!(parse_size("1.5 GB"), Some(1_500_000_000));
    assert_eq!(parse_size("512B"), Some(512));
    assert_eq!(parse_size("1_000 kb"), Some(1_000_000));
    assert_eq!(parse_size("0"), Some(0));
    for wrong in ["", "64", "MiB", "-1 B", "1.5.5 GB", "1. GB", "1 XB", "99999999 TiB"] {
        assert_eq!(parse_size(wrong), None, "{wrong}");
    }
    assert_eq!(parse_duration("250 ms"), Some(Duration::from_millis(250)));
    assert_eq!(parse_duration("1.5 s"), Some(Duration::from_millis(1500)));
    assert_eq!(parse_duration("2 min"), Some(Duration::from_secs(120)));
    assert_eq!(parse_duration("0"), Some(Duration::ZERO));
    for wrong in ["", "30", "5 minutes", "-1 s", "s"] {
        assert_eq!(parse_duration(wrong), None, "{wrong}");
    }
    for bytes in [0, 1, 1000, 1 << 20, 1_500_000_000, 4 << 30] {
        assert_eq!(parse_size(&show_size(bytes)), Some(bytes));
    }
    for millis in [0, 1, 1000, 1500, 60_000, 3_600_000] {
        let time = Duration::from_millis(millis);
        assert_eq!(parse_duration(&show_duration(time)), Some(time));
    }
}

#[test]
fn lists_of_names_are_lists_or_texts_with_commas() {
    let names = |text: &str| Config::from_toml(text).unwrap().python.start_variables;
    assert_eq!(names(""), ["CUDA_VISIBLE_DEVICES"]);
    assert_eq!(names("[python]\nstart_variables = [\"A\", \"B\"]"), ["A", "B"]);
    assert_eq!(names("[python]\nstart_variables = \"A, B,\""), ["A", "B"]);
    assert!(names("[python]\nstart_variables = []").is_empty());
    let told = problems("[python]\nstart_variables = [\"A\", 1]");
    assert!(told[0].contains("a list of texts"), "{told:?}");
}
