//! Declarations, template, reference and schema of the configuration agree.

mod env;
mod layers;
mod policies;
mod pools;

use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Value;

use super::declare::Key;
use super::units::{parse_duration, parse_size, show_duration, show_size};
use super::{
    CallsConfig, Config, ConfigProblemKind, Origin, PythonConfig, RustPythonConfig, keys,
    module_settings, reference,
};
use crate::model::{FailingDefaults, RetryMode};
use crate::test_schema::Schema;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The problems of a text, without their lines.
fn problems(text: &str) -> Vec<String> {
    let error = Config::from_toml(text).unwrap_err();
    let told = error.problems.into_iter();
    told.map(|problem| super::ConfigProblem { line: None, ..problem }.to_string()).collect()
}

/// A value of a key that differs from its default.
fn another(key: &Key) -> Value {
    let setting = &key.setting;
    let default = (setting.get)(&Config::default());
    let bounds = setting.range.split(", or 0").next().unwrap_or_default();
    let (low, high) = bounds.split_once(" to ").unwrap_or_default();
    match &default {
        Value::Boolean(flag) => Value::Boolean(!flag),
        Value::Array(_) => {
            Value::Array(vec![if bounds.is_empty() { "A" } else { "ctypes" }.into()])
        }
        Value::Table(_) => Value::Table(toml::Table::from_iter([("A".to_owned(), "1".into())])),
        Value::Integer(number) => {
            let high: i64 = high.parse().unwrap();
            Value::Integer(if *number < high { number + 1 } else { number - 1 })
        }
        Value::String(text) if setting.kind == "path" => Value::String(format!("{text}/x")),
        Value::String(text) if setting.kind == "choice" => {
            let mut words = setting.range.split(", ").map(|word| word.trim_matches('"'));
            let word = words.find(|word| word != text).unwrap();
            word.parse().map_or_else(|_| word.into(), Value::Boolean)
        }
        Value::String(_) if setting.kind.starts_with("whole") => {
            Value::Integer(high.parse().unwrap())
        }
        Value::String(text) => [low, high].into_iter().find(|end| end != text).unwrap().into(),
        other => panic!("no other value for {other}"),
    }
}

#[test]
fn every_key_is_read_shown_and_has_a_field_of_its_own() {
    // spec: CARD-09
    for key in keys() {
        let value = another(key);
        let (section, name) = (key.section, key.setting.name);
        let config = Config::from_toml(&format!("[{section}]\n{name} = {value}\n"))
            .unwrap_or_else(|error| panic!("{}: {error}", key.path()));
        let changed =
            |other: &&Key| (other.setting.get)(&config) != (other.setting.get)(&Config::default());
        let changed: Vec<String> = keys().iter().filter(changed).map(Key::path).collect();
        assert_eq!(changed, [key.path()]);
        assert_eq!((key.setting.get)(&config), value, "{}", key.path());
    }
    assert_eq!(CallsConfig::default().failing(), FailingDefaults::default());
}

/// `UPDATE=1 cargo test -p orchestrator generated` writes the files again.
#[test]
fn generated_files_are_current() {
    let files = [
        ("docs/configuration.md", reference::markdown()),
        ("config/default.toml", reference::template()),
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
    assert_eq!(Config::from_toml(&reference::template()).unwrap(), Config::default());
    assert_eq!(Config::from_toml("").unwrap(), Config::default());
}

#[test]
fn examples_and_template_are_valid_by_parser_and_schema() {
    let schema = Schema::new(&reference::json_schema());
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
        assert!(schema.is_valid(&json), "{}", path.display());
    }
    let wrong = serde_json::json!({"workers": {"idle_timeout": "5 minutes", "mx": 1}});
    assert!(!schema.is_valid(&wrong));
}

#[test]
fn the_values_of_keys_arrive_in_their_units() {
    let text = r#"
        [workers]
        idle_timeout = "1 h"
        max_sessions = 0
        recycle_above_memory = "1.5 GB"
        [rustpython]
        allow_modules = "ctypes, os.fork"
        [python]
        modules = { settings = "/etc/settings.py" }
        write_back_max = "0"
        [calls]
        retry = true
        retries = 5
        [limits]
        memory = "2 GiB"
        cpu_time = "1500 ms"
        open_files = 100
        max_frame = "64 MiB"
    "#;
    let config = Config::from_toml(text).unwrap();
    assert_eq!(config.bounds.idle_timeout, Some(Duration::from_secs(3600)));
    assert_eq!((config.bounds.max_sessions, Config::default().bounds.max_sessions), (None, None));
    assert_eq!(config.bounds.recycle_above_memory, Some(1_500_000_000));
    assert_eq!(config.rustpython_bounds.recycle_above_memory, None);
    let settings: Vec<_> = module_settings(&config.python, &config.rustpython)
        .into_iter()
        .map(|(_, value)| value)
        .collect();
    assert_eq!(settings, ["ctypes,os.fork", r#"{"settings":{"file":"/etc/settings.py"}}"#]);
    assert_eq!(module_settings(&PythonConfig::default(), &RustPythonConfig::default()), []);
    assert_eq!(config.python.write_back_max, 0);
    assert_eq!((config.calls.retry, config.calls.failing().tries.limit), (RetryMode::Always, 5));
    let of_worker = crate::limits::ALL.map(|limit| config.limits.worker().get(limit).unwrap_or(0));
    assert_eq!(of_worker, [2 << 30, 0, 1_500, 100, 0, 0, 0]);
    assert_eq!(config.limits.to_protocol().max_frame_bytes, 64 << 20);
}

#[test]
fn automatic_worker_count_is_at_least_four() {
    assert!(Config::default().bounds.max_workers() >= 4);
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
    let [problem] = &found[..] else { panic!("{found:#?}") };
    let known = problem.strip_prefix("[output]: unknown key `colour`; known are ").unwrap();
    assert!(known.split(", ").any(|key| key == "log_level"), "{known}");
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
    let ConfigProblemKind::Syntax { column, .. } = problem.kind else { panic!("{error}") };
    assert_eq!((problem.line, column), (Some(2), 7));
}

#[test]
fn a_missing_file_is_an_error_that_names_it() {
    let error = Config::from_file(Path::new("/nonexistent/remotemedia.toml")).unwrap_err();
    assert_eq!(error.problems[0].origin, Origin::File("/nonexistent/remotemedia.toml".into()));
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
    for wrong in ["", "64", "MiB", "-1 B", "1.5.5 GB", "1 XB", "99999999 TiB"] {
        assert_eq!(parse_size(wrong), None, "{wrong}");
    }
    assert_eq!(parse_duration("250 ms"), Some(Duration::from_millis(250)));
    assert_eq!(parse_duration("1.5 s"), Some(Duration::from_millis(1500)));
    assert_eq!(parse_duration("2 min"), Some(Duration::from_secs(120)));
    assert_eq!(parse_duration("0"), Some(Duration::ZERO));
    for wrong in ["", "30", "5 fortnights", "-1 s", "s"] {
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
