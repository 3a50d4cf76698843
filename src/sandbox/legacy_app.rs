//! A member site as there are many: a class schedule, a booking form, a style sheet, and no idea how to log anybody in.
//!
//! It greets the member whom the gateway names and shows what arrived: the identity fields, and whether the signature
//! over them holds. Its verifier is written from RFC 9421 as the developer of such a site would write it. What it says
//! about a member it says twice: for people in a panel, for programs at `/whoami` and `/echo`.
//!
//! ✗ It keeps nothing: no booking survives its answer.

mod pages;
mod verify;

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::time::{Interval, MissedTickBehavior, interval};
use url::form_urlencoded;

pub use self::verify::VerificationKey;

use self::verify::Verifier;
use crate::sandbox::server::{self, Body, Reply, Server, Site};
use crate::time::Clock;

/// The names of the fields that say who the member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityFields {
    /// The person.
    pub member_id: String,
    /// The person's unit.
    pub member_unit_id: String,
    /// Who vouches for both.
    pub provider: String,
    /// Fields that need not arrive, but are signed where they do, e.g. for names.
    pub optional: Vec<String>,
}

impl Default for IdentityFields {
    fn default() -> Self {
        Self {
            member_id: "X-Member-Id".into(),
            member_unit_id: "X-Member-Unit-Id".into(),
            provider: "X-Member-Provider".into(),
            optional: Vec::new(),
        }
    }
}

/// A running sample app. It stops when the last clone is dropped.
#[derive(Clone)]
pub struct LegacyApp(Arc<Server>);

/// Starts to serve.
///
/// # Errors
/// Where the listener or the thread cannot be used.
pub fn serve(
    listener: TcpListener,
    keys: Vec<VerificationKey>,
    clock: Clock,
    fields: IdentityFields,
) -> io::Result<LegacyApp> {
    let club = Club {
        verifier: Verifier { keys, required: required(&fields), optional: fields.optional.clone() },
        fields,
        clock,
    };
    Ok(LegacyApp(Arc::new(Server::start("sandbox-app", listener, Arc::new(club))?)))
}

impl LegacyApp {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// What stands before every path: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address())
    }
}

/// The club behind the site.
struct Club {
    verifier: Verifier,
    fields: IdentityFields,
    clock: Clock,
}

/// What a request says about its sender.
struct Visitor {
    member_id: Option<String>,
    member_unit_id: Option<String>,
    provider: Option<String>,
    /// The optional fields that arrived.
    further: Vec<(String, String)>,
    /// `valid`, or why it is not.
    signature: String,
}

impl Visitor {
    /// The member's id, where it can be believed.
    fn proven_id(&self) -> Option<&str> {
        self.member_id.as_deref().filter(|_| self.signature == verify::VALID)
    }
}

impl Club {
    fn visitor(&self, request: &Request<Bytes>) -> Visitor {
        let value = |name: &String| field(request, name);
        let signature = match self.verifier.verify(request, self.clock.now()) {
            Ok(()) => verify::VALID.to_owned(),
            Err(reason) => reason.to_string(),
        };
        Visitor {
            member_id: value(&self.fields.member_id),
            member_unit_id: value(&self.fields.member_unit_id),
            provider: value(&self.fields.provider),
            further: self
                .fields
                .optional
                .iter()
                .filter_map(|name| Some((name.clone(), value(name)?)))
                .collect(),
            signature,
        }
    }
}

impl Site for Club {
    async fn reply(&self, request: Request<Bytes>) -> Reply {
        let visitor = self.visitor(&request);
        let uri = request.uri();
        let response = match (uri.path(), request.method()) {
            ("/echo", _) => echo(&request),
            ("/whoami", &Method::GET) => whoami(&visitor),
            ("/events", &Method::GET) => events(),
            ("/assets/style.css", &Method::GET | &Method::HEAD) => style(),
            ("/", &Method::GET | &Method::HEAD) => server::page(StatusCode::OK, pages::home(&visitor)),
            ("/classes", &Method::GET | &Method::HEAD) => {
                server::page(StatusCode::OK, pages::classes(&visitor, week(uri.query())))
            }
            ("/book", &Method::GET | &Method::HEAD) => {
                server::page(StatusCode::OK, pages::booking(&visitor, query(uri.query(), "class").as_deref()))
            }
            ("/book", &Method::POST) => {
                let arrived: Vec<_> = form_urlencoded::parse(request.body()).into_owned().collect();
                server::page(StatusCode::OK, pages::booked(&visitor, &arrived))
            }
            _ => server::page(StatusCode::NOT_FOUND, pages::not_found(&visitor)),
        };
        let status = response.status().as_u16();
        tracing::info!(target: "sandbox", method = %request.method(), path = uri.path(), status, "the sample app answered");
        Reply::Answer(response)
    }
}

fn required(fields: &IdentityFields) -> Vec<String> {
    vec![fields.member_id.clone(), fields.member_unit_id.clone(), fields.provider.clone()]
}

/// The value of a field, its lines joined as RFC 9110 §5.3 says.
fn field(request: &Request<Bytes>, name: &str) -> Option<String> {
    let lines: Vec<_> =
        request.headers().get_all(name).iter().map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}

fn query(query: Option<&str>, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query.unwrap_or("").as_bytes());
    pairs.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

/// The week of the schedule, from 1 to 52; 1 where nothing sensible was asked for.
fn week(text: Option<&str>) -> u8 {
    let number = query(text, "week").and_then(|week| week.parse().ok());
    number.filter(|week| (1..=52).contains(week)).unwrap_or(1)
}

fn whoami(visitor: &Visitor) -> Response<Body> {
    server::json(
        StatusCode::OK,
        &json!({
            "member_id": visitor.member_id,
            "member_unit_id": visitor.member_unit_id,
            "provider": visitor.provider,
            "signature": visitor.signature,
        }),
    )
}

/// The request as it arrived. Names and values are pairs, for a name may come more than once.
fn echo(request: &Request<Bytes>) -> Response<Body> {
    let pair = |(name, value): (&http::HeaderName, &HeaderValue)| {
        json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())])
    };
    server::json(
        StatusCode::OK,
        &json!({
            "method": request.method().as_str(),
            "path": request.uri().path(),
            "query": request.uri().query(),
            "fields": request.headers().iter().map(pair).collect::<Vec<Value>>(),
            "body": String::from_utf8_lossy(request.body()),
        }),
    )
}

fn style() -> Response<Body> {
    let mut response =
        server::answer(StatusCode::OK, "text/css; charset=utf-8", include_str!("legacy_app/style.css"));
    let cacheable = HeaderValue::from_static("public, max-age=300");
    response.headers_mut().insert(header::CACHE_CONTROL, cacheable);
    response
}

/// Three events, the first at once and each other a second later, to see whether a proxy streams.
fn events() -> Response<Body> {
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut response = server::answer(StatusCode::OK, "text/event-stream", "");
    *response.body_mut() = Events { sent: 0, ticks }.boxed();
    response
}

struct Events {
    sent: u8,
    ticks: Interval,
}

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.sent == 3 {
            return Poll::Ready(None);
        }
        self.ticks.poll_tick(context).map(|_| {
            self.sent += 1;
            let event = format!("event: places\nid: {0}\ndata: {0}\n\n", self.sent);
            Some(Ok(Frame::data(event.into())))
        })
    }
}
