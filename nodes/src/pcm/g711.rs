//! ITU-T G.711: 8 bits that stand for 13 (A-law) or 14 (mu-law), here at the scale of 16. Compressing
//! gives the codes of Sun's reference implementation.

/// Added to the size of a mu-law number, so that its segments begin at powers of two.
const BIAS: u32 = 0x84;
/// The largest size that mu-law has a code for.
const LARGEST: u32 = 32_635;

/// The 16-bit value of an A-law byte.
#[inline(always)]
pub(super) fn a_law(byte: u8) -> i16 {
    let byte = byte ^ 0x55;
    let (segment, step) = ((byte >> 4) & 7, i16::from(byte & 0x0f) << 4);
    let size = match segment {
        0 => step + 8,
        _ => (step + 0x108) << (segment - 1),
    };
    if byte & 0x80 == 0 { -size } else { size }
}

/// The 16-bit value of a mu-law byte.
#[inline(always)]
pub(super) fn mu_law(byte: u8) -> i16 {
    let byte = !byte;
    let size = (((i16::from(byte & 0x0f) << 3) + 0x84) << ((byte >> 4) & 7)) - 0x84;
    if byte & 0x80 == 0 { size } else { -size }
}

/// The A-law byte of a 16-bit value.
#[inline(always)]
pub(super) fn to_a_law(sample: i16) -> u8 {
    // The complement makes both signs alike.
    let (sign, size) = if sample < 0 { (0, !sample >> 4) } else { (0x80, sample >> 4) };
    let size = u32::from(size.unsigned_abs());
    let code = match size.checked_ilog2() {
        Some(top @ 4..) => (top - 3) << 4 | ((size >> (top - 4)) & 0x0f),
        _ => size,
    };
    (sign | code.to_le_bytes()[0]) ^ 0x55
}

/// The mu-law byte of a 16-bit value.
#[inline(always)]
pub(super) fn to_mu_law(sample: i16) -> u8 {
    let size = u32::from(sample.unsigned_abs()).min(LARGEST) + BIAS;
    // From 7 for the first segment to 14 for the last.
    let top = size.ilog2();
    let code = (top - 7) << 4 | ((size >> (top - 4)) & 0x0f);
    let sign = if sample < 0 { 0x80 } else { 0 };
    !(sign | code.to_le_bytes()[0])
}
