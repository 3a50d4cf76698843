//! A Redis that keeps revocations over a restart, and tells every gateway of them at once.
//!
//! They are a stream: whoever ends sessions adds an entry, and every gateway waits for the next one (`XREAD BLOCK`). So one
//! mechanism brings news within milliseconds, all that was there before to whoever starts, and what was missed to whoever
//! comes back. Entries that can end nothing any more are trimmed away. Valkey does the same; both from version 6.2 on.
//!
//! A Redis can lose what it held. A second key names the stream by a random number: where it is another one than before, or
//! the stream ends earlier than it did, each gateway adds what it knows once more.

use std::fmt;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::streams::{StreamId, StreamReadReply};
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, Pipeline, RedisError, TlsCertificates,
};
use tokio::sync::mpsc::UnboundedReceiver;

use super::Revocation;
use super::entry::{self, Entry};
use super::keeper::{Order, Outbox, Shared};
use crate::random;
use crate::secret::Secret;
use crate::time::{Clock, UnixTime};

const STREAM: &str = "member-gateway:revocations";
const NAME: &str = "member-gateway:revocations:name";
/// The one field of an entry.
const FIELD: &str = "revocation";
/// How long Redis holds a question for news back; then it is asked again, so that one that has gone in silence is noticed.
const BLOCK: Duration = Duration::from_secs(1);
/// For any answer, beyond what it is held back.
const ANSWER: Duration = Duration::from_secs(2);
/// Between two attempts to reach it.
const RETRY: Duration = Duration::from_millis(250);
/// How many entries are read, or added, at a time.
const MANY: usize = 1000;
/// How much clocks may differ before an entry is trimmed too early.
const SKEW: Duration = Duration::from_secs(60);
/// Before all entries.
const BEGINNING: (u64, u64) = (0, 0);

/// Where a Redis is, with which password, and what vouches for it.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    url: Secret,
    papers: Papers,
}

/// Whom a Redis over TLS has to be vouched for by, and what it is shown: PEM that is known to be good.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Papers {
    /// The authorities that are trusted, in place of those that the machine trusts.
    pub ca: Option<Vec<u8>>,
    /// A certificate, those behind it, and its key.
    pub certificate: Option<(Vec<u8>, Secret)>,
}

/// This is no address of a Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no address of a Redis")]
pub struct NoAddress;

impl Address {
    /// Reads a URL: `redis://`, `rediss://` for TLS, or `unix://` with a path.
    ///
    /// # Errors
    /// [`NoAddress`] where it is something else, or one that asks for TLS with whomever (`#insecure`).
    pub fn parse(url: Secret, papers: Papers) -> Result<Self, NoAddress> {
        let address = Self { url, papers };
        address.client().map(|_| address)
    }

    fn client(&self) -> Result<Client, NoAddress> {
        let url = self.url.expose_str().ok_or(NoAddress)?;
        let is_known = ["redis://", "rediss://", "unix://"].iter().any(|scheme| url.starts_with(scheme));
        let client =
            if is_known { Client::open(url).map_err(|_| NoAddress)? } else { return Err(NoAddress) };
        let ConnectionAddr::TcpTls { insecure, .. } = client.get_connection_info().addr() else {
            return Ok(client);
        };
        if *insecure {
            return Err(NoAddress);
        }
        Client::build_with_tls(url, self.papers.certificates()).map_err(|_| NoAddress)
    }

    /// Asks it for an answer.
    ///
    /// # Errors
    /// Where none comes.
    pub(super) async fn answers(&self) -> std::io::Result<()> {
        let client = self.client().map_err(std::io::Error::other)?;
        let asked = async { redis::cmd("PING").exec_async(&mut connect(&client, ANSWER).await?).await };
        asked.await.map_err(std::io::Error::other)
    }

    /// Host and port, or path; nothing that is secret.
    #[must_use]
    pub fn shown(&self) -> String {
        self.client()
            .map_or_else(|_| "nowhere".to_owned(), |client| client.get_connection_info().addr().to_string())
    }
}

impl Papers {
    fn certificates(&self) -> TlsCertificates {
        let shown = self.certificate.as_ref().map(|(chain, key)| ClientTlsConfig {
            client_cert: chain.clone(),
            client_key: key.expose().to_vec(),
        });
        TlsCertificates { client_tls: shown, root_cert: self.ca.clone() }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.shown())
    }
}

/// Why it goes on no longer.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("{0}")]
    Redis(#[from] RedisError),
    /// The process ends.
    #[error("nobody gives orders any more")]
    Dismissed,
}

/// How far the stream has been read.
#[derive(Debug, Default)]
struct Place {
    /// The name it had then.
    name: Option<Vec<u8>>,
    /// Up to this entry.
    last: (u64, u64),
}

/// Keeps what it is told, and learns what others keep. `first` hears when all that is kept is known for the first time.
pub(super) async fn work(
    address: Address,
    shared: Shared,
    mut orders: UnboundedReceiver<Order>,
    clock: Clock,
    first: SyncSender<std::io::Result<()>>,
) {
    let Ok(client) = address.client() else { return };
    let (mut outbox, mut place) = (Outbox::default(), Place::default());
    loop {
        match serve(&client, &shared, &mut orders, &mut outbox, &mut place, &clock, &first).await {
            Ok(()) | Err(Ended::Dismissed) => return,
            Err(Ended::Redis(error)) => shared.condition.lost(&error, clock.now()),
        }
        outbox.not_kept();
        let rest = tokio::time::sleep(RETRY);
        tokio::pin!(rest);
        loop {
            shared.condition.set_waiting(outbox.len());
            tokio::select! {
                () = &mut rest => break,
                order = orders.recv() => match order {
                    // Whoever asks meanwhile is told at once that it is not there.
                    Some(order) => outbox.take(order),
                    None => return,
                },
            }
            outbox.not_kept();
        }
    }
}

/// Two connections: one waits for news, the other adds to them.
async fn serve(
    client: &Client,
    shared: &Shared,
    orders: &mut UnboundedReceiver<Order>,
    outbox: &mut Outbox,
    place: &mut Place,
    clock: &Clock,
    first: &SyncSender<std::io::Result<()>>,
) -> Result<(), Ended> {
    let mut reader = connect(client, ANSWER + BLOCK).await?;
    let mut writer = connect(client, ANSWER).await?;
    if catch_up(&mut reader, shared, place, clock).await? {
        tracing::warn!("the store of revocations has lost what it held, and is told again");
        outbox.reseal = true;
    }
    send(&mut writer, shared, outbox, clock.now()).await?;
    shared.condition.reached();
    // Only the first time somebody waits for it.
    let _ = first.try_send(Ok(()));
    tokio::select! {
        ended = listen(&mut reader, shared, place, clock) => ended,
        ended = write(&mut writer, shared, orders, outbox, clock) => ended,
    }
}

async fn connect(client: &Client, answer: Duration) -> Result<MultiplexedConnection, RedisError> {
    let config =
        AsyncConnectionConfig::new().set_connection_timeout(Some(ANSWER)).set_response_timeout(Some(answer));
    client.get_multiplexed_async_connection_with_config(&config).await
}

/// Reads all that is there. Says whether it is less than there was.
async fn catch_up(
    redis: &mut MultiplexedConnection,
    shared: &Shared,
    place: &mut Place,
    clock: &Clock,
) -> Result<bool, Ended> {
    let ours = random::bytes::<16>().map(|byte| b"0123456789abcdef"[usize::from(byte % 16)]);
    redis::cmd("SET").arg(NAME).arg(&ours).arg("NX").query_async::<redis::Value>(redis).await?;
    let name: Vec<u8> = redis::cmd("GET").arg(NAME).query_async(redis).await?;
    let newest: StreamIds =
        redis::cmd("XREVRANGE").arg(STREAM).arg("+").arg("-").arg("COUNT").arg(1).query_async(redis).await?;
    let ends_at = newest.ids.first().map_or(BEGINNING, |entry| number(&entry.id));
    let has_lost = place.name.as_ref().is_some_and(|known| *known != name) || ends_at < place.last;
    if has_lost {
        place.last = BEGINNING;
    }
    place.name = Some(name);
    while read(redis, shared, place, None, clock.now()).await? {}
    Ok(has_lost)
}

type StreamIds = redis::streams::StreamRangeReply;

/// Waits for news for as long as the connection lasts.
async fn listen(
    redis: &mut MultiplexedConnection,
    shared: &Shared,
    place: &mut Place,
    clock: &Clock,
) -> Result<(), Ended> {
    loop {
        read(redis, shared, place, Some(BLOCK), clock.now()).await?;
    }
}

/// Reads on, and says whether there was anything.
async fn read(
    redis: &mut MultiplexedConnection,
    shared: &Shared,
    place: &mut Place,
    wait: Option<Duration>,
    now: UnixTime,
) -> Result<bool, Ended> {
    let mut question = redis::cmd("XREAD");
    question.arg("COUNT").arg(MANY);
    if let Some(wait) = wait {
        question.arg("BLOCK").arg(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    }
    let (time, sequence) = place.last;
    question.arg("STREAMS").arg(STREAM).arg(format!("{time}-{sequence}"));
    let answer: Option<StreamReadReply> = question.query_async(redis).await?;
    let entries: Vec<StreamId> =
        answer.into_iter().flat_map(|answer| answer.keys).flat_map(|stream| stream.ids).collect();
    let Some(last) = entries.last() else { return Ok(false) };
    place.last = number(&last.id);
    learn(&entries, shared, now);
    Ok(true)
}

fn learn(entries: &[StreamId], shared: &Shared, now: UnixTime) {
    let seal = shared.seal();
    let (mut revocations, mut foreign) = (Vec::with_capacity(entries.len()), 0);
    for entry in entries {
        let text: Vec<u8> = entry.get(FIELD).unwrap_or_default();
        match Entry::read(text.get(..entry::LONGEST).unwrap_or(&text), &seal) {
            Entry::Of(revocation) => revocations.push(revocation),
            Entry::OfAnotherKey | Entry::Damaged => foreign += 1,
        }
    }
    if foreign > 0 {
        // Whoever can write to Redis must not be able to end anybody's session, or everybody's.
        tracing::warn!(
            entries = foreign,
            "Redis holds revocations that no key of session.keys has sealed: they end nothing here"
        );
    }
    shared.learn(revocations, now);
}

/// An id, so that it can be compared: the time of Redis in milliseconds, and a number.
fn number(id: &str) -> (u64, u64) {
    let (time, sequence) = id.split_once('-').unwrap_or((id, "0"));
    (time.parse().unwrap_or_default(), sequence.parse().unwrap_or_default())
}

/// Keeps whatever comes for as long as the connection lasts.
async fn write(
    redis: &mut MultiplexedConnection,
    shared: &Shared,
    orders: &mut UnboundedReceiver<Order>,
    outbox: &mut Outbox,
    clock: &Clock,
) -> Result<(), Ended> {
    loop {
        outbox.take(orders.recv().await.ok_or(Ended::Dismissed)?);
        while let Ok(order) = orders.try_recv() {
            outbox.take(order);
        }
        send(redis, shared, outbox, clock.now()).await?;
    }
}

/// Adds what is to be kept, and knows it from then on.
async fn send(
    redis: &mut MultiplexedConnection,
    shared: &Shared,
    outbox: &mut Outbox,
    now: UnixTime,
) -> Result<(), Ended> {
    if outbox.reseal {
        add(redis, shared, &shared.all(now), now).await?;
        outbox.reseal = false;
    }
    let new = outbox.revocations();
    add(redis, shared, &new, now).await?;
    shared.learn(new, now);
    outbox.kept();
    shared.condition.set_waiting(0);
    Ok(())
}

async fn add(
    redis: &mut MultiplexedConnection,
    shared: &Shared,
    revocations: &[Revocation],
    now: UnixTime,
) -> Result<(), Ended> {
    let seal = shared.seal();
    let oldest = shared.oldest(now).0.saturating_sub(SKEW.as_secs()).saturating_mul(1000);
    for some in revocations.chunks(MANY) {
        let mut pipeline = Pipeline::with_capacity(some.len());
        for revocation in some {
            let text = entry::sealed(revocation, &seal);
            let add = pipeline.cmd("XADD").arg(STREAM).arg("MINID").arg("~").arg(oldest);
            add.arg("*").arg(FIELD).arg(text).ignore();
        }
        pipeline.query_async::<()>(redis).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_of_a_redis_and_does_not_print_its_password() {
        for url in [
            "redis://:hunter2@redis.internal:6379/1",
            "rediss://gateway:hunter2@redis.internal",
            "unix:///run/redis.sock",
        ] {
            let address = Address::parse(Secret::new(url), Papers::default()).unwrap();
            assert!(!format!("{address:?}").contains("hunter2"), "{address:?}");
        }
        for url in [
            "",
            "redis:",
            "http://redis.internal",
            "postgres://db",
            "redis://a b",
            "rediss://redis.internal#insecure",
        ] {
            assert_eq!(Address::parse(Secret::new(url), Papers::default()), Err(NoAddress), "{url:?}");
        }
    }

    #[test]
    fn ids_are_ordered_as_redis_orders_them() {
        assert!(number("1795300000000-9") < number("1795300000000-10"));
        assert!(number("999-0") < number("1795300000000-0"));
        assert_eq!(number("rubbish"), BEGINNING);
    }
}
