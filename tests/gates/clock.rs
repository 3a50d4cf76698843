//! Gate R7: the clock of the machine is set while members are at work.

use member_gateway::time::UnixTime;

use crate::harness::{Gateway, NOW, Options, last_head};
use crate::load::{Load, app};

const HOUR: u64 = 3600;
const YEAR: u64 = 365 * 24 * HOUR;
const JANUARY_2038: UnixTime = UnixTime(2_147_483_648);
const FEBRUARY_2106: UnixTime = UnixTime(4_294_967_296);
const END_OF_9999: UnixTime = UnixTime(253_402_300_799);

fn is_member(gateway: &Gateway, cookie: &str) -> bool {
    let answer = gateway.raw(last_head("GET /api/a", cookie));
    assert!(answer.starts_with("HTTP/1.1 200 ") || answer.starts_with("HTTP/1.1 401 "), "{answer}");
    answer.starts_with("HTTP/1.1 200 ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_prolongs_no_session_and_a_step_of_a_minute_ends_none() {
    let everybody = "[[site.rule]]\npath = \"/a\"\naccess = \"optional\"";
    let gateway = Gateway::with(&Options { upstream: Some(app()), more: everybody, ..Options::USUAL });
    let cookie = gateway.member().await;
    let load = Load::with_fields(&[gateway.address()], 2, &cookie);
    for (name, time, holds) in [
        ("a minute back", UnixTime(NOW.0 - 60), true),
        ("a minute ahead", UnixTime(NOW.0 + 60), true),
        ("an hour back", UnixTime(NOW.0 - HOUR), false),
        ("ten years back", UnixTime(NOW.0 - 10 * YEAR), false),
        ("ten years ahead", UnixTime(NOW.0 + 10 * YEAR), false),
        ("2038", JANUARY_2038, false),
        ("2106", FEBRUARY_2106, false),
        ("the end of 9999", END_OF_9999, false),
    ] {
        gateway.clock.set(time);
        load.goes_on_for(20);
        assert_eq!(is_member(&gateway, &cookie), holds, "{name}");

        let there = gateway.member().await;
        assert!(is_member(&gateway, &there), "{name}: whoever signs in now is a member");
        gateway.clock.set(NOW);
        let is_ahead = time.0 > NOW.0 + 60;
        assert!(
            !is_ahead || !is_member(&gateway, &there),
            "{name}: a session that begins in the future is none"
        );
        assert!(is_member(&gateway, &cookie), "{name}: and none has ended meanwhile");
    }

    // The longest that a session lasts, by default, counted from its beginning, however the clock went meanwhile.
    gateway.clock.set(UnixTime(NOW.0 + 30 * 24 * HOUR));
    assert!(!is_member(&gateway, &cookie));
    load.goes_on_for(20);
    load.end().is_flawless();
}
