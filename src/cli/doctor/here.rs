//! What is on this machine: keys and the files they are in, certificates, the addresses to listen on, limits.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use http::header::ORIGIN;
use rustix::process::{Resource, getrlimit};
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpStream, UnixStream};

use super::{PATIENCE, finding};
use crate::cli::online::Online;
use crate::cli::revoke::reachable;
use crate::config::assemble::Assembled;
use crate::provider::inspection::{Finding, Verdict};
use crate::relay::REASON;
use crate::server::tls::Tls;
use crate::server::{Address, Entrance, Limits, Listen};
use crate::time::UnixTime;

/// A certificate that ends within so many seconds should have been renewed: it is done a month ahead as a rule.
const SOON: u64 = 14 * 24 * 60 * 60;

/// Which keys there are, and who can read them.
pub(super) fn keys(config: &Path, online: &Online) -> Vec<Finding> {
    let (assembled, loaded) = (&online.assembled, &online.loaded);
    let mut findings = vec![match &loaded.config.session.keys {
        Some(keys) => Finding::good(format!("session keys: {}, of which the first seals", keys.len())),
        None => Finding::noted(
            "session keys: none, so random ones are made at each start, which signs everybody out",
            "`member-gateway keygen session` prints one for `keys` in [session]",
        ),
    }];
    for (site, keys) in assembled.gateway.sites.iter().zip(&assembled.signing_keys) {
        let (site, current) = (site.origin.as_str(), site.identity.signing_keys().current());
        let (id, algorithm) = (current.id(), current.algorithm().as_str());
        findings.push(if keys.are_random {
            Finding::noted(
                format!("{site}: signs with a random key that no app can know"),
                "`member-gateway keygen hmac` prints one for `keys` in [identity.signature]",
            )
        } else {
            Finding::good(format!("{site}: key {id} ({algorithm}) signs, of {}", keys.keys.len()))
        });
    }
    let mut files = BTreeSet::<PathBuf>::new();
    files.extend(assembled.kept.iter().map(|kept| kept.file.clone().unwrap_or_else(|| config.to_owned())));
    files.extend(assembled.tls.iter().flat_map(Tls::certificates).map(|known| known.files.key.clone()));
    let shown = loaded.config.site.iter().filter_map(|site| site.upstream_tls.as_ref()?.key.as_ref());
    let shown_to_redis = loaded.config.session.store_tls.iter().filter_map(|tls| tls.key.as_ref());
    files.extend(shown.chain(shown_to_redis).map(|key| online.folder.join(key)));
    findings.extend(files.iter().map(|file| guarded(file)));
    findings
}

/// Who can read a file with a secret.
fn guarded(file: &Path) -> Finding {
    let name = file.display();
    let mode = match fs::metadata(file) {
        Ok(data) => data.mode() & 0o777,
        Err(error) => {
            return Finding::wrong(
                format!("{name}: cannot be looked at: {error}"),
                "let the user that runs the gateway read it",
            );
        }
    };
    let mend = format!("chmod o-rwx,g-w {name}");
    if mode & 0o007 != 0 {
        return Finding::wrong(
            format!("{name}: holds a secret, and every user of this machine gets at it ({mode:03o})"),
            mend,
        );
    }
    if mode & 0o020 != 0 {
        return Finding::noted(
            format!("{name}: holds a secret, and its group can write it ({mode:03o})"),
            mend,
        );
    }
    Finding::good(format!("{name}: holds a secret, and is closed to other users ({mode:03o})"))
}

/// Until when each certificate holds. That it can be read, fits its key and bears the names of the sites, the
/// configuration has been asked.
pub(super) fn certificates(assembled: &Assembled, now: UnixTime) -> Vec<Finding> {
    let certificates = assembled.tls.iter().flat_map(Tls::certificates);
    let found = certificates.map(|certificate| {
        let (file, until) = (certificate.files.certificate.display(), certificate.until());
        let names = certificate.names().join(", ");
        let renew = "renew it; a running gateway reads the file again by itself";
        if certificate.has_expired_at(now) {
            Finding::wrong(format!("{file}: expired at {until}"), renew)
        } else if certificate.is_early_at(now) {
            Finding::wrong(
                format!("{file}: does not hold yet"),
                "compare the clock of this machine with another one",
            )
        } else if until.since(now).as_secs() < SOON {
            Finding::noted(format!("{file}: expires at {until}, within two weeks"), renew)
        } else {
            Finding::good(format!("{file}: for {names}, until {until}"))
        }
    });
    found.collect()
}

/// Whether a gateway answers at its addresses; before the start, whether they are free.
pub(super) async fn addresses(assembled: &Assembled, before_start: bool) -> Vec<Finding> {
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE);
    // Whose certificate it is, is not the question here.
    let Ok(client) = client.danger_accept_invalid_certs(true).build() else {
        return vec![finding(Verdict::Unknown, "no client for HTTP can be made, so nobody is asked")];
    };
    let mut findings = Vec::new();
    let ours = assembled.listen.iter().map(|listen| (listen, Answering::Gateway));
    let relays = assembled.relays.iter().map(|relayed| (&relayed.listen, Answering::Relay));
    for (listen, answering) in ours.chain(relays) {
        findings.push(listener(listen, answering, before_start, &client).await);
    }
    findings.push(match assembled.admin_listen {
        Some(address) => admin(reachable(address), before_start, &client).await,
        None => Finding {
            verdict: Verdict::Unknown,
            what: "no admin address, so whether a gateway that runs is ready cannot be asked".to_owned(),
            next: Some("admin_listen = \"127.0.0.1:9901\" in [server] makes one".to_owned()),
        },
    });
    findings
}

/// What should answer at an address.
#[derive(Clone, Copy)]
enum Answering {
    /// The gateway, at `listen`.
    Gateway,
    /// The API for apps, at `api_listen`.
    Relay,
}

impl Answering {
    const fn name(self) -> &'static str {
        match self {
            Self::Gateway => "a gateway",
            Self::Relay => "the API for apps",
        }
    }

    const fn key(self) -> &'static str {
        match self {
            Self::Gateway => "`listen` in [server]",
            Self::Relay => "`api_listen` of the provider",
        }
    }

    /// Asks for what nobody else answers so, and says whether it did.
    async fn is_at(self, base: &str, client: &reqwest::Client) -> reqwest::Result<bool> {
        match self {
            Self::Gateway => {
                let answer = client.get(format!("{base}/_gateway/health")).send().await?;
                let is_good = answer.status().is_success();
                Ok(is_good && answer.text().await?.trim() == "ok")
            }
            // As a page it is turned away in any case, so that the vendor is not asked.
            Self::Relay => {
                let answer = client.get(base).header(ORIGIN, "null").send().await?;
                Ok(answer.headers().contains_key(REASON))
            }
        }
    }
}

/// Nobody serves at an address, which is wrong once the gateway should run.
fn nobody_serves(address: &impl Display, before_start: bool) -> Finding {
    if before_start {
        return Finding::good(format!("{address}: free"));
    }
    Finding::wrong(
        format!("{address}: nothing serves here"),
        "start it; `systemctl status member-gateway` and its log say why it has ended (--before-start: it never ran)",
    )
}

async fn listener(
    listen: &Listen,
    answering: Answering,
    before_start: bool,
    client: &reqwest::Client,
) -> Finding {
    let address = match &listen.address {
        Address::Tcp(address) if address.port() == 0 => {
            return Finding::good(format!("{address}: any port that is free"));
        }
        Address::Tcp(address) => *address,
        Address::Unix(path) => return unix_listener(path, before_start).await,
    };
    match try_to_bind(address) {
        Ok(()) => nobody_serves(&address, before_start),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            in_use(listen, answering, reachable(address), client).await
        }
        // Whether the port is free has not been looked at.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let address = reachable(address);
            match tokio::time::timeout(PATIENCE, TcpStream::connect(address)).await {
                Ok(Ok(_)) => in_use(listen, answering, address, client).await,
                Ok(Err(_)) | Err(_) if before_start => Finding::noted(
                    format!("{address}: this user may not listen there"),
                    "the gateway needs CAP_NET_BIND_SERVICE for ports below 1024, or a socket unit of systemd: docs/running.md",
                ),
                Ok(Err(_)) | Err(_) => nobody_serves(&address, before_start),
            }
        }
        Err(error) => Finding::wrong(
            format!("{address}: nobody can listen there: {error}"),
            format!("compare {} with the addresses of this machine", answering.key()),
        ),
    }
}

/// Binds a socket without listening, so that nobody can come to it.
fn try_to_bind(address: SocketAddr) -> std::io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())
}

/// Asks whoever listens there for what nobody else would answer.
async fn in_use(
    listen: &Listen,
    answering: Answering,
    address: SocketAddr,
    client: &reqwest::Client,
) -> Finding {
    if listen.proxy_protocol {
        return finding(
            Verdict::Unknown,
            format!("{address}: somebody listens, who is not asked: the PROXY protocol is spoken there"),
        );
    }
    let scheme = match listen.door.entrance() {
        Entrance::Tls => "https",
        Entrance::Plain | Entrance::Redirect => "http",
    };
    let other = format!("see who it is with `ss -ltnp`, and end it or change {}", answering.key());
    match answering.is_at(&format!("{scheme}://{address}"), client).await {
        Ok(true) => Finding::good(format!("{address}: {} answers", answering.name())),
        Ok(false) => Finding::wrong(format!("{address}: another program answers"), other),
        Err(error) => {
            Finding::wrong(format!("{address}: whoever listens gives no answer: {}", reason(&error)), other)
        }
    }
}

async fn unix_listener(path: &Path, before_start: bool) -> Finding {
    let name = path.display();
    let connected = tokio::time::timeout(PATIENCE, UnixStream::connect(path)).await;
    match connected.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into())) {
        Ok(_) => Finding::good(format!("{name}: somebody listens")),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            nobody_serves(&name, before_start)
        }
        Err(error) => Finding::noted(
            format!("{name}: cannot be reached by this user: {error}"),
            "run doctor as the user of the server in front, to see whether that one can",
        ),
    }
}

/// What lies beneath an error: what is above it only says that somebody was asked.
fn reason(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// What a running gateway says of itself.
async fn admin(address: SocketAddr, before_start: bool, client: &reqwest::Client) -> Finding {
    let asked = async {
        let answer = client.get(format!("http://{address}/readyz")).send().await?;
        let status = answer.status();
        Ok::<_, reqwest::Error>((status, answer.text().await?))
    };
    match asked.await {
        Ok((status, _)) if status.is_success() => {
            Finding::good(format!("{address}: the gateway says it is ready"))
        }
        Ok((_, text)) => {
            let said: String = text.trim().chars().take(200).collect();
            Finding::wrong(format!("{address}: the gateway says it is not ready: {said}"), "see its log")
        }
        Err(error) if error.is_connect() => nobody_serves(&address, before_start),
        Err(error) => Finding::wrong(
            format!("{address}: whoever listens gives no answer: {}", reason(&error)),
            "see who it is with `ss -ltnp`, and end it or change `admin_listen` in [server]",
        ),
    }
}

/// Whether the limits of this machine leave room for what the configuration allows.
pub(super) fn machine(limits: &Limits) -> Vec<Finding> {
    // Each connection may need another one to the app.
    let wanted = u64::try_from(limits.connections).unwrap_or(u64::MAX).saturating_mul(2);
    let files = match getrlimit(Resource::Nofile).current {
        Some(files) if files < wanted => Finding::noted(
            format!(
                "open files: {files} for whoever is started from here, and `connections` may need {wanted}"
            ),
            "LimitNOFILE= in the unit of systemd (docs/running.md), or a smaller `connections` in [server.limits]",
        ),
        Some(files) => Finding::good(format!("open files: {files}")),
        None => Finding::good("open files: as many as there are"),
    };
    vec![files]
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_that_every_user_can_read_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        fs::write(&file, "swordfish").unwrap();
        for (mode, verdict) in [
            (0o600, Verdict::Good),
            (0o640, Verdict::Good),
            (0o660, Verdict::Noted),
            (0o644, Verdict::Wrong),
            (0o602, Verdict::Wrong),
        ] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(guarded(&file).verdict, verdict, "{mode:o}");
        }
        assert_eq!(guarded(&folder.path().join("gone")).verdict, Verdict::Wrong);
    }
}
