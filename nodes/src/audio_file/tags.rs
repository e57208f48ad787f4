//! Tags before and after the audio of a file, of which a reader need know nothing.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// The length of a tag of ID3v1.
const ID3V1_BYTES: u64 = 128;
/// The length of the header and of the footer of a tag of APEv2.
const APE_BYTES: u64 = 32;

/// Bytes of the ID3 tags before the audio.
pub(super) fn before(file: &mut File) -> io::Result<u64> {
    let mut at = 0;
    loop {
        let head = head_of(file, at)?;
        let (Some(b"ID3"), [_, _, _, _, _, flags, size @ ..]) = (head.get(..3), head.as_slice())
        else {
            return Ok(at);
        };
        if size.len() < 4 || size[..4].iter().any(|byte| *byte >= 0x80) {
            return Ok(at);
        }
        let bytes = size[..4].iter().fold(0_u64, |sum, byte| sum << 7 | u64::from(*byte));
        let footer = if flags & 0x10 == 0 { 0 } else { 10 };
        at += 10 + bytes + footer;
    }
}

/// Where the audio of a file of this length ends, before tags of ID3v1 and APEv2.
pub(super) fn end(file: &mut File, length: u64) -> io::Result<u64> {
    let mut end = length;
    if let Some(place) = end.checked_sub(ID3V1_BYTES)
        && head_of(file, place)?.starts_with(b"TAG")
    {
        end = place;
    }
    let Some(place) = end.checked_sub(APE_BYTES) else { return Ok(end) };
    let mut footer = [0; 32];
    file.seek(SeekFrom::Start(place))?;
    file.read_exact(&mut footer)?;
    let (name, [_, _, _, _, a, b, c, d, ..]) = (&footer[..8], &footer[8..]) else { return Ok(end) };
    if name != b"APETAGEX" {
        return Ok(end);
    }
    // With the footer, and without the header, which there need not be.
    let bytes = u64::from(u32::from_le_bytes([*a, *b, *c, *d]));
    let header = if footer[23] & 0x80 == 0 { 0 } else { APE_BYTES };
    Ok(end.saturating_sub(bytes + header))
}

/// The first bytes from a place on; the file is at that place afterwards.
pub(super) fn head_of(file: &mut File, at: u64) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    file.seek(SeekFrom::Start(at))?;
    Read::take(&mut *file, 12).read_to_end(&mut head)?;
    file.seek(SeekFrom::Start(at))?;
    Ok(head)
}
