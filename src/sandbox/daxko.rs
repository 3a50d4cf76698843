//! Daxko Operations: API v3 as its member authentication tutorial and its API definition describe it, and the newer
//! Partners API v1 beside it, below `/partners`.
//!
//! The log-in form, the token endpoints, the settings and the reads of members and units, of each [`Generation`]. It is
//! strict where Daxko documents a rule and says which rule refused a request. Where Daxko is silent the choice is our own
//! and stands at the code that makes it. [`Faults`] are no vendor behaviour. Nothing is kept when the last handle is
//! dropped.

mod account;
mod authorize;
mod bearer;
mod faults;
mod form;
mod generation;
mod members;
mod parameters;
mod partners_token;
mod place;
mod refusal;
mod resources;
mod settings;
mod token;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};

pub use self::account::Account;
pub use self::faults::{Endpoint, Faults};
pub use self::generation::Generation;
pub use self::members::SampleMember;
pub use crate::sandbox::faults::Fault;
pub use crate::sandbox::journal::RecordedRequest;

use self::authorize::Code;
use self::bearer::ClientToken;
use self::partners_token::RefreshToken;
use self::place::Place;
use self::refusal::{Answer, Refusal};
use self::settings::Document;
use crate::sandbox::issued::Issued;
use crate::sandbox::journal::Journal;
use crate::sandbox::pages;
use crate::sandbox::server::{self, Reply, Server, Site};
use crate::time::Clock;

/// How long things live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// An authorization code.
    pub code: Duration,
    /// The token that reads `members/me`.
    pub member_token: Duration,
    /// The token of v3 that reads everything else.
    pub client_token: Duration,
    /// The token of partners-v1 that reads everything else.
    pub partner_token: Duration,
    /// The refresh token of partners-v1.
    pub partner_refresh_token: Duration,
}

/// What Daxko documents; for a code and a member token of partners-v1 nothing is published, so they live as in v3.
impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            code: Duration::from_secs(600),
            member_token: Duration::from_secs(600),
            client_token: Duration::from_secs(86400),
            partner_token: Duration::from_secs(3600),
            partner_refresh_token: Duration::from_secs(14 * 86400),
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
    /// Its refresh token, the bearer of both token endpoints of v3.
    pub refresh_token: String,
    /// The numbers of the clients (associations) granted to the username; 4711 is `OPS_4711` in partners-v1.
    pub clients: Vec<u64>,
    /// The redirect URIs that were saved for the username, in each generation's settings; none at all where they were
    /// never saved.
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

    /// Forgets every client-scoped token it has handed out, as a vendor may at any time: whoever shows one gets 401.
    pub fn forget_client_tokens(&self) {
        self.0.vendor.forget_client_tokens();
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

/// What changes.
struct Memory {
    v3: Handed,
    partners_v1: Handed,
    partner_refresh_tokens: Issued<RefreshToken>,
}

/// What one generation has handed out and what was saved with it. Accounts are named by their place in
/// [`Vendor::accounts`].
struct Handed {
    /// What each account saved, if it did.
    saved: Vec<Option<Document>>,
    codes: Issued<Code>,
    member_tokens: Issued<&'static SampleMember>,
    client_tokens: Issued<ClientToken>,
}

impl Memory {
    const fn of(&mut self, generation: Generation) -> &mut Handed {
        match generation {
            Generation::V3 => &mut self.v3,
            Generation::PartnersV1 => &mut self.partners_v1,
        }
    }
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
        let nothing_yet = |client_token| Handed {
            saved: accounts.iter().map(Document::saved_by).collect(),
            codes: Issued::living_for(lifetimes.code),
            member_tokens: Issued::living_for(lifetimes.member_token),
            client_tokens: Issued::living_for(client_token),
        };
        let memory = Memory {
            v3: nothing_yet(lifetimes.client_token),
            partners_v1: nothing_yet(lifetimes.partner_token),
            partner_refresh_tokens: Issued::living_for(lifetimes.partner_refresh_token),
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

    fn forget_client_tokens(&self) {
        let mut memory = self.memory();
        memory.v3.client_tokens.forget();
        memory.partners_v1.client_tokens.forget();
    }

    /// Finds the endpoint, lets its fault happen, or answers.
    async fn answer(
        &self,
        request: &Request<Bytes>,
        entry: &mut RecordedRequest,
    ) -> (Reply, Option<&'static str>) {
        let (generation, place) = match Place::of(request) {
            Ok(place) => place,
            Err(refusal) => return split(Err(refusal)),
        };
        let fault = self.faults.take(place.endpoint());
        if let Some(reply) = fault.as_ref().and_then(Fault::stand_in) {
            return (reply, None);
        }
        let answer = match (place, generation) {
            (Place::Authorize, _) => self.authorize(generation, request, fault.as_ref(), entry),
            (Place::LogIn, _) => self.log_in(generation, request, fault.as_ref(), entry),
            (Place::ClientToken, Generation::V3) => self.client_token(request, entry).await,
            (Place::ClientToken, Generation::PartnersV1) => self.partner_token(request, entry).await,
            (Place::MemberToken, Generation::V3) => self.member_token(request, entry).await,
            (Place::MemberToken, Generation::PartnersV1) => self.partners_member_token(request, entry).await,
            (Place::ReadSettings, _) => self.read_settings(generation, request),
            (Place::WriteSettings, _) => self.write_settings(generation, request),
            (Place::MembersMe, _) => self.members_me(generation, request),
            (Place::Member(id), _) => self.member(generation, request, &id),
            (Place::Unit(id), _) => self.unit(generation, request, &id),
            (Place::CheckIn, _) => self.check_in(generation, request),
        };
        let (reply, refused_by) = split(answer);
        match (reply, fault) {
            (Reply::Answer(response), Some(fault)) if response.status() == StatusCode::OK => {
                (Reply::Answer(fault.change(response).await), refused_by)
            }
            (reply, _) => (reply, refused_by),
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
                    pages::STYLE,
                ));
            }
            form::FORGOT_PASSWORD => return Reply::Answer(form::forgot_password()),
            "/sandbox/client-tokens" if request.method() == Method::DELETE => {
                self.forget_client_tokens();
                return Reply::Answer(server::answer(StatusCode::NO_CONTENT, "application/json", ""));
            }
            "/sandbox/faults" => return Reply::Answer(self.faults.control::<Fault>(&request)),
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
