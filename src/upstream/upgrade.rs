//! Upgrades: a WebSocket handshake goes through, and what follows it is a tunnel.
//!
//! No other protocol is upgraded to (RFC 9110 §7.8 lets an intermediary choose): `h2c` in particular would open a tunnel
//! past everything this gateway checks.

use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::{Method, Version};

use super::http1::Switched;
use super::websocket::{self, CloseCode};
use crate::drain::{Draining, Stage};
use crate::message::Fields;
use crate::random;
use crate::server::incoming::OnUpgrade;

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");

/// Whether a request is a WebSocket handshake (RFC 6455 §4.2.1). One that came over HTTP/2, where it is a CONNECT, has been
/// given the same form by now.
#[must_use]
pub fn is_websocket(method: &Method, version: Version, fields: &Fields) -> bool {
    method == Method::GET && version >= Version::HTTP_11 && asks_for_websocket(fields)
}

/// Whether a message names exactly `websocket` as what the connection is to become.
#[must_use]
pub fn asks_for_websocket(fields: &Fields) -> bool {
    let mut upgrades = fields.get_all(UPGRADE);
    let only_websocket = matches!(
        (upgrades.next(), upgrades.next()),
        (Some(value), None) if value.as_bytes().eq_ignore_ascii_case(b"websocket")
    );
    let named = || {
        fields
            .get_all(CONNECTION)
            .flat_map(|line| line.as_bytes().split(|&byte| byte == b','))
            .any(|name| name.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
    };
    only_websocket && named()
}

/// Writes the fields of a handshake anew, after those of the other connection are gone.
pub fn write_fields(fields: &mut Fields) {
    fields.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    fields.insert(UPGRADE, WEBSOCKET);
}

/// Lets both ends talk to each other until both have finished, the gateway ends, or the session is `over` for which they
/// began, where there is one.
pub fn tunnel(
    client: OnUpgrade,
    upstream: Switched,
    draining: &Draining,
    over: Option<impl Future<Output = ()> + 'static>,
) {
    let (draining, at_work) = (draining.clone(), draining.begin());
    tokio::task::spawn_local(async move {
        let _at_work = at_work;
        let client = match client.upgraded().await {
            Ok(client) => client,
            Err(error) => {
                tracing::debug!(%error, "a tunnel did not come about");
                return;
            }
        };
        let ending = async {
            let over = async {
                match over {
                    Some(over) => over.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = draining.reaches(Stage::Closing) => CloseCode::GoingAway,
                () = over => CloseCode::PolicyViolation,
            }
        };
        if let Err(error) =
            websocket::tunnel(client, upstream, random::bytes(), ending, websocket::ECHO).await
        {
            tracing::debug!(%error, "a tunnel ended early");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_websocket_is_upgraded_to() {
        for (connection, upgrade, expected) in [
            ("Upgrade", "websocket", true),
            ("keep-alive, upgrade", "WebSocket", true),
            ("Upgrade", "h2c", false),
            ("Upgrade", "websocket, h2c", false),
            ("keep-alive", "websocket", false),
        ] {
            let mut fields = Fields::new();
            fields.insert(CONNECTION, HeaderValue::from_static(connection));
            fields.insert(UPGRADE, HeaderValue::from_static(upgrade));
            assert_eq!(
                is_websocket(&Method::GET, Version::HTTP_11, &fields),
                expected,
                "{connection}: {upgrade}"
            );
            assert!(!is_websocket(&Method::POST, Version::HTTP_11, &fields));
        }
    }
}
