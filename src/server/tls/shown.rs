//! What a browser has been shown: the name it asked for in the handshake, and the certificate that went with it.
//!
//! A browser uses one connection for all names that the certificate bears (RFC 9113 §9.1.1), and for no others. A request
//! for any other has lost its way, or was led here by somebody between who would have two sites taken for one.

use std::cell::RefCell;
use std::rc::Rc;

use http::header::HOST;
use tokio_rustls::server::TlsStream;

use super::{Socket, Tls};
use crate::message::Request;

/// The request asks for a name that the certificate of its connection does not bear (RFC 9110 §7.4).
#[derive(Clone, Copy, Debug)]
pub struct Misdirected;

/// What the client of one connection has been shown.
pub(in crate::server) struct Shown {
    tls: Tls,
    /// The name it asked for (RFC 6066 §3), in lower case.
    name: String,
    /// Another name that the certificate bears, the last that was asked for.
    also: RefCell<String>,
}

impl Shown {
    /// After the handshake; nothing where the client asked for no name.
    pub(in crate::server) fn after(tls: &Tls, stream: &TlsStream<Socket>) -> Option<Rc<Self>> {
        let name = stream.get_ref().1.server_name()?;
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        Some(Rc::new(Self { tls: tls.clone(), name, also: RefCell::default() }))
    }

    /// Leaves a mark on a request that has lost its way.
    pub(in crate::server) fn mark<B>(&self, request: &mut Request<B>) {
        if host(request).is_some_and(|host| !self.bears(host)) {
            request.extensions_mut().insert(Misdirected);
        }
    }

    fn bears(&self, host: &str) -> bool {
        if self.name.eq_ignore_ascii_case(host) || self.also.borrow().eq_ignore_ascii_case(host) {
            return true;
        }
        let bears = self.tls.shows(&self.name, host);
        if bears {
            host.clone_into(&mut self.also.borrow_mut());
        }
        bears
    }
}

/// The host that a request asks for, without its port. Whether there is one, and only one, others look after.
fn host<B>(request: &Request<B>) -> Option<&str> {
    let authority = match request.uri().authority() {
        Some(authority) => authority.as_str(),
        None => request.headers().get(HOST)?.to_str().ok()?,
    };
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => Some(host),
        Some(_) | None => Some(authority),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_stands_in_the_target_or_in_its_field() {
        for (target, field, expected) in [
            ("/a", Some("a.test"), Some("a.test")),
            ("/a", Some("a.test:8443"), Some("a.test")),
            ("https://b.test:1/a", None, Some("b.test")),
            ("/a", Some("[::1]"), Some("[::1]")),
            ("/a", Some("[::1]:8443"), Some("[::1]")),
            ("/a", None, None),
        ] {
            let mut request = http::Request::builder().uri(target);
            if let Some(field) = field {
                request = request.header(HOST, field);
            }
            assert_eq!(host(&request.body(()).unwrap().into()), expected, "{target} {field:?}");
        }
    }
}
