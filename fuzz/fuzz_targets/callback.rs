#![no_main]

use member_gateway_fuzz::targets::callback;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| member_gateway_fuzz::run(callback::run, bytes));
