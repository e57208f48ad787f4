//! The kinds of workers that are in use, by number. A kind without workers and requests is
//! forgotten, so that a server that changes a start variable with each request does not fill its
//! memory.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::pool::KeyId;
use super::{Start, Wanted, WorkerKey};

/// A kind of workers.
#[derive(Debug, Clone)]
pub(super) struct Kind {
    /// The properties that its workers have in common.
    pub(super) key: Arc<WorkerKey>,
    /// Environment and working directory for the next worker of this kind.
    pub(super) start: Arc<Start>,
}

/// All kinds in use.
#[derive(Debug, Default)]
pub(super) struct Kinds {
    numbers: HashMap<Arc<WorkerKey>, usize>,
    kinds: HashMap<usize, Kind>,
    /// How many of the kinds have [`WorkerKey::apart`] set.
    apart: usize,
    next_number: usize,
}

impl Kinds {
    /// The number of the kind for a request; a new kind is added. If there is a kind only for
    /// sessions with the request's search path, it is that one.
    pub(super) fn intern(&mut self, wanted: &Wanted) -> KeyId {
        let number = self.apart(wanted).or_else(|| self.numbers.get(&wanted.key).copied());
        let number = number.unwrap_or_else(|| self.insert(wanted));
        if let Some(kind) = self.kinds.get_mut(&number) {
            kind.start = Arc::clone(&wanted.start);
        }
        KeyId { pool: wanted.key.pool, number }
    }

    fn apart(&self, wanted: &Wanted) -> Option<usize> {
        if self.apart == 0 || wanted.key.apart.is_some() {
            return None;
        }
        let apart = WorkerKey { apart: Some(wanted.place), ..wanted.key.clone() };
        self.numbers.get(&apart).copied()
    }

    fn insert(&mut self, wanted: &Wanted) -> usize {
        let number = self.next_number;
        self.next_number += 1;
        let key = Arc::new(wanted.key.clone());
        self.apart += usize::from(key.apart.is_some());
        self.numbers.insert(Arc::clone(&key), number);
        self.kinds.insert(number, Kind { key, start: Arc::clone(&wanted.start) });
        number
    }

    /// The kind with a number, as long as it is in use.
    pub(super) fn get(&self, id: KeyId) -> Option<&Kind> {
        self.kinds.get(&id.number)
    }

    /// Forgets all kinds except these.
    pub(super) fn keep(&mut self, used: &BTreeSet<usize>) {
        self.kinds.retain(|number, _| used.contains(number));
        self.numbers.retain(|_, number| used.contains(number));
        self.apart = self.numbers.keys().filter(|key| key.apart.is_some()).count();
    }

    /// Number of kinds.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.kinds.len()
    }
}
