//! GIF: browsers make its screen as large as its first picture needs, before which there may be texts.

use super::{Piece, Size, Stop, little_endian};

/// Where a GIF's reader is, and what it has found so far.
#[derive(Debug)]
pub(super) struct Gif {
    at: u64,
    pub(super) screen: Size,
    /// Whether it is within an extension, of which the next piece comes.
    is_within: bool,
}

impl Gif {
    /// The logical screen of GIF89a, 18, and the colours behind it.
    pub(super) fn new(bytes: &[u8]) -> Option<Self> {
        let screen = (little_endian(bytes, 6, 2)?, little_endian(bytes, 8, 2)?);
        let flags = bytes.get(10)?;
        let colours = if flags & 0x80 == 0 { 0 } else { 3 << (1 + (flags & 7)) };
        Some(Self { at: 13 + colours, screen, is_within: false })
    }

    /// Goes through the extensions up to the first picture (20), whose place and size say how far it reaches.
    pub(super) fn read(&mut self, piece: &Piece<'_>) -> Result<Size, Stop> {
        loop {
            let first = piece.bytes(self.at, 1)?.first().copied().unwrap_or_default();
            match first {
                _ if self.is_within => {
                    self.is_within = first != 0;
                    self.at += 1 + u64::from(first);
                }
                0x21 => {
                    self.is_within = true;
                    self.at += 2;
                }
                0x2c => {
                    let descriptor = piece.bytes(self.at, 9)?;
                    let number = |at| little_endian(descriptor, at, 2).unwrap_or_default();
                    let (width, height) = self.screen;
                    return Ok((width.max(number(1) + number(5)), height.max(number(3) + number(7))));
                }
                // The end.
                0x3b => return Err(Stop::Nothing),
                // A broken file's screen is shown as it is.
                _ => return Ok(self.screen),
            }
        }
    }
}
