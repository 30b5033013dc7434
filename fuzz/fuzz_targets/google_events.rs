#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| debrief_fuzz::targets::google_events(data));
