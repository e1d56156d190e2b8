//! PNG: the size stands at a fixed place, and an orientation in a chunk before the picture turns it.

use super::exif::is_turned;
use super::{Piece, Size, Stop, WINDOW_BYTES, big_endian};

/// The signature of PNG (third edition, 5.2) and the head of its first chunk. Where another one stands, Apple's `CgBI` or
/// what is left of a file whose line ends were changed on the way, no browser shows a picture, and what follows is no size.
pub(super) const START: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

/// A chunk's length and kind before its content, and a checksum behind it.
const HEAD: u32 = 8;
const AROUND: u64 = 12;

/// Where a PNG's reader is, and what it has found so far.
#[derive(Debug)]
pub(super) struct Png {
    at: u64,
    pub(super) size: Size,
}

impl Png {
    pub(super) fn new(bytes: &[u8]) -> Option<Self> {
        let size = (big_endian(bytes, 16, 4)?, big_endian(bytes, 20, 4)?);
        Some(Self { at: 33, size })
    }

    /// Goes through the chunks up to the picture's own. Of an `eXIf` (11.3.3.6) only the first counts, and none behind those: so
    /// browsers do.
    pub(super) fn read(&mut self, piece: &Piece<'_>) -> Result<Size, Stop> {
        let (width, height) = self.size;
        loop {
            let head = piece.bytes(self.at, HEAD)?;
            let length = big_endian(head, 0, 4).unwrap_or_default();
            match head.get(4..) {
                Some(b"IDAT") => return Ok((width, height)),
                Some(b"IEND") => return Err(Stop::Nothing),
                Some(b"eXIf") => {
                    let chunk = piece.bytes(self.at, length.saturating_add(HEAD).min(WINDOW_BYTES))?;
                    let turned = chunk.get(HEAD as usize..).is_some_and(is_turned);
                    return Ok(if turned { (height, width) } else { (width, height) });
                }
                _ => self.at += AROUND + u64::from(length),
            }
        }
    }
}
