use super::*;
use proptest::prelude::*;

const PNG: &[u8] = include_bytes!("../../../tests/data/lighthouse.png");
const JPEG: &[u8] = include_bytes!("../../../tests/data/lighthouse.jpg");
const WEBP: &[u8] = include_bytes!("../../../tests/data/lighthouse.webp");
const AVIF: &[u8] = include_bytes!("../../../tests/data/lighthouse.avif");
const GIF: &[u8] = include_bytes!("../../../tests/data/lighthouse.gif");
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
        Format::Png => [
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0".to_vec(),
            w_be.into(),
            zeros(2),
            h_be.into(),
            zeros(13),
            b"IDAT".to_vec(),
        ]
        .concat(),
        // A comment, a table (0xc4 is no frame), then the frame.
        Format::Jpeg => [
            b"\xff\xd8\xff\xfe\0\x05abc\xff\xc4\0\x04ab\xff\xc2\0\x11\x08".to_vec(),
            h_be.into(),
            w_be.into(),
            b"\x03123123123\xff\xda".to_vec(),
            zeros(99),
        ]
        .concat(),
        Format::Gif => [b"GIF89a".to_vec(), w_le.into(), h_le.into(), zeros(3), vec![0x2c], zeros(99)].concat(),
        Format::Webp => {
            [b"RIFF____WEBPVP8 ____".to_vec(), b"123\x9d\x01\x2a".to_vec(), w_le.into(), h_le.into(), zeros(99)]
                .concat()
        }
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
        let first_bytes = &bytes[..bytes.len().min(WINDOW_BYTES as usize)];
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
    let frame = b"\xff\xd8\xff\xfe\0\x03a\xff\xff\xff\xc2\0\x0b\x08\0\xf0\x01\x40\x01123\xff\xda";
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
    let others: [&[u8]; 7] =
        [b"", b"\0", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7", b"BM123456", heic, b"RIFF\0\0\0\0WAVE"];
    for bytes in others {
        assert_eq!(read_header(bytes), None, "{bytes:?}");
    }
}

/// A look into bytes: what was told, and which pieces were read.
fn looked_into(bytes: &[u8]) -> (Option<Header>, Vec<Range<u32>>) {
    let (mut walk, mut pieces) = (Walk::new(bytes.len() as u64), Vec::new());
    while let Some(piece) = walk.wants() {
        walk.read(&bytes[piece.start as usize..piece.end as usize]);
        pieces.push(piece);
    }
    (walk.header(), pieces)
}

fn segment(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[0xff, kind], &(content.len() as u16 + 2).to_be_bytes()[..], content].concat()
}

fn behind_start(parts: &[u8]) -> Vec<u8> {
    [&JPEG[..2], parts, &JPEG[2..]].concat()
}

fn exif(tiff: &[u8]) -> Vec<u8> {
    segment(0xe1, &[b"Exif\0\0", tiff].concat())
}

fn size_of(bytes: &[u8]) -> Option<Size> {
    read_header(bytes).and_then(|header| header.size)
}

#[test]
fn every_hard_file_tells_what_browsers_show() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");
    let wanted = std::fs::read_to_string(format!("{folder}/headers.json")).unwrap();
    let wanted: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&wanted).unwrap();
    assert!(wanted.len() > 9);
    for (name, wanted) in wanted {
        let bytes = std::fs::read(format!("{folder}/{name}")).unwrap();
        let told = read_header(&bytes).map(|Header { format, size }| {
            let (width, height) = size.unwrap_or_default();
            serde_json::json!({ "type": format.mime_type(), "width": width, "height": height })
        });
        assert_eq!(told.unwrap_or_default(), wanted, "{name}");
    }
}

#[test]
fn a_frame_behind_much_metadata_is_walked_to() {
    let credentials = segment(0xeb, &[b'c'; 60_000]).repeat(30);
    let bytes = behind_start(&credentials);
    let (header, pieces) = looked_into(&bytes);
    assert_eq!(header, Some(Header { format: Format::Jpeg, size: Some((320, 240)) }));
    assert!(pieces.len() <= 17, "two segments a piece: {pieces:?}");
    for piece in &pieces {
        assert!(piece.len() <= WINDOW_BYTES as usize && piece.end <= FURTHEST, "{piece:?}");
        let starts_a_segment = |at: u32| at < 4 || (at - 2).is_multiple_of(60_004);
        assert!(starts_a_segment(piece.start), "{piece:?}");
    }
}

#[test]
fn a_header_is_looked_for_only_so_far_and_so_often() {
    let far = behind_start(&segment(0xeb, &[0; 65_000]).repeat(33));
    let (header, pieces) = looked_into(&far);
    assert_eq!(header, Some(Header { format: Format::Jpeg, size: None }));
    assert!(pieces.iter().all(|piece| piece.end <= FURTHEST), "{pieces:?}");

    // Boxes that are just too long for a piece to show the next one's head.
    let boxed = |kind: &[u8], length: usize| [&(length as u32).to_be_bytes()[..], kind, &vec![0; length - 8]].concat();
    let head = [&(0u32).to_be_bytes()[..], b"meta", &[0; 4]].concat();
    let ftyp = &AVIF[..u32::from_be_bytes(AVIF[..4].try_into().unwrap()) as usize];
    let bytes = [ftyp, &head, &boxed(b"free", 5000).repeat(9), &boxed(b"free", 65_530).repeat(40)].concat();
    let (_, pieces) = looked_into(&bytes);
    assert!(pieces.len() <= MAX_READS as usize && pieces.iter().all(|piece| piece.end <= FURTHEST), "{pieces:?}");
}

#[test]
fn an_image_with_its_header_first_is_looked_at_once() {
    for (bytes, format) in IMAGES {
        let (_, pieces) = looked_into(bytes);
        let first = 0..(bytes.len() as u32).min(FIRST_WINDOW_BYTES);
        assert_eq!(pieces, std::slice::from_ref(&first), "{format:?}");
    }
}

#[test]
fn bytes_between_segments_are_passed_over() {
    for count in 1..=40 {
        let stray: Vec<u8> = (0..count).map(|byte| byte as u8).collect();
        let bytes = behind_start(&[segment(0xfe, b"first"), stray].concat());
        assert_eq!(size_of(&bytes), Some((320, 240)), "{count}");
    }
}

#[test]
fn an_orientation_of_5_to_8_swaps_the_sides_of_a_jpeg() {
    for orientation in 0..10u8 {
        let wanted = if (5..=8).contains(&orientation) { (240, 320) } else { (320, 240) };
        let entries =
            |tag: [u8; 2], kind: u8| [b"\0\x01", &tag[..], &[0, kind, 0, 0, 0, 1, 0, orientation, 0, 0]].concat();
        let big = [b"MM\0*\0\0\0\x08", &entries([0x01, 0x12], 3)[..]].concat();
        let little = [b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0", &[orientation, 0, 0, 0][..]].concat();
        for tiff in [&big, &little] {
            assert_eq!(size_of(&behind_start(&exif(tiff))), Some(wanted), "{orientation}");
        }
        let padded = [exif(&big), segment(0xe2, &[0; 60_000])].concat();
        assert_eq!(size_of(&behind_start(&[segment(0xe2, &vec![0; 4000]), padded].concat())), Some(wanted));
        let other_tag = [b"MM\0*\0\0\0\x08", &entries([0x01, 0x13], 3)[..]].concat();
        let other_type = [b"MM\0*\0\0\0\x08", &entries([0x01, 0x12], 4)[..]].concat();
        for tiff in [&other_tag[..], &other_type, b"", b"MM\0*\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff"] {
            assert_eq!(size_of(&behind_start(&exif(tiff))), Some((320, 240)), "{tiff:?}");
            let both = [exif(tiff), exif(&big)].concat();
            assert_eq!(size_of(&behind_start(&both)), Some((320, 240)), "only the first EXIF counts");
        }
    }
}

fn chunk(kind: &[u8], content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32).to_be_bytes()[..], kind, content, &[0; 4]].concat()
}

fn behind_ihdr(parts: &[u8]) -> Vec<u8> {
    [&PNG[..33], parts, &PNG[33..]].concat()
}

/// EXIF of one orientation.
fn oriented(orientation: u8) -> Vec<u8> {
    [b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0", &[orientation, 0, 0, 0][..]].concat()
}

#[test]
fn an_orientation_of_5_to_8_swaps_the_sides_of_a_png() {
    let texts = [0, 10, 5000, 70_000, 300_000].map(|length| chunk(b"tEXt", &vec![b'a'; length]));
    for orientation in 0..10u8 {
        let wanted = if (5..=8).contains(&orientation) { (240, 320) } else { (320, 240) };
        let turning = chunk(b"eXIf", &oriented(orientation));
        for text in &texts {
            let bytes = behind_ihdr(&[&text[..], &turning].concat());
            assert_eq!(size_of(&bytes), Some(wanted), "{orientation} behind {}", text.len());
            for end in (0..33 + text.len() + turning.len() - 4).rev().step_by(1 + text.len() / 50) {
                assert_eq!(size_of(&bytes[..end]), None, "{end} bytes");
            }
        }
        let both = [turning, chunk(b"eXIf", &oriented(13 - orientation))].concat();
        assert_eq!(size_of(&behind_ihdr(&both)), Some(wanted), "only the first EXIF counts");
    }
    let behind = [&PNG[..PNG.len() - 12], &chunk(b"eXIf", &oriented(6)), &PNG[PNG.len() - 12..]].concat();
    assert_eq!(size_of(&behind), Some((320, 240)), "behind the picture it does not count");
}

#[test]
fn a_png_is_as_large_as_it_says_where_its_picture_is_out_of_reach() {
    let far = chunk(b"tEXt", &vec![b'a'; FURTHEST as usize]);
    let bytes = behind_ihdr(&far);
    assert_eq!(size_of(&bytes), Some((320, 240)));
    assert_eq!(size_of(&bytes[..bytes.len() / 2]), None, "of a file that is cut there is no picture");
}

#[test]
fn a_gif_is_as_large_as_its_first_picture_needs() {
    let at = GIF.windows(10).position(|bytes| bytes == [0x2c, 0, 0, 0, 0, 0x40, 1, 240, 0, 0]).unwrap();
    for (screen, place, wanted) in [
        ((0u16, 0u16), (0u16, 0u16), (320, 240)),
        ((160, 120), (0, 0), (320, 240)),
        ((160, 120), (10, 20), (330, 260)),
        ((400, 100), (0, 0), (400, 240)),
        ((400, 300), (0, 0), (400, 300)),
        ((320, 240), (65_535, 0), (65_855, 240)),
    ] {
        let mut bytes = GIF.to_vec();
        bytes.splice(6..10, [screen.0.to_le_bytes(), screen.1.to_le_bytes()].concat());
        bytes.splice(at + 1..at + 5, [place.0.to_le_bytes(), place.1.to_le_bytes()].concat());
        assert_eq!(size_of(&bytes), Some(wanted), "{screen:?} {place:?}");
        bytes[at] = 0x55;
        let known = (u32::from(screen.0), u32::from(screen.1));
        assert_eq!(size_of(&bytes), Some(known).filter(|known| known.0 > 0), "what is no picture makes it no larger");
        bytes[at] = 0x3b;
        assert_eq!(size_of(&bytes), None, "without a picture");
        bytes[at] = 0x2c;
        let texts = [b"\x21\xfe".to_vec(), [&[255][..], &[b'a'; 255]].concat().repeat(300), vec![0]].concat();
        let behind = [&bytes[..at], &texts, &bytes[at..]].concat();
        assert_eq!(size_of(&behind), Some(wanted), "behind texts");
        for end in 0..at + 9 {
            assert_eq!(size_of(&bytes[..end]), None, "{end} bytes");
        }
    }
}

#[test]
fn an_orientation_behind_the_frame_counts_as_long_as_it_is_before_the_scan() {
    let turned = exif(b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0");
    let scan = JPEG.windows(2).position(|two| two == [0xff, 0xda]).unwrap();
    let bytes = [&JPEG[..scan], &turned, &JPEG[scan..]].concat();
    assert_eq!(size_of(&bytes), Some((240, 320)));
    for end in 0..=scan + turned.len() {
        assert_eq!(size_of(&bytes[..end]), None, "{end} bytes");
    }
}

#[test]
fn a_look_at_less_than_was_wanted_ends() {
    for name in ["app1_65533.jpg", "c2pa_uuid100k.avif", "larger-item.avif", "meta-to-the-end.avif"] {
        let bytes = std::fs::read(format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        for end in (0..bytes.len()).step_by(bytes.len() / 150 + 1) {
            let mut walk = Walk::new(1_000_000_000);
            let mut reads = 0;
            while let Some(Range { start, end: to }) = walk.wants() {
                walk.read(&bytes[..end][(start as usize).min(end)..(to as usize).min(end)]);
                reads += 1;
            }
            assert!(reads <= MAX_READS);
            assert!(matches!(walk.header().and_then(|header| header.size), None | Some((320, 240))), "{name}");
        }
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
        ("image/pjpeg", Format::Jpeg),
        ("image/apng", Format::Png),
        ("image/jpeg", Format::Jpeg),
    ] {
        assert!(format.is_declared_by(declared), "{declared}");
        assert!(!Format::Gif.is_declared_by(declared), "{declared}");
    }
    assert!(!Format::Jpeg.is_declared_by("image/apng"));
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
        mut rest: [u8; 18],
    ) {
        rest[4] = 0x2f; // a lossless picture's signature
        let bytes = [b"RIFF____WEBPVP8".to_vec(), vec![kind], rest.to_vec()].concat();
        prop_assert_eq!(read_header(&bytes).and_then(|header| header.size), by_imagesize(&bytes));
    }
}
