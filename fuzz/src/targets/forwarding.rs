//! `Forwarded` and `X-Forwarded-*`: fields of a request, `name: value` a line, from peers that are trusted and not.
//!
//! * From a peer that is not trusted nothing is believed, and nothing of it goes on.
//! * Whom a trusted peer names stands in what it says, and everybody named behind is trusted too.
//! * The last hop that the app sees is the peer, and nobody named another one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::OnceLock;

use http::header::HeaderValue;
use member_gateway::message::Fields;
use member_gateway::route::Scheme;
use member_gateway::server::Arrival;
use member_gateway::server::Entrance;
use member_gateway::server::peer::{TrustedProxies, forwarded_host};
use member_gateway::upstream::fields::{ForwardedStyle, Whence, write_forwarding, written};

use super::fields::pass;
use super::fields_of;

const TRUSTED: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7));
const PEERS: [IpAddr; 4] = [
    TRUSTED,
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9)),
    IpAddr::V6(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0x0a00, 7)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
];

pub fn run(bytes: &[u8]) {
    static PROXIES: OnceLock<TrustedProxies> = OnceLock::new();
    let proxies = PROXIES.get_or_init(|| TrustedProxies::new(vec!["10.0.0.0/8".parse().expect("a network")]));
    for (peer, is_nameless) in PEERS.into_iter().flat_map(|peer| [(peer, false), (peer, true)]) {
        let fields = fields_of(bytes);
        let arrival = Arrival { peer, entrance: Entrance::Plain, tls: None, is_nameless };
        let client = proxies.client(arrival, &fields);
        let canonical = peer.to_canonical();
        assert_eq!(client.peer, canonical);
        assert_eq!(client.via_trusted_proxy, canonical == TRUSTED && !is_nameless);
        if !client.via_trusted_proxy {
            assert_eq!(client.address, canonical);
        } else if client.address != canonical {
            let named = named(&fields);
            let at = named.iter().rposition(|element| element.contains(&client.address));
            let at = at.unwrap_or_else(|| panic!("{} out of nothing", client.address));
            let is_trusted = |element: &Vec<IpAddr>| element.iter().any(|&hop| proxies.trusts(hop));
            assert!(named[at + 1..].iter().all(is_trusted), "{} by somebody else", client.address);
        }
        if let Some(host) = forwarded_host(&fields) {
            assert!(!host.contains(&b','));
        }
        let hops_before = lines(&fields, "x-forwarded-for");

        let (mut fields, held) = pass(&fields, &client);
        for name in ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "forwarded"] {
            assert!(!fields.contains_key(name), "{name} goes on");
        }
        let authority = HeaderValue::from_static("members.localhost");
        let text = written(client.peer);
        let whence = Whence { client: &client, peer: &text, scheme: Scheme::Https, authority: &authority };
        write_forwarding(&mut fields, ForwardedStyle::Both, &whence, &held.before);
        let hops = lines(&fields, "x-forwarded-for");
        assert_eq!(hops.len(), 1);
        let last = hops[0].rsplit(|&byte| byte == b',').next().unwrap_or_default().trim_ascii();
        assert_eq!(last, text.as_bytes());
        if !client.via_trusted_proxy || hops_before.is_empty() {
            assert_eq!(hops[0], text.as_bytes());
        }
        assert_eq!(fields.get_all("x-real-ip").collect::<Vec<_>>(), [&written(client.address)]);
        let elements = lines(&fields, "forwarded");
        assert_eq!(elements.len(), 1);
        assert!(elements[0].ends_with(b";host=\"members.localhost\";proto=https"));
    }
}

fn lines(fields: &Fields, name: &str) -> Vec<Vec<u8>> {
    fields.get_all(name).map(|line| line.as_bytes().to_vec()).collect()
}

/// The addresses in each element of what tells where a request came from, in whichever spelling.
fn named(fields: &Fields) -> Vec<Vec<IpAddr>> {
    let hops = lines(fields, "x-forwarded-for");
    let all = if hops.is_empty() { lines(fields, "forwarded") } else { hops }.join(&b',');
    let is_end = |c: char| matches!(c, ';' | '=' | '"' | '[' | ']' | ' ' | '\t');
    let address = |word: &str| {
        let without_port = word.rsplit_once(':').map_or(word, |(host, _)| host);
        word.parse().or_else(|_| without_port.parse::<IpAddr>()).ok().map(|address| address.to_canonical())
    };
    let element = |text: &str| text.split(is_end).filter_map(address).collect();
    String::from_utf8_lossy(&all).split(',').map(element).collect()
}
