//! WebP, whose size stands at a fixed place of the first bytes.

use super::{Size, little_endian};

/// The first chunk of RFC 9649, 2.5 to 2.7. An orientation in its EXIF is not looked for: browsers don't apply it.
pub(super) fn size_of(bytes: &[u8]) -> Option<Size> {
    let fourteen_bits = |value: u32| value & 0x3fff;
    match bytes.get(12..16)? {
        b"VP8 " if bytes.get(23..26)? == b"\x9d\x01\x2a" => {
            let side = |at| little_endian(bytes, at, 2).map(fourteen_bits);
            Some((side(26)?, side(28)?))
        }
        b"VP8L" if *bytes.get(20)? == 0x2f => {
            let sides = little_endian(bytes, 21, 4)?;
            Some((fourteen_bits(sides) + 1, fourteen_bits(sides >> 14) + 1))
        }
        b"VP8X" => {
            let side = |at| little_endian(bytes, at, 3).map(|side| side + 1);
            Some((side(24)?, side(27)?))
        }
        _ => None,
    }
}
