//! Mistakes in gateway.toml: all of them at once, each with its place, what was expected and what to do, and nothing secret
//! repeated.

use crate::configuration::{SESSION_KEY, SIGNING_KEY, check, production};
use crate::harness::Ended;

/// The good file with one slip in it.
fn with_slip(good: &str, slip: &str) -> Ended {
    let production = production();
    assert!(production.contains(good), "{good:?}");
    check(&production.replace(good, slip))
}

#[test]
fn one_slip_is_one_problem() {
    for (good, slip, words) in [
        ("client_id =", "client_ID =", "did you mean `client_id`?"),
        ("refresh_token =", "refreshtoken =", "did you mean `refresh_token`?"),
        ("client = 9991", "client = \"9991\"", "write it without quotes"),
        ("[session]\nkeys = [", "[session]\nkey = [", "did you mean `keys`?"),
        (
            "client = 9991",
            "client = 9991\nrequire_active = true\nrecheck = \"30m\"",
            "expected one of: \"no\", \"member\", \"unit\"",
        ),
    ] {
        let ended = with_slip(good, slip);
        tells(&ended, &[words, "1 problem in "]);
    }
}

#[test]
fn what_was_lost_to_one_slip_does_not_hide_what_is_missing_elsewhere() {
    let ended = check(&production().replace("client_id =", "client_ID =").replace("client = 9991\n", ""));

    tells(&ended, &["`client` in [[provider]] is missing", "did you mean `client_id`?", "2 problems in "]);
}

#[test]
fn a_shells_variable_is_no_secret() {
    let ended = with_slip("\"hunter2-is-a-password\"", "\"$DAXKO_PASSWORD\"");

    tells(&ended, &["this text is a variable as a shell knows it", "write { env = \"NAME\" }"]);
    assert!(!ended.errors.contains("DAXKO_PASSWORD"), "{}", ended.errors);
}

#[test]
fn quotes_of_a_word_processor_are_recognised() {
    let ended = with_slip("name = \"ymca\"", "name = “ymca”");

    tells(&ended, &["string values must be quoted", "straight quotes"]);
}

#[test]
fn a_header_that_lacks_brackets_is_not_called_a_second_table() {
    let ended = check(&format!("{}\n[provider]\nname = \"rewards\"\n", production()));

    tells(&ended, &["write the header in double brackets"]);
    assert!(!ended.errors.contains("for the second time"), "{}", ended.errors);
}

#[test]
fn an_allow_that_names_nobody_is_a_mistake() {
    let rule = "\n[[site.rule]]\npath = \"/board/**\"\naccess = \"member\"\nallow = {}\n";
    let ended = check(&format!("{}{rule}", production()));

    tells(
        &ended,
        &["this does not say who is let through", "without `allow` the rule lets all members through"],
    );
}

/// Checks that these words stand in the report, each once, and in this order.
fn tells(ended: &Ended, words: &[&str]) {
    assert_eq!((ended.status, &*ended.output), (2, ""));
    let mut rest = &*ended.errors;
    for word in words {
        let at = rest.find(word).unwrap_or_else(|| panic!("no {word:?} in its place in\n{}", ended.errors));
        rest = &rest[at + word.len()..];
    }
}

#[test]
fn mistakes_of_spelling_and_of_meaning_are_told_together() {
    let configuration = production()
        .replace("[session]\n", "[session]\nidle_timeot = \"1h\"\nmax_age = \"12 hours\"\n")
        .replace("https://members.example.org", "http://members.example.org")
        .replace("providers = [\"ymca\"]", "providers = [\"ymac\"]\nignore_case = \"no\"");

    tells(
        &check(&configuration),
        &[
            "idle_timeot",
            "did you mean `idle_timeout`?",
            "this is no duration",
            "a public site needs https",
            "there is no provider of this name",
            "did you mean `ymca`?",
            "ignore_case",
            "expected a boolean",
            "5 problems",
        ],
    );
}

#[test]
fn five_misspellings_are_told_at_once_each_with_its_line_a_caret_what_was_expected_and_the_nearest_key() {
    let configuration = production()
        .replace("[session]\n", "[session]\nidle_timeot = \"1h\"\n")
        .replace("client = 9991", "client = \"9991\"")
        .replace("client_secret", "client_secrets")
        .replace("upstream = ", "upstreams = ")
        + "[[site.rule]]\npath = \"/a\"\naccess = \"membre\"\n";

    tells(
        &check(&configuration),
        &[
            "--> gateway.toml:2:1\n",
            "2 | idle_timeot = ",
            "| ^^^^^^^^^^^ expected one of: idle_timeout",
            "did you mean `idle_timeout`?",
            "--> gateway.toml:11:10\n",
            "^^^ expected an integer",
            "--> gateway.toml:13:1\n",
            "did you mean `client_secret`?",
            "--> gateway.toml:18:1\n",
            "did you mean `upstream`?",
            "--> gateway.toml:22:10\n",
            "^ expected one of: \"public\", \"optional\", \"member\", \"deny\"",
            "did you mean \"member\"?",
            "5 problems in gateway.toml",
        ],
    );
}

#[test]
fn five_mistakes_of_meaning_are_told_at_once_each_with_its_line_and_what_was_expected() {
    let configuration = production()
        .replace("[session]\n", "[session]\nidle_timeout = \"13h\"\n")
        .replace("client = 9991", "client = 9991\ntimeout = \"a while\"")
        .replace("https://members", "http://members")
        .replace("providers = [\"ymca\"]", "providers = [\"ymcaa\"]")
        + "[[site.rule]]\npath = \"a\"\naccess = \"member\"\n";

    tells(
        &check(&configuration),
        &[
            "--> gateway.toml:2:16\n",
            "^ expected idle_timeout at most max_age",
            "--> gateway.toml:12:11\n",
            "\"30s\", \"15m\", \"12h\" or \"7d\"",
            "--> gateway.toml:18:14\n",
            "^ expected https://",
            "--> gateway.toml:20:14\n",
            "did you mean `ymca`?",
            "--> gateway.toml:22:8\n",
            "^ expected \"/assets/**\"",
            "5 problems in gateway.toml",
        ],
    );
}

#[test]
fn nothing_that_could_be_a_secret_is_repeated() {
    for (from, to) in [
        ("client_secret = \"hunter2", "client_secrets = \"hunter2"),
        ("client_secret = \"hunter2", "client_secret \"hunter2"),
        ("is-a-password\"", "is-a-password"),
        ("client_secret = \"hunter2-is-a-password\"", "client_secret = [\"hunter2-is-a-password\"]"),
        (
            "client_secret = \"hunter2-is-a-password\"",
            "client_secret = { literal = \"hunter2-is-a-password\" }",
        ),
        ("client_secret = \"hunter2-is-a-password\"", "client_secret = \"hunter2-is-a-\u{e9}-password\""),
        (SESSION_KEY, "hunter2-is-a-password"),
        (SIGNING_KEY, "hunter2-is-a-password"),
    ] {
        let ended = check(&production().replacen(from, to, 1));

        assert_eq!(ended.status, 2, "{to}");
        assert!(ended.errors.contains("--> gateway.toml:"), "{to}: {}", ended.errors);
        for secret in ["hunter2", "password\"", "eyJ", SESSION_KEY, SIGNING_KEY] {
            assert!(!ended.errors.contains(secret), "{to}: {}", ended.errors);
        }
    }
}

/// A change of what would be valid, and the words it is told in.
const MISTAKES: &[(&str, &str, &str)] = &[
    ("[session]", "[session]\nidle_timeout = \"13h\"", "idle_timeout at most max_age"),
    ("[session]", "[session]\nmax_age = \"30m\"", "idle_timeout at most max_age"),
    ("[session]", "[session]\nkeys = []", "second time"),
    (SESSION_KEY, "c2hvcnQ", "32"),
    (SESSION_KEY, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "random"),
    (SIGNING_KEY, "c2hvcnQ", "32 bytes or more"),
    ("keys = [\"", "# keys = [\"", "member-gateway keygen session"),
    ("keys = [{", "# keys = [{", "member-gateway keygen hmac"),
    (
        "[{ id",
        "[{ id = \"2026-11\", algorithm = \"ed25519\", key = { env = \"PATH_TO_NOTHING\" } }, { id",
        "PATH_TO_NOTHING",
    ),
    ("\"hmac-sha256\"", "\"rsa-v1_5-sha256\"", "hmac-sha256"),
    (
        "[identity.signature]",
        "[identity]\nmember_id = \"Host\"\n[identity.signature]",
        "needs this field for itself",
    ),
    (
        "[identity.signature]",
        "[identity]\nemail = \"X-Forwarded-Email\"\n[identity.signature]",
        "needs this field for itself",
    ),
    (
        "[identity.signature]",
        "[identity]\nstrip = [\"Cookie\"]\n[identity.signature]",
        "needs this field for itself",
    ),
    (
        "[identity.signature]",
        "[identity]\nprovider = \"x_member.id\"\n[identity.signature]",
        "two identity fields",
    ),
    ("[identity.signature]", "[identity]\nmember_id = \"X Member\"\n[identity.signature]", "no field name"),
    ("[identity.signature]", "[identity.signature]\nttl = \"2h\"", "at most \"1h\""),
    (
        "[[site]]",
        "[[provider]]\nname = \"ymca\"\nkind = \"daxko\"\nclient = 1\nclient_id = \"a\"\nclient_secret = \"b\"\nrefresh_token = \"c\"\n[[site]]",
        "two providers have this name",
    ),
    (
        "[[site]]",
        "[[site]]\npublic_url = \"https://MEMBERS.example.org:443\"\nupstream = [\"http://a\"]\nproviders = [\"ymca\"]\n[[site]]",
        "two sites",
    ),
    ("name = \"ymca\"", "name = \"YMCA!\"", "a-z 0-9 -"),
    ("client = 9991\n", "", "`client`"),
    ("client_secret = \"hunter2-is-a-password\"\n", "", "`client_secret`"),
    ("refresh_token = \"eyJhbGciOiJIUzI1NiJ9\"\n", "", "`refresh_token`"),
    ("kind = \"daxko\"\n", "", "kind"),
    ("kind = \"daxko\"", "kind = \"daxco\"", "daxko"),
    ("client = 9991", "client = 9991\nenvironment = \"sandbox\"", "for sites on loopback"),
    ("client = 9991", "client = 9991\nenvironment = \"train\"", "api_base_url"),
    (
        "client = 9991",
        "client = 9991\nauthorize_url = \"https://operations-train.daxko.com/online/auth\"",
        "another environment",
    ),
    (
        "client = 9991",
        "client = 9991\nenvironment = \"demo\"\napi_base_url = \"https://api.daxko.com\"",
        "another environment",
    ),
    ("client = 9991", "client = 9991\napi_base_url = \"http://api.example.org\"", "in the clear"),
    ("client = 9991", "client = 9991\nauthorize_url = \"http://login.example.org\"", "in the clear"),
    ("client = 9991", "client = 9991\nauthorize_params = { state = \"1\" }", "sends this parameter itself"),
    ("client = 9991", "client = 9991\nrequire_active = \"units\"", "did you mean"),
    ("client = 9991", "client = 9991\nrecheck = \"2h\"", "nothing to check again"),
    ("client = 9991", "client = 9991\nrequire_active = \"unit\"\nrecheck = \"5s\"", "too often"),
    ("https://members", "http://members", "a public site needs https"),
    ("members.example.org", "members.example.org/app", "behind the host"),
    ("upstream = [\"http://127.0.0.1:3000\"]", "upstream = \"sandbox\"", "for sites on loopback"),
    ("http://127.0.0.1:3000", "http://127.0.0.1:3000/app", "no upstream"),
    ("http://127.0.0.1:3000", "unix:run/app.sock", "begins with a slash"),
    (
        "upstream = [\"http://127.0.0.1:3000\"]",
        "upstream = [\"http://a\", \"http://a/\"]",
        "stands here twice",
    ),
    ("upstream = [\"http://127.0.0.1:3000\"]", "upstream = []", "there is no upstream"),
    (
        "upstream = [\"http://127.0.0.1:3000\"]",
        "upstream = \"http://a\"\nupstream_tls = { server_name = \"b\" }",
        "speaks TLS",
    ),
    (
        "upstream = [\"http://127.0.0.1:3000\"]",
        "upstream = \"https://a\"\nupstream_tls = { ca = \"missing.pem\" }",
        "cannot be read",
    ),
    (
        "upstream = [\"http://127.0.0.1:3000\"]",
        "upstream = \"https://a\"\nupstream_tls = { ca = \"gateway.toml\" }",
        "no certificate of an authority",
    ),
    (
        "upstream = [\"http://127.0.0.1:3000\"]",
        "upstream = \"https://a\"\nupstream_tls = { cert = \"gateway.toml\" }",
        "the key of this certificate is missing",
    ),
    (
        "upstream = [\"http://127.0.0.1:3000\"]",
        "upstream = \"https://a\"\nupstream_tls = { server_name = \"a b\" }",
        "no name of a host",
    ),
    ("upstream = [\"http://127.0.0.1:3000\"]", "upstream = \"http://a\"\nprotocol = \"h3\"", "h2"),
    (
        "upstream = [\"http://127.0.0.1:3000\"]",
        "upstream = \"http://a\"\nbalance = \"random\"",
        "round_robin",
    ),
    (
        "upstream = [\"http://127.0.0.1:3000\"]",
        "upstream = \"http://a\"\nhealth = { path = \"up\" }",
        "this is no path",
    ),
    (
        "upstream = [\"http://127.0.0.1:3000\"]",
        "upstream = \"http://a\"\nhealth = { status = [99] }",
        "no answer has this status",
    ),
    (
        "upstream = [\"http://127.0.0.1:3000\"]",
        "upstream = \"http://a\"\nhealth = { fall = 0 }",
        "no number of checks",
    ),
    ("upstream = [\"http://127.0.0.1:3000\"]\n", "", "`upstream`"),
    ("providers = [\"ymca\"]", "providers = []", "nobody could sign in"),
    ("providers = [\"ymca\"]", "providers = [\"rewards\"]", "no provider of this name"),
    (
        "providers = [\"ymca\"]\n",
        "providers = [\"ymca\"]\n[[site.rule]]\npath = \"/a\"\naccess = \"member\"\nallow = { provider = [\"rewards\"] }",
        "no provider of this name",
    ),
    (
        "providers = [\"ymca\"]\n",
        "providers = [\"ymca\"]\n[[site.rule]]\npath = \"a/**/b\"\naccess = \"member\"",
        "pattern",
    ),
    ("providers = [\"ymca\"]\n", "providers = [\"ymca\"]\n[[site.rule]]\npath = \"/a\"\n", "`access`"),
    (
        "providers = [\"ymca\"]\n",
        "providers = [\"ymca\"]\n[[site.rule]]\npath = \"/a\"\naccess = \"members\"",
        "did you mean",
    ),
    (
        "providers = [\"ymca\"]\n",
        "providers = [\"ymca\"]\n[[site.rule]]\npath = \"/a\"\naccess = \"public\"\nallow = { member_id = [\"1\"] }",
        "access = \"member\"",
    ),
    ("[session]", "[server]\nlisten = [\"localhost\"]\n[session]", "no address to listen on"),
    ("[session]", "[server]\ntrusted_proxies = [\"10.0.0.0/33\"]\n[session]", "no network"),
    ("[session]", "[server]\nlimits = { head_bytes = \"64\" }\n[session]", "no size"),
    ("[session]", "[session]\nstore_tls = { ca = \"ca.pem\" }", "no TLS is spoken to `store`"),
    (
        "[session]",
        "[session]\nstore = \"redis://redis.internal\"\nstore_tls = { ca = \"ca.pem\" }",
        "rediss://",
    ),
    (
        "[session]",
        "[session]\nstore = \"rediss://redis.internal\"\nstore_tls = { ca = \"gateway.toml\" }",
        "no certificate of an authority",
    ),
    ("[session]", "[session]\nstore = \"rediss://redis.internal#insecure\"", "no place for revocations"),
    ("[session]", "[sesion]", "`session`"),
];

#[test]
fn what_cannot_be_meant_is_an_error_that_says_so() {
    for (from, to, words) in MISTAKES {
        let valid = production();
        assert!(valid.contains(from), "{from}");

        let ended = check(&valid.replacen(from, to, 1));

        assert_eq!(ended.status, 2, "{to}: {ended:?}");
        assert!(ended.errors.contains("--> gateway.toml:"), "{to}: {}", ended.errors);
        assert!(ended.errors.contains(words), "{to}: no {words:?} in\n{}", ended.errors);
    }
}
