//! A connection of HTTP/1.1 to a whole gateway: what the client sends, in which `{SESSION}` stands for a session that
//! counts. A request for `/_gateway/health` that ends the connection is sent behind it.
//!
//! * What reaches the app is what [`super::app`] takes.
//! * What comes back begins as an answer does, and the connection ends.
//! * No more answers of the app come back than it has given.

use super::gateway::{rig, with_session};

const LAST: &[u8] = b"GET /_gateway/health HTTP/1.1\r\nHost: members.localhost\r\nConnection: close\r\n\r\n";
/// Longer ones find nothing that shorter ones do not.
const MOST: usize = 32 * 1024;

pub fn run(bytes: &[u8]) {
    let bytes = with_session(&bytes[..bytes.len().min(MOST)]);
    // The next target is about those who begin so.
    if bytes.starts_with(b"PRI") {
        return;
    }
    let rig = rig();
    let before = rig.app.requests();
    let mut peer = rig.connect();
    peer.send(&bytes);
    peer.send(LAST);
    let mut answers = Vec::new();
    if !peer.read(&mut answers, |_| false) {
        peer.end(&mut answers);
    }
    rig.app.check();
    assert!(answers.is_empty() || answers.starts_with(b"HTTP/1."), "{}", answers.escape_ascii());
    let given = answers.windows(9).filter(|window| window.eq_ignore_ascii_case(b"x-app: 1\r")).count() as u64;
    let seen = rig.app.requests() - before;
    assert!(given <= seen, "{given} answers of an app that was asked {seen} times");
}
