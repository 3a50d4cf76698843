//! Xoxoday's storefront OAuth, as its public documentation describes it (<https://xoxoday.gitbook.io/plum>, Storefront
//! Integration; <https://developers.xoxoday.com>).
//!
//! The authorization request with log-in, sign-up and consent, the token endpoints of both grants, the call that
//! validates a token, and the way into the store, all under `/chef`. It is strict where Xoxoday documents a rule and says
//! which rule refused a request. Where the documents contradict each other a switch decides ([`Switches`]); where they
//! are silent the choice is our own and stands at the code that makes it. [`Faults`] are no vendor behaviour. Nothing is
//! kept when the last handle is dropped.

mod account;
mod authorize;
mod bearer;
mod client;
mod faults;
mod pages;
mod pairs;
mod place;
mod refusal;
mod sign_up;
mod store;
mod switches;
mod token;
mod visitor;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};

pub use self::account::SampleAccount;
pub use self::client::Client;
pub use self::faults::{Endpoint, ErrorShape, Faults};
pub use self::switches::{ExpiresIn, OldRefreshToken, ResponseShape, Switches, UserDetails, Visitor};
pub use crate::sandbox::faults::Fault;
pub use crate::sandbox::journal::RecordedRequest;

use self::account::{People, Person};
use self::authorize::Code;
use self::pairs::{Lifetime, Pairs};
use self::place::Place;
use self::refusal::{Answer, Refusal};
use self::sign_up::Pending;
use self::store::Arrival;
use crate::sandbox::issued::Issued;
use crate::sandbox::journal::Journal;
use crate::sandbox::server::{self, Reply, Server, Site};
use crate::sandbox::{control, pages as all_pages};
use crate::time::Clock;

/// The only query the user-details call answers, unless the settings say another.
const USER_DETAILS_QUERY: &str = "query { fetchUserDetails { email first_name } }";

/// How long things live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// An authorization code.
    pub code: Duration,
    /// The access token of a company grant.
    pub company_access: Duration,
    /// Its refresh token.
    pub company_refresh: Duration,
    /// The access token of a user grant.
    pub user_access: Duration,
    /// Its refresh token.
    pub user_refresh: Duration,
    /// The token that opens the store.
    pub sso_token: Duration,
    /// The browser's own log-in. Xoxoday does not say how long it lasts.
    pub log_in: Duration,
    /// The one-time code of a sign-up. Xoxoday does not say how long it lasts.
    pub one_time_code: Duration,
}

/// What Xoxoday documents, or a day and ten minutes where it does not.
impl Default for Lifetimes {
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * 86400);
        Self {
            code: Duration::from_secs(300),
            company_access: days(30),
            company_refresh: days(60),
            user_access: days(15),
            user_refresh: days(30),
            sso_token: days(14),
            log_in: days(1),
            one_time_code: Duration::from_secs(600),
        }
    }
}

/// What the simulation knows when it starts. The default is the sandbox's published sample client, for which no redirect
/// URI is registered yet.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The client: 32 hexadecimal digits.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// The company it belongs to.
    pub company: String,
    /// The redirect URIs registered for it.
    pub redirect_uris: Vec<String>,
    /// The scopes registered for it.
    pub scopes: Vec<String>,
    /// Further clients, so that one can try what belongs to another.
    pub neighbours: Vec<Client>,
    /// The `query` that `POST /v1/oauth/api` answers; Xoxoday's own is not published.
    pub user_details_query: String,
    /// How long things live.
    pub lifetimes: Lifetimes,
    /// What happens where Xoxoday's texts contradict each other.
    pub switches: Switches,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            client_id: "9a31c0de5f7742d08b6e14a2f3c5d7e9".into(),
            client_secret: "published-sample-of-no-worth".into(),
            company: "A club that does not exist".into(),
            redirect_uris: Vec::new(),
            scopes: vec!["user_session".into(), "company_session".into()],
            neighbours: Vec::new(),
            user_details_query: USER_DETAILS_QUERY.into(),
            lifetimes: Lifetimes::default(),
            switches: Switches::default(),
        }
    }
}

/// A running simulation. It stops when the last clone is dropped.
#[derive(Clone)]
pub struct Xoxoday(Arc<Running>);

struct Running {
    server: Server,
    vendor: Arc<Vendor>,
}

impl Xoxoday {
    /// Starts to serve.
    ///
    /// # Errors
    /// Where the listener or the thread cannot be used.
    pub fn serve(listener: TcpListener, settings: Settings, clock: Clock) -> io::Result<Self> {
        let vendor = Arc::new(Vendor::new(settings, clock));
        let server = Server::start("sandbox-xoxoday", listener, Arc::clone(&vendor))?;
        Ok(Self(Arc::new(Running { server, vendor })))
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0.server.address()
    }

    /// What stands before `/chef` and every path: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// What goes wrong on demand.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.0.vendor.faults
    }

    /// How the switches stand.
    #[must_use]
    pub fn switches(&self) -> Switches {
        self.0.vendor.switches()
    }

    /// Sets the switches.
    pub fn switch(&self, switches: Switches) {
        self.0.vendor.memory().switches = switches;
    }

    /// The last requests, the oldest first, without those for the style sheet and those that tell it how to behave.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.0.vendor.journal.entries()
    }

    /// The published accounts.
    #[must_use]
    pub fn accounts() -> &'static [SampleAccount] {
        &account::SAMPLES
    }
}

/// The vendor: what it was told at the start, and what it has handed out since.
struct Vendor {
    clients: Vec<Client>,
    user_details_query: String,
    company_lifetime: Lifetime,
    user_lifetime: Lifetime,
    switches_at_start: Switches,
    clock: Clock,
    faults: Faults,
    journal: Journal,
    memory: Mutex<Memory>,
}

/// What changes. Clients are named by their place in [`Vendor::clients`].
struct Memory {
    switches: Switches,
    people: People,
    /// Sign-ups that wait for their code; nothing where they no longer do.
    pending: Issued<Option<Pending>>,
    /// Browsers that are logged in; nobody where they logged out.
    log_ins: Issued<Option<Arc<Person>>>,
    codes: Issued<Code>,
    pairs: Pairs,
    arrivals: Issued<Arrival>,
}

impl Vendor {
    fn new(settings: Settings, clock: Clock) -> Self {
        let lifetimes = settings.lifetimes;
        let own = Client {
            client_id: settings.client_id,
            client_secret: settings.client_secret,
            company: settings.company,
            redirect_uris: settings.redirect_uris,
            scopes: settings.scopes,
        };
        let memory = Memory {
            switches: settings.switches,
            people: People::of_the_sample(),
            pending: Issued::living_for(lifetimes.one_time_code),
            log_ins: Issued::living_for(lifetimes.log_in),
            codes: Issued::living_for(lifetimes.code),
            pairs: Pairs::default(),
            arrivals: Issued::living_for(lifetimes.sso_token),
        };
        Self {
            clients: std::iter::once(own).chain(settings.neighbours).collect(),
            user_details_query: settings.user_details_query,
            company_lifetime: Lifetime {
                access: lifetimes.company_access,
                refresh: lifetimes.company_refresh,
            },
            user_lifetime: Lifetime { access: lifetimes.user_access, refresh: lifetimes.user_refresh },
            switches_at_start: settings.switches,
            clock,
            faults: Faults::default(),
            journal: Journal::of("Xoxoday"),
            memory: Mutex::new(memory),
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().expect("nothing panics while it holds this lock")
    }

    fn switches(&self) -> Switches {
        self.memory().switches
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
        let fault = place.endpoint().and_then(|endpoint| self.faults.take(endpoint));
        if let Some(reply) = fault.as_ref().and_then(Fault::stand_in) {
            return (reply, None);
        }
        let (reply, refused_by) = split(match place {
            Place::Authorize => self.authorize(request, fault.as_ref(), entry),
            Place::LogIn => self.log_in(request, fault.as_ref(), entry),
            Place::LogOut => self.leave(request, entry),
            Place::SignUpPage => self.sign_up_page(request, entry),
            Place::SignUp => self.sign_up(request, entry),
            Place::Verify => self.verify(request, entry),
            Place::Consent => self.consent(request, fault.as_ref(), entry),
            Place::Token(grant) => self.token(request, grant, entry),
            Place::Validate => self.validate(request),
            Place::CreateUser => self.create_user(request, entry),
            Place::Sso => self.sso(request, entry),
            Place::Store(token) => self.store(&token),
            Place::UserDetails => self.user_details(request, entry),
        });
        match (reply, fault) {
            (Reply::Answer(response), Some(fault)) if response.status() == StatusCode::OK => {
                (Reply::Answer(fault.change(response).await), refused_by)
            }
            (reply, _) => (reply, refused_by),
        }
    }

    /// Answers what tells the simulation how to behave and where its style sheet is; nothing for any other path.
    fn apart(&self, request: &Request<Bytes>) -> Option<Reply> {
        let response = match request.uri().path() {
            "/sandbox/style.css" => {
                server::answer(StatusCode::OK, "text/css; charset=utf-8", all_pages::STYLE)
            }
            "/sandbox/faults" => self.faults.control::<faults::Written>(request),
            "/sandbox/switches" => {
                let set = |order: switches::Order| {
                    let mut memory = self.memory();
                    memory.switches = memory.switches.changed(&order);
                };
                control::answer(request, set, || self.memory().switches = self.switches_at_start)
            }
            _ => return None,
        };
        Some(Reply::Answer(response))
    }
}

impl Site for Vendor {
    async fn reply(&self, request: Request<Bytes>) -> Reply {
        if let Some(reply) = self.apart(&request) {
            return reply;
        }
        let mut entry = RecordedRequest::of(&request);
        entry.path = Place::shown(request.uri().path());
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
