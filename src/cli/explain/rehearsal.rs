//! A request that is tried: through the hall of a gateway, to an app that keeps what it is sent and says nothing.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{LocalSet, spawn_local};

use crate::config::assemble::{Loaded, Surroundings};
use crate::config::{ProtocolChoice, UpstreamChoice};
use crate::deadline::Ticker;
use crate::drain::Draining;
use crate::gateway::Worker;
use crate::message::{Request, RequestHead, Response};
use crate::server::{Arrival, Making, Respond};

/// Nothing here waits for anybody but this process.
const PATIENCE: Duration = Duration::from_secs(10);
/// More than any page of the gateway's own.
const MOST: usize = 1024 * 1024;

/// What has become of a request.
pub(super) struct Rehearsal {
    /// The answer; that of the app, where it got there, is of no interest.
    pub(super) answer: Response<Bytes>,
    /// What the app was sent, if anything.
    pub(super) arrived: Option<RequestHead>,
}

/// Tries a request on a gateway of this configuration.
pub(super) fn rehearse(
    loaded: &Loaded,
    surroundings: &Surroundings,
    request: Request<()>,
    arrival: Arrival,
) -> io::Result<Rehearsal> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let trial = async {
        let app = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let loaded = with_app_at(loaded, app.local_addr()?);
        let assembled =
            loaded.assemble(surroundings).map_err(|problems| io::Error::other(problems.to_string()))?;
        let (_announced, announcements) = watch::channel(Default::default());
        let (draining, _rest) = Draining::new(announcements);
        let ticker = Ticker::default();
        let making = Making { ticker: &ticker, draining: &draining, before: None };
        let worker = Worker::new(Arc::new(assembled.gateway), &making);
        let arrived = Rc::<RefCell<Option<RequestHead>>>::default();
        spawn_local(serve_as_app(app, Rc::clone(&arrived)));
        let answer = asked(worker, &ticker, request, arrival).await?;
        Ok(Rehearsal { answer, arrived: arrived.take() })
    };
    LocalSet::new().block_on(&runtime, async {
        tokio::time::timeout(PATIENCE, trial).await.map_err(|_| io::ErrorKind::TimedOut)?
    })
}

/// The same configuration, with this app behind all sites.
fn with_app_at(loaded: &Loaded, address: SocketAddr) -> Loaded {
    let mut loaded = loaded.clone();
    for site in &mut loaded.config.site {
        site.upstream = UpstreamChoice::One(format!("http://{address}"));
        site.protocol = ProtocolChoice::Http1;
        site.upstream_tls = None;
        site.health = None;
    }
    loaded
}

/// Keeps the head of what comes, and has nothing to say.
async fn serve_as_app(listener: TcpListener, arrived: Rc<RefCell<Option<RequestHead>>>) {
    let Ok((socket, _)) = listener.accept().await else { return };
    let service = service_fn(|request: http::Request<Incoming>| {
        arrived.replace(Some(Request::from(request).into_parts().0));
        let mut answer = http::Response::new(Empty::<Bytes>::new());
        *answer.status_mut() = StatusCode::NO_CONTENT;
        async { Ok::<_, Infallible>(answer) }
    });
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
}

/// Brings a request before the worker as a connection does.
async fn asked(
    worker: Rc<Worker>,
    ticker: &Ticker,
    request: Request<()>,
    arrival: Arrival,
) -> io::Result<Response<Bytes>> {
    let watched = ticker.watch();
    let request = request.map(|()| crate::server::Incoming::empty());
    let (head, body) = worker.respond(request, arrival, watched.share()).await.into_parts();
    let body = Limited::new(body, MOST).collect().await.map_err(io::Error::other)?.to_bytes();
    Ok(Response::from_parts(head, body))
}
