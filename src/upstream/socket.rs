//! The socket of an upstream connection, and what can be learnt by reading along.
//!
//! hyper is as lenient with the head of an answer as with that of a request, reads interim answers without end, and does
//! not say how far a request was written. All three decide whether an answer can be trusted and whether the connection
//! may ever carry another member's request.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What an upstream may send before the head of its answer has ended, interim answers included.
const MOST_HEAD: usize = 256 * 1024;

/// What is known of a connection, for those who use it. Written by the task that drives it, on the same thread.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// A request is under way and the head of its answer has not ended.
    awaiting: AtomicBool,
    /// Something has come since the request was begun.
    heard: AtomicBool,
    /// The last write was not taken: part of the request is still here.
    blocked: AtomicBool,
}

impl Line {
    /// A request is about to be sent.
    pub(super) fn begin(&self) {
        self.heard.store(false, Ordering::Relaxed);
        self.awaiting.store(true, Ordering::Relaxed);
    }

    /// Whether a single byte has come back for the request under way.
    pub(super) fn has_heard(&self) -> bool {
        self.heard.load(Ordering::Relaxed)
    }

    /// Whether part of the request could not be written yet.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Relaxed)
    }
}

/// A socket whose answers are read along.
pub(super) struct Overheard<S> {
    socket: S,
    line: Arc<Line>,
    head: Head,
}

impl<S> Overheard<S> {
    pub(super) fn new(socket: S, line: Arc<Line>) -> Self {
        Self { socket, line, head: Head::default() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Overheard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        let read = Pin::new(&mut this.socket).poll_read(cx, buf);
        if let Poll::Ready(Ok(())) = read {
            let bytes = &buf.filled()[before..];
            if !bytes.is_empty() {
                this.line.heard.store(true, Ordering::Relaxed);
            }
            if this.line.awaiting.load(Ordering::Relaxed) && this.head.follow(bytes)? {
                this.line.awaiting.store(false, Ordering::Relaxed);
                this.head = Head::default();
            }
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Overheard<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.line.blocked.store(written.is_pending(), Ordering::Relaxed);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, slices);
        self.line.blocked.store(written.is_pending(), Ordering::Relaxed);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// How far the head of an answer has come.
#[derive(Debug, Default)]
struct Head {
    octets: usize,
    /// Octets of the current line, its CR included.
    line: usize,
    last: u8,
    /// The first line has ended, and whether its status was an interim one.
    interim: Option<bool>,
    /// The octet of the status line that makes a status interim (RFC 9112 §4: `HTTP/1.1 1xx`), and the one that makes it
    /// final again, for 101 ends a conversation in HTTP.
    status: [u8; 3],
}

impl Head {
    /// Reads on; true once the head of the final answer has ended.
    fn follow(&mut self, bytes: &[u8]) -> io::Result<bool> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let line_feed = memchr::memchr(b'\n', rest);
            let (piece, after) = rest.split_at(line_feed.unwrap_or(rest.len()));
            self.octets += piece.len() + usize::from(line_feed.is_some());
            if self.octets > MOST_HEAD {
                return Err(invalid("the head of the answer does not end"));
            }
            if self.interim.is_none() {
                let status = (self.line..12).zip(piece).skip_while(|(at, _)| *at < 9);
                status.for_each(|(at, byte)| self.status[at - 9] = *byte);
            }
            self.line += piece.len();
            self.last = piece.last().copied().unwrap_or(self.last);
            let Some((_, after)) = after.split_first() else { return Ok(false) };
            rest = after;
            // RFC 9112 §2.2 lets a recipient take a bare LF for a line end; two that do not agree on it are one answer apart.
            if self.last != b'\r' {
                return Err(invalid("a line of the answer's head ends without CR"));
            }
            let is_empty = self.line == 1;
            if self.interim.is_none() {
                self.interim = Some(self.status[0] == b'1' && &self.status != b"101");
            } else if is_empty {
                if self.interim == Some(false) {
                    return Ok(true);
                }
                *self = Self { octets: self.octets, ..Self::default() };
            }
            self.line = 0;
            self.last = b'\n';
        }
        Ok(false)
    }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the head has ended, read in one piece and byte by byte.
    fn follow(text: &str) -> Option<bool> {
        let whole = Head::default().follow(text.as_bytes()).ok();
        let mut head = Head::default();
        let mut piecewise = Some(false);
        for byte in text.bytes() {
            piecewise = head.follow(&[byte]).ok();
            if piecewise != Some(false) {
                break;
            }
        }
        assert_eq!(whole, piecewise, "{text:?}");
        whole
    }

    #[test]
    fn a_head_ends_with_an_empty_line_and_interim_answers_do_not_count() {
        for (text, ended) in [
            ("HTTP/1.1 200 OK\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\na: b\r\n\r\nbody\nwith bare line feeds", true),
            ("HTTP/1.1 200 OK\r\na: b\r\n", false),
            ("HTTP/1.1 103 Early Hints\r\na: b\r\n\r\n", false),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", true),
            ("HTTP/1.1 101 Switching Protocols\r\n\r\n", true),
            ("", false),
        ] {
            assert_eq!(follow(text), Some(ended), "{text:?}");
        }
    }

    #[test]
    fn a_bare_line_feed_in_a_head_is_no_end_of_a_line() {
        for text in
            ["HTTP/1.1 200 OK\n\r\n", "HTTP/1.1 200 OK\r\na: b\n\r\n", "HTTP/1.1 200 OK\r\na: b\r\n\n", "\n"]
        {
            assert_eq!(follow(text), None, "{text:?}");
        }
    }

    #[test]
    fn interim_answers_come_to_an_end() {
        let flood = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(MOST_HEAD / 20);
        assert!(Head::default().follow(flood.as_bytes()).is_err());
    }
}
