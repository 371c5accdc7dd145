//! Which characters look like which: others of Unicode like those of ASCII, and those of ASCII like each other.

use unicode_security::confusable_detection::skeleton;

/// Characters beyond ASCII that look like the letter before them, and of which UTS #39 does not say so: it asks for
/// the same appearance, this table for one that passes at a glance.
const LOOKS_LIKE: &[(&str, &str)] = &[
    ("a", "ᴀᶏɐⱥᵃꬰәӛ"),
    ("b", "ʙᴃᵬᶀßвƅьꞗꮟ"),
    ("c", "ƈɕꞓꞔͼэє"),
    ("d", "ȡᴅᴆᵭᶁᶑժɖꝺ"),
    ("e", "əɘɛɜᴇⱸεέᶒⱻǝɚѐҿ"),
    ("f", "ꜰᵮᶂꝼϝ"),
    ("g", "ɢᶃʛꞡǵ"),
    ("h", "ʜɧⱨћнңҥӊӈђꜧƕ"),
    ("i", "ɪᶖꭵ"),
    ("j", "ʝᴊ"),
    ("k", "ĸᴋⱪᶄκкқҝҟҡԟӄꝁꝃꝅʞќϗ"),
    ("l", "ʟȴɬᶅⱡꝇꝉᴌ"),
    ("m", "ᴍɱɰмᶆᵯӎꬺ"),
    ("n", "ɴȵᶇᵰꞑꞥпҧлиѝйӣ"),
    ("o", "ᴑɔꝍфφ"),
    ("p", "ᴘᵱᶈꝑꝓꝕᴩ"),
    ("q", "ɋꝗꝙ"),
    ("r", "ʀɾɿᶉяꝛꞧꭆ"),
    ("s", "ƨȿᶊꞩʃ"),
    ("t", "ᴛтȶʈⱦτҭꞇ"),
    ("u", "ʉᶙцμ"),
    ("v", "ʌⱱⱴ"),
    ("w", "ʍⱳѿωώ"),
    ("x", "ᶍχҳӽӿжӂ"),
    ("y", "ʎλчӵҷҹ"),
    ("z", "ʑɀᶎʒȝӡзӟ"),
];

/// The ASCII, in lower case, that this character looks like: mostly one letter, of ligatures two, of a character
/// like none (`中`) none.
pub(super) fn looks_like(character: char) -> String {
    if character.is_ascii() {
        return character.to_ascii_lowercase().to_string();
    }
    if let Some((ascii, _)) = LOOKS_LIKE.iter().find(|(_, alike)| alike.contains(character)) {
        return (*ascii).to_owned();
    }
    let mut octets = [0; 4];
    // What is left beside ASCII are marks above and below, which pass at a glance.
    let plain = skeleton(character.encode_utf8(&mut octets)).filter(char::is_ascii_alphanumeric);
    // To UTS #39 an m is the same as r and n.
    plain.collect::<String>().to_ascii_lowercase().replace("rn", "m")
}

/// Pairs that differ little even to a reader who looks: digits for letters, and what a narrow font makes one.
const CLOSE: &[(u8, &[u8])] = &[
    (b'0', b"o"),
    (b'1', b"il"),
    (b'2', b"z"),
    (b'3', b"e"),
    (b'4', b"a"),
    (b'5', b"s"),
    (b'6', b"bg"),
    (b'7', b"t"),
    (b'8', b"b"),
    (b'9', b"gq"),
];

/// Pairs of like shape, which pass for each other inside a word that one knows.
const SIMILAR: &[(u8, &[u8])] = &[
    (b'c', b"eo"),
    (b'n', b"mrh"),
    (b'b', b"dh"),
    (b'g', b"qy"),
    (b'u', b"v"),
    (b'i', b"jl"),
    (b'f', b"t"),
    (b'v', b"wy"),
];

/// One letter and the two that look like it together; those that differ little first.
const TWO_FOR_ONE: &[(u8, [u8; 2], bool)] = &[
    (b'm', *b"rn", true),
    (b'w', *b"vv", true),
    (b'd', *b"cl", true),
    (b'w', *b"uu", false),
    (b'm', *b"nn", false),
    (b'm', *b"rr", false),
    (b'h', *b"lh", false),
    (b'h', *b"ih", false),
    (b'h', *b"1h", false),
    (b'b', *b"lb", false),
    (b'b', *b"ib", false),
    (b'b', *b"1b", false),
    (b'd', *b"dl", false),
    (b'd', *b"di", false),
    (b'k', *b"lk", false),
    (b'k', *b"ik", false),
    (b'k', *b"lc", false),
];

/// How alike two pieces look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    /// Different only to who looks closely.
    Close,
    /// The same at a glance.
    Similar,
}

/// How alike two different ASCII characters look.
pub(super) fn likeness(a: u8, b: u8) -> Option<Likeness> {
    let within = |table: &[(u8, &[u8])]| {
        table.iter().any(|(one, others)| (*one == a && others.contains(&b)) || (*one == b && others.contains(&a)))
    };
    match () {
        () if within(CLOSE) => Some(Likeness::Close),
        () if within(SIMILAR) => Some(Likeness::Similar),
        () => None,
    }
}

/// How alike one letter and two look.
pub(super) fn likeness_of_two(one: u8, two: [u8; 2]) -> Option<Likeness> {
    if !matches!(one, b'b' | b'd' | b'h' | b'k' | b'm' | b'w') {
        return None;
    }
    let found = TWO_FOR_ONE.iter().find(|(letter, pair, _)| *letter == one && *pair == two);
    found.map(|(_, _, close)| if *close { Likeness::Close } else { Likeness::Similar })
}

/// The letter under which a character is looked up: digits are the letters that they stand for, and `l` and `1`
/// are `i`.
pub(super) const fn light(base: u8) -> u8 {
    match base {
        b'0' => b'o',
        b'1' | b'l' => b'i',
        b'2' => b'z',
        b'3' => b'e',
        b'4' => b'a',
        b'5' => b's',
        b'6' | b'8' => b'b',
        b'7' => b't',
        b'9' => b'g',
        other => other,
    }
}

/// What is left of a text of [`light`] letters when all that look alike are made one: two texts that look alike
/// all over have the same shape, however many letters were exchanged. A doubled letter is one, as `nn` is `m`.
pub(super) fn shape(light: &[u8]) -> Vec<u8> {
    let mut shape: Vec<u8> = Vec::with_capacity(light.len());
    let mut rest = light;
    while let Some((&first, after)) = rest.split_first() {
        let (letter, taken) = match (first, after.first()) {
            // As many of them as there are: the `di` of a name may be `cli` in the other.
            (b'c' | b'd', Some(b'i')) => (b'b', 1 + after.iter().take_while(|letter| **letter == b'i').count()),
            (b'i', Some(b'b' | b'd')) => (b'b', 2),
            (b'i', Some(b'h')) => (b'h', 2),
            (b'i', Some(b'c' | b'k')) => (b'k', 2),
            (b'e', _) => (b'c', 1),
            (b'n' | b'r', _) => (b'm', 1),
            (b'd', _) => (b'b', 1),
            (b'q', _) => (b'g', 1),
            (b'v' | b'w', _) => (b'u', 1),
            (b'j', _) => (b'i', 1),
            (other, _) => (other, 1),
        };
        if shape.last() != Some(&letter) {
            shape.push(letter);
        }
        rest = rest.get(taken..).unwrap_or_default();
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_look_like_letters() {
        for (character, ascii) in [
            ('a', "a"),
            ('Q', "q"),
            ('é', "e"),
            ('ø', "o"),
            ('ł', "l"),
            ('а', "a"),
            ('ӏ', "l"),
            ('ṁ', "m"),
            ('æ', "ae"),
            ('ə', "e"),
            ('ʙ', "b"),
            ('ꞑ', "n"),
            ('ɡ', "g"),
            ('к', "k"),
            ('0', "0"),
            ('中', ""),
            ('\u{301}', ""),
        ] {
            assert_eq!(looks_like(character), ascii, "{character}");
        }
    }

    #[test]
    fn no_row_is_shadowed_by_another() {
        let all: Vec<char> = LOOKS_LIKE.iter().flat_map(|(_, alike)| alike.chars()).collect();
        let mut once = all.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(all.len(), once.len());
        assert!(all.iter().all(|c| !c.is_ascii()));
    }

    #[test]
    fn pairs_are_alike_in_either_direction() {
        assert_eq!((likeness(b'0', b'o'), likeness(b'o', b'0')), (Some(Likeness::Close), Some(Likeness::Close)));
        assert_eq!((likeness(b'e', b'c'), likeness(b'x', b'o')), (Some(Likeness::Similar), None));
        assert_eq!(likeness_of_two(b'm', *b"rn"), Some(Likeness::Close));
        assert_eq!(likeness_of_two(b'm', *b"nr"), None);
    }

    #[test]
    fn what_looks_alike_has_one_shape() {
        let of = |text: &str| shape(&text.bytes().map(light).collect::<Vec<_>>());
        for (one, other) in [
            ("modern", "modem"),
            ("rnoney", "money"),
            ("wave", "vvave"),
            ("clear", "dear"),
            ("mlhs", "nhs"),
            ("cylbersccai", "cybersecai"),
            ("g1thud", "github"),
            ("aqcntpass", "agentpass"),
            ("kite", "lkite"),
            ("linkedin", "linkeclin"),
            ("candid", "canclid"),
        ] {
            assert_eq!(of(one), of(other), "{one} {other}");
        }
        assert_ne!(of("paypal"), of("paypel"));
        assert_eq!(of(""), b"");
    }
}
