//! `Cookie` and `Set-Cookie`: lines of bytes, in which `{SESSION}` stands for a session that counts.
//!
//! * No session is found in what does not hold the one that was sealed, and no other than that one.
//! * What is left for the upstream holds no cookie of ours, in any spelling; everybody else's stands there as it came.
//! * An upstream sets none of ours.
//! * Doing any of this twice does nothing more.

use http::header::{COOKIE, HeaderName, HeaderValue, SET_COOKIE};
use member_gateway::message::Fields;
use member_gateway::session::cookie::{Presented, remove_ours_set_by_upstream, without_ours};

use super::members::{NOW, cookies, sealed_session, session};
use super::with;

pub fn run(bytes: &[u8]) {
    let bytes = with(bytes, "{SESSION}", sealed_session());
    let has_session =
        bytes.windows(sealed_session().len()).any(|window| window == sealed_session().as_bytes());
    let mut fields = lines(&bytes, &COOKIE);
    let count = cookies().sessions(&fields, NOW).count();
    match cookies().session(&fields, NOW) {
        Presented::Session(found) => {
            assert!(has_session, "a session out of nothing");
            assert_eq!(found, session());
            assert!(count > 0);
        }
        Presented::Unreadable | Presented::Nothing => assert_eq!(count, 0),
    }
    let foreign = foreign_pieces(&fields);
    fields = left_of(&fields);
    assert!(matches!(cookies().session(&fields, NOW), Presented::Nothing));
    assert_eq!(cookies().attempts(&fields).count() + cookies().last_provider(&fields).count(), 0);
    assert_eq!(foreign_pieces(&fields), foreign, "somebody else's cookie was touched");
    assert!(pieces(&fields).iter().all(|piece| !is_ours(&name_of(piece))), "one of ours is left");
    assert_eq!(left_of(&fields), fields);

    let mut set = lines(&bytes, &SET_COOKIE);
    remove_ours_set_by_upstream(&mut set);
    for line in set.get_all(SET_COOKIE) {
        let first = line.as_bytes().split(|&byte| byte == b';').next().unwrap_or_default();
        assert!(!is_ours(&name_of(first)), "the upstream sets one of ours: {line:?}");
    }
    let before = set.clone();
    remove_ours_set_by_upstream(&mut set);
    assert_eq!(set, before);
}

/// The lines that go on to the upstream.
fn left_of(fields: &Fields) -> Fields {
    let left = fields.get_all(COOKIE).filter_map(|line| match without_ours(line) {
        None => Some(line.clone()),
        Some(others) if others.is_empty() => None,
        Some(others) => Some(HeaderValue::from_bytes(&others).expect("made of pieces of a field value")),
    });
    left.map(|line| (COOKIE, line)).collect()
}

fn lines(bytes: &[u8], name: &HeaderName) -> Fields {
    let lines = bytes.split(|&byte| byte == b'\n').take(100);
    lines.filter_map(|line| HeaderValue::from_bytes(line).ok()).map(|line| (name.clone(), line)).collect()
}

fn pieces(fields: &Fields) -> Vec<Vec<u8>> {
    let lines = fields.get_all(COOKIE);
    let pieces = lines.flat_map(|line| line.as_bytes().split(|&byte| byte == b';'));
    pieces.map(|piece| piece.trim_ascii().to_vec()).filter(|piece| !piece.is_empty()).collect()
}

fn foreign_pieces(fields: &Fields) -> Vec<Vec<u8>> {
    pieces(fields).into_iter().filter(|piece| !is_ours(&name_of(piece))).collect()
}

/// The name of a cookie as the least particular app reads it. What has no equals sign has none.
pub fn name_of(piece: &[u8]) -> String {
    let end = piece.iter().position(|&byte| byte == b'=').unwrap_or(0);
    String::from_utf8_lossy(piece[..end].trim_ascii()).to_lowercase()
}

/// A list of the prefixes and names of ours, written down a second time.
pub fn is_ours(name: &str) -> bool {
    let prefixes = ["", "__host-", "__secure-", "__http-", "__host-http-"];
    prefixes.iter().filter_map(|prefix| name.strip_prefix(prefix)).any(|name| {
        name == "member-session" || name == "member-provider" || name.starts_with("member-login-")
    })
}
