//! HTTP/2 with a browser, over the gateway's own TLS: a member signs in, and talks over a WebSocket on the same connection.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::addresses::free_address;
use crate::chromium::Browser;
use crate::site::{MEMBER, Site};

/// An app that shows who the member is, and repeats over WebSockets what it hears.
fn app() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    std::thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || serve(&socket));
        }
    });
    address
}

fn serve(mut socket: &TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(socket);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let field = |name: &str| {
            let mut fields = head.lines().filter_map(|line| line.split_once(": "));
            fields.find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
        };
        let member = field("x-member-id");
        if field("upgrade").eq_ignore_ascii_case("websocket") {
            let proof = field("sec-websocket-key").to_owned() + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
            let proof = STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, proof.as_bytes()));
            write!(
                socket,
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Accept: {proof}\r\n\r\n"
            )?;
            return echo(&mut reader, socket, member);
        }
        let page = format!("<!doctype html><title>app</title><p id=\"member-id\">{member}</p>");
        let fields = format!("Content-Type: text/html\r\nContent-Length: {}\r\n", page.len());
        write!(socket, "HTTP/1.1 200 OK\r\n{fields}\r\n{page}")?;
    }
}

/// Repeats short messages, with who sent them in front.
fn echo(reader: &mut impl Read, mut socket: &TcpStream, member: &str) -> io::Result<()> {
    loop {
        let (mut start, mut mask) = ([0; 2], [0; 4]);
        reader.read_exact(&mut start)?;
        reader.read_exact(&mut mask)?;
        let mut payload = vec![0; usize::from(start[1] & 0x7f)];
        reader.read_exact(&mut payload)?;
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        if start[0] & 0xf == 1 {
            payload.splice(..0, format!("{member}: ").into_bytes());
        }
        let length = u8::try_from(payload.len()).map_err(io::Error::other)?;
        socket.write_all(&[&[start[0], length], &payload[..]].concat())?;
    }
}

/// What operators are told.
async fn metrics(admin: u16) -> String {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let answer = client.get(format!("http://127.0.0.1:{admin}/metrics")).send().await.expect("an answer");
    answer.text().await.expect("text")
}

#[tokio::test]
async fn a_member_signs_in_over_http2_and_talks_over_a_websocket_on_the_same_connection() {
    let folder = tempfile::tempdir().expect("a folder");
    let admin = free_address().port();
    let (site, browser) = (Site::with_tls(folder.path(), app(), admin), Browser::open().await);

    browser.visit(&site.at("/classes?week=2")).await;
    browser.sees_daxkos_form().await;
    browser.logs_in_at_daxko().await;
    browser.arrives_at(&site.at("/classes?week=2")).await;

    assert_eq!(browser.text("#member-id").await, MEMBER);
    let protocol = "return performance.getEntriesByType('navigation')[0].nextHopProtocol";
    assert_eq!(browser.evaluate(protocol).await, "h2");
    let talk = "const done = arguments[0]; const socket = new WebSocket(`wss://${location.host}/chat`);\n\
                socket.onopen = () => socket.send('hello');\n\
                socket.onmessage = event => { done(event.data); socket.close(); };\n\
                socket.onerror = () => done('an error');";
    assert_eq!(browser.evaluate_later(talk).await, format!("{MEMBER}: hello"));
    // Chromium would have opened another connection for a WebSocket over HTTP/1.1, and spoken that there.
    let metrics = metrics(admin).await;
    let count = |protocol: &str| {
        let start = format!("member_gateway_requests_by_protocol_total{{protocol=\"{protocol}\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&start));
        line.map_or(0, |count| count.parse::<usize>().expect("a number"))
    };
    assert_eq!(count("HTTP/1.1"), 0, "{metrics}");
    assert!(count("HTTP/2") + count("HTTP/2.0") >= 2, "{metrics}");
}
