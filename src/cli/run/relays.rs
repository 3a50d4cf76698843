//! The addresses at which apps ask a vendor's API: one server each, beside the one for members.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::prepare::taken;
use crate::cli::CommandError;
use crate::config::relay::Relayed;
use crate::relay::{Relay, Worker};
use crate::server::handover::Offered;
use crate::server::peer::TrustedProxies;
use crate::server::{self, Inherited, Limits, Listeners, Making, Running, Service};

/// The relays that serve.
#[derive(Debug, Default)]
pub struct Relays(Vec<Serving>);

#[derive(Debug)]
struct Serving {
    configured: Option<SocketAddr>,
    running: Running<Worker>,
}

/// Their sockets, before anybody is served.
pub(super) struct Bound(Vec<(Relayed, Listeners)>);

impl Bound {
    /// Listens at all their addresses.
    pub(super) fn new(relays: Vec<Relayed>, inherited: &mut Inherited) -> Result<Self, CommandError> {
        let bind = |relayed: Relayed| {
            let listen = std::slice::from_ref(&relayed.listen);
            let key = format!("`api_listen` of the provider {}", relayed.relay.name());
            let listeners = Listeners::bind(listen, 1, inherited).map_err(|error| taken(&error, &key))?;
            Ok((relayed, listeners))
        };
        relays.into_iter().map(bind).collect::<Result<_, _>>().map(Self)
    }

    /// Serves there.
    pub(super) fn serve(self, limits: Limits) -> Result<Relays, CommandError> {
        let serve = |(relayed, listeners): (Relayed, Listeners)| {
            let running = server::serve(listeners, &service(&relayed.relay, limits)).map_err(|error| {
                CommandError::Failed(format!("the API cannot be served to apps: {error}"))
            })?;
            Ok(Serving { configured: relayed.address(), running })
        };
        self.0.into_iter().map(serve).collect::<Result<_, _>>().map(Relays)
    }
}

impl Relays {
    /// Where they are, in the order of the config.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.0.iter().flat_map(|serving| serving.running.addresses()).copied()
    }

    /// Their sockets, for a process that takes over.
    pub(super) fn offered(&self) -> impl Iterator<Item = Offered> {
        self.0.iter().map(|serving| serving.running.offered())
    }

    /// Serves what is configured now, at the addresses that are there.
    pub(super) fn exchange(&self, relays: &[Relayed], limits: Limits) {
        let is_there = |relayed: &Relayed| self.0.iter().any(|known| known.configured == relayed.address());
        if relays.len() != self.0.len() || !relays.iter().all(is_there) {
            tracing::warn!(
                "`api_listen` differs, and stays as it was: restart, or take over with run --takeover"
            );
        }
        let mut rest: Vec<&Relayed> = relays.iter().collect();
        for Serving { configured, running } in &self.0 {
            // One that is configured no more stays as it was, as its address does.
            if let Some(at) = rest.iter().position(|relayed| relayed.address() == *configured) {
                running.exchange(service(&rest.remove(at).relay, limits));
            }
        }
    }

    /// Takes no more connections. Does not wait for anything.
    pub fn stop(&self) {
        self.0.iter().for_each(|serving| serving.running.stop());
    }

    /// Lets what is under way finish, after all members are served: apps may ask until then.
    pub(super) fn drain(self, begun: Instant, grace: Duration) {
        let rest = grace.saturating_sub(begun.elapsed());
        at_once(self.0, |serving| serving.running.drain(rest));
    }

    /// The same, where another process accepts from the sockets of these listeners.
    pub(super) fn hand_over(self, listeners: impl Iterator<Item = Arc<[usize]>>, grace: Duration) {
        let all = self.0.into_iter().zip(listeners.chain(std::iter::repeat(Arc::default())));
        at_once(all, |(serving, listeners)| serving.running.hand_over(listeners, grace, || ()));
    }
}

/// Does something with all of them at the same time, for each waits.
fn at_once<T: Send>(all: impl IntoIterator<Item = T>, act: impl Fn(T) + Sync) {
    std::thread::scope(|scope| {
        for one in all {
            let act = &act;
            scope.spawn(move || act(one));
        }
    });
}

fn service(relay: &Arc<Relay>, limits: Limits) -> Service<Worker> {
    let relay = Arc::clone(relay);
    let made = move |_: &Making<'_, Worker>| -> Rc<Worker> { Worker::new(Arc::clone(&relay)) };
    Service::new(limits, TrustedProxies::default(), made)
}
