#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| member_gateway_fuzz::run("fields", bytes));
