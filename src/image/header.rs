//! What an image's header tells: its format, and its size as browsers show it. Of an image that has much before its header,
//! only pieces are looked at.

mod avif;
mod exif;
mod gif;
mod jpeg;
mod png;
mod webp;

use core::ops::Range;

use avif::Avif;
use gif::Gif;
use jpeg::Jpeg;
use png::Png;

/// How many bytes of an image are looked at at once.
pub const WINDOW_BYTES: u32 = 64 * 1024;
/// Enough of most images, and read faster where it lies in another process.
const FIRST_WINDOW_BYTES: u32 = 4 * 1024;
/// How often an image is looked into at most.
const MAX_READS: u32 = 40;
/// How far from its start an image is looked into.
const FURTHEST: u32 = 2 * 1024 * 1024;

/// A format that browsers show and the bucket takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// WebP, lossy, lossless or animated.
    Webp,
    /// AVIF, still or a sequence.
    Avif,
    /// GIF.
    Gif,
}

impl Format {
    /// The registered MIME type.
    pub fn mime_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
            Self::Avif => "image/avif",
            Self::Gif => "image/gif",
        }
    }

    /// The usual ending of a file's name.
    pub fn ext(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Webp => "webp",
            Self::Avif => "avif",
            Self::Gif => "gif",
        }
    }

    /// The format that a declared MIME type means.
    pub fn declared_by(mime_type: &str) -> Option<Self> {
        [Self::Png, Self::Jpeg, Self::Webp, Self::Avif, Self::Gif]
            .into_iter()
            .find(|format| format.is_declared_by(mime_type))
    }

    /// Whether a declared MIME type means this format. Parameters don't count; `image/jpg` is a common slip, and others are
    /// what some systems call a JPEG or an animated PNG.
    pub fn is_declared_by(self, mime_type: &str) -> bool {
        let essence = mime_type.split([';']).next().unwrap_or_default().trim().to_ascii_lowercase();
        essence == self.mime_type()
            || match self {
                Self::Jpeg => matches!(essence.as_str(), "image/jpg" | "image/pjpeg"),
                Self::Png => essence == "image/apng",
                _ => false,
            }
    }
}

/// Width and height.
pub type Size = (u32, u32);

/// What a header tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What kind of image it is.
    pub format: Format,
    /// Width and height in pixels, as shown.
    pub size: Option<Size>,
}

/// A piece of an image, and where it begins.
struct Piece<'a> {
    from: u32,
    bytes: &'a [u8],
}

impl<'a> Piece<'a> {
    /// Bytes by their place in the image; where not all of them are in the piece, another one is needed.
    fn bytes(&self, at: u64, count: u32) -> Result<&'a [u8], Stop> {
        let found = || {
            let at = usize::try_from(at.checked_sub(self.from.into())?).ok()?;
            self.bytes.get(at..at.checked_add(count as usize)?)
        };
        found().ok_or(Stop::Until(at))
    }
}

/// Why a reader of headers can't tell a size.
enum Stop {
    /// There is none to be told.
    Nothing,
    /// It goes on with a piece that begins here.
    Until(u64),
}

/// The look into one image, piece by piece: each is read where [`Walk::wants`] says, and given to [`Walk::read`].
#[derive(Debug)]
pub struct Walk {
    /// Of the image, in bytes.
    length: u32,
    wanted: Option<Range<u32>>,
    reads: u32,
    reader: Reader,
    header: Option<Header>,
}

/// A header that may be read in several pieces.
#[derive(Debug)]
enum Reader {
    None,
    Png(Png),
    Jpeg(Jpeg),
    Avif(Avif),
    Gif(Gif),
}

impl Walk {
    /// Begins with an image of `length` bytes.
    pub fn new(length: u64) -> Self {
        let length = u32::try_from(length).unwrap_or(u32::MAX); // far beyond what is looked at
        let first = 0..length.min(FIRST_WINDOW_BYTES);
        Self { length, wanted: Some(first), reads: 0, reader: Reader::None, header: None }
    }

    /// What is to be read next: places in the image, never more than [`WINDOW_BYTES`]. `None` when all is told.
    pub fn wants(&self) -> Option<Range<u32>> {
        self.wanted.clone()
    }

    /// Takes what was wanted; less of it is the end of the image.
    pub fn read(&mut self, bytes: &[u8]) {
        let Some(wanted) = self.wanted.take() else { return };
        self.reads += 1;
        if bytes.len() < wanted.len() {
            self.length = wanted.start + bytes.len() as u32;
        }
        let piece = Piece { from: wanted.start, bytes };
        let told = if piece.from == 0 && self.header.is_none() { self.begin(&piece) } else { self.go_on(&piece) };
        let size = match told {
            Ok(size) => Some(size),
            Err(Stop::Until(at)) => {
                self.wanted = self.window_at(at, &wanted);
                let is_out_of_reach = self.wanted.is_none() && (self.length > FURTHEST || self.reads == MAX_READS);
                is_out_of_reach.then(|| self.likely()).flatten()
            }
            Err(Stop::Nothing) => None,
        };
        let in_range = |side: u32| (1..=i32::MAX as u32).contains(&side);
        let size = size.filter(|(width, height)| in_range(*width) && in_range(*height));
        self.header = self.header.map(|header| Header { size, ..header });
    }

    /// What was told.
    pub fn header(&self) -> Option<Header> {
        self.header
    }

    fn begin(&mut self, piece: &Piece<'_>) -> Result<Size, Stop> {
        let format = format_of(piece.bytes).ok_or(Stop::Nothing)?;
        self.header = Some(Header { format, size: None });
        self.reader = match format {
            Format::Webp => return webp::size_of(piece.bytes).ok_or(Stop::Nothing),
            Format::Png => Reader::Png(Png::new(piece.bytes).ok_or(Stop::Nothing)?),
            Format::Gif => Reader::Gif(Gif::new(piece.bytes).ok_or(Stop::Nothing)?),
            Format::Jpeg => Reader::Jpeg(Jpeg::new()),
            Format::Avif => Reader::Avif(Avif::default()),
        };
        self.go_on(piece)
    }

    fn go_on(&mut self, piece: &Piece<'_>) -> Result<Size, Stop> {
        match &mut self.reader {
            Reader::Jpeg(jpeg) => jpeg.read(piece),
            Reader::Avif(avif) => avif.read(piece),
            Reader::Png(png) => png.read(piece),
            Reader::Gif(gif) => gif.read(piece),
            Reader::None => Err(Stop::Nothing),
        }
    }

    /// What is the size unless something out of reach says otherwise.
    fn likely(&self) -> Option<Size> {
        match &self.reader {
            Reader::Png(png) => Some(png.size),
            Reader::Gif(gif) => Some(gif.screen),
            _ => None,
        }
    }

    /// The window that begins at a place, unless it is out of reach or would show nothing that the last one didn't.
    fn window_at(&self, at: u64, last: &Range<u32>) -> Option<Range<u32>> {
        let start = u32::try_from(at).ok()?;
        let end = start.saturating_add(WINDOW_BYTES).min(self.length).min(FURTHEST);
        let is_new = start < last.start || end > last.end;
        (start < end && is_new && self.reads < MAX_READS).then_some(start..end)
    }
}

/// Reads the header of an image that is all there; `None` for bytes of no format in [`Format`].
#[cfg(any(test, feature = "internals"))]
pub fn read_header(bytes: &[u8]) -> Option<Header> {
    let mut walk = Walk::new(bytes.len() as u64);
    while let Some(Range { start, end }) = walk.wants() {
        walk.read(bytes.get(start as usize..end as usize).unwrap_or_default());
    }
    walk.header()
}

fn format_of(bytes: &[u8]) -> Option<Format> {
    match bytes {
        [0xff, 0xd8, 0xff, ..] => Some(Format::Jpeg),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Format::Gif),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Format::Webp),
        _ if bytes.starts_with(png::START) => Some(Format::Png),
        _ if avif::has_av1_brand(bytes) => Some(Format::Avif),
        _ => None,
    }
}

fn big_endian(bytes: &[u8], at: usize, count: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(count)?)?;
    Some(bytes.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
}

fn little_endian(bytes: &[u8], at: usize, count: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(count)?)?;
    Some(bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte)))
}

#[cfg(test)]
mod tests;
