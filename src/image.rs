//! What an image's first bytes tell: its format, and its size where the header reaches that far.

use imagesize::ImageType;

/// How many bytes of an image are looked at.
pub const HEADER_BYTES: u32 = 64 * 1024;

/// A format that browsers show and the bucket takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Format {
    Png,
    Jpeg,
    Webp,
    Avif,
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

    /// Whether a declared MIME type means this format. Parameters don't count, and `image/jpg` is a common slip.
    pub fn is_declared_by(self, mime_type: &str) -> bool {
        let essence = mime_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        essence == self.mime_type() || (self == Self::Jpeg && essence == "image/jpg")
    }
}

/// What a header tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Header {
    pub format: Format,
    /// Width and height in pixels.
    pub size: Option<(u32, u32)>,
}

/// Reads the first bytes of an image; `None` for bytes of no format in [`Format`].
pub fn read_header(bytes: &[u8]) -> Option<Header> {
    let format = match imagesize::image_type(bytes).ok()? {
        ImageType::Png => Format::Png,
        ImageType::Jpeg => Format::Jpeg,
        ImageType::Webp => Format::Webp,
        ImageType::Gif => Format::Gif,
        ImageType::Heif(imagesize::Compression::Av1) => Format::Avif,
        _ => return None,
    };
    let size = imagesize::blob_size(bytes)
        .ok()
        .and_then(|size| Some((u32::try_from(size.width).ok()?, u32::try_from(size.height).ok()?)))
        .filter(|(width, height)| *width > 0 && *height > 0 && *width <= i32::MAX as u32 && *height <= i32::MAX as u32);
    Some(Header { format, size })
}
