//! How a name sounds, roughly and in more than one language.

/// The longest spellings first, where one begins another.
const SPELLINGS: &[(&[u8], &[u8])] = &[
    (b"tsch", b"C"),
    (b"sch", b"S"),
    (b"eigh", b"I"),
    (b"igh", b"I"),
    (b"eye", b"I"),
    (b"aye", b"I"),
    (b"dge", b"J"),
    (b"tch", b"C"),
    (b"ch", b"C"),
    (b"sh", b"S"),
    (b"ph", b"f"),
    (b"th", b"t"),
    (b"gh", b"g"),
    (b"wh", b"w"),
    (b"rh", b"r"),
    (b"ck", b"k"),
    (b"qu", b"kw"),
    (b"oi", b"Y"),
    (b"oy", b"Y"),
    (b"eu", b"Y"),
    (b"ai", b"I"),
    (b"ay", b"I"),
    (b"ei", b"I"),
    (b"ey", b"I"),
    (b"ie", b"I"),
    (b"ee", b"I"),
    (b"ea", b"I"),
    (b"oo", b"u"),
    (b"ou", b"u"),
    (b"oa", b"o"),
    (b"au", b"o"),
    (b"aw", b"o"),
    (b"ce", b"se"),
    (b"ci", b"sI"),
    (b"cy", b"sI"),
    (b"ge", b"Je"),
    (b"gi", b"JI"),
    (b"gy", b"JI"),
    (b"x", b"ks"),
    (b"c", b"k"),
    (b"q", b"k"),
    (b"j", b"J"),
    (b"z", b"s"),
    (b"v", b"f"),
    (b"i", b"I"),
    (b"y", b"I"),
];

/// A text in which what sounds alike is spelled alike: no doubled letters, no silent `e` at the end. Two texts
/// with the same one can be taken for each other by ear.
pub(super) fn sound(text: &[u8]) -> Vec<u8> {
    let text = match text.split_last() {
        // Not the one of `eye`, which sounds together with what is before it.
        Some((b'e', before)) if before.len() > 2 && !before.ends_with(b"y") => before,
        _ => text,
    };
    let mut sound: Vec<u8> = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let known =
            SPELLINGS.iter().find(|(spelling, _)| spelling.first() == Some(first) && rest.starts_with(spelling));
        let (said, next) = match known {
            Some((spelling, said)) => (*said, rest.get(spelling.len()..).unwrap_or_default()),
            None => (std::slice::from_ref(first), after),
        };
        for letter in said {
            if sound.last() != Some(letter) {
                sound.push(*letter);
            }
        }
        rest = next;
    }
    sound
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sounds_alike_is_spelled_alike() {
        for (one, other) in [
            ("openai", "openeye"),
            ("stripe", "stryp"),
            ("deutsche", "doitsche"),
            ("cybersecai", "sybersecaye"),
            ("anthropic", "anthropick"),
            ("anthropic", "antropik"),
            ("github", "gytthub"),
            ("phone", "fone"),
            ("light", "lite"),
            ("quick", "kwik"),
            ("fox", "focks"),
            ("agent", "ajent"),
        ] {
            assert_eq!(sound(one.as_bytes()), sound(other.as_bytes()), "{one} {other}");
        }
        for (one, other) in [("stripe", "strap"), ("paypal", "people"), ("bank", "bunk")] {
            assert_ne!(sound(one.as_bytes()), sound(other.as_bytes()), "{one} {other}");
        }
    }
}
