//! Against certificates with a URI name constraint above them, which webpki alone refuses.

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// 2026-06-01
const NOW: UnixTime = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_780_272_000));

struct Ca {
    key: KeyPair,
    params: CertificateParams,
    certificate: rcgen::Certificate,
}

impl Ca {
    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2049, 1, 1));
    params
}

fn root() -> Ca {
    let (key, params) = (KeyPair::generate().unwrap(), ca_params("Agent Root CA"));
    Ca { certificate: params.self_signed(&key).unwrap(), key, params }
}

/// An intermediate that may name URIs of `bank.example.com` only; critical, as the protocol wants it.
fn constrained(root: &Ca, more: impl FnOnce(&mut CertificateParams)) -> Ca {
    let mut params = ca_params("Bank CA");
    let domain = b"bank.example.com";
    let length = domain.len() as u8;
    let head = [0x30, length + 6, 0xa0, length + 4, 0x30, length + 2, 0x86, length];
    let mut constraint = CustomExtension::from_oid_content(&[2, 5, 29, 30], [&head[..], domain].concat());
    constraint.set_criticality(true);
    params.custom_extensions = vec![constraint];
    more(&mut params);
    let key = KeyPair::generate().unwrap();
    Ca { certificate: params.signed_by(&key, &root.issuer()).unwrap(), key, params }
}

/// A server's certificate, for `localhost` and `127.0.0.1` unless `change` says otherwise.
fn server(ca: &Ca, change: impl FnOnce(&mut CertificateParams)) -> (rcgen::Certificate, KeyPair) {
    let mut params = CertificateParams::new(vec!["localhost".into(), "127.0.0.1".into()]).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    (params.not_before, params.not_after) = (date_time_ymd(2025, 1, 1), date_time_ymd(2040, 1, 1));
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, &ca.issuer()).unwrap(), key)
}

fn anchors(ca: &Ca) -> Anchors {
    Anchors::new([Certificate::parse(ca.certificate.der().to_vec()).unwrap()]).unwrap()
}

fn verifier(trusted: &Ca) -> AnchoredVerifier {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    AnchoredVerifier { anchors: anchors(trusted), provider }
}

fn verify(trusted: &Ca, leaf: &rcgen::Certificate, chain: &[&Ca], name: &str, now: UnixTime) -> Result<(), String> {
    let chain: Vec<_> = chain.iter().map(|ca| ca.certificate.der().clone()).collect();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let verdict = verifier(trusted).verify_server_cert(leaf.der(), &chain, &name, &[], now);
    verdict.map(|_| ()).map_err(|e| format!("{e:?}"))
}

#[test]
fn names_and_addresses_below_a_uri_constraint() {
    let root = root();
    let org = constrained(&root, |_| {});
    let (leaf, _) = server(&org, |_| {});
    for chain in [&[&org][..], &[&org, &root]] {
        assert_eq!(verify(&root, &leaf, chain, "localhost", NOW), Ok(()));
        assert_eq!(verify(&root, &leaf, chain, "127.0.0.1", NOW), Ok(()));
    }
    for other in ["ca.example.com", "127.0.0.2", "::1"] {
        assert!(verify(&root, &leaf, &[&org], other, NOW).unwrap_err().contains("NotValidForName"), "{other}");
    }
}

#[test]
fn webpki_alone_refuses_a_server_that_is_an_agent() {
    let root = root();
    let org = constrained(&root, |_| {});
    let uri = rcgen::string::Ia5String::try_from("agent://bank.example.com/retail/ca/1").unwrap();
    let (leaf, _) = server(&org, |params| params.subject_alt_names.push(rcgen::SanType::URI(uri)));
    assert_eq!(verify(&root, &leaf, &[&org], "localhost", NOW), Ok(()));
    let trusted = webpki::anchor_from_trusted_cert(root.certificate.der()).unwrap();
    let refused = webpki::EndEntityCert::try_from(leaf.der())
        .unwrap()
        .verify_for_usage(
            &[webpki::aws_lc_rs::ECDSA_P256_SHA256],
            &[trusted],
            std::slice::from_ref(org.certificate.der()),
            NOW,
            webpki::KeyUsage::server_auth(),
            None,
            None,
        )
        .err();
    // Where this fails, the verifier of this module is not needed any more.
    assert!(refused.is_some());
}

#[test]
fn each_departure_is_refused() {
    let (root, stranger) = (root(), root());
    let org = constrained(&root, |_| {});
    let (leaf, _) = server(&org, |_| {});
    let refused = |result: Result<(), String>, why: &str| {
        let told = result.unwrap_err();
        assert!(told.contains(why), "{told}");
    };
    refused(verify(&stranger, &leaf, &[&org], "localhost", NOW), "NotByAnchor");
    refused(verify(&root, &leaf, &[], "localhost", NOW), "UnknownAnchor");
    refused(verify(&root, &leaf, &[&org, &org, &org, &root], "localhost", NOW), "TooLong");
    let at = |seconds| UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    refused(verify(&root, &leaf, &[&org], "localhost", at(1_700_000_000)), "NotValidYet");
    refused(verify(&root, &leaf, &[&org], "localhost", at(2_300_000_000)), "Expired");

    let old = constrained(&root, |params| params.not_after = date_time_ymd(2026, 1, 1));
    let (below_old, _) = server(&old, |_| {});
    refused(verify(&root, &below_old, &[&old], "localhost", NOW), "Expired");

    let (client, _) = server(&org, |p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    refused(verify(&root, &client, &[&org], "localhost", NOW), "Purpose");
    let (encipher, _) = server(&org, |p| p.key_usages = vec![KeyUsagePurpose::KeyEncipherment]);
    refused(verify(&root, &encipher, &[&org], "localhost", NOW), "Purpose");

    let odd = |content: &[u8]| {
        let mut odd = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 32473, 1, 7], content.to_vec());
        odd.set_criticality(true);
        odd
    };
    let (precertificate, _) = server(&org, |p| p.custom_extensions = vec![odd(&[5, 0])]);
    refused(verify(&root, &precertificate, &[&org], "localhost", NOW), "Critical");
    let strange = constrained(&root, |params| params.custom_extensions.push(odd(&[5, 0])));
    let (below_strange, _) = server(&strange, |_| {});
    refused(verify(&root, &below_strange, &[&strange], "localhost", NOW), "Critical");
}

/// Answers one connection with `ok`; gives its port, and afterwards the client's certificate.
async fn answer_once(config: ServerConfig) -> (u16, tokio::task::JoinHandle<Option<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let served = tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(tcp).await.ok()?;
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok").await;
        let _ = stream.shutdown().await;
        Some(stream.get_ref().1.peer_certificates().map_or_else(Vec::new, |c| c[0].to_vec()))
    });
    (port, served)
}

fn server_config(org: &Ca, clients: Option<&Ca>) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let (leaf, key) = server(org, |_| {});
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = match clients {
        Some(root) => {
            let mut roots = RootCertStore::empty();
            roots.add(root.certificate.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.unwrap().with_client_cert_verifier(verifier)
        }
        None => builder.unwrap().with_no_client_auth(),
    };
    let chain = vec![leaf.der().clone(), org.certificate.der().clone()];
    builder.with_single_cert(chain, PrivateKeyDer::try_from(key.serialize_der()).unwrap()).unwrap()
}

#[tokio::test]
async fn requests_reach_a_server_below_the_root_and_no_other() {
    let (root, stranger) = (root(), root());
    let org = constrained(&root, |_| {});
    for host in ["localhost", "127.0.0.1"] {
        let (port, served) = answer_once(server_config(&org, None)).await;
        let http = http_client(Some(anchors(&root)), None).unwrap();
        let body = http.get(format!("https://{host}:{port}/")).send().await.unwrap().text().await.unwrap();
        assert_eq!((body.as_str(), served.await.unwrap()), ("ok", Some(Vec::new())));
    }
    for trusted in [None, Some(anchors(&stranger))] {
        let (port, served) = answer_once(server_config(&org, None)).await;
        let error = http_client(trusted, None).unwrap().get(format!("https://localhost:{port}/")).send().await;
        assert!(told(&error.unwrap_err()).contains("certificate"));
        assert_eq!(served.await.unwrap(), None);
    }
}

#[tokio::test]
async fn mutual_tls_presents_the_certificate() {
    let root = root();
    let org = constrained(&root, |_| {});
    let (leaf, key) = server(&root, |p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    let (chain_pem, key_pem) = (leaf.pem(), key.serialize_pem());
    let identity = Identity { chain_pem: &chain_pem, key_pem: &key_pem };
    let (port, served) = answer_once(server_config(&org, Some(&root))).await;
    let http = http_client(Some(anchors(&root)), Some(identity)).unwrap();
    http.get(format!("https://localhost:{port}/")).send().await.unwrap();
    assert_eq!(served.await.unwrap().as_deref(), Some(leaf.der().as_ref()));

    // The system's trust takes an identity too, and one whose key is another's is refused.
    http_client(None, Some(identity)).unwrap();
    let other = KeyPair::generate().unwrap().serialize_pem();
    let mixed = Identity { chain_pem: &chain_pem, key_pem: &other };
    assert!(matches!(http_client(Some(anchors(&root)), Some(mixed)), Err(TlsError::Identity(_))));
}

#[test]
fn secrets_travel_in_private() {
    for (url, private) in [
        ("https://ca.example.com", true),
        ("http://127.0.0.1:8080", true),
        ("http://localhost", true),
        ("http://[::1]:1", true),
        ("http://ca.example.com", false),
        ("http://localhost.example.com", false),
    ] {
        assert_eq!(is_private(url).unwrap(), private, "{url}");
    }
    assert!(is_private("ca.example.com").is_err());
}
