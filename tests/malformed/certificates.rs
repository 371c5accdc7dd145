//! Submissions and chains that the log does not record, each wrong in one respect.

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P384_SHA384, SanType, date_time_ymd,
};

use crate::pki::{Authority, b64, capabilities, extension, poison, uri};
use crate::{Case, SUBMIT, post};

fn submit(name: &str, der: &[u8], kind: &str, chain: &[&[u8]], token: &'static str) -> Case {
    let chain: Vec<String> = chain.iter().map(|der| format!("\"{}\"", b64(der))).collect();
    let body = format!("{{\"submission\":\"{}\"{kind},\"chain\":[{}]}}", b64(der), chain.join(","));
    post(name, SUBMIT, body.as_bytes(), token)
}

/// A certificate of `change`d parameters.
fn altered(root: &Authority, change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let mut params = Authority::agent_params(77);
    change(&mut params);
    root.issue(&params, &KeyPair::generate().unwrap())
}

/// Every case of this file.
pub fn cases(root: &Authority) -> Vec<Case> {
    [octets(root), extensions(root), names(root), times(root), chains(root)].into_iter().flatten().collect()
}

fn octets(root: &Authority) -> Vec<Case> {
    let good = altered(root, |_| {});
    let mut wrong: Vec<(String, Vec<u8>)> = [1, 2, 3, 4, 5, 9, 10, 20, 50, 100, good.len() / 2, good.len() - 1]
        .iter()
        .map(|length| (format!("cut to {length}"), good[..*length].to_vec()))
        .collect();
    let mut add = |name: &str, der: Vec<u8>| wrong.push((name.into(), der));
    add("empty", Vec::new());
    add("an empty sequence", vec![0x30, 0]);
    add("zeros", vec![0; 64]);
    add("indefinite length", [&[0x30, 0x80], &good[4..], &[0, 0]].concat());
    add("a length of five octets", [&[0x30, 0x85, 0, 0, 0, 2], &good[4..]].concat());
    add("a length with a needless zero", [&[0x30, 0x83, 0], &good[2..]].concat());
    add("a length beyond the end", [&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], &good[4..]].concat());
    add("a trailing octet", [&good[..], &[0]].concat());
    add("twice", [&good[..], &good[..]].concat());
    add("PEM", root.pem().into_bytes());
    add("SET instead of SEQUENCE", [&[0x31], &good[1..]].concat());
    add("deeply nested", [0x30, 0x80].repeat(10_000));
    // Version, serial and the algorithm inside stand at fixed places behind two headers of four.
    for (name, at, octet) in
        [("version 2", 12, 1), ("version 4", 12, 3), ("version tag", 8, 0xa1), ("algorithm", 30, 0x55)]
    {
        let mut der = good.clone();
        der[at] = octet;
        add(name, der);
    }
    wrong.iter().map(|(name, der)| submit(name, der, "", &[], "badSubmission")).collect()
}

fn extensions(root: &Authority) -> Vec<Case> {
    let with = |extensions: Vec<CustomExtension>| altered(root, |params| params.custom_extensions = extensions);
    let poisoned = |value: &[u8], critical| vec![capabilities(), extension(7, critical, value)];
    let mut cases = Vec::new();
    for (name, der) in [
        ("the poison before the last place", with(vec![poison(), capabilities()])),
        ("a poison that is not critical", with(poisoned(&[5, 0], false))),
        ("an empty poison", with(poisoned(&[], true))),
        ("a poison of another type", with(poisoned(&[4, 0], true))),
        ("a poison with a trailing octet", with(poisoned(&[5, 0, 0], true))),
        ("a poison with a long length", with(poisoned(&[5, 0x81, 0], true))),
        ("two poisons", with(vec![capabilities(), poison(), poison()])),
        ("one extension twice", with(vec![capabilities(), capabilities(), poison()])),
        (
            "a doubled alternative name",
            altered(root, |params| {
                let name = CustomExtension::from_oid_content(&[2, 5, 29, 17], vec![0x30, 0]);
                params.custom_extensions.insert(0, name);
            }),
        ),
        ("no extension of the agent PKI", with(vec![poison()])),
        ("none at all", with(Vec::new())),
        ("an unknown one of our arc only", with(vec![extension(99, false, &[5, 0]), poison()])),
    ] {
        cases.push(submit(name, &der, "", &[], "badSubmission"));
    }
    let (pre, plain) = (with(vec![capabilities(), poison()]), with(vec![capabilities()]));
    cases.push(submit("type 1 with a poison", &pre, ",\"type\":1", &[], "badSubmission"));
    cases.push(submit("type 2 without one", &plain, ",\"type\":2", &[], "badSubmission"));
    for number in [0, 3, 7] {
        cases.push(submit("another type", &pre, &format!(",\"type\":{number}"), &[], "badType"));
    }
    cases
}

fn names(root: &Authority) -> Vec<Case> {
    let named = |names: Vec<SanType>| altered(root, |params| params.subject_alt_names = names);
    let good = || uri("agent://example.com/org/worker/x");
    let mut cases = vec![
        submit("no name", &named(vec![]), "", &[], "badSubmission"),
        submit(
            "a DNS name only",
            &named(vec![SanType::DnsName("example.com".try_into().unwrap())]),
            "",
            &[],
            "badSubmission",
        ),
        submit("two agents", &named(vec![good(), uri("agent://example.com/org/worker/y")]), "", &[], "badSubmission"),
        submit("one agent twice", &named(vec![good(), good()]), "", &[], "badSubmission"),
        submit("two agents, one invalid", &named(vec![good(), uri("AGENT://x")]), "", &[], "badSubmission"),
    ];
    let segment = "a".repeat(65);
    let label = "a".repeat(64);
    for text in [
        "https://example.com/org/worker/x",
        "spiffe://example.com/x",
        "agent:",
        "agent://",
        "agent:example.com/a/b/c",
        "agent:///a/b/c",
        "AGENT://example.com/a/b/c",
        "Agent://example.com/a/b/c",
        "agent://Example.com/a/b/c",
        "agent://example/a/b/c",
        "agent://example.com./a/b/c",
        "agent://.example.com/a/b/c",
        "agent://-a.example/a/b/c",
        "agent://a-.example/a/b/c",
        "agent://exa_mple.com/a/b/c",
        "agent://example.com:443/a/b/c",
        "agent://me@example.com/a/b/c",
        "agent://example.com/a/b",
        "agent://example.com/a/b/c/d",
        "agent://example.com/a//c",
        "agent://example.com/a/b/",
        "agent://example.com/a/b/c/",
        "agent://example.com/a/b/c?x",
        "agent://example.com/a/b/c#x",
        "agent://example.com/a/b/c%20",
        "agent://example.com/a/b/c d",
        "agent://example.com/a/b/c.d",
        "agent://example.com/a/b/..",
        "agent://[::1]/a/b/c",
        &format!("agent://example.com/a/b/{segment}"),
        &format!("agent://{label}.com/a/b/c"),
        &format!("agent://example.com/a/b/{}", "c".repeat(600)),
    ] {
        cases.push(submit(text, &named(vec![uri(text)]), "", &[], "badSubmission"));
    }
    cases
}

fn times(root: &Authority) -> Vec<Case> {
    [
        (2026, 2, 1),
        (2000, 1, 1),
        (1999, 12, 31),
        (2046, 1, 1),
        (2049, 12, 31),
        (2050, 1, 1),
        (2500, 1, 1),
        (9999, 12, 31),
    ]
    .map(|(year, month, day)| {
        let der = altered(root, |params| {
            params.not_before = date_time_ymd(1990, 1, 1);
            params.not_after = date_time_ymd(year, month, day);
        });
        submit(&format!("until {year}-{month}-{day}"), &der, "", &[], "outsideShard")
    })
    .into()
}

fn chains(root: &Authority) -> Vec<Case> {
    let key = KeyPair::generate().unwrap();
    let agent = |issuer: &Authority| issuer.precertificate(88, &key);
    let good = agent(root);
    let stranger = Authority::root("Stranger");
    let namesake = Authority::root("Root");
    let sound = root.below("Sound", |_| {});
    let mut tampered = good.clone();
    *tampered.last_mut().unwrap() ^= 1;
    let mut cases = vec![
        submit("another root", &agent(&stranger), "", &[], "unknownAnchor"),
        submit("another root, in the chain", &agent(&stranger), "", &[&stranger.der], "unknownAnchor"),
        submit("a root of the same name", &agent(&namesake), "", &[], "unknownAnchor"),
        submit("a root of the same name, in the chain", &agent(&namesake), "", &[&namesake.der], "unknownAnchor"),
        submit("a bad signature", &tampered, "", &[], "unknownAnchor"),
        submit("a bad signature, with the anchor", &tampered, "", &[&root.der], "badChain"),
        submit("a missing intermediate", &agent(&sound), "", &[], "unknownAnchor"),
        submit("a missing intermediate, with the anchor", &agent(&sound), "", &[&root.der], "badChain"),
        submit("another intermediate", &good, "", &[&sound.der, &root.der], "badChain"),
        submit("the wrong order", &agent(&sound), "", &[&root.der, &sound.der], "badChain"),
        submit("the anchor twice", &good, "", &[&root.der, &root.der, &root.der, &root.der], "badChain"),
        submit("itself as issuer", &good, "", &[&good], "badChain"),
        submit("a stranger behind a good chain", &good, "", &[&stranger.der], "badChain"),
    ];
    for (name, element) in [
        ("empty", Vec::new()),
        ("an empty sequence", vec![0x30, 0]),
        ("cut", root.der[..root.der.len() - 1].to_vec()),
        ("trailing octet", [&root.der[..], &[0]].concat()),
        ("noise", vec![0xff; 300]),
        ("PEM", root.pem().into_bytes()),
    ] {
        cases.push(submit(&format!("chain element: {name}"), &good, "", &[&element], "badCertificate"));
        cases.push(submit(
            &format!("second element: {name}"),
            &agent(&sound),
            "",
            &[&sound.der, &element],
            "badCertificate",
        ));
    }
    let many: Vec<&[u8]> = vec![&root.der; 40];
    for length in [4, 5, 31, 32, 33, 40] {
        cases.push(submit(&format!("{length} in the chain"), &good, "", &many[..length], "badChain"));
    }
    let one = root.below("One", |p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let two = one.below("Two", |_| {});
    cases.push(submit("pathLen", &agent(&two), "", &[&two.der, &one.der], "badChain"));
    let deep = root.below("A", |_| {}).below("B", |_| {});
    cases.push(submit("a gap", &agent(&deep), "", &[&deep.der, &root.der], "badChain"));
    type Change = fn(&mut CertificateParams);
    let changes: [(&str, Change); 5] = [
        ("not a CA", |p| p.is_ca = IsCa::ExplicitNoCa),
        ("no basicConstraints", |p| p.is_ca = IsCa::NoCa),
        ("no keyUsage", |p| p.key_usages.clear()),
        ("no keyCertSign", |p| p.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::CrlSign]),
        ("a leaf", |p| {
            p.is_ca = IsCa::NoCa;
            p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        }),
    ];
    for (name, change) in changes {
        let issuer = root.below(name, change);
        cases.push(submit(&format!("an issuer with {name}"), &agent(&issuer), "", &[&issuer.der], "badChain"));
    }
    let key384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let large = Authority { der: root.der.clone(), issuer: rcgen::Issuer::new(Authority::params("Root"), key384) };
    cases.push(submit("ECDSA P-384", &agent(&large), "", &[], "badSubmission"));
    cases
}
