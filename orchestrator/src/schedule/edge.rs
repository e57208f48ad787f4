//! One edge of the graph: the queue of items in front of a stage.

use std::collections::VecDeque;

/// What travels on an edge.
#[derive(Debug, PartialEq)]
pub(super) enum Entry<T> {
    /// One item of the current round.
    Item(T),
    /// Asks a source to produce for the current round.
    Start,
    /// The current round is complete on this edge.
    Mark {
        /// Whether the round is a flush.
        flush: bool,
    },
}

/// Entries in order, and the number of items among them.
#[derive(Debug)]
pub(super) struct Edge<T> {
    entries: VecDeque<Entry<T>>,
    items: usize,
}

impl<T> Edge<T> {
    pub(super) fn new() -> Self {
        Self { entries: VecDeque::new(), items: 0 }
    }

    pub(super) fn push(&mut self, entry: Entry<T>) {
        self.items += usize::from(!matches!(entry, Entry::Mark { .. }));
        self.entries.push_back(entry);
    }

    pub(super) fn pop(&mut self) -> Option<Entry<T>> {
        let entry = self.entries.pop_front()?;
        self.items -= usize::from(!matches!(entry, Entry::Mark { .. }));
        Some(entry)
    }

    pub(super) fn peek(&self) -> Option<&Entry<T>> {
        self.entries.front()
    }

    /// Number of waiting items, without marks.
    pub(super) fn items(&self) -> usize {
        self.items
    }

    /// If the next entry is the mark of the round: `Some`, with whether the round is a flush.
    pub(super) fn at_mark(&self) -> Option<bool> {
        match self.peek() {
            Some(Entry::Mark { flush }) => Some(*flush),
            _ => None,
        }
    }

    /// Drops the items of the current round that have arrived.
    pub(super) fn discard_round(&mut self) {
        while matches!(self.peek(), Some(Entry::Item(_) | Entry::Start)) {
            self.pop();
        }
    }
}
