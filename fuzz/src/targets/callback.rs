//! The answer of a vendor at the callback: a query, in which `{STATE}` is the state of this browser's login and `{USED}`
//! that of one that has had its answer.
//!
//! * A code is brought to the vendor once, and only one that stands in the query exactly once, beside exactly one state,
//!   which is this browser's, and no error.
//! * Without that state nobody signs in, and no cookie is set.
//! * Where the member goes is where the login began.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use http::header::{COOKIE, HeaderValue};
use member_gateway::login::return_to::ReturnTo;
use member_gateway::login::{Login, LoginError};
use member_gateway::member::Member;
use member_gateway::message::Fields;
use member_gateway::provider::restraint::Restraint;
use member_gateway::provider::{
    AuthorizationCode, BoxFuture, Provider, ProviderError, RedirectUri, Registered, State,
};
use member_gateway::route::Origin;
use tokio::runtime::{Builder, Runtime};

use super::members::{NOW, SITE, cookies, provider, ring, session};
use super::with;

/// A vendor that takes every code.
#[derive(Default)]
struct Taker(Mutex<Vec<Vec<u8>>>);

impl Provider for Taker {
    fn authorization_request(&self, _: &RedirectUri, state: &State) -> String {
        state.0.clone()
    }

    fn redeem<'a>(
        &'a self,
        code: &'a AuthorizationCode,
        _: &'a RedirectUri,
    ) -> BoxFuture<'a, Result<Member, ProviderError>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(code.0.expose().to_vec());
        Box::pin(async { Ok(session().member) })
    }
}

struct Stage {
    vendor: Arc<Taker>,
    registered: Registered,
    login: Login,
    /// The browser's cookies: both attempts.
    fields: Fields,
    state: String,
    used: String,
    runtime: Mutex<Runtime>,
}

fn stage() -> &'static Stage {
    static STAGE: OnceLock<Stage> = OnceLock::new();
    STAGE.get_or_init(|| {
        let vendor = Arc::new(Taker::default());
        let registered = Registered {
            name: provider(),
            title: "YMCA".to_owned(),
            provider: Arc::clone(&vendor) as Arc<dyn Provider>,
            restraint: Arc::new(Restraint::new(64)),
            memberships: None,
        };
        let origin = Origin::parse(SITE).expect("an origin");
        let login = Login::new(&ring(), origin, vec![registered.clone()]);
        let mut fields = Fields::new();
        let start = |fields: &mut Fields, place| {
            let begun = login.start(&registered, ReturnTo::new(place), cookies(), &Fields::new(), NOW);
            let begun = begun.expect("the first one");
            add(fields, begun.cookies.last().expect("a cookie"));
            begun.location
        };
        let used = start(&mut fields, "/news");
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        let query = format!("code=x&state={used}");
        let finished = login.finish(&registered, &query, cookies(), &fields, NOW);
        let marked = runtime.block_on(finished).expect("a good answer").cookie;
        fields.clear();
        add(&mut fields, &marked);
        let state = start(&mut fields, "/classes");
        Stage { vendor, registered, login, fields, state, used, runtime: Mutex::new(runtime) }
    })
}

fn add(fields: &mut Fields, set: &HeaderValue) {
    let pair = set.as_bytes().split(|&byte| byte == b';').next().unwrap_or_default();
    fields.append(COOKIE, HeaderValue::from_bytes(pair).expect("a cookie"));
}

pub fn run(bytes: &[u8]) {
    let Stage { vendor, registered, login, fields, state, used, runtime } = stage();
    let query = with(&with(bytes, "{STATE}", state), "{USED}", used);
    let Ok(query) = str::from_utf8(&query) else { return };
    let runtime = runtime.lock().unwrap_or_else(PoisonError::into_inner);
    vendor.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    let outcome = runtime.block_on(login.finish(registered, query, cookies(), fields, NOW));
    let spent = vendor.0.lock().unwrap_or_else(PoisonError::into_inner).clone();

    let parsed: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let all = |wanted: &str| -> Vec<&str> {
        parsed.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value.as_str()).collect()
    };
    let is_ours = all("state") == [state.as_str()];
    if !spent.is_empty() {
        assert!(is_ours, "a code was spent under another state");
        assert!(all("error").is_empty(), "a code was spent beside an error");
        assert_eq!(spent, all("code").iter().map(|code| code.as_bytes().to_vec()).collect::<Vec<_>>());
        assert_eq!(spent.len(), 1);
    }
    match outcome {
        Ok(finished) => {
            assert_eq!(spent.len(), 1, "signed in without a code");
            assert_eq!(finished.return_to.as_str(), "/classes");
        }
        Err(failed) => {
            assert!(spent.is_empty(), "the code was good");
            assert!(is_ours || failed.cookie.is_none());
            let is_known = is_ours || matches!(failed.error, LoginError::UsedAttempt);
            assert!(is_known || failed.return_to == ReturnTo::default());
        }
    }
}
