//! The fields of a request, `name: value` a line: what is taken out, and what is written for a member or a stranger.
//!
//! * For a member the app gets each identity field once, as we wrote it, and nothing that it could take for one.
//! * For a stranger it gets none at all.
//! * The signature holds, and is the only one under our label, whatever stood there before.
//! * Nothing is left that belongs to the client's own connection.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::OnceLock;
use std::time::Duration;

use http::header::{HOST, HeaderName, HeaderValue};
use member_gateway::field_lines::Lines;
use member_gateway::gateway::passage::{Customs, Held};
use member_gateway::gateway::via::Pseudonym;
use member_gateway::identity::keys::{Algorithm, SigningKey, SigningKeys};
use member_gateway::identity::{Attribute, Identity, RequestLine};
use member_gateway::message::Fields;
use member_gateway::route::Scheme;
use member_gateway::secret::Secret;
use member_gateway::server::peer::Client;
use member_gateway::upstream::fields::{ForwardedStyle, Whence, write_forwarding};
use member_gateway::verify::{Key, Request, Verifier};

use super::fields_of;
use super::members::{HOST as SITE_HOST, NOW, SIGNING_KEY, session};

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const OURS: [&str; 3] = ["x-member-id", "x-member-unit-id", "x-member-provider"];
/// Fields that two programs could read in two ways, and those of one connection; as CGI has them.
const NEVER: [&str; 7] =
    ["connection", "keep_alive", "proxy", "te", "trailer", "transfer_encoding", "upgrade"];

fn identity() -> &'static Identity {
    static IDENTITY: OnceLock<Identity> = OnceLock::new();
    IDENTITY.get_or_init(|| {
        let attributes = [Attribute::MemberId, Attribute::MemberUnitId, Attribute::Provider];
        let names = OURS.map(HeaderName::from_static);
        let key = SigningKey::new("1", Algorithm::HmacSha256, &Secret::new(SIGNING_KEY)).expect("a key");
        let keys = SigningKeys::new(vec![key]).expect("keys");
        Identity::new(attributes.into_iter().zip(names).collect(), &[], keys, Duration::from_secs(60))
    })
}

fn verifier() -> &'static Verifier {
    static VERIFIER: OnceLock<Verifier> = OnceLock::new();
    VERIFIER.get_or_init(|| Verifier::new(vec![Key::hmac("1", &Secret::new(SIGNING_KEY))]).at(SITE_HOST))
}

pub fn run(bytes: &[u8]) {
    let ours = OURS.map(folded);
    for via_trusted_proxy in [false, true] {
        let mut fields = leave(&fields_of(bytes), via_trusted_proxy);
        for name in fields.keys() {
            let folded = folded(name.as_str());
            assert!(!ours.contains(&folded), "{name} is left for a stranger");
            assert!(!NEVER.contains(&folded.as_str()), "{name} is left");
            assert!(folded != "signature_input" || name == "signature-input", "{name} is left");
        }
        let members = ["signature-input", "signature"].map(|name| dictionary(&fields, name));
        assert!(members.iter().all(|names| !names.iter().any(|name| name == "member")), "{members:?}");
        let again = leave(&fields, via_trusted_proxy);
        assert_eq!(again.len(), fields.len(), "what was left the first time goes the second time");

        // The fields of a member come behind what goes on, and what others have signed behind these.
        let others = ["signature-input", "signature"].map(|name| (name, lines_of(&mut fields, name)));
        let line = RequestLine { method: "GET", authority: SITE_HOST, path: "/a", query: Some("b") };
        identity().write(&mut fields, &session().member, None, &line, NOW, [5; 16]);
        for (name, line) in
            others.iter().flat_map(|(name, lines)| lines.iter().map(move |line| (*name, line)))
        {
            fields.append(HeaderName::from_static(name), line.clone());
        }
        let known: Vec<_> = fields.keys().map(|name| (folded(name.as_str()), name)).collect();
        for (at, value) in ["300418822-01", "300418822", "ymca"].into_iter().enumerate() {
            let lines: Vec<_> =
                known.iter().filter(|(name, _)| *name == ours[at]).map(|(_, name)| *name).collect();
            assert_eq!(lines, [OURS[at]]);
            assert_eq!(fields.get_all(OURS[at]).collect::<Vec<_>>(), [value]);
        }
        let lines = fields.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let proof = verifier().verify(&Request { method: "GET", target: "/a?b", fields: lines }, NOW);
        assert_eq!(proof.map(|proof| proof.expires), Ok(NOW.0 + 60));
        let first = |name: &str| dictionary(&fields, name).first().map(String::as_str) == Some("member");
        assert!(first("signature-input") && first("signature"));
    }
}

/// What goes on of a request, as it is done when it leaves.
fn leave(sent: &Fields, via_trusted_proxy: bool) -> Fields {
    let client = Client { peer: PEER, address: PEER, via_trusted_proxy };
    let (mut fields, held) = pass(sent, &client);
    let (peer, authority) = (HeaderValue::from_static("127.0.0.1"), HeaderValue::from_static(SITE_HOST));
    let whence = Whence { client: &client, peer: &peer, scheme: Scheme::Https, authority: &authority };
    write_forwarding(&mut fields, ForwardedStyle::Both, &whence, &held.before);
    fields.field(&HOST, &authority);
    for (name, line) in held.signatures.iter().flat_map(|others| others.iter()) {
        fields.field(name, line);
    }
    fields
}

/// What goes on of a request as it came, and what is held.
pub fn pass(sent: &Fields, client: &Client) -> (Fields, Held) {
    static PSEUDONYM: OnceLock<Pseudonym> = OnceLock::new();
    let customs = Customs {
        identity: identity(),
        client,
        pseudonym: PSEUDONYM.get_or_init(Pseudonym::default),
        keeps_id: true,
        keeps_parent: true,
        keeps_state: true,
    };
    let mut fields = Fields::new();
    let held = customs.pass(sent, &mut fields).expect("nobody knows the name of this gateway");
    (fields, held)
}

/// Takes out the lines of a field.
fn lines_of(fields: &mut Fields, name: &'static str) -> Vec<HeaderValue> {
    let lines = fields.get_all(name).cloned().collect();
    fields.remove(name);
    lines
}

/// A name as CGI has it.
fn folded(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
}

/// The labels in a field; none where it cannot be read.
fn dictionary(fields: &Fields, name: &str) -> Vec<String> {
    let lines: Vec<&[u8]> = fields.get_all(name).map(HeaderValue::as_bytes).collect();
    let parsed = sfv::Parser::new(&lines.join(&b", "[..])).parse::<sfv::Dictionary>();
    parsed.map(|dictionary| dictionary.keys().map(ToString::to_string).collect()).unwrap_or_default()
}
