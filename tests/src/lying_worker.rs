//! A worker that speaks the protocol and lies about shared memory or its work, in the way that the environment
//! variable `LIE` names; without it, an honest one that returns every input. Started by the tests
//! in place of a Python interpreter, with its link as standard input.

#![expect(clippy::unwrap_used, reason = "a program of the tests ends where it cannot go on")]

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use ipc_protocol::array::{LeaseTerms, Placed};
use ipc_protocol::codec;
use ipc_protocol::exchange::Exchange;
use ipc_protocol::frame::{DescriptorQueue, FrameReader, FrameWriter, ReadProgress, Socket};
use ipc_protocol::from_worker::{Closed, Done, NodeReady, NodeUsage, Output};
use ipc_protocol::memory::{Segment, SegmentKind, Ticket};
use ipc_protocol::patience::Report;
use ipc_protocol::share::{Attach, Share};
use ipc_protocol::to_worker::{Item, OpenSession};
use ipc_protocol::version::Hello;
use ipc_protocol::{Array, Dtype, FromWorker, Limits, Order, ToWorker, Value};

const SEGMENT_BYTES: usize = 1 << 20;

struct Worker {
    socket: UnixStream,
    frames: FrameReader,
    descriptors: DescriptorQueue,
    exchange: Option<Exchange>,
    lie: String,
}

fn main() {
    let mut worker = Worker {
        socket: worker_shim::process::take_link().unwrap(),
        frames: FrameReader::new(Limits::default()),
        descriptors: VecDeque::new(),
        exchange: None,
        lie: std::env::var("LIE").unwrap_or_default(),
    };
    let mut hello = Hello::new("cpython", "3.11.0", "1.0.0");
    if worker.lie == "speaks 4" {
        hello.protocol = 4;
    }
    worker.write(codec::encode(hello).unwrap());
    while let Some(message) = worker.next() {
        match message {
            ToWorker::SharedMemory(terms) => worker.exchange = Some(Exchange::new(terms, false)),
            ToWorker::Share(share) => worker.handle(share),
            ToWorker::Open(session) => worker.open(&session),
            ToWorker::Item(item) => worker.answer(item),
            ToWorker::Flush(step) => worker.done(step.stage, step.call),
            ToWorker::Close => worker.send(FromWorker::Closed(Closed::default())),
            ToWorker::End(_) if worker.lie != "deaf" => return worker.send(FromWorker::Ending),
            _ => {}
        }
    }
}

impl Worker {
    fn next(&mut self) -> Option<ToWorker> {
        loop {
            if let Some(frame) = self.frames.next_buffered().unwrap() {
                let limits = Limits::default();
                return Some(match &self.exchange {
                    Some(exchange) => exchange.decode(frame, &limits).unwrap().0,
                    None => codec::decode(frame, &limits).unwrap(),
                });
            }
            let socket = Socket(self.socket.as_fd());
            let read = self.frames.read_some(&mut socket.reader(&mut self.descriptors));
            if !matches!(read, Ok(ReadProgress::Bytes)) {
                return None;
            }
        }
    }

    fn write(&self, frame: ipc_protocol::frame::Frame) {
        let mut queue = FrameWriter::new();
        queue.push(frame);
        queue.write_to_socket(&mut Socket(self.socket.as_fd())).unwrap();
    }

    fn send(&self, message: FromWorker) {
        self.write(codec::encode(message).unwrap());
    }

    fn handle(&mut self, share: Share) {
        let descriptor =
            matches!(share, Share::Attach(_)).then(|| self.descriptors.pop_front()).flatten();
        self.exchange.as_ref().unwrap().handle(share, descriptor).unwrap();
    }

    fn open(&self, session: &OpenSession) {
        let nodes = session.stages.iter().flat_map(|stage| &stage.nodes);
        let ready = |node_id: &String| NodeReady {
            node_id: node_id.clone(),
            is_source: false,
            is_streaming: false,
            is_async: false,
            flushes: true,
            saves: false,
        };
        self.send(FromWorker::Opened(nodes.map(|node| ready(&node.node_id)).collect()));
    }

    fn done(&self, stage: u32, call: u64) {
        let usage = vec![NodeUsage { calls: 1, ..NodeUsage::default() }];
        let worked = match self.lie.as_str() {
            "speaks 4" => Report::ABSENT,
            "works for ever" => Duration::MAX.into(),
            _ => Duration::from_micros(1).into(),
        };
        self.send(FromWorker::Done(Done { stage, call, usage, worked }));
    }

    fn answer(&mut self, item: Item) {
        if self.lie == "works for no time" {
            // Longer than anybody waits awake.
            std::thread::sleep(Duration::from_millis(5));
        }
        let Item { step, value } = item;
        let mut output = FromWorker::Output(Output {
            stage: step.stage,
            call: step.call,
            value,
            worked: Report::ABSENT,
        });
        if matches!(self.lie.as_str(), "" | "works for ever") {
            let exchange = self.exchange.as_ref().unwrap();
            let _placement = exchange.place(&mut output, None, &Limits::default()).unwrap();
        } else if self.lie != "works for no time"
            && let Some(value) = self.lying_value()
        {
            let (stage, call) = (step.stage, step.call);
            output = FromWorker::Output(Output { stage, call, value, worked: Report::ABSENT });
        }
        self.write_raw(&self.twisted(codec::encode(output).unwrap().to_bytes().to_vec()));
        self.done(step.stage, step.call);
    }

    /// What the encoder would refuse is put into the bytes that it made.
    fn twisted(&self, mut frame: Vec<u8>) -> Vec<u8> {
        // The shape (1024,) in MessagePack, and what stands in its place.
        let (shape, descr) = ([0x91, 0xcd, 4, 0], *b"<f4");
        let (from, to): (&[u8], &[u8]) = match self.lie.as_str() {
            "shape larger than bytes" => (&shape, &[0x91, 0xcd, 16, 0]),
            "shape smaller than bytes" => (&shape, &[0x91, 0xcd, 0, 1]),
            "object dtype" => (&descr, b"|O8"),
            "dtype of another size" => (&descr, b"<f8"),
            "no dtype" => (&descr, b"abc"),
            _ => return frame,
        };
        let at = frame.windows(from.len()).position(|window| window == from).unwrap();
        frame[at..at + from.len()].copy_from_slice(to);
        frame
    }

    fn write_raw(&self, bytes: &[u8]) {
        std::io::Write::write_all(&mut &self.socket, bytes).unwrap();
    }

    /// Announces what the lie needs, and gives the output that tells it.
    fn lying_value(&self) -> Option<Value> {
        let lent = |segment, offset, length| Placed::Lent {
            lease: 1,
            segment,
            offset,
            length,
            terms: LeaseTerms::Writable,
        };
        let page = 4096;
        let end = SEGMENT_BYTES as u64;
        Some(match self.lie.as_str() {
            "unknown segment" => array("<f4", 4, page / 4, lent(9, 0, page)),
            "offset outside" => self.after_attach(array("<f4", 4, page / 4, lent(1, end, page))),
            "length outside" => self.after_attach(array("<f4", 4, end, lent(1, 0, 4 * end))),
            "offset overflows" => {
                self.after_attach(array("<f4", 4, page / 4, lent(1, u64::MAX - 8, page)))
            }
            "length overflows" => {
                self.after_attach(array("|u1", 1, 1 << 62, lent(1, u64::MAX - 8, 1 << 62)))
            }
            "shape larger than bytes"
            | "shape smaller than bytes"
            | "object dtype"
            | "dtype of another size"
            | "no dtype" => self.after_attach(array("<f4", 4, page / 4, lent(1, 0, page))),
            "returned twice" => {
                let returned = Placed::Returned { lease: 1, offset: 0, length: page };
                Value::List(vec![
                    array("<f4", 4, page / 4, returned),
                    array("<f4", 4, page / 4, returned),
                ])
            }
            "returned too much" => {
                let length = 1 << 40;
                array("|u1", 1, length, Placed::Returned { lease: 1, offset: 0, length })
            }
            "returned what was not lent" => {
                array("|u1", 1, page, Placed::Returned { lease: 77, offset: 0, length: page })
            }
            other => {
                self.lying_share(other);
                return None;
            }
        })
    }

    /// Lies that are news and not outputs.
    fn lying_share(&self, lie: &str) {
        let file = || OwnedFd::from(std::fs::File::open("/proc/self/exe").unwrap());
        match lie {
            "released what was not lent" => self.share(Share::Release(vec![77]), None),
            "released twice" => self.share(Share::Release(vec![1, 1]), None),
            "detached what was not attached" => self.share(Share::Detach(5), None),
            "shorter than announced" => self.attach(1, 64 << 20, Some(memfd())),
            "announced twice" => {
                self.attach(1, SEGMENT_BYTES, Some(memfd()));
                self.attach(1, SEGMENT_BYTES, Some(memfd()));
            }
            "too much" => self.attach(1, 1 << 40, Some(memfd())),
            "no descriptor" => self.attach(1, SEGMENT_BYTES, None),
            "a file" => self.attach(1, SEGMENT_BYTES, Some(file())),
            "a socket" => {
                let (socket, _other) = UnixStream::pair().unwrap();
                self.attach(1, SEGMENT_BYTES, Some(socket.into()));
            }
            "not sealed" => {
                let flags = rustix::fs::MemfdFlags::ALLOW_SEALING;
                let memory = rustix::fs::memfd_create("lie", flags).unwrap();
                rustix::fs::ftruncate(&memory, SEGMENT_BYTES as u64).unwrap();
                self.attach(1, SEGMENT_BYTES, Some(memory));
            }
            "a name" => {
                let name = Some("/etc/passwd".to_owned());
                let bytes = SEGMENT_BYTES as u64;
                let attach = Attach { segment: 1, bytes, name, is_paired: true };
                self.share(Share::Attach(attach), None);
            }
            "a flood of descriptors" => {
                for _ in 0..1000 {
                    self.share(Share::Release(Vec::new()), Some(file()));
                }
            }
            other => panic!("no such lie: {other}"),
        }
    }

    fn share(&self, share: Share, descriptor: Option<OwnedFd>) {
        let frame = codec::encode(FromWorker::Share(share)).unwrap();
        self.write(match descriptor {
            Some(descriptor) => frame.with_descriptor(descriptor),
            None => frame,
        });
    }

    fn attach(&self, segment: u32, bytes: usize, descriptor: Option<OwnedFd>) {
        let bytes = bytes as u64;
        let attach = Attach { segment, bytes, name: None, is_paired: true };
        self.share(Share::Attach(attach), descriptor);
    }

    fn after_attach(&self, value: Value) -> Value {
        self.attach(1, SEGMENT_BYTES, Some(memfd()));
        value
    }
}

/// The descriptor of an honest segment of `SEGMENT_BYTES`.
fn memfd() -> OwnedFd {
    let segment = Segment::create(SegmentKind::Memfd, SEGMENT_BYTES).unwrap();
    match segment.ticket().unwrap() {
        Ticket::Descriptor(descriptor) => descriptor,
        other => panic!("{other:?}"),
    }
}

fn array(descr: &str, item_bytes: u32, length: u64, placed: Placed) -> Value {
    let dtype = Dtype { descr: descr.to_owned(), item_bytes };
    let (shape, order) = (vec![length], Order::C);
    Value::Array(Array { dtype, shape, order, scalar: false, data: placed.into() })
}
