//! Settings of shared memory, and their keys.

use std::ops::RangeInclusive;

use ipc_protocol::memory::SegmentKind;
use ipc_protocol::share::MemoryTerms;

use super::Config;
use super::keys::{Key, Kind};

/// Memory that arrays travel in between the orchestrator and its workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedMemoryConfig {
    /// How segments are made.
    pub segment: SegmentChoice,
    /// Arrays up to this size travel inside messages, in bytes.
    pub inline_max_bytes: u64,
    /// Length of the ring buffer for arrays, one for each direction of a worker, in bytes.
    pub ring_bytes: u64,
    /// Arrays above this size have a segment of their own, in bytes.
    pub ring_block_max_bytes: u64,
    /// Most shared memory for each direction of a worker, in bytes.
    pub max_bytes: u64,
    /// Most unused shared memory that is kept for the next arrays, in bytes.
    pub idle_max_bytes: u64,
    /// Bytes of inputs in shared memory that one node may keep; above this it gets copies.
    pub pinned_max_bytes: u64,
}

/// How segments are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentChoice {
    /// Sealed memfds.
    Memfd,
    /// Named segments, for systems without memfds.
    Named,
    /// No shared memory: arrays travel inside messages.
    Off,
}

impl Default for SharedMemoryConfig {
    fn default() -> Self {
        Self {
            segment: if cfg!(target_os = "linux") {
                SegmentChoice::Memfd
            } else {
                SegmentChoice::Named
            },
            inline_max_bytes: 8 << 10,
            ring_bytes: 4 << 20,
            ring_block_max_bytes: 256 << 10,
            max_bytes: 1 << 30,
            idle_max_bytes: 128 << 20,
            pinned_max_bytes: 256 << 20,
        }
    }
}

impl SharedMemoryConfig {
    /// The settings in the form in which workers receive them; `None` when shared memory is off.
    #[must_use]
    pub fn terms(&self) -> Option<MemoryTerms> {
        let kind = match self.segment {
            SegmentChoice::Memfd => SegmentKind::Memfd,
            SegmentChoice::Named => SegmentKind::Named,
            SegmentChoice::Off => return None,
        };
        Some(MemoryTerms {
            kind,
            inline_max_bytes: self.inline_max_bytes,
            ring_bytes: self.ring_bytes,
            ring_block_max_bytes: self.ring_block_max_bytes,
            max_bytes: self.max_bytes,
            idle_max_bytes: self.idle_max_bytes,
            pinned_max_bytes: self.pinned_max_bytes,
        })
    }
}

impl SegmentChoice {
    /// The names that the configuration file uses.
    pub(super) const NAMES: &'static [&'static str] = &["memfd", "named", "off"];

    fn name(self) -> &'static str {
        match self {
            Self::Memfd => "memfd",
            Self::Named => "named",
            Self::Off => "off",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        match name {
            "memfd" => Some(Self::Memfd),
            "named" => Some(Self::Named),
            "off" => Some(Self::Off),
            _ => None,
        }
    }
}

const KIB: u64 = 1 << 10;
const TIB: u64 = 1 << 40;

fn size(
    name: &'static str,
    range: RangeInclusive<u64>,
    get: fn(&Config) -> u64,
    set: fn(&mut Config, u64),
    doc: &'static str,
) -> Key {
    Key { section: "shared_memory", name, kind: Kind::Size { range, zero: None, get, set }, doc }
}

pub(super) fn keys() -> [Key; 7] {
    [
        Key {
            section: "shared_memory",
            name: "segment",
            kind: Kind::Choice {
                names: SegmentChoice::NAMES,
                get: |c| c.shared_memory.segment.name(),
                set: |c, name| {
                    if let Some(choice) = SegmentChoice::from_name(name) {
                        c.shared_memory.segment = choice;
                    }
                },
            },
            doc: "How shared memory is made: \"memfd\" (Linux: no names, nothing to clean up, \
                  workers pass arrays on to each other without a copy), \"named\" (portable; \
                  arrays are copied between workers) or \"off\" (arrays travel inside messages).",
        },
        size(
            "inline_max",
            KIB..=TIB,
            |c| c.shared_memory.inline_max_bytes,
            |c, n| c.shared_memory.inline_max_bytes = n,
            "Arrays up to this size travel inside messages, where a copy costs less than the \
             bookkeeping of shared memory.",
        ),
        size(
            "ring",
            64 * KIB..=TIB,
            |c| c.shared_memory.ring_bytes,
            |c, n| c.shared_memory.ring_bytes = n,
            "Length of the ring for arrays that flow, one for each direction of a worker. Memory \
             is taken as the ring fills.",
        ),
        size(
            "ring_block_max",
            4 * KIB..=TIB,
            |c| c.shared_memory.ring_block_max_bytes,
            |c, n| c.shared_memory.ring_block_max_bytes = n,
            "Arrays above this size have a segment of their own, which is used again while it is \
             warm.",
        ),
        size(
            "max",
            64 * KIB..=TIB,
            |c| c.shared_memory.max_bytes,
            |c, n| c.shared_memory.max_bytes = n,
            "Most shared memory for each direction of a worker. What does not fit travels inside \
             messages.",
        ),
        size(
            "idle_max",
            0..=TIB,
            |c| c.shared_memory.idle_max_bytes,
            |c, n| c.shared_memory.idle_max_bytes = n,
            "Most of it that may lie idle while it waits for its next use.",
        ),
        size(
            "pinned_max",
            0..=TIB,
            |c| c.shared_memory.pinned_max_bytes,
            |c, n| c.shared_memory.pinned_max_bytes = n,
            "Bytes of inputs that one node may keep. Above this it is given copies in its own \
             memory, and a warning names it.",
        ),
    ]
}
