//! Kinds of segments to test, two exchanges back to back, and hands to touch shared bytes with.

use bytes::Bytes;
use ipc_protocol::codec;
use ipc_protocol::error::LeaseError;
use ipc_protocol::exchange::{Announcement, Exchange, Placement};
use ipc_protocol::from_worker::Traffic;
use ipc_protocol::memory::{SegmentKind, SharedBytes};
use ipc_protocol::patience::Report;
use ipc_protocol::share::{MemoryTerms, Share};
use ipc_protocol::to_worker::{Item, Step};
use ipc_protocol::{CodecError, Limits, Payload, PayloadMemory, ToWorker, Value};
use std::sync::Arc;

pub(crate) const PAGE: usize = 4096;
pub(crate) const RING: usize = 16 * PAGE;
pub(crate) const RING_BLOCK_MAX: usize = 4 * PAGE;
/// Payloads up to this size travel inside frames in these tests.
pub(crate) const INLINE: usize = 64;

/// The kinds of segments that there are here.
pub(crate) fn kinds() -> &'static [SegmentKind] {
    if cfg!(miri) {
        &[SegmentKind::Heap]
    } else if cfg!(target_os = "linux") {
        &[SegmentKind::Memfd, SegmentKind::Named, SegmentKind::Heap]
    } else {
        &[SegmentKind::Named, SegmentKind::Heap]
    }
}

pub(crate) fn terms(kind: SegmentKind) -> MemoryTerms {
    MemoryTerms {
        kind,
        inline_max_bytes: INLINE as u64,
        ring_bytes: RING as u64,
        ring_block_max_bytes: RING_BLOCK_MAX as u64,
        max_bytes: 1 << 20,
        idle_max_bytes: 512 << 10,
        pinned_max_bytes: 1 << 20,
    }
}

/// `length` bytes that differ with the seed.
pub(crate) fn pattern(seed: u8, length: usize) -> Vec<u8> {
    (0..length).map(|index| seed.wrapping_add((index % 251) as u8)).collect()
}

/// Writes to bytes that their holder may write, as numpy would.
pub(crate) fn poke(bytes: &SharedBytes, index: usize, byte: u8) {
    assert!(index < bytes.len(), "{index} is not in {bytes:?}");
    let target = std::ptr::with_exposed_provenance_mut::<u8>(bytes.address() + index);
    // SAFETY: the byte lies in memory that `bytes` keeps mapped, and no slice of it is alive.
    unsafe { target.write_volatile(byte) };
}

/// The bytes at an address, copied one by one.
pub(crate) fn peek(address: usize, length: usize) -> Vec<u8> {
    let start = std::ptr::with_exposed_provenance::<u8>(address);
    // SAFETY: the callers give addresses within segments that they hold.
    (0..length).map(|index| unsafe { start.add(index).read_volatile() }).collect()
}

/// Writes bytes to an address.
pub(crate) fn put(address: usize, bytes: &[u8]) {
    let start = std::ptr::with_exposed_provenance_mut::<u8>(address);
    for (index, byte) in bytes.iter().enumerate() {
        // SAFETY: the callers give addresses within segments that they hold and may write.
        unsafe { start.add(index).write_volatile(*byte) };
    }
}

pub(crate) fn item(value: Value) -> ToWorker {
    ToWorker::Item(Item {
        step: Step { stage: 0, call: 0, window: 1, took: Report::ABSENT },
        value,
    })
}

pub(crate) fn value_of(message: ToWorker) -> Value {
    match message {
        ToWorker::Item(item) => item.value,
        other => panic!("decoded {other:?}"),
    }
}

pub(crate) fn private(bytes: Vec<u8>) -> Value {
    Value::Bytes(bytes.into())
}

pub(crate) fn lent(bytes: SharedBytes) -> Value {
    Value::Bytes(Payload::from(bytes))
}

/// The shared bytes of a value, or `None` when it came inside the frame or was copied.
pub(crate) fn shared_of(value: Value) -> Option<SharedBytes> {
    match value {
        Value::Bytes(payload) => match payload.into_memory() {
            PayloadMemory::Shared(shared) => Some(shared),
            PayloadMemory::Private(_) | PayloadMemory::Owned(_) => None,
        },
        other => panic!("not bytes: {other:?}"),
    }
}

pub(crate) fn bytes_of(value: &Value) -> Vec<u8> {
    match value {
        Value::Bytes(payload) => payload.as_slice().to_vec(),
        other => panic!("not bytes: {other:?}"),
    }
}

pub(crate) fn items_of(value: Value) -> Vec<Value> {
    match value {
        Value::List(items) => items,
        other => panic!("not a list: {other:?}"),
    }
}

/// A message that was placed and encoded, with what has to go before it.
pub(crate) struct Sent {
    pub(crate) placement: Placement,
    pub(crate) frame: Bytes,
}

/// The first half of a hop.
pub(crate) fn place(from: &Exchange, value: Value, holder: Option<&str>) -> Sent {
    let mut message = item(value);
    let holder: Option<Arc<str>> = holder.map(Arc::from);
    let placement = from.place(&mut message, holder.as_ref(), &Limits::default()).unwrap();
    Sent { placement, frame: codec::encode(message).unwrap().to_bytes() }
}

/// The second half.
pub(crate) fn deliver(
    sent: &mut Sent,
    from: &Exchange,
    to: &Exchange,
) -> Result<(Value, Traffic), CodecError> {
    tell(sent.placement.announcements.drain(..), from, to)?;
    let decoded = to.decode(sent.frame.clone(), &Limits::default())?;
    Ok((value_of(decoded.0), decoded.1))
}

/// Carries announcements over, and the answers back.
pub(crate) fn tell(
    announcements: impl IntoIterator<Item = Announcement>,
    from: &Exchange,
    to: &Exchange,
) -> Result<(), LeaseError> {
    for Announcement { share, descriptor } in announcements {
        if let Some(answer) = to.handle(share, descriptor)? {
            from.handle(answer, None)?;
        }
    }
    Ok(())
}

/// One hop of a value, with what each side counts.
pub(crate) fn hop(from: &Exchange, to: &Exchange, value: Value) -> (Value, Traffic, Traffic) {
    hop_for(from, to, value, None)
}

pub(crate) fn hop_for(
    from: &Exchange,
    to: &Exchange,
    value: Value,
    holder: Option<&str>,
) -> (Value, Traffic, Traffic) {
    let mut sent = place(from, value, holder);
    let (value, incoming) = deliver(&mut sent, from, to).unwrap();
    assert!(sent.placement.failure.is_none(), "{:?}", sent.placement.failure);
    (value, sent.placement.traffic, incoming)
}

/// Carries the news that wait from one side to the other, if links would send any.
pub(crate) fn settle(from: &Exchange, to: &Exchange) {
    if from.has_news() {
        tell(from.pending_news(), from, to).unwrap();
    }
}

/// The leases in what waits to be told.
pub(crate) fn released(news: &[Announcement]) -> usize {
    let count = |news: &Announcement| match &news.share {
        Share::Release(leases) => leases.len(),
        _ => 0,
    };
    news.iter().map(count).sum()
}

/// Two sides of a connection.
pub(crate) struct Pair {
    /// The orchestrator's side.
    pub(crate) near: Exchange,
    /// The worker's.
    pub(crate) far: Exchange,
}

impl Pair {
    pub(crate) fn new(kind: SegmentKind) -> Self {
        Self::on(terms(kind))
    }

    pub(crate) fn on(terms: MemoryTerms) -> Self {
        Self { near: Exchange::new(terms, true), far: Exchange::new(terms, false) }
    }

    pub(crate) fn settle(&self) {
        settle(&self.near, &self.far);
        settle(&self.far, &self.near);
    }

    /// Nobody holds anything any more.
    pub(crate) fn assert_quiet(&self) {
        self.settle();
        for side in [&self.near, &self.far] {
            assert_eq!(side.stats().used_bytes, 0, "{side:?}");
            assert_eq!(side.loans(), []);
        }
    }
}

/// A block of an exchange's arena with these bytes in it, as a node's result is.
pub(crate) fn result_in(exchange: &Exchange, bytes: &[u8]) -> SharedBytes {
    let mut claim = exchange.arena().allocate(bytes.len()).unwrap();
    assert!(claim.write(bytes));
    let offset = claim.offset();
    SharedBytes::claimed(claim, offset, bytes.len()).unwrap()
}
