//! Turns: who has something to write lets those go first who have something to read.
//!
//! To write is to wake whoever reads at the other end. A worker that writes each message as soon as it has it wakes them once
//! for each; one that first reads all that has come, and then writes, wakes them once for all. That is the dearest part of
//! a write between two processes of one machine.

use std::task::{Context, Poll};

/// One's turn to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    has_come: bool,
}

impl Turn {
    /// Ready when whoever else can go on now has done so.
    pub fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.has_come, true) {
            return Poll::Ready(());
        }
        // Whoever is woken stands at the end of the queue.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::poll_fn;

    use super::*;

    #[tokio::test]
    async fn everybody_reads_before_anybody_writes() {
        let done = RefCell::new(Vec::new());
        let task = async || {
            done.borrow_mut().push("read");
            let mut turn = Turn::default();
            poll_fn(|cx| turn.poll(cx)).await;
            done.borrow_mut().push("write");
        };
        tokio::join!(task(), task(), task());
        assert_eq!(*done.borrow(), ["read", "read", "read", "write", "write", "write"]);
    }
}
