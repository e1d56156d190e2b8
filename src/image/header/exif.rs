//! The orientation that EXIF has a picture shown in.

use super::{big_endian, little_endian};

/// Whether the orientation of Exif 3.0, 4.6.4 (tag 0x0112) is 5 to 8: what is stored as lines is shown as columns. Of bytes
/// that are no EXIF it is not.
pub(super) fn is_turned(tiff: &[u8]) -> bool {
    orientation(tiff).is_some_and(|orientation| (5..=8).contains(&orientation))
}

fn orientation(tiff: &[u8]) -> Option<u32> {
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
            return read(entry, 8, 2);
        }
    }
    None
}
