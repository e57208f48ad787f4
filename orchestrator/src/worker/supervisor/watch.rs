//! The life of one worker process as the supervisor sees it: spawn, handshake, output, end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ipc_protocol::ToWorker;
use ipc_protocol::memory::remove_stale_names;
use ipc_protocol::patience::{End, Patience};
use ipc_protocol::version::{self, Hello, SHARED_MEMORY_SINCE};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::net::unix::pipe::Receiver;
use tokio::task::JoinSet;

use super::rehearsal::rehearse;
use super::{Command, Death, Shared, zygotes};
use crate::error::StartError;
use crate::placement::Engine;
use crate::worker::exit::Exit;
use crate::worker::kinds::Kind;
use crate::worker::link::{Link, Received};
use crate::worker::pool::{KeyId, PoolEvent, ZygoteNews};
use crate::worker::probe::{Lack, probe};
use crate::worker::process::{Left, Process, RawLine, Spawned, await_readable, spawn};
use crate::worker::served::Served;
use crate::worker::state::LifeState;
use crate::worker::zygote::Zygote;
use crate::worker::{Interpreter, Start, Worker, WorkerId, WorkerKey};

/// Released leases wait this long for a message that can return them to the worker; then they are
/// returned in one of their own.
const GIVE_BACK_GRACE: Duration = Duration::from_millis(10);
/// Longest wait, after a worker's exit, for the output that is still in its pipes and for what its
/// nodes have left running, which gets SIGTERM.
const DRAIN_GRACE: Duration = Duration::from_millis(200);
/// The same for a resource tracker, which may have only just started.
const TRACKER_GRACE: Duration = Duration::from_secs(2);
/// Released leases on fewer bytes than this wait for the next message, however late it is: to wake
/// the supervisor for each frame would cost more than the memory is worth.
const UNHURRIED_BYTES: usize = 256 << 10;
/// Time limit for the program that finds out what an interpreter lacks.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// A line of output that is longer is passed on in pieces of about this many bytes.
const MAX_LINE_BYTES: usize = 64 << 10;

/// Why a worker was not ready.
pub(super) enum Failure {
    /// It did not complete its handshake in this time.
    TooSlow(Duration),
    /// It closed its connection before its first message.
    Ended,
    /// It cannot be used, for this reason.
    Refused(String),
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self::Refused(reason)
    }
}

/// Runs one worker from its spawn to its end.
pub(super) async fn watch(shared: Arc<Shared>, id: WorkerId, key_id: KeyId) {
    // Always known: a kind is in use as long as the pool has a worker of it.
    let kind = shared.lock().kinds.get(key_id).cloned();
    let Some(kind) = kind else { return };
    if !serve_forked(&shared, id, &kind, key_id).await && is_wanted(&shared, id) {
        let error = match spawn(id, &kind.key, &kind.start, shared.mark(id)) {
            Ok(spawned) => accompany(&shared, spawned, None, &kind, key_id).await,
            Err(error) => Some(error),
        };
        if let Some(error) = error {
            shared.lock().start_errors.insert(key_id, error);
        }
    }
    let mut state = shared.lock();
    state.idle.remove(&id);
    state.processes.remove(&id);
    state.outputs.remove(&id);
    state.ending.remove(&id);
    state.stopping.remove(&id);
    shared.apply(&mut state, PoolEvent::Exited(id));
}

/// Runs a worker of the zygote of its kind from its start to its end. False where there is none, and
/// where it failed before its handshake: that may be because it was forked.
async fn serve_forked(shared: &Arc<Shared>, id: WorkerId, kind: &Kind, key_id: KeyId) -> bool {
    let Some((spawned, zygote)) = zygotes::fork(shared, id, key_id).await else {
        return false;
    };
    let error = accompany(shared, spawned, Some(&zygote), kind, key_id).await;
    match error {
        Some(error) if is_wanted(shared, id) => {
            zygotes::note_unready(shared, key_id, &zygote, &error.to_string());
            false
        }
        _ => true,
    }
}

/// Runs one process from its start to its end. Returns why it did not complete its handshake.
async fn accompany(
    shared: &Arc<Shared>,
    spawned: Spawned,
    zygote: Option<&Arc<Zygote>>,
    kind: &Kind,
    key_id: KeyId,
) -> Option<StartError> {
    let key: &WorkerKey = &kind.key;
    let Spawned { process, link, pidfd, stdout, stderr } = spawned;
    register(shared, &process);
    let mut pipes = JoinSet::new();
    pipes.spawn(drain(Receiver::from_owned_fd(stdout), Arc::clone(&process), false));
    pipes.spawn(drain(Receiver::from_owned_fd(stderr), Arc::clone(&process), true));
    let pidfd = match await_readable(pidfd) {
        Ok(pidfd) => pidfd,
        Err(source) => {
            process.kill();
            reap(&process, zygote).await;
            return Some(StartError::system("watching it", &source));
        }
    };
    let options = shared.options();
    let link = Link::new(link, options.limits).map_err(|error| error.to_string());
    let timeout = options.pools[key_id.pool].start_timeout;
    let outcome = match link {
        Ok(link) => {
            let greeting = async {
                let mut greeted = handshake(link, shared, key).await?;
                if zygote.is_some() && is_parked(shared, process.id) {
                    greeted.link = rehearse(greeted.link, &kind.start).await?;
                }
                Ok(greeted)
            };
            tokio::time::timeout(timeout, greeting).await
        }
        Err(reason) => Ok(Err(Failure::Refused(reason))),
    };
    let failure = match outcome {
        Ok(Ok(greeted)) => {
            let id = process.id;
            let worker = started(shared, &process, kind, greeted);
            look_after_leases(shared, &worker);
            let mut state = shared.lock();
            state.outputs.insert(id, Arc::clone(worker.link.output()));
            state.start_errors.remove(&key_id);
            state.idle.insert(id, worker);
            if zygote.is_some() {
                let news = ZygoteNews::Forked;
                shared.apply(&mut state, PoolEvent::Zygote { key: key_id, news });
            }
            shared.apply(&mut state, PoolEvent::Started(id));
            shared.command(Command::Reaper(key_id));
            None
        }
        Ok(Err(failure)) => Some(failure),
        Err(_elapsed) => Some(Failure::TooSlow(timeout)),
    };
    if failure.is_some() {
        process.kill();
    }
    let _ended = pidfd.readable().await;
    // Programs that nodes have left running may hold the pipes open.
    let left = process.terminate_left();
    drain_all(&mut pipes, DRAIN_GRACE).await;
    if left == Left::Tracker {
        process.kill_left();
        drain_all(&mut pipes, TRACKER_GRACE).await;
    }
    reap(&process, zygote).await;
    if shared.options().uses_names() {
        let _removed = remove_stale_names(Some(process.pid));
    }
    note_death(shared, &process, key_id);
    Some(start_error(key, &kind.start, &process, failure?).await)
}

/// Notes how a worker died that was not asked to end.
fn note_death(shared: &Shared, process: &Process, key: KeyId) {
    if let Some(exit) = process.exit().filter(|_| !process.is_retired()) {
        let death = Death { pid: process.pid, exit, at: Instant::now() };
        shared.lock().deaths.insert(key.pool, death);
    }
}

/// A worker whose handshake is complete.
fn started(shared: &Shared, process: &Arc<Process>, kind: &Kind, greeted: Greeted) -> Worker {
    let Greeted { link, interpreter, protocol } = greeted;
    Worker {
        id: process.id,
        process: Arc::clone(process),
        interpreter,
        protocol,
        link,
        patience: Patience::new(End::Caller, shared.options().spin),
        start: Arc::clone(&kind.start),
        is_apart: kind.key.apart.is_some(),
        served: Served::default(),
    }
}

/// Waits for the ends of all pipes.
async fn drain_all(pipes: &mut JoinSet<()>, grace: Duration) {
    let all = async { while pipes.join_next().await.is_some() {} };
    let _in_time = tokio::time::timeout(grace, all).await;
}

/// Kills what an ended process has left running, and has its parent reap it.
async fn reap(process: &Process, zygote: Option<&Arc<Zygote>>) {
    match zygote {
        None => process.reap(),
        Some(zygote) => {
            process.end_left();
            // The flight recorder names the signal of a crash sooner than the zygote, which may have
            // to wait for a processor. Only the zygote knows of a core dump, which takes longer.
            let crash = process.blackbox.exit();
            if crash.as_ref().is_some_and(|crash| crash.has_core().is_some()) {
                process.note_exit(crash);
                zygote.reap(process.pid).await;
            } else {
                let reaped = zygote.reap(process.pid).await;
                process.note_peak(reaped.as_ref().map_or(0, |reaped| reaped.peak_memory_bytes));
                process.note_exit(reaped.map(|reaped| reaped.exit));
            }
        }
    }
}

/// Makes sure that released leases on many bytes are returned to the worker soon, even if no
/// message follows.
fn look_after_leases(shared: &Arc<Shared>, worker: &Worker) {
    let Some(exchange) = worker.link.output().exchange() else { return };
    let (shared, id) = (Arc::downgrade(shared), worker.id);
    let output = Arc::downgrade(worker.link.output());
    exchange.releases().set_waker(UNHURRIED_BYTES, move || {
        let is_wanted = output.upgrade().is_some_and(|output| output.wants_giving_back());
        if is_wanted && let Some(shared) = shared.upgrade() {
            shared.command(Command::GiveBack(id));
        }
    });
}

/// Returns released leases that no message has returned within `GIVE_BACK_GRACE`.
pub(super) async fn give_back(shared: Arc<Shared>, worker: WorkerId) {
    tokio::time::sleep(GIVE_BACK_GRACE).await;
    let output = shared.lock().outputs.get(&worker).cloned();
    if let Some(output) = output {
        output.give_back();
    }
}

/// Registers the process. Kills it if it was retired while it was being spawned.
fn register(shared: &Shared, process: &Arc<Process>) {
    shared.lock().processes.insert(process.id, Arc::clone(process));
    if !is_parked(shared, process.id) && !is_wanted(shared, process.id) {
        process.kill();
    }
}

fn is_parked(shared: &Shared, id: WorkerId) -> bool {
    shared.lock().core.is_parked(id)
}

/// Whether the pool still waits for a worker to start.
fn is_wanted(shared: &Shared, id: WorkerId) -> bool {
    let state = shared.lock();
    state.core.picture().any(|worker| worker.id == id && worker.state == LifeState::Starting)
}

/// A worker that has completed its handshake.
struct Greeted {
    link: Link,
    interpreter: Interpreter,
    protocol: u32,
}

async fn handshake(link: Link, shared: &Shared, key: &WorkerKey) -> Result<Greeted, Failure> {
    let mut link = await_readable(link).map_err(|error| error.to_string())?;
    let hello = loop {
        let mut ready = link.readable_mut().await.map_err(|e| e.to_string())?;
        match ready.get_inner_mut().receive_hello() {
            Ok(Received::Message(hello)) => break hello,
            Ok(Received::Nothing) => ready.clear_ready(),
            Ok(Received::Closed) => return Err(Failure::Ended),
            Err(error) => return Err(Failure::Refused(error.to_string())),
        }
    };
    check_identity(&hello, key)?;
    let mut welcome = version::negotiate(&hello).map_err(|error| error.to_string())?;
    welcome.limits = shared.options().limits;
    let mut link = link.into_inner();
    let protocol = welcome.protocol;
    let speaks_2 = protocol >= SHARED_MEMORY_SINCE;
    link.send(ToWorker::Welcome(welcome), None).map_err(|error| error.to_string())?;
    let spin = u32::try_from(shared.options().spin.as_micros()).unwrap_or(u32::MAX);
    if speaks_2 && spin > 0 {
        link.send(ToWorker::Spin(spin), None).map_err(|error| error.to_string())?;
    }
    if let Some(terms) = shared.options().memory.filter(|_| speaks_2) {
        link.share_memory(terms).map_err(|error| error.to_string())?;
    }
    let Hello { interpreter: implementation, interpreter_version: version, .. } = hello;
    Ok(Greeted { link, interpreter: Interpreter { implementation, version }, protocol })
}

/// Checks that the worker has the interpreter of its pool and the same version of this package.
fn check_identity(hello: &Hello, key: &WorkerKey) -> Result<(), String> {
    let wanted = key.runtime.name();
    if hello.interpreter != wanted {
        return Err(format!(
            "it runs {} {}, and {wanted} was wanted: check {} in the configuration",
            hello.interpreter, hello.interpreter_version, key.setting
        ));
    }
    let own = env!("CARGO_PKG_VERSION");
    if hello.package_version != own && hello.protocol == version::PROTOCOL_VERSION {
        return Err(format!(
            "its remotemedia is {}, and that of the caller is {own}: install the same version on \
             both sides",
            hello.package_version
        ));
    }
    Ok(())
}

async fn start_error(
    key: &WorkerKey,
    start: &Start,
    process: &Process,
    failure: Failure,
) -> StartError {
    let interpreter = key.interpreter.clone();
    let stderr = process.stderr_tail();
    let reason = match failure {
        Failure::TooSlow(timeout) => return StartError::TooSlow { interpreter, timeout, stderr },
        Failure::Refused(reason) => reason,
        Failure::Ended => {
            let exit = process.exit();
            let lack = match (key.runtime, &exit) {
                // Python exits with 2 after an unknown option, with 1 after a missing module.
                (Engine::CPython, Some(Exit::Code(1 | 2))) => {
                    probe(key, start, PROBE_TIMEOUT).await
                }
                _ => None,
            };
            match lack {
                Some(Lack::Package) => return StartError::NoPackage { interpreter, stderr },
                Some(Lack::Version) => "it is older than Python 3.11".to_owned(),
                None => ending(exit.as_ref()),
            }
        }
    };
    StartError::Handshake { interpreter, reason, stderr }
}

/// How a process ended before its handshake was complete. SIGKILL is not named: the supervisor
/// itself kills a worker that has closed its connection.
fn ending(exit: Option<&Exit>) -> String {
    let how = match exit {
        Some(Exit::Code(code)) => format!(" with exit code {code}"),
        Some(exit @ Exit::Signal { .. }) => match exit.signal_name() {
            Some(signal) if signal != "SIGKILL" => format!(" by {signal}"),
            _ => String::new(),
        },
        Some(Exit::Unknown) | None => String::new(),
    };
    format!("it ended{how} before completing the handshake")
}

async fn drain(pipe: std::io::Result<Receiver>, process: Arc<Process>, is_stderr: bool) {
    let Ok(pipe) = pipe else { return };
    let mut lines = BufReader::new(pipe);
    let mut line = Vec::new();
    while let Ok(true) = read_line(&mut lines, &mut line).await {
        let text = String::from_utf8_lossy(&line).into_owned();
        process.push_raw(RawLine { is_stderr, text });
        line.clear();
    }
}

/// Reads up to the next newline, or one piece of a very long line. False at the end of the pipe.
async fn read_line<R>(lines: &mut BufReader<R>, line: &mut Vec<u8>) -> std::io::Result<bool>
where
    R: AsyncRead + Unpin,
{
    loop {
        let available = lines.fill_buf().await?;
        if available.is_empty() {
            return Ok(!line.is_empty());
        }
        let newline = available.iter().position(|byte| *byte == b'\n');
        let taken = newline.map_or(available.len(), |position| position + 1);
        line.extend_from_slice(&available[..newline.unwrap_or(taken)]);
        lines.consume(taken);
        if newline.is_some() || line.len() >= MAX_LINE_BYTES {
            return Ok(true);
        }
    }
}
