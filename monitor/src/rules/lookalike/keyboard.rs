//! Which keys lie next to each other.

/// The rows of the usual layouts, from the left; each row sits a little to the right of the one above.
const LAYOUTS: [[&[u8]; 4]; 3] = [
    [b"1234567890", b"qwertyuiop", b"asdfghjkl", b"zxcvbnm"],
    [b"1234567890", b"qwertzuiop", b"asdfghjkl", b"yxcvbnm"],
    [b"1234567890", b"azertyuiop", b"qsdfghjklm", b"wxcvbn"],
];

/// For each key a bit for each of its neighbours on any of the layouts.
static NEIGHBOURS: [u64; KEYS] = neighbours();

const KEYS: usize = 36;

/// The place of a letter or digit among the keys.
const fn key(character: u8) -> Option<usize> {
    match character {
        b'a'..=b'z' => Some((character - b'a') as usize),
        b'0'..=b'9' => Some((character - b'0') as usize + 26),
        _ => None,
    }
}

/// Whether a finger that wants the one may hit the other.
pub(super) fn are_neighbours(a: u8, b: u8) -> bool {
    let (Some(a), Some(b)) = (key(a), key(b)) else { return false };
    NEIGHBOURS.get(a).is_some_and(|bits| bits >> b & 1 == 1)
}

const fn neighbours() -> [u64; KEYS] {
    let mut found = [0; KEYS];
    let mut layout = 0;
    while layout < LAYOUTS.len() {
        let mut row = 0;
        while row < 4 {
            let keys = LAYOUTS[layout][row];
            let mut column = 0;
            while column < keys.len() {
                if column + 1 < keys.len() {
                    found = join(found, keys[column], keys[column + 1]);
                }
                if row + 1 < 4 {
                    // Below a key are the one in its column and the one to the left of that.
                    let below = LAYOUTS[layout][row + 1];
                    if column < below.len() {
                        found = join(found, keys[column], below[column]);
                    }
                    if column > 0 && column <= below.len() {
                        found = join(found, keys[column], below[column - 1]);
                    }
                }
                column += 1;
            }
            row += 1;
        }
        layout += 1;
    }
    found
}

const fn join(mut found: [u64; KEYS], a: u8, b: u8) -> [u64; KEYS] {
    if let (Some(a), Some(b)) = (key(a), key(b)) {
        found[a] |= 1 << b;
        found[b] |= 1 << a;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_neighbours_on_each_layout() {
        for (a, b) in ["as", "qw", "aq", "gt", "gy", "p0", "o9", "2q", "2w", "nj", "zt", "ym", "az", "ml"].map(pair) {
            let expected = !matches!((a, b), (b'y', b'm'));
            assert_eq!(
                (are_neighbours(a, b), are_neighbours(b, a)),
                (expected, expected),
                "{}{}",
                a as char,
                b as char
            );
        }
        assert!(!are_neighbours(b'a', b'a') && !are_neighbours(b'a', b'l') && !are_neighbours(b'-', b'p'));
    }

    fn pair(text: &str) -> (u8, u8) {
        (text.as_bytes()[0], text.as_bytes()[1])
    }
}
