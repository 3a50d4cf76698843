//! The fuzz targets without libFuzzer: the inputs that are kept, and changes to them that are the same each time.
//!
//! `scripts/fuzz` runs them for long, led by what they reach. Here is to be seen that they hold for what is kept, that
//! nothing comes back that was found before, and that they still look where they should: for each target there is at least
//! one input.

#![allow(unreachable_pub, reason = "the targets are public to the crate that libFuzzer runs")]

mod mutations;
#[path = "../../fuzz/src/targets/mod.rs"]
mod targets;

use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

use mutations::Mutations;

/// Panics of a gateway's workers, which would otherwise pass for a connection that has broken.
static PANICS: AtomicUsize = AtomicUsize::new(0);

fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if std::thread::current().name().is_some_and(|name| name.starts_with("worker-")) {
                PANICS.fetch_add(1, Ordering::SeqCst);
            }
            usual(info);
        }));
    });
}

fn corpus_of(target: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files.into_iter().map(|file| std::fs::read(file).expect("a file")).collect()
}

/// Runs a target on all that is kept for it, and on so many changes.
fn holds(target: &str, changes: usize) {
    count_panics();
    let corpus = corpus_of(target);
    let mut mutations = Mutations::of(&corpus);
    let changed = (0..changes).map(|_| mutations.next()).collect::<Vec<_>>();
    for bytes in corpus.iter().chain(&changed) {
        let held = panic::catch_unwind(AssertUnwindSafe(|| targets::run(target, bytes)));
        let panics = PANICS.load(Ordering::SeqCst);
        assert!(held.is_ok() && panics == 0, "{target} does not hold for {}", bytes.escape_ascii());
    }
}

#[test]
fn every_target_has_a_folder_of_inputs_and_every_folder_a_target() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let folders = std::fs::read_dir(folder).expect("a folder");
    let mut folders: Vec<_> = folders.map(|folder| folder.expect("a folder").file_name()).collect();
    folders.sort();
    assert_eq!(folders, targets::ALL.map(|(name, _)| name));
}

#[test]
fn no_answer_of_a_hostile_app_is_read_in_another_way_or_meets_the_next_request() {
    holds("answers", 2000);
}

#[test]
fn an_attempt_is_what_its_octets_say() {
    holds("attempt", 5000);
}

#[test]
fn no_authority_finds_a_site_that_is_not_its_own() {
    holds("authority", 5000);
}

#[test]
fn no_answer_of_a_vendor_signs_in_whoever_did_not_ask() {
    holds("callback", 3000);
}

#[test]
fn no_configuration_gives_a_secret_away() {
    holds("config", 300);
}

#[test]
fn no_session_is_found_in_cookies_that_hold_none_and_none_of_ours_goes_on() {
    holds("cookies", 3000);
}

#[test]
fn no_field_looks_like_one_of_ours_to_the_app() {
    holds("fields", 2000);
}

#[test]
fn nothing_that_anybody_says_of_its_origin_is_believed() {
    holds("forwarding", 2000);
}

#[test]
fn hyper_counts_no_more_requests_than_framing() {
    holds("framing", 3000);
}

#[test]
fn whatever_comes_over_http1_the_app_gets_what_was_authorised() {
    holds("http1", 1500);
}

#[test]
fn whatever_comes_over_http2_the_app_gets_what_was_authorised() {
    holds("http2", 1500);
}

#[test]
fn what_is_public_in_one_reading_is_public_in_all() {
    holds("paths", 5000);
}

#[test]
fn a_header_of_the_proxy_protocol_ends_where_it_ends() {
    holds("proxy_protocol", 5000);
}

#[test]
fn no_place_to_return_to_leads_away() {
    holds("return_to", 3000);
}

#[test]
fn nothing_opens_that_was_not_sealed() {
    holds("sealed", 3000);
}

#[test]
fn nothing_verifies_that_was_not_signed() {
    holds("signatures", 3000);
}

#[test]
fn no_answer_of_a_vendor_becomes_a_member_it_does_not_name() {
    holds("tokens", 5000);
}
