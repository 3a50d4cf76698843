//! What is elsewhere: the apps behind the sites, the store of ended sessions, the vendors.

use std::io;
use std::time::Duration;

use futures_util::future::join_all;

use super::{PATIENCE, PATIENCE_WITH_A_VENDOR};
use crate::cli::check;
use crate::config::{SiteTable, UpstreamChoice};
use crate::gateway::site::Site;
use crate::provider::Registered;
use crate::provider::inspection::{Finding, Registration};
use crate::revocation::Store;
use crate::upstream::Upstream;
use crate::upstream::target::Target;

/// Whether the targets of a site are found, and can be reached.
pub(super) async fn upstream(site: &Site, table: &SiteTable) -> Vec<Finding> {
    let is_sample = |text: &String| text == "sandbox";
    let has_sample = match &table.upstream {
        UpstreamChoice::One(text) => is_sample(text),
        UpstreamChoice::Several(texts) => texts.iter().any(is_sample),
    };
    if has_sample {
        return vec![Finding::good("the built-in sample app, which runs with the gateway")];
    }
    let upstream = &site.upstream;
    let targets = upstream.targets().enumerate();
    let found = join_all(targets.map(|(index, (target, _))| reached(upstream, index, target))).await;
    found.into_iter().flatten().collect()
}

async fn reached(upstream: &Upstream, index: usize, target: &Target) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some((host, port)) = target.host_and_port()
        && host.parse::<std::net::IpAddr>().is_err()
    {
        let looked_up = within(PATIENCE, tokio::net::lookup_host((host.as_str(), port))).await;
        match looked_up.map(|found| found.map(|address| address.ip().to_string()).collect::<Vec<_>>()) {
            Ok(addresses) => {
                findings.push(Finding::good(format!("{host}: found at {}", addresses.join(", "))));
            }
            Err(error) => {
                findings.push(Finding::wrong(
                    format!("{host}: this name is not found: {error}"),
                    "ask the resolver of this machine: `getent hosts` and the name",
                ));
                return findings;
            }
        }
    }
    let connected = within(PATIENCE, upstream.reach(index)).await;
    findings.push(match connected {
        Ok(is_http2) => {
            let spoken = if is_http2 { "HTTP/2" } else { "HTTP/1.1" };
            let tls = if target.is_secure() { "with a certificate that is believed, " } else { "" };
            Finding::good(format!("{target}: takes connections, {tls}for {spoken}"))
        }
        Err(error) => Finding::wrong(format!("{target}: {error}"), advice(&error, target)),
    });
    findings
}

/// What to do about a target that cannot be reached.
fn advice(error: &io::Error, target: &Target) -> &'static str {
    let known = [
        (io::ErrorKind::ConnectionRefused, "start the app, or compare `upstream` with where it listens"),
        (io::ErrorKind::TimedOut, "see whether a firewall stands between this machine and the app"),
        (io::ErrorKind::NotFound, "compare `upstream` with where the app listens: there is no such socket"),
        (io::ErrorKind::PermissionDenied, "let the user that runs the gateway use the socket"),
    ];
    let of_kind = known.into_iter().find(|(kind, _)| *kind == error.kind()).map(|(_, advice)| advice);
    of_kind.unwrap_or(if target.is_secure() {
        "compare the app's certificate with [site.upstream_tls]: docs/upstreams.md"
    } else {
        "see the log of the app"
    })
}

/// Whether the store of revocations can be used.
pub(super) async fn store(store: &Store) -> Vec<Finding> {
    let kept = check::store(store);
    match within(PATIENCE, store.is_there()).await {
        Ok(()) => vec![Finding::good(format!("kept {kept}"))],
        Err(error) => {
            let next = match store {
                Store::Memory => "",
                Store::File(_) => {
                    "its folder has to be there, and the file writable by the user that runs the gateway"
                }
                Store::Redis(_) => {
                    "start it, or compare `store` in [session] with its address and password, and `store_tls` with its certificate"
                }
            };
            vec![Finding::wrong(format!("kept {kept}, which cannot be used: {error}"), next)]
        }
    }
}

/// What a vendor says to the configuration, and its clock to ours.
pub(super) async fn vendor(provider: &Registered, registration: &Registration) -> Vec<Finding> {
    let asked = tokio::time::timeout(PATIENCE_WITH_A_VENDOR, provider.provider.inspect(registration));
    asked.await.unwrap_or_else(|_| {
        vec![Finding::wrong(
            format!("no answer within {} seconds", PATIENCE_WITH_A_VENDOR.as_secs()),
            "see whether this machine gets to the vendor's address, and through which proxy",
        )]
    })
}

async fn within<T>(patience: Duration, answer: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(patience, answer).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
