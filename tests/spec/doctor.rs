//! `doctor`: what is there and what is not, around a gateway that runs and one that does not, with what to do about each.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::configuration::{SESSION_KEY, SIGNING_KEY};
use crate::daxko_settings::{discreet, operator};
use crate::harness::{
    Authority, Ended, Folder, RawUpstream, Redis, Running, Upstream, eventually, free_address, member_gateway,
};

const GOOD_KEYS: &str = "keys = [{ file = \"session.key\" }]";

/// A site in front of this app, with keys in files that are closed to others.
pub fn folder(app: &str, server: &str, more: &str) -> Folder {
    let folder = Folder::with(&format!(
        "[server]\n{server}\n\n[session]\n{GOOD_KEYS}\nstore = \"file:ended\"\n\n[identity.signature]\n\
         keys = [{{ id = \"2026-11\", algorithm = \"hmac-sha256\", key = {{ file = \"signing.key\" }} }}]\n\n\
         [[provider]]\nname = \"ymca\"\nkind = \"daxko\"\nenvironment = \"sandbox\"\n\n\
         [[site]]\npublic_url = \"https://members.localhost\"\nupstream = [\"{app}\"]\nproviders = [\"ymca\"]\n{more}\n"
    ));
    let folder = folder.and("session.key", SESSION_KEY).and("signing.key", SIGNING_KEY);
    for name in ["session.key", "signing.key"] {
        mode(&folder.path().join(name), 0o600);
    }
    folder
}

fn mode(file: &Path, mode: u32) {
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn doctor(folder: &Folder, arguments: &[&str]) -> Ended {
    let ended = discreet(member_gateway(folder, &[&["doctor"], arguments].concat(), ""));
    for secret in [SESSION_KEY, SIGNING_KEY] {
        assert!(!ended.output.contains(secret) && !ended.errors.contains(secret), "{ended:?}");
    }
    ended
}

/// What it finds, with exit status 1 if something is wrong and 0 otherwise.
pub fn findings(folder: &Folder) -> String {
    let ended = doctor(folder, &[]);
    let is_wrong = ended.output.contains("\n  WRONG    ");
    assert_eq!(ended.status, i32::from(is_wrong), "{ended:?}");
    assert_eq!(ended.errors.contains("what to do stands below"), is_wrong, "{ended:?}");
    ended.output
}

fn finds(folder: &Folder, lines: &[&str]) {
    let found = findings(folder);
    for line in lines {
        assert!(found.contains(line), "no {line:?} in\n{found}");
    }
}

#[test]
fn around_a_gateway_that_runs_everything_is_found_good() {
    let app = Upstream::start();
    let (address, admin) = (free_address(), free_address());
    let folder = folder(
        &format!("http://{}", app.address()),
        &format!("listen = [\"{address}\"]\nadmin_listen = \"{admin}\"\nlimits = {{ connections = 100 }}"),
        "",
    );
    let _running = Running::start(&folder, address);

    let ended = doctor(&folder, &[]);

    assert_eq!(ended.status, 0, "{ended:?}");
    let files =
        ended.output.lines().find(|line| line.starts_with("  ok       open files: ")).unwrap().to_owned();
    assert_eq!(
        ended.output.replace(&files, "FILES").replace(&app.address().to_string(), "APP"),
        format!(
            "configuration
  ok       gateway.toml is valid

keys and secrets
  ok       session keys: 1, of which the first seals
  ok       https://members.localhost: key 2026-11 (hmac-sha256) signs, of 1
  ok       ./session.key: holds a secret, and is closed to other users (600)
  ok       ./signing.key: holds a secret, and is closed to other users (600)

addresses
  ok       {address}: a gateway answers
  ok       {admin}: the gateway says it is ready

app behind https://members.localhost
  ok       http://APP: takes connections, for HTTP/1.1

ended sessions
  ok       kept in ./ended

provider ymca
  ok       credentials: taken; a client-scoped token came
  ok       redirect URI: https://members.localhost/_gateway/callback/ymca is registered
  ok       clock: within 30 s of the vendor's

machine
FILES

"
        )
    );
}

#[test]
fn where_nothing_runs_each_finding_says_what_to_start() {
    let (app, address, admin) = (free_address(), free_address(), free_address());
    let folder = folder(
        &format!("http://{app}"),
        &format!("listen = [\"{address}\"]\nadmin_listen = \"{admin}\""),
        "",
    );

    let ended = doctor(&folder, &[]);

    assert_eq!((ended.status, ended.errors.contains("3 findings are wrong")), (1, true), "{ended:?}");
    for lines in [
        format!(
            "  WRONG    {address}: nothing serves here\n           start it; `systemctl status member-gateway`"
        ),
        format!("  WRONG    {admin}: nothing serves here\n"),
        format!("  WRONG    http://{app}: "),
        "           start the app, or compare `upstream` with where it listens\n".to_owned(),
    ] {
        assert!(ended.output.contains(&lines), "no {lines:?} in\n{}", ended.output);
    }
}

#[test]
fn a_gateway_that_is_dead_is_wrong_and_one_that_has_never_run_is_not() {
    let app = Upstream::start();
    let [address, admin, relay] = [free_address(), free_address(), free_address()];
    let folder = folder(
        &format!("http://{}", app.address()),
        &format!("listen = [\"{address}\", \"unix:gateway.sock\"]\nadmin_listen = \"{admin}\""),
        "",
    );
    let folder = with_relay(folder, relay);

    let dead = doctor(&folder, &[]);
    let never_ran = doctor(&folder, &["--before-start"]);

    assert_eq!((dead.status, never_ran.status), (1, 0), "{dead:?} {never_ran:?}");
    for place in [&*address.to_string(), &*admin.to_string(), &*relay.to_string(), "gateway.sock"] {
        let wrong = dead.output.contains(&format!("{place}: nothing serves here\n"));
        let free = never_ran.output.contains(&format!("{place}: free\n"));
        assert!(wrong && free, "{place}: {dead:?} {never_ran:?}");
    }
}

/// The same, with the API for apps at this address.
fn with_relay(folder: Folder, address: SocketAddr) -> Folder {
    let text = std::fs::read_to_string(folder.path().join("gateway.toml")).unwrap();
    let sandbox = "environment = \"sandbox\"";
    folder.and("gateway.toml", &text.replace(sandbox, &format!("{sandbox}\napi_listen = \"{address}\"")))
}

#[test]
fn the_api_for_apps_is_told_from_another_program() {
    let app = Upstream::start();
    let [address, relay] = [free_address(), free_address()];
    let folder = folder(&format!("http://{}", app.address()), &format!("listen = [\"{address}\"]"), "");
    let folder = with_relay(folder, relay);
    let _running = Running::start(&folder, address);
    eventually("the relay serves", || std::net::TcpStream::connect(relay).is_ok());
    finds(&folder, &[&format!("  ok       {relay}: the API for apps answers")]);

    let other = Upstream::start();
    let text = std::fs::read_to_string(folder.path().join("gateway.toml")).unwrap();
    let text = text.replace(&relay.to_string(), &other.address().to_string());
    let folder = folder.and("gateway.toml", &text);
    let words = format!("  WRONG    {}: another program answers\n", other.address());
    finds(&folder, &[&words, "change `api_listen` of the provider"]);
}

#[test]
fn another_program_at_our_address_is_wrong() {
    let app = Upstream::start();
    let folder =
        folder(&format!("http://{}", app.address()), &format!("listen = [\"{}\"]", app.address()), "");

    finds(&folder, &[": another program answers\n           see who it is with `ss -ltnp`"]);
}

#[test]
fn an_address_that_this_machine_does_not_have_is_wrong() {
    let app = Upstream::start();
    let folder = folder(&format!("http://{}", app.address()), "listen = [\"192.0.2.1:8080\"]", "");

    finds(&folder, &["  WRONG    192.0.2.1:8080: nobody can listen there", "  unknown  no admin address"]);
}

#[test]
fn a_secret_that_others_can_read_is_wrong_wherever_it_stands() {
    let app = Upstream::start();
    let good = folder(&format!("http://{}", app.address()), "listen = [\"127.0.0.1:0\"]", "");
    mode(&good.path().join("signing.key"), 0o644);
    finds(
        &good,
        &[
            "  ok       ./session.key: ",
            "  WRONG    ./signing.key: holds a secret, and every user of this machine gets at it (644)\n           chmod o-rwx,g-w ./signing.key",
        ],
    );
    let literal = std::fs::read_to_string(good.path().join("gateway.toml")).unwrap();
    let literal =
        good.and("gateway.toml", &literal.replace(GOOD_KEYS, &format!("keys = [\"{SESSION_KEY}\"]")));
    mode(&literal.path().join("gateway.toml"), 0o644);
    finds(&literal, &["  WRONG    gateway.toml: holds a secret"]);
}

#[test]
fn a_name_that_nobody_knows_is_wrong() {
    let folder = folder("http://app.invalid:3000", "listen = [\"127.0.0.1:0\"]", "");

    finds(&folder, &["  WRONG    app.invalid: this name is not found", "`getent hosts`"]);
}

#[test]
fn an_app_whose_certificate_nobody_believes_is_wrong_and_one_that_is_silent_is_not_waited_for() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = |address: SocketAddr| address.port();
    let plain = RawUpstream::serving(|wire| {
        wire.send("HTTP/1.1 400 Bad Request\r\n\r\n");
        wire.rest();
    });
    for (address, words) in [
        (plain.address(), "compare the app's certificate with [site.upstream_tls]"),
        (silent.local_addr().unwrap(), "see whether a firewall stands between"),
    ] {
        let folder = folder(
            &format!("https://localhost:{}", port(address)),
            "listen = [\"127.0.0.1:0\"]",
            "timeouts = { connect = \"1s\" }",
        );

        finds(&folder, &["  ok       localhost: found at ", "  WRONG    https://localhost:", words]);
    }
}

#[test]
fn a_store_that_is_lost_is_wrong_and_its_password_is_not_shown() {
    let app = Upstream::start();
    let redis = Redis::start();
    let folder = folder(&format!("http://{}", app.address()), "listen = [\"127.0.0.1:0\"]", "");
    let text = std::fs::read_to_string(folder.path().join("gateway.toml")).unwrap();
    let folder = folder.and("gateway.toml", &text.replace("file:ended", &redis.url()));
    finds(&folder, &["  ok       kept in the Redis at 127.0.0.1:"]);

    let nobody = free_address();
    let lost = format!("redis://:swordfish@{nobody}/0");
    let folder = folder.and("gateway.toml", &text.replace("file:ended", &lost));
    let found = findings(&folder);
    let words = format!("  WRONG    kept in the Redis at {nobody}, which cannot be used: ");
    assert!(found.contains(&words) && !found.contains("swordfish"), "{found}");

    let folder = folder.and("gateway.toml", &text.replace("file:ended", "file:no/such/folder/ended"));
    finds(&folder, &["  WRONG    kept in ./no/such/folder/ended, which cannot be used: "]);
}

#[test]
fn to_look_at_a_store_changes_nothing() {
    let app = Upstream::start();
    let folder = folder(&format!("http://{}", app.address()), "listen = [\"127.0.0.1:0\"]", "");

    findings(&folder);

    assert!(!folder.path().join("ended").exists());
}

#[test]
fn a_certificate_that_has_expired_is_wrong() {
    let authority = Authority::new();
    let app = Upstream::start();
    let tls = "listen = [\"127.0.0.1:0\"]\ntls = { certificates = [{ cert = \"a.pem\", key = \"a.key\" }] }";
    for (year, words) in [
        (2020, "  WRONG    ./a.pem: expired at 2020-"),
        (4096, "  ok       ./a.pem: for members.localhost, until 4096-"),
    ] {
        let (chain, key) = authority.issue_until(&["members.localhost"], year);
        let folder =
            folder(&format!("http://{}", app.address()), tls, "").and("a.pem", &chain).and("a.key", &key);

        finds(&folder, &[words, "./a.key: holds a secret"]);
    }
}

#[test]
fn a_vendor_that_is_away_is_wrong_and_offline_nobody_is_asked() {
    let nobody = free_address();
    let folder = operator(
        &nobody.to_string(),
        "",
        &format!(
            "[session]\nkeys = [\"{SESSION_KEY}\"]\n[identity.signature]\nkeys = [{{ id = \"a\", algorithm = \"hmac-sha256\", key = \"{SIGNING_KEY}\" }}]"
        ),
    );

    let asked = doctor(&folder, &[]);
    let left_alone = doctor(&folder, &["--offline"]);

    let part = |ended: &Ended| ended.output.split_once("provider ymca\n").unwrap().1.to_owned();
    assert!(part(&asked).starts_with("  WRONG    credentials: "), "{asked:?}");
    assert!(
        part(&left_alone).starts_with("  unknown  the vendor and its clock are not asked"),
        "{left_alone:?}"
    );
}

#[test]
fn a_configuration_that_is_none_exits_2() {
    let ended = doctor(&Folder::with("[server]\nlisten = 1\n"), &[]);
    assert_eq!((ended.status, &*ended.output), (2, ""), "{ended:?}");
    let ended = doctor(&Folder::empty(), &[]);
    assert!(ended.status == 2 && ended.errors.contains("--config"), "{ended:?}");
}
