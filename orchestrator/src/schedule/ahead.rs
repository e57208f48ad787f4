//! Calls that were sent to a worker in a batch before the core has begun them. Pure. The worker may answer them
//! early: an answer to a call that has not begun is held, and nothing behind it is read, so that the core hears
//! everything in the order in which it happened.

use std::collections::VecDeque;

/// The calls of a batch that have not begun. `M`: messages of the worker.
#[derive(Debug)]
pub struct Ahead<M> {
    calls: VecDeque<u64>,
    /// The answer to a call that has not begun.
    held: Option<(u64, M)>,
}

impl<M> Default for Ahead<M> {
    fn default() -> Self {
        Self::new(VecDeque::new())
    }
}

impl<M> Ahead<M> {
    /// These calls were sent, in this order.
    #[must_use]
    pub fn new(calls: VecDeque<u64>) -> Self {
        Self { calls, held: None }
    }

    /// Whether all calls that were sent have begun.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// The next call begins. Returns its number; `None` if it was not sent.
    pub fn begin(&mut self) -> Option<u64> {
        self.calls.pop_front()
    }

    /// Takes a message, with the number of the call that it answers. Returns it, unless that call has not begun.
    pub fn hear(&mut self, call: Option<u64>, message: M) -> Option<M> {
        match call.filter(|call| self.calls.contains(call)) {
            Some(call) => {
                self.held = Some((call, message));
                None
            }
            None => Some(message),
        }
    }

    /// Whether a message is held: the worker's next one is not to be read.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.held.is_some()
    }

    /// The held message, if its call has begun meanwhile.
    pub fn take_due(&mut self) -> Option<M> {
        let calls = &self.calls;
        let due = self.held.take_if(|(call, _)| !calls.contains(call));
        due.map(|(_, message)| message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays a batch of calls. The worker answers `early` of them, each with two messages, before the core
    /// begins the first. Returns what the core hears, and when calls begin.
    fn heard(count: u64, early: usize) -> Vec<String> {
        let mut ahead = Ahead::new((1..=count).collect());
        let answers = (1..=count).flat_map(|call| [(call, "output"), (call, "done")]);
        let mut link: VecDeque<_> = answers.collect();
        let mut story = Vec::new();
        let mut readable = 2 * early;
        for call in 1..=count {
            read(&mut ahead, &mut link, &mut readable, &mut story);
            assert_eq!(ahead.begin(), Some(call));
            story.push(format!("begin {call}"));
            readable += if early == 0 { 2 } else { 0 };
            read(&mut ahead, &mut link, &mut readable, &mut story);
        }
        readable = link.len();
        read(&mut ahead, &mut link, &mut readable, &mut story);
        story
    }

    fn read(
        ahead: &mut Ahead<(u64, &'static str)>,
        link: &mut VecDeque<(u64, &'static str)>,
        readable: &mut usize,
        story: &mut Vec<String>,
    ) {
        loop {
            let message = if ahead.holds() {
                ahead.take_due()
            } else if *readable > 0 {
                *readable -= 1;
                link.pop_front().and_then(|message| ahead.hear(Some(message.0), message))
            } else {
                None
            };
            let Some((call, what)) = message else { return };
            story.push(format!("{what} {call}"));
        }
    }

    #[test]
    fn answers_are_heard_in_the_order_in_which_they_happened_however_early_they_come() {
        // spec: CARD-02
        let in_order: Vec<String> = (1..=5)
            .flat_map(|call| ["begin", "output", "done"].map(|what| format!("{what} {call}")))
            .collect();
        for early in [0, 1, 3, 5] {
            let mut story = heard(5, early);
            if early > 0 {
                // What comes late comes after all calls have begun, in the same order.
                story.sort_by_key(|line| line.split(' ').nth(1).map(str::to_owned));
            }
            assert_eq!(story, in_order, "{early} answers come early");
        }
    }

    #[test]
    fn an_early_answer_holds_up_what_is_behind_it() {
        // spec: CARD-02
        let mut ahead = Ahead::new(VecDeque::from([7, 8]));
        assert_eq!(ahead.hear(None, "a log record"), Some("a log record"));
        assert_eq!(ahead.hear(Some(6), "of an earlier call"), Some("of an earlier call"));
        assert_eq!(ahead.hear(Some(8), "done 8"), None);
        assert!(ahead.holds());
        assert_eq!(ahead.begin(), Some(7));
        assert_eq!(ahead.take_due(), None, "call 8 has not begun");
        assert!(ahead.holds());
        assert_eq!(ahead.begin(), Some(8));
        assert_eq!(ahead.take_due(), Some("done 8"));
        assert!(!ahead.holds());
        assert_eq!(ahead.begin(), None, "the next call was not sent");
    }

    #[test]
    fn without_a_batch_nothing_is_held() {
        // spec: CARD-02
        let mut ahead = Ahead::default();
        assert!(ahead.is_empty());
        assert_eq!(ahead.hear(Some(1), ()), Some(()));
    }
}
