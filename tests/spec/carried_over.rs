//! What a provider knows outlives a reload: tokens, verdicts on memberships, the rows of a directory.

use http::Method;
use member_gateway::sandbox::daxko::{Endpoint, Fault};
use serde_json::json;

use crate::harness::{Folder, Gateway, Options, eventually};

const HOUR: u64 = 3600;
const UNIT: &str = "/v3/units/400007995";
const MORE: &str = "[[site.rule]]\npath = \"/new/**\"\naccess = \"public\"\n";

fn options(provider: &'static str) -> Options {
    Options { provider, session: "idle_timeout = \"7d\"\nmax_age = \"7d\"", ..Options::USUAL }
}

fn posted(gateway: &Gateway, path: &str) -> usize {
    let is_one = |request: &&_| {
        let request: &member_gateway::sandbox::daxko::RecordedRequest = request;
        request.method == Method::POST && request.path == path
    };
    gateway.daxko().requests().iter().filter(is_one).count()
}

#[tokio::test]
async fn tokens_are_fetched_anew_only_where_the_table_of_their_provider_has_changed() {
    for (api, token) in [
        ("require_active = \"unit\"\n", "/v3/partners/oauth2/token"),
        ("api = \"partners-v1\"\ntoken_bearer = \"access_token\"\n", "/partners/auth/token"),
    ] {
        let mut gateway = Gateway::with(&options(api));
        gateway.signed_in().await;
        assert_eq!(posted(&gateway, token), 1, "{api}");

        gateway.reload(&Options { more: MORE, ..options(api) }).unwrap();
        gateway.signed_in().await;
        assert_eq!(posted(&gateway, token), 1, "{api}: another rule");

        // A configuration that is not taken touches nothing.
        gateway.reload(&Options { more: "no = 1", ..options(api) }).unwrap_err();
        gateway.signed_in().await;
        assert_eq!(posted(&gateway, token), 1, "{api}: a mistake");

        let changed: &'static str = format!("{api}timeout = \"9s\"\n").leak();
        gateway.reload(&options(changed)).unwrap();
        gateway.signed_in().await;
        assert_eq!(posted(&gateway, token), 2, "{api}: another timeout");
    }
}

#[tokio::test]
async fn a_member_who_is_known_to_have_lapsed_stays_out_whatever_a_reload_changes() {
    let usual = "require_active = \"unit\"";
    let mut gateway = Gateway::with(&options(usual));
    let mut browser = gateway.signed_in().await;
    let copy = browser.clone();
    let status = Fault::WithField { name: "status".into(), value: json!("Inactive") };
    gateway.daxko().faults().always(Endpoint::Unit, status);
    gateway.later(HOUR);
    browser.go("/classes").await;
    let asked = || gateway.daxko().requests().iter().filter(|request| request.path == UNIT).count();
    eventually("Daxko is asked", || asked() == 2);
    for _ in 0..1000 {
        if copy.clone().session().await["authenticated"] == false {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(copy.clone().session().await["authenticated"], false);

    for changed in [
        options(usual),
        Options { more: MORE, ..options(usual) },
        options("require_active = \"unit\"\ntimeout = \"9s\"\nrecheck = \"30m\""),
    ] {
        gateway.reload(&changed).unwrap();
        assert_eq!(copy.clone().session().await["authenticated"], false);
    }
    // Nobody wants to know for a while, and then somebody does again.
    gateway.reload(&options("")).unwrap();
    assert_eq!(copy.clone().session().await["authenticated"], true);
    gateway.reload(&options(usual)).unwrap();
    assert_eq!(copy.clone().session().await["authenticated"], false);
}

#[test]
fn a_directory_that_is_being_written_keeps_its_last_good_rows_and_no_reload_from_being_taken() {
    let folder = Folder::empty().and("members.csv", "email,member_id,member_unit_id\nnoor@example.org,1,1\n");
    let more = "[[provider]]\nname = \"rewards\"\nkind = \"xoxoday\"\nenvironment = \"sandbox\"\n\
                [provider.identity]\nfrom = \"directory\"\ndirectory = { file = \"members.csv\" }\n";
    let options = || Options { folder: Some(folder.path().to_owned()), more, ..Options::USUAL };
    let mut gateway = Gateway::with(&options());
    std::fs::write(folder.path().join("members.csv"), "email,mem").unwrap();

    gateway.reload(&options()).unwrap();

    // Another file has to be right.
    let other: &'static str = more.replace("members.csv", "others.csv").leak();
    std::fs::write(folder.path().join("others.csv"), "email,mem").unwrap();
    let error = gateway.reload(&Options { more: other, ..options() }).unwrap_err();
    assert!(error.contains("this directory cannot be used"), "{error}");
}
