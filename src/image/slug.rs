//! A slug of a text: what a storage path is called where its caller has no name for it.

use sha2::{Digest, Sha256};

/// Characters of a slug at most.
const LONGEST: usize = 60;

/// Characters of the hash, with its hyphen, that stands for what the words leave out.
const HASH: usize = 9;

/// Latin letters from U+00C0 to U+024F: the letter of ASCII that each is read as; a capital stands for two,
/// see [`look_up`], `-` for no letter, `.` for one that ASCII has nothing for. A table of our own, so that a text has the same
/// slug on every host, whatever edition of Unicode that has.
const LATIN: &[u8] = b"\
    aaaaaaAceeeeiiiidnooooo-ouuuuyTSaaaaaaAceeeeiiiidnooooo-ouuuuyTyaaaaaaccccccccddddeeeeeeeeeegggggggg\
    hhhhiiiiiiiiiiIIjjkkkllllllllllnnnnnnnnnooooooOOrrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzsbbbb..oc\
    cdddd.e..ffg.H.ikkl..nnooo..ppr....ttttuu.vyyzzz............DDDLLLNNNaaiioouuuuuuuuuueaaaaAAggggkkoo\
    oozzjDDDggH.nnaaAAooaaaaeeeeiiiioooorrrruuuusstt..hhndUUzzaaeeooooooooyylntj..accltsz..bu.eejj.qrryy";

/// The same from U+1E00 to U+1EFF.
const LATIN_ADDITIONAL: &[u8] = b"\
    aabbbbbbccddddddddddeeeeeeeeeeffgghhhhhhhhhhiiiikkkkkkllllllllmmmmmmnnnnnnnnoooooooopppprrrrrrrrssss\
    ssssssttttttttuuuuuuuuuuvvvvwwwwwwwwwwxxxxyyzzzzzzhtwyas..S.aaaaaaaaaaaaaaaaaaaaaaaaeeeeeeeeeeeeeeee\
    iiiioooooooooooooooooooooooouuuuuuuuuuuuuuyyyyyyyy....yy";

/// What becomes of a character.
enum Folded {
    Letters(char, Option<char>),
    /// It belongs to the letter before it.
    Nothing,
    /// It ends a word.
    Gap,
    /// It ends a word, and is none that could be told.
    Unknown,
}

/// A text as a part of a storage path: `Café über Łódź` becomes `cafe-uber-lodz`. Lower-case letters and digits of ASCII with
/// single hyphens between words, at most 60 characters, never empty, the same for the same text on every host. Where the
/// words don't tell all of the text, since it is longer or not in Latin letters, it ends with 8 digits of the text's SHA-256,
/// so that other texts still have other slugs.
pub fn slugify(text: &str) -> String {
    let (mut slug, mut is_whole, mut word_ended) = (String::new(), true, false);
    for c in text.chars() {
        match fold(c) {
            Folded::Letters(first, second) => {
                if word_ended && !slug.is_empty() {
                    slug.push('-');
                }
                word_ended = false;
                slug.push(first);
                slug.extend(second);
            }
            Folded::Nothing => {}
            Folded::Gap => word_ended = true,
            Folded::Unknown => (word_ended, is_whole) = (true, false),
        }
        if slug.len() > LONGEST {
            is_whole = false;
            break;
        }
    }
    if is_whole && !slug.is_empty() {
        return slug;
    }
    shorten(&mut slug);
    let digest = Sha256::digest(text.as_bytes());
    let separator = if slug.is_empty() { "" } else { "-" };
    let number = digest.iter().take(4).fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    format!("{slug}{separator}{number:08x}")
}

/// Leaves room for the hash, and no part of a word if there is a whole one.
fn shorten(slug: &mut String) {
    let room = LONGEST - HASH;
    if slug.len() <= room {
        return;
    }
    // Where the word after it begins with the first character that has no room, the last word is whole.
    let last_word = slug.get(..=room).and_then(|start| start.rfind(['-']));
    slug.truncate(last_word.unwrap_or(room));
}

fn fold(c: char) -> Folded {
    let code = u32::from(c);
    match code {
        0x27 | 0xAD | 0x2BC | 0x300..=0x36F | 0x2019 => Folded::Nothing, // apostrophes, a soft hyphen, accents
        0..=0x7F if c.is_ascii_alphanumeric() => Folded::Letters(c.to_ascii_lowercase(), None),
        // Signs of Latin-1, punctuation of all scripts and of Chinese and Japanese.
        0..=0xBF | 0x2000..=0x206F | 0x3000..=0x3003 | 0x3008..=0x3020 | 0xFF01 | 0xFF0C | 0xFF1F => Folded::Gap,
        0xC0..=0x24F => look_up(LATIN, code - 0xC0),
        0x1E00..=0x1EFF => look_up(LATIN_ADDITIONAL, code - 0x1E00),
        _ => Folded::Unknown,
    }
}

fn look_up(table: &[u8], index: u32) -> Folded {
    let letters = |first, second| Folded::Letters(first, Some(second));
    match table.get(index as usize) {
        Some(b'A') => letters('a', 'e'),
        Some(b'D') => letters('d', 'z'),
        Some(b'H') => letters('h', 'v'),
        Some(b'I') => letters('i', 'j'),
        Some(b'L') => letters('l', 'j'),
        Some(b'N') => letters('n', 'j'),
        Some(b'O') => letters('o', 'e'),
        Some(b'S') => letters('s', 's'),
        Some(b'T') => letters('t', 'h'),
        Some(b'U') => letters('o', 'u'),
        Some(b'-') => Folded::Gap,
        Some(letter) if letter.is_ascii_lowercase() => Folded::Letters(char::from(*letter), None),
        _ => Folded::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_tables_reach_as_far_as_they_say() {
        assert_eq!((LATIN.len(), LATIN_ADDITIONAL.len()), (0x250 - 0xC0, 0x100));
    }

    #[test]
    fn latin_letters_are_told_by_those_of_ascii() {
        for (text, slug) in [
            ("Café über Łódź", "cafe-uber-lodz"),
            ("Cafe\u{301} u\u{308}ber Łódź", "cafe-uber-lodz"),
            ("  A lighthouse, at DUSK -- 35 mm!  ", "a-lighthouse-at-dusk-35-mm"),
            ("It's the dog’s", "its-the-dogs"),
            ("Straße, Ærø, œuvre, þing, IJsland, ĳs", "strasse-aero-oeuvre-thing-ijsland-ijs"),
            ("Đặng Thị Ngọc Thịnh", "dang-thi-ngoc-thinh"),
            ("İstanbul ığdır ŞEKER", "istanbul-igdir-seker"),
            ("2×2÷4", "2-2-4"),
            ("ẞ ǅ Ǽ ſ", "ss-dz-ae-s"),
            ("../../etc/passwd", "etc-passwd"),
            ("a\0b\nc\\d%2Fe", "a-b-c-d-2fe"),
        ] {
            assert_eq!(slugify(text), slug, "{text}");
        }
    }

    #[test]
    fn what_the_words_leave_out_is_told_by_a_hash() {
        // printf '%s' '夜' | sha256sum
        for (text, slug) in [
            ("夜", "a519542a"),
            ("", "e3b0c442"),
            ("…!", "6e5a9ede"),
            ("Fuchs 🦊 im Schnee", "fuchs-im-schnee-c98e71e6"),
            ("Привет", "dd679c0b"),
        ] {
            assert_eq!(slugify(text), slug, "{text}");
        }
        assert_ne!(slugify("夜の海"), slugify("夜の山"));
    }

    #[test]
    fn a_long_text_keeps_its_first_words() {
        let sixty = "abcdefghi ".repeat(6);
        assert_eq!(slugify(&sixty), "abcdefghi-abcdefghi-abcdefghi-abcdefghi-abcdefghi-abcdefghi");
        let (one, other) = (slugify(&format!("{sixty}x")), slugify(&format!("{sixty}xy")));
        assert!(one.starts_with("abcdefghi-abcdefghi-abcdefghi-abcdefghi-abcdefghi-"), "{one}");
        assert!(one.len() == 49 + 9 && one[..50] == other[..50] && one != other, "{one} {other}");
        let word = slugify(&"ß".repeat(31));
        assert!(word.len() == 60 && word.starts_with(&"s".repeat(51)), "{word}");
    }

    proptest! {
        #[test]
        fn a_slug_is_a_plain_name_whatever_the_text(text in any::<String>()) {
            let slug = slugify(&text);
            prop_assert!((1..=LONGEST).contains(&slug.len()), "{slug}");
            prop_assert!(slug.split('-').all(|word| {
                !word.is_empty() && word.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
            }), "{slug}");
            prop_assert_eq!(&slug, &slugify(&text));
            prop_assert_eq!(slugify(&slug), slug, "a slug's slug is itself");
        }
    }
}
