//! `gateway.toml`: any text, in which `{SECRET}` stands for one.
//!
//! * It is taken, or every mistake has its place; either way nothing is opened that it names beyond its own folder.
//! * No report repeats what stands behind a key for a secret.
//! * What is taken once is taken again.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use member_gateway::config::assemble::{self, RandomKeys, Surroundings};
use member_gateway::config::diagnostics::Source;
use member_gateway::config::provider::{Sandboxed, SandboxedDaxko, SandboxedXoxoday};
use member_gateway::provider::running::RunningProviders;
use member_gateway::secret::Secret;
use member_gateway::telemetry::Telemetry;
use member_gateway::time::{Clock, ManualClock};
use url::Url;

use super::members::NOW;
use super::with;

const CANARY: &str = "Xq7canaryZ2w";
/// Wherever these stand, what stands behind them is a secret.
const SECRETS: [&str; 2] = ["client_secret", "refresh_token"];

fn surroundings() -> &'static Surroundings {
    static SURROUNDINGS: OnceLock<Surroundings> = OnceLock::new();
    SURROUNDINGS.get_or_init(|| {
        let url = || Url::parse("http://127.0.0.1:1/").expect("an address");
        let daxko = SandboxedDaxko {
            base_url: url(),
            client: 1,
            client_id: "a".to_owned(),
            client_secret: Secret::new("b"),
            refresh_token: Secret::new("c"),
        };
        let xoxoday =
            SandboxedXoxoday { oauth_url: url(), client_id: "a".to_owned(), client_secret: Secret::new("b") };
        let telemetry = Arc::<Telemetry>::default();
        Surroundings {
            folder: PathBuf::from("/nonexistent/folder/of/the/fuzz/targets"),
            clock: Clock::Manual(ManualClock::starting_at(NOW)),
            vendors: Sandboxed { daxko, xoxoday },
            app: ([127, 0, 0, 1], 1).into(),
            telemetry: Arc::clone(&telemetry),
            random_keys: RandomKeys::default(),
            providers: RunningProviders::counted_by(telemetry),
            revocations: Arc::default(),
        }
    })
}

pub fn run(bytes: &[u8]) {
    let Ok(text) = String::from_utf8(with(bytes, "{SECRET}", CANARY)) else { return };
    // In the middle of a text of several lines nothing is a key.
    let has_keys = !text.contains("\"\"\"") && !text.contains("'''");
    let is_secret = |line: &str| {
        let key = line.split_once('=').map(|(key, _)| key.trim());
        key.is_some_and(|key| SECRETS.contains(&key))
    };
    let guarded = has_keys && text.lines().all(|line| is_secret(line) || !line.contains(CANARY));
    let source = Source::new("gateway.toml", text);
    let read = |report: &dyn ToString| {
        let report = report.to_string();
        assert!(!report.is_empty());
        assert!(!guarded || !report.contains(CANARY), "a secret is repeated:\n{report}");
    };
    let loaded = match assemble::load(&source) {
        Ok(loaded) => loaded,
        Err(problems) => return read(&problems),
    };
    // What a file names may be anywhere.
    if source.text.contains("\"/") || source.text.contains("'/") {
        return;
    }
    match (loaded.assemble(surroundings()), loaded.assemble(surroundings())) {
        (Ok(once), Ok(again)) => assert_eq!(once.warnings, again.warnings),
        (Err(problems), Err(_)) => read(&problems),
        (Ok(_), Err(problems)) | (Err(problems), Ok(_)) => panic!("taken once and not twice:\n{problems}"),
    }
}
