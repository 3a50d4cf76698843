//! Xoxoday's rules, one by one, with the sandbox for a vendor: each either kept by every login, or its breach told to the
//! member.
//!
//! The numbers are those of the sandbox's own tests, where the refusals themselves are pinned.

use std::net::TcpListener;
use std::time::Duration;

use http::Method;
use member_gateway::sandbox::xoxoday::{
    Endpoint, ErrorShape, ExpiresIn, Fault, RecordedRequest, ResponseShape, Settings, Switches, Visitor,
    Xoxoday,
};
use member_gateway::time::{Clock, ManualClock};
use serde_json::json;
use url::{Url, form_urlencoded};

use crate::harness::{Browser, Gateway, NAVIGATION, NOW, Options, Page, parameter, with_parameter};

const REDIRECT_URI: &str = "https://members.localhost/_gateway/callback/rewards";
const TOKEN: &str = "/chef/v1/oauth/token/company";

/// A gateway in front of the simulated vendor.
struct Stage {
    gateway: Gateway,
    xoxoday: Xoxoday,
    clock: ManualClock,
}

impl Stage {
    /// The usual one, with further keys of the provider's table.
    fn with(keys: &str) -> Self {
        Self::set(keys, Settings { redirect_uris: vec![REDIRECT_URI.into()], ..Settings::default() })
    }

    fn set(keys: &str, settings: Settings) -> Self {
        let clock = ManualClock::starting_at(NOW);
        let (client_id, client_secret) = (settings.client_id.clone(), settings.client_secret.clone());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let xoxoday = Xoxoday::serve(listener, settings, Clock::Manual(clock.clone())).unwrap();
        let own = |name: &str, value: &str| match keys.contains(name) {
            true => String::new(),
            false => format!("{name} = \"{value}\"\n"),
        };
        let table = format!(
            "[[provider]]\nname = \"rewards\"\nkind = \"xoxoday\"\noauth_url = \"{}/chef\"\n{}{}{keys}",
            xoxoday.base_url(),
            own("client_id", &client_id),
            own("client_secret", &client_secret),
        );
        // A configuration of the harness lives as long as its tests.
        let more = Box::leak(table.into_boxed_str());
        let gateway = Gateway::with(&Options { more, providers: Some("\"rewards\""), ..Options::USUAL });
        Self { gateway, xoxoday, clock }
    }

    fn later(&self, seconds: u64) {
        self.gateway.later(seconds);
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// From a page of the site to the vendor's answer, as this sample account; `decision` is `allow` or `deny`.
    async fn up_to_the_callback(&self, browser: &mut Browser, account: usize, decision: &str) -> String {
        let start = browser.go("/classes").await;
        let authorize = start.location().to_owned();
        let page = browser.go(&authorize).await;
        if page.body.contains("action=\"/chef/login\"") {
            let account = &Xoxoday::accounts()[account];
            let typed = [("email", account.email), ("password", account.password)];
            let page = self.submit(browser, &authorize, "/chef/login", &typed).await;
            assert!(page.status.is_redirection(), "{}", page.body);
        } else {
            assert!(page.body.contains("action=\"/chef/consent\""), "{}", page.body);
        }
        let page = self.submit(browser, &authorize, "/chef/consent", &[("decision", decision)]).await;
        assert!(page.status.is_redirection(), "{}", page.body);
        page.location().to_owned()
    }

    /// Sends one of the vendor's forms, with the authorization request it carries along.
    async fn submit(
        &self,
        browser: &mut Browser,
        authorize: &str,
        path: &str,
        typed: &[(&str, &str)],
    ) -> Page {
        let carried = Url::parse(authorize).unwrap();
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(carried.query_pairs()).extend_pairs(typed);
        let address = format!("{}{path}", self.xoxoday.base_url());
        let form_type = ("content-type", "application/x-www-form-urlencoded");
        let fields = [&NAVIGATION[..], &[form_type]].concat();
        browser.request(Method::POST, &address, &fields, &form.finish()).await
    }

    /// A whole login; the ids that the app is told.
    async fn ids(&self, browser: &mut Browser, account: usize) -> (String, String) {
        let callback = self.up_to_the_callback(browser, account, "allow").await;
        let page = browser.visit(&callback).await;
        assert_eq!(page.path_and_query(), "/classes", "{}", page.body);
        let request = self.gateway.upstream().last_request();
        (request.field("x-member-id").to_owned(), request.field("x-member-unit-id").to_owned())
    }

    /// A callback that ends on the error page with this status.
    async fn refuses(&self, browser: &mut Browser, callback: &str, status: u16) {
        let page = browser.visit(callback).await;
        assert_eq!((page.url.path(), page.status.as_u16()), ("/_gateway/error", status), "{}", page.body);
        assert_eq!(browser.session_cookie(), None);
    }

    fn requests(&self, path: &str) -> Vec<RecordedRequest> {
        self.xoxoday.requests().into_iter().filter(|request| request.path == path).collect()
    }
}

/// What the vendor says of an authorization request that it does not take.
async fn ends_at_the_vendor(stage: &Stage) {
    let mut browser = stage.gateway.browser();
    let start = browser.go("/classes").await;
    let page = browser.go(start.location()).await;
    assert_eq!((page.status.as_u16(), page.url.path()), (400, "/chef/v1/oauth/authorize"), "{}", page.body);
    assert!(stage.requests(TOKEN).is_empty());
}

#[tokio::test]
async fn x01_a_client_or_a_domain_that_is_not_registered_ends_at_the_vendor() {
    ends_at_the_vendor(&Stage::with("client_id = \"00000000000000000000000000000000\"\n")).await;
    let redirect_uris = vec!["https://elsewhere.example.org/_gateway/callback/rewards".into()];
    ends_at_the_vendor(&Stage::set("", Settings { redirect_uris, ..Settings::default() })).await;
}

#[tokio::test]
async fn x02_a_redirect_uri_that_is_registered_otherwise_is_found_out_by_the_exchange() {
    let redirect_uris = vec!["https://members.localhost/_gateway/callback/other".into()];
    let stage = Stage::set("", Settings { redirect_uris, ..Settings::default() });
    let mut browser = stage.gateway.browser();

    let callback = stage.up_to_the_callback(&mut browser, 0, "allow").await;

    stage.refuses(&mut browser, &callback, 400).await;
}

#[tokio::test]
async fn x03_scopes_arrive_as_words_and_an_unknown_one_ends_at_the_vendor() {
    let stage = Stage::with("scopes = [\"user_session\", \"company_session\"]\n");
    stage.ids(&mut stage.gateway.browser(), 0).await;
    let asked = &stage.requests("/chef/v1/oauth/authorize")[0];
    assert!(asked.parameters.contains(&("scope".into(), "user_session,company_session".into())), "{asked:?}");

    ends_at_the_vendor(&Stage::with("scopes = [\"user_session\", \"points_read\"]\n")).await;
}

#[tokio::test]
async fn x04_a_visitor_logs_in_and_consents_and_later_consents_at_once() {
    let stage = Stage::with("");
    let mut browser = stage.gateway.browser();
    let address = "rosa.alvarez@example.org".to_owned();

    assert_eq!(stage.ids(&mut browser, 0).await, (address.clone(), address.clone()));
    browser.forget_cookie("__Host-member-session");
    assert_eq!(stage.ids(&mut browser, 0).await.0, address);

    assert_eq!(stage.requests("/chef/login").len(), 1);
    assert_eq!(stage.requests("/chef/consent").len(), 2);
}

#[tokio::test]
async fn x04_a_visitor_who_is_denied_before_logging_in_is_not_sent_round() {
    let stage = Stage::with("");
    stage.xoxoday.switch(Switches { visitor: Visitor::DeniedFirst, ..Switches::default() });
    let mut browser = stage.gateway.browser();

    let page = browser.visit("/classes").await;

    assert_eq!((page.url.path(), page.status.as_u16()), ("/_gateway/error", 403), "{}", page.body);
    assert_eq!(stage.requests("/chef/v1/oauth/authorize").len(), 1);
    assert_eq!(stage.ids(&mut browser, 0).await.0, "rosa.alvarez@example.org", "a click later it works");
}

#[tokio::test]
async fn x05_who_denies_gets_a_page_and_may_change_their_mind() {
    let stage = Stage::with("");
    let mut browser = stage.gateway.browser();

    let callback = stage.up_to_the_callback(&mut browser, 0, "deny").await;
    assert_eq!(parameter(&callback, "error").as_deref(), Some("access_denied"));
    stage.refuses(&mut browser, &callback, 403).await;

    assert!(stage.requests(TOKEN).is_empty());
    stage.ids(&mut browser, 0).await;
}

#[tokio::test]
async fn x06_the_state_comes_back_as_it_was_and_without_it_the_code_stays_unspent() {
    let stage = Stage::with("");
    let mut browser = stage.gateway.browser();
    let callback = stage.up_to_the_callback(&mut browser, 0, "allow").await;

    stage.refuses(&mut browser, &with_parameter(&callback, "state", None), 400).await;
    assert!(stage.requests(TOKEN).is_empty());

    assert_eq!(browser.go(&callback).await.location(), "/classes");
}

#[tokio::test]
async fn x07_a_code_that_is_too_old_or_made_up_or_was_used_signs_nobody_in() {
    let stage = Stage::with("");
    let mut browser = stage.gateway.browser();
    let late = stage.up_to_the_callback(&mut browser, 0, "allow").await;
    stage.later(300);
    stage.refuses(&mut browser, &late, 400).await;

    let first = stage.up_to_the_callback(&mut browser, 0, "allow").await;
    browser.go(&first).await;
    browser.forget_cookie("__Host-member-session");
    for code in [parameter(&first, "code").unwrap().as_str(), "made-up", "a b&c=d%"] {
        let callback = stage.up_to_the_callback(&mut browser, 0, "allow").await;
        stage.refuses(&mut browser, &with_parameter(&callback, "code", Some(code)), 400).await;
    }
}

#[tokio::test]
async fn x08_the_redirect_uri_of_the_exchange_is_that_of_the_authorization_request() {
    let stage = Stage::with("");
    stage.ids(&mut stage.gateway.browser(), 0).await;

    for path in ["/chef/v1/oauth/authorize", TOKEN] {
        let request = &stage.requests(path)[0];
        assert!(request.parameters.contains(&("redirect_uri".into(), REDIRECT_URI.into())), "{request:?}");
    }
}

#[tokio::test]
async fn x09_a_wrong_secret_is_the_operators_matter() {
    let stage = Stage::with("client_secret = \"wrong\"\n");
    let mut browser = stage.gateway.browser();
    let callback = stage.up_to_the_callback(&mut browser, 0, "allow").await;

    stage.refuses(&mut browser, &callback, 502).await;
    assert_eq!(stage.requests(TOKEN).len(), 1);
}

#[tokio::test]
async fn x10_the_exchange_has_all_its_fields_once_as_json() {
    let stage = Stage::with("");
    stage.ids(&mut stage.gateway.browser(), 0).await;

    let exchange = &stage.requests(TOKEN)[0];

    assert_eq!((&exchange.method, &*exchange.media_type), (&Method::POST, "application/json"));
    let mut names: Vec<&str> = exchange.parameters.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["client_id", "client_secret", "code", "grant_type", "redirect_uri"]);
}

#[tokio::test]
async fn x13_the_company_grant_names_the_member_in_lower_case() {
    let stage = Stage::with("");

    assert_eq!(stage.ids(&mut stage.gateway.browser(), 1).await.0, "jin.kim@example.org");
}

#[tokio::test]
async fn x13_the_user_grant_names_nobody_until_the_user_details_call() {
    let stage = Stage::with(
        "grant = \"user\"\n[provider.identity]\nfrom = \"userinfo\"\nmember_id = \"/data/fetchUserDetails/email\"\n\
         [provider.identity.userinfo]\nbody = '{\"query\":\"query { fetchUserDetails { email first_name } }\"}'\n",
    );

    assert_eq!(stage.ids(&mut stage.gateway.browser(), 1).await.0, "jin.kim@example.org");
    assert!(stage.requests(TOKEN).is_empty());
    assert_eq!(stage.requests("/chef/v1/oauth/token/user").len(), 1);
}

#[tokio::test]
async fn x14_to_x16_and_x18_a_login_sends_no_bearer_and_refreshes_nothing() {
    let stage = Stage::with("");
    stage.ids(&mut stage.gateway.browser(), 0).await;
    stage.later(40 * 86_400);
    stage.ids(&mut stage.gateway.browser(), 0).await;

    let requests = stage.xoxoday.requests();
    let asked: Vec<&str> = requests.iter().map(|request| request.path.as_str()).collect();
    let one = ["/chef/v1/oauth/authorize", "/chef/login", "/chef/consent", TOKEN];
    assert_eq!(asked, [one, one].concat());
    assert!(requests.iter().all(|request| request.refused_by.is_none()), "{requests:?}");
}

#[tokio::test]
async fn x17_more_members_than_a_client_may_hold_pairs_sign_in_and_stay_signed_in() {
    let stage = Stage::with("");
    let mut first = stage.gateway.browser();
    stage.ids(&mut first, 0).await;

    for _ in 0..11 {
        stage.ids(&mut stage.gateway.browser(), 1).await;
    }

    assert_eq!(first.session().await["member_id"], "rosa.alvarez@example.org");
}

#[tokio::test]
async fn x19_each_documented_error_has_its_page_and_the_next_login_works() {
    let stage = Stage::with("");
    for (shape, status) in [
        (ErrorShape::InvalidRequest, 502),
        (ErrorShape::InvalidToken, 502),
        (ErrorShape::PasswordReset, 502),
        (ErrorShape::TooManyRefreshes, 503),
        (ErrorShape::RateLimit, 503),
        (ErrorShape::ApiError, 502),
        (ErrorShape::Unauthorized, 502),
    ] {
        let (mut browser, before) = (stage.gateway.browser(), stage.requests(TOKEN).len());
        let callback = stage.up_to_the_callback(&mut browser, 0, "allow").await;
        stage.xoxoday.faults().next(Endpoint::CompanyToken, Fault::from(shape));
        stage.refuses(&mut browser, &callback, status).await;
        assert_eq!(stage.requests(TOKEN).len(), before + 1, "{shape:?}: the code is tried once");
        stage.ids(&mut browser, 0).await;
    }
}

#[tokio::test]
async fn on_a_bad_day_nobody_is_signed_in_by_mistake() {
    let stage = Stage::with("");
    let email = |value| Fault::WithField { name: "email".into(), value };
    for (fault, status) in [
        (Fault::Html, 502),
        (Fault::ErrorBody, 503),
        (Fault::Oversized, 502),
        (Fault::Redirect("https://example.org/".into()), 502),
        (Fault::Status(500), 503),
        (Fault::ClosedConnection, 503),
        (Fault::TooManyRequests { retry_after: Some(7) }, 503),
        (Fault::WithoutField("access_token".into()), 502),
        (Fault::WithoutField("email".into()), 502),
        (email(json!(null)), 502),
        (email(json!("")), 502),
        (email(json!("rosa@example.org, jin@example.org")), 502),
    ] {
        let mut browser = stage.gateway.browser();
        let callback = stage.up_to_the_callback(&mut browser, 0, "allow").await;
        stage.xoxoday.faults().next(Endpoint::CompanyToken, fault);
        stage.refuses(&mut browser, &callback, status).await;
    }
}

#[tokio::test]
async fn a_vendor_that_does_not_answer_is_not_waited_for_beyond_the_timeout() {
    let stage = Stage::with("timeout = \"1s\"\n");
    let mut browser = stage.gateway.browser();
    let callback = stage.up_to_the_callback(&mut browser, 0, "allow").await;
    stage.xoxoday.faults().next(Endpoint::CompanyToken, Fault::NoAnswer);

    stage.refuses(&mut browser, &callback, 503).await;
}

#[tokio::test]
async fn either_of_the_vendors_texts_about_its_answer_will_do() {
    let stage = Stage::with("");
    for response_shape in [ResponseShape::Old, ResponseShape::New] {
        for expires_in in [ExpiresIn::Number, ExpiresIn::String] {
            stage.xoxoday.switch(Switches { response_shape, expires_in, ..Switches::default() });
            stage.ids(&mut stage.gateway.browser(), 0).await;
        }
    }
}
