//! TLS towards an app: whom the gateway believes, and who it says it is.

use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use http::{Request, Version};
use hyper::body::Incoming;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;

use crate::harness::{
    Authority, Folder, Gateway, Modern, Options, RawUpstream, answer, eventually, free_address, head,
    last_head,
};

/// An authority, and a folder with its certificate.
fn scene() -> (Authority, Folder) {
    let authority = Authority::new();
    let folder = Folder::empty().and("ca.pem", authority.pem());
    (authority, folder)
}

/// The TLS of an upstream with this certificate; of a client it wants one too, where `authority` says so.
pub fn server(issued: &(String, String), clients: Option<&Authority>, protocols: &[&[u8]]) -> ServerConfig {
    let chain = CertificateDer::pem_slice_iter(issued.0.as_bytes()).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(issued.1.as_bytes()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = builder.unwrap();
    let builder = match clients {
        Some(authority) => {
            let roots = Arc::new(authority.roots());
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    config
}

fn upstream(config: ServerConfig) -> Modern {
    Modern::secured(config, async |_: Request<Incoming>| answer("ok"))
}

fn gateway(folder: &Folder, address: SocketAddr, site: &'static str) -> Gateway {
    Gateway::with(&Options {
        upstreams: Some(format!("\"https://localhost:{}\"", address.port())),
        folder: Some(folder.path().to_owned()),
        site,
        ..Options::default()
    })
}

fn ask(gateway: &Gateway) -> String {
    gateway.raw(last_head("GET /public/a", ""))
}

#[test]
fn an_upstream_whose_authority_is_named_is_believed() {
    let (authority, folder) = scene();
    let upstream = upstream(server(&authority.issue(&["localhost"]), None, &[b"h2", b"http/1.1"]));
    let gateway = gateway(&folder, upstream.address(), "upstream_tls = { ca = \"ca.pem\" }");

    assert!(ask(&gateway).contains("\r\n\r\n2\r\nok\r\n0\r\n\r\n"));

    let request = &upstream.heads()[0];
    assert_eq!(request.version, Version::HTTP_2);
    assert_eq!(request.uri.to_string(), "https://members.localhost/public/a");
}

#[test]
fn an_upstream_that_nobody_vouches_for_gets_nothing() {
    let (authority, folder) = scene();
    let stranger = Authority::new();
    for (issued, site) in [
        (stranger.issue(&["localhost"]), "upstream_tls = { ca = \"ca.pem\" }"),
        (authority.issue(&["other.localhost"]), "upstream_tls = { ca = \"ca.pem\" }"),
        (authority.issue_until(&["localhost"], 2001), "upstream_tls = { ca = \"ca.pem\" }"),
        // The machine does not know this authority.
        (authority.issue(&["localhost"]), ""),
    ] {
        let upstream = upstream(server(&issued, None, &[b"http/1.1"]));
        let gateway = gateway(&folder, upstream.address(), site);

        let answer = ask(&gateway);

        assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
        assert!(upstream.heads().is_empty());
    }
}

#[test]
fn a_certificate_may_bear_another_name_that_the_operator_has_written_down() {
    let (authority, folder) = scene();
    let upstream = upstream(server(&authority.issue(&["app.internal"]), None, &[b"http/1.1"]));
    let site = "upstream_tls = { ca = \"ca.pem\", server_name = \"app.internal\" }";
    let gateway = gateway(&folder, upstream.address(), site);

    assert!(ask(&gateway).starts_with("HTTP/1.1 200 "));
    assert_eq!(upstream.heads()[0].version, Version::HTTP_11);
}

#[test]
fn an_upstream_that_wants_to_know_who_asks_is_shown_a_certificate() {
    let (authority, folder) = scene();
    let (cert, key) = authority.issue(&["gateway.internal"]);
    let folder = folder.and("gateway.pem", &cert).and("gateway.key", &key);
    let config = server(&authority.issue(&["localhost"]), Some(&authority), &[b"h2", b"http/1.1"]);
    let upstream = upstream(config);

    let with = "upstream_tls = { ca = \"ca.pem\", cert = \"gateway.pem\", key = \"gateway.key\" }";
    assert!(ask(&gateway(&folder, upstream.address(), with)).starts_with("HTTP/1.1 200 "));
    let without = "upstream_tls = { ca = \"ca.pem\" }";
    assert!(ask(&gateway(&folder, upstream.address(), without)).starts_with("HTTP/1.1 502 "));
    assert_eq!(upstream.heads().len(), 1);
}

#[test]
fn what_is_said_before_the_handshake_is_no_answer() {
    let (_, folder) = scene();
    let upstream = RawUpstream::serving(|wire| {
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged");
        wire.hears_within(std::time::Duration::from_secs(20));
    });
    let gateway = gateway(&folder, upstream.address(), "upstream_tls = { ca = \"ca.pem\" }");

    let answer = ask(&gateway);

    assert!(answer.starts_with("HTTP/1.1 502 ") && !answer.contains("forged"), "{answer}");
    assert!(!upstream.received().concat().contains("GET"), "nothing goes out in the clear");
}

#[test]
fn a_handshake_has_to_end_within_the_time_for_connecting() {
    let (_, folder) = scene();
    let upstream = RawUpstream::serving(|wire| drop(wire.rest()));
    let site = "upstream_tls = { ca = \"ca.pem\" }\ntimeouts = { connect = \"1s\" }";
    let gateway = gateway(&folder, upstream.address(), site);

    assert!(ask(&gateway).starts_with("HTTP/1.1 502 "));
}

/// A real nginx. It ends when this is dropped.
struct Nginx(Child);

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_real_nginx_is_asked_over_tls_in_the_http_that_it_offers() {
    let (authority, folder) = scene();
    let (cert, key) = authority.issue(&["localhost"]);
    let address = free_address();
    let configuration = format!(
        "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{\n\
         access_log off;\nclient_body_temp_path body;\nproxy_temp_path proxy;\nfastcgi_temp_path f;\n\
         uwsgi_temp_path u;\nscgi_temp_path s;\nserver {{ listen {address} ssl http2;\n\
         ssl_certificate site.pem;\nssl_certificate_key site.key;\n\
         location / {{ return 200 \"$server_protocol $http_host $host\"; }} }} }}\n"
    );
    let folder = folder.and("site.pem", &cert).and("site.key", &key).and("nginx.conf", &configuration);
    let mut command = Command::new("nginx");
    command.args(["-e", "stderr", "-c", "nginx.conf", "-p"]).arg(folder.path());
    let _nginx = Nginx(command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    eventually("nginx serves", || TcpStream::connect(address).is_ok());

    for (site, expected) in [
        ("upstream_tls = { ca = \"ca.pem\" }", "HTTP/2.0 members.localhost members.localhost"),
        (
            "upstream_tls = { ca = \"ca.pem\" }\nprotocol = \"http/1.1\"",
            "HTTP/1.1 members.localhost members.localhost",
        ),
    ] {
        let gateway = gateway(&folder, address, site);
        let mut client = gateway.connect();
        for _ in 0..3 {
            client.send(head("GET /public/a", ""));
            assert_eq!(client.answer().1, expected);
        }
    }
}
