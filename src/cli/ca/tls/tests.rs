//! Handshakes with every kind of client, against a listener as `atl ca` has it.

use axum::Router;
use axum::body::Bytes;
use axum::extract::Extension;
use axum::routing::get;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, SerialNumber, SignatureAlgorithm, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsConnector;

use super::*;
use crate::http::serve::{PeerCertificate, serve};
use crate::http::tls::acceptor;
use crate::time::UnixMillis;

const P256: &SignatureAlgorithm = &rcgen::PKCS_ECDSA_P256_SHA256;
const ED25519: &SignatureAlgorithm = &rcgen::PKCS_ED25519;
const NONE: &[u8] = b"none";

struct Fixed(UnixMillis);

impl Clock for Fixed {
    fn now(&self) -> UnixMillis {
        self.0
    }
}

/// An authority with a critical URI name constraint, which rustls-webpki would refuse.
struct Ca {
    der: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    fn new(name: &str) -> Self {
        Self::with(name, 0)
    }

    /// One that may have an intermediate below it.
    fn root(name: &str) -> Self {
        Self::with(name, 1)
    }

    fn with(name: &str, below: u8) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.serial_number = Some(SerialNumber::from(1));
        let within = [&[0x30, 0x11, 0xa0, 0x0f, 0x30, 0x0d, 0x86, 0x0b][..], b"example.com"].concat();
        let mut constraint = CustomExtension::from_oid_content(&[2, 5, 29, 30], within);
        constraint.set_criticality(true);
        params.custom_extensions = vec![constraint];
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self { der, issuer: Issuer::new(params, key) }
    }

    /// An agent of this authority, as in 2026: an empty subject and so a critical URI name.
    fn agent(&self, kind: &'static SignatureAlgorithm, change: impl FnOnce(&mut CertificateParams)) -> Client {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names = vec![SanType::URI("agent://example.com/org/worker/1".try_into().unwrap())];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.serial_number = Some(SerialNumber::from(2));
        (params.not_before, params.not_after) = (date_time_ymd(2026, 1, 1), date_time_ymd(2027, 1, 1));
        params.custom_extensions = vec![extension(1, false)];
        change(&mut params);
        let key = KeyPair::generate_for(kind).unwrap();
        let chain = vec![params.signed_by(&key, &self.issuer).unwrap().der().to_vec()];
        Client { chain, key: key.serialize_der() }
    }
}

/// One of the agent extensions, with a value that nobody here looks at.
fn extension(suffix: u64, critical: bool) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 32473, 1, suffix], vec![5, 0]);
    extension.set_criticality(critical);
    extension
}

struct Client {
    chain: Vec<Vec<u8>>,
    key: Vec<u8>,
}

impl Client {
    fn sends(mut self, behind: &[&[u8]]) -> Self {
        self.chain.extend(behind.iter().map(|der| der.to_vec()));
        self
    }
}

/// A listener that knows `ca`, in the middle of 2026, and answers with the certificate that it was shown.
struct Listener {
    address: std::net::SocketAddr,
    trusted: CertificateDer<'static>,
    _stop: watch::Sender<bool>,
}

impl Listener {
    async fn below(ca: &Ca) -> Self {
        let issuers = Anchors::new([Certificate::parse(ca.der.as_slice()).unwrap()]).unwrap();
        let clock = Arc::new(Fixed(UnixMillis::new(1_782_000_000_000)));
        let verifier = ClientChainCheck::new(issuers, clock).verifier();
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
        let trusted = own.cert.der().clone();
        let own = CertifiedKey::from_der(vec![trusted.clone()], key, &crate::http::tls::provider()).unwrap();
        let tls = acceptor(Arc::new(SingleCertAndKey::from(own)), Some(verifier)).unwrap();
        let shown = |shown: Option<Extension<PeerCertificate>>| async {
            Bytes::from(shown.map_or(NONE.to_vec(), |Extension(peer)| peer.0.to_vec()))
        };
        let router = Router::new().route("/", get(shown));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopping) = watch::channel(false);
        tokio::spawn(serve(listener, 16, Some(tls), router, stopping));
        Self { address, trusted, _stop: stop }
    }

    /// What a client is answered, or `None` where it is turned away.
    async fn answers(
        &self,
        client: Option<&Client>,
        version: &'static rustls::SupportedProtocolVersion,
    ) -> Option<Vec<u8>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.trusted.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots);
        let config = match client {
            None => builder.with_no_client_auth(),
            Some(client) => {
                let key = PrivateKeyDer::try_from(client.key.clone()).unwrap();
                let chain = client.chain.iter().cloned().map(CertificateDer::from).collect();
                let shown = CertifiedKey::new(chain, provider.key_provider.load_private_key(key).unwrap());
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(shown)))
            }
        };
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        let body = answer.windows(4).position(|octets| octets == b"\r\n\r\n")? + 4;
        Some(answer.split_off(body))
    }

    async fn takes(&self, client: &Client) -> bool {
        let mut taken = Vec::new();
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let answer = self.answers(Some(client), version).await;
            assert!(answer.as_ref().is_none_or(|answer| *answer == client.chain[0]));
            taken.push(answer.is_some());
        }
        assert_eq!(taken[0], taken[1], "both versions of TLS say the same");
        taken[0]
    }
}

#[tokio::test]
async fn an_agent_of_the_ca_is_known_by_its_certificate() {
    let ca = Ca::new("ca");
    let listener = Listener::below(&ca).await;
    let above = Ca::new("root");
    for kind in [P256, ED25519] {
        let agent = ca.agent(kind, |_| {});
        let certificate = Certificate::parse(agent.chain[0].as_slice()).unwrap();
        let names = certificate.extension(&oid::SUBJECT_ALT_NAME).unwrap();
        assert!(names.critical && certificate.subject_der() == [0x30, 0]);
        assert!(listener.takes(&agent).await);
        assert!(listener.takes(&agent.sends(&[&ca.der, &above.der])).await, "what is above the issuer does not matter");
    }
}

#[tokio::test]
async fn nobody_needs_a_certificate() {
    let listener = Listener::below(&Ca::new("ca")).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        assert_eq!(listener.answers(None, version).await.as_deref(), Some(NONE));
    }
}

#[tokio::test]
async fn whoever_shows_a_bad_certificate_is_turned_away() {
    let (ca, foreign, namesake) = (Ca::new("ca"), Ca::new("foreign"), Ca::new("ca"));
    let listener = Listener::below(&ca).await;
    let cases = [
        ("expired", ca.agent(P256, |params| params.not_after = date_time_ymd(2026, 2, 1))),
        ("not yet valid", ca.agent(P256, |params| params.not_before = date_time_ymd(2026, 12, 1))),
        ("a precertificate", ca.agent(P256, |params| params.custom_extensions.push(extension(7, true)))),
        (
            "poisoned, and not even critically",
            ca.agent(P256, |params| params.custom_extensions.push(extension(7, false))),
        ),
        ("of a foreign issuer", foreign.agent(P256, |_| {})),
        ("of a foreign issuer, with its chain", foreign.agent(P256, |_| {}).sends(&[&foreign.der])),
        ("of a namesake of the issuer", namesake.agent(ED25519, |_| {})),
        ("with our issuer sent behind a foreign one", foreign.agent(P256, |_| {}).sends(&[&foreign.der, &ca.der])),
        ("no certificate", Client { chain: vec![b"x".to_vec()], ..ca.agent(P256, |_| {}) }),
        ("with rubbish behind it", ca.agent(P256, |_| {}).sends(&[b"x"])),
        ("behind too much", ca.agent(P256, |_| {}).sends(&[&foreign.der, &foreign.der, &foreign.der])),
    ];
    for (what, client) in cases {
        assert!(!listener.takes(&client).await, "{what}");
    }
}

#[tokio::test]
async fn a_certificate_without_its_key_proves_nothing() {
    let ca = Ca::new("ca");
    let listener = Listener::below(&ca).await;
    let (one, other) = (ca.agent(P256, |_| {}), ca.agent(P256, |_| {}));
    assert!(!listener.takes(&Client { chain: one.chain, key: other.key }).await);
}

/// An intermediate that `root` signed, and its key: an authority of this name and key, under this number.
fn intermediate(root: &Ca, name: &str, key: &KeyPair, serial: u64) -> (Ca, String) {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.serial_number = Some(SerialNumber::from(serial));
    let der = params.signed_by(key, &root.issuer).unwrap().der().to_vec();
    let key = KeyPair::from_pem(&key.serialize_pem()).unwrap();
    let pem = key.serialize_pem();
    (Ca { der, issuer: Issuer::new(params, key) }, pem)
}

#[test]
fn agents_of_the_intermediate_before_are_known_after_a_renewal() {
    let root = Ca::root("root");
    let (same, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let (before, _) = intermediate(&root, "issuing", &same, 3);
    let (with_same_key, same_pem) = intermediate(&root, "issuing", &same, 4);
    let (with_new_key, new_pem) = intermediate(&root, "issuing anew", &other, 5);
    // What `atl agent` sends is what it got: its certificate and the intermediate of that time.
    let agent = before.agent(P256, |_| {}).sends(&[&before.der]);
    let stranger = Ca::new("issuing").agent(P256, |_| {}).sends(&[&before.der]);
    for (now, pem) in [(&with_same_key, same_pem), (&with_new_key, new_pem)] {
        let read = |ca: &Ca| Certificate::parse(ca.der.as_slice()).unwrap();
        let signer = crate::keys::signer_from_pkcs8_pem(&pem, crate::cli::server::random_source()).unwrap();
        let ca = IssuingCa::new(read(now), vec![read(&root)], signer.into()).unwrap();
        let clock = Arc::new(Fixed(UnixMillis::new(1_782_000_000_000)));
        let check = ClientChainCheck::new(accepted_issuers(&ca).unwrap(), clock);
        assert_eq!(check.check(&agent.chain[0], &agent.chain[1..]), Ok(()));
        assert!(check.check(&stranger.chain[0], &stranger.chain[1..]).is_err());
    }
}
