//! The formats whose size stands at a fixed place of the first bytes: PNG, GIF and WebP.

use super::{Size, big_endian, little_endian};

/// The signature of PNG (third edition, 5.2) and the head of its first chunk. Where another one stands, Apple's `CgBI` or
/// what is left of a file whose line ends were changed on the way, no browser shows a picture, and what follows is no size.
pub(super) const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

pub(super) fn png_size(bytes: &[u8]) -> Option<Size> {
    Some((big_endian(bytes, 16, 4)?, big_endian(bytes, 20, 4)?))
}

/// The logical screen of GIF89a, 18.
pub(super) fn gif_size(bytes: &[u8]) -> Option<Size> {
    Some((little_endian(bytes, 6, 2)?, little_endian(bytes, 8, 2)?))
}

/// The first chunk of RFC 9649, 2.5 to 2.7. An orientation in its EXIF is not looked for: browsers don't apply it.
pub(super) fn webp_size(bytes: &[u8]) -> Option<Size> {
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
