//! What goes on without a request: names are looked up, health is checked. One thread of the process does all of it.
//!
//! An errand is made on that thread and runs for as long as it wants to; each holds what it works for weakly, and ends
//! with it. So a configuration that is no longer served takes its errands along.

use std::pin::Pin;
use std::sync::OnceLock;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

type Errand = Pin<Box<dyn Future<Output = ()>>>;
type Order = Box<dyn FnOnce() -> Errand + Send>;

static ORDERS: OnceLock<Option<UnboundedSender<Order>>> = OnceLock::new();

/// Has the thread run an errand; the first one starts it.
pub(super) fn run<F: Future<Output = ()> + 'static>(errand: impl FnOnce() -> F + Send + 'static) {
    if let Some(orders) = ORDERS.get_or_init(start) {
        // The receiver is never dropped: the thread ends with the process.
        let _ = orders.send(Box::new(|| Box::pin(errand())));
    }
}

fn start() -> Option<UnboundedSender<Order>> {
    let (orders, to_do) = unbounded_channel();
    let work = move || match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
        Ok(runtime) => runtime.block_on(work(to_do)),
        Err(error) => tracing::error!(%error, "upstreams are not looked after: there is no runtime"),
    };
    match std::thread::Builder::new().name("upstreams".to_owned()).spawn(work) {
        Ok(_) => Some(orders),
        Err(error) => {
            tracing::error!(%error, "upstreams are not looked after: there is no thread");
            None
        }
    }
}

async fn work(mut orders: UnboundedReceiver<Order>) {
    while let Some(order) = orders.recv().await {
        tokio::task::spawn_local(order());
    }
}
