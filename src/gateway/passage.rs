//! Passage: which fields of a client's request go on to the app, line by line.
//!
//! Every line is looked at once, and by its name it is decided whether it goes on as it came, goes on without what is ours,
//! or stays behind. What the gateway says itself comes behind them, so nothing that a client says can take it away again.

use http::header::{HeaderName, VIA};

use super::via::Pseudonym;
use crate::field_lines::Lines;
use crate::identity::Identity;
use crate::identity::signature::{Others, SIGNATURE};
use crate::message::Fields;
use crate::server::peer::Client;
use crate::session::cookie;
use crate::upstream::fields::{self, Before, OfConnection};

/// Who decides which fields of a request go on.
#[derive(Debug)]
pub struct Customs<'a> {
    /// Which fields nobody may write but the gateway.
    pub identity: &'a Identity,
    /// Who sent the request.
    pub client: &'a Client,
    /// The gateway's own name in `Via`.
    pub pseudonym: &'a Pseudonym,
    /// The client's `X-Request-Id` counts.
    pub keeps_id: bool,
    /// The client's `traceparent` counts.
    pub keeps_parent: bool,
    /// The client's `tracestate` counts.
    pub keeps_state: bool,
}

/// What is to be known of fields that did not go on, or not yet.
#[derive(Debug, Default)]
pub struct Held {
    /// Where the request came from, as a trusted proxy wrote it.
    pub before: Before,
    /// The signatures of others, which are to stand behind ours.
    pub signatures: Option<Box<Fields>>,
    /// A field that nobody but the gateway may write.
    pub lookalike: Option<HeaderName>,
    /// The credentials are for the connection.
    pub binds: bool,
    /// The client says that there is no body, which some apps want to be told.
    pub says_empty: bool,
}

/// A request that this gateway has forwarded before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request has been here before")]
pub struct InCircles;

impl Customs<'_> {
    /// Passes on the fields of a request that are for the app.
    ///
    /// # Errors
    /// [`InCircles`] where the request has been here before.
    pub fn pass(&self, sent: &Fields, lines: &mut impl Lines) -> Result<Held, InCircles> {
        let mut held = Held::default();
        let mut signatures = Fields::new();
        let named = OfConnection::named_in(sent);
        for (name, value) in sent {
            let text = name.as_str();
            if self.identity.is_guarded(text) {
                held.lookalike.get_or_insert_with(|| name.clone());
                continue;
            }
            // Nobody names it away, or a request could go in circles.
            if named.contains(name) && *name != VIA {
                continue;
            }
            let goes_on = match text {
                // Ours is written: that of the site, and how long the body is as far as we know it.
                "host" => false,
                "content-length" => {
                    held.says_empty |= value == "0";
                    false
                }
                "cookie" => match cookie::without_ours(value) {
                    None => true,
                    Some(others) => {
                        if !others.is_empty() {
                            lines.text(name, &others);
                        }
                        false
                    }
                },
                "signature" | "signature-input" => {
                    signatures.append(name, value.clone());
                    false
                }
                "authorization" => {
                    held.binds |= fields::names_scheme_of_connections(value);
                    true
                }
                "via" if self.pseudonym.has_signed(value) => return Err(InCircles),
                "x-request-id" => self.keeps_id,
                "traceparent" => self.keeps_parent,
                "tracestate" => self.keeps_state,
                "x-forwarded-for" | "forwarded" if self.client.via_trusted_proxy => {
                    held.before.take(name, value);
                    false
                }
                _ => !fields::is_not_for_upstreams(name),
            };
            if goes_on {
                lines.field(name, value);
            }
        }
        if !signatures.is_empty() {
            let Others { fields, had_ours } = Others::of(signatures);
            if had_ours {
                held.lookalike.get_or_insert(SIGNATURE);
            }
            held.signatures = (!fields.is_empty()).then(|| Box::new(fields));
        }
        Ok(held)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderValue;

    use super::*;
    use crate::identity::Attribute;
    use crate::identity::keys::{Algorithm, SigningKey, SigningKeys};
    use crate::route::Scheme;
    use crate::secret::Secret;
    use crate::upstream::fields::{ForwardedStyle, Whence, write_forwarding, written};

    fn map(fields: &[(&str, &str)]) -> Fields {
        let name = |name: &str| HeaderName::try_from(name).unwrap();
        fields.iter().map(|(field, value)| (name(field), value.parse().unwrap())).collect()
    }

    fn client(peer: &str, address: &str, via_trusted_proxy: bool) -> Client {
        Client { peer: peer.parse().unwrap(), address: address.parse().unwrap(), via_trusted_proxy }
    }

    fn passed(sent: &[(&str, &str)], client: &Client) -> (Fields, Held) {
        passed_by(&Pseudonym::default(), true, sent, client).unwrap()
    }

    /// The same, with another name for the gateway, and where what the client says of ids and traces need not count.
    fn passed_by(
        pseudonym: &Pseudonym,
        keeps: bool,
        sent: &[(&str, &str)],
        client: &Client,
    ) -> Result<(Fields, Held), InCircles> {
        let key = Secret::new(*b"0123456789abcdef0123456789abcdef");
        let key = SigningKey::new("1", Algorithm::HmacSha256, &key).unwrap();
        let guarded = vec![(Attribute::MemberId, HeaderName::from_static("x-guarded"))];
        let keys = SigningKeys::new(vec![key]).unwrap();
        let customs = Customs {
            identity: &Identity::new(guarded, &[], keys, Duration::from_secs(60)),
            client,
            pseudonym,
            keeps_id: keeps,
            keeps_parent: keeps,
            keeps_state: keeps,
        };
        let mut lines = Fields::new();
        let held = customs.pass(&map(sent), &mut lines)?;
        Ok((lines, held))
    }

    /// What an upstream of `https://members.example.org:8443` gets.
    fn sent(style: ForwardedStyle, fields: &[(&str, &str)], client: &Client) -> Fields {
        let (mut lines, held) = passed(fields, client);
        let whence = Whence {
            client,
            peer: &written(client.peer),
            scheme: Scheme::Https,
            authority: &HeaderValue::from_static("members.example.org:8443"),
        };
        write_forwarding(&mut lines, style, &whence, &held.before);
        lines
    }

    #[test]
    fn a_chain_that_connection_names_is_not_continued() {
        let before = [("connection", "X-Forwarded-For"), ("x-forwarded-for", "198.51.100.1")];
        let fields = sent(ForwardedStyle::X, &before, &client("10.0.0.1", "10.0.0.1", true));
        assert_eq!(fields["x-forwarded-for"], "10.0.0.1");
    }

    #[test]
    fn what_an_upstream_may_take_for_another_field_does_not_go_on() {
        let fields = [
            ("content-length", "0"),
            ("Content_Length", "2"),
            ("transfer.encoding", "chunked"),
            ("keep*alive", "timeout=5"),
            ("proxy_authorization", "Basic eDp5"),
            ("x_request~id", "3"),
            ("x-request-id", "4"),
            ("x-guarded", "5"),
            ("x-guarded-not", "6"),
            ("expect", "100-continue"),
            ("trailer", "x-checksum"),
            ("te", "trailers"),
        ];
        let (lines, held) = passed(&fields, &client("192.0.2.1", "192.0.2.1", false));
        assert_eq!(lines, map(&[("x-request-id", "4"), ("x-guarded-not", "6")]));
        assert_eq!(held.lookalike, Some(HeaderName::from_static("x-guarded")));
    }

    /// It would stand beside chunks, or beside another one.
    #[test]
    fn how_long_the_body_is_does_not_go_on_in_the_words_of_the_client() {
        for (length, says_empty) in [("0", true), ("7", false)] {
            let (lines, held) =
                passed(&[("content-length", length)], &client("192.0.2.1", "192.0.2.1", false));
            assert_eq!((lines.is_empty(), held.says_empty), (true, says_empty), "{length}");
        }
    }

    #[test]
    fn what_connection_names_does_not_go_on() {
        let fields = [
            ("connection", "close, X-Odd"),
            ("connection", "cookie"),
            ("x-odd", "1"),
            ("cookie", "a=1"),
            ("accept", "*/*"),
        ];
        let (lines, _) = passed(&fields, &client("192.0.2.1", "192.0.2.1", false));
        assert_eq!(lines, map(&[("accept", "*/*")]));
    }

    #[test]
    fn credentials_of_a_connection_go_on_and_are_seen_wherever_they_stand() {
        for (credentials, binds) in [
            (&["Bearer x"][..], false),
            (&["NTLM TlRM"], true),
            (&["NTLM TlRM", "Bearer x"], true),
            (&["Bearer x", "Negotiate YII="], true),
        ] {
            let fields: Vec<_> = credentials.iter().map(|line| ("authorization", *line)).collect();
            let (lines, held) = passed(&fields, &client("192.0.2.1", "192.0.2.1", false));
            assert_eq!((lines, held.binds), (map(&fields), binds), "{credentials:?}");
        }
    }

    #[test]
    fn ids_and_traces_of_a_client_go_on_where_they_count_and_nowhere_else() {
        let fields = [("x-request-id", "1"), ("traceparent", "2"), ("tracestate", "3")];
        for (keeps, expected) in [(true, map(&fields)), (false, Fields::new())] {
            let client = client("192.0.2.1", "192.0.2.1", false);
            let (lines, _) = passed_by(&Pseudonym::default(), keeps, &fields, &client).unwrap();
            assert_eq!(lines, expected, "{keeps}");
        }
    }

    #[test]
    fn a_request_that_has_been_here_goes_no_further_and_others_say_where_they_have_been() {
        let (pseudonym, client) = (Pseudonym::default(), client("192.0.2.1", "192.0.2.1", false));
        let own = pseudonym.entry();
        for connection in ["close", "via"] {
            let fields = [("connection", connection), ("via", own.to_str().unwrap())];
            assert_eq!(passed_by(&pseudonym, true, &fields, &client).unwrap_err(), InCircles, "{connection}");
        }
        let (lines, _) = passed_by(&pseudonym, true, &[("via", "1.0 fred")], &client).unwrap();
        assert_eq!(lines, map(&[("via", "1.0 fred")]));
    }

    #[test]
    fn signatures_of_others_wait_for_ours() {
        let fields = [("signature", "sig1=:AAAA:, member=:BBBB:"), ("signature", "sig2=:CCCC:")];
        let (lines, held) = passed(&fields, &client("192.0.2.1", "192.0.2.1", false));
        assert!(lines.is_empty());
        assert_eq!(*held.signatures.unwrap(), map(&[("signature", "sig1=:AAAA:, sig2=:CCCC:")]));
        assert_eq!(held.lookalike, Some(SIGNATURE));
    }

    #[test]
    fn nobody_but_a_trusted_proxy_says_where_a_request_came_from() {
        let forged = [
            ("x-forwarded-for", "6.6.6.6"),
            ("X_Forwarded_For", "6.6.6.6"),
            ("x-forwarded-user", "admin"),
            ("x.forwarded.host", "evil.test"),
            ("x-real-ip", "6.6.6.6"),
            ("X_Real_IP", "6.6.6.6"),
            ("forwarded", "for=6.6.6.6"),
            ("proxy", "http://evil.test"),
            ("x-forwarded", "kept"),
            ("x-forwards-a", "kept"),
        ];
        let fields = sent(ForwardedStyle::X, &forged, &client("192.0.2.1", "192.0.2.1", false));
        let expected = map(&[
            ("x-forwarded", "kept"),
            ("x-forwards-a", "kept"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-real-ip", "192.0.2.1"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "members.example.org:8443"),
        ]);
        assert_eq!(fields, expected);
    }

    #[test]
    fn what_a_trusted_proxy_said_is_continued() {
        let before = [
            ("x-forwarded-for", "198.51.100.1"),
            ("x-forwarded-for", "10.0.0.2"),
            ("forwarded", "for=198.51.100.1"),
        ];
        let fields = sent(ForwardedStyle::Both, &before, &client("10.0.0.1", "198.51.100.1", true));
        assert_eq!(fields["x-forwarded-for"], "198.51.100.1, 10.0.0.2, 10.0.0.1");
        assert_eq!(fields["x-real-ip"], "198.51.100.1");
        assert_eq!(
            fields["forwarded"],
            "for=198.51.100.1, for=10.0.0.1;host=\"members.example.org:8443\";proto=https"
        );
    }

    #[test]
    fn each_style_sends_what_it_says() {
        let sent = |style| {
            let forged = [("forwarded", "for=6.6.6.6"), ("x-forwarded-for", "6.6.6.6")];
            let fields = sent(style, &forged, &client("2001:db8::1", "2001:db8::1", false));
            let mut names: Vec<String> = fields.keys().map(|name| name.as_str().to_owned()).collect();
            names.sort();
            names
        };
        let x = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"];
        assert_eq!(sent(ForwardedStyle::X), x);
        assert_eq!(sent(ForwardedStyle::Rfc7239), ["forwarded"]);
        assert_eq!(sent(ForwardedStyle::Both), [&["forwarded"], &x[..]].concat());
        assert_eq!(sent(ForwardedStyle::Neither), [""; 0]);
    }
}
