//! What an image's first bytes tell: its format, and its size where the header reaches that far.

/// How many bytes of an image are looked at.
pub const HEADER_BYTES: u32 = 64 * 1024;
/// Enough of most images, and read faster where it lies in another process.
pub const USUAL_HEADER_BYTES: u32 = 4 * 1024;

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
        let essence = mime_type.split([';']).next().unwrap_or_default().trim().to_ascii_lowercase();
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
    let format = format_of(bytes)?;
    let size = match format {
        Format::Png => Some((big_endian(bytes, 16, 4), big_endian(bytes, 20, 4))),
        Format::Gif => Some((little_endian(bytes, 6, 2), little_endian(bytes, 8, 2))),
        Format::Jpeg => jpeg_size(bytes),
        Format::Webp => webp_size(bytes),
        Format::Avif => avif_size(bytes),
    };
    let in_range = |side: &u32| (1..=i32::MAX as u32).contains(side);
    let size = size.and_then(|(width, height)| Some((width.filter(in_range)?, height.filter(in_range)?)));
    Some(Header { format, size })
}

/// Whether more of the first bytes may tell the size: a JPEG's stands behind its metadata.
pub fn is_cut(bytes: &[u8]) -> bool {
    read_header(bytes).is_some_and(|header| header.size.is_none())
}

fn format_of(bytes: &[u8]) -> Option<Format> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some(Format::Png),
        [0xff, 0xd8, 0xff, ..] => Some(Format::Jpeg),
        [b'G', b'I', b'F', b'8', ..] => Some(Format::Gif),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Format::Webp),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] if has_av1_brand(bytes) => Some(Format::Avif),
        _ => None,
    }
}

/// What is told of one side of an image, if the header reaches that far.
type Side = Option<u32>;

/// The frame header (SOFn) of ITU-T T.81, B.2.2, behind any other segments.
fn jpeg_size(bytes: &[u8]) -> Option<(Side, Side)> {
    let mut at = 2;
    loop {
        let (mark, kind) = (*bytes.get(at)?, *bytes.get(at + 1)?);
        if mark != 0xff || matches!(kind, 0xd8 | 0xd9) {
            return None;
        }
        if kind == 0xff {
            at += 1; // fills up before a marker (B.1.1.2)
            continue;
        }
        if matches!(kind, 0xc0..=0xcf) && !matches!(kind, 0xc4 | 0xc8 | 0xcc) {
            return Some((big_endian(bytes, at + 7, 2), big_endian(bytes, at + 5, 2)));
        }
        at += 2 + big_endian(bytes, at + 2, 2).filter(|length| *length >= 2)? as usize;
    }
}

/// The first chunk of RFC 9649, 2.5 to 2.7.
fn webp_size(bytes: &[u8]) -> Option<(Side, Side)> {
    let fourteen_bits = |value: u32| value & 0x3fff;
    match bytes.get(12..16)? {
        b"VP8 " => {
            let side = |at| little_endian(bytes, at, 2).map(fourteen_bits);
            Some((side(26), side(28)))
        }
        b"VP8L" => {
            let sides = little_endian(bytes, 21, 4)?;
            Some((Some(fourteen_bits(sides) + 1), Some(fourteen_bits(sides >> 14) + 1)))
        }
        b"VP8X" => {
            let side = |at| little_endian(bytes, at, 3).map(|side| side + 1);
            Some((side(24), side(27)))
        }
        _ => None,
    }
}

/// Whether the brands of an ISO base media file are those of AV1 images; general ones say nothing and are passed over.
fn has_av1_brand(bytes: &[u8]) -> bool {
    let brands = [8, 16, 20].into_iter().filter_map(|at| bytes.get(at..at + 4));
    let special = brands.into_iter().find(|brand| !matches!(*brand, b"mif1" | b"msf1" | b"mif2" | b"miaf"));
    matches!(special, Some(b"avif" | b"avio" | b"avis" | b"MA1A" | b"MA1B"))
}

/// The largest of the image sizes among the item properties (ISO/IEC 23008-12, 6.5.3), turned as `irot` says (6.5.10).
fn avif_size(bytes: &[u8]) -> Option<(Side, Side)> {
    // A full box: its content begins with a version and flags.
    let meta = Boxes(bytes).content_of(b"meta")?.get(4..)?;
    let properties = Boxes(Boxes(meta).content_of(b"iprp")?).content_of(b"ipco")?;
    let (mut width, mut height, mut turned) = (0, 0, false);
    for (kind, content) in Boxes(properties) {
        match kind {
            b"ispe" => {
                let (w, h) = (big_endian(content, 4, 4)?, big_endian(content, 8, 4)?);
                if u64::from(w) * u64::from(h) > u64::from(width) * u64::from(height) {
                    (width, height) = (w, h);
                }
            }
            b"irot" => turned = content.first()? & 1 == 1,
            _ => {}
        }
    }
    let (width, height) = if turned { (height, width) } else { (width, height) };
    Some((Some(width), Some(height)))
}

/// The boxes of an ISO base media file (ISO/IEC 14496-12, 4.2): each its kind and its content. They end before one that is
/// cut off: what it tells would be half of it, such as a size without how it is turned.
struct Boxes<'a>(&'a [u8]);

impl<'a> Boxes<'a> {
    fn content_of(mut self, wanted: &[u8; 4]) -> Option<&'a [u8]> {
        self.find(|(kind, _)| kind == wanted).map(|(_, content)| content)
    }
}

impl<'a> Iterator for Boxes<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = big_endian(self.0, 0, 4)? as usize;
        let (this, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some((this.get(4..8)?, this.get(8..)?))
    }
}

fn big_endian(bytes: &[u8], at: usize, count: usize) -> Option<u32> {
    Some(bytes.get(at..at + count)?.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
}

fn little_endian(bytes: &[u8], at: usize, count: usize) -> Option<u32> {
    Some(bytes.get(at..at + count)?.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte)))
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

    /// What another reader of headers says.
    fn by_imagesize(bytes: &[u8]) -> Option<(u32, u32)> {
        let size = imagesize::blob_size(bytes).ok()?;
        Some((size.width.try_into().ok()?, size.height.try_into().ok()?))
    }

    /// A file of one kind with other sides, up to what 14 bits hold.
    fn with_sides(format: Format, width: u16, height: u16) -> Vec<u8> {
        let [w_be, h_be] = [width.to_be_bytes(), height.to_be_bytes()];
        let [w_le, h_le] = [width.to_le_bytes(), height.to_le_bytes()];
        let zeros = |count: usize| vec![0; count];
        match format {
            Format::Png => {
                [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0".to_vec(), w_be.into(), zeros(2), h_be.into(), zeros(99)].concat()
            }
            // A comment, a table (0xc4 is no frame), then the frame.
            Format::Jpeg => [
                b"\xff\xd8\xff\xfe\0\x05abc\xff\xc4\0\x04ab\xff\xc2\0\x11\x08".to_vec(),
                h_be.into(),
                w_be.into(),
                zeros(99),
            ]
            .concat(),
            Format::Gif => [b"GIF89a".to_vec(), w_le.into(), h_le.into(), zeros(99)].concat(),
            Format::Webp => [b"RIFF____WEBPVP8 ____".to_vec(), zeros(6), w_le.into(), h_le.into(), zeros(99)].concat(),
            Format::Avif => {
                let boxed = |kind: &[u8], content: Vec<u8>| {
                    [(content.len() as u32 + 8).to_be_bytes().to_vec(), kind.to_vec(), content].concat()
                };
                let ispe = boxed(b"ispe", [zeros(6), w_be.into(), zeros(2), h_be.into()].concat());
                let thumbnail = boxed(b"ispe", [zeros(7), vec![1], zeros(3), vec![1]].concat());
                let irot = boxed(b"irot", vec![1]);
                let ipco = boxed(b"ipco", [boxed(b"pixi", zeros(8)), thumbnail, ispe, irot].concat());
                let meta = boxed(b"meta", [zeros(4), boxed(b"hdlr", zeros(24)), boxed(b"iprp", ipco)].concat());
                [boxed(b"ftyp", b"mif1\0\0\0\0miafavif".to_vec()), meta, boxed(b"mdat", zeros(99))].concat()
            }
        }
    }

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
    fn bytes_that_fill_up_before_a_frame_are_passed_over() {
        let frame = b"\xff\xd8\xff\xfe\0\x03a\xff\xff\xff\xc2\0\x11\x08\0\xf0\x01\x40";
        assert_eq!(read_header(frame).and_then(|header| header.size), Some((320, 240)));
    }

    #[test]
    fn a_size_that_is_told_before_how_it_is_turned_is_not_believed() {
        let whole = with_sides(Format::Avif, 320, 240);
        let irot = whole.windows(4).position(|bytes| bytes == b"irot").unwrap();
        for end in 0..=irot + 4 {
            assert_eq!(read_header(&whole[..end]).and_then(|header| header.size), None, "{end} bytes");
        }
        assert_eq!(read_header(&whole).and_then(|header| header.size), Some((240, 320)));
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
        fn sides_are_read_as_imagesize_reads_them(image in 0..IMAGES.len(), width in 1..0x3fffu16, height in 1..0x3fffu16) {
            let format = IMAGES[image].1;
            let bytes = with_sides(format, width, height);
            let sides = (u32::from(width), u32::from(height));
            let turned = (sides.1, sides.0);
            let wanted = if format == Format::Avif { turned } else { sides };
            prop_assert_eq!(read_header(&bytes), Some(Header { format, size: Some(wanted) }));
            prop_assert_eq!(by_imagesize(&bytes), Some(wanted));
        }

        #[test]
        fn lossless_and_extended_webp_are_read_as_imagesize_reads_them(
            kind in prop_oneof![Just(b'L'), Just(b'X')],
            rest: [u8; 18],
        ) {
            let bytes = [b"RIFF____WEBPVP8".to_vec(), vec![kind], rest.to_vec()].concat();
            prop_assert_eq!(read_header(&bytes).and_then(|header| header.size), by_imagesize(&bytes));
        }
    }
}
