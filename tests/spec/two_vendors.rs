//! Two vendors at one site: what one of them says never counts as said by the other.

use http::Method;

use crate::harness::{Gateway, Options};

const BOTH: Options = Options {
    providers: Some("\"ymca\", \"rewards\""),
    more: "[[site.rule]]\npath = \"/rewards/**\"\naccess = \"member\"\nallow = { provider = [\"rewards\"] }\n\n\
           [[site.rule]]\npath = \"/desk/**\"\naccess = \"member\"\n\
           allow = { provider = [\"rewards\"], member_id = [\"400007995-00\"] }\n\n\
           [[provider]]\nname = \"rewards\"\nkind = \"xoxoday\"\nenvironment = \"sandbox\"\n",
    ..Options::USUAL
};
const LOGIN: &str = "/_gateway/login?provider=ymca&return_to=/classes";

fn at_the_other_callback(address: &str) -> String {
    assert!(address.contains("/callback/ymca?"), "{address}");
    address.replace("/callback/ymca?", "/callback/rewards?")
}

#[tokio::test]
async fn the_answer_of_one_is_none_at_the_callback_of_the_other_and_stays_good() {
    let gateway = Gateway::with(&BOTH);
    let mut browser = gateway.browser();
    let callback = browser.up_to_the_callback(LOGIN).await;

    let page = browser.go(&at_the_other_callback(&callback)).await;

    assert!(page.location().starts_with("/_gateway/error"), "{}", page.location());
    assert_eq!(browser.session_cookie(), None);
    assert_eq!((gateway.exchanges(), gateway.xoxoday().requests().len()), (0, 0), "no code is spent");
    assert_eq!(browser.go(&callback).await.location(), "/classes");
}

#[tokio::test]
async fn a_session_counts_only_where_its_vendor_is_one_of_the_sites() {
    let mut browser = Gateway::with(&BOTH).browser_of_a_member(LOGIN).await;
    let session = browser.session_cookie().unwrap();
    let moved = Gateway::with(&Options { providers: Some("\"rewards\""), ..BOTH });
    browser = moved.browser();
    browser.set_cookie("__Host-member-session", &session);

    assert_eq!(browser.session().await["authenticated"], false);
    browser.set_cookie("__Host-member-session", &session);
    assert_eq!(browser.fetch(Method::GET, "/classes", &[]).await.status, 401);
    assert!(moved.upstream().requests().is_empty());
}

#[tokio::test]
async fn a_rule_for_members_of_one_lets_nobody_of_the_other_through_whatever_their_id() {
    let gateway = Gateway::with(&BOTH);
    let mut browser = gateway.browser_of_a_member(LOGIN).await;

    for path in ["/rewards/points", "/desk/today"] {
        assert_eq!(browser.go(path).await.status, 403, "{path}");
    }
    assert_eq!(browser.go("/classes").await.status, 200);
}

impl Gateway {
    /// A browser that has signed in at this address.
    async fn browser_of_a_member(&self, login: &str) -> crate::harness::Browser {
        let mut browser = self.browser();
        assert_eq!(browser.visit(login).await.status, 200);
        browser
    }
}
