#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| imagen_cloud_fuzz::answer::holds(input));
