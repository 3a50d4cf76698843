#![no_main]

use member_gateway_fuzz::targets::proxy_protocol;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| member_gateway_fuzz::run(proxy_protocol::run, bytes));
