//! Tests of which frames are written at once, which wait for others, and for how long.

use std::io::{ErrorKind, Read};
use std::os::unix::net::UnixStream;

use ipc_protocol::codec;
use ipc_protocol::from_worker::Output;
use ipc_protocol::patience::Report;
use ipc_protocol::{FromWorker, Limits, Value};

use super::*;

const FOR_EVER: Duration = Duration::from_secs(3600);

fn pair(hold: Duration) -> (Batch, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    (Batch::holding(Stream::from(ours), hold), theirs)
}

fn output(value: Value) -> Vec<Frame> {
    let output = FromWorker::Output(Output { stage: 0, call: 1, value, worked: Report::ABSENT });
    vec![codec::encode_within(output, &Limits::default()).unwrap()]
}

/// Number of bytes that have arrived.
fn arrived(socket: &mut UnixStream) -> usize {
    let mut buffer = vec![0; 1 << 20];
    let mut total = 0;
    loop {
        match socket.read(&mut buffer) {
            Ok(count) => total += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return total,
            Err(error) => panic!("{error}"),
        }
    }
}

/// spec: IOP-31: small results of a streaming node leave in batches.
#[test]
fn the_first_output_goes_at_once_and_those_behind_it_together() {
    let (batch, mut socket) = pair(FOR_EVER);
    let length = output(Value::Int(7))[0].len();
    batch.write_soon(output(Value::Int(7))).unwrap();
    assert_eq!(arrived(&mut socket), length, "the first is not held back");
    for _ in 0..10 {
        batch.write_soon(output(Value::Int(7))).unwrap();
        assert_eq!(arrived(&mut socket), 0, "one write is saved");
    }
    batch.flush().unwrap();
    assert_eq!(arrived(&mut socket), 10 * length);
}

#[test]
fn any_other_message_takes_along_what_waits() {
    let (batch, mut socket) = pair(FOR_EVER);
    for _ in 0..4 {
        batch.write_soon(output(Value::Int(7))).unwrap();
    }
    let length = output(Value::Int(7))[0].len();
    assert_eq!(arrived(&mut socket), length);
    batch.write(output(Value::Int(7))).unwrap();
    assert_eq!(arrived(&mut socket), 4 * length);
}

#[test]
fn large_outputs_do_not_wait() {
    let (batch, mut socket) = pair(FOR_EVER);
    batch.write_soon(output(Value::None)).unwrap();
    let _first = arrived(&mut socket);
    batch.write_soon(output(Value::Str("x".repeat(BATCH_BYTES)))).unwrap();
    assert!(arrived(&mut socket) > BATCH_BYTES);
}

#[test]
fn what_nobody_flushes_goes_in_time() {
    let (batch, mut socket) = pair(Duration::from_millis(1));
    socket.set_nonblocking(false).unwrap();
    let mut expected = 0;
    for number in 0..100 {
        let frames = output(Value::Int(number));
        expected += frames[0].len();
        batch.write_soon(frames).unwrap();
    }
    let mut all = vec![0; expected];
    socket.read_exact(&mut all).unwrap();
}
