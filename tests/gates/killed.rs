//! Gate R3: an app that is killed in the middle of its work, ten times.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{Gateway, Options, eventually, free_address};
use crate::load::{Load, app};
use crate::scaled;

/// An app that writes down each order it reads, and can be killed.
struct Shop {
    child: Child,
    program: String,
}

impl Shop {
    fn start(program: &str) -> Child {
        let mut command = Command::new("python3");
        command.args(["-c", program]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    fn new(port: u16, ledger: &std::path::Path) -> Self {
        let program = format!(
            r#"
import http.server, os
ledger = os.open({ledger:?}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
class Shop(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        os.write(ledger, (self.command + self.path + "\n").encode())
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    do_POST = do_GET
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", {port}), Shop).serve_forever()
"#
        );
        Self { child: Self::start(&program), program }
    }

    /// SIGKILL, in the middle of whatever it is doing.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn restart(&mut self) {
        self.child = Self::start(&self.program);
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A request to the shop, over a connection of its own.
fn ask(gateway: &Gateway, line: &str, fields: &str) -> String {
    gateway.raw(format!("{line} HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n{fields}\r\n"))
}

#[test]
fn an_app_that_is_killed_ten_times_reads_no_order_twice_and_the_next_site_does_not_notice() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("ledger");
    let address = free_address();
    let mut shop = Shop::new(address.port(), &ledger);
    let site = format!(
        "[[site]]\npublic_url = \"https://shop.localhost\"\nupstream = [\"http://{address}\"]\n\
         providers = [\"ymca\"]\n[[site.rule]]\npath = \"/**\"\naccess = \"public\"\n"
    );
    let everybody = format!("[[site.rule]]\npath = \"/a\"\naccess = \"public\"\n{site}");
    let gateway =
        Gateway::with(&Options { upstream: Some(app()), more: everybody.leak(), ..Options::default() });
    let is_back = || ask(&gateway, "GET /is-back", "").ends_with("ok");
    eventually("the shop opens", is_back);
    let elsewhere = Load::with_fields(&[gateway.address()], 2, "");

    let over = AtomicBool::new(false);
    let [served, orders, failed] = [const { AtomicUsize::new(0) }; 3];
    let since = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let order = orders.fetch_add(1, Ordering::Relaxed);
                    let method = if order.is_multiple_of(2) { "POST" } else { "GET" };
                    let length = if method == "POST" { "Content-Length: 0\r\n" } else { "" };
                    let answer = ask(&gateway, &format!("{method} /order/{order}."), length);
                    let is_answered =
                        ["HTTP/1.1 200 ", "HTTP/1.1 502 "].iter().any(|it| answer.starts_with(it));
                    assert!(is_answered, "{answer}");
                    // An answer breaks off where the shop is killed in the middle of it.
                    served.fetch_add(usize::from(answer.ends_with("ok")), Ordering::Relaxed);
                    failed.fetch_add(usize::from(!answer.ends_with("ok")), Ordering::Relaxed);
                }
            });
        }
        for time in 1..=10 {
            let before = served.load(Ordering::Relaxed);
            eventually("orders are served", || served.load(Ordering::Relaxed) > before + scaled(20, 500));
            shop.kill();
            shop.restart();
            eventually("the shop opens again", || std::net::TcpStream::connect(address).is_ok());
            let since = Instant::now();
            eventually("the shop is back", is_back);
            println!("R3 kill {time}: served {} ms after it listens", since.elapsed().as_millis());
            assert!(since.elapsed() < Duration::from_secs(5));
        }
        over.store(true, Ordering::Relaxed);
    });

    println!(
        "R3 {} served and {} not, in {:.1} s; the next site: {}",
        served.load(Ordering::Relaxed),
        failed.load(Ordering::Relaxed),
        since.elapsed().as_secs_f64(),
        elsewhere.seen().waits()
    );
    elsewhere.end().is_flawless();
    let ledger = std::fs::read_to_string(ledger).unwrap();
    let mut posted: Vec<&str> = ledger.lines().filter(|line| line.starts_with("POST")).collect();
    let read = posted.len();
    posted.sort_unstable();
    posted.dedup();
    assert!(read > 100, "{read}");
    assert_eq!(posted.len(), read, "an order was read twice");
}
