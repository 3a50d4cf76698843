//! WebSockets over HTTP/2 (RFC 8441): an extended CONNECT on this side, a handshake of RFC 6455 on the other.
//!
//! A handshake is translated at the door and its answer on the way out. So there is one kind of handshake inside, and the
//! rules, the check of its Origin and the signature are the same for both.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use h2::ext::Protocol;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, TRANSFER_ENCODING,
    UPGRADE,
};
use http::{Method, StatusCode};

use crate::message::{Request, Response};

/// What a key is answered with (RFC 6455 §1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A handshake that came as an extended CONNECT.
#[derive(Debug)]
pub(super) struct Handshake {
    /// What proves that the other side has read the handshake.
    accept: String,
}

/// Turns an extended CONNECT for a WebSocket into a handshake, with a key made of a `nonce`; any other request stays as it
/// is, and needs none.
pub(super) fn translate<B>(request: &mut Request<B>, nonce: impl FnOnce() -> [u8; 16]) -> Option<Handshake> {
    let is_websocket = request.method() == Method::CONNECT
        && request.extensions().get::<Protocol>().is_some_and(|protocol| protocol.as_str() == "websocket");
    if !is_websocket {
        return None;
    }
    let key = STANDARD.encode(nonce());
    let accept = accept(&key);
    *request.method_mut() = Method::GET;
    request.extensions_mut().remove::<Protocol>();
    let fields = request.headers_mut();
    fields.remove(CONTENT_LENGTH);
    fields.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    fields.insert(UPGRADE, HeaderValue::from_static("websocket"));
    fields.insert(SEC_WEBSOCKET_KEY, HeaderValue::try_from(key).expect("base64 is ASCII"));
    Some(Handshake { accept })
}

impl Handshake {
    /// Turns the answer into one to the CONNECT. 101 opens the tunnel and becomes 200 (RFC 8441 §5), if the other side has
    /// proved that it speaks WebSocket; any other success would open one as well, and nobody has agreed to that.
    ///
    /// # Errors
    /// What is wrong with an answer that must not go out.
    pub(super) fn conclude<B>(&self, answer: &mut Response<B>) -> Result<(), &'static str> {
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            let mut accepts = answer.headers().get_all(SEC_WEBSOCKET_ACCEPT);
            let proof = (accepts.next(), accepts.next());
            if !matches!(proof, (Some(accept), None) if accept.as_bytes() == self.accept.as_bytes()) {
                return Err("Sec-WebSocket-Accept does not fit the key");
            }
            *answer.status_mut() = StatusCode::OK;
            for name in [CONNECTION, UPGRADE, SEC_WEBSOCKET_ACCEPT, CONTENT_LENGTH, TRANSFER_ENCODING] {
                answer.headers_mut().remove(name);
            }
            return Ok(());
        }
        if answer.status().is_success() {
            return Err("a handshake was answered with success, but not with 101");
        }
        Ok(())
    }
}

/// What a key is answered with.
fn accept(key: &str) -> String {
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key.as_bytes(), GUID].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(protocol: &'static str) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = Method::CONNECT;
        request.extensions_mut().insert(Protocol::from_static(protocol));
        request
    }

    #[test]
    fn a_key_is_answered_as_the_standard_says() {
        // RFC 6455 §1.3
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn an_extended_connect_becomes_a_handshake_with_a_key_of_ours() {
        let mut request = connect("websocket");
        request.headers_mut().insert(SEC_WEBSOCKET_KEY, HeaderValue::from_static("theirs"));
        translate(&mut request, || *b"the sample nonce").unwrap();
        assert_eq!(request.method(), Method::GET);
        assert_eq!(request.headers()[SEC_WEBSOCKET_KEY], "dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(request.headers()[UPGRADE], "websocket");
        assert_eq!(request.headers()[CONNECTION], "upgrade");
    }

    #[test]
    fn nothing_else_becomes_a_handshake() {
        for protocol in ["connect-udp", "WebSocket", "websocket, h2c"] {
            let mut request = connect(protocol);
            assert!(translate(&mut request, || [0; 16]).is_none(), "{protocol}");
            assert_eq!(request.method(), Method::CONNECT);
        }
        let mut plain = Request::new(());
        *plain.method_mut() = Method::CONNECT;
        assert!(translate(&mut plain, || [0; 16]).is_none());
    }

    #[test]
    fn only_a_101_that_proves_itself_opens_a_tunnel() {
        let handshake = translate(&mut connect("websocket"), || *b"the sample nonce").unwrap();
        let answer = |status: u16, accepts: &[&'static str]| {
            let mut answer = Response::new(());
            *answer.status_mut() = StatusCode::from_u16(status).unwrap();
            for accept in accepts {
                answer.headers_mut().append(SEC_WEBSOCKET_ACCEPT, HeaderValue::from_static(accept));
            }
            answer
        };
        let right = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
        let mut sound = answer(101, &[right]);
        handshake.conclude(&mut sound).unwrap();
        assert_eq!((sound.status(), sound.headers().len()), (StatusCode::OK, 0));
        for (status, accepts) in
            [(101, &[][..]), (101, &["x"]), (101, &[right, right]), (200, &[right]), (204, &[])]
        {
            assert!(handshake.conclude(&mut answer(status, accepts)).is_err(), "{status} {accepts:?}");
        }
        for status in [302, 401, 403, 502] {
            let mut refusal = answer(status, &[]);
            handshake.conclude(&mut refusal).unwrap();
            assert_eq!(refusal.status(), status);
        }
    }
}
