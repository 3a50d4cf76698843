//! WebSockets once they are open: bytes pass in both directions, and their frames (RFC 6455 §5.2) are followed.
//!
//! Nothing in a frame is looked at but where it ends, and whether it is a Close. So a gateway that is to end can put a
//! Close of its own between two frames, to either side, and wait for the answers. Otherwise this is a pipe: each side
//! ends in its own time, nothing is read from one side that the other does not take, and memory is held only for bytes
//! that wait to be written.

use std::future::{Future, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is read at a time.
const CHUNK: usize = 8 * 1024;
/// How long both sides may take to answer a Close.
pub const ECHO: Duration = Duration::from_secs(5);
/// A Close frame with a status code of two bytes, and its mask where there is one.
const CLOSE: u8 = 0x88;

/// Why the gateway closes a WebSocket (RFC 6455 §7.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum CloseCode {
    /// The gateway ends.
    GoingAway = 1001,
    /// The session has ended for which it was opened.
    PolicyViolation = 1008,
}

/// Which way bytes go: who writes to a server masks what is written (RFC 6455 §5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Towards {
    Client,
    Upstream([u8; 4]),
}

impl Towards {
    /// A Close frame.
    fn close(self, code: CloseCode) -> Vec<u8> {
        let [high, low] = (code as u16).to_be_bytes();
        match self {
            Self::Client => vec![CLOSE, 2, high, low],
            Self::Upstream([a, b, c, d]) => vec![CLOSE, 0x80 | 2, a, b, c, d, high ^ a, low ^ b],
        }
    }
}

/// Follows the frames of one direction, byte for byte, and stores nothing of them but the place.
#[derive(Clone, Copy, Debug, Default)]
struct Frames {
    /// The head of the frame that is under way, as far as it has come.
    head: [u8; 14],
    read: usize,
    /// What is still to come of its payload.
    left: u64,
    /// A Close frame has passed, to its end.
    closed: bool,
}

impl Frames {
    /// Follows the bytes up to the end of the frame that is under way, or begins with them. Says how many these are.
    fn advance(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() && self.left == 0 {
            self.head[self.read] = bytes[at];
            self.read += 1;
            at += 1;
            if let Some(length) = self.payload() {
                self.left = length;
                if length == 0 {
                    self.end();
                    return at;
                }
            }
        }
        let now = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len() - at);
        self.left -= now as u64;
        if now > 0 && self.left == 0 {
            self.end();
        }
        at + now
    }

    /// The length of the payload, once the head is complete.
    fn payload(&self) -> Option<u64> {
        let [_, second, ..] = self.head[..self.read] else { return None };
        let extended = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        if self.read < 2 + extended + mask {
            return None;
        }
        let length = &self.head[2..2 + extended];
        let short = u64::from(second & 0x7f);
        Some(if extended == 0 {
            short
        } else {
            length.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte))
        })
    }

    fn end(&mut self) {
        self.closed |= self.head[0] & 0x0f == 8;
        self.read = 0;
    }

    /// Whether the next byte begins a frame.
    const fn are_between(&self) -> bool {
        self.read == 0
    }
}

/// One direction.
struct Pipe {
    towards: Towards,
    frames: Frames,
    /// What is still to be written, from there on.
    waiting: Vec<u8>,
    written: usize,
    unflushed: bool,
    /// What the gateway says at the end of the frame that is under way.
    close: Option<CloseCode>,
    /// It has said so: what comes now is passed on to nobody.
    has_closed: bool,
    /// Nothing more comes.
    ended: bool,
    /// The other side has been told so.
    shut: bool,
}

impl Pipe {
    fn new(towards: Towards) -> Self {
        Self {
            towards,
            frames: Frames::default(),
            waiting: Vec::new(),
            written: 0,
            unflushed: false,
            close: None,
            has_closed: false,
            ended: false,
            shut: false,
        }
    }

    /// Puts a Close at the end of the frame that is under way, unless one has passed already (RFC 6455 §5.5.1).
    fn end_with(&mut self, code: CloseCode) {
        self.close = (!self.frames.closed && !self.ended).then_some(code);
        self.has_closed = self.frames.closed;
        self.close_between_frames();
    }

    fn close_between_frames(&mut self) {
        if self.frames.are_between()
            && let Some(code) = self.close.take()
        {
            // A Close that has just come says all there is to say.
            if !self.frames.closed {
                self.waiting.extend(self.towards.close(code));
            }
            self.has_closed = true;
        }
    }

    /// Whether the side it reads from has said its last word.
    const fn is_over(&self) -> bool {
        self.frames.closed || self.ended
    }

    /// Carries on as far as both sides let it; ready once the side it reads from has ended and the other knows.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        mut from: Pin<&mut impl AsyncRead>,
        mut to: Pin<&mut impl AsyncWrite>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_write(cx, to.as_mut()))?;
            if self.shut {
                return Poll::Ready(Ok(()));
            }
            if self.ended {
                ready!(to.as_mut().poll_shutdown(cx))?;
                self.shut = true;
                return Poll::Ready(Ok(()));
            }
            let mut space = [const { MaybeUninit::uninit() }; CHUNK];
            let mut chunk = ReadBuf::uninit(&mut space);
            match from.as_mut().poll_read(cx, &mut chunk) {
                Poll::Ready(Ok(())) if chunk.filled().is_empty() => self.ended = true,
                Poll::Ready(Ok(())) => self.pass(cx, chunk.filled(), to.as_mut())?,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    if self.unflushed {
                        ready!(to.as_mut().poll_flush(cx))?;
                        self.unflushed = false;
                    }
                    return Poll::Pending;
                }
            }
        }
    }

    /// Follows what was read and writes what is to pass of it; what the other side does not take at once is kept.
    fn pass(&mut self, cx: &mut Context<'_>, bytes: &[u8], to: Pin<&mut impl AsyncWrite>) -> io::Result<()> {
        let mut passing = 0;
        let mut at = 0;
        while at < bytes.len() {
            at += self.frames.advance(&bytes[at..]);
            if !self.has_closed {
                passing = at;
            }
            if self.close.is_some() && self.frames.are_between() {
                self.waiting.extend_from_slice(&bytes[..passing]);
                self.close_between_frames();
                passing = 0;
            }
        }
        let mut bytes = &bytes[..passing];
        if bytes.is_empty() {
            return Ok(());
        }
        if self.waiting.is_empty()
            && let Poll::Ready(written) = to.poll_write(cx, bytes)
        {
            let written = written?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.unflushed = true;
            bytes = &bytes[written..];
        }
        self.waiting.extend_from_slice(bytes);
        Ok(())
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        mut to: Pin<&mut impl AsyncWrite>,
    ) -> Poll<io::Result<()>> {
        while self.written < self.waiting.len() {
            let written = ready!(to.as_mut().poll_write(cx, &self.waiting[self.written..]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += written;
            self.unflushed = true;
        }
        if self.written > 0 {
            // Not kept for the next time: most of thousands of WebSockets are silent.
            (self.waiting, self.written) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }
}

/// Lets both sides talk until both have ended, or until `ending` says why they have to. Then each gets a Close between two
/// frames, and so much time to answer. One whose frame does not end is not interrupted where the gateway ends, and is given
/// up after the same time where a session has ended. `mask` is random.
///
/// # Errors
/// What a side's connection has broken off with.
pub async fn tunnel(
    client: impl AsyncRead + AsyncWrite,
    upstream: impl AsyncRead + AsyncWrite,
    mask: [u8; 4],
    ending: impl Future<Output = CloseCode>,
    echo: Duration,
) -> io::Result<()> {
    let (mut client, mut upstream) = (pin!(client), pin!(upstream));
    let mut ending = pin!(ending);
    let mut inward = Pipe::new(Towards::Upstream(mask));
    let mut outward = Pipe::new(Towards::Client);
    let mut asked_to_end = None;
    let mut patience: Option<Pin<Box<tokio::time::Sleep>>> = None;
    poll_fn(|cx| {
        if asked_to_end.is_none()
            && let Poll::Ready(code) = ending.as_mut().poll(cx)
        {
            asked_to_end = Some(code);
            inward.end_with(code);
            outward.end_with(code);
        }
        let there = inward.poll(cx, client.as_mut(), upstream.as_mut())?;
        let back = outward.poll(cx, upstream.as_mut(), client.as_mut())?;
        if there.is_ready() && back.is_ready() {
            return Poll::Ready(Ok::<_, io::Error>(()));
        }
        let have_closed = inward.has_closed && outward.has_closed;
        if have_closed && asked_to_end.is_some() && inward.is_over() && outward.is_over() {
            return Poll::Ready(Ok(()));
        }
        // Whoever is no member any more could go on for ever with a frame that does not end.
        if asked_to_end.is_some_and(|code| have_closed || code == CloseCode::PolicyViolation) {
            let patience = patience.get_or_insert_with(|| Box::pin(tokio::time::sleep(echo)));
            return patience.as_mut().poll(cx).map(Ok);
        }
        Poll::Pending
    })
    .await?;
    if asked_to_end.is_some() {
        // The end of the stream follows the Close that was said (RFC 6455 §7.1.1).
        poll_fn(|cx| client.as_mut().poll_shutdown(cx)).await?;
        poll_fn(|cx| upstream.as_mut().poll_shutdown(cx)).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::sync::oneshot;

    use super::*;

    const MASK: [u8; 4] = [1, 2, 3, 4];
    const CLOSE_1001: [u8; 4] = [0x88, 2, 3, 0xe9];
    const MASKED_CLOSE_1001: [u8; 8] = [0x88, 0x82, 1, 2, 3, 4, 3 ^ 1, 0xe9 ^ 2];

    fn frame(opcode: u8, masked: bool, payload: &[u8]) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut frame = vec![0x80 | opcode];
        match payload.len() {
            length @ ..126 => frame.push(mask | u8::try_from(length).unwrap()),
            length @ ..0x1_0000 => {
                frame.push(mask | 126);
                frame.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            length => {
                frame.push(mask | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        if masked {
            frame.extend(MASK);
        }
        frame.extend(payload);
        frame
    }

    /// A tunnel that is under way: both its ends, what asks it to end, and what becomes of it.
    type Tunnel =
        (DuplexStream, DuplexStream, oneshot::Sender<CloseCode>, tokio::task::JoinHandle<io::Result<()>>);

    fn open(echo: Duration) -> Tunnel {
        let (client, ours) = duplex(64);
        let (upstream, theirs) = duplex(64);
        let (end, ended) = oneshot::channel();
        let ending = async move {
            match ended.await {
                Ok(code) => code,
                Err(_) => std::future::pending().await,
            }
        };
        (client, upstream, end, tokio::spawn(tunnel(ours, theirs, MASK, ending, echo)))
    }

    async fn read(from: &mut DuplexStream, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        from.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    #[tokio::test]
    async fn bytes_pass_and_each_side_ends_in_its_own_time() {
        let (mut client, mut upstream, _end, tunnel) = open(ECHO);
        let long = frame(2, true, &[7; 5000]);
        let sending = async {
            client.write_all(&long).await.unwrap();
            client.shutdown().await.unwrap();
        };
        let mut received = Vec::new();
        tokio::join!(sending, async { upstream.read_to_end(&mut received).await.unwrap() });
        assert_eq!(received, long);
        upstream.write_all(b"not even frames").await.unwrap();
        drop(upstream);
        let mut received = Vec::new();
        client.read_to_end(&mut received).await.unwrap();
        assert_eq!(received, b"not even frames");
        tunnel.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_close_is_put_between_two_frames_and_answered() {
        let (mut client, mut upstream, end, tunnel) = open(ECHO);
        let text = frame(1, false, b"hello");
        upstream.write_all(&text[..3]).await.unwrap();
        assert_eq!(read(&mut client, 3).await, text[..3]);
        end.send(CloseCode::GoingAway).unwrap();
        assert_eq!(read(&mut upstream, 8).await, MASKED_CLOSE_1001);
        // What follows the frame passes no more: nothing comes behind a Close.
        upstream.write_all(&[&text[3..], &text].concat()).await.unwrap();
        assert_eq!(read(&mut client, 4).await, text[3..]);
        assert_eq!(read(&mut client, 4).await, CLOSE_1001);
        client.write_all(&frame(1, true, b"too late")).await.unwrap();
        client.write_all(&frame(8, true, &[3, 0xe9])).await.unwrap();
        upstream.write_all(&frame(8, false, &[3, 0xe9])).await.unwrap();
        let mut rest = String::new();
        upstream.read_to_string(&mut rest).await.unwrap();
        client.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "");
        tunnel.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn who_does_not_answer_a_close_is_not_waited_for_for_long() {
        let (mut client, mut upstream, end, tunnel) = open(Duration::ZERO);
        end.send(CloseCode::PolicyViolation).unwrap();
        assert_eq!(read(&mut client, 4).await, [0x88, 2, 3, 0xf0]);
        assert_eq!(read(&mut upstream, 8).await[..2], [0x88, 0x82]);
        tunnel.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_frame_that_does_not_end_keeps_nothing_open_once_the_session_is_over() {
        let (mut client, mut upstream, end, tunnel) = open(Duration::ZERO);
        client.write_all(&frame(2, true, &[7; 100])[..50]).await.unwrap();
        assert_eq!(read(&mut upstream, 50).await.len(), 50);
        end.send(CloseCode::PolicyViolation).unwrap();
        assert_eq!(read(&mut client, 4).await, [0x88, 2, 3, 0xf0]);
        tunnel.await.unwrap().unwrap();
        let mut rest = Vec::new();
        upstream.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty());
    }

    #[tokio::test]
    async fn a_side_that_has_closed_already_gets_no_second_close() {
        let (mut client, mut upstream, end, tunnel) = open(ECHO);
        let close = frame(8, true, &[3, 0xe8]);
        client.write_all(&close).await.unwrap();
        assert_eq!(read(&mut upstream, close.len()).await, close);
        end.send(CloseCode::GoingAway).unwrap();
        assert_eq!(read(&mut client, 4).await, CLOSE_1001);
        upstream.write_all(&frame(8, false, &[3, 0xe8])).await.unwrap();
        let mut rest = String::new();
        upstream.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "");
        tunnel.await.unwrap().unwrap();
    }

    proptest! {
        #[test]
        fn frames_end_where_they_end_however_they_are_cut(
            payloads in proptest::collection::vec((0_u8..16, any::<bool>(), 0_usize..70_000), 1..6),
            cuts in proptest::collection::vec(1_usize..9000, 1..20),
        ) {
            let frames: Vec<_> =
                payloads.iter().map(|&(opcode, masked, length)| frame(opcode, masked, &vec![9; length])).collect();
            let bytes = frames.concat();
            let expected: Vec<usize> = frames
                .iter()
                .scan(0, |end, frame| {
                    *end += frame.len();
                    Some(*end)
                })
                .collect();
            let (mut follower, mut ends, mut at) = (Frames::default(), Vec::new(), 0);
            for cut in cuts.iter().cycle() {
                let chunk = &bytes[at..bytes.len().min(at + cut)];
                let mut passed = 0;
                while passed < chunk.len() {
                    passed += follower.advance(&chunk[passed..]);
                    if follower.are_between() {
                        ends.push(at + passed);
                    }
                }
                at += chunk.len();
                if at == bytes.len() {
                    break;
                }
            }
            prop_assert_eq!(ends, expected);
            prop_assert_eq!(follower.closed, payloads.iter().any(|&(opcode, ..)| opcode == 8));
        }

        #[test]
        fn any_bytes_can_be_followed(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
            let (mut follower, mut at) = (Frames::default(), 0);
            while at < bytes.len() {
                let passed = follower.advance(&bytes[at..]);
                prop_assert!(passed > 0);
                at += passed;
            }
        }
    }
}
