//! A file of ended sessions, as a gateway keeps one: what it reads at its start and then looks through for each request.

use std::io;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::try_join_all;
use member_gateway::revocation::{Outage, Revocation, Revocations, Settings, Store, Target};
use member_gateway::secret::Secret;
use member_gateway::session::SessionId;
use member_gateway::session::seal::{KeyRing, Purpose};
use member_gateway::time::Clock;

/// What is kept at once; nobody waits for longer than some seconds to hear that it is.
const AT_ONCE: u64 = 20_000;

/// Ends this many sessions, none of which anybody has, with the key that a gateway has in `session.keys`.
pub(crate) async fn keep(file: &Path, key: &str, count: u64) -> io::Result<()> {
    let key = Secret::new(URL_SAFE_NO_PAD.decode(key).map_err(io::Error::other)?);
    let seal = KeyRing::new([&key]).map_err(io::Error::other)?.bind(Purpose::Revocation, "");
    let store = Store::File(file.to_owned());
    let (revocations, clock) = (Revocations::default(), Clock::System);
    let max_age = Duration::from_secs(12 * 60 * 60);
    revocations.begin(&Settings { store, outage: Outage::Serve, seal, max_age }, &clock)?;
    let mut ended = 0;
    while ended < count {
        let next = count.min(ended + AT_ONCE);
        let keeping = (ended..next).map(|number| {
            let target = Target::Session(SessionId((u128::from(number) << 64).to_be_bytes()));
            revocations.revoke(Revocation { target, provider: None, at: clock.now() })
        });
        try_join_all(keeping).await.map_err(io::Error::other)?;
        ended = next;
    }
    Ok(())
}
