//! The requests of sessions that wait for workers: first come first served, except that sessions which
//! already hold workers go first, since others may be waiting for those workers.

use std::collections::VecDeque;
use std::time::Instant;

use super::{KeyId, Need, Ticket};
use crate::placement::PoolId;

/// A request that waits.
#[derive(Debug)]
pub(super) struct Want {
    pub(super) ticket: Ticket,
    pub(super) needs: Vec<Need>,
    pub(super) turn: Turn,
    pub(super) since: Instant,
}

/// When a request is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// At once or never: it does not wait for workers of other sessions.
    Now,
    /// In the order in which requests come.
    InOrder,
    /// In that order too; the session is open, so that draining does not concern it.
    Again,
    /// Before those: the session holds other workers, which are idle until it goes on.
    First,
}

impl Turn {
    /// Whether the session has had no workers before.
    pub(super) fn is_new(self) -> bool {
        matches!(self, Self::Now | Self::InOrder)
    }
}

impl Want {
    fn asks_for(&self, key: KeyId) -> bool {
        self.needs.iter().any(|need| need.key == key)
    }
}

/// The waiting requests, in the order in which they are served.
#[derive(Debug, Default)]
pub(super) struct Requests(VecDeque<Want>);

impl Requests {
    /// Queues a request. Those of sessions that hold workers come before all others.
    pub(super) fn add(&mut self, want: Want) {
        let is_first = |want: &Want| want.turn == Turn::First;
        let ahead = self.0.iter().filter(|other| !is_first(&want) || is_first(other)).count();
        self.0.insert(ahead, want);
    }

    pub(super) fn get(&self, at: usize) -> Option<&Want> {
        self.0.get(at)
    }

    pub(super) fn remove(&mut self, at: usize) {
        self.0.remove(at);
    }

    pub(super) fn withdraw(&mut self, ticket: Ticket) {
        self.0.retain(|want| want.ticket != ticket);
    }

    /// Removes all requests, or those for a kind. Returns their tickets.
    pub(super) fn take(&mut self, key: Option<KeyId>) -> Vec<Ticket> {
        let mut taken = Vec::new();
        self.0.retain(|want| {
            let is_taken = key.is_none_or(|key| want.asks_for(key));
            taken.extend(is_taken.then_some(want.ticket));
            !is_taken
        });
        taken
    }

    pub(super) fn ask_for(&self, key: KeyId) -> bool {
        self.0.iter().any(|want| want.asks_for(key))
    }

    /// The kinds that are asked for.
    pub(super) fn kinds(&self) -> impl Iterator<Item = KeyId> {
        self.0.iter().flat_map(|want| want.needs.iter().map(|need| need.key))
    }

    /// When the requests for workers of a pool were made, in their order.
    pub(super) fn since(&self, pool: PoolId) -> impl Iterator<Item = Instant> {
        let asks = move |want: &&Want| want.needs.iter().any(|need| need.key.pool == pool);
        self.0.iter().filter(asks).map(|want| want.since)
    }
}

/// What the requests before one wait for, while all are looked at in their order.
#[derive(Debug)]
pub(super) struct Ahead {
    /// For each pool, whether a request waits for workers of it.
    awaited: Vec<bool>,
    /// Workers that come for requests which do not wait for other sessions.
    reserved: Vec<Need>,
}

impl Ahead {
    pub(super) fn nothing(pools: usize) -> Self {
        Self { awaited: vec![false; pools], reserved: Vec::new() }
    }

    /// Whether a request has to wait for those before it: only for those that need the same pools.
    pub(super) fn holds_up(&self, needs: &[Need], turn: Turn) -> bool {
        needs.iter().any(|need| {
            let pool = need.key.pool;
            let is_reserved = self.reserved.iter().any(|other| other.key.pool == pool);
            self.awaited[pool] || turn != Turn::Now && is_reserved
        })
    }

    /// A need together with the workers of its kind that come for others.
    pub(super) fn with_reserved(&self, need: Need) -> Need {
        let others = self.reserved.iter().filter(|other| other.key == need.key);
        Need { count: need.count + others.map(|other| other.count).sum::<usize>(), ..need }
    }

    /// Adds a request that goes on waiting.
    pub(super) fn add(&mut self, needs: Vec<Need>, turn: Turn) {
        match turn {
            Turn::Now => self.reserved.extend(needs),
            _ => needs.iter().for_each(|need| self.awaited[need.key.pool] = true),
        }
    }

    /// The pools of which no request waits for a worker.
    pub(super) fn free_pools(mut self) -> impl Iterator<Item = PoolId> {
        self.reserved.iter().for_each(|need| self.awaited[need.key.pool] = true);
        let pools = self.awaited.into_iter().enumerate();
        pools.filter(|(_, is_awaited)| !is_awaited).map(|(pool, _)| pool)
    }
}
