//! Frames, read along below h2: whether the client is in the middle of a head, and how much it sends that carries nothing.
//!
//! Only the nine octets in front of each frame are looked at (RFC 9113 §4.1). Whether a frame is well formed and stands in
//! its place h2 says; it ends the connection where one is not, and then nothing here matters any more.

/// What a client sends first (RFC 9113 §3.4).
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const FRAME_HEADER: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Follows what a client sends on one connection.
#[derive(Debug)]
pub(super) struct Frames {
    state: State,
    /// A header block has begun and not ended.
    in_block: bool,
    /// It ends with this frame.
    is_last_of_block: bool,
    /// Frames that carried nothing, less those that did.
    idle_talk: u32,
}

#[derive(Debug)]
enum State {
    /// So much of the preface is still to come.
    Preface(usize),
    /// The first octets of a frame's header.
    Header([u8; FRAME_HEADER], usize),
    /// So much of a frame's payload is still to come.
    Payload(usize),
}

impl Frames {
    /// Stands before the first octet of a connection.
    pub(super) const fn new() -> Self {
        Self { state: State::Preface(PREFACE.len()), in_block: false, is_last_of_block: false, idle_talk: 0 }
    }

    /// Follows the next octets.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match &mut self.state {
                State::Preface(left) | State::Payload(left) => {
                    let here = bytes.len().min(*left);
                    *left -= here;
                    bytes = &bytes[here..];
                    if *left == 0 {
                        self.end();
                    }
                }
                State::Header(header, filled) => {
                    let here = bytes.len().min(FRAME_HEADER - *filled);
                    header[*filled..*filled + here].copy_from_slice(&bytes[..here]);
                    *filled += here;
                    bytes = &bytes[here..];
                    if *filled == FRAME_HEADER {
                        let header = *header;
                        self.begin(header);
                    }
                }
            }
        }
    }

    fn begin(&mut self, [a, b, c, kind, flags, ..]: [u8; FRAME_HEADER]) {
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        self.in_block |= kind == HEADERS;
        self.is_last_of_block = matches!(kind, HEADERS | CONTINUATION) && flags & END_HEADERS != 0;
        let carries_something = match kind {
            HEADERS => true,
            DATA => length > 0 || flags & END_STREAM != 0,
            _ => false,
        };
        // Streams that are reset are counted where they end, and windows are opened as often as somebody reads.
        if carries_something {
            self.idle_talk = self.idle_talk.saturating_sub(1);
        } else if kind != RST_STREAM && kind != WINDOW_UPDATE {
            self.idle_talk = self.idle_talk.saturating_add(1);
        }
        if length == 0 {
            self.end();
        } else {
            self.state = State::Payload(length);
        }
    }

    /// Stands before the next frame.
    fn end(&mut self) {
        self.state = State::Header([0; FRAME_HEADER], 0);
        self.in_block &= !self.is_last_of_block;
        self.is_last_of_block = false;
    }

    /// Whether the preface is still awaited, or a header block has begun and not ended, be it one frame or several.
    pub(super) const fn are_in_a_head(&self) -> bool {
        matches!(self.state, State::Preface(_)) || self.in_block
    }

    /// How many frames carried nothing, less those that did: settings, pings, priorities, empty data and what nobody knows.
    pub(super) const fn idle_talk(&self) -> u32 {
        self.idle_talk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: u8 = 4;
    const PING: u8 = 6;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    #[test]
    fn a_head_ends_with_its_last_frame_however_the_octets_are_cut() {
        let parts = [
            (PREFACE.to_vec(), false),
            (frame(SETTINGS, 0, &[0; 6]), false),
            (frame(HEADERS, 0, b"abc"), true),
            (frame(CONTINUATION, 0, &[0; 300]), true),
            (frame(CONTINUATION, END_HEADERS, b""), false),
            (frame(DATA, 0, &[HEADERS; 40]), false),
            (frame(HEADERS, END_HEADERS | END_STREAM, b"xyz"), false),
            (frame(HEADERS, END_HEADERS, b"xyz")[..11].to_vec(), true),
        ];
        for size in [1, 2, 7, 9, 10, 1000] {
            let mut frames = Frames::new();
            assert!(frames.are_in_a_head());
            for (bytes, in_a_head) in &parts {
                for cut in bytes.chunks(size) {
                    frames.follow(cut);
                }
                assert_eq!(frames.are_in_a_head(), *in_a_head, "{size}: {bytes:?}");
            }
        }
    }

    #[test]
    fn talk_that_carries_nothing_adds_up_and_requests_make_up_for_it() {
        let mut frames = Frames::new();
        frames.follow(PREFACE);
        for kind in [SETTINGS, PING, DATA, 2, 200] {
            frames.follow(&frame(kind, 0, b""));
        }
        assert_eq!(frames.idle_talk(), 5);
        for kind in [RST_STREAM, WINDOW_UPDATE] {
            frames.follow(&frame(kind, 0, &[0; 4]));
        }
        assert_eq!(frames.idle_talk(), 5);
        for kind in [HEADERS, DATA] {
            frames.follow(&frame(kind, END_STREAM, b"x"));
        }
        assert_eq!(frames.idle_talk(), 3);
    }
}
