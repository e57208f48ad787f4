//! Tests of how much memory the reader holds for a frame, which its public interface does not show.

use std::io::{self, Read};

use super::*;

/// A stream that delivers a header, then zeros up to `sent` bytes, then would block.
struct Promise {
    header: [u8; 24],
    at: usize,
    sent: usize,
}

impl Read for Promise {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(self.sent - self.at);
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        for (index, byte) in buffer[..count].iter_mut().enumerate() {
            *byte = self.header.get(self.at + index).copied().unwrap_or(0);
        }
        self.at += count;
        Ok(count)
    }
}

#[test]
fn memory_grows_with_what_arrived_not_with_what_is_promised() {
    let total = 4usize << 30;
    let header = Header { total, body: 0, blobs: 1 }.to_bytes().unwrap();
    let mut stream = Promise { header, at: 0, sent: 0 };
    let mut reader = FrameReader::new(Limits::default());
    for sent in [24, 100_000, 3 << 20, 5 << 20, 9 << 20, 20 << 20] {
        stream.sent = sent;
        assert_eq!(reader.read_from(&mut stream).unwrap(), ReadOutcome::WouldBlock);
        let large = reader.large.as_ref().unwrap();
        assert_eq!(large.filled, sent);
        let bound = FIRST_ALLOCATION_BYTES.max(2 * sent) + BLOB_ALIGNMENT;
        assert!(large.buffer.capacity() <= bound, "{sent}: {}", large.buffer.capacity());
    }
}

#[test]
fn a_small_frame_owns_no_more_than_itself() {
    let frame = vec![7; 1000];
    let copy = aligned_copy(&frame);
    assert_eq!(copy, frame);
    assert_eq!(copy.as_ptr().addr() % BLOB_ALIGNMENT, 0);
}
