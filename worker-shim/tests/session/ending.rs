//! Tests of the message `End`.

use ipc_protocol::{FromWorker, Limits, ToWorker};

use super::broken;
use super::rig::{Orchestrator, open};

#[test]
fn an_idle_worker_answers_and_ends() {
    for has_served in [false, true] {
        let mut orchestrator = Orchestrator::welcomed(Limits::default());
        if has_served {
            orchestrator.send(open());
            assert!(matches!(orchestrator.receive(), FromWorker::Opened(_)));
            orchestrator.send(ToWorker::Close);
            assert!(matches!(orchestrator.receive(), FromWorker::Closed(_)));
        }
        orchestrator.send(ToWorker::End(0));
        assert!(matches!(orchestrator.receive(), FromWorker::Ending));
        let (script, outcome) = orchestrator.join();
        assert!(outcome.is_ok());
        assert_eq!(script.events.last().map(String::as_str), Some("begin_end"));
    }
}

#[test]
fn an_end_inside_a_session_is_out_of_order() {
    let orchestrator = Orchestrator::in_session();
    orchestrator.send(ToWorker::End(0));
    assert!(
        broken(orchestrator).to_string().contains("message End is not allowed inside a session")
    );
}

#[test]
fn a_worker_ends_after_its_orchestrator_where_it_shall() {
    let mut orchestrator = Orchestrator::welcomed(Limits::default());
    orchestrator.send(ToWorker::End(u32::MAX));
    assert!(matches!(orchestrator.receive(), FromWorker::Ending));
    assert!(!orchestrator.has_ended());
    assert!(orchestrator.close().is_ok());
}
