//! Outgoing: a request as an upstream is to get it.
//!
//! The lines of its head pass by once: each is written as it comes, into the octets of HTTP/1.1 where the upstream speaks
//! nothing else, and otherwise into a map, for nobody knows yet which HTTP it will be. Nothing that was written is looked
//! up or taken back.

use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue, TRAILER, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{Method, Request, Uri};
use http_body::Body as _;

use super::body::RequestBody;
use super::http1;
use crate::field_lines::Lines;
use crate::http1::{Framing, spares};
use crate::message::Fields;

/// A head while it is written.
#[derive(Debug)]
pub enum Head {
    /// As it goes out over HTTP/1.1.
    Octets(Vec<u8>),
    /// For whichever HTTP the upstream turns out to speak.
    Fields(Box<Undecided>),
}

/// A head that may become one of HTTP/1.1 or of HTTP/2.
#[derive(Debug)]
pub struct Undecided {
    target: PathAndQuery,
    fields: Fields,
}

impl Head {
    /// Begins a head in the octets of HTTP/1.1.
    #[must_use]
    pub fn octets(method: &Method, target: &PathAndQuery) -> Self {
        let mut octets = spares::octets();
        http1::write_request_line(method, target, &mut octets);
        Self::Octets(octets)
    }

    /// Begins a head that may become either.
    #[must_use]
    pub fn undecided(target: PathAndQuery) -> Self {
        Self::Fields(Box::new(Undecided { target, fields: Fields::new() }))
    }
}

impl Lines for Head {
    fn field(&mut self, name: &HeaderName, value: &HeaderValue) {
        match self {
            Self::Octets(octets) => http1::write_line(name, value.as_bytes(), octets),
            Self::Fields(head) => head.fields.field(name, value),
        }
    }

    fn text(&mut self, name: &HeaderName, value: &[u8]) {
        match self {
            Self::Octets(octets) => http1::write_line(name, value, octets),
            Self::Fields(head) => head.fields.text(name, value),
        }
    }
}

/// A request that is ready to go out, as often as it takes.
pub struct Outgoing {
    pub(super) method: Method,
    pub(super) head: Head,
    pub(super) body: RequestBody,
    pub(super) traits: Traits,
    /// How the body is delimited over HTTP/1.1.
    pub(super) framing: Framing,
    /// The trailers that the head announces: no others are sent (RFC 9110 §6.6.2).
    pub(super) announced: Option<HeaderValue>,
    /// Room for the fields of the answer. What stands in there is gone.
    pub(super) room: Fields,
}

/// What is to be known of a request beside its lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// It authenticates the connection, which then belongs to one member for good.
    pub binds: bool,
    /// It asks to go on in another protocol.
    pub upgrades: bool,
    /// Where there is no body, it says so.
    pub says_empty: bool,
    /// Who has sent it may have a hundred others under way, and take nothing of any answer: little is read at a time.
    pub shares_connection: bool,
}

impl Outgoing {
    /// A request with a head that is complete but for what says how long the body is: as long as is known, or in chunks
    /// where that is not known or trailers are announced. Whatever the client said of it is not to be in the head.
    #[must_use]
    pub fn new(
        method: Method,
        mut head: Head,
        body: RequestBody,
        announced: Option<HeaderValue>,
        traits: Traits,
        room: Fields,
    ) -> Self {
        let framing = match (body.is_end_stream(), body.size_hint().exact()) {
            (true, _) => Framing::Nothing,
            (false, Some(length)) if announced.is_none() => Framing::Length(length),
            (false, _) => Framing::Chunked,
        };
        match framing {
            Framing::Nothing if traits.says_empty => head.text(&CONTENT_LENGTH, b"0"),
            // A request never ends with its connection (RFC 9112 §6.3).
            Framing::Nothing | Framing::UntilClose => {}
            Framing::Length(length) => head.field(&CONTENT_LENGTH, &HeaderValue::from(length)),
            Framing::Chunked => head.text(&TRANSFER_ENCODING, b"chunked"),
        }
        if let Some(names) = &announced {
            head.field(&TRAILER, names);
        }
        if let Head::Octets(octets) = &mut head {
            octets.extend_from_slice(b"\r\n");
        }
        Self { method, head, body, traits, framing, announced, room }
    }

    /// It is not sent any more: its room is for others.
    pub fn is_over(&mut self) {
        if let Head::Octets(octets) = &mut self.head {
            spares::keep_octets(std::mem::take(octets));
        }
    }

    /// Writes the head as HTTP/1.1 has it.
    pub(super) fn write_head(&self, out: &mut Vec<u8>) {
        match &self.head {
            Head::Octets(octets) => out.extend_from_slice(octets),
            Head::Fields(head) => {
                http1::write_request_line(&self.method, &head.target, out);
                head.fields.iter().for_each(|(name, value)| http1::write_line(name, value.as_bytes(), out));
                out.extend_from_slice(b"\r\n");
            }
        }
    }

    /// The same request once more, where it has no body.
    pub(super) fn copy(&self) -> Option<Request<RequestBody>> {
        let Head::Fields(head) = &self.head else { return None };
        let copy = || self.request(head.target.clone(), head.fields.clone(), RequestBody::empty());
        self.body.is_end_stream().then(copy)
    }

    /// The request as others have it. Of this one nothing is left that could be sent.
    pub(super) fn take(&mut self) -> Request<RequestBody> {
        let body = std::mem::replace(&mut self.body, RequestBody::empty());
        let (target, fields) = match &mut self.head {
            Head::Fields(head) => (head.target.clone(), std::mem::take(&mut head.fields)),
            // It was decided that the upstream speaks HTTP/1.1.
            Head::Octets(_) => (PathAndQuery::from_static("/"), Fields::new()),
        };
        self.request(target, fields, body)
    }

    /// The way back, for one that was not sent.
    pub(super) fn put_back(&mut self, request: Request<RequestBody>) {
        let (mut head, body) = request.into_parts();
        if self.framing == Framing::Chunked {
            head.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        if let Head::Fields(known) = &mut self.head {
            known.fields = head.headers.into();
        }
        self.body = body;
    }

    fn request(&self, target: PathAndQuery, fields: Fields, body: RequestBody) -> Request<RequestBody> {
        let mut request = Request::new(body);
        request.method_mut().clone_from(&self.method);
        *request.uri_mut() = Uri::from(target);
        *request.headers_mut() = fields.into();
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(octets: bool, body: RequestBody, announced: Option<&'static str>) -> Outgoing {
        let traits = Traits { says_empty: true, ..Traits::default() };
        let (method, target) = (Method::POST, PathAndQuery::from_static("/a/../b?c=%2f"));
        let mut head = if octets { Head::octets(&method, &target) } else { Head::undecided(target) };
        head.field(&HeaderName::from_static("x-member-id"), &HeaderValue::from_static("4"));
        head.text(&HeaderName::from_static("cookie"), b"a=1");
        let announced = announced.map(HeaderValue::from_static);
        Outgoing::new(method, head, body, announced, traits, Fields::new())
    }

    /// What is written of a request over HTTP/1.1, in whichever form it was kept.
    fn written(body: impl Fn() -> RequestBody, announced: Option<&'static str>) -> (String, Framing) {
        let [first, second] = [true, false].map(|octets| {
            let (request, mut out) = (request(octets, body(), announced), Vec::new());
            request.write_head(&mut out);
            (String::from_utf8(out).unwrap(), request.framing)
        });
        assert_eq!(first, second);
        first
    }

    #[test]
    fn a_request_is_written_as_old_apps_expect_it() {
        let begin = "POST /a/../b?c=%2f HTTP/1.1\r\nX-Member-Id: 4\r\nCookie: a=1\r\n";
        let form = || RequestBody::full("four".into());
        for (body, announced, end, framing) in [
            (RequestBody::empty as fn() -> RequestBody, None, "Content-Length: 0\r\n\r\n", Framing::Nothing),
            (form, None, "Content-Length: 4\r\n\r\n", Framing::Length(4)),
            (form, Some("x-a"), "Transfer-Encoding: chunked\r\nTrailer: x-a\r\n\r\n", Framing::Chunked),
        ] {
            assert_eq!(written(body, announced), (format!("{begin}{end}"), framing));
        }
    }

    #[test]
    fn what_was_taken_and_not_sent_can_be_put_back() {
        let mut outgoing = request(false, RequestBody::full("four".into()), Some("x-a"));
        let mut before = Vec::new();
        outgoing.write_head(&mut before);
        let mut taken = outgoing.take();
        assert_eq!((taken.uri().path(), taken.method()), ("/a/../b", &Method::POST));
        assert!(outgoing.copy().is_some() && outgoing.body.is_end_stream(), "nothing of it is left");
        // HTTP/2 does not know it.
        taken.headers_mut().remove(TRANSFER_ENCODING);
        outgoing.put_back(taken);
        let mut after = Vec::new();
        outgoing.write_head(&mut after);
        let sorted = |head: Vec<u8>| {
            let mut lines: Vec<String> =
                String::from_utf8(head).unwrap().lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(after), sorted(before));
    }
}
