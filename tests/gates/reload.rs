//! Gate R1: a hundred reloads under load, and one of a configuration that cannot be taken.

use std::sync::atomic::Ordering;

use crate::harness::free_address;
use crate::load::{Load, app};
use crate::program::{Program, configuration};
use crate::scaled;

#[test]
fn a_hundred_reloads_under_load_fail_no_request_and_break_no_connection() {
    let address = free_address();
    let (app, folder) = (app(), tempfile::tempdir().unwrap());
    let write = |text: &str| std::fs::write(folder.path().join("gateway.toml"), text).unwrap();
    write(&configuration(address, app, 0));
    let program = Program::start(folder.path(), &["run"]);
    program.says("serving");
    let load = Load::on(address, 4, 2, scaled(4, 200));
    load.goes_on_for(scaled(500, 20_000));
    println!("R1 before: {}", load.seen().waits());
    let before = program.resident();

    for number in 1..=100 {
        write(&configuration(address, app, number));
        program.signal("HUP");
        program.says("was read again");
        load.goes_on_for(scaled(20, 2_000));
    }

    println!("R1 with 100 reloads: {}", load.seen().waits());
    println!("R1 memory: {before} KiB before, {} KiB after", program.resident());
    write("[server]\nlisten = 7\n");
    program.signal("HUP");
    program.says("the one before stays");
    load.goes_on_for(100);
    let seen = load.end();
    seen.is_flawless();
    assert!(seen.answers.load(Ordering::Relaxed) >= 2000 && seen.echoes.load(Ordering::Relaxed) > 0);
    // Not a configuration for each reload: every one has some hundred kilobytes.
    assert!(program.resident() < before + 16 * 1024, "{before} -> {} KiB", program.resident());
    program.signal("TERM");
    assert_eq!(program.ended(), Some(0));
}
