#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| debrief_fuzz::targets::slash_command_form(data));
