//! Converts [`OpenSession`] to the form that `remotemedia._guest.spec` takes: a `dict` with the
//! fields of `SessionSpec`, which contains a `dict` for each node with the fields of `NodeSpec`. A
//! new field needs one line here and one line in the Python class of the same name.

use ipc_protocol::to_worker::{
    CaptureTerms, NodeClass, NodeSpec, OpenSession, SavedState, StageSpec, Surroundings,
};
use ipc_protocol::{Array, ByteBuf, Dtype, Order, Payload, Value};

use crate::surroundings::environment_unless;

/// Converts a session to a `dict` with the fields of the Python class `SessionSpec`.
pub(super) fn fields(session: OpenSession) -> Value {
    let OpenSession {
        stages,
        instances,
        // Older protocol versions send these two instead of `surroundings`.
        sys_path: _,
        working_directory: _,
        write_back_max_bytes,
        surroundings: around,
        buffers,
        saved: states,
        capture,
        // The host has got this from `begin_session`.
        allow_pickle: _,
    } = session;
    dict([
        ("stages", list(stages, stage)),
        ("instances", instances.map_or(Value::None, Value::Bytes)),
        ("buffers", list(buffers, buffer)),
        ("saved", saved(states)),
        ("capture", capture.map_or(Value::None, terms)),
        ("surroundings", around.map_or(Value::None, |around| surroundings(*around))),
        ("write_back_max_bytes", unsigned(write_back_max_bytes)),
    ])
}

/// A tuple of the beginning of the paths of notes and the largest size of one.
fn terms(CaptureTerms { prefix, max_bytes }: CaptureTerms) -> Value {
    Value::Tuple(vec![bytes(prefix), unsigned(max_bytes)])
}

/// Converts saved state to a list of tuples: node id, pickle.
pub(super) fn saved(states: Vec<SavedState>) -> Value {
    list(states, |SavedState { node_id, state }| {
        Value::Tuple(vec![Value::Str(node_id), Value::Bytes(state)])
    })
}

/// Converts surroundings to a `dict` with the fields of the Python class `Surroundings`.
fn surroundings(around: Surroundings) -> Value {
    let present = environment_unless(&around.environment);
    dict([
        ("environment", bytes(around.environment)),
        ("present", present.map_or(Value::None, |present| Value::Bytes(present.into()))),
        ("sys_path", list(around.sys_path, bytes)),
        ("is_path_complete", Value::Bool(around.is_path_complete)),
        ("argv", list(around.argv, bytes)),
        ("working_directory", around.working_directory.map_or(Value::None, bytes)),
        ("umask", around.umask.map_or(Value::None, |umask| Value::Int(umask.into()))),
    ])
}

/// A tuple of the stage's number and the list of its nodes.
fn stage(StageSpec { stage, nodes }: StageSpec) -> Value {
    Value::Tuple(vec![Value::Int(stage.into()), list(nodes, node)])
}

/// Converts a node to a `dict` with the fields of the Python class `NodeSpec`.
fn node(spec: NodeSpec) -> Value {
    let NodeSpec { node_id, class, params, is_streaming, keeps_failed } = spec;
    let (module, name, instance) = match class {
        NodeClass::Import { module, name } => (module, name, Value::None),
        NodeClass::Instance(index) => (String::new(), String::new(), Value::Int(index.into())),
    };
    dict([
        ("node_id", Value::Str(node_id)),
        ("module", Value::Str(module)),
        ("name", Value::Str(name)),
        ("instance", instance),
        ("params", params),
        ("is_streaming", Value::Bool(is_streaming)),
        ("keeps_failed", Value::Bool(keeps_failed)),
    ])
}

fn dict<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Dict(fields.map(|(name, value)| (Value::from(name), value)).into())
}

fn list<T>(items: Vec<T>, value: impl Fn(T) -> Value) -> Value {
    Value::List(items.into_iter().map(value).collect())
}

/// A writable uint8 array over the payload's own memory.
fn buffer(payload: Payload) -> Value {
    let dtype = Dtype { descr: "|u1".to_owned(), item_bytes: 1 };
    let shape = vec![payload.len() as u64];
    Value::Array(Array { dtype, shape, order: Order::C, scalar: false, data: payload })
}

fn bytes(text: ByteBuf) -> Value {
    Value::Bytes(text.into_vec().into())
}

fn unsigned(number: u64) -> Value {
    i64::try_from(number).map_or_else(|_| Value::BigInt(number.into()), Value::Int)
}
