//! Generates `docs/configuration.md` and the JSON Schema for editors. Both files are checked in; a
//! test fails when they are out of date.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::Config;
use super::keys::{Key, Kind, SECTIONS, keys};
use super::policies;
use super::read::quoted;
use super::units::{show_duration, show_size};

const INTRODUCTION: &str = "\
# Configuration

<!-- Generated from the table of settings in orchestrator/src/config/keys.rs; \
`UPDATE=1 cargo test -p orchestrator generated` writes it again. -->

Every setting has a default, so no file is needed. A TOML file is taken from, in this order:

1. the program: `Runtime(config)` in Python, `--config FILE` on the command line;
2. the environment variable `REMOTEMEDIA_CONFIG`, which names a file;
3. nowhere: the defaults below.

Unknown sections and keys, wrong types and values out of range are errors; all of them are reported
at once. Sizes are texts with a unit (`B`, `KB`, `MB`, `GB`, `TB`, `KiB`, `MiB`, `GiB`, `TiB`), \
durations too
(`us`, `ms`, `s`, `min`, `h`). In paths `~/` is the home folder; a relative one is taken from the
program's working directory. The template with every key is `config/default.toml`, examples are in
`config/examples`, and `config/config.schema.json` is a JSON Schema for editors.

## The interpreter of Python nodes

A Python node runs on CPython or on RustPython. Who chooses, strongest first:

1. the node: `runtime_hint` in the manifest or of the node object (`cpython`, `rustpython`, `native`, `auto`);
2. the argument: `Pipeline(runtime=...)`, `run(runtime=...)`, `--runtime` on the command line;
3. the environment: `REMOTEMEDIA_PYTHON_RUNTIME`;
4. the configuration: `[python] runtime`;
5. the default: `auto`, which is native where a node has a native form, else CPython.

Known to 2 to 4 are `cpython`, `rustpython` and `auto`; 2 and 3 also know the older `python`, and
`rust_python` or `rust` for RustPython. A hint also knows `native` (or `rust_native`, `rust`). Anything
else is an error. `auto` at one place overrules the places below it.

A node that RustPython cannot run moves to CPython, unless that is forbidden: by the argument
`fallback=False` (`--no-fallback`), else `REMOTEMEDIA_ENABLE_FALLBACK=false`, else `[fallback] enabled`.
`pipeline.explain()` and `remotemedia explain` show which node runs where, and why. A node that moved is
not tried on RustPython again in the same process, unless its code has changed.

RustPython workers are the program `remotemedia-rustpython`, a package of its own. It is looked for at
`[rustpython] executable`, where `REMOTEMEDIA_RUSTPYTHON` says, beside the interpreter of the calling
program, beside the running program, in the active virtual environment, on PATH.

## Which runs share a worker

Two workers are the same when they have the same interpreter and the same of what counts only when a
process starts:

- the options of the calling interpreter, such as `-O`, `-W`, `-X`, `-E` and `-I`: its workers get
  what `multiprocessing` would pass on, and every `-X`, but not `-S`. Another Python (`[python]
  executable`) gets all but `-X`; RustPython ignores all but `-O`, `-W`, `-E`, `-I` and
  `-X int_max_str_digits`;
- the variables `PYTHON*`, `LD_*`, `LC_*`, `LANG`, `GLIBC_TUNABLES`, `MALLOC_*`, `OMP_*`, `GOMP_*`,
  `KMP_*`, `MKL_*`, `OPENBLAS_*`, `*_NUM_THREADS`, `*_MAX_THREADS`, and those of `[python]
  start_variables`.

Everything else comes with each run and keeps a worker warm: the other environment variables, those that
were removed, `sys.path`, `sys.argv` (`[\"\"]` on the command line), the working directory and the umask. What
a script that stands in for the interpreter exports stays, unless the run sets that variable itself.

A module keeps what it read when it was imported: a library that read a variable then does not see a
later value, and such a variable belongs in `start_variables`. A module that was loaded from a folder and
that the next run's `sys.path` or working directory would find elsewhere is not used: that run gets
another worker, as does one after the module's file has changed.

## Nodes by name

`[nodes.NAME]` decides for the nodes whose id or type is NAME, whatever their authors have set. `*` stands for
any text; of several sections for one node the last counts.

```toml
[nodes.\"separate*\"]
timeout = \"2 s\"
retry = true
stateless = true

[nodes.\"my.models:*\"]
standby = 1
```

The keys are `timeout`, `retry`, `retry_on`, `deadline`, `breaker`, `on_open`, `checkpoint_every` and `standby`, with
the meaning that they have in [`[calls]`](#calls), and `stateless` (true or false): see [failures.md](failures.md).

## Limits of workers

`[limits]` bounds what each worker may use while it serves a session; all of it is off by default. A node
that is `isolated` has a worker to itself and can set its own values: `\"limits\": {\"memory_hard\": \"2 GB\"}`
in a manifest, `Node(isolated=True, limits={...})` in Python; `\"0\"` lifts a limit. Elsewhere `limits` is an
error, because nodes would share them.

| limit | how it is enforced | what the caller gets |
|---|---|---|
| `memory` | by the kernel: an allocation fails | a `NodeError` with the `MemoryError` and its traceback; the worker lives on. RustPython aborts: `WorkerCrashed` |
| `open_files` | by the kernel: opening fails | a `NodeError` with the `OSError`; the worker lives on |
| `memory_hard`, `cpu_time`, `child_processes` | measured while node code runs, every 100 ms | `LimitExceeded` with the limit, what was measured, what is allowed and the Python stack; the worker is killed |
| `output_size` | when an output arrives, before anything else gets it | the same |
| `log_rate` | line by line | one warning; the metrics count what was dropped |

`LimitExceeded` is a `WorkerCrashed`: the other nodes of its worker lose their state, and their ids are in
`also_lost`. Other sessions are not affected, and the next call gets a fresh worker. The metrics count
`limits_exceeded` of each node. What the kernel enforces is set when a session gets the worker and taken back
when the session ends, so that a warm worker serves the next one without.

Between two measurements a node may use more: what it can allocate, or start, in 100 ms. Set `memory` below
`memory_hard` to stop it before. Memory counts for the worker's process alone; programs that a node starts
have the limits `memory` and `open_files` each, and are counted by `child_processes`.

`[workers] recycle_after_calls`, `recycle_above_memory`, `recycle_above_growth` and `max_sessions` replace a
worker between two sessions, never in one, and never with an error.

What nodes write to stdout and stderr is kept nowhere but in memory: at most 4 MiB and 4,096 lines of output
past Python wait for the session, 40 lines for the error of a crash. Workers write no log files.
";

/// The text of `docs/configuration.md`.
#[must_use]
pub fn markdown() -> String {
    let defaults = Config::default();
    let mut text = INTRODUCTION.to_owned();
    for (section, about) in SECTIONS {
        let _ = write!(text, "\n## [{section}]\n\n{about}\n\n");
        text.push_str("| key | type | default | range | effect |\n|---|---|---|---|---|\n");
        for key in keys().iter().filter(|key| key.section == section) {
            let (kind, default, range) = row(&key.kind, &defaults);
            let _ =
                writeln!(text, "| `{}` | {kind} | `{default}` | {range} | {} |", key.name, key.doc);
        }
    }
    text
}

fn row(kind: &Kind, defaults: &Config) -> (&'static str, String, String) {
    let or_zero = |range: String, zero: &Option<&str>| match zero {
        Some(meaning) => format!("{range}, or 0 ({meaning})"),
        None => range,
    };
    match kind {
        Kind::Count { range, get, .. } => (
            "whole number",
            get(defaults).to_string(),
            format!("{} to {}", range.start(), range.end()),
        ),
        Kind::AutoCount { range, get, .. } => (
            "whole number or `\"auto\"`",
            get(defaults).map_or_else(|| "\"auto\"".to_owned(), |n| n.to_string()),
            format!("{} to {}", range.start(), range.end()),
        ),
        Kind::Duration { range, zero, get, .. } => {
            let span =
                format!("{} to {}", show_duration(*range.start()), show_duration(*range.end()));
            ("duration", format!("\"{}\"", show_duration(get(defaults))), or_zero(span, zero))
        }
        Kind::Size { range, zero, get, .. } => {
            let span = format!("{} to {}", show_size(*range.start()), show_size(*range.end()));
            ("size", format!("\"{}\"", show_size(get(defaults))), or_zero(span, zero))
        }
        Kind::Flag { get, .. } => ("flag", get(defaults).to_string(), "true, false".to_owned()),
        Kind::Path { get, .. } => ("path", format!("\"{}\"", shown(get(defaults))), String::new()),
        Kind::Names { known, get, .. } => {
            ("names", format!("\"{}\"", get(defaults)), quoted(known))
        }
        Kind::Choice { names, get, .. } => {
            ("choice", format!("\"{}\"", get(defaults)), quoted(names))
        }
        Kind::Texts { .. } => ("table of texts", "{}".to_owned(), String::new()),
        Kind::List { get, .. } => {
            ("list of texts", json!(get(defaults)).to_string(), String::new())
        }
    }
}

fn shown(path: Option<&Path>) -> String {
    path.map_or_else(String::new, |path| path.display().to_string())
}

/// The JSON Schema of the TOML file, for the TOML support of editors.
#[must_use]
pub fn json_schema() -> String {
    let keys = keys();
    let mut sections = Map::new();
    for (section, about) in SECTIONS {
        let properties: Map<String, Value> = keys
            .iter()
            .filter(|key| key.section == section)
            .map(|key| (key.name.to_owned(), property(key)))
            .collect();
        let schema = json!({
            "type": "object",
            "description": about,
            "additionalProperties": false,
            "properties": properties,
        });
        sections.insert(section.to_owned(), schema);
    }
    let mut of_nodes: Map<String, Value> = keys
        .iter()
        .filter(|key| policies::shared(key))
        .map(|key| (key.name.to_owned(), property(key)))
        .collect();
    of_nodes.insert("stateless".to_owned(), json!({"type": "boolean"}));
    sections.insert(
        policies::SECTION.to_owned(),
        json!({
            "type": "object",
            "description": "What is decided for nodes by their names.",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": false,
                "properties": of_nodes,
            },
        }),
    );
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "RemoteMedia configuration",
        "type": "object",
        "additionalProperties": false,
        "properties": sections,
    });
    format!("{schema:#}\n")
}

fn property(key: &Key) -> Value {
    let mut schema = match &key.kind {
        Kind::Count { range, .. } => {
            json!({"type": "integer", "minimum": range.start(), "maximum": range.end()})
        }
        Kind::AutoCount { range, .. } => json!({"oneOf": [
            {"type": "integer", "minimum": range.start(), "maximum": range.end()},
            {"const": "auto"},
        ]}),
        Kind::Duration { zero, .. } => {
            quantity(r"^\s*[0-9][0-9_]*(\.[0-9_]+)?\s*(us|ms|s|min|h)\s*$", zero.is_some())
        }
        Kind::Size { zero, .. } => {
            quantity(r"^\s*[0-9][0-9_]*(\.[0-9_]+)?\s*([KMGTkmgt]?[iI]?[bB])\s*$", zero.is_some())
        }
        Kind::Flag { .. } => json!({"type": "boolean"}),
        Kind::Path { .. } | Kind::Names { .. } => json!({"type": "string"}),
        Kind::Choice { names, .. } => {
            let flag = |name: &str| name.parse::<bool>().map_or_else(|_| json!(name), Value::Bool);
            json!({"enum": names.iter().map(|name| flag(name)).collect::<Vec<_>>()})
        }
        Kind::Texts { .. } => {
            json!({"type": "object", "additionalProperties": {"type": "string"}})
        }
        Kind::List { .. } => json!({"anyOf": [
            {"type": "array", "items": {"type": "string"}},
            {"type": "string"},
        ]}),
    };
    if let Value::Object(fields) = &mut schema {
        fields.insert("description".to_owned(), json!(key.doc));
        fields.insert("default".to_owned(), default(&key.kind));
    }
    schema
}

fn quantity(pattern: &str, zero: bool) -> Value {
    let text = json!({"type": "string", "pattern": pattern});
    if zero { json!({"anyOf": [text, {"enum": [0, "0"]}]}) } else { text }
}

fn default(kind: &Kind) -> Value {
    let config = Config::default();
    match kind {
        Kind::Count { get, .. } => json!(get(&config)),
        Kind::AutoCount { get, .. } => get(&config).map_or_else(|| json!("auto"), |n| json!(n)),
        Kind::Duration { get, .. } => json!(show_duration(get(&config))),
        Kind::Size { get, .. } => json!(show_size(get(&config))),
        Kind::Flag { get, .. } => json!(get(&config)),
        Kind::Path { get, .. } => json!(shown(get(&config))),
        Kind::Names { get, .. } => json!(get(&config)),
        Kind::Choice { get, .. } => json!(get(&config)),
        Kind::Texts { get, .. } => json!(get(&config)),
        Kind::List { get, .. } => json!(get(&config)),
    }
}
