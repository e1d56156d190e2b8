//! JPEG: the frame header stands behind any number of other segments, and an orientation in one of them turns it.

use super::{Piece, Size, Stop, WINDOW_BYTES, big_endian, little_endian};

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
            match self.bytes(piece, 2)? {
                [0xff, 0xff] => self.at += 1,
                [0xff, 0x00] => self.at += 2,
                [0xff, kind] => return Ok(*kind),
                _ => self.at += 1,
            }
        }
    }

    fn read_segment(&mut self, kind: u8, piece: &Piece<'_>) -> Result<(), Stop> {
        let length = big_endian(self.bytes(piece, 4)?, 2, 2).unwrap_or_default().max(2);
        if matches!(kind, 0xc0..=0xcf) && !matches!(kind, 0xc4 | 0xc8 | 0xcc) {
            self.frame = Some(frame_size(self.bytes(piece, 10)?).ok_or(Stop::Nothing)?);
        } else if kind == 0xe1 && self.turned.is_none() && length >= 8 && self.bytes(piece, 9)?.ends_with(b"Exif\0") {
            let segment = self.bytes(piece, (2 + length).min(WINDOW_BYTES))?;
            self.turned = Some(segment.get(10..).and_then(is_turned).unwrap_or_default());
        }
        self.at += u64::from(2 + length);
        Ok(())
    }

    fn bytes<'a>(&self, piece: &Piece<'a>, count: u32) -> Result<&'a [u8], Stop> {
        piece.bytes(self.at, count).ok_or(Stop::Until(self.at))
    }
}

/// The frame header (SOFn) of T.81, B.2.2: marker, length, precision, lines, samples of a line, number of components. A
/// length that does not fit the components is the sign of a broken file.
fn frame_size(bytes: &[u8]) -> Option<Size> {
    let components = u32::from(*bytes.get(9)?);
    let fits = big_endian(bytes, 2, 2)? == 8 + 3 * components;
    fits.then_some((big_endian(bytes, 7, 2)?, big_endian(bytes, 5, 2)?))
}

/// Whether the orientation of Exif 3.0, 4.6.4 (tag 0x0112) is 5 to 8: what is stored as lines is shown as columns.
fn is_turned(tiff: &[u8]) -> Option<bool> {
    let read = match tiff.get(..4)? {
        b"II*\0" => little_endian,
        b"MM\0*" => big_endian,
        _ => return None,
    };
    let first = read(tiff, 4, 4)? as usize;
    let count = read(tiff, first, 2)? as usize;
    for entry in (0..count).map(|index| first.saturating_add(2 + 12 * index)) {
        // One value of the type SHORT.
        let entry = tiff.get(entry..entry.checked_add(12)?)?;
        if (read(entry, 0, 2)?, read(entry, 2, 2)?, read(entry, 4, 4)?) == (0x0112, 3, 1) {
            return Some((5..=8).contains(&read(entry, 8, 2)?));
        }
    }
    Some(false)
}
