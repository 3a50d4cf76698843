//! A connection of HTTP/2 to a whole gateway, as frames: type, flags, stream, length and as many octets each. The payload
//! of HEADERS, CONTINUATION and PUSH_PROMISE is field lines, `name: value` each, which are written as HPACK has them
//! (RFC 7541 §6.2.2); unless the type has its highest bit set, where the payload stands as it is. `{SESSION}` stands for a
//! session that counts.
//!
//! * What reaches the app is what [`super::app`] takes.
//! * What comes back is frames, and nothing else.

use super::gateway::{rig, with_session};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
/// What the last frame says, so that its answer is known.
const LAST: &[u8; 8] = b"the end.";

pub fn run(bytes: &[u8]) {
    let rig = rig();
    let mut sent = PREFACE.to_vec();
    put_frame(&mut sent, SETTINGS, 0, 0, &[]);
    let mut ended = Vec::new();
    let mut rest = bytes;
    while let [kind, flags, stream, length, behind @ ..] = rest
        && sent.len() < 64 * 1024
    {
        let (payload, behind) = behind.split_at(behind.len().min(usize::from(*length)));
        rest = behind;
        let payload = with_session(payload);
        let (is_raw, kind) = (kind & 0x80 != 0, kind & 0x7f);
        let has_fields = matches!(kind, HEADERS | PUSH_PROMISE | CONTINUATION) && !is_raw;
        let payload = if has_fields { packed(&payload) } else { payload };
        if matches!(kind, 0 | HEADERS) && flags & END_STREAM != 0 {
            ended.push(u32::from(*stream));
        }
        put_frame(&mut sent, kind, *flags, u32::from(*stream), &payload);
    }
    put_frame(&mut sent, PING, 0, 0, LAST);

    let mut peer = rig.connect();
    peer.send(&sent);
    let mut answer = Vec::new();
    // An answer to the last frame, and whatever has been asked for to its end.
    peer.read(&mut answer, |answer| {
        let frames = frames(answer);
        let is_over = |stream: &u32| frames.iter().any(|frame| frame.ends(*stream));
        frames.iter().any(|frame| frame.kind == PING && frame.payload == LAST) && ended.iter().all(is_over)
    });
    rig.app.check();
    let frames = frames(&answer);
    assert!(
        answer.is_empty() || frames.first().is_none_or(|frame| frame.kind == SETTINGS),
        "{}",
        answer.escape_ascii()
    );
    assert!(frames.iter().all(|frame| frame.kind <= CONTINUATION && frame.kind != PUSH_PROMISE));
}

fn put_frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or_default().to_be_bytes();
    out.extend_from_slice(&length[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// Field lines as literals that are not indexed, names and values without Huffman codes.
fn packed(lines: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        // The colon that a pseudo-field begins with is part of its name.
        let colon = line.iter().skip(1).position(|&byte| byte == b':').map_or(line.len(), |at| at + 1);
        let value = line.get(colon + 1..).unwrap_or_default();
        out.push(0);
        for text in [&line[..colon], value.strip_prefix(b" ").unwrap_or(value)] {
            put_length(&mut out, text.len());
            out.extend_from_slice(text);
        }
    }
    out
}

/// An integer with a prefix of seven bits (RFC 7541 §5.1).
fn put_length(out: &mut Vec<u8>, length: usize) {
    let small = |number: usize| u8::try_from(number & 0x7f).unwrap_or_default();
    let Some(mut rest) = length.checked_sub(127) else { return out.push(small(length)) };
    out.push(127);
    while rest >= 128 {
        out.push(small(rest) | 128);
        rest >>= 7;
    }
    out.push(small(rest));
}

struct Frame<'a> {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: &'a [u8],
}

impl Frame<'_> {
    /// Whether nothing more comes on a stream: it has ended, or was reset, or the connection comes to its end.
    fn ends(&self, stream: u32) -> bool {
        match self.kind {
            0 | HEADERS => self.stream == stream && self.flags & END_STREAM != 0,
            3 => self.stream == stream,
            7 => true,
            _ => false,
        }
    }
}

/// The frames that have come whole.
fn frames(mut bytes: &[u8]) -> Vec<Frame<'_>> {
    let mut frames = Vec::new();
    while let [a, b, c, kind, flags, s0, s1, s2, s3, rest @ ..] = bytes {
        let length = usize::try_from(u32::from_be_bytes([0, *a, *b, *c])).unwrap_or(usize::MAX);
        let Some((payload, rest)) = rest.split_at_checked(length) else { break };
        let stream = u32::from_be_bytes([*s0, *s1, *s2, *s3]) & 0x7fff_ffff;
        frames.push(Frame { kind: *kind, flags: *flags, stream, payload });
        bytes = rest;
    }
    frames
}
