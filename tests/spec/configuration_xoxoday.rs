//! gateway.toml with Xoxoday: what is enough, and what cannot be meant.

use crate::harness::{Ended, Folder, member_gateway};

/// The least that a site with Xoxoday needs.
const VALID: &str = r#"[session]
keys = ["c2Vzc2lvbi1rZXktb2YtdGhlLXRlc3RzLTAxMjM0NTY"]

[identity.signature]
keys = [{ id = "2026-11", algorithm = "hmac-sha256", key = "c2lnbmluZy1rZXktb2YtdGhlLXRlc3RzLTAxMjM0NTY" }]

[[provider]]
name = "rewards"
kind = "xoxoday"
client_id = "9a31c0de5f7742d08b6e14a2f3c5d7e9"
client_secret = "hunter2-is-a-password"

[provider.identity]
from = "token"

[[site]]
public_url = "https://members.example.org"
upstream = ["http://127.0.0.1:3000"]
providers = ["rewards"]
"#;

const DIRECTORY: &str = "from = \"directory\"\ndirectory = { file = \"members.csv\" }";
const HEADER: &str = "email,member_id,member_unit_id\n";

fn check(configuration: &str, directory: &str) -> Ended {
    member_gateway(&Folder::with(configuration).and("members.csv", directory), &["check"], "")
}

#[test]
fn a_client_is_enough_and_the_check_says_what_the_unit_is() {
    let ended = check(VALID, "");

    assert_eq!((ended.status, &*ended.errors), (0, ""));
    for words in [
        "https://members.example.org/_gateway/callback/rewards",
        "note: provider \"rewards\": the unit id is the same as the member id",
    ] {
        assert!(ended.output.contains(words), "{words}: {}", ended.output);
    }
}

#[test]
fn what_the_contract_shows_is_valid() {
    for identity in [
        "from = \"token\"\nmember_id = \"/email\"\nmember_unit_id = { same_as = \"member_id\" }\nlowercase = true",
        "member_unit_id = { value = \"club\" }",
        "member_unit_id = \"/unit\"\nfirst_name = \"/first\"\nlast_name = \"/last\"\nemail = \"/mail\"",
        "from = \"userinfo\"\n[provider.identity.userinfo]\nmethod = \"POST\"\nurl = \"https://accounts.xoxoday.com/chef/v1/oauth/api\"\nheaders = { X-A = { env = \"PATH\" } }\nbody = \"{}\"",
        DIRECTORY,
        "from = \"directory\"\ndirectory = { file = \"members.csv\", on_missing = \"deny\" }\n[provider.identity.userinfo]",
        "from = \"directory\"\nmember_id = \"/id\"\nmember_unit_id = { same_as = \"member_id\" }\ndirectory = { url = \"http://localhost:7000/{email}\", headers = { Authorization = \"Bearer x\" } }",
    ] {
        let ended = check(&VALID.replace("from = \"token\"", identity), HEADER);
        assert_eq!(ended.status, 0, "{identity}: {}", ended.errors);
    }
    for keys in [
        "environment = \"staging\"\noauth_url = \"https://stagingstores.xoxoday.com/chef\"\nauthorize_url = \"https://canvas.xoxoday.com/v1/oauth/authorize\"",
        "oauth_url = \"https://compass.xoxoday.com\"",
        "oauth_url = \"http://127.0.0.1:1/chef\"",
        "scopes = [\"user_session\", \"company_session\"]\ntoken_encoding = \"form\"\ntimeout = \"5s\"\ntitle = \"Rewards\"",
    ] {
        let ended = check(&VALID.replace("kind = \"xoxoday\"", &format!("kind = \"xoxoday\"\n{keys}")), "");
        assert_eq!(ended.status, 0, "{keys}: {}", ended.errors);
    }
}

/// What stands in the place of something valid, and the words of the mistake.
const MISTAKES: &[(&str, &str, &str)] = &[
    ("client_id = \"9a31c0de5f7742d08b6e14a2f3c5d7e9\"\n", "", "`client_id`"),
    ("client_secret = \"hunter2-is-a-password\"\n", "", "`client_secret`"),
    ("kind = \"xoxoday\"", "kind = \"xoxoday\"\nenvironment = \"sandbox\"", "for sites on loopback"),
    (
        "kind = \"xoxoday\"",
        "kind = \"xoxoday\"\nenvironment = \"train\"",
        "\"production\", \"staging\", \"sandbox\"",
    ),
    ("kind = \"xoxoday\"", "kind = \"xoxoday\"\nclient = 1", "`client` goes with kind = \"daxko\""),
    (
        "kind = \"xoxoday\"",
        "kind = \"xoxoday\"\noauth_url = \"https://stagingaccount.xoxoday.com/chef\"",
        "another environment",
    ),
    (
        "kind = \"xoxoday\"",
        "kind = \"xoxoday\"\nauthorize_url = \"https://canvas.xoxoday.com/a\"",
        "another environment",
    ),
    (
        "kind = \"xoxoday\"",
        "kind = \"xoxoday\"\nenvironment = \"staging\"\noauth_url = \"https://accounts.xoxoday.com/chef\"",
        "another environment",
    ),
    (
        "kind = \"xoxoday\"",
        "kind = \"xoxoday\"\nenvironment = \"staging\"\nauthorize_url = \"https://stores.xoxoday.com/a\"",
        "another environment",
    ),
    (
        "kind = \"xoxoday\"",
        "kind = \"xoxoday\"\noauth_url = \"http://accounts.example.org/chef\"",
        "in the clear",
    ),
    (
        "kind = \"xoxoday\"",
        "kind = \"xoxoday\"\nauthorize_url = \"https://accounts.xoxoday.com/a?b=c\"",
        "authorize_params",
    ),
    (
        "kind = \"xoxoday\"",
        "kind = \"xoxoday\"\nauthorize_params = { scope = \"a\" }",
        "sends this parameter itself",
    ),
    (
        "kind = \"xoxoday\"",
        "kind = \"xoxoday\"\nscopes = [\"user_session,company_session\"]",
        "this is no scope",
    ),
    (
        "kind = \"xoxoday\"",
        "kind = \"xoxoday\"\nscopes = [\"user_session company_session\"]",
        "this is no scope",
    ),
    (
        "kind = \"xoxoday\"",
        "kind = \"xoxoday\"\nscopes = [\"company_session\"]",
        "needs the scope user_session",
    ),
    ("kind = \"xoxoday\"", "kind = \"xoxoday\"\nscopes = []", "needs the scope user_session"),
    ("kind = \"xoxoday\"", "kind = \"xoxoday\"\ngrant = \"bearer\"", "\"company\", \"user\""),
    ("kind = \"xoxoday\"", "kind = \"xoxoday\"\ngrant = \"user\"", "does not say who signed in"),
    ("from = \"token\"", "member_id = \"email\"", "no JSON pointer"),
    ("from = \"token\"", "member_unit_id = \"unit\"", "no JSON pointer"),
    ("from = \"token\"", "member_id = \"/access_token\"", "a token is no id"),
    ("from = \"token\"", "member_unit_id = { value = \"a b\" }", "this unit id holds a character"),
    ("from = \"token\"", "member_unit_id = { same_as = \"email\" }", "member_id"),
    ("from = \"token\"", "member_unit_id = {}", "member_unit_id"),
    ("from = \"token\"", "from = \"userinfo\"", "no user-details call"),
    ("from = \"token\"", "from = \"directory\"", "no directory to look into"),
    ("from = \"token\"", "directory = { file = \"members.csv\" }", "not looked into"),
    ("from = \"token\"", "userinfo = { url = \"https://accounts.xoxoday.com/\" }", "this call is not made"),
    (
        "from = \"token\"",
        "from = \"userinfo\"\nuserinfo = { method = \"GET\", body = \"{}\" }",
        "a GET has no body",
    ),
    (
        "from = \"token\"",
        "from = \"userinfo\"\nuserinfo = { url = \"https://stagingstores.xoxoday.com/\" }",
        "another environment",
    ),
    ("from = \"token\"", "from = \"userinfo\"\nuserinfo = { url = \"http://example.org/\" }", "in the clear"),
    (
        "from = \"token\"",
        "from = \"userinfo\"\nuserinfo = { headers = { Authorization = \"hunter2\" } }",
        "sends this field itself",
    ),
    (
        "from = \"token\"",
        "from = \"userinfo\"\nuserinfo = { headers = { X-A = \"hunter2\\u0007\" } }",
        "does not fit into a field",
    ),
    ("from = \"token\"", "from = \"directory\"\ndirectory = {}", "this directory is nowhere"),
    (
        "from = \"token\"",
        "from = \"directory\"\ndirectory = { file = \"members.csv\", url = \"https://a/{email}\" }",
        "either a file or an address",
    ),
    ("from = \"token\"", "from = \"directory\"\ndirectory = { file = \"other.csv\" }", "it cannot be read"),
    (
        "from = \"token\"",
        "from = \"directory\"\ndirectory = { url = \"https://a.example.org/\" }",
        "does not hold {email} once",
    ),
    (
        "from = \"token\"",
        "from = \"directory\"\ndirectory = { url = \"https://{email}.example.org/\" }",
        "in its path or query",
    ),
    (
        "from = \"token\"",
        "from = \"directory\"\ndirectory = { url = \"http://a.example.org/{email}\" }",
        "in the clear",
    ),
    (
        "from = \"token\"",
        "from = \"directory\"\ndirectory = { file = \"members.csv\", on_missing = \"allow\" }",
        "\"deny\"",
    ),
];

#[test]
fn what_cannot_be_meant_is_an_error_that_says_so() {
    for (from, to, words) in MISTAKES {
        assert!(VALID.contains(from), "{from}");

        let ended = check(&VALID.replacen(from, to, 1), HEADER);

        assert_eq!(ended.status, 2, "{to}: {ended:?}");
        assert!(ended.errors.contains("--> gateway.toml:"), "{to}: {}", ended.errors);
        assert!(ended.errors.contains(words), "{to}: no {words:?} in\n{}", ended.errors);
        assert!(!ended.errors.contains("hunter2"), "{to}: {}", ended.errors);
    }
}

#[test]
fn what_the_columns_of_a_directory_say_is_not_pointed_to_and_the_check_says_so() {
    let identity = format!("member_id = \"/email\"\nlowercase = true\n{DIRECTORY}");
    let ended = check(&VALID.replace("from = \"token\"", &identity), HEADER);

    assert_eq!(ended.status, 0, "{}", ended.errors);
    for key in ["`member_id`", "`lowercase`"] {
        let note = format!("note: provider \"rewards\": {key} has no effect");
        assert!(ended.output.contains(&note), "{}", ended.output);
    }
}

#[test]
fn a_directory_that_is_wrong_is_an_error_that_names_the_line_and_no_address() {
    for (text, words) in [
        ("", "no column `email`"),
        ("email;member_id;member_unit_id\nnoor@example.org;1;1\n", "separated by semicolons or tabs"),
        ("email,member_id,member_unit_id\nnoor@example.org,1\n", "line 2 has 2 columns"),
        ("email,member_id,member_unit_id\na@b,1,1\nnoor@example.org,,1\n", "line 3: `member_id` is empty"),
    ] {
        let ended = check(&VALID.replace("from = \"token\"", DIRECTORY), text);

        assert_eq!(ended.status, 2, "{text}: {ended:?}");
        for words in [words, "email,member_id,member_unit_id"] {
            assert!(ended.errors.contains(words), "{text}: no {words:?} in\n{}", ended.errors);
        }
        assert!(!ended.errors.contains("noor"), "{}", ended.errors);
    }
}

#[test]
fn in_the_sandbox_nothing_else_is_needed() {
    let configuration = "[[provider]]\nname = \"rewards\"\nkind = \"xoxoday\"\nenvironment = \"sandbox\"\n\
                         [[site]]\npublic_url = \"http://localhost:8080\"\nupstream = \"sandbox\"\nproviders = [\"rewards\"]\n";

    assert_eq!(check(configuration, "").status, 0);
}

#[test]
fn the_examples_of_the_documentation_are_valid() {
    let text = include_str!("../../docs/xoxoday.md");
    let blocks = |language: &str| {
        let of =
            |(at, start): (usize, &str)| text[at + start.len()..].split("```").next().unwrap().to_owned();
        text.match_indices(&format!("```{language}\n")).map(of).collect::<Vec<String>>()
    };
    let tables = blocks("toml");
    let (provider, identities) = tables.split_first().unwrap();
    assert_eq!(identities.len(), 3);
    for identity in [""].into_iter().chain(identities.iter().map(String::as_str)) {
        let start = VALID.find("[[provider]]").unwrap();
        let site = VALID.find("[[site]]").unwrap();
        // The one secret that comes from the environment is not there.
        let provider = provider.replace("{ env = \"XOXODAY_SECRET\" }", "\"x\"");
        // The userinfo of the example is that of production, the provider that of staging.
        let identity = identity.replace("accounts.xoxoday", "stagingaccount.xoxoday");
        let text = format!("{}{provider}\n{identity}\n{}", &VALID[..start], &VALID[site..]);
        let folder = Folder::with(&text).and("members.csv", &blocks("csv")[0]);
        std::fs::create_dir(folder.path().join("secrets")).unwrap();
        let folder = folder.and("secrets/directory_key", "Bearer x\n");
        let ended = member_gateway(&folder, &["check"], "");
        assert_eq!(ended.status, 0, "{identity}: {}", ended.errors);
    }
}

#[test]
fn ids_that_a_rule_allows_at_a_site_with_two_vendors_want_a_provider_beside_them() {
    let two = |allow: &str| {
        let daxko = "[[provider]]\nname = \"ymca\"\nkind = \"daxko\"\nclient = 4711\nclient_id = \"lakes_web\"\n\
                     client_secret = \"hunter2\"\nrefresh_token = \"eyJ.refresh\"\n\n[[site]]";
        let rule = format!("[[site.rule]]\npath = \"/staff/**\"\naccess = \"member\"\nallow = {allow}\n");
        let text = VALID.replace("[[site]]", daxko).replace("providers = [", "providers = [\"ymca\", ");
        check(&format!("{text}\n{rule}"), "")
    };
    for allow in ["{ member_id = [\"400011208-00\"] }", "{ member_unit_id = [\"400011208\"] }"] {
        let ended = two(allow);
        let warning = "warning: https://members.example.org: the rule for \"/staff/**\" allows ids of any of the \
                       providers ymca, rewards";
        assert!(ended.status == 0 && ended.output.contains(warning), "{}{}", ended.output, ended.errors);
    }
    for allow in ["{ member_id = [\"400011208-00\"], provider = [\"ymca\"] }", "{ provider = [\"rewards\"] }"]
    {
        assert!(!two(allow).output.contains("warning"), "{allow}");
    }
}
