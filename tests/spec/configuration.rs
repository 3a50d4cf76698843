//! gateway.toml: every mistake is told at once, nothing secret is repeated, and the reference is that of this version.

use std::io::{BufRead, BufReader};
use std::path::Path;

use crate::harness::{Ended, Folder, Gateway, Running, Wire, free_address, member_gateway};

pub const SESSION_KEY: &str = "c2Vzc2lvbi1rZXktb2YtdGhlLXRlc3RzLTAxMjM0NTY";
pub const SIGNING_KEY: &str = "c2lnbmluZy1rZXktb2YtdGhlLXRlc3RzLTAxMjM0NTY";

/// The least that a site beyond loopback needs.
pub fn production() -> String {
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

pub fn check(configuration: &str) -> Ended {
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
fn trusting_everybody_as_a_proxy_is_warned_of() {
    let with = |list: &str| check(&format!("[server]\ntrusted_proxies = [{list}]\n{}", production()));
    for (list, everybody) in [
        ("\"0.0.0.0/0\"", "0.0.0.0/0"),
        ("\"10.0.0.0/8\", \"::/0\"", "::/0"),
        ("\"192.0.2.7/0\"", "192.0.2.7/0"),
    ] {
        let ended = with(list);
        let warning = format!("warning: trusted_proxies: {everybody} trusts everybody");
        assert!(ended.status == 0 && ended.output.contains(&warning), "{}{}", ended.output, ended.errors);
        assert_eq!(ended.output.matches("warning").count(), 1, "{}", ended.output);
    }
    for list in ["\"127.0.0.1\", \"::1\"", "\"10.0.0.0/8\"", "\"0.0.0.0/32\"", "\"::/128\""] {
        assert!(!with(list).output.contains("warning"), "{list}");
    }
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
    let free = free_address();
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

    let free = free_address();
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
