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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PNG: &[u8] = include_bytes!("../tests/data/lighthouse.png");
    const JPEG: &[u8] = include_bytes!("../tests/data/lighthouse.jpg");
    const WEBP: &[u8] = include_bytes!("../tests/data/lighthouse.webp");
    const AVIF: &[u8] = include_bytes!("../tests/data/lighthouse.avif");
    const GIF: &[u8] = include_bytes!("../tests/data/lighthouse.gif");
    const IMAGES: [(&[u8], Format); 5] =
        [(PNG, Format::Png), (JPEG, Format::Jpeg), (WEBP, Format::Webp), (AVIF, Format::Avif), (GIF, Format::Gif)];

    #[test]
    fn a_real_image_tells_its_format_and_size() {
        for (bytes, format) in IMAGES {
            let first_bytes = &bytes[..bytes.len().min(HEADER_BYTES as usize)];
            assert_eq!(read_header(first_bytes), Some(Header { format, size: Some((320, 240)) }));
        }
    }

    #[test]
    fn a_header_that_is_cut_short_tells_what_it_can() {
        for (bytes, format) in IMAGES {
            for end in 0..bytes.len().min(2000) {
                if let Some(header) = read_header(&bytes[..end]) {
                    assert_eq!(header.format, format, "{end} bytes");
                    assert!(matches!(header.size, None | Some((320, 240))), "{header:?} of {end} bytes");
                }
            }
        }
    }

    #[test]
    fn what_is_no_image_of_these_formats_is_none() {
        let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
        let others: [&[u8]; 7] = [
            b"",
            b"\0",
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            b"%PDF-1.7",
            b"BM123456",
            heic,
            b"RIFF\0\0\0\0WAVE",
        ];
        for bytes in others {
            assert_eq!(read_header(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn a_size_of_nothing_is_not_known() {
        for (width, height) in [(0u32, 240u32), (320, 0), (u32::MAX, 240)] {
            let mut bytes = PNG[..64].to_vec();
            bytes[16..20].copy_from_slice(&width.to_be_bytes());
            bytes[20..24].copy_from_slice(&height.to_be_bytes());
            assert_eq!(read_header(&bytes), Some(Header { format: Format::Png, size: None }));
        }
    }

    #[test]
    fn a_declared_type_may_have_parameters() {
        for (declared, format) in [
            ("image/png", Format::Png),
            ("IMAGE/PNG", Format::Png),
            (" image/webp ; q=1", Format::Webp),
            ("image/jpg", Format::Jpeg),
            ("image/jpeg", Format::Jpeg),
        ] {
            assert!(format.is_declared_by(declared), "{declared}");
            assert!(!Format::Gif.is_declared_by(declared), "{declared}");
        }
        assert!(!Format::Png.is_declared_by("image/jpg") && !Format::Png.is_declared_by(""));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn hostile_bytes_never_panic(
            image in 0..IMAGES.len(),
            length in 0..4096usize,
            changes in proptest::collection::vec((0..512usize, prop_oneof![any::<u8>(), Just(0), Just(255)]), 0..24),
            tail in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let mut bytes = IMAGES[image].0[..length.min(IMAGES[image].0.len())].to_vec();
            bytes.extend(tail);
            for (at, byte) in changes {
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
            let header = read_header(&bytes);
            if let Some((width, height)) = header.and_then(|header| header.size) {
                prop_assert!((1..=i32::MAX as u32).contains(&width) && (1..=i32::MAX as u32).contains(&height));
            }
        }
    }
}
