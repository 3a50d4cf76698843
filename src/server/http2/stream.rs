//! One stream: a request and its answer, on a task and with deadlines of their own.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, HeaderValue};
use http::{Method, StatusCode};
use http_body::{Body, Frame};

use super::content::Content;
use super::crew::Work;
use super::head::{self, Unsound};
use super::room::{Piece, Share};
use super::tunnel::Tunnel;
use super::{Trunk, Vitals, websocket};
use crate::deadline::Watch;
use crate::message::{Request, Response};
use crate::random;
use crate::server::Respond;
use crate::server::connection::date;
use crate::server::incoming::{Incoming, OnUpgrade, Upgraded};
use crate::server::pace::Pace;

/// A stream that has begun.
pub(in crate::server) struct Stream<R> {
    trunk: Rc<Trunk<R>>,
    request: Request<RecvStream>,
    reply: SendResponse<Piece>,
    share: Rc<Share>,
    under_way: UnderWay,
}

impl<R> Stream<R> {
    pub(super) fn begin(
        trunk: &Rc<Trunk<R>>,
        request: Request<RecvStream>,
        reply: SendResponse<Piece>,
        share: Rc<Share>,
    ) -> Self {
        let under_way = UnderWay::begin(&trunk.vitals);
        Self { trunk: Rc::clone(trunk), request, reply, share, under_way }
    }
}

impl<R: Respond> Work for Stream<R> {
    async fn run(self) {
        let Self { trunk, request, reply, share, under_way } = self;
        if let Err(over) = exchange(&trunk, request, reply, &share).await {
            tracing::debug!(%over, "a stream ends early");
        }
        share.ends();
        drop(under_way);
    }
}

/// Why a stream ends before its answer has been given to h2. What is left of it is dropped, and so it is reset.
#[derive(Debug, thiserror::Error)]
enum Over {
    #[error("the client took too long over it")]
    Late,
    #[error("the client has reset it: {0}")]
    Reset(Reason),
    #[error("the answer has broken off")]
    Broken,
    #[error(transparent)]
    Http2(#[from] h2::Error),
}

/// What may happen to a stream while something is awaited: h2 knows whether it has been reset, or lost.
type Reset = Poll<Result<Reason, h2::Error>>;

/// Waits for something, for as long as the client keeps up, and has not reset the stream.
async fn in_time<T>(
    watch: &Watch,
    mut awaited: impl FnMut(&mut Context<'_>) -> Poll<T>,
    mut reset: impl FnMut(&mut Context<'_>) -> Reset,
) -> Result<T, Over> {
    poll_fn(|cx| {
        watch.wakes(cx.waker());
        if watch.client.is_past() {
            return Poll::Ready(Err(Over::Late));
        }
        if let Poll::Ready(ready) = awaited(cx) {
            return Poll::Ready(Ok(ready));
        }
        Poll::Ready(Err(match ready!(reset(cx)) {
            Ok(reason) => Over::Reset(reason),
            Err(error) => error.into(),
        }))
    })
    .await
}

/// From a request to the last of its answer.
async fn exchange<R: Respond>(
    trunk: &Trunk<R>,
    mut request: Request<RecvStream>,
    mut reply: SendResponse<Piece>,
    share: &Rc<Share>,
) -> Result<(), Over> {
    let watch = share.watch();
    let limits = &trunk.vitals.limits;
    let pace = share.has_body().then(|| Pace::new(watch.client.clone(), limits.owed()));
    if let Some(pace) = &pace {
        request.extensions_mut().insert(pace.clone());
    }
    let mut exchange = Exchange::begin(&trunk.vitals, pace);

    if let Err(unsound) = head::settle(request.headers_mut(), limits.fields) {
        tracing::debug!(%unsound, "a request is refused");
        exchange.complete();
        let mut head = Response::new(());
        *head.status_mut() = match unsound {
            Unsound::TooManyFields => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Unsound::Blank | Unsound::Name => StatusCode::BAD_REQUEST,
        };
        send_head(&mut reply, head, true)?;
        return Ok(());
    }
    if let Some(shown) = &trunk.shown {
        shown.mark(&mut request);
    }
    let handshake = websocket::translate(&mut request, random::bytes);
    let is_head = request.method() == Method::HEAD;
    let mut tunnel = None;
    let (head, stream) = request.into_parts();
    let content = if handshake.is_some() {
        let (hand_over, on_upgrade) = OnUpgrade::of_connection();
        tunnel = Some((hand_over, stream));
        Incoming::switching(on_upgrade)
    } else if share.has_body() {
        Incoming::from_stream(Content::new(stream, &head.headers))
    } else {
        Incoming::empty()
    };

    let mut answer = {
        let request = Request::from_parts(head, content);
        let mut answering =
            pin!(Rc::clone(&trunk.respond).respond(request, trunk.arrival, Rc::clone(&watch)));
        in_time(&watch, |cx| answering.as_mut().poll(cx), |cx| reply.poll_reset(cx)).await?.map(Some)
    };
    exchange.is_answered();
    if let Some(handshake) = &handshake
        && let Err(reason) = handshake.conclude(&mut answer)
    {
        tracing::warn!(reason, "a WebSocket over HTTP/2 did not come about");
        answer = Response::new(None);
        *answer.status_mut() = StatusCode::BAD_GATEWAY;
    }
    if is_head {
        keep_head_alone(&mut answer);
    }
    let (head, body) = answer.into_parts();
    let mut head = Response::from_parts(head, ());
    if let Some((hand_over, receiving)) = tunnel
        && head.status() == StatusCode::OK
    {
        exchange.complete();
        let sending = send_head(&mut reply, head, false)?;
        let tunnel = Tunnel::new(sending, receiving, share.of_tunnel(), UnderWay::begin(&trunk.vitals));
        // Where nobody takes it, it ends.
        let _ = hand_over.send(Upgraded::new(tunnel, None));
        return Ok(());
    }
    let Some(mut body) = body.filter(|body| !body.is_end_stream()) else {
        exchange.complete();
        send_head(&mut reply, head, true)?;
        return Ok(());
    };
    if let Some(length) = body.size_hint().exact() {
        head.headers_mut().append_if_absent(CONTENT_LENGTH, || length.into());
    }
    let mut sending = send_head(&mut reply, head, false)?;
    loop {
        let frame = in_time(
            &watch,
            |cx| {
                let frame = Pin::new(&mut body).poll_frame(cx);
                if frame.is_pending() {
                    // The upstream is waited for.
                    watch.client.clear();
                }
                frame
            },
            |cx| sending.poll_reset(cx),
        );
        let Some(frame) = frame.await? else {
            exchange.complete();
            sending.send_data(Piece::nothing(), true)?;
            return Ok(());
        };
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => {
                exchange.complete();
                sending.send_reset(reason_of(&*error.into()));
                return Err(Over::Broken);
            }
        };
        // The client is to take it.
        watch.client.set(limits.body_idle);
        let is_last = frame.is_trailers() || body.is_end_stream();
        if is_last {
            exchange.complete();
        }
        if send_frame(frame, is_last, &mut sending, share, &watch).await? {
            return Ok(());
        }
    }
}

/// Sends a part of an answer, once there is room for it; and says whether it was the last.
async fn send_frame(
    frame: Frame<Bytes>,
    is_last: bool,
    sending: &mut SendStream<Piece>,
    share: &Rc<Share>,
    watch: &Watch,
) -> Result<bool, Over> {
    let octets = match frame.into_data() {
        Ok(octets) => octets,
        Err(frame) => {
            let Ok(trailers) = frame.into_trailers() else { return Ok(false) };
            sending.send_trailers(trailers)?;
            return Ok(true);
        }
    };
    let is_empty = octets.is_empty();
    // It is here from now on, whether there is room for it or not.
    let piece = Piece::new(octets, share);
    if !is_empty {
        // No more than a sign that there is something: what is reserved, other streams cannot have.
        sending.reserve_capacity(1);
        while sending.capacity() == 0 {
            let room = in_time(watch, |cx| sending.poll_capacity(cx), |_| Poll::Pending);
            room.await?.ok_or(Over::Broken)??;
        }
    }
    sending.send_data(piece, is_last)?;
    Ok(is_last)
}

/// Sends the head of an answer.
fn send_head(
    reply: &mut SendResponse<Piece>,
    mut head: Response<()>,
    is_all: bool,
) -> Result<SendStream<Piece>, h2::Error> {
    let fields = head.headers_mut();
    fields.remove(CONNECTION);
    fields.append_if_absent(DATE, || HeaderValue::try_from(date()).expect("a date is ASCII"));
    reply.send_response(head.into(), is_all).inspect_err(|_| reply.send_reset(Reason::INTERNAL_ERROR))
}

/// Takes the body from an answer to HEAD, and leaves its length (RFC 9110 §9.3.2).
fn keep_head_alone<B: Body>(answer: &mut Response<Option<B>>) {
    if let Some(body) = answer.body_mut().take_if(|body| !body.is_end_stream())
        && let Some(length) = body.size_hint().exact()
    {
        answer.headers_mut().append_if_absent(CONTENT_LENGTH, || length.into());
    }
}

/// With which error an answer ends that has broken off: what an upstream of HTTP/2 has said when it reset it, where that holds
/// for the client, too. What is wrong with the connection to the upstream is nothing that the client has done.
fn reason_of(error: &(dyn std::error::Error + 'static)) -> Reason {
    let of_http2 = std::iter::successors(Some(error), |error| error.source())
        .find_map(|error| error.downcast_ref::<h2::Error>())
        .filter(|error| error.is_reset() && error.is_remote());
    match of_http2.and_then(h2::Error::reason) {
        // There are clients that take the first for the end, repeat whatever was refused, or ask again over HTTP/1.1.
        Some(Reason::NO_ERROR | Reason::REFUSED_STREAM | Reason::HTTP_1_1_REQUIRED) | None => {
            Reason::INTERNAL_ERROR
        }
        Some(reason) => reason,
    }
}

/// A stream or a tunnel is under way for as long as this is there.
pub(super) struct UnderWay(Rc<Vitals>);

impl UnderWay {
    pub(super) fn begin(vitals: &Rc<Vitals>) -> Self {
        vitals.under_way.update(|streams| streams + 1);
        vitals.wait();
        Self(Rc::clone(vitals))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.update(|streams| streams - 1);
        self.0.wait();
    }
}

/// A request and its answer; where it ends before the answer has, the client has wasted it.
struct Exchange<'a> {
    vitals: &'a Vitals,
    is_complete: bool,
    /// Of the request's body, where it has one.
    pace: Option<Pace>,
}

impl<'a> Exchange<'a> {
    fn begin(vitals: &'a Vitals, pace: Option<Pace>) -> Self {
        Self { vitals, is_complete: false, pace }
    }

    /// The answer has begun.
    fn is_answered(&self) {
        if let Some(pace) = &self.pace {
            pace.is_answered();
        }
    }

    fn complete(&mut self) {
        self.is_complete = true;
    }
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        let change = if self.is_complete { u32::saturating_sub } else { u32::saturating_add };
        self.vitals.wasted.update(|wasted| change(wasted, 1));
        if let Some(pace) = &self.pace {
            pace.is_over();
        }
    }
}
