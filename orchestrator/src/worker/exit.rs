//! How a worker process ended.

use nix::sys::signal::Signal;

/// The end of a process, from its wait status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// The process exited with this code.
    Code(i32),
    /// The signal with this number ended the process.
    Signal(i32),
    /// The process ended, and its status is lost: this program ignores `SIGCHLD`, or another part
    /// of the program has taken the status.
    Unknown,
}

impl Exit {
    /// The signal's name, such as `SIGSEGV`; real-time signals by number.
    #[must_use]
    pub fn signal_name(&self) -> Option<String> {
        let Self::Signal(number) = self else { return None };
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
            Self::Signal(_) | Self::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;

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
            assert_eq!(Exit::Signal(number).signal_name().as_deref(), Some(name));
        }
        assert_eq!(Exit::Signal(40).signal_name().as_deref(), Some("signal 40"));
        assert_eq!(Exit::Code(3).signal_name(), None);
        assert_eq!(Exit::Code(3).code(), Some(3));
        assert_eq!((Exit::Unknown.signal_name(), Exit::Unknown.code()), (None, None));
    }
}
