//! TLS towards browsers: which certificate, which versions, how fast, and HTTP over it as strict and whole as without.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, NamedGroup, ProtocolVersion};

use crate::harness::{
    Authority, Folder, Gateway, Options, RawUpstream, Secured, client, eventually, head, last_head, trusting,
};

const NAME: &str = "members.localhost";
const TLS: &str = "tls = { certificates = [{ cert = \"site.pem\", key = \"site.key\" }] }";

/// A gateway with TLS on its only address, its folder and who issued its certificate.
struct Scene {
    gateway: Gateway,
    folder: Folder,
    authority: Authority,
}

impl Scene {
    fn new() -> Self {
        Self::with(TLS, None)
    }

    fn with(server: &'static str, upstream: Option<&RawUpstream>) -> Self {
        let authority = Authority::new();
        let folder = Folder::empty();
        replace(folder.path(), &authority.issue(&[NAME]));
        let upstream = upstream.map(RawUpstream::address);
        let folder_of = Some(folder.path().to_owned());
        let gateway = Gateway::with(&Options { server, upstream, folder: folder_of, ..Options::default() });
        Self { gateway, folder, authority }
    }

    fn connect(&self) -> Secured {
        Secured::to(self.gateway.address(), NAME, &Arc::new(trusting(&self.authority))).unwrap()
    }
}

/// Puts a certificate and its key in place.
fn replace(folder: &Path, (certificate, key): &(String, String)) {
    std::fs::write(folder.join("site.pem"), certificate).unwrap();
    std::fs::write(folder.join("site.key"), key).unwrap();
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

#[test]
fn a_certificate_goes_with_the_name_a_browser_asks_for_and_otherwise_it_is_the_first() {
    let authority = Authority::new();
    let names: [&[&str]; 3] = [&[NAME], &["*.clubs.test", "clubs.test"], &["north.clubs.test"]];
    let issued = names.map(|names| authority.issue(names));
    let mut folder = Folder::empty();
    for ((certificate, key), name) in issued.iter().zip(["a", "b", "c"]) {
        folder = folder.and(&format!("{name}.pem"), certificate).and(&format!("{name}.key"), key);
    }
    let gateway = Gateway::with(&Options {
        server: "tls = { certificates = [{ cert = \"a.pem\", key = \"a.key\" }, \
                 { cert = \"b.pem\", key = \"b.key\" }, { cert = \"c.pem\", key = \"c.key\" }] }",
        folder: Some(folder.path().to_owned()),
        ..Options::default()
    });
    let client = Arc::new(client(&[&TLS13]));
    for (name, expected) in [
        (NAME, 0),
        ("MEMBERS.localhost", 0),
        ("clubs.test", 1),
        ("south.clubs.test", 1),
        ("SOUTH.Clubs.test", 1),
        ("north.clubs.test", 2),
        ("deep.south.clubs.test", 0),
        ("test", 0),
        ("evil.example", 0),
        // No name is sent for an address.
        ("127.0.0.1", 0),
    ] {
        let connection = Secured::to(gateway.address(), name, &client).unwrap();

        assert_eq!(connection.certificate(), der(&issued[expected].0), "{name}");
    }
}

#[test]
fn the_authority_of_a_request_decides_whatever_name_the_handshake_had() {
    let scene = Scene::new();
    let client = Arc::new(client(&[&TLS13]));
    for name in [NAME, "evil.test", "127.0.0.1"] {
        for (host, status) in [(NAME, "200"), ("evil.test", "421")] {
            let mut connection = Secured::to(scene.gateway.address(), name, &client).unwrap();
            connection.send(format!("GET /public/a HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));

            let answer = connection.rest();
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{name}, {host}: {answer}");
        }
    }
}

#[test]
fn tls_1_3_and_1_2_are_spoken() {
    let scene = Scene::new();
    for (version, expected) in [(&TLS13, ProtocolVersion::TLSv1_3), (&TLS12, ProtocolVersion::TLSv1_2)] {
        let mut config = client(&[version]);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut connection = Secured::to(scene.gateway.address(), NAME, &Arc::new(config)).unwrap();

        assert_eq!(connection.0.conn.protocol_version(), Some(expected));
        assert_eq!(connection.0.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        connection.send(last_head("GET /public/a", ""));
        assert!(connection.rest().ends_with("hello from the upstream"), "{expected:?}");
    }
}

/// What `openssl s_client` says of a handshake with these options.
fn s_client(gateway: &Gateway, options: &[&str]) -> String {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &gateway.address().to_string(), "-servername", NAME]).args(options);
    let ended = command.stdin(Stdio::null()).output().unwrap();
    String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned()
}

#[test]
fn nothing_older_is_spoken_and_no_cipher_that_does_not_authenticate() {
    let scene = Scene::new();
    for (options, spoken) in [
        (&["-tls1_3"][..], true),
        (&["-tls1_2"], true),
        (&["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"], false),
        (&["-tls1", "-cipher", "DEFAULT@SECLEVEL=0"], false),
        (&["-tls1_2", "-cipher", "AES128-SHA"], false),
        (&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"], false),
    ] {
        let said = s_client(&scene.gateway, options);

        let is_spoken = said.contains("Cipher is") && !said.contains("Cipher is (NONE)");
        assert_eq!(is_spoken, spoken, "{options:?}: {said}");
    }
}

#[test]
fn the_key_exchange_withstands_quantum_computers_where_the_browser_can() {
    let scene = Scene::new();
    let groups = [
        (aws_lc_rs::kx_group::X25519MLKEM768, NamedGroup::X25519MLKEM768),
        (aws_lc_rs::kx_group::X25519, NamedGroup::X25519),
        (aws_lc_rs::kx_group::SECP256R1, NamedGroup::secp256r1),
    ];
    for at in 0..groups.len() {
        let mut provider = aws_lc_rs::default_provider();
        provider.kx_groups = groups[at..].iter().map(|(group, _)| *group).collect();
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(scene.authority.roots())
            .with_no_client_auth();
        let connection = Secured::to(scene.gateway.address(), NAME, &Arc::new(config)).unwrap();

        let group = connection.0.conn.negotiated_key_exchange_group().unwrap().name();
        assert_eq!(group, groups[at].1);
    }
}

#[test]
fn aes_128_is_spoken_whatever_aes_a_browser_names_first_and_chacha20_where_it_prefers_that() {
    let scene = Scene::new();
    for (version, offered, expected) in [
        (&TLS13, "AES_256 AES_128 CHACHA20", "TLS13_AES_128_GCM_SHA256"),
        (&TLS13, "AES_256 CHACHA20 AES_128", "TLS13_AES_128_GCM_SHA256"),
        (&TLS13, "AES_256 CHACHA20", "TLS13_AES_256_GCM_SHA384"),
        (&TLS13, "AES_256", "TLS13_AES_256_GCM_SHA384"),
        (&TLS13, "CHACHA20 AES_128 AES_256", "TLS13_CHACHA20_POLY1305_SHA256"),
        (&TLS12, "AES_256 AES_128 CHACHA20", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
        (&TLS12, "AES_256", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
        (&TLS12, "CHACHA20 AES_128", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"),
    ] {
        let mut provider = aws_lc_rs::default_provider();
        let served = std::mem::take(&mut provider.cipher_suites);
        let named = |part| served.iter().filter(move |suite| format!("{:?}", suite.suite()).contains(part));
        provider.cipher_suites = offered.split(' ').flat_map(named).copied().collect();
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(scene.authority.roots())
            .with_no_client_auth();
        let connection = Secured::to(scene.gateway.address(), NAME, &Arc::new(config)).unwrap();

        let suite = connection.0.conn.negotiated_cipher_suite().unwrap().suite();
        assert_eq!(format!("{suite:?}"), expected, "{offered}");
    }
}

#[test]
fn a_browser_that_comes_back_resumes_its_session_and_sends_nothing_early() {
    let scene = Scene::new();
    for version in [&TLS13, &TLS12] {
        let mut config = client(&[version]);
        config.enable_early_data = true;
        let config = Arc::new(config);
        let mut kinds = Vec::new();
        for _ in 0..3 {
            let mut connection = Secured::to(scene.gateway.address(), NAME, &config).unwrap();
            kinds.push(connection.0.conn.handshake_kind().unwrap());
            assert!(connection.0.conn.early_data().is_none());
            connection.send(last_head("GET /public/a", ""));
            assert!(connection.rest().ends_with("hello from the upstream"));
        }

        assert_eq!(
            kinds,
            [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed],
            "{version:?}"
        );
    }
}

#[test]
fn a_session_is_not_resumed_under_another_name() {
    let scene = Scene::new();
    // rustls keeps tickets by name; openssl shows whichever it is told to.
    for version in ["-tls1_3", "-tls1_2"] {
        let ticket = scene.folder.path().join(format!("ticket{version}"));
        let ticket = ticket.to_str().unwrap();
        let address = scene.gateway.address().to_string();
        let resumes = |name: &str, option: &str| {
            let mut command = Command::new("openssl");
            command.args(["s_client", "-connect", &address, "-servername", name, version, option, ticket]);
            let mut running =
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
            let request = format!("GET /public/a HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n");
            running.stdin.as_mut().unwrap().write_all(request.as_bytes()).unwrap();
            let mut said = String::new();
            running.stdout.take().unwrap().read_to_string(&mut said).unwrap();
            running.wait().unwrap();
            assert!(said.contains("hello from the upstream"), "{said}");
            said.contains("\nReused, ")
        };

        assert!(!resumes(NAME, "-sess_out"));
        assert!(resumes(NAME, "-sess_in"), "{version}");
        assert!(!resumes("evil.test", "-sess_in"), "{version}");
    }
}

/// Elsewhere each of them was a panic, work without end, or a busy loop (CVE-2024-11738, CVE-2026-32283).
#[test]
fn a_hello_in_pieces_keys_that_change_and_words_after_the_last_harm_nobody() {
    let scene = Scene::new();
    let mut config = trusting(&scene.authority);
    config.max_fragment_size = Some(64);
    let mut connection = Secured::to(scene.gateway.address(), NAME, &Arc::new(config)).unwrap();
    // rustls bears 32 of them without a word in between.
    for _ in 0..30 {
        connection.0.conn.refresh_traffic_keys().unwrap();
        let _ = connection.0.flush();
    }
    connection.send(head("GET /public/a", ""));
    assert_eq!(connection.answer().1, "hello from the upstream");

    connection.0.conn.send_close_notify();
    let _ = connection.0.flush();
    let _ = connection.0.sock.write_all(&[0x17; 64 * 1024]);
    let mut byte = [0];
    // With or without close_notify, and perhaps reset: it is over.
    while let Ok(1..) = connection.0.sock.read(&mut byte) {}

    let mut other = scene.connect();
    other.send(last_head("GET /public/a", ""));
    assert!(other.rest().ends_with("hello from the upstream"));
}

#[test]
fn whoever_does_not_finish_the_handshake_is_cut_off_at_the_deadline_of_a_head() {
    let scene = Scene::with(
        "limits = { head_timeout = \"1s\" }\n\
         tls = { certificates = [{ cert = \"site.pem\", key = \"site.key\" }] }",
        None,
    );
    let hello = {
        let name = NAME.try_into().unwrap();
        let mut connection = rustls::ClientConnection::new(Arc::new(client(&[&TLS13])), name).unwrap();
        let mut hello = Vec::new();
        connection.write_tls(&mut hello).unwrap();
        hello
    };
    let begun = Instant::now();
    let mut clients: Vec<_> = [0, 1, 5, hello.len() / 2, hello.len() - 1, hello.len()]
        .into_iter()
        .map(|length| {
            let mut socket = TcpStream::connect(scene.gateway.address()).unwrap();
            socket.write_all(&hello[..length]).unwrap();
            socket
        })
        .collect();
    // Plain HTTP that does not come to an end has no more time.
    let mut plain = TcpStream::connect(scene.gateway.address()).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    clients.push(plain);
    for mut client in clients {
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let _ = client.read_to_end(&mut Vec::new());
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    }
    // And whoever is slow only afterwards is not cut off by the deadline of the handshake.
    let mut slow = scene.connect();
    std::thread::sleep(Duration::from_secs(3));
    slow.send(last_head("GET /public/a", ""));
    assert!(slow.rest().starts_with("HTTP/1.1 200 "));
}

#[test]
fn plain_http_at_the_port_of_tls_is_told_so_and_other_noise_ends_the_connection() {
    let scene = Scene::new();
    let answer = scene.gateway.raw(last_head("GET /public/a", "Cookie: a=b\r\n"));
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("write https://"), "{answer}");

    for noise in [
        &b"\0"[..],
        b"\x16\x03\x01\xff\xff",
        b"\x16\x03\x01\x00\x05hello and more of it",
        b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10",
        b"\r\n\r\n",
        b"get / http/1.1\r\n\r\n",
        &[0xff; 20_000],
        &[0x16; 20_000],
    ] {
        let mut socket = TcpStream::connect(scene.gateway.address()).unwrap();
        let _ = socket.write_all(noise);
        let _ = socket.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP"), "{noise:?}");
    }
    assert_eq!(scene.gateway.upstream().connections(), 0);
    scene.connect();
}

#[test]
fn framing_is_as_strict_over_tls() {
    let scene = Scene::new();
    for smuggler in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Content-Length: +1\r\n",
    ] {
        let mut connection = scene.connect();
        let smuggled = "0\r\n\r\nGET /public/smuggled HTTP/1.1\r\nHost: members.localhost\r\n\r\n";
        connection.send(head("POST /public/a", smuggler) + smuggled);

        let answers = connection.rest();
        assert!(answers.starts_with("HTTP/1.1 400 "), "{smuggler}: {answers}");
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{smuggler}: {answers}");
    }
    assert_eq!(scene.gateway.upstream().connections(), 0);
}

#[test]
fn a_websocket_goes_through_tls_in_both_directions() {
    let upstream = RawUpstream::serving(|wire| {
        wire.head();
        wire.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nwelcome\n",
        );
        let word = wire.until("\n");
        wire.send(word);
        wire.rest();
        wire.send("goodbye");
    });
    let scene = Scene::with(TLS, Some(&upstream));
    let mut connection = scene.connect();

    connection.send(head(
        "GET /public/chat",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    ));
    let answer = connection.until("\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert_eq!(connection.until("\n"), "welcome\n");
    connection.send("GET \0 :\n");
    assert_eq!(connection.until("\n"), "GET \0 :\n");
    connection.0.conn.send_close_notify();
    connection.send("");

    assert_eq!(connection.rest(), "goodbye");
}

#[test]
fn a_large_body_goes_through_tls_in_both_directions() {
    const SIZE: usize = 24 * 1024 * 1024;
    let scene = Scene::new();
    scene.gateway.upstream().answers(|request| Response::new(Full::new(request.body.clone())));
    let body: Bytes = (0..SIZE).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect();
    let mut connection = scene.connect();

    connection.send(last_head("POST /public/a", &format!("Content-Length: {SIZE}\r\n")));
    connection.send(&body);
    connection.until("\r\n\r\n");
    let mut echo = Vec::new();
    connection.0.read_to_end(&mut echo).unwrap();

    assert!(echo == body, "{} bytes come back", echo.len());
}

#[test]
fn a_connection_that_idles_is_ended_as_tls_ends() {
    let scene = Scene::with(
        "limits = { idle = \"1s\" }\n\
         tls = { certificates = [{ cert = \"site.pem\", key = \"site.key\" }] }",
        None,
    );
    let mut connection = scene.connect();
    connection.send(head("GET /public/a", ""));
    assert_eq!(connection.answer().1, "hello from the upstream");

    assert_eq!(connection.rest(), "");
}

#[test]
fn a_new_certificate_is_served_without_touching_a_connection() {
    let scene = Scene::new();
    let client = Arc::new(client(&[&TLS13]));
    let mut connection = scene.connect();

    let new = scene.authority.issue(&["elsewhere.test"]);
    replace(scene.folder.path(), &new);
    eventually("the new certificate is served", || {
        Secured::to(scene.gateway.address(), NAME, &client).unwrap().certificate() == der(&new.0)
    });

    connection.send(last_head("GET /public/a", ""));
    assert!(connection.rest().starts_with("HTTP/1.1 200 "));
}

#[test]
fn curl_believes_the_certificate() {
    let scene = Scene::new();
    std::fs::write(scene.folder.path().join("ca.pem"), scene.authority.pem()).unwrap();
    let port = scene.gateway.address().port();
    for version in ["--tlsv1.2", "--tlsv1.3"] {
        let ended = Command::new("curl")
            .current_dir(scene.folder.path())
            .args(["--silent", "--show-error", "--cacert", "ca.pem", version, "--http1.1"])
            .args(["--connect-to", &format!("{NAME}:443:127.0.0.1:{port}")])
            .arg(format!("https://{NAME}/public/a"))
            .output()
            .unwrap();

        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        assert_eq!(said, "hello from the upstream", "{}", String::from_utf8_lossy(&ended.stderr));
    }
}
