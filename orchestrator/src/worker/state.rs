//! The life of a worker as a table: which event leads from which state to which.

/// State of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LifeState {
    /// Spawned, and its handshake is not complete.
    Starting,
    /// Idle in its pool.
    Ready,
    /// Owned by a session.
    Busy,
    /// Asked to end; it takes no more work.
    Draining,
    /// Its process is gone.
    Dead,
}

/// An event in the life of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LifeEvent {
    /// The handshake is complete.
    HandshakeDone,
    /// A session took it.
    Granted,
    /// A session returned it, and it can be reused.
    Returned,
    /// It must end: it was idle too long, must not be reused, or the pool closes.
    Retired,
    /// The process ended.
    Exited,
}

/// All transitions: the state before, the event, and the state after.
pub const TRANSITIONS: &[(LifeState, LifeEvent, LifeState)] = &[
    (LifeState::Starting, LifeEvent::HandshakeDone, LifeState::Ready),
    (LifeState::Starting, LifeEvent::Retired, LifeState::Draining),
    (LifeState::Starting, LifeEvent::Exited, LifeState::Dead),
    (LifeState::Ready, LifeEvent::Granted, LifeState::Busy),
    (LifeState::Ready, LifeEvent::Retired, LifeState::Draining),
    (LifeState::Ready, LifeEvent::Exited, LifeState::Dead),
    (LifeState::Busy, LifeEvent::Returned, LifeState::Ready),
    (LifeState::Busy, LifeEvent::Retired, LifeState::Draining),
    (LifeState::Busy, LifeEvent::Exited, LifeState::Dead),
    (LifeState::Draining, LifeEvent::Exited, LifeState::Dead),
];

impl LifeState {
    /// The state after an event; `None` when the table has no such transition.
    #[must_use]
    pub fn after(self, event: LifeEvent) -> Option<Self> {
        TRANSITIONS.iter().find(|(from, on, _)| *from == self && *on == event).map(|(_, _, to)| *to)
    }
}
