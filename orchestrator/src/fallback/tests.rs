//! Failures and what follows from them, as tables.

use ipc_protocol::{FaultDetail, FaultKind, ImportFault, ImportReason, Part};

use super::{FailureClass, Finding, Findings, classify};
use crate::failure::NodeFailure;
use crate::reason::{Advice, Reason};

fn failure(operation: FaultKind, import: Option<ImportFault>) -> NodeFailure {
    NodeFailure {
        node_id: "a".to_owned(),
        operation,
        remote_type: "ValueError".to_owned(),
        message: "first line\nsecond line".to_owned(),
        traceback: String::new(),
        import: import.map(Box::new),
        detail: None,
        advice: None,
        tries: 1,
        kept: None,
        described: String::new(),
    }
}

fn lacks(reason: ImportReason) -> ImportFault {
    ImportFault {
        module: "numpy.linalg".to_owned(),
        root_package: "numpy".to_owned(),
        reason,
        path: "/site-packages/numpy/x.so".to_owned(),
        suggestion: "use remotemedia.AudioView".to_owned(),
        is_told: false,
    }
}

#[test]
fn failures_that_are_the_interpreters_are_told_from_the_nodes_own() {
    // spec: IOP-39
    let error = || "ValueError: first line".to_owned();
    let table = [
        (FaultKind::Load, FailureClass::Unsupported(Reason::Load { error: error() })),
        (FaultKind::Marshal, FailureClass::Unsupported(Reason::Value { error: error() })),
        (FaultKind::Construct, FailureClass::Unknown),
        (FaultKind::Initialize, FailureClass::Unknown),
        (FaultKind::Process, FailureClass::Unknown),
        (FaultKind::Flush, FailureClass::Unknown),
        (FaultKind::NotFound, FailureClass::Unrelated),
        (FaultKind::Stale, FailureClass::Unrelated),
        (FaultKind::Conflict, FailureClass::Unrelated),
        (FaultKind::Cleanup, FailureClass::Unrelated),
        (FaultKind::Protocol, FailureClass::Unrelated),
    ];
    for (operation, wanted) in table {
        assert_eq!(classify(&failure(operation, None)), wanted, "{operation:?}");
    }
    let reasons = [
        (ImportReason::CExtension, "c_extension", "'numpy.linalg' of 'numpy' is a C extension"),
        (ImportReason::StdlibMissing, "stdlib_missing", "standard library has no 'numpy.linalg'"),
        (ImportReason::NotInstalled, "not_installed", "no module 'numpy.linalg'"),
        (ImportReason::Blocked, "blocked", "'numpy.linalg' is refused"),
        (ImportReason::Unsupported, "unsupported", "'numpy.linalg' lacks a feature"),
    ];
    for operation in [FaultKind::NotFound, FaultKind::Process, FaultKind::Initialize] {
        for (why, kind, text) in reasons {
            let FailureClass::Unsupported(reason) = classify(&failure(operation, Some(lacks(why))))
            else {
                panic!("{why:?} in {operation:?} is the interpreter's")
            };
            assert_eq!(reason.kind(), kind);
            assert_eq!(reason.module(), Some("numpy.linalg"));
            assert!(reason.to_string().contains(text), "{reason}");
        }
    }
}

#[test]
fn without_fallback_the_advice_names_the_ways_out_that_are_not_told_yet() {
    // spec: IOP-39, IOP-40
    let told = |reason, names_hint| Advice::let_move(reason, names_hint).map(|a| a.to_string());
    let ways = ["REMOTEMEDIA_ENABLE_FALLBACK=true", "[fallback] enabled", "fallback=True"];
    let import = Reason::Import(lacks(ImportReason::CExtension));
    let shipment = Reason::Shipment { error: "x".to_owned() };
    for (reason, names_hint, is_new) in [
        (import.clone(), false, false), // a suggestion names it
        (shipment.clone(), true, false),
        (shipment, false, true),
        (Reason::Load { error: "x".to_owned() }, false, true),
    ] {
        let text = told(reason, names_hint).unwrap();
        assert!(ways.iter().all(|way| text.contains(way)), "{text}");
        assert_eq!(text.contains("runtime_hint \"cpython\""), is_new, "{text}");
    }
    let silent = ImportFault { suggestion: String::new(), ..lacks(ImportReason::CExtension) };
    let text = told(Reason::Import(silent), false).unwrap();
    assert!(text.contains("'numpy.linalg' of 'numpy'") && text.contains("runtime_hint"), "{text}");
    assert_eq!(told(Reason::Import(lacks(ImportReason::NotInstalled)), false), None);
}

#[test]
fn a_suggestion_is_told_once_and_before_a_long_message() {
    // spec: IOP-14, IOP-39
    let mut failed = failure(FaultKind::Load, Some(lacks(ImportReason::CExtension)));
    assert_eq!(failed.told(), "use remotemedia.AudioView\n\nfirst line\nsecond line");
    failed.message = "No module named 'numpy.linalg'".to_owned();
    assert_eq!(failed.told(), "No module named 'numpy.linalg'; use remotemedia.AudioView");
    failed.import = Some(Box::new(ImportFault { is_told: true, ..lacks(ImportReason::Blocked) }));
    assert_eq!(failed.told(), "No module named 'numpy.linalg'");
}

#[test]
fn a_module_that_is_nowhere_is_no_reason_to_move() {
    // spec: IOP-39
    let unseen = |reason| ImportFault { path: String::new(), ..lacks(reason) };
    let on_cpython = failure(FaultKind::Process, Some(unseen(ImportReason::NotInstalled)));
    for (fault, doubtful) in [
        (unseen(ImportReason::NotInstalled), true),
        (unseen(ImportReason::CExtension), true),
        (lacks(ImportReason::CExtension), false),
        (unseen(ImportReason::StdlibMissing), false),
        (unseen(ImportReason::Blocked), false),
        (unseen(ImportReason::Unsupported), false),
    ] {
        let reason = Reason::Import(fault);
        assert_eq!(reason.is_doubtful(), doubtful, "{reason}");
        assert_eq!(reason.is_disproved_by(on_cpython.import.as_deref()), doubtful, "{reason}");
        assert!(!reason.is_disproved_by(None), "{reason}");
    }
    let other =
        ImportFault { root_package: "scipy".to_owned(), ..lacks(ImportReason::NotInstalled) };
    let reason = Reason::Import(lacks(ImportReason::NotInstalled));
    assert!(!reason.is_disproved_by(Some(&other)));
}

#[test]
fn a_value_that_cannot_pass_is_told_whatever_its_class_imports() {
    // spec: IOP-39
    let import = lacks(ImportReason::CExtension);
    let mut failed = failure(FaultKind::Marshal, Some(import.clone()));
    assert_eq!(
        classify(&failed),
        FailureClass::Unsupported(Reason::Import(import)),
        "no value is named"
    );
    let part = Part { path: "output".to_owned(), type_name: "acme.Frame".to_owned() };
    failed.detail = Some(Box::new(FaultDetail::Unsendable(part)));
    failed.message = "Frame needs numpy\nand more".to_owned();
    let FailureClass::Unsupported(Reason::Value { error }) = classify(&failed) else {
        panic!("the value is why, in however many lines it is told")
    };
    assert!(error.starts_with("ValueError: "), "{error}");
}

#[test]
fn a_line_of_an_exception_ends_without_a_full_stop() {
    // spec: IOP-25
    let ends =
        NodeFailure { message: "first line.\nx".to_owned(), ..failure(FaultKind::Load, None) };
    assert_eq!(super::one_line(&ends), "ValueError: first line");
    let advice = Some(Advice::WaitForNext(Reason::Load { error: "E: y".to_owned() }));
    let told = NodeFailure { advice, message: "x.".to_owned(), ..ends };
    let text = told.to_string();
    assert!(
        text.ends_with(
            "ValueError: x. The next session runs it on CPython: its module \
                            cannot be loaded: E: y"
        ),
        "{text}"
    );
}

#[test]
fn an_exception_that_says_nothing_is_its_type_alone() {
    // spec: IOP-25
    let silent = NodeFailure { message: String::new(), ..failure(FaultKind::Load, None) };
    assert_eq!(super::one_line(&silent), "ValueError");
    assert!(silent.to_string().ends_with(": ValueError"), "{silent}");
    let reason = Reason::Load { error: "E".to_owned() };
    let told = NodeFailure { advice: Some(Advice::WaitForNext(reason)), ..silent }.to_string();
    assert!(told.contains(": ValueError. The next session"), "{told}");
}

#[test]
fn three_consecutive_failures_move_a_node_and_a_success_resets_the_count() {
    // spec: IOP-39
    let mut findings = Findings::default();
    let fail = |findings: &mut Findings| findings.record_failure("a", "E: x".to_owned(), 3);
    assert_eq!(findings.get("a"), Finding::Untried);
    assert_eq!((fail(&mut findings), fail(&mut findings)), (None, None));
    findings.record_success("a");
    assert_eq!(findings.get("a"), Finding::Runs);
    assert_eq!((fail(&mut findings), fail(&mut findings)), (None, None));
    let reason = Reason::Failures { count: 3, error: "E: x".to_owned() };
    assert_eq!(fail(&mut findings), Some(reason.clone()));
    assert_eq!(findings.get("a"), Finding::Unsupported(reason));
    let mut never = Findings::default();
    assert!((0..100).all(|_| never.record_failure("a", "E: x".to_owned(), 0).is_none()));
}

#[test]
fn findings_belong_to_one_digest_and_can_be_retracted() {
    // spec: IOP-39
    let mut findings = Findings::default();
    let reason = Reason::Load { error: "SyntaxError: x".to_owned() };
    findings.record_unsupported("a", reason.clone());
    findings.record_unsupported("b", reason.clone());
    assert_eq!(findings.get("changed a"), Finding::Untried, "changed code is tried again");
    findings.record_success("a");
    assert_eq!(findings.get("a"), Finding::Unsupported(reason.clone()), "a success that came late");
    findings.retract("a");
    assert_eq!(findings.get("a"), Finding::Untried);
    assert_eq!(findings.get("b"), Finding::Unsupported(reason));
}
