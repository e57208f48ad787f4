//! Crashes as text and as JSON.

use std::path::PathBuf;
use std::time::Duration;

use ipc_protocol::FaultKind;
use ipc_protocol::recorder::Arrays;

use super::{Crash, Verdict};
use crate::postmortem::{Fault, Frame};

fn crash() -> Crash {
    let library = PathBuf::from("/usr/lib/libblas.so.3");
    Crash {
        node_id: "filter".to_owned(),
        operation: FaultKind::Process,
        call: Some(3),
        pid: 7,
        signal: Some("SIGSEGV".to_owned()),
        exit_code: None,
        core_dumped: Some(true),
        verdict: Verdict::Crashed { library: Some("libblas.so.3".to_owned()) },
        fault: Some(Fault { code: "SEGV_MAPERR", address: Some(16) }),
        c_stack: vec![
            Frame { library: Some(library.clone()), symbol: Some("dgemm".to_owned()), offset: 18 },
            Frame { library: Some(library), symbol: None, offset: 0x1200 },
            Frame { library: None, symbol: None, offset: 0x7f00 },
        ],
        python_stack: "File \"filter.py\", line 8 in process\n".to_owned(),
        stderr_tail: "on entry to dgemm\n".to_owned(),
        also_lost: vec!["before".to_owned()],
        uptime: Duration::from_millis(61_500),
        calls_of_worker: 12,
        calls_of_session: 6,
        peak_memory_bytes: 40 << 20,
        arrays: Some(Arrays { private_bytes: 1 << 20, shared_bytes: 20 << 20 }),
        memory_limit_bytes: Some(512 << 20),
        tries: 1,
    }
}

fn ended(verdict: Verdict, signal: Option<&str>) -> String {
    Crash { verdict, signal: signal.map(str::to_owned), also_lost: vec![], ..crash() }.headline()
}

// spec: CARD-08
#[test]
fn the_text_says_everything_headline_first() {
    assert_eq!(
        crash().to_string(),
        "\
node 'filter' crashed: its worker (pid 7) was killed by SIGSEGV; state also lost: before. The next run gets a fresh worker.
  in process, call 3 of this node
  native code crashed in libblas.so.3: SEGV_MAPERR at address 0x10
  its worker: 61 s old, 12 calls begun, 6 of them in this session
  memory: 40 MiB at most, limit 512 MiB
  numpy arrays of this node: 1 MiB private, 20 MiB shared
  a core was dumped
Python stack at the time of death:
File \"filter.py\", line 8 in process
C stack at the time of death, innermost call first:
  dgemm+0x12 in libblas.so.3
  libblas.so.3+0x1200
  0x7f00
Last lines of its stderr:
on entry to dgemm"
    );
}

#[test]
fn what_is_unknown_is_left_out() {
    let bare = Crash {
        operation: FaultKind::Load,
        call: None,
        signal: None,
        exit_code: Some(3),
        core_dumped: None,
        verdict: Verdict::Exited(3),
        fault: None,
        c_stack: vec![],
        python_stack: String::new(),
        stderr_tail: String::new(),
        also_lost: vec![],
        peak_memory_bytes: 0,
        arrays: None,
        memory_limit_bytes: None,
        tries: 1,
        calls_of_worker: 1,
        calls_of_session: 1,
        uptime: Duration::from_millis(20),
        ..crash()
    };
    assert_eq!(
        bare.to_string(),
        "\
node 'filter' crashed: its worker (pid 7) exited with code 3. The next run gets a fresh worker.
  in import
  its worker: 20 ms old, 1 call begun, 1 of them in this session"
    );
}

// spec: CARD-08
#[test]
fn each_verdict_has_its_headline() {
    let killed = |by, may_be_memory| Verdict::Killed { by, may_be_memory };
    for (verdict, signal, expected) in [
        (Verdict::OutOfMemory, Some("SIGKILL"), "because the kernel ran out of memory. The next"),
        (killed(Some(9), false), Some("SIGSEGV"), "was killed by SIGSEGV, which process 9 sent."),
        (killed(None, true), Some("SIGKILL"), "the kernel does that when memory runs out). The"),
        (killed(None, false), Some("SIGKILL"), "was killed by SIGKILL (not by RemoteMedia). The"),
        (
            Verdict::Refused { bytes: 96 << 20, allowed: Some(64 << 20) },
            Some("SIGABRT"),
            "aborted, because it was refused 96 MiB of memory. Its worker may have 64 MiB of private \
             memory: raise memory in",
        ),
        (
            Verdict::Refused { bytes: 96 << 20, allowed: None },
            Some("SIGABRT"),
            "Give its nodes smaller items, or raise what limits",
        ),
        (Verdict::Aborted { library: None }, Some("SIGABRT"), "was killed by SIGABRT. The next"),
        (Verdict::Exited(3), None, "exited with code 3. The"),
        (Verdict::Disconnected, None, "closed its connection. The"),
        (Verdict::Unknown, None, "how is unknown: this program ignores SIGCHLD"),
    ] {
        let headline = ended(verdict, signal);
        assert!(headline.contains(expected), "{headline}");
    }
}

#[test]
fn the_json_has_every_fact() {
    let json = crash().to_json();
    assert_eq!(json["verdict"], "crashed");
    assert_eq!(json["library"], "libblas.so.3");
    assert_eq!(json["c_stack"][0]["symbol"], "dgemm");
    assert_eq!(json["fault_address"], 16);
    assert_eq!(json["uptime"], 61.5);
    let is_missing = |name: &&str| json[*name].is_null();
    let optional = ["exit_code", "killed_by"];
    let missing: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    let missing: Vec<&str> = missing.into_iter().filter(is_missing).collect();
    assert_eq!(missing, optional);
}
