//! The client-scoped token: fetched once, kept until shortly before it expires, replaced where it is not taken, and never
//! asked for in a hurry.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use member_gateway::member::ProviderName;
use member_gateway::provider::ProviderError;
use member_gateway::provider::calls::Calls;
use member_gateway::provider::daxko::member_settings::Links;
use member_gateway::provider::daxko::{self as vendor, Bearer, Daxko, Generation};
use member_gateway::provider::token_endpoint::{Answer, Encoding};
use member_gateway::sandbox::daxko::{self, Endpoint, Fault};
use member_gateway::secret::Secret;
use member_gateway::time::{Clock, ManualClock};
use serde_json::json;
use url::Url;

use crate::harness::NOW;

/// Daxko, and the part of the gateway that asks it about members.
struct Asking {
    daxko: Arc<Daxko>,
    sandbox: daxko::Daxko,
    clock: ManualClock,
}

impl Asking {
    fn new() -> Self {
        Self::of(false)
    }

    fn partners_v1() -> Self {
        Self::of(true)
    }

    fn of(partners_v1: bool) -> Self {
        let clock = ManualClock::starting_at(NOW);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let account = daxko::Settings::default();
        let base = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let at = |path: &str| base.join(path).unwrap();
        let settings = vendor::Settings {
            name: ProviderName::new("ymca").unwrap(),
            generation: if partners_v1 {
                Generation::PartnersV1
            } else {
                Generation::V3 { refresh_token: Secret::new(account.refresh_token.as_str()) }
            },
            client: if partners_v1 { "OPS_4711".into() } else { "4711".into() },
            client_id: account.username.clone(),
            client_secret: Secret::new(account.password.as_str()),
            authorize_url: base.clone(),
            token_url: base.clone(),
            client_token_url: at(if partners_v1 {
                "/partners/auth/token"
            } else {
                "/v3/partners/oauth2/token"
            }),
            userinfo_url: base.clone(),
            api_base_url: at(if partners_v1 { "/partners/api" } else { "/" }),
            token_encoding: Encoding::Multipart,
            token_bearer: Bearer::Nothing,
            authorize_params: Vec::new(),
            pointers: vendor::pointers(),
            links: Links::default(),
            timeout: Duration::from_secs(10),
        };
        let time = Clock::Manual(clock.clone());
        let sandbox = daxko::Daxko::serve(listener, account, time.clone()).unwrap();
        Self { daxko: Arc::new(Daxko::new(settings, time, &Calls::default()).unwrap()), sandbox, clock }
    }

    async fn ask(&self) -> Result<Answer, ProviderError> {
        self.daxko.get("member resource", &["members", "400007995-00"]).await
    }

    /// Asks and gets an answer.
    async fn asks(&self) {
        let answer = self.ask().await.unwrap();
        assert_eq!((answer.status.as_u16(), &answer.json.unwrap()["active"]), (200, &json!(true)));
    }

    /// Asks and gets none; the words of the error.
    async fn fails(&self) -> String {
        self.ask().await.unwrap_err().to_string()
    }

    fn later(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    fn fault(&self, endpoint: Endpoint, fault: Fault) {
        self.sandbox.faults().next(endpoint, fault);
    }

    fn count(&self, path: &str) -> usize {
        self.sandbox.requests().iter().filter(|request| request.path.starts_with(path)).count()
    }

    fn fetches(&self) -> usize {
        self.count("/v3/partners/oauth2/token")
    }

    /// How the tokens of partners-v1 were asked for.
    fn grants(&self) -> Vec<String> {
        let requests = self.sandbox.requests();
        let fetches = requests.iter().filter(|request| request.path == "/partners/auth/token");
        fetches
            .map(|request| {
                // A fault answers before the body is read.
                let grant = request.parameters.iter().find(|(name, _)| name == "grant_type");
                grant.map_or("(unread)", |(_, value)| value).to_owned()
            })
            .collect()
    }

    fn questions(&self) -> usize {
        self.count("/v3/members/")
    }
}

#[tokio::test]
async fn one_token_serves_until_a_minute_before_it_expires() {
    let asking = Asking::new();

    asking.asks().await;
    asking.later(86_400 - 61);
    asking.asks().await;
    assert_eq!(asking.fetches(), 1);

    asking.later(1);
    asking.asks().await;
    assert_eq!(asking.fetches(), 2);
}

#[tokio::test]
async fn a_lifetime_may_be_text_a_number_short_or_missing() {
    for (fault, holds, until) in [
        (Fault::WithField { name: "expires_in".into(), value: json!("3600") }, 3_539, 3_540),
        (Fault::WithField { name: "expires_in".into(), value: json!(3600) }, 3_539, 3_540),
        (Fault::WithField { name: "expires_in".into(), value: json!("20") }, 9, 10),
        (Fault::WithField { name: "expires_in".into(), value: json!("0") }, 4, 5),
        (Fault::WithField { name: "expires_in".into(), value: json!(1) }, 4, 5),
        (Fault::WithoutField("expires_in".into()), 539, 540),
        (Fault::WithField { name: "expires_in".into(), value: json!("soon") }, 539, 540),
        (Fault::WithField { name: "expires_in".into(), value: json!(u64::MAX) }, 86_399, 86_400),
    ] {
        let asking = Asking::new();
        asking.fault(Endpoint::ClientToken, fault.clone());
        asking.asks().await;
        asking.later(holds);
        asking.asks().await;
        assert_eq!(asking.fetches(), 1, "{fault:?}");
        asking.later(until - holds);
        asking.asks().await;
        assert_eq!(asking.fetches(), 2, "{fault:?}");
    }
}

#[tokio::test]
async fn twenty_who_ask_at_once_cause_one_fetch() {
    let asking = Arc::new(Asking::new());

    let all: Vec<_> = (0..20)
        .map(|_| {
            let asking = Arc::clone(&asking);
            tokio::spawn(async move { asking.asks().await })
        })
        .collect();
    for one in all {
        one.await.unwrap();
    }

    assert_eq!((asking.fetches(), asking.questions()), (1, 20));
}

#[tokio::test]
async fn twenty_who_wait_for_a_fetch_that_fails_all_fail_with_it() {
    let asking = Arc::new(Asking::new());
    asking.sandbox.faults().always(Endpoint::ClientToken, Fault::Status(503));

    let all: Vec<_> = (0..20)
        .map(|_| {
            let asking = Arc::clone(&asking);
            tokio::spawn(async move { asking.fails().await })
        })
        .collect();
    for one in all {
        assert_eq!(one.await.unwrap(), "the vendor cannot serve the client token endpoint now: status 503");
    }

    assert_eq!((asking.fetches(), asking.questions()), (1, 0));
}

#[tokio::test]
async fn whoever_goes_away_while_a_token_is_fetched_leaves_nobody_waiting() {
    let asking = Arc::new(Asking::new());
    asking.fault(Endpoint::ClientToken, Fault::NoAnswer);

    let first = Arc::clone(&asking);
    let first = tokio::spawn(async move { first.ask().await.map(drop) });
    while asking.fetches() == 0 {
        tokio::task::yield_now().await;
    }
    first.abort();

    asking.asks().await;
}

#[tokio::test]
async fn after_a_failure_nothing_is_fetched_for_a_moment() {
    let asking = Asking::new();
    asking.fault(Endpoint::ClientToken, Fault::Status(500));

    asking.fails().await;
    asking.later(4);
    asking.fails().await;
    assert_eq!(asking.fetches(), 1);

    asking.later(1);
    asking.asks().await;
    assert_eq!(asking.fetches(), 2);
}

#[tokio::test]
async fn a_vendor_that_asks_for_a_wait_gets_it_for_a_minute_at_most() {
    for (retry_after, wait) in [(30, 30), (86_400, 60)] {
        let asking = Asking::new();
        asking.fault(Endpoint::ClientToken, Fault::TooManyRequests { retry_after: Some(retry_after) });

        asking.fails().await;
        asking.later(wait - 1);
        asking.fails().await;
        assert_eq!(asking.fetches(), 1);

        asking.later(1);
        asking.asks().await;
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_prolongs_no_wait() {
    let asking = Asking::new();
    asking.fault(Endpoint::ClientToken, Fault::Status(500));
    asking.fails().await;

    asking.clock.set(member_gateway::time::UnixTime(NOW.0 - 86_400));

    asking.asks().await;
}

#[tokio::test]
async fn a_token_that_is_not_taken_is_replaced_once_and_the_question_repeated_once() {
    let asking = Asking::new();
    asking.asks().await;
    asking.fault(Endpoint::Member, Fault::Status(401));

    asking.asks().await;

    assert_eq!((asking.fetches(), asking.questions()), (2, 3));
}

#[tokio::test]
async fn a_vendor_that_takes_no_token_at_all_is_not_asked_for_ever_more_of_them() {
    let asking = Asking::new();
    asking.sandbox.faults().always(Endpoint::Member, Fault::Status(401));

    assert_eq!(asking.fails().await, "the vendor refuses this gateway at the member resource: status 401");
    assert_eq!((asking.fetches(), asking.questions()), (2, 2));
    for _ in 0..10 {
        asking.fails().await;
    }
    assert_eq!((asking.fetches(), asking.questions()), (2, 12));

    asking.later(60);
    asking.fails().await;
    assert_eq!(asking.fetches(), 3);
}

#[tokio::test]
async fn twenty_whose_token_is_not_taken_cause_one_renewal() {
    let asking = Arc::new(Asking::new());
    asking.asks().await;
    for _ in 0..20 {
        asking.fault(Endpoint::Member, Fault::Status(401));
    }

    let all: Vec<_> = (0..20)
        .map(|_| {
            let asking = Arc::clone(&asking);
            tokio::spawn(async move { asking.ask().await.map(drop) })
        })
        .collect();
    for one in all {
        let _ = one.await.unwrap();
    }

    assert_eq!(asking.fetches(), 2);
}

#[tokio::test]
async fn what_the_token_endpoint_refuses_is_the_operators_matter_and_holds_no_secret() {
    for (fault, words) in [
        (Fault::Status(404), "cannot serve the client token endpoint now: status 404"),
        (
            Fault::WithField { name: "error".into(), value: json!("invalid_grant") },
            "at the client token endpoint: status 200, error invalid_grant",
        ),
        (Fault::Html, "the client token endpoint makes no sense: it is no JSON"),
        (Fault::WithoutField("access_token".into()), "it holds no access token"),
        (Fault::Redirect("https://elsewhere.example".into()), "it is a redirect, which is not followed"),
        (Fault::ClosedConnection, "no answer from the client token endpoint"),
    ] {
        let asking = Asking::new();
        asking.fault(Endpoint::ClientToken, fault.clone());

        let error = asking.fails().await;

        assert!(error.contains(words), "{fault:?}: {error}");
    }
}

#[tokio::test]
async fn an_id_is_one_segment_of_the_path_whatever_it_holds() {
    let asking = Asking::new();

    for id in ["a/b", "a?b#c", "%2e%2e", "..%2f", "400007995-00/"] {
        let answer = asking.daxko.get("member resource", &["members", id]).await.unwrap();
        assert_eq!(answer.status, 404, "{id}");
        let path = asking.sandbox.requests().pop().unwrap().path;
        assert!(path.starts_with("/v3/members/") && path.matches('/').count() == 3, "{path}");
    }
    let before = asking.questions();
    for id in ["", ".", ".."] {
        asking.daxko.get("member resource", &["members", id]).await.unwrap_err();
    }
    assert_eq!(asking.questions(), before);
}

#[tokio::test]
async fn in_partners_v1_the_refresh_token_is_new_each_time() {
    let asking = Asking::partners_v1();
    asking.asks().await;
    asking.later(3_600 - 61);
    asking.asks().await;
    assert_eq!(asking.grants(), ["client_credentials"]);

    asking.later(1);
    asking.asks().await;
    asking.later(3_600);
    asking.asks().await;

    assert_eq!(asking.grants(), ["client_credentials", "refresh_token", "refresh_token"]);
    let requests = asking.sandbox.requests();
    assert!(requests.iter().all(|request| request.refused_by.is_none()), "{requests:?}");
}

#[tokio::test]
async fn in_partners_v1_a_refresh_token_that_is_not_taken_ends_in_a_fresh_start() {
    let asking = Asking::partners_v1();
    asking.asks().await;

    asking.later(14 * 86_400);
    asking.asks().await;

    assert_eq!(asking.grants(), ["client_credentials", "refresh_token", "client_credentials"]);
}

#[tokio::test]
async fn in_partners_v1_a_refresh_token_is_not_tried_twice() {
    let asking = Asking::partners_v1();
    asking.asks().await;
    asking.later(3_600);
    asking.fault(Endpoint::ClientToken, Fault::ClosedConnection);
    asking.fails().await;

    asking.later(5);
    asking.asks().await;

    assert_eq!(asking.grants(), ["client_credentials", "(unread)", "client_credentials"]);
}
