//! How a worker process ended.

use nix::sys::signal::Signal;

/// The end of a process, from its wait status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// The process exited with this code.
    Code(i32),
    /// A signal ended the process.
    Signal {
        /// Its number.
        number: i32,
        /// Whether the kernel wrote a core dump; `None` when the parent has not said so.
        has_core: Option<bool>,
    },
    /// The process ended, and its status is lost: this program ignores `SIGCHLD`, or another part
    /// of the program has taken the status.
    Unknown,
}

impl Exit {
    /// The signal's name, such as `SIGSEGV`; real-time signals by number.
    #[must_use]
    pub fn signal_name(&self) -> Option<String> {
        let Self::Signal { number, .. } = self else { return None };
        Some(
            Signal::try_from(*number)
                .map_or_else(|_| format!("signal {number}"), |signal| signal.as_str().to_owned()),
        )
    }

    /// The exit code, when no signal ended the process.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        match self {
            Self::Code(code) => Some(*code),
            Self::Signal { .. } | Self::Unknown => None,
        }
    }

    /// Whether the kernel wrote a core dump; `None` when that is unknown.
    #[must_use]
    pub fn has_core(&self) -> Option<bool> {
        match self {
            Self::Code(_) => Some(false),
            Self::Signal { has_core, .. } => *has_core,
            Self::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;

    fn signal(number: i32) -> Exit {
        Exit::Signal { number, has_core: Some(false) }
    }

    #[test]
    fn every_standard_signal_has_its_name() {
        for (number, name) in [
            (4, "SIGILL"),
            (6, "SIGABRT"),
            (7, "SIGBUS"),
            (9, "SIGKILL"),
            (11, "SIGSEGV"),
            (31, "SIGSYS"),
        ] {
            assert_eq!(signal(number).signal_name().as_deref(), Some(name));
        }
        assert_eq!(signal(40).signal_name().as_deref(), Some("signal 40"));
        assert_eq!(Exit::Code(3).signal_name(), None);
        assert_eq!(Exit::Code(3).code(), Some(3));
        assert_eq!((Exit::Unknown.signal_name(), Exit::Unknown.code()), (None, None));
    }
}
