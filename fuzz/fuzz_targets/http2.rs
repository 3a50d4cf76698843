#![no_main]

use member_gateway_fuzz::targets::http2;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| member_gateway_fuzz::run(http2::run, bytes));
