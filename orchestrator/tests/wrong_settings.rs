//! Wrong configuration files, given to the program itself: each error has line, key and what to do, and
//! all errors of a file come at once.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::path::Path;
use std::process::Command;

/// A text, and for each of its problems the line, the key, and a part of the message.
type Case = (&'static str, &'static [(usize, &'static str, &'static str)]);

const TYPES: &[Case] = &[
    ("[workers]\nmin = \"many\"", &[(2, "[workers] min", "expected a whole number, got the text")]),
    ("[workers]\nmax = \"lots\"", &[(2, "[workers] max", "a whole number or \"auto\"")]),
    ("[workers]\nmax = [1]", &[(2, "[workers] max", "got an array")]),
    ("[workers]\nzygote = 1", &[(2, "[workers] zygote", "true or false, got the number 1")]),
    ("[calls]\ntimeout = 5", &[(2, "[calls] timeout", "such as \"250 ms\"")]),
    ("[calls]\ntimeout = 1979-05-27", &[(2, "[calls] timeout", "got a date")]),
    ("[calls]\nwindow = 1.5", &[(2, "[calls] window", "a whole number, got the number 1.5")]),
    ("[calls]\nretry = 3", &[(2, "[calls] retry", "\"auto\", \"true\", \"false\"")]),
    ("[calls]\nretry_on = [1]", &[(2, "[calls] retry_on", "a list of texts, such as")]),
    ("[limits]\nmemory = 5", &[(2, "[limits] memory", "such as \"64 MiB\"")]),
    ("[python]\ninterpreter = 3", &[(2, "[python] interpreter", "a text in quotes")]),
    ("[python]\nruntime = true", &[(2, "[python] runtime", "\"cpython\", \"rustpython\"")]),
    ("[python]\nenvironment = \"A=1\"", &[(2, "[python] environment", "{ NAME = \"value\" }")]),
    ("[python]\nenvironment = { A = 1 }", &[(2, "[python] environment", "a text for A")]),
    ("[output]\nforward_output = \"yes\"", &[(2, "[output] forward_output", "true or false")]),
];

const POOLS: &[Case] = &[
    ("pools = 3", &[(1, "", "expected sections, written [pools.NAME]")]),
    ("[pools]\ngpu = 3", &[(2, "[pools.gpu]", "expected a section, written [pools.gpu]")]),
    ("[pools.gpu]\nmaxx = 1", &[(2, "[pools.gpu] maxx", "did you mean `max`?")]),
    ("[pools.gpu]\nmemory = 3", &[(2, "[pools.gpu] memory", "such as \"64 MiB\"")]),
    ("[pools.gpu]\nmin = 3\nmax = 2", &[(2, "[pools.gpu]", "min = 3 is more than max = 2")]),
    ("[pools.gpu]\nnice = -21", &[(2, "[pools.gpu] nice", "allowed is -20 to 19")]),
    ("[pools.gpu]\ncpu_affinity = \"2-1\"", &[(2, "[pools.gpu] cpu_affinity", "`2-1` is out of")]),
    ("[pools.gpu]\nnodes = [1]", &[(2, "[pools.gpu] nodes", "a list of texts")]),
    ("[pools.cpython]\nmax = 2", &[(1, "[pools.cpython]", "no interpreter's name")]),
    (
        "[pools.a]\nmax = 0\n[pools.b]\nmaxx = 1\n[pool.c]\n",
        &[
            (2, "[pools.a] max", "allowed is 1 to 1024"),
            (4, "[pools.b] maxx", "did you mean `max`?"),
            (5, "", "unknown section [pool], did you mean `pools`?"),
        ],
    ),
];

const UNITS: &[Case] = &[
    ("[calls]\ntimeout = \"5\"", &[(2, "[calls] timeout", "`5` is not a duration with its unit")]),
    ("[calls]\ntimeout = \"5 parsecs\"", &[(2, "[calls] timeout", "\"2 min\" or \"1 h\"")]),
    ("[calls]\ntimeout = \"five s\"", &[(2, "[calls] timeout", "is not a duration")]),
    ("[calls]\ntimeout = \"-5 s\"", &[(2, "[calls] timeout", "`-5 s` is not a duration")]),
    ("[calls]\ntimeout = \"1.5.5 s\"", &[(2, "[calls] timeout", "is not a duration")]),
    ("[limits]\nmemory = \"64\"", &[(2, "[limits] memory", "`64` is not a size with its unit")]),
    ("[limits]\nmemory = \"64 XB\"", &[(2, "[limits] memory", "\"1.5 GB\" or \"512 B\"")]),
    ("[limits]\nmemory = \"-1 MiB\"", &[(2, "[limits] memory", "is not a size")]),
    ("[shared_memory]\nring = \"\"", &[(2, "[shared_memory] ring", "is not a size")]),
];

const RANGES: &[Case] = &[
    ("[calls]\nwindow = 0", &[(2, "[calls] window", "0 is out of range: allowed is 1 to 65536")]),
    ("[calls]\nwindow = 65537", &[(2, "[calls] window", "allowed is 1 to 65536")]),
    ("[calls]\ntimeout = \"500 us\"", &[(2, "[calls] timeout", "1 ms to 8760 h, or 0 (no limit)")]),
    (
        "[calls]\ntimeout = \"2 years\"",
        &[(2, "[calls] timeout", "1 ms to 8760 h, or 0 (no limit)")],
    ),
    ("[calls]\non_open = \"explode\"", &[(2, "[calls] on_open", "\"error\", \"drop\", \"pass\"")]),
    ("[workers]\nmin = -1", &[(2, "[workers] min", "-1 is out of range: allowed is 0 to 1024")]),
    ("[workers]\nmax = 0", &[(2, "[workers] max", "allowed is 1 to 1024")]),
    ("[workers]\nmax = 1025", &[(2, "[workers] max", "allowed is 1 to 1024")]),
    ("[workers]\nclose_timeout = \"0\"", &[(2, "[workers] close_timeout", "1 ms to 24 h")]),
    (
        "[limits]\nmemory = \"1 MiB\"",
        &[(2, "[limits] memory", "32 MiB to 1024 TiB, or 0 (no limit)")],
    ),
    ("[limits]\nmax_depth = 7", &[(2, "[limits] max_depth", "allowed is 8 to 1000")]),
    (
        "[shared_memory]\nsegment = \"ram\"",
        &[(2, "[shared_memory] segment", "\"memfd\", \"named\"")],
    ),
    (
        "[rustpython]\nallow_modules = [\"os.frok\"]",
        &[(2, "[rustpython] allow_modules", "`os.frok` is out of range: allowed is \"ctypes\"")],
    ),
    (
        "[python]\nenvironment = { \"A=B\" = \"1\" }",
        &[(2, "[python] environment", "names without `=`")],
    ),
];

const NAMES: &[Case] = &[
    ("[workers]\nmn = 1", &[(2, "[workers]", "unknown key `mn`, did you mean `min`?")]),
    ("[calls]\n\ntiemout = \"1 s\"", &[(3, "[calls]", "did you mean `timeout`?")]),
    ("[worker]\nmin = 1", &[(1, "", "unknown section [worker], did you mean `workers`?")]),
    ("[node.vad]\nretry = true", &[(1, "", "unknown section [node], did you mean `nodes`?")]),
    ("[nodes.vad]\nretrie = true", &[(2, "[nodes.vad] retrie", "did you mean `retry`?")]),
    ("[colour]\nred = 1", &[(1, "", "unknown section [colour]; known are workers, python")]),
    ("[output]\ncolour = 1", &[(2, "[output]", "unknown key `colour`; known are forward_output")]),
];

const SECTIONS: &[Case] = &[
    ("timeout = \"1 s\"", &[(1, "", "did you mean `[calls] timeout`?")]),
    ("[workers]\ntimeout = \"1 s\"", &[(2, "[workers]", "did you mean `[calls] timeout`?")]),
    ("[calls]\nmin = 3", &[(2, "[calls]", "did you mean `[workers] min`?")]),
    ("workers = 3", &[(1, "[workers]", "expected a section, written [workers], got the number 3")]),
    ("nodes = 3", &[(1, "[nodes]", "expected sections, written [nodes.NAME]")]),
    ("[nodes]\nvad = 3", &[(2, "[nodes.vad]", "expected a section, written [nodes.vad]")]),
    ("[nodes.vad]\nwindow = 3", &[(2, "[nodes.vad] window", "unknown key `window`")]),
];

const NOT_TOML: &[Case] = &[
    ("[workers]\nmin = = 1", &[(2, "[workers] min", "column 7: not valid TOML")]),
    ("[workers]\nmin 3", &[(2, "[workers]", "not valid TOML")]),
    ("[workers]\nmin = 08", &[(2, "[workers] min", "not valid TOML")]),
    ("[python]\ninterpreter = \"/usr", &[(2, "[python] interpreter", "not valid TOML")]),
    ("[workers\nmin = 3", &[(1, "[workers]", "not valid TOML")]),
    ("[workers]\nmin = 1\nmin = 2", &[(3, "[workers] min", "duplicate key")]),
    ("[workers]\nmin = 1\n[workers]\nmax = 2", &[(3, "[workers]", "duplicate key")]),
    (
        "workers.min = 1\n[workers]\nmin = 2",
        &[(2, "[workers]", "duplicate key"), (3, "[workers] min", "duplicate key")],
    ),
    ("[calls]\nwindow = 99999999999999999999", &[(2, "[calls] window", "a whole number")]),
];

const SEVERAL: &[Case] = &[
    (
        "[calls]\nwindow = 0\nqueue = \"x\"",
        &[(2, "[calls] window", "1 to 65536"), (3, "[calls] queue", "a whole number")],
    ),
    (
        "[workers]\nmin = = 1\n[calls]\nwindow 3\n",
        &[(2, "[workers] min", "not valid TOML"), (4, "[calls]", "not valid TOML")],
    ),
    (
        "[workers]\nmin = = 1\n[calls]\nwindow = 0\n",
        &[(2, "[workers] min", "not valid TOML"), (4, "[calls] window", "1 to 65536")],
    ),
    (
        "[output]\ncolour = 1\n[calls]\ntimeout = 5\n[wrkers]\n",
        &[
            (2, "[output]", "unknown key"),
            (4, "[calls] timeout", "a duration"),
            (5, "", "did you mean `workers`?"),
        ],
    ),
    ("[workers]\nmin = 8\nmax = 2", &[(2, "[workers]", "min = 8 is more than max = 2; lower min")]),
];

/// What the program says about a file: its exit code and its lines on standard error.
fn checked(path: &Path) -> (i32, Vec<String>) {
    let output = Command::new(env!("CARGO_BIN_EXE_remotemedia"))
        .args(["config", "check"])
        .arg(path)
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), told.lines().map(str::to_owned).collect())
}

#[test]
fn every_wrong_file_is_told_with_line_key_and_what_to_do() {
    // spec: CARD-09, DSG-01
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wrong.toml");
    let groups = [TYPES, POOLS, UNITS, RANGES, NAMES, SECTIONS, NOT_TOML, SEVERAL];
    let mut wrong = Vec::new();
    for (text, problems) in groups.into_iter().flatten() {
        std::fs::write(&path, text).unwrap();
        let (code, told) = checked(&path);
        let file = format!("error: configuration file {}: ", path.display());
        let told: Vec<&str> = match told.as_slice() {
            [only] => vec![only.strip_prefix(&file).unwrap_or(only)],
            [_number, told @ ..] => {
                told.iter().map(|line| line.trim_start_matches("  - ")).collect()
            }
            [] => Vec::new(),
        };
        let is_it = |(told, (line, key, part)): (&&str, &(usize, &str, &str))| {
            let key = if key.is_empty() { String::new() } else { format!("{key}: ") };
            told.starts_with(&format!("line {line}: {key}")) && told.contains(part)
        };
        if code != 2 || told.len() != problems.len() || !told.iter().zip(*problems).all(is_it) {
            wrong.push(format!("{text}\n  {code} {told:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(groups.iter().map(|group| group.len()).sum::<usize>() >= 60);
}

#[test]
fn what_is_no_file_with_text_is_told_too() {
    // spec: CARD-09
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("latin"), b"[workers]\n# caf\xe9\nmin = 1\n").unwrap();
    std::os::unix::fs::symlink("loop", at("loop")).unwrap();
    std::fs::create_dir(at("folder")).unwrap();
    nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let _listening = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    for (name, part) in [
        ("latin", "line 2: column 6: byte 0xe9 is not UTF-8; save the file as UTF-8"),
        ("loop", "cannot be read: Too many levels of symbolic links"),
        ("folder", "is a folder, and a file with TOML is wanted"),
        ("pipe", "is a pipe, and a file with TOML is wanted"),
        ("socket", "is a socket, and a file with TOML is wanted"),
        ("missing", "cannot be read: No such file or directory"),
    ] {
        let (code, told) = checked(&at(name));
        assert_eq!((code, told.len()), (2, 1), "{told:?}");
        assert!(told[0].contains(part), "{name}: {told:?}");
    }
    // Where permissions count: not for root.
    std::fs::write(at("secret"), "").unwrap();
    let closed = std::os::unix::fs::PermissionsExt::from_mode(0o0);
    std::fs::set_permissions(at("secret"), closed).unwrap();
    if std::fs::read(at("secret")).is_err() {
        assert!(checked(&at("secret")).1[0].contains("Permission denied"));
    }
}

#[test]
fn valid_files_are_told_and_the_errors_of_all_others() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let [a, b, c] = [file("a", "[calls]\nwindow = 0"), file("b", ""), file("c", "x = 1")];
    let output = Command::new(env!("CARGO_BIN_EXE_remotemedia"))
        .args(["config", "check"])
        .args([&a, &b, &c])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{}: valid\n", b.display()));
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(told.matches("error: configuration file ").count(), 2, "{told}");
}
