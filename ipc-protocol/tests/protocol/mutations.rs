//! The fuzz target's entry on stable Rust: the golden vectors and seeded mutations of them.

use std::fs;
use std::path::Path;

use super::fuzz_entry::decode_everything;

const MUTATIONS_PER_VECTOR: usize = 2_000;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

fn corpus() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let files = [root.clone(), root.join("v1")].map(|folder| fs::read_dir(folder).unwrap());
    let mut paths: Vec<_> =
        files.into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "bin"));
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Changes a frame in one of the ways in which frames go wrong.
fn mutate(random: &mut Random, frame: &mut Vec<u8>) {
    const TELLING: [u8; 12] = [0, 1, 0x7f, 0x80, 0x90, 0x92, 0xc0, 0xc4, 0xcf, 0xdc, 0xdd, 0xff];
    let at = random.below(frame.len());
    let byte = random.next() as u8;
    match random.below(6) {
        0 => frame[at] ^= 1 << random.below(8),
        1 => frame[at] = byte,
        2 => frame[at] = TELLING[random.below(TELLING.len())],
        3 => frame.truncate(at.max(1)),
        4 => frame.insert(at, byte),
        _ => {
            // Into the body, with the lengths kept true: this gets past the frame's own checks.
            let body = u32::from_le_bytes(frame[16..20].try_into().unwrap()) as usize;
            if body > 0 && frame.len() >= 24 + body {
                frame[24 + random.below(body)] = TELLING[random.below(TELLING.len())];
            }
        }
    }
}

#[test]
fn the_corpus_decodes() {
    let corpus = corpus();
    assert!(corpus.len() > 30, "the golden vectors were found");
    for frame in corpus {
        assert_eq!(decode_everything(&frame), 1, "a vector is exactly one kind of message");
    }
}

#[test]
fn mutated_frames_never_panic() {
    let mut random = Random(0x5eed);
    let mut decoded = 0;
    let mut tried = 0;
    for original in corpus() {
        for _ in 0..MUTATIONS_PER_VECTOR {
            let mut frame = original.clone();
            for _ in 0..=random.below(3) {
                if frame.len() >= 24 {
                    mutate(&mut random, &mut frame);
                }
            }
            decoded += decode_everything(&frame);
            tried += 1;
        }
    }
    // Both paths are walked: some mutations only change a value, most break the message.
    assert!(decoded > tried / 50 && decoded < tried, "{decoded} of {tried} decoded");
}
