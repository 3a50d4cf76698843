//! What the rooms on the way of an authenticated request cost, each by itself: time, and bytes and number of allocations.
//!
//! `cargo bench` prints the table. The figures are of one machine on one day; compare only what ran side by side.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use divan::{AllocProfiler, Bencher, black_box};
use http::Method;
use http::header::{COOKIE, HeaderName, HeaderValue};
use member_gateway::gateway::passage::Customs;
use member_gateway::gateway::via::Pseudonym;
use member_gateway::identity::keys::{Algorithm, SigningKey, SigningKeys};
use member_gateway::identity::{Attribute, Identity, RequestLine};
use member_gateway::member::{Member, MemberId, MemberUnitId, Profile, ProviderName};
use member_gateway::message::Fields;
use member_gateway::random;
use member_gateway::revocation::{Revocation, Revocations, Target};
use member_gateway::route::path::Readings;
use member_gateway::route::pattern::Pattern;
use member_gateway::route::rule::{Access, Allow, Rule, Rules, Unauthenticated};
use member_gateway::route::{Origin, Scheme, Sites};
use member_gateway::secret::Secret;
use member_gateway::server::framing::Framing;
use member_gateway::server::peer::Client;
use member_gateway::session::cookie::{self, Cookies};
use member_gateway::session::seal::{KeyRing, Purpose};
use member_gateway::session::{Policy, Session, SessionId};
use member_gateway::time::UnixTime;
use member_gateway::upstream::fields::{self, Before, ForwardedStyle, Whence};
use member_gateway::upstream::outgoing::Head;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const NOW: UnixTime = UnixTime(1_795_300_000);
const SITE: &str = "https://members.example.org";

fn main() {
    divan::main();
}

fn member() -> Member {
    Member {
        provider: ProviderName::new("ymca").expect("a name"),
        id: MemberId::new("400007995-00").expect("an id"),
        unit_id: MemberUnitId::new("400007995").expect("an id"),
        profile: Profile::default(),
    }
}

fn ring() -> KeyRing {
    KeyRing::new([&Secret::new(*b"0123456789abcdef0123456789abcdef")]).expect("a key")
}

fn cookies() -> Cookies {
    let policy = Policy { idle_timeout: Duration::from_secs(3600), max_age: Duration::from_secs(43_200) };
    Cookies::new(&ring(), SITE, true, policy)
}

fn identity(algorithm: Algorithm) -> Identity {
    let secret = Secret::new(*b"0123456789abcdef0123456789abcdef");
    let key = SigningKey::new("2026-11", algorithm, &secret).expect("a key");
    let fields = [
        (Attribute::MemberId, HeaderName::from_static("x-member-id")),
        (Attribute::MemberUnitId, HeaderName::from_static("x-member-unit-id")),
        (Attribute::Provider, HeaderName::from_static("x-member-provider")),
    ];
    Identity::new(fields.to_vec(), &[], SigningKeys::new(vec![key]).expect("a key"), Duration::from_secs(60))
}

/// The fields of a browser, with four cookies, one of them ours.
fn request() -> Fields {
    let session = Session::begin(SessionId([7; 16]), member(), NOW, NOW);
    let ours = cookies().set_session(&session);
    let ours = ours.to_str().expect("ASCII").split(';').next().expect("a cookie").to_owned();
    let cookie =
        format!("_ga=GA1.2.123456789.1700000000; theme=dark; {ours}; PHPSESSID=k2j3h4k2j3h4k2j3h4k2j3h4k2");
    let mut fields = Fields::new();
    for (name, value) in [
        ("host", "members.example.org"),
        (
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0 Safari/537.36",
        ),
        ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"),
        ("accept-language", "en-US,en;q=0.9,es;q=0.8"),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
        ("sec-fetch-site", "same-origin"),
        ("referer", "https://members.example.org/"),
        ("connection", "keep-alive"),
    ] {
        fields.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    fields.insert(COOKIE, HeaderValue::try_from(cookie).expect("ASCII"));
    fields
}

/// Of whom that many have been signed out, and the one who asks has not.
#[divan::bench(args = [0, 1_000_000])]
fn look_up_a_revocation(bencher: Bencher<'_, '_>, number: u64) {
    let revocations = Revocations::default();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        for ended in 0..number {
            let id = SessionId((u128::from(ended) << 8).to_be_bytes());
            revocations.sign_out(id, NOW).await.expect("it is kept in memory");
        }
        for member in 0..number.min(1000) {
            let target = Target::Member(MemberId::new(format!("{member}")).expect("an id"));
            revocations.revoke(Revocation { target, provider: None, at: NOW }).await.expect("the same");
        }
    });
    let session = Session::begin(SessionId([7; 16]), member(), NOW, NOW);
    bencher.bench_local(|| revocations.have_ended(black_box(&session)));
}

#[divan::bench]
fn seal_a_session(bencher: Bencher<'_, '_>) {
    let (cookies, session) = (cookies(), Session::begin(SessionId([7; 16]), member(), NOW, NOW));
    bencher.bench_local(|| cookies.set_session(black_box(&session)));
}

/// As much as a session holds, without the fields around it.
#[divan::bench]
fn seal_bytes(bencher: Bencher<'_, '_>) {
    let seal = ring().bind(Purpose::Session, SITE);
    bencher.bench_local(|| seal.seal(black_box(&[7; 120]), random::bytes()));
}

#[divan::bench]
fn open_bytes(bencher: Bencher<'_, '_>) {
    let seal = ring().bind(Purpose::Session, SITE);
    let sealed = seal.seal(&[7; 120], random::bytes());
    bencher.bench_local(|| seal.open(black_box(sealed.as_bytes())).is_some());
}

/// A stranger's cookies: 40 of other programs, some 1.8 kB, and none of ours.
#[divan::bench]
fn find_no_session(bencher: Bencher<'_, '_>) {
    let line: Vec<String> =
        (0..40).map(|number| format!("preference-{number}=0123456789abcdef0123456789")).collect();
    let line = HeaderValue::try_from(line.join("; ")).expect("ASCII");
    let (cookies, request) = (cookies(), Fields::from_iter([(COOKIE, line)]));
    bencher.bench_local(|| cookies.session(black_box(&request), NOW));
}

#[divan::bench]
fn find_and_open_the_session(bencher: Bencher<'_, '_>) {
    let (cookies, request) = (cookies(), request());
    bencher.bench_local(|| cookies.session(black_box(&request), NOW));
}

#[divan::bench]
fn take_our_cookie_out(bencher: Bencher<'_, '_>) {
    let request = request();
    bencher.bench_local(|| cookie::without_ours(black_box(request.get(COOKIE).expect("cookies"))));
}

/// The head of a request to an upstream, as HTTP/1.1 has it.
fn head() -> Head {
    Head::Octets(Vec::with_capacity(4096))
}

#[divan::bench]
fn pass_on_what_is_for_the_upstream(bencher: Bencher<'_, '_>) {
    let (identity, request) = (identity(Algorithm::HmacSha256), request());
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let client = Client { peer, address: peer, via_trusted_proxy: false };
    let customs = Customs {
        identity: &identity,
        client: &client,
        pseudonym: &Pseudonym::default(),
        keeps_id: false,
        keeps_parent: false,
        keeps_state: false,
    };
    bencher
        .with_inputs(head)
        .bench_local_refs(|lines| customs.pass(black_box(&request), lines).map(|held| held.binds));
}

#[divan::bench(args = [Algorithm::HmacSha256, Algorithm::Ed25519])]
fn write_and_sign(bencher: Bencher<'_, '_>, algorithm: Algorithm) {
    let (identity, member) = (identity(algorithm), member());
    let line = RequestLine {
        method: "GET",
        authority: "members.example.org",
        path: "/classes",
        query: Some("week=2"),
    };
    bencher
        .with_inputs(head)
        .bench_local_refs(|lines| identity.write(lines, &member, None, &line, NOW, random::nonce()));
}

#[divan::bench]
fn write_where_it_came_from(bencher: Bencher<'_, '_>) {
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let client = Client { peer, address: peer, via_trusted_proxy: false };
    let (peer, authority) = (fields::written(peer), HeaderValue::from_static("members.example.org"));
    let whence = Whence { client: &client, peer: &peer, scheme: Scheme::Https, authority: &authority };
    bencher.with_inputs(head).bench_local_refs(|lines| {
        fields::write_forwarding(lines, ForwardedStyle::X, &whence, &Before::default());
    });
}

#[divan::bench(args = [1, 1000])]
fn find_the_site(bencher: Bencher<'_, '_>, sites: usize) {
    let origin = |number| Origin::parse(&format!("https://site-{number}.example.org")).expect("an origin");
    let all = Sites::new((0..sites).map(origin).collect());
    let authority = format!("site-{}.example.org", sites / 2);
    bencher.bench_local(|| all.find(black_box(authority.as_bytes())));
}

/// The last rule is the one that matches.
#[divan::bench(args = [4, 500])]
fn find_the_rule(bencher: Bencher<'_, '_>, rules: usize) {
    let rule = |path: &str| Rule {
        pattern: Pattern::parse(path).expect("a pattern"),
        methods: None,
        access: Access::Public,
        unauthenticated: Unauthenticated::Auto,
        allow: Allow::default(),
        origins: Vec::new(),
    };
    let others = (1..rules).map(|number| rule(&format!("/part-{number}/*/pages/**")));
    let rules = Rules::new(others.chain([rule("/classes/**")]).collect(), false);
    bencher.bench_local(|| {
        let readings = Readings::of(black_box(b"/classes/2026/11")).expect("one reading");
        rules.find(&Method::GET, &readings).map(|rule| rule.access)
    });
}

#[divan::bench]
fn follow_the_framing_of_a_head(bencher: Bencher<'_, '_>) {
    let mut head = b"GET /classes?week=2 HTTP/1.1\r\n".to_vec();
    for (name, value) in &request() {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    let mut framing = Framing::new();
    bencher
        .counter(divan::counter::BytesCount::of_slice(&head))
        .bench_local(|| framing.follow(black_box(&head)));
}
