//! Precedence of the settings that choose the interpreter, as tables.

use super::{Choice, Origin, Setting, parse_flag, parse_runtime};
use crate::placement::Engine;

const C: Option<Engine> = Some(Engine::CPython);
const R: Option<Engine> = Some(Engine::RustPython);
const AUTO: Option<Engine> = None;

#[test]
fn the_source_of_highest_precedence_counts() {
    // spec: CARD-07, IOP-40
    let table = [
        (None, None, None, Engine::CPython, Origin::Default),
        (None, None, Some(R), Engine::RustPython, Origin::Configuration),
        (None, Some(C), Some(R), Engine::CPython, Origin::Environment),
        (None, Some(AUTO), Some(R), Engine::CPython, Origin::Environment),
        (Some(R), Some(C), Some(C), Engine::RustPython, Origin::Argument),
        (Some(C), Some(R), None, Engine::CPython, Origin::Argument),
        (Some(AUTO), Some(R), Some(R), Engine::CPython, Origin::Argument),
    ];
    for (argument, environment, configuration, runtime, origin) in table {
        let setting = Setting { argument, environment, configuration };
        assert_eq!(setting.choice(), Choice { runtime, origin }, "{setting:?}");
    }
}

#[test]
fn names_are_known_in_any_case_and_others_are_one_error_that_lists_them() {
    // spec: CARD-07
    for (text, meaning) in
        [("cpython", C), (" RustPython ", R), ("rust_python", R), ("RUST", R), ("Auto", AUTO)]
    {
        assert_eq!(parse_runtime(text), Ok(meaning), "{text}");
    }
    let error = parse_runtime("pypy").unwrap_err().to_string();
    assert!(error.contains("`pypy`"), "{error}");
    for known in ["cpython", "rustpython", "auto", "rust_python", "rust", "python"] {
        assert!(error.contains(known), "{error}");
    }
    assert_eq!(parse_flag("FALSE"), Ok(false));
    assert_eq!(parse_flag("on"), Ok(true));
    let error = parse_flag("perhaps").unwrap_err().to_string();
    assert!(error.contains("`perhaps`") && error.contains("true, false"), "{error}");
}
