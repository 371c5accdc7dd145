//! Octet by octet: one test per malformation, and one per name.

use proptest::prelude::*;

use super::*;
use crate::apki::AgentUri;
use crate::apki::uri::AgentUriError;
use crate::keys::{Ed25519Signer, Signer};

const AGENT: &str = "agent://bank.example.com/retail/shopper/one";
const ED25519: &[u8] = &[0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70];
const EXTENSION_REQUEST: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x0e];
const CHALLENGE: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x07];
const SAN: &[u8] = &[0x06, 0x03, 0x55, 0x1d, 0x11];
const KEY_USAGE: &[u8] = &[0x06, 0x03, 0x55, 0x1d, 0x0f];

fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = content.len();
    let head = match length {
        0..=0x7f => vec![tag, length as u8],
        0x80..=0xff => vec![tag, 0x81, length as u8],
        _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
    };
    [head, content].concat()
}

fn uri(text: &str) -> Vec<u8> {
    element(0x86, &[text.as_bytes()])
}

fn extension(oid: &[u8], value: &[u8]) -> Vec<u8> {
    element(0x30, &[oid, &element(0x04, &[value])])
}

fn san(names: &[Vec<u8>]) -> Vec<u8> {
    extension(SAN, &element(0x30, &[&names.concat()]))
}

fn extension_request(extensions: &[Vec<u8>]) -> Vec<u8> {
    element(0x30, &[EXTENSION_REQUEST, &element(0x31, &[&element(0x30, &[&extensions.concat()])])])
}

/// A request, part by part.
#[derive(Clone)]
struct Draft {
    version: Vec<u8>,
    subject: Vec<u8>,
    attributes: Vec<u8>,
    algorithm: Vec<u8>,
    spki: Vec<u8>,
}

impl Draft {
    fn new(attributes: &[Vec<u8>]) -> Self {
        Self {
            version: vec![0x02, 0x01, 0x00],
            subject: vec![0x30, 0x00],
            attributes: element(0xa0, &[&attributes.concat()]),
            algorithm: ED25519.to_vec(),
            spki: signer().public_key().spki_der().to_vec(),
        }
    }

    fn named(names: &[Vec<u8>]) -> Self {
        Self::new(&[extension_request(&[san(names)])])
    }

    fn sign(&self) -> Vec<u8> {
        let info = element(0x30, &[&self.version, &self.subject, &self.spki, &self.attributes]);
        let signature = signer().sign(&info).unwrap();
        element(0x30, &[&info, &self.algorithm, &element(0x03, &[&[0], &signature])])
    }

    fn read(&self) -> Result<SigningRequest, CsrError> {
        SigningRequest::from_der(&self.sign())
    }

    fn agent(&self) -> Result<AgentName, CsrError> {
        self.read().unwrap().agent_name()
    }
}

fn signer() -> Ed25519Signer {
    Ed25519Signer::from_seed(&[5; 32]).unwrap()
}

fn good() -> Draft {
    Draft::named(&[uri(AGENT)])
}

#[test]
fn a_good_request_gives_its_key_its_subject_and_its_agent() {
    let request = good().read().unwrap();
    assert_eq!(request.public_key(), signer().public_key());
    assert_eq!(request.subject_der(), [0x30, 0x00]);
    let name = AgentName { uri: AgentUri::parse(AGENT).unwrap(), spiffe: None };
    assert_eq!(request.agent_name(), Ok(name));
}

#[test]
fn what_the_ca_decides_is_passed_over() {
    let challenge = element(0x30, &[CHALLENGE, &element(0x31, &[&[0x0c, 0x01, b'x']])]);
    let usage = extension(KEY_USAGE, &[0x03, 0x02, 0x02, 0x04]);
    let request = extension_request(&[usage.clone(), san(&[uri(AGENT)]), usage]);
    // A SET OF is in ascending order, and the shorter element comes first.
    let mut draft = Draft::new(&[challenge.clone(), request.clone()]);
    assert!(draft.agent().is_ok());
    draft.attributes = element(0xa0, &[&request, &challenge]);
    assert!(draft.read().is_err_and(|e| e.fault() == CsrFault::Malformed));
}

#[test]
fn each_departure_from_the_structure_is_refused() {
    let fault = |draft: &Draft| draft.read().unwrap_err();
    let mut v2 = good();
    v2.version = vec![0x02, 0x01, 0x01];
    assert_eq!(fault(&v2), CsrError::Version(1));
    let mut negative = good();
    negative.version = vec![0x02, 0x01, 0xff];
    assert_eq!(fault(&negative), CsrError::Version(-1));
    let mut no_attributes = good();
    no_attributes.attributes.clear();
    assert!(matches!(fault(&no_attributes), CsrError::Der(_)));

    let der = good().sign();
    let trailing = [&der[..], &[0]].concat();
    assert!(matches!(SigningRequest::from_der(&trailing), Err(CsrError::Der(_))));
    assert!(matches!(SigningRequest::from_der(&[]), Err(CsrError::Der(_))));
    assert!(matches!(SigningRequest::from_der(&der[..der.len() - 1]), Err(CsrError::Der(_))));
    // BER: a length in three octets where two do, and one without an end.
    let (head, content) = der.split_at(3);
    assert_eq!(head[..2], [0x30, 0x81]);
    let long = [&[0x30, 0x82, 0x00, head[2]][..], content].concat();
    assert!(matches!(SigningRequest::from_der(&long), Err(CsrError::Der(_))));
    let endless = [&[0x30, 0x80][..], content, &[0, 0]].concat();
    assert!(matches!(SigningRequest::from_der(&endless), Err(CsrError::Der(_))));
}

#[test]
fn size_is_bounded_before_anything_is_read() {
    let limit = CsrError::TooLong { length: MAX_REQUEST + 1, limit: MAX_REQUEST };
    assert_eq!(SigningRequest::from_der(&vec![0x30; MAX_REQUEST + 1]), Err(limit.clone()));
    assert_eq!(limit.fault(), CsrFault::Malformed);
    assert!(matches!(SigningRequest::from_pem(&"-".repeat(MAX_PEM + 1)), Err(CsrError::TooLong { .. })));
    let fill = |n| Draft::new(&[element(0x30, &[CHALLENGE, &element(0x31, &[&element(0x0c, &[&vec![b'x'; n]])])])]);
    let rest = fill(16_000).sign().len() - 16_000;
    let longest = fill(MAX_REQUEST - rest).sign();
    assert_eq!(longest.len(), MAX_REQUEST);
    assert!(SigningRequest::from_der(&longest).is_ok());
    let pem = pem::encode_string("CERTIFICATE REQUEST", pem::LineEnding::CRLF, &longest).unwrap();
    assert!(SigningRequest::from_pem(&pem).is_ok(), "the bound of PEM leaves room for the largest DER");
    assert!(matches!(fill(MAX_REQUEST - rest + 1).read(), Err(CsrError::TooLong { .. })));
}

#[test]
fn pem_has_one_of_two_labels() {
    let pem = |label| pem::encode_string(label, pem::LineEnding::LF, &good().sign()).unwrap();
    assert!(SigningRequest::from_pem(&pem("CERTIFICATE REQUEST")).is_ok());
    assert!(SigningRequest::from_pem(&pem("NEW CERTIFICATE REQUEST")).is_ok());
    assert_eq!(SigningRequest::from_pem(&pem("CERTIFICATE")), Err(CsrError::Label("CERTIFICATE".into())));
    for text in ["", "garbage", &pem("CERTIFICATE REQUEST")[..60], "-----BEGIN CERTIFICATE REQUEST-----"] {
        assert!(matches!(SigningRequest::from_pem(text), Err(CsrError::Pem(_))), "{text}");
    }
}

#[test]
fn the_proof_of_possession_is_the_key_s_own() {
    let mut stranger = good();
    stranger.spki = Ed25519Signer::from_seed(&[6; 32]).unwrap().public_key().spki_der().to_vec();
    let refused = stranger.read().unwrap_err();
    assert_eq!((&refused, refused.fault()), (&CsrError::Signature(BadSignature), CsrFault::Signature));

    let mut ecdsa = good();
    ecdsa.algorithm = SignatureAlgorithm::EcdsaP256Sha256.algorithm_identifier_der().to_vec();
    assert!(matches!(ecdsa.read(), Err(CsrError::Algorithm { .. })));
    let mut parameters = good();
    parameters.algorithm = element(0x30, &[&ED25519[2..], &[0x05, 0x00]]);
    assert!(matches!(parameters.read(), Err(CsrError::Algorithm { .. })));

    let mut bits = good().sign();
    let unused = bits.len() - 65;
    assert_eq!(bits[unused], 0);
    bits[unused] = 4;
    assert!(SigningRequest::from_der(&bits).is_err());
}

#[test]
fn a_request_has_one_list_of_extensions_with_one_subject_alt_name() {
    let fault = |draft: &Draft| draft.read().unwrap_err();
    let list = extension_request(&[san(&[uri(AGENT)])]);
    let other = extension_request(&[san(&[uri(AGENT)]), extension(KEY_USAGE, &[0x03, 0x02, 0x02, 0x04])]);
    assert_eq!(fault(&Draft::new(&[list, other])), CsrError::ExtensionRequests(2));
    let value = element(0x30, &[&san(&[uri(AGENT)])]);
    let longer = element(0x30, &[&san(&[uri(AGENT)]), &extension(KEY_USAGE, &[])]);
    let two = element(0x30, &[EXTENSION_REQUEST, &element(0x31, &[&value, &longer])]);
    assert_eq!(fault(&Draft::new(&[two])), CsrError::ExtensionRequests(2));
    let none = element(0x30, &[EXTENSION_REQUEST, &[0x31, 0x00]]);
    assert_eq!(fault(&Draft::new(&[none])), CsrError::ExtensionRequests(0));

    let twice = extension_request(&[san(&[uri(AGENT)]), san(&[uri(AGENT)])]);
    assert_eq!(fault(&Draft::new(&[twice])), CsrError::DuplicateNames(2));
    let text = element(0x30, &[EXTENSION_REQUEST, &element(0x31, &[&[0x0c, 0x01, b'x']])]);
    assert!(matches!(fault(&Draft::new(&[text])), CsrError::ExtensionRequest(_)));
    let value = element(0x04, &[&element(0x30, &[&uri(AGENT)])]);
    let explicit_default = element(0x30, &[SAN, &[0x01, 0x01, 0x00], &value]);
    let explicit_default = extension_request(&[explicit_default]);
    assert_eq!(fault(&Draft::new(&[explicit_default])), CsrError::NotCanonical("list of requested extensions"));
}

#[test]
fn a_request_names_exactly_one_agent() {
    let fault = |names: &[Vec<u8>]| match Draft::named(names).agent().unwrap_err() {
        CsrError::Identifier(fault) => fault,
        other => panic!("{other}"),
    };
    assert_eq!(Draft::new(&[]).agent(), Err(NameFault::Missing.into()));
    assert_eq!(Draft::new(&[extension_request(&[])]).agent(), Err(NameFault::Missing.into()));
    assert_eq!(fault(&[]), NameFault::NoAgent);
    assert_eq!(fault(&[uri(AGENT), uri(AGENT)]), NameFault::SeveralAgents(2));
    assert_eq!(fault(&[uri(AGENT), uri("aGenT:x")]), NameFault::SeveralAgents(2));
    let upper = NameFault::Agent { name: "AGENT://a.b/c/d/e".into(), cause: AgentUriError::Scheme };
    assert_eq!(fault(&[uri("AGENT://a.b/c/d/e")]), upper);
    assert_eq!(CsrError::from(upper).fault(), CsrFault::Identifier);

    let others: [(Vec<u8>, &str, &str); 9] = [
        (uri("https://bank.example.com/"), "URI", "https://bank.example.com/"),
        (uri("a\n"), "URI", "a\\n"),
        (element(0x82, &[b"example.com"]), "DNS name", "example.com"),
        (element(0x81, &[b"a@b.example"]), "e-mail address", "a@b.example"),
        (element(0x87, &[&[192, 0, 2, 1]]), "IP address", "192.0.2.1"),
        (element(0x87, &[&[0; 16]]), "IP address", "::"),
        (element(0x88, &[&[0x2a, 0x03]]), "registered identifier", "1.2.3"),
        (element(0xa4, &[&[0x30, 0x00]]), "directory name", ""),
        (element(0xa0, &[&[0x06, 0x02, 0x2a, 0x03], &[0xa0, 0x02, 0x05, 0x00]]), "other name of type", "1.2.3"),
    ];
    for (name, kind, text) in others {
        let refused = NameFault::Other { kind, name: text.into() };
        assert_eq!(fault(&[uri(AGENT), name.clone()]), refused);
        assert_eq!(fault(&[name, uri(AGENT)]), refused);
    }
    let long = fault(&[uri(&"x".repeat(9000))]).to_string();
    assert!(long.len() < 400 && long.contains("..."), "{long}");
}

#[test]
fn names_that_do_not_decode_are_malformed() {
    let read = |value: &[u8]| Draft::new(&[extension_request(&[extension(SAN, value)])]).agent().unwrap_err();
    let names = element(0x30, &[&uri(AGENT)]);
    for value in [&[][..], &[0x05, 0x00], &uri(AGENT), &[&names[..], &[0]].concat()] {
        assert_eq!(read(value).fault(), CsrFault::Malformed, "{value:02x?}");
    }
    assert!(matches!(read(&element(0x30, &[&element(0x86, &[b"agent://\xff"])])), CsrError::Names(_)));
    assert!(matches!(read(&element(0x30, &[&element(0xa6, &[&uri(AGENT)])])), CsrError::Names(_)));
}

#[test]
fn a_spiffe_id_may_stand_beside_the_agent() {
    let read = |id: &str| Draft::named(&[uri(AGENT), uri(id)]).agent();
    for id in ["spiffe://bank.example.com/ns/retail/sa/One", "spiffe://a_b-c.1/x..y", "spiffe://a/..."] {
        assert_eq!(read(id).unwrap().spiffe.as_deref(), Some(id));
    }
    let longest = format!("spiffe://a/{}", "x".repeat(2048 - 11));
    assert!(read(&longest).is_ok());
    let bad = [
        &format!("{longest}x"),
        "SPIFFE://a/b",
        "spiffe:/a/b",
        "spiffe://a",
        "spiffe://a/",
        "spiffe:///b",
        "spiffe://A/b",
        "spiffe://a:1/b",
        "spiffe://u@a/b",
        "spiffe://a/b//c",
        "spiffe://a/b/",
        "spiffe://a/./b",
        "spiffe://a/../b",
        "spiffe://a/b?c",
        "spiffe://a/b#c",
        "spiffe://a/%41",
        &format!("spiffe://{}/b", "a".repeat(256)),
    ];
    for id in bad {
        let refused = read(id).unwrap_err();
        assert!(matches!(refused, CsrError::Identifier(NameFault::Spiffe { .. })), "{id}: {refused}");
    }
    let two = Draft::named(&[uri(AGENT), uri("spiffe://a/b"), uri("spiffe://a/c")]).agent();
    assert_eq!(two, Err(NameFault::SeveralSpiffe(2).into()));
    assert_eq!(Draft::named(&[uri("spiffe://a/b")]).agent(), Err(NameFault::NoAgent.into()));
}

proptest! {
    #[test]
    fn no_bit_can_be_changed(at in 0usize..2000, bit in 0u8..8) {
        let mut der = good().sign();
        let at = at % der.len();
        der[at] ^= 1 << bit;
        prop_assert!(SigningRequest::from_der(&der).is_err());
    }

    #[test]
    fn never_panics(octets in proptest::collection::vec(any::<u8>(), 0..200), cut in 0usize..200) {
        let _ = SigningRequest::from_der(&octets);
        let mut der = good().sign();
        der.splice(cut.min(der.len()).., octets);
        let _ = SigningRequest::from_der(&der);
    }
}
