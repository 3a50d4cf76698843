#![no_main]

use member_gateway_fuzz::targets::cookies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| member_gateway_fuzz::run(cookies::run, bytes));
