//! Counts the memory in numpy's arrays, node by node: each node of a session has an account.
//!
//! Nodes are called one after the other, so arrays count for the node that was called last. Nodes whose
//! code goes on while others are called have handlers of their own (`handler`): numpy's current handler
//! is a context variable, which tasks have for themselves, and threads that take over a context. Each
//! array is freed for the account that it was made for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, OnceLock, PoisonError};

use ipc_protocol::recorder::{ARRAY_NODES, Arrays};
use pyo3::prelude::*;
use worker_shim::SharedMeter;

use super::fork::has_forked;

/// Number of accounts. Arrays that outlive their session keep an account; what finds none free is not
/// counted.
const ACCOUNTS: usize = 1024;

static TABLE: [Account; ACCOUNTS] = [const { Account::new() }; ACCOUNTS];
/// Whose code was called last: see [`Id`].
static CURRENT: AtomicUsize = AtomicUsize::new(NO_ACCOUNT);
/// Whom each block of shared memory with an array was made for, by its address. Locked only under the
/// interpreter's lock, so that it is never locked in a forked child.
static OWNERS: LazyLock<Mutex<HashMap<usize, Id>>> = LazyLock::new(Mutex::default);
/// The flight recorder's place for each node; empty without a recorder.
static RECORD: OnceLock<&'static [[AtomicU64; 2]; ARRAY_NODES]> = OnceLock::new();
static METER: OnceLock<SharedMeter> = OnceLock::new();

/// Number of an account, from 1 on.
pub(crate) type Id = usize;
/// The number of no account.
const NO_ACCOUNT: Id = 0;

/// Records the memory of nodes in this table, and reports large shared arrays that go to this meter.
pub(crate) fn begin_accounts(
    meter: &SharedMeter,
    record: Option<&'static [[AtomicU64; 2]; ARRAY_NODES]>,
) {
    let _first_stays = METER.set(meter.clone());
    if let Some(record) = record {
        let _first_stays = RECORD.set(record);
    }
}

/// The meter of this worker's nodes; `None` in a process that is no worker.
pub(super) fn meter() -> Option<&'static SharedMeter> {
    METER.get().filter(|_| !has_forked())
}

/// The memory in the arrays of one node.
#[derive(Debug)]
pub(crate) struct Account {
    gauges: [Gauge; 2],
    /// Number of the node in the session, plus one; 0 while no node has the account.
    node: AtomicUsize,
    /// Whether arrays made now may become outputs, so that large ones belong in shared memory.
    makes_outputs: AtomicBool,
    /// Its own handler, once it was needed.
    pub(super) capsule: OnceLock<Py<PyAny>>,
}

/// Where the memory of an array is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ArrayPlace {
    Private = 0,
    Shared = 1,
}

/// Bytes that are in use, the most since the session began, and how much of that was reported.
#[derive(Debug)]
struct Gauge {
    now: AtomicUsize,
    most: AtomicUsize,
    reported: AtomicUsize,
}

/// The account with this number.
pub(crate) fn account(id: Id) -> Option<&'static Account> {
    TABLE.get(id.checked_sub(1)?)
}

/// The number of the account for which arrays count that are made outside the context of any node.
pub(super) fn current() -> Id {
    CURRENT.load(Ordering::Relaxed)
}

/// From now on code of the node with this account runs.
pub(crate) fn set_current(id: Id) {
    CURRENT.store(id, Ordering::Relaxed);
}

/// Counts a new block of shared memory.
pub(super) fn own_block(id: Id, address: usize, bytes: usize) {
    if let Some(account) = account(id) {
        OWNERS.lock().unwrap_or_else(PoisonError::into_inner).insert(address, id);
        account.add(ArrayPlace::Shared, bytes);
    }
}

/// The array in a block of shared memory was freed.
pub(super) fn disown_block(address: usize, bytes: usize) {
    let owner = OWNERS.lock().unwrap_or_else(PoisonError::into_inner).remove(&address);
    if let Some(account) = owner.and_then(account) {
        account.subtract(ArrayPlace::Shared, bytes);
    }
}

impl Account {
    const fn new() -> Self {
        Self {
            gauges: [const { Gauge::new() }; 2],
            node: AtomicUsize::new(0),
            makes_outputs: AtomicBool::new(false),
            capsule: OnceLock::new(),
        }
    }

    /// An account for a node of the session; its number, or that of no account.
    pub(crate) fn open(node: usize) -> Id {
        let Some(free) = TABLE.iter().position(Self::is_free) else { return NO_ACCOUNT };
        let account = &TABLE[free];
        account.node.store(node + 1, Ordering::Relaxed);
        for gauge in &account.gauges {
            gauge.most.store(0, Ordering::Relaxed);
            gauge.reported.store(0, Ordering::Relaxed);
        }
        free + 1
    }

    /// Ends the use by a node. Arrays that it left are still counted, and keep the account from being
    /// used again.
    pub(crate) fn close(&self) {
        if let Some(record) = self.record() {
            record.iter().for_each(|place| place.store(0, Ordering::Relaxed));
        }
        self.node.store(0, Ordering::Relaxed);
        self.set_makes_outputs(false);
    }

    /// Whether arrays made from now on may become outputs.
    pub(crate) fn set_makes_outputs(&self, makes_outputs: bool) {
        self.makes_outputs.store(makes_outputs, Ordering::Relaxed);
    }

    pub(super) fn makes_outputs(&self) -> bool {
        self.makes_outputs.load(Ordering::Relaxed)
    }

    fn is_free(&self) -> bool {
        let has_arrays = |gauge: &Gauge| gauge.now.load(Ordering::Relaxed) > 0;
        self.node.load(Ordering::Relaxed) == 0 && !self.gauges.iter().any(has_arrays)
    }

    /// The most memory in the session, if it is more than when this was asked last; else 0.
    pub(crate) fn take(&self) -> Arrays {
        let [private_bytes, shared_bytes] =
            [ArrayPlace::Private, ArrayPlace::Shared].map(|place| {
                let gauge = &self.gauges[place as usize];
                let most = gauge.most.load(Ordering::Relaxed);
                let is_news = gauge.reported.load(Ordering::Relaxed) < most;
                gauge.reported.store(most, Ordering::Relaxed);
                if is_news { most as u64 } else { 0 }
            });
        Arrays { private_bytes, shared_bytes }
    }

    pub(super) fn add(&self, place: ArrayPlace, bytes: usize) {
        let now = self.change(place, |now| now.wrapping_add(bytes));
        let most = &self.gauges[place as usize].most;
        if now > most.load(Ordering::Relaxed) {
            most.store(now, Ordering::Relaxed);
        }
    }

    pub(super) fn subtract(&self, place: ArrayPlace, bytes: usize) {
        self.change(place, |now| now.wrapping_sub(bytes));
    }

    /// Numpy holds the interpreter's lock, so a load and a store do, which cost less than an atomic
    /// addition.
    fn change(&self, place: ArrayPlace, change: impl FnOnce(usize) -> usize) -> usize {
        let now = &self.gauges[place as usize].now;
        let changed = change(now.load(Ordering::Relaxed));
        now.store(changed, Ordering::Relaxed);
        if let Some(record) = self.record() {
            record[place as usize].store(changed as u64, Ordering::Relaxed);
        }
        changed
    }

    /// The place in the flight recorder, which a forked child shares with this process.
    fn record(&self) -> Option<&'static [AtomicU64; 2]> {
        let node = self.node.load(Ordering::Relaxed).checked_sub(1)?;
        RECORD.get().filter(|_| !has_forked())?.get(node)
    }
}

impl Gauge {
    const fn new() -> Self {
        Self { now: AtomicUsize::new(0), most: AtomicUsize::new(0), reported: AtomicUsize::new(0) }
    }
}
