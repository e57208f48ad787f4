//! Frames on streams that take and give bytes as they like.

use std::io::{self, IoSlice, Read, Write};
use std::os::unix::net::UnixStream;

use bytes::Bytes;
use ipc_protocol::array::Array;
use ipc_protocol::codec;
use ipc_protocol::frame::{FrameReader, FrameWriter, ReadOutcome};
use ipc_protocol::{FrameError, Limits, ToWorker, Value};

use super::samples;
use super::support::{encode, item};

/// Gives `steps` in turn: so many bytes, or an error; then the rest, then the end.
struct Drip<'a> {
    data: &'a [u8],
    steps: Vec<Result<usize, io::ErrorKind>>,
    calls: usize,
}

impl Read for Drip<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.calls += 1;
        let most = if self.steps.is_empty() { usize::MAX } else { self.steps.remove(0)? };
        let mut piece = &self.data[..most.min(self.data.len())];
        let count = piece.read(buffer)?;
        self.data = &self.data[count..];
        Ok(count)
    }
}

/// Takes `room` bytes between two refusals.
struct Narrow {
    taken: Vec<u8>,
    room: usize,
    left: usize,
    calls: usize,
}

impl Write for Narrow {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(data)])
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.calls += 1;
        if self.calls.is_multiple_of(3) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if self.left == 0 {
            self.left = self.room;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let all = pieces.iter().map(|piece| piece.as_ref()).collect::<Vec<&[u8]>>().concat();
        let count = all.len().min(self.left);
        self.left -= count;
        self.taken.extend(&all[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn array_item(elements: usize) -> ToWorker {
    let numbers: Vec<f32> = (0..elements).map(|n| n as f32).collect();
    item(Value::Array(Array::from_f32(numbers, [elements as u64]).unwrap()))
}

fn read_all(reader: &mut FrameReader, stream: &mut impl Read) -> Vec<Bytes> {
    let mut frames = Vec::new();
    loop {
        match reader.read_from(stream).unwrap() {
            ReadOutcome::Frame(frame) => frames.push(frame),
            ReadOutcome::WouldBlock => {}
            ReadOutcome::Closed => return frames,
        }
    }
}

#[test]
fn a_small_frame_costs_one_read_and_one_write() {
    let frame = codec::encode(array_item(960)).unwrap();
    let mut wide = Narrow { taken: vec![], room: 1 << 20, left: 1 << 20, calls: 0 };
    frame.write_to(&mut wide).unwrap();
    assert_eq!(wide.calls, 1);
    assert_eq!(wide.taken.len(), frame.len());

    let mut stream = Drip { data: &wide.taken, steps: vec![], calls: 0 };
    let outcome = FrameReader::new(Limits::default()).read_from(&mut stream).unwrap();
    assert_eq!(outcome, ReadOutcome::Frame(frame.to_bytes()));
    assert_eq!(stream.calls, 1);
}

#[test]
fn frames_read_ahead_are_given_without_reading() {
    let frames: Vec<Bytes> = samples::to_worker().into_iter().map(|(_, m)| encode(m)).collect();
    let data = frames.concat();
    assert!(data.len() < 64 << 10, "all fit the read-ahead");
    let mut stream = Drip { data: &data, steps: vec![], calls: 0 };
    let mut reader = FrameReader::new(Limits::default());
    assert_eq!(reader.next_buffered().unwrap(), None);
    let first = reader.read_from(&mut stream).unwrap();
    assert_eq!(first, ReadOutcome::Frame(frames[0].clone()));
    for frame in &frames[1..] {
        assert_eq!(reader.next_buffered().unwrap().as_ref(), Some(frame));
    }
    assert_eq!(stream.calls, 1);
    assert_eq!(reader.read_from(&mut stream).unwrap(), ReadOutcome::Closed);
}

/// Small frames, one just beyond the read-ahead and one beyond the first allocation, in pieces.
#[test]
fn pieces_of_any_size_make_the_same_frames() {
    let sizes = [0, 1, 960, 16_300, 16_384, 40_000, 1_500_000, 3];
    let frames = sizes.map(|size| codec::encode(array_item(size)).unwrap().to_bytes());
    let data = frames.concat();
    for piece in [1_000_003, 65_536, 65_535, 4096, 777] {
        let block = [Ok(piece), Err(io::ErrorKind::WouldBlock), Err(io::ErrorKind::Interrupted)];
        let steps = block.into_iter().cycle().take(3 * data.len() / piece + 3).collect();
        let mut reader = FrameReader::new(Limits::default());
        let read = read_all(&mut reader, &mut Drip { data: &data, steps, calls: 0 });
        assert!(read == frames, "pieces of {piece} bytes");
        assert!(read.iter().all(|frame| frame.as_ptr().addr() % 64 == 0), "frames are aligned");
    }
}

#[test]
fn arrays_of_a_read_frame_are_borrowed_from_it() {
    for elements in [960, 100_000] {
        let frame = codec::encode(array_item(elements)).unwrap().to_bytes();
        let mut reader = FrameReader::new(Limits::default());
        let mut stream = Drip { data: &frame, steps: vec![], calls: 0 };
        let Ok(ReadOutcome::Frame(frame)) = reader.read_from(&mut stream) else {
            panic!("no frame")
        };
        let message = codec::decode(frame.clone(), &Limits::default()).unwrap();
        let ToWorker::Item(item) = message else { panic!("no item") };
        let Value::Array(array) = &item.value else { panic!("no array") };
        let memory = array.data.as_slice().as_ptr_range();
        assert!(frame.as_ptr_range().contains(&memory.start), "no copy");
        assert_eq!(memory.start.addr() % 64, 0, "aligned for any element");
    }
}

#[test]
fn an_end_inside_a_frame_is_an_error() {
    for elements in [40, 100_000] {
        let frame = codec::encode(array_item(elements)).unwrap().to_bytes();
        for cut in [1, 4, 23, 24, 100, frame.len() - 1] {
            let mut reader = FrameReader::new(Limits::default());
            let mut stream = Drip { data: &frame[..cut], steps: vec![], calls: 0 };
            let error = reader.read_from(&mut stream).unwrap_err();
            let length = (cut >= 24).then_some(frame.len() as u64);
            assert!(
                matches!(error, FrameError::Truncated { received, expected } if received == cut && expected == length),
                "{cut}: {error:?}"
            );
        }
    }
}

#[test]
fn bad_magic_is_rejected_on_the_first_bytes() {
    let mut reader = FrameReader::new(Limits::default());
    let error =
        reader.read_from(&mut b"Traceback (most recent call last):".as_slice()).unwrap_err();
    assert!(matches!(&error, FrameError::BadMagic { found } if found == b"Trac"), "{error:?}");
    let error = FrameReader::new(Limits::default()).read_from(&mut b"x".as_slice()).unwrap_err();
    assert!(matches!(&error, FrameError::BadMagic { found } if found == b"x"), "{error:?}");

    let limits = Limits { max_frame_bytes: 100, ..Limits::default() };
    let mut frame = codec::encode(array_item(960)).unwrap().to_bytes();
    let error = FrameReader::new(limits).read_from(&mut frame.split_to(24).as_ref()).unwrap_err();
    assert!(matches!(error, FrameError::TooLarge { limit: 100, .. }), "{error:?}");

    let failing = Err(io::ErrorKind::ConnectionReset);
    let mut stream = Drip { data: b"", steps: vec![failing], calls: 0 };
    let error = FrameReader::new(limits).read_from(&mut stream).unwrap_err();
    assert!(matches!(&error, FrameError::Io(e) if e.kind() == io::ErrorKind::ConnectionReset));
}

#[test]
fn a_writer_keeps_what_the_stream_did_not_take() {
    let frames = [3, 960, 20_000, 0].map(|size| codec::encode(array_item(size)).unwrap());
    let expected = frames.each_ref().map(|frame| frame.to_bytes()).concat();
    for room in [1, 13, 4096, 1 << 20] {
        let mut stream = Narrow { taken: vec![], room, left: room, calls: 0 };
        let mut writer = FrameWriter::new();
        let mut blocked = 0;
        for frame in frames.clone() {
            writer.push(frame);
            blocked += usize::from(!writer.write_to(&mut stream).unwrap());
        }
        assert_eq!(writer.queued_bytes() + stream.taken.len(), expected.len());
        while !writer.write_to(&mut stream).unwrap() {}
        assert!(writer.is_empty());
        assert!(stream.taken == expected, "room for {room} bytes");
        assert!(room > 4096 || blocked > 0);
    }
}

#[test]
fn a_stream_that_takes_nothing_is_an_error() {
    let frame = codec::encode(array_item(20_000)).unwrap();
    let full: &mut [u8] = &mut [0; 100];
    let error = frame.write_to(&mut { full }).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WriteZero);
}

/// Both ends in one thread: the writer never waits, the reader never waits, all arrives.
#[test]
fn a_large_frame_passes_a_non_blocking_socket() {
    let (mut near, mut far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    far.set_nonblocking(true).unwrap();
    let frame = codec::encode(array_item(3_000_000)).unwrap();
    let expected = frame.to_bytes();
    let mut writer = FrameWriter::new();
    writer.push(frame);
    let mut reader = FrameReader::new(Limits::default());
    let mut blocked = 0;
    let received = loop {
        blocked += usize::from(!writer.write_to(&mut near).unwrap());
        match reader.read_from(&mut far).unwrap() {
            ReadOutcome::Frame(frame) => break frame,
            ReadOutcome::WouldBlock => {}
            ReadOutcome::Closed => panic!("closed"),
        }
    };
    assert!(received == expected);
    assert!(blocked > 0, "the socket buffer is smaller than the frame");
    drop(near);
    assert_eq!(reader.read_from(&mut far).unwrap(), ReadOutcome::Closed);
}
