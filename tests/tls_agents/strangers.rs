//! Strangers at the door: everything but what they present is rustls's own.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::aws_lc_rs;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned};

use super::*;

/// Takes every server.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519, SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

#[derive(Debug)]
struct Shown(Option<Arc<CertifiedKey>>);

impl ResolvesClientCert for Shown {
    fn resolve(&self, hints: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        // Strangers are not told whom one trusts, nor offered anything that nobody here signs with.
        assert!(hints.is_empty());
        assert_eq!(schemes, [SignatureScheme::ED25519, SignatureScheme::ECDSA_NISTP256_SHA256]);
        self.0.clone()
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn signing(key: &Key) -> Arc<dyn SigningKey> {
    any_supported_type(&PrivateKeyDer::from_pem_slice(key.pem().as_bytes()).unwrap()).unwrap()
}

/// Signs with a key, and says that it was by another algorithm.
#[derive(Debug)]
struct Mislabelled(Arc<dyn SigningKey>);

impl SigningKey for Mislabelled {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        Some(Box::new(MislabelledSigner(self.0.choose_scheme(offered)?)))
    }

    fn algorithm(&self) -> rustls::SignatureAlgorithm {
        self.0.algorithm()
    }
}

#[derive(Debug)]
struct MislabelledSigner(Box<dyn Signer>);

impl Signer for MislabelledSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.0.sign(message)
    }

    fn scheme(&self) -> SignatureScheme {
        match self.0.scheme() {
            SignatureScheme::ED25519 => SignatureScheme::ECDSA_NISTP256_SHA256,
            _ => SignatureScheme::ED25519,
        }
    }
}

/// Knocks with these certificates and this key; gives what both sides make of it.
fn knock(
    server: &Endpoint,
    shown: Option<(&Agent, Arc<dyn SigningKey>)>,
    change: impl FnOnce(&mut ClientConfig),
) -> (TlsError, Result<AgentUri, TlsError>) {
    let provider = aws_lc_rs::default_provider();
    let shown = shown.map(|(agent, key)| {
        let certificates = agent.certificates().iter().map(|c| CertificateDer::from(c.der().to_vec())).collect();
        Arc::new(CertifiedKey::new(certificates, key))
    });
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_client_cert_resolver(Arc::new(Shown(shown)));
    config.resumption = Resumption::disabled();
    change(&mut config);
    let (near, far) = pair();
    std::thread::scope(|scope| {
        let accepting = scope.spawn(|| {
            let channel = server.accept(far, &Expected::anyone())?;
            Ok(channel.peer().agent().clone())
        });
        let connection = ClientConnection::new(Arc::new(config), "somewhere.example".try_into().unwrap()).unwrap();
        let mut stream = StreamOwned::new(connection, near);
        // It reads alone: what a stranger writes may meet a stream that was closed.
        let error = stream.read(&mut [0]).unwrap_err();
        (error.into(), accepting.join().unwrap())
    })
}

#[test]
fn without_a_certificate_nobody_comes_in() {
    let stage = Stage::new();
    for bank in [stage.endpoint(&stage.bank), stage.endpoint(&stage.bank).explaining()] {
        let (told, outcome) = knock(&bank, None, |_| {});
        assert!(matches!(told, TlsError::Alert(Alert::NoCertificate)), "{told}");
        assert!(matches!(outcome, Err(TlsError::Tls(Error::NoCertificatesPresented))), "{outcome:?}");
    }
}

#[test]
fn a_certificate_without_its_key_is_nobodys() {
    let stage = Stage::new();
    let worker = stage.worker();
    let own = signing(&worker.key);
    for key in [signing(&Key::ed25519(99)), signing(&Key::p256()), Arc::new(Mislabelled(own.clone()))] {
        for bank in [stage.endpoint(&stage.bank), stage.endpoint(&stage.bank).explaining()] {
            let (told, outcome) = knock(&bank, Some((&worker, Arc::clone(&key))), |_| {});
            assert!(matches!(told, TlsError::Alert(Alert::NotTheKey)), "{told}");
            assert!(matches!(outcome, Err(TlsError::Tls(Error::InvalidCertificate(_)))), "{outcome:?}");
        }
    }
    // The same stranger with the key is the worker.
    let (_, outcome) = knock(&stage.endpoint(&stage.bank), Some((&worker, own)), |_| {});
    assert_eq!(outcome.unwrap(), worker.uri());
}

#[test]
fn who_does_not_explain_gets_nothing_out_of_who_does() {
    let stage = Stage::new();
    // Too few points, which would be explained; but the peer never said that it would listen.
    let low = stage.world.agent(&Profile { score: Some(score(1, 0)), ..Profile::new("low", 1) });
    let (_, outcome) = knock(&stage.endpoint(&stage.bank).explaining(), Some((&low, signing(&low.key))), |_| {});
    assert!(matches!(outcome, Err(TlsError::OtherMode)), "{outcome:?}");
    // And one that speaks of something else is told so.
    let other = |config: &mut ClientConfig| config.alpn_protocols = vec![b"h2".to_vec()];
    let (told, outcome) = knock(&stage.endpoint(&stage.bank).explaining(), Some((&low, signing(&low.key))), other);
    let TlsError::Tls(Error::AlertReceived(alert)) = told else { panic!("{told}") };
    assert_eq!(alert, rustls::AlertDescription::NoApplicationProtocol);
    assert!(outcome.is_err());
}

#[test]
fn who_says_nothing_of_its_verdict_gets_no_stream() {
    let stage = Stage::new();
    let worker = stage.worker();
    // It was accepted, and speaks of something else than its verdict.
    let (near, far) = pair();
    let (mut config, meeting) = stage.endpoint(&worker).client(&Expected::agent(&stage.bank.uri())).unwrap();
    config.alpn_protocols = vec![atl::tls::ALPN.to_vec()];
    let bank = stage.endpoint(&stage.bank).explaining();
    std::thread::scope(|scope| {
        let accepting = scope.spawn(|| bank.accept(far, &Expected::anyone()));
        let connection = ClientConnection::new(Arc::new(config), "somewhere.example".try_into().unwrap()).unwrap();
        let mut stream = StreamOwned::new(connection, near);
        let mut line = [0; 21];
        stream.read_exact(&mut line).unwrap();
        assert_eq!(line.escape_ascii().to_string(), r#"{\"verdict\":\"accept\"}\n"#);
        assert_eq!(meeting.peer(&stream.conn).unwrap().agent(), &stage.bank.uri());
        stream.write_all(b"GET / HTTP/1.1\n").unwrap();
        let outcome = accepting.join().unwrap();
        assert!(matches!(outcome, Err(TlsError::Line(_))), "{outcome:?}");
    });
}

#[test]
fn a_meeting_is_about_its_own_connection() {
    let stage = Stage::new();
    let (worker, bank) = (stage.endpoint(&stage.worker()), stage.endpoint(&stage.bank));
    let (_, meeting) = worker.client(&Expected::anyone()).unwrap();
    let (config, other) = worker.client(&Expected::anyone()).unwrap();
    let connection = ClientConnection::new(Arc::new(config), "somewhere.example".try_into().unwrap()).unwrap();
    // Nobody was met yet.
    assert!(matches!(other.peer(&connection), Err(TlsError::OtherConnection)));
    let (client, server) = meet(&worker, &Expected::anyone(), &bank, &Expected::anyone());
    let (client, _server) = (client.unwrap(), server.unwrap());
    assert!(matches!(meeting.peer(client.connection()), Err(TlsError::OtherConnection)));
    assert_eq!(client.connection().protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
}
