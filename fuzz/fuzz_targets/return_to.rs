#![no_main]

use member_gateway_fuzz::targets::return_to;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| member_gateway_fuzz::run(return_to::run, bytes));
