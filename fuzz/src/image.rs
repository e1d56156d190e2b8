//! The first bytes of images.

use imagen_cloud::image::header::{Format, read_header};

/// What a header tells is in range, does not change with how much of the file is there, and is what `imagesize` reads.
pub fn holds(input: &[u8]) {
    let whole = read_header(input);
    let size = whole.and_then(|header| header.size);
    if let Some((width, height)) = size {
        assert!((1..=i32::MAX as u32).contains(&width) && (1..=i32::MAX as u32).contains(&height));
    }
    for end in (0..input.len().min(512)).chain((512..input.len()).step_by(97)) {
        let Some(part) = read_header(&input[..end]) else { continue };
        assert_eq!(Some(part.format), whole.map(|header| header.format), "{end} bytes");
        assert!(part.size.is_none() || part.size == size, "{:?} of {end} bytes, {size:?} of all", part.size);
    }
    let (Some(header), Some((width, height))) = (whole, size) else { return };
    let Ok(theirs) = imagesize::blob_size(input) else { return };
    // Two bits of a lossy WebP's sides are a scale (RFC 9649, 2.5), which `imagesize` does not take off.
    let bits = if input.starts_with(b"RIFF") && input[15] == b' ' { 0x3fff } else { usize::MAX };
    let wanted = (theirs.width & bits, theirs.height & bits);
    match header.format {
        // It knows neither of bytes between segments, nor of markers without a length, nor of orientations.
        Format::Jpeg => {
            let is_told = |width: u32, height: u32| {
                let sides = [(height as u16).to_be_bytes(), (width as u16).to_be_bytes()].concat();
                input.windows(4).any(|bytes| bytes == sides)
            };
            assert!(is_told(width, height) || is_told(height, width), "{width} and {height} are nowhere");
        }
        // It takes every property for one of the usual length, wherever it stands: another size for most broken files.
        Format::Avif => {
            let is_told = |width: u32, height: u32| {
                let sides = [width.to_be_bytes(), height.to_be_bytes()].concat();
                input.windows(8).any(|bytes| bytes == sides)
            };
            assert!(is_told(width, height) || is_told(height, width), "{width} and {height} are nowhere");
        }
        // Nor does it turn a PNG, or look at a GIF's pictures.
        Format::Png => {
            assert!([(width as usize, height as usize), (height as usize, width as usize)].contains(&wanted))
        }
        Format::Gif => assert!(width as usize >= wanted.0 && height as usize >= wanted.1),
        Format::Webp => assert_eq!((width as usize, height as usize), wanted),
    }
}
