//! gateway.toml: every mistake is told at once, nothing secret is repeated, and the reference is that of this version.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;

use crate::harness::{Ended, Folder, Gateway, Running, Wire, member_gateway};

const SESSION_KEY: &str = "c2Vzc2lvbi1rZXktb2YtdGhlLXRlc3RzLTAxMjM0NTY";
const SIGNING_KEY: &str = "c2lnbmluZy1rZXktb2YtdGhlLXRlc3RzLTAxMjM0NTY";

/// The least that a site beyond loopback needs.
fn production() -> String {
    format!(
        r#"[session]
keys = ["{SESSION_KEY}"]

[identity.signature]
keys = [{{ id = "2026-11", algorithm = "hmac-sha256", key = "{SIGNING_KEY}" }}]

[[provider]]
name = "ymca"
kind = "daxko"
client = 9991
client_id = "daxko_api_user"
client_secret = "hunter2-is-a-password"
refresh_token = "eyJhbGciOiJIUzI1NiJ9"

[[site]]
public_url = "https://members.example.org"
upstream = ["http://127.0.0.1:3000"]
providers = ["ymca"]
"#
    )
}

fn check(configuration: &str) -> Ended {
    member_gateway(&Folder::with(configuration), &["check"], "")
}

#[test]
fn what_a_site_needs_is_enough() {
    let ended = check(&production());

    assert_eq!((ended.status, &*ended.errors), (0, ""));
    for words in [
        "https://members.example.org",
        "http://127.0.0.1:3000",
        "https://members.example.org/_gateway/callback/ymca",
    ] {
        assert!(ended.output.contains(words), "{words}: {}", ended.output);
    }
}

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
fn a_provider_that_no_site_uses_is_noted_and_so_is_a_rule_for_members_who_cannot_sign_in() {
    let more = "\n[[site.rule]]\npath = \"/board/**\"\naccess = \"member\"\n\
                allow = { provider = [\"rewards\"], member_unit_id = [\"1\", \"2\"] }\n\
                [[provider]]\nname = \"rewards\"\nkind = \"xoxoday\"\nclient_id = \"a\"\nclient_secret = \"b\"\n";
    let ended = check(&format!("{}{more}", production()));

    assert_eq!((ended.status, &*ended.errors), (0, ""));
    for words in [
        "member    /board/** (only provider rewards and member_unit_id 1, 2)",
        "note: provider \"rewards\": no site names it in `providers`",
        "allows members of \"rewards\", and nobody of them can sign in here",
    ] {
        assert!(ended.output.contains(words), "{words}: {}", ended.output);
    }
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

#[test]
fn http_to_a_vendor_is_legal_on_loopback() {
    for host in ["127.0.0.1:1", "127.1.2.3", "[::1]:1", "localhost", "daxko.localhost:1"] {
        let urls =
            format!("client = 9991\napi_base_url = \"http://{host}\"\nauthorize_url = \"http://{host}/a\"");
        let ended = check(&production().replace("client = 9991", &urls));

        assert_eq!(ended.status, 0, "{host}: {}", ended.errors);
    }
}

#[test]
fn a_site_on_loopback_needs_no_keys_and_is_told_what_that_means() {
    let configuration = production()
        .replace("keys = [", "# keys = [")
        .replace("https://members.example.org", "http://127.0.0.2:8080");

    let ended = check(&configuration);

    assert_eq!(ended.status, 0, "{}", ended.errors);
    assert!(ended.output.contains("warning: no session.keys"), "{}", ended.output);
    assert!(ended.output.contains("warning: no identity.signature.keys"), "{}", ended.output);
}

#[test]
fn a_rule_that_no_request_can_come_to_is_named_with_the_one_in_front_of_it() {
    let rules = |more: &str| {
        format!("{}\n[[site.rule]]\npath = \"/assets/**\"\naccess = \"public\"\n{more}", production())
    };
    let behind = "[[site.rule]]\npath = \"/assets/private/*\"\naccess = \"member\"\n";

    let ended = check(&rules(behind));

    let warning = "warning: https://members.example.org: the rule for \"/assets/private/*\" never matches, since the \
                   one for \"/assets/**\" in front of it takes all of its requests";
    assert!(ended.status == 0 && ended.output.contains(warning), "{}{}", ended.output, ended.errors);
    for reachable in [
        "[[site.rule]]\npath = \"/assets-private/*\"\naccess = \"member\"\n",
        "[[site.rule]]\npath = \"/Assets/a\"\naccess = \"member\"\n",
        "[[site.rule]]\npath = \"/**\"\naccess = \"member\"\n",
    ] {
        assert!(!check(&rules(reachable)).output.contains("warning"), "{reachable}");
    }
}

#[test]
fn an_upstream_at_the_gateways_own_address_is_warned_of() {
    let circle = "upstream = [\"http://localhost:8080\"]";
    let ended = check(&production().replace("upstream = [\"http://127.0.0.1:3000\"]", circle));

    let warning = "warning: https://members.example.org: the upstream localhost:8080 leads to 127.0.0.1:8080, where the \
                   gateway itself listens";
    assert!(ended.status == 0 && ended.output.contains(warning), "{}{}", ended.output, ended.errors);
    assert!(!check(&production()).output.contains("warning"));
}

#[test]
fn one_site_beyond_loopback_is_enough_to_need_keys() {
    let second = "[[site]]\npublic_url = \"http://localhost:8080\"\nupstream = [\"http://a\"]\nproviders = [\"ymca\"]\n";
    let configuration = production().replacen("keys = [", "# keys = [", 1) + second;

    let ended = check(&configuration);

    assert!(ended.status == 2 && ended.errors.contains("member-gateway keygen session"), "{ended:?}");
}

#[test]
fn secrets_come_from_the_environment_and_from_files_beside_the_configuration() {
    let configuration = production()
        .replace(&format!("\"{SESSION_KEY}\""), "{ env = \"SESSION_KEY_OF_THE_TESTS\" }")
        .replace(&format!("\"{SIGNING_KEY}\""), "{ file = \"signing.key\" }");
    let folder = Folder::with(&configuration).and("signing.key", &format!("{SIGNING_KEY}\n"));
    let elsewhere = Folder::empty();
    let config = folder.path().join("gateway.toml").display().to_string();
    let check = |key: &str| {
        let mut command = elsewhere.command(&["check", "--config", &config]);
        command.env("SESSION_KEY_OF_THE_TESTS", key).output().unwrap()
    };

    assert_eq!(check(&format!("{SESSION_KEY}\n")).status.code(), Some(0));
    assert_eq!(check(&format!("{SESSION_KEY}\n\n")).status.code(), Some(2));
    let ended = member_gateway(&folder, &["check"], "");
    assert!(ended.status == 2 && ended.errors.contains("SESSION_KEY_OF_THE_TESTS"), "{ended:?}");
    std::fs::remove_file(folder.path().join("signing.key")).unwrap();
    let without = check(SESSION_KEY);
    assert!(String::from_utf8(without.stderr).unwrap().contains("signing.key"));
}

#[test]
fn without_a_configuration_the_way_to_name_another_is_told() {
    for arguments in [&[][..], &["run"], &["check"]] {
        let ended = member_gateway(&Folder::empty(), arguments, "");

        assert_eq!((ended.status, &*ended.output), (2, ""), "{arguments:?}");
        assert!(
            ended.errors.contains("gateway.toml") && ended.errors.contains("--config"),
            "{}",
            ended.errors
        );
    }
}

/// A gateway.toml that listens here.
fn listening_at(address: &str) -> String {
    format!("[server]\nlisten = [\"{address}\"]\n\n{}", production())
}

#[test]
fn an_address_that_another_gateway_serves_on_is_refused_and_it_serves_on() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let folder = Folder::with(&listening_at(&free.to_string()));
    let _running = Running::start(&folder, free);

    let second = member_gateway(&folder, &["run"], "");

    assert_eq!((second.status, &*second.output), (1, ""));
    assert!(
        second.errors.contains("`listen`") && second.errors.contains(&free.to_string()),
        "{}",
        second.errors
    );
    for _ in 0..8 {
        let mut client = Wire::to(free);
        client.send("GET /_gateway/health HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.answer().1.trim(), "ok");
    }
}

#[test]
fn the_configuration_of_the_repository_is_valid_and_starts_without_anything_else() {
    let text = std::fs::read_to_string(repository().join("gateway.toml")).unwrap();
    let ended = check(&text);
    assert_eq!((ended.status, &*ended.errors), (0, ""));

    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let folder = Folder::with(&text.replace("127.0.0.1:8080", &free.to_string()));
    let mut running = Running::start(&folder, free);

    let mut lines = BufReader::new(running.errors()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("SANDBOX")));
    assert!(lines.any(|line| line.contains("rosa-swims")));
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Compares a file with what the program writes today.
fn is_written_by(path: &str, arguments: &[&str]) {
    let ended = member_gateway(&Folder::empty(), arguments, "");
    let written = std::fs::read_to_string(repository().join(path)).unwrap_or_default();
    assert!(
        ended.output == written,
        "{path} is not of this version; write it anew:\n    cargo run -- {} > {path}",
        arguments.join(" ")
    );
}

#[test]
fn the_reference_is_that_of_this_version() {
    is_written_by("docs/configuration.md", &["schema", "--reference"]);
}

#[test]
fn the_schema_is_that_of_this_version() {
    is_written_by("docs/gateway.schema.json", &["schema"]);
}

#[test]
fn the_reference_has_a_heading_for_every_table_and_a_line_for_every_key() {
    let reference = member_gateway(&Folder::empty(), &["schema", "--reference"], "").output;
    for heading in [
        "[server]",
        "[server.limits]",
        "[session]",
        "[identity]",
        "[identity.signature]",
        "[[identity.signature.keys]]",
        "[[provider]]",
        "[provider.identity]",
        "[[site]]",
        "[site.timeouts]",
        "[site.pages]",
        "[site.signature]",
        "[[site.rule]]",
        "[site.rule.allow]",
    ] {
        assert!(
            reference.lines().any(|line| line.trim_start_matches('#') == format!(" `{heading}`")),
            "{heading}"
        );
    }
    assert!(reference.contains("With `kind = \"daxko\"`:"));
    let undescribed: Vec<_> =
        reference.lines().filter(|line| line.starts_with("| `") && line.ends_with("|  |")).collect();
    assert!(undescribed.is_empty(), "{undescribed:#?}");
}

#[test]
fn the_keys_that_keygen_prints_are_accepted() {
    let folder = Folder::empty();
    let key = |kind: &str| member_gateway(&folder, &["keygen", kind], "").output.trim().to_owned();
    let with = |algorithm: &str, key: &str| {
        production()
            .replace(SESSION_KEY, &printed_session_key())
            .replace("hmac-sha256", algorithm)
            .replace(&format!("\"{SIGNING_KEY}\""), key)
    };
    for (kind, algorithm) in [("hmac", "hmac-sha256"), ("ed25519", "ed25519")] {
        let ended = check(&with(algorithm, &format!("\"{}\"", key(kind))));
        assert_eq!(ended.status, 0, "{kind}: {}", ended.errors);
    }
    let folder =
        Folder::with(&with("ecdsa-p256-sha256", "{ file = \"p256.pem\" }")).and("p256.pem", &key("p256"));
    let ended = member_gateway(&folder, &["check"], "");
    assert_eq!(ended.status, 0, "{}", ended.errors);
}

fn printed_session_key() -> String {
    member_gateway(&Folder::empty(), &["keygen"], "").output.trim().to_owned()
}

#[test]
fn what_the_harness_serves_with_is_valid_too() {
    assert_eq!(check(&Gateway::with_sandbox().configuration).status, 0);
}
