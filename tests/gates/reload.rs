//! A hundred reloads under load.

use std::sync::atomic::Ordering;

use crate::addresses::free_address;
use crate::load::{Load, app};
use crate::program::{Program, configuration};

#[test]
fn a_hundred_reloads_under_load_fail_no_request_and_break_no_connection() {
    let address = free_address();
    let (app, folder) = (app(), tempfile::tempdir().unwrap());
    let write = |number| {
        std::fs::write(folder.path().join("gateway.toml"), configuration(address, app, number)).unwrap();
    };
    write(0);
    let program = Program::start(folder.path(), &["run"]);
    program.says("serving");
    let load = Load::on(address, 4, 2, 4);
    for number in 1..=100 {
        write(number);
        program.signal("HUP");
        program.says("was read again");
        load.goes_on_for(20);
    }
    let seen = load.end();

    let failures = seen.failures.lock().unwrap();
    assert!(failures.is_empty(), "{failures:?}");
    assert!(seen.answers.load(Ordering::Relaxed) >= 2000 && seen.echoes.load(Ordering::Relaxed) > 0);
    program.signal("TERM");
    assert_eq!(program.ended(), Some(0));
}
