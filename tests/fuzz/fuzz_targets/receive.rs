//! `overlay_fuzz::receive` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| overlay_fuzz::receive(octets));
