//! Turns panics of native nodes into errors. A node that panicked is in an unknown state: make a
//! new one.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;

/// A panic that was caught.
#[derive(Debug, Clone, PartialEq, Eq, Default, thiserror::Error)]
#[error("panicked{}: {message}", if .place.is_empty() { String::new() } else { format!(" at {}", .place) })]
pub struct Panic {
    /// File, line and column of the panic; empty if unknown.
    pub place: String,
    /// Text of the panic.
    pub message: String,
}

thread_local! {
    /// Number of `catch` calls on this thread's stack, and the place of the last panic.
    static CAUGHT: RefCell<(usize, Panic)> = RefCell::default();
}

/// Calls code that may panic, and returns a panic as an error. The panic is not printed.
///
/// # Errors
/// `call` panicked.
pub fn catch<T>(call: impl FnOnce() -> T) -> Result<T, Panic> {
    install_hook();
    CAUGHT.with_borrow_mut(|(depth, _)| *depth += 1);
    // `AssertUnwindSafe`: after a panic the caller drops everything that `call` worked on.
    let outcome = panic::catch_unwind(AssertUnwindSafe(call));
    CAUGHT.with_borrow_mut(|(depth, panic)| {
        *depth -= 1;
        outcome.map_err(|payload| {
            let message = message_of(payload.as_ref());
            Panic { message, ..std::mem::take(panic) }
        })
    })
}

/// Installs a panic hook, as only a hook gets the place of a panic. Panics outside `catch` are
/// passed on to the hook that was there before.
fn install_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !note(info) {
                others(info);
            }
        }));
    });
}

fn note(info: &PanicHookInfo<'_>) -> bool {
    CAUGHT.with_borrow_mut(|(depth, panic)| {
        panic.place = info.location().map_or_else(String::new, ToString::to_string);
        *depth > 0
    })
}

fn message_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_place() {
        // spec: CARD-02
        let caught = catch(|| panic!("{} samples", 3)).unwrap_err();
        assert_eq!(caught.message, "3 samples");
        assert!(caught.place.contains("panics.rs:"), "{}", caught.place);
        assert_eq!(catch(|| 7), Ok(7));
    }

    #[test]
    fn one_inside_another_is_its_own() {
        let outer = catch(|| {
            let inner = catch(|| panic!("inner")).unwrap_err();
            panic!("outer after {}", inner.message)
        });
        assert_eq!(outer.unwrap_err().message, "outer after inner");
    }
}
