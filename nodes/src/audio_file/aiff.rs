//! Sizes in AIFF files that reach beyond the end of the file, as in one that was cut off, or that are 0 as
//! in one that came through a pipe. symphonia refuses such a file; with the sizes that this gives, it reads
//! what there is.

use std::io::{self, Read, Seek, SeekFrom};

/// The sound begins after two numbers.
const OFFSETS: u64 = 8;

/// Four bytes that count instead of those at a place of the file.
pub(super) type Patch = (u64, [u8; 4]);

/// Whether a file begins as an AIFF file does.
pub(super) fn is_aiff(head: &[u8]) -> bool {
    head.get(..4) == Some(b"FORM") && matches!(head.get(8..12), Some(b"AIFF" | b"AIFC"))
}

/// What is wrong with the sizes of a file.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    pub(super) patches: Vec<Patch>,
    /// Bytes of audio that are missing, and that are stated.
    pub(super) missing: Option<(u64, u64)>,
}

/// Looks at a file of `length` bytes, which begins where `file` stands. It stands somewhere else afterwards.
pub(super) fn sizes(file: &mut (impl Read + Seek), length: u64) -> io::Result<Sizes> {
    let begin = file.stream_position()?;
    let mut at = 12;
    while at + 8 <= length {
        let mut chunk = [0; 8];
        file.seek(SeekFrom::Start(begin + at))?;
        file.read_exact(&mut chunk)?;
        let [name @ .., a, b, c, d] = chunk;
        let (size, rest) = (u64::from(u32::from_be_bytes([a, b, c, d])), length - at - 8);
        let is_sound = &name == b"SSND";
        if size > rest || (is_sound && size == 0) {
            // Sound is used as far as it is there; another chunk cannot be read without its end.
            let patches = match is_sound {
                true => vec![(4, stated(length - 8)), (at + 4, stated(rest))],
                false => vec![(4, stated(at - 8))],
            };
            let is_cut = is_sound && size > rest;
            let missing = is_cut.then(|| (size - rest, size.saturating_sub(OFFSETS)));
            return Ok(Sizes { patches, missing });
        }
        at += 8 + size + size % 2;
    }
    Ok(Sizes::default())
}

fn stated(bytes: u64) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes()
}
