//! The cheapest way from one text to another, trick by trick.

use std::sync::LazyLock;

use super::finding::{Family, Trick};
use super::glyphs::{Likeness, likeness, likeness_of_two};
use super::keyboard::are_neighbours;
use super::text::{NO_LETTER, Part, Sign};

/// A way that is longer than this many signs up or down leads nowhere worth knowing.
const BAND: usize = 6;

/// No way.
const FAR: i32 = i32::MAX / 2;

/// What a second slip takes on top, and each after it: few make two to look like somebody else, nobody makes three.
const SECOND_SLIP: i32 = 120;
/// The same where after both the name is still said alike, or nearly.
const SECOND_SLIGHT_SLIP: i32 = 70;
const FURTHER_SLIP: i32 = 200;

/// One trick on the way, and the signs on both sides that it is about, as ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) trick: Trick,
    pub(super) watched: (usize, usize),
    pub(super) seen: (usize, usize),
}

/// A way from one text to another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) edits: Vec<Edit>,
}

impl Way {
    /// What it takes, in tenths of a bit: each trick its own, further ones of a look less, for to exchange one
    /// letter for its look-alike or all of them is one idea, and further slips more.
    pub(super) fn costs(&self) -> impl Iterator<Item = i32> {
        let (mut foreign, mut looks, mut slips, mut doubled, mut slight) = (0, 0, 0, false, true);
        self.edits.iter().map(move |edit| {
            let bits = edit.trick.bits();
            match (edit.trick, edit.trick.family()) {
                (Trick::Foreign, _) => {
                    foreign += 1;
                    if foreign > 1 { bits / 3 } else { bits }
                }
                (Trick::Hyphen, _) => bits,
                (_, Family::Look) => {
                    looks += 1;
                    if looks > 1 { bits / 2 } else { bits }
                }
                // A letter three or four times is one slip of a finger that rests.
                (Trick::Repetition, _) if std::mem::replace(&mut doubled, true) => bits / 2,
                _ => {
                    slips += 1;
                    slight &= matches!(edit.trick, Trick::Repetition | Trick::Vowel | Trick::Sound);
                    let second = if slight { SECOND_SLIGHT_SLIP } else { SECOND_SLIP };
                    bits + [0, 0, second].get(slips).copied().unwrap_or(FURTHER_SLIP)
                }
            }
        })
    }
}

/// The cheapest way from `watched` to `seen`, hyphens aside; `None` where each takes more than `limit`.
pub(super) fn align(watched: Part<'_>, seen: Part<'_>, limit: i32) -> Option<Way> {
    let (w, s) = (watched.signs, seen.signs);
    if w.len().abs_diff(s.len()) > BAND {
        return None;
    }
    // What is the same at both ends stays as it is, but for a sign that may be half of a look-alike (`lh` for
    // `h`); mostly little is left between.
    let head = w.iter().zip(s).take_while(|(w, s)| w == s).count().saturating_sub(1);
    let tail = w.iter().rev().zip(s.iter().rev()).take_while(|(w, s)| w == s).count().saturating_sub(1);
    let tail = tail.min(w.len().min(s.len()) - head);
    let (w_end, s_end) = (w.len() - tail, s.len() - tail);
    let mut table = Table::new(head, s_end);
    for i in head..=w_end {
        let (from, to) = (head.max(i.saturating_sub(BAND)), (i + BAND).min(s_end));
        table.pad(i, from);
        for j in from..=to {
            let mut cost = if i == head && j == head { 0 } else { FAR };
            for step in steps(w, s, i, j).into_iter().flatten() {
                cost = cost.min(table.before(i, j, step).saturating_add(step.cost()));
            }
            table.costs.push(cost);
        }
        table.pad(i, s_end + 1);
        // A step may pass over one row, and none makes a way shorter.
        if table.least(i) > limit && i > head && table.least(i - 1) > limit {
            return None;
        }
    }
    if table.at(w_end, s_end) > limit {
        return None;
    }
    let mut way = Way::default();
    let (mut i, mut j) = (w_end, s_end);
    while (i, j) != (head, head) {
        let cost = table.at(i, j);
        let mut steps = steps(w, s, i, j).into_iter().flatten();
        let step = steps.find(|step| table.before(i, j, *step).saturating_add(step.cost()) == cost)?;
        let (before_i, before_j) = (i.checked_sub(step.watched())?, j.checked_sub(step.seen())?);
        if let Some(trick) = step.trick {
            way.edits.push(Edit { trick, watched: (before_i, i), seen: (before_j, j) });
        }
        (i, j) = (before_i, before_j);
    }
    way.edits.reverse();
    Some(way)
}

/// The cheapest costs so far: rows for the signs of the watched text, columns for those of the seen one, both
/// from where they begin to differ.
struct Table {
    head: usize,
    width: usize,
    costs: Vec<i32>,
}

impl Table {
    fn new(head: usize, s_end: usize) -> Self {
        let width = s_end - head + 1;
        Self { head, width, costs: Vec::with_capacity(4 * width) }
    }

    /// Fills the row of `i` up to the column of `j`.
    fn pad(&mut self, i: usize, j: usize) {
        self.costs.resize((i - self.head) * self.width + j - self.head, FAR);
    }

    fn at(&self, i: usize, j: usize) -> i32 {
        let (Some(i), Some(j)) = (i.checked_sub(self.head), j.checked_sub(self.head)) else { return FAR };
        if j < self.width { self.costs.get(i * self.width + j).copied().unwrap_or(FAR) } else { FAR }
    }

    /// The cost of where a step comes from.
    fn before(&self, i: usize, j: usize, step: Last) -> i32 {
        match (i.checked_sub(step.watched()), j.checked_sub(step.seen())) {
            (Some(i), Some(j)) => self.at(i, j),
            _ => FAR,
        }
    }

    /// The least cost in a row.
    fn least(&self, i: usize) -> i32 {
        let start = (i - self.head) * self.width;
        self.costs.get(start..start + self.width).and_then(|row| row.iter().min()).copied().unwrap_or(FAR)
    }
}

/// A last step of a way: so many signs on either side, and by which trick, if by any.
#[derive(Clone, Copy)]
struct Last {
    signs: (u8, u8),
    trick: Option<Trick>,
}

impl Last {
    fn watched(&self) -> usize {
        self.signs.0.into()
    }

    fn seen(&self) -> usize {
        self.signs.1.into()
    }

    fn cost(&self) -> i32 {
        self.trick.map_or(0, Trick::bits)
    }
}

/// The steps that may be the last ones to `i` signs of the watched text and `j` of the seen one.
fn steps(w: &[Sign], s: &[Sign], i: usize, j: usize) -> [Option<Last>; 6] {
    let last = |watched, seen, trick| Last { signs: (watched, seen), trick };
    let behind = |signs: &[Sign], n: usize, back: usize| n.checked_sub(back).and_then(|n| signs.get(n)).copied();
    let (w1, w2, s1, s2) = (behind(w, i, 1), behind(w, i, 2), behind(s, j, 1), behind(s, j, 2));
    let one_for_one = w1.zip(s1).map(|(w, s)| last(1, 1, exchange(w, s)));
    let is = |beside: Option<Sign>, base: u8| beside.is_some_and(|beside| beside.base == base);
    let omitted = w1.map(|gone| {
        let doubled = is(w2, gone.base) || is(w.get(i).copied(), gone.base);
        last(1, 0, Some(if doubled { Trick::Repetition } else { Trick::Omission }))
    });
    let put_in = s1.map(|new| {
        let (before, after) = (s2, s.get(j).copied());
        let near = |beside: Option<Sign>| beside.is_some_and(|beside| are_neighbours(beside.base, new.base));
        let trick = if is(before, new.base) || is(after, new.base) {
            Trick::Repetition
        } else if near(before) || near(after) {
            Trick::Insertion
        } else if j == s.len() {
            Trick::Appended
        } else {
            Trick::Addition
        };
        last(0, 1, Some(trick))
    });
    let (mut crossed, mut two_for_one, mut one_for_two) = (None, None, None);
    if let (Some(w1), Some(w2), Some(s1), Some(s2)) = (w1, w2, s1, s2)
        && (w1.base, w2.base) == (s2.base, s1.base)
        && w1.base != w2.base
    {
        crossed = Some(last(2, 2, Some(Trick::Transposition)));
    }
    if let (Some(one), Some(first), Some(second)) = (w1, s2, s1) {
        two_for_one = look(one, first, second).map(|trick| last(1, 2, Some(trick)));
    }
    if let (Some(one), Some(first), Some(second)) = (s1, w2, w1) {
        one_for_two = look(one, first, second).map(|trick| last(2, 1, Some(trick)));
    }
    [one_for_one, crossed, two_for_one, one_for_two, omitted, put_in]
}

/// The trick by which one sign becomes two.
fn look(one: Sign, first: Sign, second: Sign) -> Option<Trick> {
    match likeness_of_two(one.base, [first.base, second.base])? {
        Likeness::Close => Some(Trick::Glyph),
        Likeness::Similar => Some(Trick::Shape),
    }
}

/// The trick by which one sign becomes another, none where they are the same.
fn exchange(w: Sign, s: Sign) -> Option<Trick> {
    match (w.seen == s.seen, w.base == s.base) {
        (true, _) => None,
        (false, true) if w.base.is_ascii_alphanumeric() => Some(Trick::Foreign),
        _ => EXCHANGES.get(letter(w.base)).and_then(|row| row.get(letter(s.base))).copied(),
    }
}

/// Letters, digits, and one for whatever else.
const LETTERS: usize = 37;

const fn letter(base: u8) -> usize {
    match base {
        b'a'..=b'z' => (base - b'a') as usize,
        b'0'..=b'9' => (base - b'0') as usize + 26,
        _ => LETTERS - 1,
    }
}

/// The trick for each pair of letters, worked out once: most of the work is to look them up.
static EXCHANGES: LazyLock<[[Trick; LETTERS]; LETTERS]> = LazyLock::new(|| {
    let bases: Vec<u8> = (b'a'..=b'z').chain(b'0'..=b'9').chain([NO_LETTER]).collect();
    let of = |n: usize| bases.get(n).copied().unwrap_or(NO_LETTER);
    std::array::from_fn(|w| std::array::from_fn(|s| exchange_of_letters(of(w), of(s))))
});

fn exchange_of_letters(w: u8, s: u8) -> Trick {
    match likeness(w, s) {
        _ if w == NO_LETTER || s == NO_LETTER => Trick::Replacement,
        Some(Likeness::Close) => Trick::Glyph,
        Some(Likeness::Similar) => Trick::Shape,
        None if is_vowel(w) && is_vowel(s) => Trick::Vowel,
        None if are_said_alike(w, s) => Trick::Sound,
        None if are_neighbours(w, s) => Trick::Key,
        None if (w ^ s).count_ones() == 1 => Trick::Bit,
        None => Trick::Replacement,
    }
}

const fn is_vowel(letter: u8) -> bool {
    matches!(letter, b'a' | b'e' | b'i' | b'o' | b'u')
}

/// Whether two letters stand for one sound somewhere.
fn are_said_alike(a: u8, b: u8) -> bool {
    const ALIKE: [&[u8; 2]; 10] = [b"ck", b"cs", b"sz", b"iy", b"kq", b"fv", b"gj", b"vw", b"ey", b"dt"];
    ALIKE.iter().any(|pair| **pair == [a, b] || **pair == [b, a])
}

#[cfg(test)]
mod tests {
    use super::super::text::Text;
    use super::*;
    use proptest::prelude::*;

    fn way(watched: &str, seen: &str) -> Option<Vec<Trick>> {
        let (watched, seen) = (Text::of([watched].into_iter()), Text::of([seen].into_iter()));
        let way = align(watched.whole(), seen.whole(), 400)?;
        Some(way.edits.iter().map(|edit| edit.trick).collect())
    }

    fn cost(watched: &str, seen: &str) -> Option<i32> {
        let (watched, seen) = (Text::of([watched].into_iter()), Text::of([seen].into_iter()));
        align(watched.whole(), seen.whole(), 400).map(|way| way.costs().sum())
    }

    #[test]
    fn names_the_trick() {
        use Trick::*;
        for (watched, seen, tricks) in [
            ("paypal", "paypal", vec![]),
            ("paypal", "paypa1", vec![Glyph]),
            ("modern", "rnodern", vec![Glyph]),
            ("rnodern", "modern", vec![Glyph]),
            ("wave", "vvave", vec![Glyph]),
            ("cybersecai", "cybcrsccai", vec![Shape, Shape]),
            ("nhs", "mlhs", vec![Shape, Shape]),
            ("paypal", "xn--80aa0cbo65f", vec![Foreign; 6]),
            ("xn--mnchen-3ya", "munchen", vec![Foreign]),
            ("paypal", "papyal", vec![Transposition]),
            ("paypal", "payppal", vec![Repetition]),
            ("github", "gthub", vec![Omission]),
            ("coffee", "cofee", vec![Repetition]),
            ("github", "gqithub", vec![Addition]),
            ("github", "githubw", vec![Appended]),
            ("github", "gjthub", vec![Shape]),
            ("github", "ghithub", vec![Insertion]),
            ("github", "githib", vec![Vowel]),
            ("github", "gityub", vec![Key]),
            ("anthropic", "anthropik", vec![Sound]),
            ("stripe", "rtripe", vec![Bit]),
            ("stripe", "strixe", vec![Bit]),
            ("stripe", "strike", vec![Replacement]),
            ("stripe", "srtip", vec![Transposition, Omission]),
        ] {
            assert_eq!(way(watched, seen), Some(tricks), "{watched} {seen}");
        }
        assert_eq!((way("paypal", "bxcdfgjz"), way("ab", "abcdefghijk")), (None, None));
    }

    #[test]
    fn many_looks_are_one_idea_and_many_slips_are_not() {
        assert_eq!((cost("anthropic", "anthr0pic"), cost("anthropic", "4n7hr0p1c")), (Some(30), Some(30 + 3 * 15)));
        assert_eq!((cost("anthropic", "antropic"), cost("anthropic", "atropic")), (Some(60), Some(60 + 60 + 120)));
    }

    proptest! {
        #[test]
        fn the_way_there_is_no_longer_than_the_way_back(a in "[a-z0-9]{1,9}", b in "[a-z0-9]{1,9}") {
            // But for letters put in, which there are more of than letters to leave out.
            use Trick::{Addition, Appended, Insertion, Omission, Repetition};
            if let (Some(there), Some(back)) = (way(&a, &b), way(&b, &a)) {
                let is_longer = |t: &Trick| matches!(t, Omission | Addition | Appended | Insertion | Repetition);
                let longer = there.iter().chain(&back).any(is_longer);
                prop_assert!(longer || cost(&a, &b) == cost(&b, &a), "{there:?} {back:?}");
            }
        }

        #[test]
        fn a_limit_takes_away_what_is_above_and_nothing_else(a in "[a-d]{1,7}", b in "[a-d]{1,7}", limit in 0_i32..300) {
            let (a, b) = (Text::of([a.as_str()].into_iter()), Text::of([b.as_str()].into_iter()));
            let plain = |way: &Way| way.edits.iter().map(|edit| edit.trick.bits()).sum::<i32>();
            let free = align(a.whole(), b.whole(), FAR - 1).unwrap();
            match align(a.whole(), b.whole(), limit) {
                Some(way) => prop_assert_eq!((plain(&way), plain(&way) <= limit), (plain(&free), true)),
                None => prop_assert!(plain(&free) > limit),
            }
        }

        #[test]
        fn no_text_is_too_strange(a in ".{0,70}", b in ".{0,70}") {
            let _ = (way(&a, &b), cost(&b, &a));
        }
    }
}
