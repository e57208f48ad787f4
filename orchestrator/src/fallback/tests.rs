//! Failures and what follows from them, as tables.

use ipc_protocol::{FaultKind, ImportFault, ImportReason};

use super::{FailureClass, Finding, Findings, Reason, advice, classify};
use crate::failure::NodeFailure;

fn failure(operation: FaultKind, import: Option<ImportFault>) -> NodeFailure {
    NodeFailure {
        node_id: "a".to_owned(),
        operation,
        remote_type: "ValueError".to_owned(),
        message: "first line\nsecond line".to_owned(),
        traceback: String::new(),
        import: import.map(Box::new),
        advice: None,
    }
}

fn lacks(reason: ImportReason) -> ImportFault {
    ImportFault {
        module: "numpy.linalg".to_owned(),
        root_package: "numpy".to_owned(),
        reason,
        path: "/site-packages/numpy/x.so".to_owned(),
        suggestion: "use remotemedia.AudioView".to_owned(),
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
fn without_fallback_the_advice_names_module_and_ways_out() {
    // spec: IOP-39, IOP-40
    let reason = Reason::Import(lacks(ImportReason::CExtension));
    let text = advice(&reason, "No module named 'numpy.linalg'").unwrap();
    for part in [
        "numpy.linalg",
        "use remotemedia.AudioView",
        "runtime_hint \"cpython\"",
        "REMOTEMEDIA_ENABLE_FALLBACK=true",
        "[fallback] enabled",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let told = advice(&reason, "use remotemedia.AudioView").unwrap();
    assert!(!told.contains("AudioView") && told.contains("runtime_hint"), "{told}");
    let told = advice(&reason, "runtime_hint=\"cpython\" runs it on CPython").unwrap();
    assert!(!told.contains("runtime_hint") && told.contains("fallback=True"), "{told}");
    assert_eq!(advice(&Reason::Import(lacks(ImportReason::NotInstalled)), "x"), None);
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
        assert_eq!(reason.is_disproved_by(&on_cpython), doubtful, "{reason}");
        assert!(!reason.is_disproved_by(&failure(FaultKind::Process, None)), "{reason}");
    }
    let other =
        ImportFault { root_package: "scipy".to_owned(), ..lacks(ImportReason::NotInstalled) };
    let reason = Reason::Import(lacks(ImportReason::NotInstalled));
    assert!(!reason.is_disproved_by(&failure(FaultKind::Process, Some(other))));
}

#[test]
fn a_value_that_cannot_pass_is_told_whatever_its_class_imports() {
    // spec: IOP-39
    let import = lacks(ImportReason::CExtension);
    let mut failed = failure(FaultKind::Marshal, Some(import.clone()));
    failed.message = "Frame needs numpy".to_owned();
    let error = "ValueError: Frame needs numpy".to_owned();
    assert_eq!(classify(&failed), FailureClass::Unsupported(Reason::Value { error }));
    failed.message = "numpy needs a C extension\n\nIMPORTANT".to_owned();
    assert_eq!(
        classify(&failed),
        FailureClass::Unsupported(Reason::Import(import)),
        "numpy names no value"
    );
}

#[test]
fn a_line_of_an_exception_ends_without_a_full_stop() {
    // spec: IOP-25
    let ends =
        NodeFailure { message: "first line.\nx".to_owned(), ..failure(FaultKind::Load, None) };
    assert_eq!(super::one_line(&ends), "ValueError: first line");
    let told = NodeFailure { advice: Some("Do it".to_owned()), message: "x.".to_owned(), ..ends };
    assert!(told.to_string().ends_with("ValueError: x. Do it"), "{told}");
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
