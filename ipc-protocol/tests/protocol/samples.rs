//! One sample for every message and every kind of value: what the golden vectors hold.

use std::time::Duration;

use ipc_protocol::array::{LeaseTerms, Placed};
use ipc_protocol::from_worker::{
    Closed, Done, Failed, LogRecord, MemoryParts, Moved, NodeReady, NodeState, NodeUsage, Output,
    Saved, SourceLine, Traffic,
};
use ipc_protocol::memory::SegmentKind;
use ipc_protocol::patience::Report;
use ipc_protocol::share::{Attach, MemoryTerms, Share};
use ipc_protocol::to_worker::{
    CaptureTerms, Credit, Item, NodeClass, NodeSpec, OpenSession, SavedState, StageSpec, Step,
    Surroundings, Welcome,
};
use ipc_protocol::{
    Array, Audio, Dtype, Fault, FaultDetail, FaultKind, FromWorker, Hello, ImportFault,
    ImportReason, Limits, Opaque, Order, Part, Payload, Raised, ToWorker, Value,
};
use num_bigint::BigInt;
use serde_bytes::ByteBuf;

const STEP: Step = Step { stage: 1, call: 300, window: 16, took: Report::ABSENT };

pub(crate) fn hello() -> Hello {
    Hello {
        magic: "remotemedia".into(),
        protocol: 1,
        interpreter: "cpython".into(),
        interpreter_version: "3.11.7".into(),
        package_version: "1.0.0".into(),
        pid: 4711,
    }
}

fn bytes(data: &[u8]) -> Payload {
    data.to_vec().into()
}

fn fault() -> Fault {
    Fault {
        kind: FaultKind::Process,
        node_id: "gain".into(),
        remote_type: "ValueError".into(),
        message: "negative gain".into(),
        import: None,
        detail: None,
        raised: None,
        traceback: "Traceback (most recent call last):\nValueError: negative gain".into(),
    }
}

fn usage() -> Vec<NodeUsage> {
    vec![NodeUsage {
        calls: 1,
        errors: 0,
        busy_ns: 1_500_000,
        marshal_ns: 900,
        peak_memory_bytes: 40 << 20,
        peak_delta_bytes: 4096,
        moved: Moved::default(),
        memory: MemoryParts::default(),
    }]
}

/// File name and message of every vector from the orchestrator.
pub(crate) fn to_worker() -> Vec<(&'static str, ToWorker)> {
    let params = Value::Dict(vec![("gain".into(), 0.5.into())]);
    let import = NodeClass::Import { module: "acme.nodes".into(), name: "Gain".into() };
    let node = |node_id: &str, class, params| NodeSpec {
        node_id: node_id.into(),
        class,
        params,
        is_streaming: false,
        keeps_failed: false,
    };
    let nodes = vec![
        node("gain", import, params),
        node("mine", NodeClass::Instance(0), Value::Dict(vec![])),
    ];
    let open = OpenSession {
        stages: vec![StageSpec { stage: 1, nodes }],
        instances: Some(bytes(b"\x80\x05]\x94.")),
        sys_path: vec!["/srv/app".into()],
        working_directory: None,
        surroundings: None,
        buffers: Vec::new(),
        saved: Vec::new(),
        capture: None,
        write_back_max_bytes: 1 << 20,
        allow_pickle: true,
    };
    let limits = Limits { max_frame_bytes: 1 << 32, max_blobs: 1 << 20, max_depth: 200 };
    let mut samples = vec![
        ("welcome", ToWorker::Welcome(Welcome { protocol: 1, limits })),
        ("open", ToWorker::Open(Box::new(open))),
        ("item", ToWorker::Item(Item { step: STEP, value: "hello".into() })),
        ("start", ToWorker::Start(STEP)),
        ("flush", ToWorker::Flush(STEP)),
        ("credit", ToWorker::Credit(Credit { stage: 1, outputs: 8, took: Report::ABSENT })),
        ("close", ToWorker::Close),
    ];
    samples.extend(values().into_iter().map(|(name, value)| (name, super::support::item(value))));
    samples
}

/// File name and message of every vector from the worker.
pub(crate) fn from_worker() -> Vec<(&'static str, FromWorker)> {
    let ready = NodeReady {
        node_id: "gain".into(),
        is_source: false,
        is_streaming: true,
        is_async: false,
        flushes: true,
        saves: false,
    };
    let output = Output { stage: 1, call: 300, value: Value::Int(7), worked: Report::ABSENT };
    let failed = Failed {
        stage: Some(1),
        call: 300,
        fault: fault(),
        usage: usage(),
        worked: Report::ABSENT,
    };
    let opening = Failed {
        stage: None,
        call: 0,
        fault: Fault { kind: FaultKind::Load, ..fault() },
        usage: vec![],
        worked: Report::ABSENT,
    };
    let log = LogRecord {
        node_id: "gain".into(),
        logger: "stdout".into(),
        is_stream: true,
        level: 0,
        message: "hé".into(),
        place: None,
    };
    let state = NodeState {
        node_id: "gain".into(),
        attributes: bytes(b"\x80\x05}\x94."),
        kept: vec![("lock".into(), "cannot pickle '_thread.lock' object".into())],
    };
    vec![
        ("opened", FromWorker::Opened(vec![ready])),
        ("output", FromWorker::Output(output)),
        (
            "done",
            FromWorker::Done(Done { stage: 1, call: 300, usage: usage(), worked: Report::ABSENT }),
        ),
        ("failed", FromWorker::Failed(failed)),
        ("failed_opening", FromWorker::Failed(opening)),
        ("log", FromWorker::Log(log)),
        (
            "closed",
            FromWorker::Closed(Closed {
                states: vec![state],
                faults: vec![fault()],
                ..Closed::default()
            }),
        ),
    ]
}

/// File name and value of every vector of a value; each travels in an `Item`.
fn shared(placed: Placed) -> Value {
    let dtype = Dtype { descr: "<f4".into(), item_bytes: 4 };
    let (shape, order) = (vec![2, 4800], Order::C);
    Value::Array(Array { dtype, shape, order, scalar: false, data: placed.into() })
}

fn lent(terms: LeaseTerms) -> Placed {
    Placed::Lent { lease: 300, segment: 2, offset: 8192, length: 38_400, terms }
}

fn attach(name: Option<&str>, is_paired: bool) -> Share {
    let name = name.map(str::to_owned);
    Share::Attach(Attach { segment: 2, bytes: 4 << 20, name, is_paired })
}

/// File name and message of the vectors that version 2 brought, from the orchestrator.
pub(crate) fn to_worker_2() -> Vec<(&'static str, ToWorker)> {
    let terms = |kind| {
        ToWorker::SharedMemory(MemoryTerms {
            kind,
            inline_max_bytes: 8192,
            ring_bytes: 4 << 20,
            ring_block_max_bytes: 256 << 10,
            max_bytes: 1 << 30,
            idle_max_bytes: 128 << 20,
            pinned_max_bytes: 256 << 20,
        })
    };
    let item = |terms| ToWorker::Item(Item { step: STEP, value: shared(lent(terms)) });
    vec![
        ("shared_memory_memfd", terms(SegmentKind::Memfd)),
        ("shared_memory_named", terms(SegmentKind::Named)),
        ("attach_paired", ToWorker::Share(attach(None, true))),
        ("attach_other", ToWorker::Share(attach(None, false))),
        ("spin", ToWorker::Spin(50)),
        ("attached", ToWorker::Share(Share::Attached(2))),
        ("item_lent_writable", item(LeaseTerms::Writable)),
        ("item_lent_read_only", item(LeaseTerms::ReadOnly)),
        ("item_lent_copy_out", item(LeaseTerms::CopyOut)),
    ]
}

/// File name and message of the vectors that version 2 brought, from a worker.
pub(crate) fn from_worker_2() -> Vec<(&'static str, FromWorker)> {
    let traffic =
        Traffic { copies: 1, copied_bytes: 38_400, shared_bytes: 38_400, inline_bytes: 12 };
    let mut usage = usage();
    usage[0].moved = Moved { incoming: Traffic::default(), outgoing: traffic };
    let returned = Placed::Returned { lease: 300, offset: 64, length: 38_400 };
    vec![
        ("attach_named", FromWorker::Share(attach(Some("remotemedia-4711-1-9f"), true))),
        ("detach", FromWorker::Share(Share::Detach(2))),
        ("release", FromWorker::Share(Share::Release(vec![300, 301]))),
        (
            "output_returned",
            FromWorker::Output(Output {
                stage: 1,
                call: 300,
                value: shared(returned),
                worked: Report::ABSENT,
            }),
        ),
        (
            "done_moved",
            FromWorker::Done(Done { stage: 1, call: 300, usage, worked: Report::ABSENT }),
        ),
    ]
}

pub(crate) fn values() -> Vec<(&'static str, Value)> {
    let ints = [0, 1, -1, 127, 128, -32, -33, 65_536, i64::MAX, i64::MIN];
    let floats = [0.0, -0.0, 0.1, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, f64::MIN_POSITIVE];
    let big = BigInt::from(i64::MAX) + 1;
    let small = BigInt::from(i64::MIN) - 1;
    let dict = vec![
        ("text".into(), 1.into()),
        (2.into(), "two".into()),
        (Value::Tuple(vec![1.into(), Value::None]), Value::List(vec![])),
        (Value::None, false.into()),
    ];
    let opaque = Opaque {
        type_name: "acme.Thing".into(),
        interpreter: "cpython-3.11".into(),
        pickle: bytes(b"\x80\x05N."),
    };
    let samples = Array::from_f32(vec![0.0, 0.25, -0.5, 1.0], [1, 4]).unwrap();
    let mixed = Value::List(vec![
        Value::Array(Array::from_i16(vec![1, -2], [2]).unwrap()),
        Value::Bytes(bytes(b"")),
        Value::Array(Array::from_f32(vec![], [0, 3]).unwrap()),
        Value::Bytes(bytes(&[7; 65])),
    ]);
    let mut values = vec![
        ("value_none", Value::None),
        ("value_bool", Value::List(vec![true.into(), false.into()])),
        ("value_int", Value::List(ints.map(Value::Int).to_vec())),
        ("value_bigint", Value::List(vec![Value::BigInt(big), Value::BigInt(small)])),
        ("value_float", Value::List(floats.map(Value::Float).to_vec())),
        (
            "value_str",
            Value::List(vec!["".into(), "grün 🎧".into(), "x".repeat(40).as_str().into()]),
        ),
        ("value_bytes", Value::Bytes(bytes(b"\x00\xff raw"))),
        ("value_list", Value::List(vec![1.into(), Value::List(vec![Value::None])])),
        ("value_tuple", Value::Tuple(vec![1.into(), Value::Tuple(vec![])])),
        ("value_dict", Value::Dict(dict)),
        ("value_set", Value::Set(vec![3.into(), "a".into()])),
        ("value_frozenset", Value::FrozenSet(vec![Value::FrozenSet(vec![]), 1.into()])),
        ("value_audio", Value::Audio(Audio { samples, sample_rate_hz: 48_000 })),
        ("value_opaque", Value::Opaque(opaque)),
        ("value_blobs", mixed),
    ];
    values.extend(arrays());
    values
}

fn arrays() -> Vec<(&'static str, Value)> {
    let array = |descr: &str, item_bytes, shape: &[u64], order, data: Vec<u8>| {
        let dtype = Dtype { descr: descr.into(), item_bytes };
        Array::new(dtype, shape, order, data).unwrap()
    };
    let plain = Array::from_f32(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [2, 3]).unwrap();
    let scalar =
        Array { scalar: true, ..array("<f8", 8, &[], Order::C, 2.5f64.to_le_bytes().into()) };
    let record = "[('id', '<i4'), ('name', '<U2')]";
    [
        ("value_array", plain),
        (
            "value_array_fortran",
            array("<i2", 2, &[2, 2], Order::Fortran, vec![1, 0, 3, 0, 2, 0, 4, 0]),
        ),
        ("value_array_big_endian", array(">i4", 4, &[2], Order::C, vec![0, 0, 0, 1, 0, 0, 0, 2])),
        ("value_array_bool", array("|b1", 1, &[3], Order::C, vec![1, 0, 1])),
        ("value_array_complex", array("<c8", 8, &[1], Order::C, vec![0, 0, 128, 63, 0, 0, 0, 64])),
        (
            "value_array_time",
            array("<M8[ns]", 8, &[1], Order::C, 86_400_000_000_000i64.to_le_bytes().into()),
        ),
        ("value_array_text", array("<U2", 8, &[1], Order::C, vec![104, 0, 0, 0, 105, 0, 0, 0])),
        ("value_array_void", array("|V3", 3, &[1], Order::C, vec![1, 2, 3])),
        (
            "value_array_record",
            array(record, 12, &[1], Order::C, vec![9, 0, 0, 0, 104, 0, 0, 0, 105, 0, 0, 0]),
        ),
        ("value_array_0d", array("<f4", 4, &[], Order::C, 1.5f32.to_le_bytes().into())),
        ("value_array_scalar", scalar),
        ("value_array_empty", array("<f4", 4, &[0, 7], Order::C, vec![])),
    ]
    .map(|(name, array)| (name, Value::Array(array)))
    .into()
}

/// What version 3 brought to the worker.
pub(crate) fn to_worker_3() -> Vec<(&'static str, ToWorker)> {
    let opaque = Opaque {
        type_name: "acme.Thing".into(),
        interpreter: "portable".into(),
        pickle: bytes(b"RMP1v\x80\x05N."),
    };
    vec![("item_portable", super::support::item(Value::Opaque(opaque)))]
}

/// What version 3 brought from the worker.
pub(crate) fn from_worker_3() -> Vec<(&'static str, FromWorker)> {
    let lacking = |reason, module: &str, path: &str| {
        let import = ImportFault {
            module: module.into(),
            root_package: module.split('.').next().unwrap_or_default().into(),
            reason,
            path: path.into(),
            suggestion: "run the node on CPython".into(),
            is_told: false,
        };
        let fault = Fault {
            kind: FaultKind::Load,
            remote_type: "ImportError".into(),
            import: Some(Box::new(import)),
            ..fault()
        };
        FromWorker::Failed(Failed {
            stage: None,
            call: 0,
            fault,
            usage: vec![],
            worked: Report::ABSENT,
        })
    };
    let so = "/srv/site-packages/numpy/_core/_multiarray_umath.so";
    vec![
        ("failed_c_extension", lacking(ImportReason::CExtension, "numpy.linalg", so)),
        ("failed_stdlib_missing", lacking(ImportReason::StdlibMissing, "sqlite3", "")),
        ("failed_not_installed", lacking(ImportReason::NotInstalled, "numpi", "")),
        ("failed_blocked", lacking(ImportReason::Blocked, "ctypes", "")),
        ("failed_unsupported", lacking(ImportReason::Unsupported, "sys", "")),
    ]
}

/// What version 4 brought from the worker: where a record was logged.
pub(crate) fn from_worker_4() -> Vec<(&'static str, FromWorker)> {
    let log = |level, line, path: &str| {
        let place = SourceLine { path: path.into(), line, function: "process".into() };
        FromWorker::Log(LogRecord {
            node_id: "gain".into(),
            logger: "studio.mixer".into(),
            is_stream: false,
            level,
            message: "clipping".into(),
            place: Some(place),
        })
    };
    vec![
        ("log_debug", log(10, 1, "/srv/nodes/gain.py")),
        ("log_info", log(20, 127, "/srv/nodes/gain.py")),
        ("log_warning", log(30, 128, "/srv/nodes/gain.py")),
        ("log_error", log(40, 70_000, "/srv/nodes/gain.py")),
        ("log_critical", log(50, u32::MAX, "/srv/nodes/gain.py")),
        ("log_no_file", log(20, 0, "")),
        ("log_text_file", log(20, 3, "<örtlich>")),
    ]
}

/// What version 5 brought to the worker: the orderly end, and the caller's process with each session.
pub(crate) fn to_worker_5() -> Vec<(&'static str, ToWorker)> {
    let script = Surroundings {
        environment: ByteBuf::from("HOME=/srv/adam\0TZ=Europe/Berlin\0EMPTY=\0"),
        sys_path: vec![ByteBuf::from("/srv/app"), ByteBuf::from("/srv/site-packages")],
        is_path_complete: true,
        argv: vec![ByteBuf::from("/srv/app/job.py"), ByteBuf::from("--gain"), ByteBuf::from("3")],
        working_directory: Some(ByteBuf::from("/srv/app")),
        umask: Some(0o22),
    };
    let command_line = Surroundings {
        sys_path: vec![ByteBuf::from("/srv/app")],
        is_path_complete: false,
        argv: vec![ByteBuf::new()],
        ..script.clone()
    };
    let not_text = Surroundings {
        environment: ByteBuf::from(b"NAME=\xff\xfe\0".to_vec()),
        sys_path: vec![ByteBuf::from(b"/srv/\xe9".to_vec())],
        argv: vec![ByteBuf::from(b"\xff".to_vec())],
        working_directory: Some(ByteBuf::from(b"/srv/\xe9".to_vec())),
        ..script.clone()
    };
    let bare = Surroundings { environment: ByteBuf::new(), umask: None, ..command_line.clone() };
    let no_folder = Surroundings { working_directory: None, ..script.clone() };
    let open = |surroundings| {
        ToWorker::Open(Box::new(OpenSession {
            stages: vec![],
            instances: None,
            sys_path: vec![],
            working_directory: None,
            write_back_max_bytes: 1 << 20,
            allow_pickle: true,
            surroundings: Some(Box::new(surroundings)),
            buffers: Vec::new(),
            saved: Vec::new(),
            capture: None,
        }))
    };
    vec![
        ("end", ToWorker::End(0)),
        ("end_after_caller", ToWorker::End(1000)),
        ("open_script", open(script)),
        ("open_command_line", open(command_line)),
        ("open_not_text", open(not_text)),
        ("open_bare", open(bare)),
        ("open_no_folder", open(no_folder)),
    ]
}

/// What version 5 brought from the worker: the answer to `End`, and a loaded module that lies elsewhere
/// for this session.
pub(crate) fn from_worker_5() -> Vec<(&'static str, FromWorker)> {
    let fault = Fault {
        kind: FaultKind::Conflict,
        node_id: String::new(),
        remote_type: "ImportError".into(),
        message: "helper was loaded from /srv/a/helper.py".into(),
        ..fault()
    };
    let failed = Failed { stage: None, call: 0, fault, usage: vec![], worked: Report::ABSENT };
    vec![("ending", FromWorker::Ending), ("failed_conflict", FromWorker::Failed(failed))]
}

/// What version 6 brought to the worker: how long the caller took, and buffers beside the pickle of
/// node objects.
pub(crate) fn to_worker_6() -> Vec<(&'static str, ToWorker)> {
    let surroundings = Surroundings {
        environment: ByteBuf::new(),
        sys_path: vec![],
        is_path_complete: true,
        argv: vec![],
        working_directory: None,
        umask: None,
    };
    let open = OpenSession {
        stages: vec![],
        instances: Some(bytes(b"\x80\x05]\x94.")),
        sys_path: vec![],
        working_directory: None,
        write_back_max_bytes: 1 << 20,
        allow_pickle: true,
        surroundings: Some(Box::new(surroundings)),
        buffers: vec![bytes(b"table"), bytes(b"")],
        saved: vec![],
        capture: None,
    };
    let node = NodeSpec {
        node_id: "gain".into(),
        class: NodeClass::Instance(0),
        params: Value::Dict(vec![]),
        is_streaming: false,
        keeps_failed: true,
    };
    let stages = vec![StageSpec { stage: 1, nodes: vec![node] }];
    let keeping = OpenSession { stages, buffers: vec![], ..open.clone() };
    let saved = vec![saved_state()];
    let restoring = OpenSession { buffers: vec![], saved, ..open.clone() };
    let terms = CaptureTerms { prefix: ByteBuf::from(b"/tmp/.call".to_vec()), max_bytes: 1 << 26 };
    let capturing = OpenSession { buffers: vec![], capture: Some(terms), ..open.clone() };
    let took = Duration::from_micros(42).into();
    let step = Step { took, ..STEP };
    vec![
        ("open_buffers", ToWorker::Open(Box::new(open))),
        ("item_took", ToWorker::Item(Item { step, value: Value::None })),
        ("start_took", ToWorker::Start(step)),
        ("flush_took", ToWorker::Flush(Step { took: Duration::MAX.into(), ..STEP })),
        ("abort", ToWorker::Abort(1)),
        ("retry", ToWorker::Retry(1)),
        ("open_keeps_failed", ToWorker::Open(Box::new(keeping))),
        ("open_saved", ToWorker::Open(Box::new(restoring))),
        ("open_capture", ToWorker::Open(Box::new(capturing))),
        ("save", ToWorker::Save(70_000)),
        ("restore", ToWorker::Restore(vec![saved_state()])),
        ("batch", ToWorker::Batch(vec![item(1, Value::Int(7)), item(2, bytes_value(b"ab"))])),
        ("credit_took", ToWorker::Credit(Credit { stage: 1, outputs: 8, took })),
    ]
}

fn bytes_value(content: &[u8]) -> Value {
    Value::Bytes(bytes(content))
}

fn item(call: u64, value: Value) -> Item {
    Item { step: Step { call, ..STEP }, value }
}

fn saved_state() -> SavedState {
    SavedState { node_id: "gain".into(), state: bytes(b"\x80\x05K*.") }
}

/// What version 6 brought from the worker.
pub(crate) fn from_worker_6() -> Vec<(&'static str, FromWorker)> {
    let fault = Fault {
        kind: FaultKind::Stale,
        node_id: String::new(),
        remote_type: "RuntimeError".into(),
        message: "still changed: threads".into(),
        traceback: String::new(),
        import: None,
        detail: None,
        raised: None,
    };
    let failed = Failed { stage: None, call: 0, fault, usage: vec![], worked: Report::ABSENT };
    let worked: Report = Duration::from_micros(1500).into();
    let output = Output { stage: 1, call: 300, value: Value::None, worked };
    let late = Failed { stage: Some(1), call: 300, fault: self::fault(), usage: usage(), worked };
    let part = |path: &str| Part { path: path.into(), type_name: "acme.Thing".into() };
    let nearest = FaultDetail::Nearest("acme.gain".into());
    let unsendable = FaultDetail::Unsendable(part("output['kept'][0]"));
    let unopenable = FaultDetail::Unopenable(part("input"));
    let blocked = ImportFault {
        module: "ctypes".into(),
        root_package: "ctypes".into(),
        reason: ImportReason::Blocked,
        path: String::new(),
        suggestion: "run the node on CPython".into(),
        is_told: true,
    };
    let left = vec!["threads".into(), "resource limits".into()];
    let ready = NodeReady {
        node_id: "gain".into(),
        is_source: false,
        is_streaming: false,
        is_async: false,
        flushes: false,
        saves: false,
    };
    let saving = NodeReady { flushes: true, saves: true, ..ready.clone() };
    let saved = Saved { number: 70_000, states: vec![saved_state()], fault: None };
    let fault = Fault { kind: FaultKind::Checkpoint, ..self::fault() };
    let unsaved = Saved { number: 70_001, states: vec![], fault: Some(fault) };
    let mut split = usage();
    split[0].memory = MemoryParts {
        delta_private_bytes: 1 << 20,
        delta_shared_bytes: 200 << 20,
        array_private_bytes: 0,
        array_shared_bytes: 192 << 20,
    };
    vec![
        ("opened_without_flush", FromWorker::Opened(vec![ready])),
        ("opened_saves", FromWorker::Opened(vec![saving])),
        ("saved", FromWorker::Saved(saved)),
        ("saved_fault", FromWorker::Saved(unsaved)),
        ("closed_left", FromWorker::Closed(Closed { left, ..Closed::default() })),
        ("loaded", FromWorker::Loaded(vec!["scipy".into(), "scipy.signal".into()])),
        ("failed_stale", FromWorker::Failed(failed)),
        ("output_worked", FromWorker::Output(output)),
        ("done_worked", FromWorker::Done(Done { stage: 1, call: 300, usage: usage(), worked })),
        ("done_memory", FromWorker::Done(Done { stage: 1, call: 300, usage: split, worked })),
        ("failed_worked", FromWorker::Failed(late)),
        ("failed_nearest", failed_with(FaultKind::NotFound, Some(nearest), None)),
        ("failed_unsendable", failed_with(FaultKind::Marshal, Some(unsendable), None)),
        ("failed_unopenable", failed_with(FaultKind::Marshal, Some(unopenable), None)),
        ("failed_kept", failed_kept()),
        ("failed_described", failed_described()),
        ("failed_blocked_told", failed_with(FaultKind::Load, None, Some(blocked))),
    ]
}

fn failed_by(fault: Fault) -> FromWorker {
    FromWorker::Failed(Failed {
        stage: Some(1),
        call: 300,
        fault,
        usage: vec![],
        worked: Report::ABSENT,
    })
}

fn failed_kept() -> FromWorker {
    let types = ["ConnectionResetError", "ConnectionError", "OSError", "Exception"];
    let types = types.map(str::to_owned).to_vec();
    let raised = Some(Box::new(Raised { types, is_kept: true, described: String::new() }));
    let fault = Fault { remote_type: "ConnectionResetError".into(), raised, ..fault() };
    failed_by(fault)
}

fn failed_described() -> FromWorker {
    let described = "[('builtins', 'ValueError')]".to_owned();
    let types = vec!["ValueError".to_owned()];
    let raised = Some(Box::new(Raised { types, is_kept: false, described }));
    failed_by(Fault { raised, ..fault() })
}

fn failed_with(
    kind: FaultKind,
    detail: Option<FaultDetail>,
    import: Option<ImportFault>,
) -> FromWorker {
    let (detail, import) = (detail.map(Box::new), import.map(Box::new));
    let fault = Fault { kind, detail, import, ..fault() };
    failed_by(fault)
}
