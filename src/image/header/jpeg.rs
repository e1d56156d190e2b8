//! JPEG: the frame header stands behind any number of other segments, and an orientation in one of them turns it.

use super::exif::is_turned;
use super::{Piece, Size, Stop, WINDOW_BYTES, big_endian};

/// Where a JPEG's reader is, and what it has found so far.
#[derive(Debug)]
pub(super) struct Jpeg {
    at: u64,
    /// Whether the first EXIF segment has the picture turned by a quarter; later ones don't count.
    turned: Option<bool>,
    frame: Option<Size>,
}

impl Jpeg {
    pub(super) fn new() -> Self {
        Self { at: 2, turned: None, frame: None }
    }

    /// Goes through the segments of ITU-T T.81, B.1.1.2, up to the first scan, as decoders do: an orientation may stand
    /// behind the frame header too.
    pub(super) fn read(&mut self, piece: &Piece<'_>) -> Result<Size, Stop> {
        loop {
            match self.next_marker(piece)? {
                // SOI, EOI
                0xd8 | 0xd9 => return Err(Stop::Nothing),
                // TEM and RSTn, which have no content
                0x01 | 0xd0..=0xd7 => self.at += 2,
                // SOS
                0xda => {
                    let (width, height) = self.frame.ok_or(Stop::Nothing)?;
                    return Ok(if self.turned == Some(true) { (height, width) } else { (width, height) });
                }
                kind => self.read_segment(kind, piece)?,
            }
        }
    }

    /// Stops before a marker and tells its kind. Bytes between segments that belong to none are passed over, and so are those
    /// that fill up before a marker.
    fn next_marker(&mut self, piece: &Piece<'_>) -> Result<u8, Stop> {
        loop {
            match piece.bytes(self.at, 2)? {
                [0xff, 0xff] => self.at += 1,
                [0xff, 0x00] => self.at += 2,
                [0xff, kind] => return Ok(*kind),
                _ => self.at += 1,
            }
        }
    }

    fn read_segment(&mut self, kind: u8, piece: &Piece<'_>) -> Result<(), Stop> {
        let length = big_endian(piece.bytes(self.at, 4)?, 2, 2).unwrap_or_default().max(2);
        if matches!(kind, 0xc0..=0xcf) && !matches!(kind, 0xc4 | 0xc8 | 0xcc) {
            self.frame = Some(frame_size(piece.bytes(self.at, 10)?).ok_or(Stop::Nothing)?);
        } else if kind == 0xe1 && self.turned.is_none() && length >= 8 && piece.bytes(self.at, 9)?.ends_with(b"Exif\0")
        {
            let segment = piece.bytes(self.at, (2 + length).min(WINDOW_BYTES))?;
            self.turned = Some(segment.get(10..).is_some_and(is_turned));
        }
        self.at += u64::from(2 + length);
        Ok(())
    }
}

/// The frame header (SOFn) of T.81, B.2.2: marker, length, precision, lines, samples of a line, number of components. A
/// length that does not fit the components is the sign of a broken file.
fn frame_size(bytes: &[u8]) -> Option<Size> {
    let components = u32::from(*bytes.get(9)?);
    let fits = big_endian(bytes, 2, 2)? == 8 + 3 * components;
    fits.then_some((big_endian(bytes, 7, 2)?, big_endian(bytes, 5, 2)?))
}
