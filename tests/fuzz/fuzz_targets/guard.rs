//! `overlay_fuzz::guard` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| overlay_fuzz::guard(octets));
