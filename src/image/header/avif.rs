//! AVIF: the size of the primary item among the properties of the box `meta`, which may lie behind others.

use super::{Piece, Size, Stop, WINDOW_BYTES, big_endian};

/// More sizes and turns than any file has; what is kept of a broken one must not grow.
const MAX_PROPERTIES: usize = 256;
/// A file has one for each form of an entry, of which there are four.
const MAX_ASSOCIATIONS: usize = 4;

/// Where an AVIF's reader is, and what it has found so far.
#[derive(Debug, Default)]
pub(super) struct Avif {
    at: u64,
    /// The boxes around it: a `meta`, its `iprp`, and that one's `ipco`, each with where it ends.
    open: Vec<([u8; 4], u64)>,
    primary: Option<u32>,
    /// How many properties went by; they are known by their number, from 1 on.
    count: u16,
    properties: Vec<(u16, Property)>,
    /// Where the boxes `ipma` lie that were not yet read: they tell whose the properties are.
    associations: Vec<u64>,
    /// The numbers of the primary item's properties.
    own: Vec<u16>,
    has_all: bool,
}

#[derive(Debug, Clone, Copy)]
enum Property {
    /// ISO/IEC 23008-12, 6.5.3
    Size(u32, u32),
    /// By a quarter; 6.5.10
    Turn,
}

/// A box of an ISO base media file (ISO/IEC 14496-12, 4.2).
#[derive(Clone, Copy)]
struct Box {
    kind: [u8; 4],
    /// Bytes before its content.
    head: u32,
    /// 0 where it goes to the end of the file, however long that is.
    length: u64,
}

impl Avif {
    /// Nothing is told before all that belongs to it was read: half of it might be a size without how it is turned.
    pub(super) fn read(&mut self, piece: &Piece<'_>) -> Result<Size, Stop> {
        while !self.has_all {
            self.read_box(piece)?;
        }
        while let (Some(at), Some(primary)) = (self.associations.last().copied(), self.primary) {
            self.own.extend(numbers_of(primary, whole_box(at, piece)?).ok_or(Stop::Nothing)?);
            self.associations.pop();
        }
        self.size().ok_or(Stop::Nothing)
    }

    /// Goes one box further, or out of one that has ended.
    fn read_box(&mut self, piece: &Piece<'_>) -> Result<(), Stop> {
        let (within, end) = self.open.last().map_or((*b"file", u64::MAX), |open| *open);
        if self.at >= end && self.open.pop().is_some() {
            self.has_all = within == *b"meta" || (within == *b"iprp" && self.primary.is_some());
            return Ok(());
        }
        let found = box_at(self.at, piece)?;
        let goes_on = found.length == 0 && within == *b"file";
        let next = if goes_on { u64::MAX } else { self.at.saturating_add(found.length) };
        if next > end || (!goes_on && found.length < u64::from(found.head)) {
            return Err(Stop::Nothing);
        }
        let content = self.at + u64::from(found.head);
        self.at = match (&within, &found.kind) {
            // A full box: its content begins with a version and flags.
            (b"file", b"meta") => self.enter(found.kind, content + 4, next),
            (b"meta", b"iprp") | (b"iprp", b"ipco") => self.enter(found.kind, content, next),
            _ => self.read_content(found, within, piece).map(|()| next)?,
        };
        Ok(())
    }

    /// Notes that a box is open. What is in it comes next.
    fn enter(&mut self, kind: [u8; 4], content: u64, end: u64) -> u64 {
        self.open.push((kind, end));
        content
    }

    /// Reads a box that has no others in it; most tell nothing of a size.
    fn read_content(&mut self, found: Box, within: [u8; 4], piece: &Piece<'_>) -> Result<(), Stop> {
        match (&within, &found.kind) {
            (b"meta", b"pitm") => self.primary = Some(item_of(whole_box(self.at, piece)?).ok_or(Stop::Nothing)?),
            (b"iprp", b"ipma") if self.associations.len() < MAX_ASSOCIATIONS => self.associations.push(self.at),
            (b"iprp", b"ipma") => return Err(Stop::Nothing),
            (b"ipco", _) => self.read_property(found, piece)?,
            _ => {}
        }
        Ok(())
    }

    fn read_property(&mut self, found: Box, piece: &Piece<'_>) -> Result<(), Stop> {
        let property = match &found.kind {
            b"ispe" => {
                let content = whole_box(self.at, piece)?;
                let side = |at| big_endian(content, at, 4).ok_or(Stop::Nothing);
                Some(Property::Size(side(4)?, side(8)?))
            }
            b"irot" => {
                let turns = whole_box(self.at, piece)?.first().ok_or(Stop::Nothing)?;
                (turns & 1 == 1).then_some(Property::Turn)
            }
            _ => None,
        };
        self.count = self.count.checked_add(1).ok_or(Stop::Nothing)?;
        if let Some(property) = property {
            if self.properties.len() == MAX_PROPERTIES {
                return Err(Stop::Nothing);
            }
            self.properties.push((self.count, property));
        }
        Ok(())
    }

    /// The primary item's size, turned as it says; the largest of all where no item's own is told.
    fn size(&self) -> Option<Size> {
        let own = self.properties.iter().filter(|(number, _)| self.own.contains(number)).map(|(_, property)| *property);
        size_of(own).or_else(|| size_of(self.properties.iter().map(|(_, property)| *property)))
    }
}

fn size_of(properties: impl Iterator<Item = Property>) -> Option<Size> {
    let (mut largest, mut turned) = (None, false);
    let area = |(width, height): Size| u64::from(width) * u64::from(height);
    for property in properties {
        match property {
            Property::Size(width, height) => {
                if largest.is_none_or(|size| area(size) < area((width, height))) {
                    largest = Some((width, height));
                }
            }
            Property::Turn => turned = true,
        }
    }
    largest.map(|(width, height)| if turned { (height, width) } else { (width, height) })
}

fn box_at(at: u64, piece: &Piece<'_>) -> Result<Box, Stop> {
    let bytes = |count| piece.bytes(at, count);
    let short = bytes(8)?;
    let kind = short.get(4..8).and_then(|kind| kind.try_into().ok()).unwrap_or_default();
    match big_endian(short, 0, 4) {
        Some(1) => {
            let long = bytes(16)?.get(8..).and_then(|length| length.try_into().ok()).unwrap_or_default();
            Ok(Box { kind, head: 16, length: u64::from_be_bytes(long) })
        }
        length => Ok(Box { kind, head: 8, length: length.unwrap_or_default().into() }),
    }
}

/// The content of a box that is looked at as a whole.
fn whole_box<'a>(at: u64, piece: &Piece<'a>) -> Result<&'a [u8], Stop> {
    let found = box_at(at, piece)?;
    let length = u32::try_from(found.length).ok().filter(|length| *length <= WINDOW_BYTES).ok_or(Stop::Nothing)?;
    let whole = piece.bytes(at, length)?;
    whole.get(found.head as usize..).ok_or(Stop::Nothing)
}

/// The item that a `pitm` names (ISO/IEC 14496-12, 8.11.4).
fn item_of(content: &[u8]) -> Option<u32> {
    big_endian(content, 4, if *content.first()? == 0 { 2 } else { 4 })
}

/// The numbers of an item's properties in an `ipma` (ISO/IEC 23008-12, 9.3).
fn numbers_of(item: u32, content: &[u8]) -> Option<Vec<u16>> {
    let id_bytes = if *content.first()? == 0 { 2 } else { 4 };
    let number_bytes = 1 + usize::from(content.get(3)? & 1);
    let entries = big_endian(content, 4, 4)?;
    let mut at = 8;
    for _ in 0..entries {
        let id = big_endian(content, at, id_bytes)?;
        let count = usize::from(*content.get(at + id_bytes)?);
        let first = at + id_bytes + 1;
        at = first + count * number_bytes;
        if id == item {
            let numbers = content.get(first..at)?.chunks(number_bytes);
            // The highest bit says whether a reader must know the property.
            let number = |bytes: &[u8]| match bytes {
                [one] => u16::from(one & 0x7f),
                [high, low] => u16::from_be_bytes([high & 0x7f, *low]),
                _ => 0,
            };
            return Some(numbers.map(number).collect());
        }
    }
    Some(Vec::new())
}

/// Whether the brands of an ISO base media file that begins with these bytes are those of AV1 images.
pub(super) fn has_av1_brand(bytes: &[u8]) -> bool {
    let piece = Piece { from: 0, bytes };
    let Ok(Box { kind: [b'f', b't', b'y', b'p'], head, length }) = box_at(0, &piece) else { return false };
    let end = usize::try_from(length).unwrap_or(usize::MAX).min(bytes.len());
    let mut brands = bytes.get(head as usize..end).unwrap_or_default().chunks_exact(4);
    // The second four bytes are a version.
    let major = brands.next();
    major
        .into_iter()
        .chain(brands.skip(1))
        .any(|brand| matches!(brand, b"avif" | b"avio" | b"avis" | b"MA1A" | b"MA1B"))
}
