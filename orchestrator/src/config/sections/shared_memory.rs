//! `[shared_memory]`.

use ipc_protocol::memory::SegmentKind;
use ipc_protocol::share::MemoryTerms;

use crate::config::declare::settings;
use crate::config::kinds::{Choice, size};

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

impl SegmentChoice {
    const SETTING: Choice<Self> = Choice {
        words: &["memfd", "named", "off"],
        parse: Self::parse,
        word: |choice| choice.word(),
    };

    #[cfg(target_os = "linux")]
    const DEFAULT: Self = Self::Memfd;
    #[cfg(not(target_os = "linux"))]
    const DEFAULT: Self = Self::Named;

    fn word(self) -> &'static str {
        match self {
            Self::Memfd => "memfd",
            Self::Named => "named",
            Self::Off => "off",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Memfd, Self::Named, Self::Off].into_iter().find(|choice| choice.word() == word)
    }
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;

settings! {
    /// Memory that arrays travel in between the orchestrator and its workers; sizes in bytes.
    pub struct SharedMemoryConfig {
        /// How shared memory is made: "memfd" (Linux: no names, nothing to clean up, workers pass arrays on
        /// to each other without a copy), "named" (portable; arrays are copied between workers) or "off"
        /// (arrays travel inside messages).
        segment: SegmentChoice = SegmentChoice::DEFAULT, SegmentChoice::SETTING, Workers;
        /// Arrays up to this size travel inside messages, where a copy costs less than the bookkeeping of
        /// shared memory.
        inline_max: u64 = 8 * KIB, size(KIB..=TIB), Workers;
        /// Length of the ring for arrays that flow, one for each direction of a worker. Memory is taken as
        /// the ring fills.
        ring: u64 = 4 * MIB, size(64 * KIB..=TIB), Workers;
        /// Arrays above this size have a segment of their own, which is used again while it is warm.
        ring_block_max: u64 = 256 * KIB, size(4 * KIB..=TIB), Workers;
        /// Most shared memory for each direction of a worker. What does not fit travels inside messages.
        max: u64 = 1024 * MIB, size(64 * KIB..=TIB), Workers;
        /// Most of it that may lie idle while it waits for its next use.
        idle_max: u64 = 128 * MIB, size(0..=TIB), Workers;
        /// Bytes of inputs that one node may keep. Above this it is given copies in its own memory, and a
        /// warning names it.
        pinned_max: u64 = 256 * MIB, size(0..=TIB), Workers;
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
            inline_max_bytes: self.inline_max,
            ring_bytes: self.ring,
            ring_block_max_bytes: self.ring_block_max,
            max_bytes: self.max,
            idle_max_bytes: self.idle_max,
            pinned_max_bytes: self.pinned_max,
        })
    }
}
