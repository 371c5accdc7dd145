use proptest::prelude::*;

use super::*;
use crate::apki::testing::key;

const NOW: UnixMillis = UnixMillis::new(1_800_000_000_000);

fn entry(hash: u8) -> Entry {
    Entry {
        build_hash: [hash; 32],
        name: Text::new("payments-bot").unwrap(),
        version: Text::new("1.4.2").unwrap(),
        organization: None,
        agents: None,
        not_after: None,
        signature: None,
    }
}

fn scoped(hash: u8, organization: Option<&str>, agents: Option<&str>, not_after: Option<u64>) -> Entry {
    Entry {
        organization: organization.map(|text| Text::new(text).unwrap()),
        agents: agents.map(|text| UriPattern::parse(text).unwrap()),
        not_after: not_after.map(UnixMillis::new),
        ..entry(hash)
    }
}

fn signed(entries: Vec<Entry>) -> String {
    sign(serde_json::to_string(&File { entries }).unwrap().as_bytes(), &key(5)).unwrap()
}

fn parse(text: &str) -> Result<Registry, RegistryError> {
    Registry::parse(text.as_bytes(), key(5).public_key())
}

fn agent(text: &str) -> AgentUri {
    AgentUri::parse(text).unwrap()
}

#[test]
fn the_message_is_as_documented() {
    let entry = scoped(0xab, None, Some("agent://bank.example.com/payments/*/*"), Some(7));
    let hash = "ab".repeat(32);
    let message = format!(
        "atl-registry-entry-v1\nbuild_hash 64\n{hash}\nname 12\npayments-bot\nversion 5\n1.4.2\norganization -\n\
         agents 37\nagent://bank.example.com/payments/*/*\nnot_after 1\n7\n"
    );
    assert_eq!(String::from_utf8(entry.message()).unwrap(), message);
}

#[test]
fn finds_what_is_for_the_agent_at_the_moment() {
    let registry = parse(&signed(vec![
        entry(1),
        scoped(2, Some("payments"), None, None),
        scoped(2, None, Some("agent://bank.example.com/kyc/bot/*"), None),
        scoped(3, None, None, Some(NOW.get())),
    ]))
    .unwrap();
    assert_eq!(registry.entries().count(), 4);
    let (payments, kyc) = (agent("agent://bank.example.com/payments/a/1"), agent("agent://bank.example.com/kyc/bot/1"));
    let other = agent("agent://bank.example.com/other/bot/1");
    let found = |hash: u8, agent: &AgentUri, now| registry.find(&[hash; 32], agent, now).is_some();
    assert!(found(1, &payments, NOW) && found(1, &other, NOW));
    assert!(found(2, &payments, NOW) && found(2, &kyc, NOW) && !found(2, &other, NOW));
    assert!(found(3, &other, NOW) && !found(3, &other, NOW.saturating_add(1)));
    assert!(!found(4, &payments, NOW));
    assert!(Registry::default().find(&[1; 32], &payments, NOW).is_none());
}

#[test]
fn a_file_that_was_signed_reads_back_and_signs_again() {
    let text = signed(vec![entry(1), scoped(2, Some("payments"), None, Some(3))]);
    let again = sign(text.as_bytes(), &key(5)).unwrap();
    assert_eq!(again, text);
    assert!(matches!(
        Registry::parse(sign(text.as_bytes(), &key(6)).unwrap().as_bytes(), key(5).public_key()),
        Err(RegistryError::Signature { index: 0, .. })
    ));
}

#[test]
fn an_entry_is_added_behind_what_the_same_key_signed() {
    let first = add(None, entry(1), &key(5)).unwrap();
    assert_eq!(first, signed(vec![entry(1)]));
    let both = add(Some(first.as_bytes()), scoped(1, Some("payments"), None, None), &key(5)).unwrap();
    assert_eq!(both, signed(vec![entry(1), scoped(1, Some("payments"), None, None)]));
    let again = |file: &str, by| add(Some(file.as_bytes()), entry(1), &key(by));
    assert!(matches!(again(&both, 5), Err(RegistryError::Duplicate { index: 2, earlier: 0, .. })));
    assert!(matches!(again(&both, 6), Err(RegistryError::Signature { index: 0, .. })));
    let unsigned = serde_json::to_string(&File { entries: vec![entry(2)] }).unwrap();
    assert!(matches!(again(&unsigned, 5), Err(RegistryError::Unsigned { index: 0, .. })));
    assert!(matches!(again("", 5), Err(RegistryError::Json(_))));
    assert_eq!(again("{\"entries\":[]}", 5).unwrap(), first);
}

#[test]
fn refuses_the_whole_file_for_any_change() {
    let text =
        signed(vec![entry(1), scoped(2, Some("payments"), Some("agent://bank.example.com/payments/*/*"), Some(9))]);
    assert!(parse(&text).is_ok());
    let changes = [
        ("0202", "0203"),
        ("1.4.2", "1.4.3"),
        ("\"payments\"", "\"payment\""),
        ("payments-bot", "payments-bit"),
        ("payments/*/*", "*/*/*"),
        ("\"not_after\": 9", "\"not_after\": 10"),
        ("\"organization\": \"payments\",", ""),
        ("\"organization\": \"payments\"", "\"organization\": null"),
    ];
    for (from, to) in changes {
        let changed = text.replacen(from, to, usize::MAX);
        assert_ne!(changed, text, "{from}");
        assert!(matches!(parse(&changed), Err(RegistryError::Signature { .. })), "{from}");
    }
    let error = parse(&text.replace("0202", "0203")).unwrap_err().to_string();
    assert!(error.contains("entry 1, build `payments-bot` 1.4.2 (02030203...)"), "{error}");
}

#[test]
fn refuses_each_malformation() {
    let text = signed(vec![entry(1)]);
    let json = |text: &str| matches!(parse(text), Err(RegistryError::Json(_)));
    assert!(json("") && json("[]") && json("{}") && json(&text[1..]));
    assert!(json(&format!("{text}x")));
    assert!(json(&text.replacen('{', "{\"key\": 1,", 1)));
    assert!(json(&text.replace("\"name\"", "\"note\": \"\", \"name\"")));
    assert!(json(&text.replace("\"name\"", "\"name\": \"a\", \"name\"")));
    assert!(json(&text.replace("\"version\": \"1.4.2\",", "")));
    assert!(json(&text.replace("payments-bot", &"n".repeat(513))));
    assert!(json(&text.replace("0101", "01")));
    assert!(json(&text.replace("\"name\"", "\"agents\": \"agent://*/a/b/c\", \"name\"")));
    assert!(json(&text.replace("\"name\"", "\"not_after\": -1, \"name\"")));
    assert!(json(&text.replace("\"signature\": \"", "\"signature\": \"!")));
    let unsigned = serde_json::to_string(&File { entries: vec![entry(1)] }).unwrap();
    assert!(matches!(parse(&unsigned), Err(RegistryError::Unsigned { index: 0, .. })));
    let twice = signed(vec![entry(1)]).replace("]", "").replace('}', "");
    assert!(json(&twice));
}

#[test]
fn refuses_duplicates_and_more_than_the_bounds() {
    let sign = |entries: Vec<Entry>| sign(serde_json::to_string(&File { entries }).unwrap().as_bytes(), &key(5));
    let again = Entry { version: Text::new("2").unwrap(), ..scoped(1, Some("a"), None, None) };
    let twice = vec![scoped(1, Some("a"), None, None), entry(1), again];
    assert!(matches!(sign(twice), Err(RegistryError::Duplicate { index: 2, earlier: 0, .. })));
    let many = |count: usize| {
        let one = r#"{"build_hash":"","name":"","version":""}"#;
        let entries: Vec<String> = (0..count).map(|n| one.replace("h\":\"", &format!("h\":\"{n:064x}"))).collect();
        format!("{{\"entries\":[{}]}}", entries.join(","))
    };
    assert_eq!(parse(&many(MAX_ENTRIES + 1)), Err(RegistryError::TooMany(MAX_ENTRIES + 1)));
    assert!(matches!(parse(&many(MAX_ENTRIES)), Err(RegistryError::Unsigned { .. })));
    let long = " ".repeat(MAX_FILE + 1);
    assert_eq!(parse(&long), Err(RegistryError::TooLong(MAX_FILE + 1)));
}

proptest! {
    /// Two entries have one message where they are one entry: values that look like lines of the
    /// message do not help.
    #[test]
    fn no_two_entries_have_one_message(a in any_entry(), b in any_entry()) {
        prop_assert_eq!(a.message() == b.message(), a == b);
    }

    #[test]
    fn never_panics(octets in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = Registry::parse(&octets, key(5).public_key());
    }
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let text = || {
        const PARTS: [&str; 7] = ["", "a", "\n", "a\nversion 1\na", " -", "1\na\norganization -", "\nagents -\n"];
        prop::collection::vec(prop::sample::select(&PARTS[..]), 0..3)
            .prop_map(|parts| Text::new(parts.concat()).unwrap())
    };
    (0..2u8, text(), text(), prop::option::of(text()), any::<bool>(), prop::option::of(0..12u64)).prop_map(
        |(hash, name, version, organization, everybody, not_after)| Entry {
            name,
            version,
            organization,
            ..scoped(hash, None, everybody.then_some("agent://bank.example.com/*/*/*"), not_after)
        },
    )
}
