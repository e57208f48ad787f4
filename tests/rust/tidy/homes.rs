//! Homes: names that only a few files may use, each file with its reason.

use tests::lexer::has_phrase;

use super::{assert_none, product_python, product_rust};

/// Phrases that only some files of the product may hold.
struct Rule {
    what: &'static str,
    phrases: &'static [&'static str],
    /// Files, or folders when they end in `/`, and why they may.
    homes: &'static [(&'static str, &'static str)],
}

/// Files with `unsafe`. A file that no longer needs it must leave the list.
const UNSAFE: Rule = Rule {
    what: "unsafe",
    phrases: &["unsafe"],
    homes: &[
        ("ipc-protocol/src/memory/segment.rs", "pointers into mapped memory"),
        ("ipc-protocol/src/memory/copy.rs", "lends both ends of a copy to other threads"),
        ("ipc-protocol/src/memory/shared.rs", "shows blocks as slices"),
        ("ipc-protocol/src/memory/heap.rs", "allocates the twin that Miri and loom can look at"),
        ("ipc-protocol/src/memory/memfd.rs", "maps memfds"),
        ("ipc-protocol/src/memory/named.rs", "maps named segments"),
        ("ipc-protocol/src/memory/pages.rs", "maps them anew in the child of a fork"),
        ("ipc-protocol/src/kin.rs", "reads a limit of another process, which no crate wraps"),
        ("worker-shim/src/allocator.rs", "is an allocator"),
        ("worker-shim/src/audio/block.rs", "memory that Python code writes to"),
        ("python/src/convert/memory.rs", "lends numpy's memory for the length of a call"),
        ("python/src/numpy_memory/handler.rs", "has numpy take large arrays from shared memory"),
        ("worker-shim/src/blackbox.rs", "maps the flight recorder"),
        ("worker-shim/src/death.rs", "handles fatal signals, for which no crate keeps a chain"),
        ("worker-shim/src/link/idle.rs", "waits for a descriptor that an event loop owns"),
        ("orchestrator/src/worker/process.rs", "registers owned descriptors with the reactor"),
        ("orchestrator/src/worker/process/ceiling.rs", "limits another process"),
        ("orchestrator/src/worker/process/group.rs", "makes a system call that no crate wraps"),
        ("orchestrator/src/worker/process/start.rs", "runs between fork and exec of a worker"),
    ],
};

const RUST: &[Rule] = &[
    UNSAFE,
    Rule {
        what: "pyo3",
        phrases: &["pyo3", "pyo3_ffi", "numpy::"],
        homes: &[("python/", "the only crate that knows CPython")],
    },
    Rule {
        what: "RustPython",
        phrases: &["rustpython::", "rustpython_vm", "rustpython_stdlib", "rustpython_pylib"],
        homes: &[("worker-shim/rustpython/", "the program that hosts that interpreter")],
    },
    Rule {
        what: "MessagePack",
        phrases: &["rmp_serde", "rmp"],
        homes: &[("ipc-protocol/src/codec.rs", "the one place that knows the wire's encoding")],
    },
    Rule {
        what: "environment variables",
        phrases: &[
            "env::var",
            "env::vars",
            "env::var_os",
            "env::vars_os",
            "env::set_var",
            "env::{",
        ],
        homes: &[
            ("orchestrator/src/config/env.rs", "where the environment becomes configuration"),
            ("worker-shim/rustpython/src/arguments.rs", "the entry point of a worker"),
            (
                "worker-shim/src/surroundings.rs",
                "compares a worker's environment with the caller's",
            ),
            ("worker-shim/rustpython/build.rs", "what cargo tells a build script"),
        ],
    },
    Rule {
        what: "starting processes",
        phrases: &["Command::new", "process::Command"],
        homes: &[
            ("orchestrator/src/worker/process/start.rs", "parent-death signals follow its thread"),
            ("orchestrator/src/worker/probe.rs", "asks an interpreter what it lacks, briefly"),
        ],
    },
    Rule {
        what: "sleeping threads",
        phrases: &["thread::sleep", "time::interval"],
        homes: &[(
            "worker-shim/src/process.rs",
            "the graces at the end of a worker and of its group",
        )],
    },
    // `unwrap` and `expect` are checked by clippy, which knows the types.
    Rule { what: "panics on purpose", phrases: &["panic!", "todo!", "unimplemented!"], homes: &[] },
];

const PYTHON: &[Rule] = &[
    Rule {
        what: "pickle",
        phrases: &["import pickle", "import cloudpickle", "from pickle", "from cloudpickle"],
        homes: &[
            ("python/remotemedia/_by_value.py", "pickles for interpreters of one kind"),
            ("python/remotemedia/_definitions.py", "what is kept of these pickles"),
            ("python/remotemedia/_skeletons.py", "classes in pickles"),
            ("python/remotemedia/_portable/", "pickles for all others, and what refuses code"),
            ("python/remotemedia/_plain.py", "pickles of plain values"),
            ("python/remotemedia/_tokens.py", "says which reference is lost"),
            ("python/remotemedia/_changes.py", "digests of values; nothing is loaded"),
            ("python/remotemedia/_unopened.py", "finds the part of a pickle that fails to load"),
        ],
    },
    Rule {
        what: "wire formats",
        phrases: &["msgpack", "import struct", "from struct"],
        homes: &[],
    },
    Rule {
        what: "environment variables",
        phrases: &["os.environ", "os.getenv", "import environ", "import getenv"],
        homes: &[
            ("python/remotemedia/_worker.py", "the entry point of a worker"),
            ("python/remotemedia/_guest/process.py", "readies a worker of any interpreter"),
            ("python/remotemedia/_guest/surroundings.py", "gives a worker the caller's"),
            ("python/remotemedia/_guest/zygote.py", "finds the modules of the configuration"),
            ("python/remotemedia/doctor/software.py", "reports what is set"),
            ("python/remotemedia/doctor/chaos/misbehaviours.py", "clears them"),
        ],
    },
    Rule {
        what: "sleeping threads",
        phrases: &["time.sleep"],
        homes: &[("python/remotemedia/doctor/chaos/", "hangs on purpose")],
    },
];

impl Rule {
    fn is_home(&self, path: &str) -> bool {
        let holds = |home: &str| path == home || (home.ends_with('/') && path.starts_with(home));
        self.homes.iter().any(|(home, _)| holds(home))
    }

    fn is_broken_by(&self, code: &str) -> bool {
        self.phrases.iter().any(|phrase| has_phrase(code, phrase))
    }
}

fn check(rules: &[Rule], files: &[(&tests::repository::SourceFile, String)]) {
    let mut broken = Vec::new();
    for rule in rules {
        for (file, code) in files.iter().filter(|(file, _)| !rule.is_home(&file.path)) {
            for (index, _) in code.lines().enumerate().filter(|(_, line)| rule.is_broken_by(line)) {
                broken.push(format!("{}:{}: {}", file.path, index + 1, rule.what));
            }
        }
    }
    assert_none("names outside their homes (the lists stand in tests/rust/tidy/homes.rs)", &broken);
}

#[test]
fn rust_names_stay_in_their_homes() {
    let files = product_rust();
    check(RUST, &files);
    let reached = |what: &str| {
        let rule = RUST.iter().find(|rule| rule.what == what);
        rule.is_some_and(|rule| {
            files.iter().any(|(file, code)| rule.is_home(&file.path) && rule.is_broken_by(code))
        })
    };
    for what in ["pyo3", "MessagePack", "environment variables", "starting processes"] {
        assert!(reached(what), "{what}: not found in its home either, so the check sees nothing");
    }
}

#[test]
fn python_names_stay_in_their_homes() {
    check(PYTHON, &product_python());
}

#[test]
fn every_file_that_may_be_unsafe_is() {
    let files = product_rust();
    let idle = UNSAFE.homes.iter().filter(|(home, _)| {
        let home = files.iter().find(|(file, _)| file.path == *home);
        !home.is_some_and(|(_, code)| UNSAFE.is_broken_by(code))
    });
    let idle: Vec<String> = idle.map(|(home, reason)| format!("{home} ({reason})")).collect();
    assert_none("files that need no unsafe any more", &idle);
}
