//! Daxko Operations, API v3, as its member authentication tutorial and its API definition describe it.
//!
//! The log-in form, both token endpoints, the settings and the reads of members and units. It is strict where Daxko
//! documents a rule and says which rule refused a request. Where Daxko is silent the choice is our own and stands at
//! the code that makes it. [`Faults`] are no vendor behaviour. Nothing is kept when the last handle is dropped.

mod account;
mod authorize;
mod bearer;
mod faults;
mod form;
mod members;
mod parameters;
mod refusal;
mod resources;
mod settings;
mod token;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use serde_json::json;

pub use self::account::Account;
pub use self::faults::{Endpoint, Faults};
pub use self::members::SampleMember;
pub use crate::sandbox::faults::Fault;
pub use crate::sandbox::journal::RecordedRequest;

use self::authorize::Code;
use self::bearer::ClientToken;
use self::refusal::{Answer, Refusal};
use self::settings::Document;
use crate::sandbox::issued::{self, Issued};
use crate::sandbox::journal::{self, Journal};
use crate::sandbox::server::{self, Body, Reply, Server, Site};
use crate::time::Clock;

/// How long things live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// An authorization code.
    pub code: Duration,
    /// The token that reads `GET /v3/members/me`.
    pub member_token: Duration,
    /// The token that reads everything else.
    pub client_token: Duration,
}

/// What Daxko documents.
impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            code: Duration::from_secs(600),
            member_token: Duration::from_secs(600),
            client_token: Duration::from_secs(86400),
        }
    }
}

/// What the simulation knows when it starts. The default is the sandbox's published sample account, whose settings
/// were never saved.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The API username, sent as `client_id`.
    pub username: String,
    /// Its password, sent as `client_secret`.
    pub password: String,
    /// Its refresh token, the bearer of both token endpoints.
    pub refresh_token: String,
    /// The numbers of the clients (associations) granted to the username.
    pub clients: Vec<u64>,
    /// The redirect URIs that were saved for the username; none at all where its settings were never saved.
    pub valid_redirect_uris: Option<Vec<String>>,
    /// The link of the log-in form for those who have no account yet; blank for none.
    pub sign_up_url: String,
    /// The link of the log-in form for those who forgot their password; blank for none.
    pub forgot_password_url: String,
    /// Further API usernames, so that one can try what belongs to another.
    pub neighbours: Vec<Account>,
    /// How long things live.
    pub lifetimes: Lifetimes,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            username: "lakes_web".into(),
            password: "0f1e2d3c4b5a69788796a5b4c3d2e1f0".into(),
            refresh_token:
                "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.c2FuZGJveC1yZWZyZXNoLXRva2VuLW9mLWxha2VzX3dlYg.\
                            published-sample-of-no-worth"
                    .into(),
            clients: vec![4711],
            valid_redirect_uris: None,
            sign_up_url: String::new(),
            forgot_password_url: String::new(),
            neighbours: Vec::new(),
            lifetimes: Lifetimes::default(),
        }
    }
}

/// A running simulation. It stops when the last clone is dropped.
#[derive(Clone)]
pub struct Daxko(Arc<Running>);

struct Running {
    server: Server,
    vendor: Arc<Vendor>,
}

impl Daxko {
    /// Starts to serve.
    ///
    /// # Errors
    /// Where the listener or the thread cannot be used.
    pub fn serve(listener: TcpListener, settings: Settings, clock: Clock) -> io::Result<Self> {
        let vendor = Arc::new(Vendor::new(settings, clock));
        let server = Server::start("sandbox-daxko", listener, Arc::clone(&vendor))?;
        Ok(Self(Arc::new(Running { server, vendor })))
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0.server.address()
    }

    /// What stands before every path, the form's and the API's alike: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// What goes wrong on demand.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.0.vendor.faults
    }

    /// The last requests, the oldest first, without those for the style sheet and the faults.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.0.vendor.journal.entries()
    }

    /// Everybody who can log in.
    #[must_use]
    pub fn members() -> &'static [SampleMember] {
        &members::MEMBERS
    }
}

/// The vendor: what it was told at the start, and what it has handed out since.
struct Vendor {
    accounts: Vec<Account>,
    clock: Clock,
    faults: Faults,
    journal: Journal,
    memory: Mutex<Memory>,
}

/// What changes. Accounts are named by their place in [`Vendor::accounts`].
struct Memory {
    /// What each account saved, if it did.
    saved: Vec<Option<Document>>,
    codes: Issued<Code>,
    member_tokens: Issued<&'static SampleMember>,
    client_tokens: Issued<ClientToken>,
}

impl Vendor {
    fn new(settings: Settings, clock: Clock) -> Self {
        let lifetimes = settings.lifetimes;
        let own = Account {
            username: settings.username,
            password: settings.password,
            refresh_token: settings.refresh_token,
            clients: settings.clients,
            valid_redirect_uris: settings.valid_redirect_uris,
            sign_up_url: settings.sign_up_url,
            forgot_password_url: settings.forgot_password_url,
        };
        let accounts: Vec<_> = std::iter::once(own).chain(settings.neighbours).collect();
        let memory = Memory {
            saved: accounts.iter().map(Document::saved_by).collect(),
            codes: Issued::living_for(lifetimes.code),
            member_tokens: Issued::living_for(lifetimes.member_token),
            client_tokens: Issued::living_for(lifetimes.client_token),
        };
        Self {
            accounts,
            clock,
            faults: Faults::default(),
            journal: Journal::of("Daxko"),
            memory: Mutex::new(memory),
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().expect("nothing panics while it holds this lock")
    }

    /// Finds the endpoint, lets its fault happen, or answers.
    async fn answer(
        &self,
        request: &Request<Bytes>,
        entry: &mut RecordedRequest,
    ) -> (Reply, Option<&'static str>) {
        let place = match Place::of(request) {
            Ok(place) => place,
            Err(refusal) => return split(Err(refusal)),
        };
        let fault = self.faults.take(place.endpoint());
        if let Some(reply) = fault.as_ref().and_then(Fault::stand_in) {
            return (reply, None);
        }
        let answer = match place {
            Place::Authorize => self.authorize(request, fault.as_ref(), entry),
            Place::LogIn => self.log_in(request, fault.as_ref(), entry),
            Place::ClientToken => self.client_token(request, entry).await,
            Place::MemberToken => self.member_token(request, entry).await,
            Place::ReadSettings => self.read_settings(request),
            Place::WriteSettings => self.write_settings(request),
            Place::MembersMe => self.members_me(request),
            Place::Member(id) => self.member(request, &id),
            Place::Unit(id) => self.unit(request, &id),
        };
        let (reply, refused_by) = split(answer);
        match (reply, fault) {
            (Reply::Answer(response), Some(fault)) if response.status() == StatusCode::OK => {
                (Reply::Answer(fault.change(response).await), refused_by)
            }
            (reply, _) => (reply, refused_by),
        }
    }

    /// `POST` sets a fault, `DELETE` clears them all.
    fn control(&self, request: &Request<Bytes>) -> Response<Body> {
        if request.method() == Method::DELETE {
            self.faults.clear();
            return server::answer(StatusCode::NO_CONTENT, "application/json", "");
        }
        // A page of another origin cannot send this media type unasked (Fetch, CORS-safelisted request headers).
        let is_json = journal::media_type(request) == "application/json";
        if request.method() != Method::POST || !is_json {
            let message = "POST a fault as application/json, or DELETE them all. Daxko has no such endpoint.";
            return server::json(StatusCode::BAD_REQUEST, &json!({ "sandbox": message }));
        }
        match serde_json::from_slice(request.body()) {
            Ok(order) => {
                self.faults.obey(order);
                server::answer(StatusCode::NO_CONTENT, "application/json", "")
            }
            Err(error) => server::json(StatusCode::BAD_REQUEST, &json!({ "sandbox": error.to_string() })),
        }
    }
}

impl Site for Vendor {
    async fn reply(&self, request: Request<Bytes>) -> Reply {
        match request.uri().path() {
            "/sandbox/style.css" => {
                return Reply::Answer(server::answer(
                    StatusCode::OK,
                    "text/css; charset=utf-8",
                    server::STYLE,
                ));
            }
            "/sandbox/faults" => return Reply::Answer(self.control(&request)),
            _ => {}
        }
        let mut entry = RecordedRequest::of(&request);
        let (reply, refused_by) = self.answer(&request, &mut entry).await;
        entry.refused_by = refused_by;
        if let Reply::Answer(response) = &reply {
            entry.status = Some(response.status());
        }
        self.journal.enter(entry);
        reply
    }
}

fn split(answer: Result<Answer, Refusal>) -> (Reply, Option<&'static str>) {
    let answer = answer.unwrap_or_else(Answer::from);
    (Reply::Answer(answer.response), answer.refused_by)
}

/// What a method and a path mean.
enum Place {
    Authorize,
    LogIn,
    ClientToken,
    MemberToken,
    ReadSettings,
    WriteSettings,
    MembersMe,
    Member(String),
    Unit(String),
}

impl Place {
    fn of<T>(request: &Request<T>) -> Result<Self, Refusal> {
        let is = |method: &Method| request.method() == method;
        let path = request.uri().path();
        let (allowed, place) = match path {
            "/online/auth" if is(&Method::POST) => ("", Self::LogIn),
            "/online/auth" => ("GET, POST", Self::Authorize),
            "/v3/partners/oauth2/token" => ("POST", Self::ClientToken),
            "/v3/partners/oauth2/members/token" => ("POST", Self::MemberToken),
            "/v3/partners/oauth2/members/settings" if is(&Method::PUT) => ("", Self::WriteSettings),
            "/v3/partners/oauth2/members/settings" => ("GET, PUT", Self::ReadSettings),
            "/v3/members/me" => ("GET", Self::MembersMe),
            _ => {
                let member = path.strip_prefix("/v3/members/").and_then(parameters::segment);
                let unit = path.strip_prefix("/v3/units/").and_then(parameters::segment);
                match (member, unit) {
                    (Some(id), _) => ("GET", Self::Member(id)),
                    (None, Some(id)) => ("GET", Self::Unit(id)),
                    (None, None) => return Err(Refusal::not_found("there is nothing at this path")),
                }
            }
        };
        let wanted = if allowed.starts_with("POST") { Method::POST } else { Method::GET };
        if allowed.is_empty() || *request.method() == wanted {
            Ok(place)
        } else {
            Err(Refusal::method_not_allowed(allowed))
        }
    }

    const fn endpoint(&self) -> Endpoint {
        match self {
            Self::Authorize => Endpoint::Authorize,
            Self::LogIn => Endpoint::LogIn,
            Self::ClientToken => Endpoint::ClientToken,
            Self::MemberToken => Endpoint::MemberToken,
            Self::ReadSettings | Self::WriteSettings => Endpoint::Settings,
            Self::MembersMe => Endpoint::MembersMe,
            Self::Member(_) => Endpoint::Member,
            Self::Unit(_) => Endpoint::Unit,
        }
    }
}
