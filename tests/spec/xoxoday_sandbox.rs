//! Xoxoday, from one end to the other: the gateway against the built-in simulation, which was written from the vendor's
//! documents and knows nothing of the gateway.

use http::Method;
use member_gateway::sandbox::xoxoday::{
    Endpoint, ErrorShape, ExpiresIn, ResponseShape, Switches, UserDetails, Visitor, Xoxoday,
};

use crate::harness::{Browser, Gateway, NAVIGATION, Options, Page};

/// A gateway whose only provider is simulated, with further keys of its table.
fn rewards(keys: &str) -> Gateway {
    let table =
        format!("[[provider]]\nname = \"rewards\"\nkind = \"xoxoday\"\nenvironment = \"sandbox\"\n{keys}");
    // A configuration of the harness lives as long as its tests.
    let more = Box::leak(table.into_boxed_str());
    Gateway::with(&Options { more, providers: Some("\"rewards\""), ..Options::USUAL })
}

/// Sends a form of the page's, which carries the page's own query along.
async fn submit(browser: &mut Browser, page: &Page, action: &str, fields: &[(&str, &str)]) -> Page {
    let carried = page.url.query().unwrap_or_default().to_owned();
    let form = url::form_urlencoded::Serializer::new(carried).extend_pairs(fields).finish();
    let form_type = ("content-type", "application/x-www-form-urlencoded");
    let address = page.url.join(action).unwrap();
    browser.request(Method::POST, address.as_str(), &[&NAVIGATION[..], &[form_type]].concat(), &form).await
}

/// From a page of the site to the vendor, through the log-in, and to where Allow or Deny leads.
async fn decide(browser: &mut Browser, account: usize, decision: &str) -> Page {
    let form = browser.visit("/classes?week=2").await;
    assert!(form.body.contains("<h1>Log in</h1>"), "{}", form.body);
    let account = Xoxoday::accounts()[account];
    let fields = [("email", account.email), ("password", account.password)];
    let logged_in = submit(browser, &form, "/chef/login", &fields).await;
    let consent = browser.visit(logged_in.url.join(logged_in.location()).unwrap().as_str()).await;
    assert!(consent.body.contains("Allow access?"), "{}", consent.body);
    let decided = submit(browser, &consent, "/chef/consent", &[("decision", decision)]).await;
    browser.visit(decided.location()).await
}

fn ids(gateway: &Gateway) -> (String, String) {
    let request = gateway.upstream().last_request();
    assert_eq!(request.field("x-member-provider"), "rewards");
    (request.field("x-member-id").to_owned(), request.field("x-member-unit-id").to_owned())
}

#[tokio::test]
async fn a_member_logs_in_at_xoxoday_allows_and_arrives_where_they_were_going() {
    for response_shape in [ResponseShape::Old, ResponseShape::New] {
        let gateway = rewards("");
        let switches = Switches { response_shape, expires_in: ExpiresIn::String, ..Switches::default() };
        gateway.xoxoday().switch(switches);

        let page = decide(&mut gateway.browser(), 1, "allow").await;

        assert_eq!(page.path_and_query(), "/classes?week=2", "{}", page.body);
        let address = "jin.kim@example.org".to_owned();
        assert_eq!(ids(&gateway), (address.clone(), address), "the mixed case of the sign-up is gone");
    }
}

#[tokio::test]
async fn a_user_grant_asks_who_it_is_with_the_users_token() {
    let gateway = rewards(
        "grant = \"user\"\n[provider.identity]\nfrom = \"userinfo\"\n\
         member_id = \"/data/fetchUserDetails/member_id\"\n\
         member_unit_id = \"/data/fetchUserDetails/member_unit_id\"\n\
         [provider.identity.userinfo]\nbody = '{\"query\":\"query { fetchUserDetails { email first_name } }\"}'\n",
    );
    gateway.xoxoday().switch(Switches { user_details: UserDetails::WithIds, ..Switches::default() });

    let page = decide(&mut gateway.browser(), 0, "allow").await;

    assert_eq!(page.path_and_query(), "/classes?week=2", "{}", page.body);
    assert_eq!(ids(&gateway), ("400007995-00".to_owned(), "400007995".to_owned()));
}

#[tokio::test]
async fn whoever_presses_deny_ends_on_a_page_and_not_at_the_vendor_again() {
    let gateway = rewards("");

    let page = decide(&mut gateway.browser(), 0, "deny").await;

    assert_eq!(page.url.path(), "/_gateway/error", "{}", page.body);
    assert!(gateway.upstream().requests().is_empty());
}

#[tokio::test]
async fn a_visitor_whom_the_vendor_denies_unasked_gets_in_with_the_second_click() {
    let gateway = rewards("");
    gateway.xoxoday().switch(Switches { visitor: Visitor::DeniedFirst, ..Switches::default() });
    let mut browser = gateway.browser();

    let refused = browser.visit("/classes?week=2").await;
    assert_eq!(refused.url.path(), "/_gateway/error", "{}", refused.body);

    let page = decide(&mut browser, 0, "allow").await;
    assert_eq!(page.path_and_query(), "/classes?week=2", "{}", page.body);
}

#[tokio::test]
async fn each_error_that_xoxoday_documents_ends_the_login() {
    for shape in [
        ErrorShape::InvalidRequest,
        ErrorShape::InvalidToken,
        ErrorShape::PasswordReset,
        ErrorShape::TooManyRefreshes,
        ErrorShape::RateLimit,
        ErrorShape::ApiError,
        ErrorShape::Unauthorized,
    ] {
        let gateway = rewards("");
        gateway.xoxoday().faults().next(Endpoint::CompanyToken, shape);

        let page = decide(&mut gateway.browser(), 0, "allow").await;

        assert_eq!(page.url.path(), "/_gateway/error", "{shape:?}: {}", page.body);
        assert!(gateway.upstream().requests().is_empty());
    }
}
