//! Models of both sides of a connection, in which loom tries every order of steps: segments that
//! are announced while others are dropped, and leases that are returned while their holder drops
//! them.

use std::sync::Arc;

use loom::thread;

use super::{Announcement, Exchange};
use crate::limits::Limits;
use crate::memory::SegmentKind;
use crate::patience::Report;
use crate::share::{MemoryTerms, Share};
use crate::to_worker::{Item, Step};
use crate::{ToWorker, Value};

const PAGE: usize = 4096;
/// Too large for the ring, so it gets a segment of its own.
const LARGE: usize = 3 * PAGE;

fn exchange(is_orchestrator: bool) -> Arc<Exchange> {
    let terms = MemoryTerms {
        kind: SegmentKind::Heap,
        inline_max_bytes: 0,
        ring_bytes: 2 * PAGE as u64,
        ring_block_max_bytes: PAGE as u64,
        max_bytes: 1 << 20,
        idle_max_bytes: 0,
        pinned_max_bytes: 1 << 20,
    };
    Arc::new(Exchange::new(terms, is_orchestrator))
}

/// Places a large payload; returns the announcements to send and the message.
fn place(exchange: &Exchange) -> (Vec<Announcement>, ToWorker) {
    let step = Step { stage: 0, call: 0, window: 1, took: Report::ABSENT };
    let mut message = ToWorker::Item(Item { step, value: Value::Bytes(vec![7; LARGE].into()) });
    let mut placement = exchange.place(&mut message, None, &Limits::default()).unwrap();
    assert!(placement.failure.is_none());
    (std::mem::take(&mut placement.announcements), message)
}

fn tell(to: &Exchange, news: Vec<Announcement>) {
    for Announcement { share, .. } in news {
        to.handle(share, None).unwrap();
    }
}

fn detached(news: &[Announcement]) -> usize {
    news.iter().filter(|news| matches!(news.share, Share::Detach(_))).count()
}

/// The messages that a link would send now.
fn news_of(exchange: &Exchange) -> Vec<Announcement> {
    if exchange.has_news() { exchange.pending_news() } else { Vec::new() }
}

/// A segment is dropped while another is announced: the peer gets one message for each, and no
/// message about a segment that it does not know.
#[test]
fn segments_are_announced_and_detached_once() {
    loom::model(|| {
        let (near, far) = (exchange(true), exchange(false));
        let (announcements, mut message) = place(&near);
        tell(&far, announcements);
        far.resolve(&mut message, &Limits::default()).unwrap();
        drop(message);
        let news = news_of(&far);
        let receiver = {
            let near = Arc::clone(&near);
            thread::spawn(move || tell(&near, news))
        };
        // Meanwhile, another message is placed, and the pending messages are collected for it.
        let (announcements, mut message) = place(&near);
        let mut news = news_of(&near);
        tell(&far, announcements);
        far.resolve(&mut message, &Limits::default()).unwrap();
        receiver.join().unwrap();
        news.extend(news_of(&near));
        assert_eq!(detached(&news), 1, "only the first is gone");
        tell(&far, news);
        assert_eq!(near.loans().len(), 1);
        drop(message);
        tell(&near, news_of(&far));
        let news = news_of(&near);
        assert_eq!(detached(&news), 1);
        tell(&far, news);
        assert_eq!((far.mapped_bytes(), near.stats().segments), (0, 0));
    });
}

/// A holder drops its bytes while its side of the connection returns leases.
#[test]
fn the_end_of_a_lease_frees_its_block() {
    loom::model(|| {
        let (near, far) = (exchange(true), exchange(false));
        let (announcements, mut message) = place(&near);
        tell(&far, announcements);
        far.resolve(&mut message, &Limits::default()).unwrap();
        let holder = thread::spawn(move || drop(message));
        tell(&near, far.pending_news());
        let is_free = near.stats().used_bytes == 0;
        holder.join().unwrap();
        assert_eq!(far.has_news(), !is_free, "it is announced once");
        tell(&near, far.pending_news());
        assert_eq!((near.stats().used_bytes, near.loans().len()), (0, 0));
    });
}
