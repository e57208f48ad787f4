//! Tests of the guest with a host without an interpreter: the calls that the guest makes, their
//! order, and the conversion of their results and exceptions.

mod fake;
mod sessions;

use std::rc::Rc;

use ipc_protocol::from_worker::NodeReady;
use ipc_protocol::to_worker::{
    CaptureTerms, NodeClass, NodeSpec, OpenSession, SavedState, StageSpec, Surroundings,
};
use ipc_protocol::{ByteBuf, FaultKind, ImportReason, Value};

use super::PythonGuest;
use crate::guest::{Begin, Guest, Step};
use crate::meter::{Meter, SharedMeter};
use crate::surroundings::environment_unless;
use fake::{Content, Fake, Object, Raised, World, dict, facts, plain, raised, tuple};

type Answer = Result<Object, Raised>;

/// A guest with a fake host, and the state of that host.
struct Rig {
    guest: PythonGuest<Fake>,
    world: Rc<World>,
}

impl Rig {
    fn new() -> Self {
        let world = Rc::<World>::default();
        let object = Rc::new(Content::Guest("guest"));
        let meter = SharedMeter::new(Meter::default());
        let guest = PythonGuest::new(Fake(Rc::clone(&world)), &object, meter).unwrap();
        Self { guest, world }
    }

    /// A rig with an open session: stage 3 has the nodes 0 and 1, stage 5 has node 2.
    fn in_session() -> Self {
        let mut rig = Self::new();
        rig.open(Ok(plain(Value::List(vec![])))).unwrap();
        rig.world.take_events();
        rig
    }

    fn open(&mut self, answer: Answer) -> Result<Vec<NodeReady>, ipc_protocol::Fault> {
        self.world.answer("open_session", answer);
        self.guest.open(session(Value::Dict(vec![])))
    }

    fn answer(&self, method: &'static str, answer: Answer) {
        self.world.answer(method, answer);
    }

    fn begin(&mut self, stage: u32, value: impl Into<Value>) {
        self.guest.begin(stage, Begin::Item(value.into())).unwrap();
    }
}

/// The environment variables of this process.
fn environment() -> Vec<u8> {
    environment_unless(b"").unwrap()
}

fn session(params: Value) -> OpenSession {
    let by_name = NodeSpec {
        node_id: "a".to_owned(),
        class: NodeClass::Import { module: "mod".to_owned(), name: "Class".to_owned() },
        params,
        is_streaming: true,
        keeps_failed: false,
    };
    let by_index = |node_id: &str, index| NodeSpec {
        node_id: node_id.to_owned(),
        class: NodeClass::Instance(index),
        params: Value::Dict(vec![]),
        is_streaming: false,
        keeps_failed: false,
    };
    OpenSession {
        stages: vec![
            StageSpec { stage: 3, nodes: vec![by_name, by_index("b", 0)] },
            StageSpec { stage: 5, nodes: vec![by_index("c", 1)] },
        ],
        instances: Some(b"pickle".to_vec().into()),
        sys_path: vec![],
        working_directory: None,
        write_back_max_bytes: 9,
        allow_pickle: false,
        surroundings: Some(Box::new(Surroundings {
            environment: environment().into(),
            sys_path: vec![ByteBuf::from("/one")],
            is_path_complete: true,
            argv: vec![ByteBuf::from("job.py")],
            working_directory: None,
            umask: Some(0o22),
        })),
        buffers: vec![b"large".to_vec().into()],
        saved: vec![SavedState { node_id: "gain".to_owned(), state: b"state".to_vec().into() }],
        capture: Some(CaptureTerms { prefix: ByteBuf::from("/tmp/c"), max_bytes: 7 }),
    }
}

/// A step as `remotemedia._guest.session` returns it.
fn step(kind: i64, object: Object) -> Answer {
    Ok(tuple([plain(kind), object]))
}

fn failed(step: Step) -> ipc_protocol::Fault {
    let Step::Failed(fault, _) = step else { panic!("{step:?}") };
    fault
}

#[test]
fn an_item_costs_one_call_of_python() {
    let mut rig = Rig::in_session();
    rig.begin(3, 7_i64);
    assert_eq!(rig.world.take_events(), [""; 0], "an input waits for its step");
    rig.answer("first_step", step(2, plain("out")));
    let Step::Last(value, usage) = rig.guest.step(3) else { panic!() };
    assert_eq!((value, usage.len()), (Value::from("out"), 2));
    assert_eq!(rig.world.take_events(), ["first_step(3, 7)"]);
}

#[test]
fn a_call_is_stepped_from_output_to_output() {
    let mut rig = Rig::in_session();
    rig.begin(5, "in");
    rig.answer("first_step", step(1, plain("one")));
    rig.answer("step", step(1, plain("two")));
    rig.answer("step", step(3, plain(Value::None)));
    assert_eq!(rig.guest.step(5), Step::Output("one".into()));
    assert_eq!(rig.guest.step(5), Step::Output("two".into()));
    assert!(matches!(rig.guest.step(5), Step::Done(usage) if usage.len() == 1));
    assert_eq!(rig.world.take_events(), ["first_step(5, in)", "step(5)", "step(5)"]);
}

#[test]
fn an_input_waits_while_another_stage_is_stepped() {
    let mut rig = Rig::in_session();
    rig.begin(3, "in");
    rig.answer("step", step(3, plain(Value::None)));
    rig.guest.step(5);
    rig.answer("first_step", step(3, plain(Value::None)));
    rig.guest.step(3);
    assert_eq!(rig.world.take_events(), ["step(5)", "first_step(3, in)"]);
}

#[test]
fn calls_without_an_input_begin_in_python() {
    let mut rig = Rig::in_session();
    for (begin, method) in [(Begin::Start, "begin_start"), (Begin::Flush, "begin_flush")] {
        rig.answer(method, Ok(plain(Value::None)));
        rig.guest.begin(5, begin.clone()).unwrap();
        assert_eq!(rig.world.take_events(), [format!("{method}(5)")]);

        rig.answer(method, Err(raised("no call")));
        rig.answer("first_node", Ok(plain("c")));
        let fault = rig.guest.begin(5, begin).unwrap_err();
        assert_eq!((fault.node_id.as_str(), fault.message.as_str()), ("c", "no call"));
        assert_eq!(rig.world.take_events(), [format!("{method}(5)"), "first_node(5)".to_owned()]);
    }
}

#[test]
fn an_input_that_cannot_become_an_object_is_a_fault_of_the_first_node() {
    let mut rig = Rig::in_session();
    rig.answer("first_node", Ok(plain("a")));
    let fault = rig.guest.begin(3, Begin::Item("unopenable".into())).unwrap_err();
    assert_eq!((fault.kind, fault.node_id.as_str()), (FaultKind::Marshal, "a"));
    assert_eq!(fault.message, "cannot be opened");
    assert_eq!(rig.world.take_events(), ["first_node(3)"]);
}

#[test]
fn an_output_that_cannot_be_sent_ends_the_call_at_the_last_node() {
    let mut rig = Rig::in_session();
    rig.begin(3, "in");
    rig.answer("first_step", step(2, Rc::new(Content::Unsendable)));
    rig.answer("output_failed", Ok(plain("b")));
    let fault = failed(rig.guest.step(3));
    assert_eq!((fault.kind, fault.node_id.as_str()), (FaultKind::Marshal, "b"));
    assert_eq!(rig.world.take_events(), ["first_step(3, in)", "output_failed(3)"]);

    rig.begin(3, "in");
    rig.answer("first_step", step(1, Rc::new(Content::Unsendable)));
    rig.answer("output_failed", Err(raised("unknown stage")));
    assert_eq!(failed(rig.guest.step(3)).node_id, "", "the first failure is reported");
}

#[test]
fn copies_count_at_the_ends_of_a_chain() {
    let mut rig = Rig::in_session();
    let bytes = |text: &str| Value::Bytes(text.as_bytes().to_vec().into());
    rig.begin(3, bytes("in"));
    rig.answer("first_step", step(1, plain(bytes("one"))));
    rig.answer("step", step(2, plain(bytes("two"))));
    rig.guest.step(3);
    let Step::Last(_, usage) = rig.guest.step(3) else { panic!() };
    let copies: Vec<_> =
        usage.iter().map(|node| (node.moved.incoming.copies, node.moved.outgoing.copies)).collect();
    assert_eq!(copies, [(1, 0), (0, 2)]);
}

#[test]
fn a_failing_node_is_reported_with_its_facts() {
    let mut rig = Rig::in_session();
    rig.begin(3, "in");
    let Value::Dict(mut entries) = facts("process", "b", "broken") else { panic!() };
    let lacks = dict([
        ("reason", "c_extension".into()),
        ("module", "scipy.signal".into()),
        ("root_package", "scipy".into()),
    ]);
    entries.retain(|(name, _)| *name != "import_info".into());
    entries.push(("import_info".into(), lacks));
    rig.answer("first_step", Err(Raised(Some(Value::Dict(entries)))));
    let fault = failed(rig.guest.step(3));
    assert_eq!((fault.kind, fault.node_id.as_str()), (FaultKind::Process, "b"));
    assert_eq!((fault.remote_type.as_str(), fault.message.as_str()), ("ValueError", "broken"));
    assert_eq!(fault.traceback, "Traceback");
    let import = fault.import.unwrap();
    assert_eq!((import.reason, import.module.as_str()), (ImportReason::CExtension, "scipy.signal"));
    assert_eq!((import.root_package.as_str(), import.path.as_str()), ("scipy", ""));
}

#[test]
fn an_exception_that_cannot_be_described_is_still_a_fault() {
    let mut rig = Rig::in_session();
    rig.begin(3, "in");
    rig.answer("first_step", Err(Raised(None)));
    let fault = failed(rig.guest.step(3));
    assert_eq!(fault.kind, FaultKind::Marshal);
    assert!(fault.message.contains("describing it failed"), "{}", fault.message);
}

#[test]
fn a_step_of_another_form_is_a_fault() {
    let mut rig = Rig::in_session();
    for answer in [plain("text"), tuple([plain(1_i64)])] {
        rig.answer("step", Ok(answer));
        assert_eq!(failed(rig.guest.step(3)).kind, FaultKind::Marshal);
    }
}

#[test]
fn an_aborted_call_drops_its_input() {
    let mut rig = Rig::in_session();
    rig.begin(3, "in");
    rig.answer("abort", Err(raised("generator refuses to end")));
    assert_eq!(rig.guest.abort(3).len(), 2);
    rig.answer("step", step(3, plain(Value::None)));
    rig.guest.step(3);
    assert_eq!(rig.world.take_events(), ["abort(3)", "step(3)"]);
}
