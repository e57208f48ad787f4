//! The life of a worker as a table: which event leads from which state to which.

/// Where a worker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LifeState {
    /// Spawned, not yet ready.
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

/// What happens to a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LifeEvent {
    /// The handshake is complete.
    HandshakeDone,
    /// A session took it.
    Granted,
    /// A session gave it back in good order.
    Returned,
    /// It has to end: idle too long, used up, or the runtime closes.
    Retired,
    /// The process ended.
    Exited,
}

/// Every arrow of the picture.
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
    /// The state after an event; `None` when the table has no such arrow.
    #[must_use]
    pub fn after(self, event: LifeEvent) -> Option<Self> {
        TRANSITIONS.iter().find(|(from, on, _)| *from == self && *on == event).map(|(_, _, to)| *to)
    }
}
