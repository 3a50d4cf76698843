//! What is asked when it has called, and not before.
//!
//! Whoever waits for several things at once is woken for any of them, and asks them all. Where one comes once in a life and
//! costs a lock to be asked for, as the end of the gateway does, each request of a connection would pay for it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use pin_project_lite::pin_project;

pin_project! {
    /// A future that is polled once, and then again whenever it has woken whoever waits for it.
    #[derive(Debug)]
    pub struct OnCall<F> {
        #[pin]
        future: F,
        bell: Option<Arc<Bell>>,
    }
}

#[derive(Debug)]
struct Bell {
    has_rung: AtomicBool,
    waiting: Waker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.has_rung.store(true, Ordering::Release);
        self.waiting.wake_by_ref();
    }
}

/// The same future, asked no more often than it has to be.
pub const fn on_call<F: Future>(future: F) -> OnCall<F> {
    OnCall { future, bell: None }
}

impl<F: Future> Future for OnCall<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        // Somebody else may wait for it by now.
        let known = this.bell.take().filter(|bell| bell.waiting.will_wake(cx.waker()));
        let is_known = known.is_some();
        let bell = this.bell.insert(known.unwrap_or_else(|| {
            Arc::new(Bell { has_rung: AtomicBool::new(false), waiting: cx.waker().clone() })
        }));
        if is_known
            && (!bell.has_rung.load(Ordering::Relaxed) || !bell.has_rung.swap(false, Ordering::Acquire))
        {
            return Poll::Pending;
        }
        // Where it rings from here on, it is asked again.
        this.future.poll(&mut Context::from_waker(&Waker::from(Arc::clone(bell))))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::pin::pin;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// Counts how often somebody was woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn it_is_asked_once_and_then_when_it_has_called_or_somebody_else_waits() {
        let (asked, is_there, caller) = (Cell::new(0), Cell::new(false), RefCell::new(None::<Waker>));
        let mut waiting = pin!(on_call(std::future::poll_fn(|cx| {
            asked.set(asked.get() + 1);
            caller.replace(Some(cx.waker().clone()));
            if is_there.get() { Poll::Ready(()) } else { Poll::Pending }
        })));
        let (first, second) = (Arc::<Woken>::default(), Arc::<Woken>::default());
        let mut poll = |by: &Arc<Woken>| {
            let by = Waker::from(Arc::clone(by));
            waiting.as_mut().poll(&mut Context::from_waker(&by)).is_ready()
        };
        let call = || caller.borrow().as_ref().unwrap().wake_by_ref();
        let call_for_the_last_time = || caller.take().unwrap().wake();

        assert!((0..5).all(|_| !poll(&first)));
        assert_eq!(asked.get(), 1);

        call();
        assert_eq!(first.0.load(Ordering::Relaxed), 1);
        assert!((0..5).all(|_| !poll(&first)));
        assert_eq!(asked.get(), 2);

        assert!((0..5).all(|_| !poll(&second)));
        assert_eq!(asked.get(), 3);

        is_there.set(true);
        call_for_the_last_time();
        assert_eq!([&first, &second].map(|woken| woken.0.load(Ordering::Relaxed)), [1, 1]);
        assert!(poll(&second));
    }
}
