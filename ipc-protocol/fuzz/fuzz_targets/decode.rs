//! libFuzzer target: arbitrary bytes as a frame of each kind of message.
#![no_main]

#[path = "../entry.rs"]
mod entry;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    entry::decode_everything(data);
});
