//! The zygotes of the kinds in use: started when the core says so, asked for workers by the watch of each,
//! and let go. A zygote that is let go ends when the last of its workers has been reaped.

use std::collections::{BTreeSet, HashMap};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use ipc_protocol::kin::Kin;
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::task::JoinSet;

use super::{Pool, Shared};
use crate::placement::Engine;
use crate::worker::WorkerId;
use crate::worker::kinds::Kind;
use crate::worker::pool::{KeyId, PoolEvent, ZygoteNews};
use crate::worker::process::{Spawned, await_readable, spawn_zygote};
use crate::worker::zygote::{NotForked, NotReady, Zygote};

/// How long the imports of a zygote may take.
const IMPORT_TIMEOUT: Duration = Duration::from_secs(120);
/// Modules of one kind that are remembered for its zygotes.
const MAX_LEARNED: usize = 4_096;
/// Modules that zygotes of one kind may have to leave out before they import no learned ones.
const MAX_LEFT_OUT: usize = 8;
/// Notes that wait for a session to take them.
const MAX_NOTES: usize = 64;

/// The zygotes by the numbers of their kinds, and what is to be said about them.
#[derive(Debug, Default)]
pub(super) struct Zygotes {
    kinds: HashMap<usize, Slot>,
    /// How many have been started.
    started: u64,
    notes: Vec<String>,
}

/// The zygotes of one kind.
#[derive(Debug, Default)]
struct Slot {
    /// The one that forks.
    current: Option<Arc<Zygote>>,
    /// The pidfd of the one that imports.
    coming: Option<Arc<OwnedFd>>,
    /// What sessions have loaded from installed packages, in the order in which they did.
    learned: Vec<String>,
    /// Modules that no zygote can import.
    left_out: Vec<String>,
}

impl Slot {
    /// What the next zygote imports.
    fn modules(&self, preload: &[String]) -> Vec<String> {
        let is_left_out = |name: &str| {
            let mut rests =
                self.left_out.iter().filter_map(|left| name.strip_prefix(left.as_str()));
            rests.any(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let numpy = std::iter::once("numpy");
        let configured = preload.iter().map(String::as_str);
        let learns = self.left_out.len() < MAX_LEFT_OUT;
        let learned = self.learned.iter().map(String::as_str).filter(|_| learns);
        let all = numpy.chain(configured).chain(learned);
        all.filter(|name| !is_left_out(name)).map(str::to_owned).collect()
    }

    fn is_current(&self, zygote: &Arc<Zygote>) -> bool {
        self.current.as_ref().is_some_and(|current| Arc::ptr_eq(current, zygote))
    }
}

impl Zygotes {
    fn current(&self, key: KeyId) -> Option<Arc<Zygote>> {
        self.kinds.get(&key.number)?.current.clone()
    }

    /// Lets the zygotes of a kind go.
    pub(super) fn end(&mut self, key: KeyId) {
        let Some(slot) = self.kinds.get_mut(&key.number) else { return };
        slot.current = None;
        if let Some(coming) = slot.coming.take() {
            let _already_gone = pidfd_send_signal(&*coming, Signal::KILL);
        }
    }

    /// Forgets every kind but these.
    pub(super) fn keep(&mut self, used: &BTreeSet<usize>) {
        self.kinds.retain(|number, _| used.contains(number));
    }

    /// Remembers modules. Whether there are new ones.
    fn learn(&mut self, key: KeyId, modules: Vec<String>) -> bool {
        let slot = self.kinds.entry(key.number).or_default();
        let known = slot.learned.len();
        for module in modules {
            if slot.learned.len() < MAX_LEARNED && !slot.learned.contains(&module) {
                slot.learned.push(module);
            }
        }
        slot.learned.len() > known && slot.left_out.len() < MAX_LEFT_OUT
    }

    /// Takes a zygote out of service. Whether it was in service.
    fn drop_current(&mut self, key: KeyId, zygote: &Arc<Zygote>) -> bool {
        let slot = self.kinds.get_mut(&key.number);
        let Some(slot) = slot.filter(|slot| slot.is_current(zygote)) else { return false };
        slot.current = None;
        true
    }

    /// A number for the mark of the next one. They count down, and those of workers up.
    fn next_number(&mut self) -> u64 {
        self.started += 1;
        u64::MAX - self.started
    }

    fn note(&mut self, note: String) {
        if self.notes.len() < MAX_NOTES {
            self.notes.push(note);
        }
    }
}

impl Pool {
    /// Notes which installed modules a session has loaded in its worker: zygotes import them from then
    /// on.
    pub fn learn(&self, worker: WorkerId, modules: Vec<String>) {
        let mut state = self.shared.lock();
        let Some(key) = state.core.kind_of(worker) else { return };
        if self.shared.options().pools[key.pool].limits.zygotes && state.zygotes.learn(key, modules)
        {
            self.shared.apply(&mut state, PoolEvent::Learned(key));
        }
    }

    /// What is to be logged about zygotes since the last time.
    #[must_use]
    pub fn take_notes(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.lock().zygotes.notes)
    }
}

/// Forks a worker, if the zygote of its kind is ready. The zygote comes with it: it has to reap it.
pub(super) async fn fork(
    shared: &Shared,
    id: WorkerId,
    key: KeyId,
) -> Option<(Spawned, Arc<Zygote>)> {
    let zygote = shared.lock().zygotes.current(key)?;
    match zygote.fork(id, shared.mark(id)).await {
        Ok(spawned) => Some((spawned, zygote)),
        Err(NotForked::Stale(file)) => {
            let note = format!("{file} has changed: the zygote that has loaded it is replaced");
            withdraw(shared, key, &zygote, ZygoteNews::Stale, note);
            None
        }
        Err(NotForked::Failed(reason)) => {
            let note = format!("a zygote is replaced, as it cannot fork: {reason}");
            withdraw(shared, key, &zygote, ZygoteNews::Died, note);
            None
        }
        // The zygote has ended; `live` notices.
        Err(NotForked::Unavailable) => None,
    }
}

/// A worker of this zygote did not complete its handshake.
pub(super) fn note_unready(shared: &Shared, key: KeyId, zygote: &Arc<Zygote>, reason: &str) {
    let note = format!("a worker was started without its zygote, as a forked one failed: {reason}");
    withdraw(shared, key, zygote, ZygoteNews::Died, note);
}

fn withdraw(shared: &Shared, key: KeyId, zygote: &Arc<Zygote>, news: ZygoteNews, note: String) {
    let mut state = shared.lock();
    if state.zygotes.drop_current(key, zygote) {
        state.zygotes.note(note);
        shared.apply(&mut state, PoolEvent::Zygote { key, news });
    }
}

/// Runs one zygote from its start to its end.
pub(super) async fn tend(shared: Arc<Shared>, key: KeyId) {
    let (kind, modules) = {
        let mut state = shared.lock();
        let Some(kind) = state.kinds.get(key).cloned() else { return };
        let slot = state.zygotes.kinds.entry(key.number).or_default();
        let modules = slot.modules(&shared.options().pools[key.pool].preload);
        (kind, modules)
    };
    if let Some(news) = live(&shared, key, &kind, &modules).await {
        let mut state = shared.lock();
        shared.apply(&mut state, PoolEvent::Zygote { key, news });
    }
}

/// `None` when the pool has let the zygote go.
async fn live(shared: &Shared, key: KeyId, kind: &Kind, modules: &[String]) -> Option<ZygoteNews> {
    // Workers that are apart have modules of a path that zygotes do not have.
    if kind.key.apart.is_some() || kind.key.runtime != Engine::CPython {
        return Some(ZygoteNews::Unfit);
    }
    let number = shared.lock().zygotes.next_number();
    let mark = shared.mark(number);
    let Ok(spawned) = spawn_zygote(&kind.key, &kind.start, mark) else {
        return Some(ZygoteNews::Failed);
    };
    let pidfd = spawned.pidfd;
    {
        let mut state = shared.lock();
        state.zygotes.kinds.entry(key.number).or_default().coming = Some(Arc::clone(&pidfd));
    }
    let mut outputs: JoinSet<()> = spawned.outputs.into_iter().map(discard).collect();
    let preparing = Zygote::prepare(spawned.connection, Arc::clone(&pidfd), modules);
    let prepared = tokio::time::timeout(IMPORT_TIMEOUT, preparing).await;
    let (zygote, failure) = match prepared {
        Ok(Ok(zygote)) => (Some(Arc::new(zygote)), None),
        Ok(Err(failure)) => (None, Some(failure)),
        Err(_elapsed) => (None, Some(NotReady::Failed)),
    };
    let is_wanted = install(shared, key, &pidfd, zygote.clone());
    if failure.is_some() {
        let _already_gone = pidfd_send_signal(&*pidfd, Signal::KILL);
    }
    let served = zygote.as_ref().map(Arc::downgrade);
    drop(zygote);
    await_end(pidfd).await;
    // What an import has started. Its workers have marks of their own.
    let _no_descriptor_is_left = Kin::of(mark).kill(|_| false);
    outputs.abort_all();
    if let Some(served) = served {
        let mut state = shared.lock();
        let zygote = served.upgrade()?;
        return state.zygotes.drop_current(key, &zygote).then_some(ZygoteNews::Died);
    }
    is_wanted.then(|| explain(shared, key, failure))
}

/// Puts a zygote in service that has imported everything. Whether it is still wanted.
fn install(shared: &Shared, key: KeyId, pidfd: &Arc<OwnedFd>, zygote: Option<Arc<Zygote>>) -> bool {
    let mut state = shared.lock();
    let slot = state.zygotes.kinds.get_mut(&key.number);
    let is_ours =
        |slot: &&mut Slot| slot.coming.as_ref().is_some_and(|one| Arc::ptr_eq(one, pidfd));
    let Some(slot) = slot.filter(is_ours) else { return false };
    slot.coming = None;
    if zygote.is_some() {
        slot.current = zygote;
        shared.apply(&mut state, PoolEvent::Zygote { key, news: ZygoteNews::Ready });
    }
    true
}

fn explain(shared: &Shared, key: KeyId, failure: Option<NotReady>) -> ZygoteNews {
    let mut state = shared.lock();
    match failure {
        Some(NotReady::LeavesOut { module, what }) => {
            state.zygotes.note(format!(
                "module {module} is imported after the fork of a worker, not before: its import \
                 leaves {what}"
            ));
            if let Some(slot) = state.zygotes.kinds.get_mut(&key.number) {
                slot.left_out.push(module);
            }
            ZygoteNews::LeavesOut
        }
        Some(NotReady::OtherBuild(version)) => {
            let note =
                format!("workers start without a zygote: it is of another build ({version})");
            state.zygotes.note(note);
            ZygoteNews::Unfit
        }
        Some(NotReady::Failed) | None => {
            state.zygotes.note("a zygote ended before it was ready".to_owned());
            ZygoteNews::Failed
        }
    }
}

/// Waits for the end of a zygote, and reaps it.
async fn await_end(pidfd: Arc<OwnedFd>) {
    if let Ok(pidfd) = await_readable(Arc::clone(&pidfd)) {
        let _ended = pidfd.readable().await;
    } else {
        let _already_gone = pidfd_send_signal(&*pidfd, Signal::KILL);
    }
    let _status = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
}

/// What modules print while they are imported.
async fn discard(pipe: OwnedFd) {
    let Ok(mut pipe) = Receiver::from_owned_fd(pipe) else { return };
    let mut buffer = [0; 1024];
    while matches!(pipe.read(&mut buffer).await, Ok(length) if length > 0) {}
}
