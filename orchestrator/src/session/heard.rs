//! What native nodes have heard, where failing items are captured: the item of a call, and of a node that
//! takes pieces of one stream all that came before it. So a call can be repeated as it was.

use ipc_protocol::{FaultKind, Value};

use super::batch::bytes_of;
use crate::failure::FailedCall;

/// What one node has heard.
#[derive(Debug)]
pub(super) struct Heard {
    keeps_all: bool,
    max_bytes: u64,
    before: Vec<Value>,
    bytes: u64,
    now: Option<Value>,
}

impl Heard {
    /// `keeps_all`: whether the node keeps something from item to item. Of that at most `max_bytes` are kept.
    pub(super) fn new(keeps_all: bool, max_bytes: u64) -> Self {
        Self { keeps_all, max_bytes, before: Vec::new(), bytes: 0, now: None }
    }

    /// A call begins, with an item or as a flush.
    pub(super) fn begin(&mut self, item: Option<&Value>) {
        self.now = item.cloned();
    }

    /// The call has failed.
    pub(super) fn failed(&self, operation: FaultKind) -> FailedCall {
        let is_whole = self.bytes <= self.max_bytes;
        FailedCall { operation, before: self.before.clone(), is_whole, item: self.now.clone() }
    }

    /// The call ends.
    pub(super) fn end(&mut self) {
        let Some(item) = self.now.take().filter(|_| self.keeps_all) else {
            self.before.clear();
            self.bytes = 0;
            return;
        };
        self.bytes = self.bytes.saturating_add(bytes_of(&item) as u64);
        if self.bytes <= self.max_bytes {
            self.before.push(item);
        } else {
            self.before.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: i64) -> Value {
        Value::Int(value)
    }

    /// What would be kept of a call with this item if it failed.
    fn call(heard: &mut Heard, value: i64) -> FailedCall {
        heard.begin(Some(&number(value)));
        let failed = heard.failed(FaultKind::Process);
        heard.end();
        failed
    }

    #[test]
    fn a_failed_call_has_all_that_its_node_heard_since_the_last_flush() {
        // spec: IOP-35
        let mut heard = Heard::new(true, 1000);
        assert_eq!(call(&mut heard, 1).before, []);
        let failed = call(&mut heard, 2);
        assert_eq!((failed.before, failed.item), (vec![number(1)], Some(number(2))));
        heard.begin(None);
        let flush = heard.failed(FaultKind::Flush);
        assert_eq!((flush.before.len(), flush.item, flush.is_whole), (2, None, true));
        heard.end();
        assert_eq!(call(&mut heard, 3).before, []);
        let mut alone = Heard::new(false, 1000);
        call(&mut alone, 1);
        assert_eq!(call(&mut alone, 2).before, []);
    }

    #[test]
    fn what_was_heard_is_bounded() {
        // spec: IOP-35
        let mut heard = Heard::new(true, 40);
        for value in 0..3 {
            assert!(call(&mut heard, value).is_whole);
        }
        let failed = call(&mut heard, 3);
        assert_eq!((failed.before.len(), failed.is_whole), (0, false));
    }
}
