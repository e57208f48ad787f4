//! What orchestrator and zygote say to each other: one packet a message, words of UTF-8 with a blank in
//! between. Both are of one installation, or part at the first message; so the format has no history.
//!
//! | to the zygote | with | answer |
//! |---|---|---|
//! | `import NAME...` | | `left NAME WHY` for a module that cannot stay, then the zygote ends; or `ready` |
//! | `fork MARK` | link, stdout, stderr, flight recorder | `forked PID` with the pidfd; `stale FILE`, `failed WHY` |
//! | `reap PID` | | `code PID NUMBER KIB`, `signal PID NUMBER KIB`, `core PID NUMBER KIB` or `lost PID` |
//!
//! `core` is a signal after which a core dump was written. KIB is the highest resident memory.
//!
//! The zygote begins with `zygote FORMAT PACKAGE_VERSION`. It ends when the connection closes. A
//! request is answered before the next one is read.

use ipc_protocol::kin::Mark;

use super::Reaped;
use crate::worker::exit::Exit;

/// Raised with every change of these messages; `_guest/zygote.py` has it too.
pub(super) const FORMAT: &str = "2";
/// Longest packet to a zygote, in bytes. A socket takes twice as much by default.
const MAX_IMPORT_BYTES: usize = 96 << 10;

/// A request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request<'a> {
    /// Import these modules, in this order.
    Import(&'a [String]),
    /// Fork a worker with this mark.
    Fork(Mark),
    /// Reap an ended worker.
    Reap(u32),
}

impl Request<'_> {
    /// The packet. Modules that do not fit are left out.
    pub(super) fn packet(self) -> Vec<u8> {
        match self {
            Self::Import(names) => {
                let mut packet = b"import".to_vec();
                for name in names {
                    if packet.len() + 1 + name.len() > MAX_IMPORT_BYTES {
                        break;
                    }
                    packet.push(b' ');
                    packet.extend_from_slice(name.as_bytes());
                }
                packet
            }
            Self::Fork(mark) => format!("fork {}", mark.value()).into_bytes(),
            Self::Reap(pid) => format!("reap {pid}").into_bytes(),
        }
    }
}

/// What a zygote says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Its first message: it is of this format and version.
    Zygote,
    /// The same, and it is of another one.
    OtherZygote(String),
    /// All is imported.
    Ready,
    /// This module left something behind that no forked process can do without.
    Left { module: String, what: String },
    /// The worker with this pid is running.
    Forked(u32),
    /// A file has changed since it was loaded.
    Stale(String),
    /// No worker could be forked.
    Failed(String),
    /// A worker has been reaped; `None` when its status is lost.
    Reaped(u32, Option<Reaped>),
}

impl Answer {
    /// `None` when it is no answer of this format.
    pub(super) fn parse(packet: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(packet).ok()?;
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let own = || rest == format!("{FORMAT} {}", env!("CARGO_PKG_VERSION"));
        let reaped = |how: fn(i32) -> Exit| {
            let (pid, rest) = rest.split_once(' ')?;
            let (number, peak) = rest.split_once(' ')?;
            let peak_memory_bytes = peak.parse::<u64>().ok()?.saturating_mul(1024);
            let reaped = Reaped { exit: how(number.parse().ok()?), peak_memory_bytes };
            Some(Self::Reaped(pid.parse().ok()?, Some(reaped)))
        };
        match word {
            "zygote" if own() => Some(Self::Zygote),
            "zygote" => Some(Self::OtherZygote(rest.to_owned())),
            "ready" => Some(Self::Ready),
            "left" => {
                let (module, what) = rest.split_once(' ')?;
                Some(Self::Left { module: module.to_owned(), what: what.to_owned() })
            }
            "forked" => Some(Self::Forked(rest.parse().ok()?)),
            "stale" => Some(Self::Stale(rest.to_owned())),
            "failed" => Some(Self::Failed(rest.to_owned())),
            "code" => reaped(Exit::Code),
            "signal" => reaped(|number| Exit::Signal { number, has_core: Some(false) }),
            "core" => reaped(|number| Exit::Signal { number, has_core: Some(true) }),
            "lost" => Some(Self::Reaped(rest.parse().ok()?, None)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Exit, FORMAT, MAX_IMPORT_BYTES, Mark, Reaped, Request};

    fn parse(text: &str) -> Option<Answer> {
        Answer::parse(text.as_bytes())
    }

    #[test]
    fn requests_are_words() {
        let names = ["numpy".to_owned(), "scipy.signal".to_owned()];
        assert_eq!(Request::Import(&names).packet(), b"import numpy scipy.signal");
        assert_eq!(Request::Import(&[]).packet(), b"import");
        let mark = Mark::new(5, 1);
        assert_eq!(Request::Fork(mark).packet(), format!("fork {}", mark.value()).into_bytes());
        assert_eq!(Request::Reap(7).packet(), b"reap 7");
    }

    #[test]
    fn names_beyond_the_longest_packet_are_left_out() {
        let names = vec!["x".repeat(1000); 1000];
        let packet = Request::Import(&names).packet();
        assert!(packet.len() <= MAX_IMPORT_BYTES && packet.len() > MAX_IMPORT_BYTES - 1100);
        assert!(packet.ends_with(b"x"));
    }

    #[test]
    fn every_answer_is_read() {
        let own = format!("zygote {FORMAT} {}", env!("CARGO_PKG_VERSION"));
        assert_eq!(parse(&own), Some(Answer::Zygote));
        assert_eq!(parse("zygote 0 9.9"), Some(Answer::OtherZygote("0 9.9".to_owned())));
        assert_eq!(parse("ready"), Some(Answer::Ready));
        let left = Answer::Left { module: "grpc".to_owned(), what: "2 threads".to_owned() };
        assert_eq!(parse("left grpc 2 threads"), Some(left));
        assert_eq!(parse("forked 12"), Some(Answer::Forked(12)));
        assert_eq!(parse("stale /a b.py"), Some(Answer::Stale("/a b.py".to_owned())));
        assert_eq!(parse("failed no memory"), Some(Answer::Failed("no memory".to_owned())));
        let signal = |has_core| Exit::Signal { number: 3, has_core: Some(has_core) };
        let exits = [("code", Exit::Code(3)), ("signal", signal(false)), ("core", signal(true))];
        for (word, exit) in exits {
            let reaped = Reaped { exit, peak_memory_bytes: 20 << 20 };
            assert_eq!(
                parse(&format!("{word} 12 3 20480")),
                Some(Answer::Reaped(12, Some(reaped)))
            );
        }
        assert_eq!(parse("lost 12"), Some(Answer::Reaped(12, None)));
        for other in ["", "forked", "forked x", "code 1 2", "left x", "signal a 1 2", "hello"] {
            assert_eq!(parse(other), None, "{other:?}");
        }
        assert_eq!(Answer::parse(b"ready\xff"), None);
    }
}
