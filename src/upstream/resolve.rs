//! The addresses of a name: looked up in the background, every few seconds for as long as somebody connects to it.
//!
//! No worker ever waits for a resolver but the first that comes, and that one without holding up the others. What was
//! found last stays good until something else is found: a resolver that is down for a while, or denies a name it knew,
//! does not take a site along.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{Notify, watch};

/// Between two look-ups.
const EVERY: Duration = Duration::from_secs(5);
/// A resolver that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// A name and what is known of it.
#[derive(Debug)]
pub(super) struct Name {
    host: String,
    port: u16,
    known: watch::Sender<Known>,
    wanted: Arc<Notify>,
    failing: AtomicBool,
}

#[derive(Clone, Debug)]
enum Known {
    /// Nobody has looked yet.
    Nothing,
    /// It was never found.
    Never(String),
    /// What was found last.
    Addresses(Arc<[SocketAddr]>),
}

impl Name {
    pub(super) fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.to_owned(),
            port,
            known: watch::Sender::new(Known::Nothing),
            wanted: Arc::default(),
            failing: AtomicBool::new(false),
        }
    }

    /// The addresses as they are known now; the first to ask waits until there are some.
    pub(super) async fn addresses(&self) -> io::Result<Arc<[SocketAddr]>> {
        self.wanted.notify_one();
        let mut known = self.known.subscribe();
        let found = known.wait_for(|known| !matches!(known, Known::Nothing)).await;
        match found.map_err(io::Error::other)?.clone() {
            Known::Addresses(addresses) => Ok(addresses),
            Known::Nothing => Err(io::ErrorKind::NotFound.into()),
            Known::Never(error) => Err(io::Error::new(io::ErrorKind::NotFound, error)),
        }
    }

    /// Looks a name up until nobody has it any more.
    pub(super) async fn keep(name: Weak<Self>) {
        while let Some((host, port, wanted)) = name.upgrade().map(|name| name.question()) {
            let looked_up = tokio::time::timeout(PATIENCE, tokio::net::lookup_host((host, port))).await;
            let found = looked_up.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            let Some(name) = name.upgrade() else { return };
            name.learn(found.map(Iterator::collect));
            drop(name);
            tokio::time::sleep(EVERY).await;
            // Whoever has connected meanwhile has left word; otherwise nothing is asked until somebody does.
            wanted.notified().await;
        }
    }

    fn question(&self) -> (String, u16, Arc<Notify>) {
        (self.host.clone(), self.port, Arc::clone(&self.wanted))
    }

    fn learn(&self, found: io::Result<Vec<SocketAddr>>) {
        let found = found.and_then(|addresses| {
            if addresses.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(addresses) }
        });
        let name = &*self.host;
        match found {
            Ok(addresses) => {
                if self.failing.swap(false, Ordering::Relaxed) {
                    tracing::info!(name, "the name of an upstream is found again");
                }
                self.known.send_replace(Known::Addresses(addresses.into()));
            }
            Err(error) => {
                if !self.failing.swap(true, Ordering::Relaxed) {
                    tracing::warn!(name, %error, "the name of an upstream is not found; what was found before stays good");
                }
                self.known.send_if_modified(|known| {
                    let is_new = !matches!(known, Known::Addresses(_));
                    if is_new {
                        *known = Known::Never(format!("the name {name} is not found: {error}"));
                    }
                    is_new
                });
            }
        }
    }
}

/// Whoever looks it up is told to stop.
impl Drop for Name {
    fn drop(&mut self) {
        self.wanted.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn addresses(name: &Name) -> Option<Vec<String>> {
        let found = name.addresses().await.ok()?;
        Some(found.iter().map(ToString::to_string).collect())
    }

    #[tokio::test]
    async fn what_was_found_last_stays_good() {
        let name = Name::new("app.internal", 80);
        name.learn(Ok(vec!["192.0.2.1:80".parse().unwrap()]));
        name.learn(Err(io::ErrorKind::NotFound.into()));
        name.learn(Ok(Vec::new()));
        assert_eq!(addresses(&name).await, Some(vec!["192.0.2.1:80".to_owned()]));
        name.learn(Ok(vec!["192.0.2.2:80".parse().unwrap(), "[2001:db8::2]:80".parse().unwrap()]));
        assert_eq!(
            addresses(&name).await,
            Some(vec!["192.0.2.2:80".to_owned(), "[2001:db8::2]:80".to_owned()])
        );
    }

    #[tokio::test]
    async fn a_name_that_was_never_found_is_an_error_until_it_is() {
        let name = Name::new("app.internal", 80);
        name.learn(Err(io::ErrorKind::NotFound.into()));
        assert_eq!(addresses(&name).await, None);
        name.learn(Ok(vec!["192.0.2.1:80".parse().unwrap()]));
        assert!(addresses(&name).await.is_some());
    }
}
