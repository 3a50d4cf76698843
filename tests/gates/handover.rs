//! Gate R2: twenty hand-overs to a new process under load.

use std::sync::atomic::Ordering;

use crate::harness::free_address;
use crate::load::{Load, app};
use crate::program::{Program, configuration};

#[test]
fn twenty_new_processes_take_over_under_load_and_no_request_fails() {
    let address = free_address();
    let (app, folder) = (app(), tempfile::tempdir().unwrap());
    let write = |number| {
        std::fs::write(folder.path().join("gateway.toml"), configuration(address, app, number)).unwrap();
    };
    write(0);
    let mut program = Program::start(folder.path(), &["run"]);
    program.says("serving");
    let load = Load::on_one_that_ends(address, 4, 2, 2);
    let mut ending = Vec::new();
    for number in 1..=20 {
        write(number);
        let next = Program::start(folder.path(), &["run", "--takeover"]);
        next.says("has handed over");
        load.goes_on_for(50);
        ending.push(std::mem::replace(&mut program, next));
    }
    for before in ending {
        assert_eq!(before.ended(), Some(0));
    }
    load.goes_on_for(50);
    let seen = load.end();

    seen.is_flawless();
    assert!(seen.answers.load(Ordering::Relaxed) >= 1000 && seen.echoes.load(Ordering::Relaxed) > 0);
    program.signal("TERM");
    assert_eq!(program.ended(), Some(0));
}
