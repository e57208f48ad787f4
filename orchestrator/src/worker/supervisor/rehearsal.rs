//! The first session of a parked worker, with a node of no consequence. A forked process shares its
//! memory with the zygote: what it reads and writes for the first time costs a fault of a page, and the
//! first session of a worker takes many. A parked one has the time for them before it is needed.

use std::os::unix::ffi::OsStrExt;

use ipc_protocol::array::Array;
use ipc_protocol::patience::Report;
use ipc_protocol::to_worker::{
    Item, NodeClass, NodeSpec, OpenSession, StageSpec, Step, Surroundings,
};
use ipc_protocol::{ByteBuf, FromWorker, ToWorker, Value};

use super::watch::Failure;
use crate::worker::Start;
use crate::worker::link::{Link, LinkError, Received};
use crate::worker::process::await_readable;

/// Samples of the one input, as many as 20 ms of audio have at 48 kHz.
const SAMPLES: usize = 960;

/// Opens a session, calls its node once, and closes it.
///
/// # Errors
/// When the worker ends, or its connection fails. A session that fails is over, as any other.
pub(super) async fn rehearse(link: Link, start: &Start) -> Result<Link, Failure> {
    let mut link = await_readable(link).map_err(|error| error.to_string())?;
    link.get_mut().send(ToWorker::Open(Box::new(session(start))), None).map_err(text)?;
    loop {
        let mut ready = link.readable_mut().await.map_err(|error| error.to_string())?;
        let link = ready.get_inner_mut();
        match link.receive().map_err(text)? {
            Received::Message(FromWorker::Opened(_)) => {
                if let Some(item) = item() {
                    link.send(ToWorker::Item(item), None).map_err(text)?;
                }
            }
            Received::Message(FromWorker::Output(_)) => {}
            Received::Message(FromWorker::Done(_)) => {
                link.send(ToWorker::Close, None).map_err(text)?;
            }
            Received::Message(FromWorker::Closed(_) | FromWorker::Failed(_)) => break,
            Received::Message(_) => {}
            Received::Nothing => ready.clear_ready(),
            Received::Closed => return Err(Failure::Ended),
        }
    }
    Ok(link.into_inner())
}

fn text(error: LinkError) -> String {
    error.to_string()
}

/// A session of one function of the standard library, which gives its input back.
fn session(start: &Start) -> OpenSession {
    let class = NodeClass::Import { module: "operator".to_owned(), name: "pos".to_owned() };
    let node = NodeSpec {
        node_id: "rehearsal".to_owned(),
        class,
        params: Value::Dict(Vec::new()),
        is_streaming: false,
        keeps_failed: false,
    };
    OpenSession {
        stages: vec![StageSpec { stage: 0, nodes: vec![node] }],
        instances: None,
        sys_path: Vec::new(),
        working_directory: None,
        write_back_max_bytes: 0,
        allow_pickle: false,
        surroundings: Some(Box::new(surroundings(start))),
        buffers: Vec::new(),
        saved: Vec::new(),
        capture: None,
    }
}

fn surroundings(start: &Start) -> Surroundings {
    let mut environment = Vec::new();
    for (name, value) in &start.environment {
        environment.extend([name.as_bytes(), b"=", value.as_bytes(), b"\0"].concat());
    }
    let directory = start.working_directory.as_ref();
    Surroundings {
        environment: environment.into(),
        sys_path: Vec::new(),
        is_path_complete: false,
        argv: vec![ByteBuf::new()],
        working_directory: directory
            .map(|directory| directory.as_os_str().as_bytes().to_vec().into()),
        umask: None,
    }
}

fn item() -> Option<Item> {
    let samples = Array::from_f32(vec![0.0_f32; SAMPLES], [SAMPLES as u64]).ok()?;
    let step = Step { stage: 0, call: 1, window: 1, took: Report::ABSENT };
    Some(Item { step, value: Value::Array(samples) })
}
