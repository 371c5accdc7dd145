//! Each class by its examples, and what holds for all names.

use proptest::prelude::*;

use super::*;

fn name(text: &str) -> Name {
    Name::parse(text).unwrap_or_else(|e| panic!("{e}"))
}

fn judge(watched: &str, candidate: &str) -> Verdict {
    Watchlist::new([name(watched)], []).unwrap().judge(&name(candidate), Score::LEAST)
}

fn finding(watched: &str, candidate: &str) -> Option<Finding> {
    match judge(watched, candidate) {
        Verdict::Lookalike(finding) => Some(finding),
        _ => None,
    }
}

/// Asserts that each of these imitates `watched` by this trick, and is an alert.
fn alerts(class: Class, watched: &str, candidates: &[&str]) {
    for candidate in candidates {
        let Some(found) = finding(watched, candidate) else { panic!("{candidate} is not found") };
        assert_eq!((found.class, found.watched.as_str()), (class, watched), "{candidate}: {found:?}");
        assert!(found.score() >= Score::ALERT, "{candidate}: {found:?}");
    }
}

/// Asserts that none of these is an alert.
fn is_quiet(watched: &str, candidates: &[&str]) {
    for candidate in candidates {
        let found = finding(watched, candidate);
        assert!(found.as_ref().is_none_or(|found| found.score() < Score::ALERT), "{candidate}: {found:?}");
    }
}

#[test]
fn the_drafts_example_is_an_alert() {
    alerts(Class::Hyphenation, "cybersecai.co.uk", &["cybersec-ai.co.uk", "cyber-sec-ai.co.uk"]);
}

#[test]
fn another_suffix() {
    alerts(
        Class::TldSwap,
        "agentpass.co.uk",
        &["agentpass.com", "agentpass.uk", "agentpass.github.io", "agentpass.zzz"],
    );
    alerts(Class::TldSwap, "agents.bank.example", &["agents.bank.com", "bank.com"]);
    alerts(Class::TldSwap, "nhs.uk", &["nhs.org"]);
}

#[test]
fn letters_that_look_alike() {
    let foreign = ["xn--80aa0cbo65f.com", "xn--pypal-4ve.com", "xn--pypl-53dc.com", "xn--paypa-b6a.net"];
    alerts(Class::Homoglyph, "paypal.com", &foreign);
    alerts(Class::Homoglyph, "paypal.com", &["paypa1.com", "p4yp4l.com", "paypai.com", "paypa1.org"]);
    alerts(Class::Homoglyph, "modern-money.com", &["rnodern-rnoney.com", "modem-money.com", "modern-m0ney.com"]);
    alerts(Class::Homoglyph, "wave.io", &["vvave.io", "wavc.io"]);
    alerts(Class::Homoglyph, "clear.io", &["dear.io"]);
    // The other way round: the watched one is the one with the mark on it.
    alerts(Class::Homoglyph, "xn--mnchen-3ya.de", &["munchen.de"]);
}

#[test]
fn slips_of_a_finger() {
    alerts(Class::Transposition, "stripe.com", &["srtipe.com", "stirpe.com", "stirpe.net"]);
    alerts(Class::Repetition, "stripe.com", &["sstripe.com", "strippe.com", "stripeee.com"]);
    alerts(Class::Repetition, "coffee.com", &["cofee.com"]);
    alerts(Class::Omission, "stripe.com", &["stripe.com".replace("tr", "t").as_str(), "tripe.com"]);
    alerts(Class::Insertion, "stripe.com", &["strtipe.com", "stripes.com", "stripe7.com", "strzipe.com"]);
    alerts(
        Class::Replacement,
        "stripe.com",
        &["atripe.com", "strupe.com".replace('u', "o").replace('o', "k").as_str()],
    );
    alerts(Class::VowelSwap, "stripe.com", &["strepe.com", "stripa.com"]);
    alerts(Class::Bitsquatting, "stripe.com", &["rtripe.com", "strixe.com"]);
}

#[test]
fn two_slips_in_a_long_name() {
    alerts(Class::Transposition, "cybersecai.co.uk", &["cyversecia.co.uk"]);
    is_quiet("stripe.com", &["strobe.com", "swipe.com", "swipe.to", "stroke.com"]);
}

#[test]
fn spelled_otherwise() {
    alerts(Class::SoundAlike, "openai.com", &["openeye.com", "openay.com"]);
    alerts(Class::SoundAlike, "anthropic.com", &["anthropik.com"]);
    alerts(Class::SoundAlike, "deutsche-bank.de", &["doitsche-bank.de"]);
}

#[test]
fn words_that_pretend_to_belong() {
    let joined = ["paypallogin.com", "mypaypal.com", "securepaypallogin.com", "paypalmcp.com", "a2apaypal.com"];
    alerts(Class::Combosquat, "paypal.com", &joined);
    let apart =
        ["paypal-login.com", "agent-paypal.com", "my-paypal-account.net", "paypa1-agents.com", "payal-login.com"];
    alerts(Class::Combosquat, "paypal.com", &apart);
    alerts(Class::Combosquat, "nhs.uk", &["nhs-login.uk", "nhstrust.uk"]);
    // Between hyphens among words that nobody knows; and in the middle of them only what is long.
    alerts(Class::Combosquat, "paypal.com", &["the-paypal-zebra.com"]);
    alerts(Class::Combosquat, "anthropic.com", &["zebraanthropiczebra.com"]);
    is_quiet("stripe.com", &["greystripe.com", "zebrastripesuit.com"]);
    // A word that everybody uses is nobody's.
    is_quiet("cloud.com", &["cloud-login.net", "mycloud.org", "cloudbank.com"]);
}

#[test]
fn look_alike_letters_beside_words() {
    for (watched, candidates) in [
        ("microsoft.com", &["rnicrosoft-login.com", "rnicrosoftlogin.com", "secure-rnicrosoft.net"][..]),
        ("amazon.com", &["arnazon-agent.com", "annazon-agent.com"]),
        ("commerzbank.de", &["cornrnerzbank-login.de"]),
        ("dropbox.com", &["clropbox-login.com"]),
        ("linkedin.com", &["linkeclinauth.com"]),
        ("wise.com", &["vvise-login.com", "w1se-verify.com"]),
    ] {
        alerts(Class::Combosquat, watched, candidates);
    }
    for (watched, candidates) in [
        ("microsoft.com", &["rnicrosoft.secure-login.com", "rnicrosoft.com.evil-verify.io"][..]),
        ("wellsfargo.com", &["vvellsfargo.secure-login.com", "vvellsfargo-id.secure-login.com"]),
        ("barclays.co.uk", &["barc1ays.co.uk.zebra.io", "barcllays.co.uk.zebra.io"]),
    ] {
        alerts(Class::BrandSubdomain, watched, candidates);
    }
}

#[test]
fn words_of_the_back_office_and_numbers() {
    let words = ["adminstripe.com", "stripeadmin.com", "stripe-payroll.net", "stripehq.com", "stripe-disputes.com"];
    alerts(Class::Combosquat, "stripe.com", &words);
    let numbers = ["paypal2026.com", "paypal365.com", "24paypal.com", "paypal-7.com", "paypal2026-login.com"];
    alerts(Class::Combosquat, "paypal.com", &numbers);
    // One digit may be a slip; of a short name a number leaves too little.
    alerts(Class::Insertion, "paypal.com", &["paypal1.com"]);
    is_quiet("ing.nl", &["ing24.com", "ing2000.org"]);
}

#[test]
fn short_names_set_apart() {
    alerts(Class::Combosquat, "visa.com", &["visa-login.net", "login-visa.io", "visa-secure-login.net"]);
    alerts(Class::Combosquat, "ikea.com", &["ikea-pay.io"]);
    for (watched, candidates) in [
        ("o2.co.uk", &["o2.co.uk.agents-registry.io", "www.o2.co.uk-id.net"][..]),
        ("ups.com", &["portal.ups.com-id.net", "ups.com.zebra.org"]),
        ("bp.com", &["bp.com.zebra.org"]),
        ("stripe.com", &["str1pe.com-login.net"]),
    ] {
        alerts(Class::BrandSubdomain, watched, candidates);
    }
    // Joined, or of three letters and without the suffix, it is another name.
    is_quiet("visa.com", &["visalogin.net", "televisa-pay.com"]);
    is_quiet("ups.com", &["ups-login.net", "groups-login.net", "ups.my-zebra.com"]);
    // Another suffix that begins as the watched one stands in front of nobody.
    is_quiet("hp.com", &["hp.com.sg", "www.hp.com.sg"]);
    is_quiet("t.co", &["t.co.zebra.org", "www.t.co.uk"]);
}

#[test]
fn names_of_their_own_that_are_merely_near() {
    for (watched, candidates) in [
        // Words of everyday language, a slip away.
        ("booking.com", &["cooking.com", "looking.com"][..]),
        ("slack.com", &["stack.com", "black.com", "snack.com"]),
        ("binance.com", &["finance.com"]),
        ("notion.com", &["motion.com", "nation.com", "lotion.com"]),
        ("docker.com", &["locker.com"]),
        // Two letters that are not alike.
        ("spotify.com", &["storify.com"]),
        ("salesforce.com", &["salesmore.pl"]),
        ("wikipedia.org", &["wikiweedia.org"]),
        ("mastercard.com", &["masterword.com"]),
        ("webmoney.ru", &["webzone.ru"]),
        ("acrobat.com", &["arcoat.com"]),
        // One, of a name that has few.
        ("bosch.com", &["bosco.com"]),
        ("monzo.com", &["gonzo.com"]),
    ] {
        is_quiet(watched, candidates);
    }
    // What only looks like a word, another form of the name itself, and words with more than a slip are alerts still.
    alerts(Class::Homoglyph, "modern.com", &["modem.com"]);
    alerts(Class::Insertion, "stripe.com", &["stripes.com", "striper.com"]);
    alerts(Class::Replacement, "cooking.com", &["cpoking.com"]);
}

#[test]
fn parts_in_another_order() {
    alerts(Class::WordSwap, "paypal.com", &["palpay.com", "pal-pay.com"]);
    alerts(Class::WordSwap, "deutsche-bank.de", &["bank-deutsche.de", "bankdeutsche.de"]);
}

#[test]
fn dots_elsewhere() {
    alerts(Class::DotShift, "github.com", &["git.hub.com", "g.ithub.com", "githu.b.com"]);
    alerts(Class::DotShift, "openai.com", &["open.ai"]);
    alerts(Class::DotShift, "bank.example.com", &["bankexample.com", "bank-example.com", "ban.kexample.com"]);
    alerts(Class::DotShift, "hsbc.co.uk", &["hsbcco.uk"]);
    alerts(Class::SuffixInLabel, "stripe.com", &["stripecom.com", "stripe-com.net", "stripecom-login.net"]);
    alerts(Class::SuffixInLabel, "nhs.uk", &["nhs-uk.com"]);
}

#[test]
fn the_name_in_front_of_anothers() {
    for candidate in [
        "stripe.com.verify-agent.net",
        "stripe-com.agents-login.com",
        "stripe.secure-gateway.io",
        "stripe.com.zebra.org",
        "www.stripe.com.zebra.org",
        "str1pe.com.zebra.org",
        "stripe.com.co.zebra.org",
        "stripe-login.secure-gateway.io",
    ] {
        alerts_in_front(candidate);
    }
}

fn alerts_in_front(candidate: &str) {
    alerts(Class::BrandSubdomain, "stripe.com", &[candidate]);
}

#[test]
fn the_best_of_several_is_named() {
    let list =
        Watchlist::new(["paypal.com", "paypol.com", "bank.example.com", "cloud.example.org"].map(name), []).unwrap();
    let best = |candidate: &str| match list.judge(&name(candidate), Score::ALERT) {
        Verdict::Lookalike(finding) => finding.watched,
        other => panic!("{candidate}: {other:?}"),
    };
    assert_eq!(best("paypa1.com"), "paypal.com");
    assert_eq!(best("paypo1.com"), "paypol.com");
    assert_eq!(best("bank.examp1e.com"), "bank.example.com");
    assert_eq!(best("cloud.examp1e.org"), "cloud.example.org");
}

#[test]
fn what_is_below_the_least_score_is_not_found() {
    let list = Watchlist::new([name("paypal.com")], []).unwrap();
    let score = finding("paypal.com", "paypa1.com").unwrap().score().get();
    let at = |least: u8| list.judge(&name("paypa1.com"), Score::new(least).unwrap());
    assert!(matches!(at(score), Verdict::Lookalike(_)));
    assert_eq!((at(score + 1), at(100)), (Verdict::Clear, Verdict::Clear));
}

#[test]
fn a_list_of_nothing_finds_nothing() {
    let list = Watchlist::new([], [name("example.com")]).unwrap();
    assert_eq!(list.judge(&name("paypal.com"), Score::LEAST), Verdict::Clear);
    assert_eq!(list.judge(&name("a.example.com"), Score::LEAST), Verdict::Allowed("example.com".into()));
}

#[test]
fn names_as_long_as_may_be() {
    let label = "a".repeat(63);
    let long = [label.as_str(), &label, &label, &"b".repeat(61)].join(".");
    assert!(matches!(judge(&long, &long), Verdict::Watched(_)));
    let near = format!("{}x.com", "ab".repeat(31));
    assert!(finding(&format!("{}.com", "ab".repeat(31)), &near).is_some());
    let _ = (judge(&long, &near), judge("paypal.com", &long), judge(&long, "paypal.com"));
}

/// A label of a domain name.
fn label() -> impl Strategy<Value = String> {
    "[a-z0-9]([a-z0-9-]{0,14}[a-z0-9])?"
}

/// A label of different letters that are no others' look-alikes, so that a trick stands alone.
fn plain_label() -> impl Strategy<Value = String> {
    let letters = prop::sample::subsequence(vec!['a', 'h', 'k', 'm', 'p', 't', 'x', 'z'], 6..=8).prop_shuffle();
    letters.prop_map(String::from_iter)
}

fn suffix() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["com", "org", "co.uk", "io", "github.io", "example"])
}

/// The octets of a name or of something like it.
fn octets() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z0-9.-]{1,60}", "(xn--)?[a-z0-9-]{1,20}\\.(xn--)?[a-z0-9-]{1,20}", ".{0,60}"]
}

fn score(watched: &str, candidate: &str) -> Option<u8> {
    finding(watched, candidate).map(|finding| finding.score().get())
}

proptest! {
    #[test]
    fn a_domain_imitates_neither_itself_nor_what_is_registered_with_it(
        label in label(), suffix in suffix(), sub in label(), other in label()
    ) {
        let registered = format!("{label}.{suffix}");
        // Below js.org, a suffix of its own, there are many registrants.
        prop_assume!(psl::suffix_str(&registered) == Some(suffix));
        let (below, beside) = (format!("{sub}.{registered}"), format!("{other}.{registered}"));
        for (watched, candidate) in [
            (&registered, &registered), (&registered, &below), (&below, &below), (&below, &registered), (&below, &beside),
        ] {
            prop_assert_eq!(judge(watched, candidate), Verdict::Watched(watched.clone()));
        }
    }

    #[test]
    fn the_allowed_is_never_reported(watched in plain_label(), sub in label(), suffix in suffix()) {
        let near = format!("{watched}-login.{suffix}");
        let below = format!("{sub}.{near}");
        let list = Watchlist::new([name(&format!("{watched}.net"))], [name(&near)]).unwrap();
        for candidate in [&near, &below] {
            prop_assert_eq!(list.judge(&name(candidate), Score::LEAST), Verdict::Allowed(near.clone()));
        }
    }

    #[test]
    fn tricks_that_can_be_undone_score_the_same_both_ways(
        label in plain_label(), at in 0_usize..7, to in prop::sample::select(vec!['d', 'o', 'w'])
    ) {
        let at = at % (label.len() - 1);
        let mut letters: Vec<char> = label.chars().collect();
        letters[at] = to;
        let exchanged: String = letters.into_iter().collect();
        let mut letters: Vec<char> = label.chars().collect();
        letters.swap(at, at + 1);
        let crossed: String = letters.into_iter().collect();
        for (a, b) in [
            (format!("{label}.com"), format!("{exchanged}.com")),
            (format!("{label}.com"), format!("{crossed}.com")),
            (format!("{label}.org"), format!("{label}.io")),
            (format!("{label}.com"), format!("{}-{}.com", &label[..3], &label[3..])),
        ] {
            prop_assert_eq!(score(&a, &b), score(&b, &a), "{} {}", a, b);
        }
    }

    #[test]
    fn one_exchanged_letter_is_always_found(label in "[a-z]{5,20}", at in 0_usize..20, to in "[a-z]", suffix in suffix()) {
        let at = at % label.len();
        let changed = format!("{}{to}{}", &label[..at], &label[at + 1..]);
        prop_assume!(changed != label);
        let found = finding(&format!("{label}.{suffix}"), &format!("{changed}.{suffix}"));
        prop_assert!(found.is_some(), "{} {}", label, changed);
    }

    #[test]
    fn a_finding_does_not_depend_on_who_else_is_watched(label in label(), others in prop::collection::vec(label(), 0..20)) {
        let watched = others.iter().map(|label| name(&format!("{label}.com"))).chain([name("paypal.com")]);
        let list = Watchlist::new(watched, []).unwrap();
        let candidate = name(&format!("{label}-paypa1.net"));
        let (alone, among) = (judge("paypal.com", candidate.as_str()), list.judge(&candidate, Score::LEAST));
        if let (Verdict::Lookalike(alone), Verdict::Lookalike(among)) = (alone, among) {
            prop_assert!(among.bits >= alone.bits);
            prop_assert!(among.watched != "paypal.com" || among == alone);
        }
    }

    #[test]
    fn the_steps_add_up(watched in octets(), candidate in octets()) {
        if let (Ok(watched), Ok(candidate)) = (Name::parse(&watched), Name::parse(&candidate))
            && let Some(found) = finding(watched.as_str(), candidate.as_str())
        {
            prop_assert_eq!(found.steps.iter().map(|step| step.bits).sum::<Bits>(), found.bits);
            prop_assert!(found.score() >= Score::LEAST || found.bits > Bits::ZERO);
        }
    }

    #[test]
    fn a_name_made_of_another_adds_up_too(
        label in "[a-z]{3,9}(-[a-z]{3,5})?", front in "([a-z]{1,6}[.-])?", behind in "([.-]?[a-z0-9]{1,6})?", suffix in suffix()
    ) {
        if let Some(found) = finding(&format!("{label}.com"), &format!("{front}{label}{behind}.{suffix}")) {
            prop_assert_eq!(found.steps.iter().map(|step| step.bits).sum::<Bits>(), found.bits);
        }
    }
}
