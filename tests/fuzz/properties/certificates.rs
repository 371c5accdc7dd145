//! Certificates, their extensions, agent URIs.

use atl::apki::attestation::Attestation;
use atl::apki::capabilities::Capabilities;
use atl::apki::certificate::Certificate;
use atl::apki::chain::Issuer;
use atl::apki::delegation::Delegation;
use atl::apki::precertificate::{Precertificate, recover};
use atl::apki::provenance::Provenance;
use atl::apki::trust_score::TrustScore;
use atl::apki::{AgentExtension, AgentUri, oid};
use atl::keys::PublicKey;

/// A certificate is the octets that it was read from, and so is all that can be asked of it.
pub fn certificate(input: &[u8]) {
    let Ok(certificate) = Certificate::parse(input) else { return };
    assert_eq!(certificate.der(), input);
    for part in [
        certificate.tbs_der(),
        certificate.serial(),
        certificate.issuer_der(),
        certificate.subject_der(),
        certificate.spki_der(),
        certificate.signature(),
        certificate.subject_key_identifier().unwrap_or_default(),
        certificate.authority_key_identifier().unwrap_or_default(),
    ] {
        assert!(is_part(certificate.der(), part));
    }
    assert_eq!(certificate.is_self_issued(), certificate.issuer_der() == certificate.subject_der());
    let _ = (certificate.not_before().to_string(), certificate.not_after().to_string());
    let _ = certificate.basic_constraints();
    let _ =
        certificate.key_usage().map(|usage| usage.map(|u| (u.digital_signature(), u.key_cert_sign(), u.crl_sign())));
    if let Ok(key) = PublicKey::from_spki_der(certificate.spki_der()) {
        assert_eq!(key.spki_der(), certificate.spki_der());
        let _ = key.verify(certificate.tbs_der(), certificate.signature());
    }
    if let Ok(issuer) = Issuer::new(certificate.clone()) {
        assert!(certificate.basic_constraints().unwrap().unwrap().ca);
        assert_eq!(issuer.fingerprint(), &certificate.fingerprint());
    }
    each_extension(&certificate);
    agent_name(&certificate);
    recovers(&certificate);
    completes(&certificate);
}

fn each_extension(certificate: &Certificate) {
    for extension in certificate.extensions() {
        assert!(is_part(certificate.der(), extension.der) && is_part(extension.der, extension.value));
        let same = certificate.extensions().filter(|other| other.oid == extension.oid).count();
        assert_eq!(same, 1, "an extension twice");
    }
    let agents = oid::AGENT_EXTENSIONS.iter().any(|oid| certificate.extension(oid).is_some());
    assert_eq!(certificate.has_apki_extension(), agents);
    assert_eq!(certificate.capabilities_hash().is_some(), certificate.extension(&oid::AGENT_CAPABILITIES).is_some());
    in_certificate::<TrustScore>(certificate);
    in_certificate::<Capabilities>(certificate);
    in_certificate::<Delegation>(certificate);
    in_certificate::<Provenance>(certificate);
    in_certificate::<Attestation>(certificate);
}

fn in_certificate<E: AgentExtension>(certificate: &Certificate) {
    let Ok(Some(value)) = certificate.agent_extension::<E>() else { return };
    let octets = certificate.extension(&E::OID).unwrap().value;
    assert_eq!(value.to_der().unwrap(), octets);
}

fn agent_name(certificate: &Certificate) {
    let names = certificate.uri_names();
    let Ok(uri) = certificate.agent_uri() else { return };
    let agents = names.unwrap().into_iter().filter(|name| name.len() > 5 && name[..6].eq_ignore_ascii_case(b"agent:"));
    assert_eq!(agents.collect::<Vec<_>>(), [uri.as_str().as_bytes()]);
    agent_uri(uri.as_str().as_bytes());
}

/// What is recovered from a final certificate is a precertificate, and the final one can be made
/// of it again.
fn recovers(certificate: &Certificate) {
    let Ok(Some(recovered)) = recover(certificate) else { return };
    let parsed = Certificate::parse(recovered.precertificate_der).unwrap();
    let precertificate = Precertificate::of(&parsed).unwrap().unwrap();
    // Nobody writes these two as critical. Where they are, it is for the relying party to refuse (R22).
    if certificate.extensions().rev().take(2).all(|extension| !extension.critical) {
        let tbs = precertificate.final_tbs(recovered.sat_list_der);
        assert_eq!(tbs, certificate.tbs_der());
        assert_eq!(precertificate.assemble(&tbs, certificate.signature()).unwrap(), *certificate);
    }
}

/// What is made of a precertificate leads back to it.
fn completes(certificate: &Certificate) {
    let Ok(Some(precertificate)) = Precertificate::of(certificate) else { return };
    let tbs = precertificate.final_tbs(b"0\0");
    let taken = [&oid::SIGNED_AGENT_TIMESTAMP_LIST, &oid::PRECERTIFICATE_SIGNATURE]
        .iter()
        .any(|oid| certificate.extension(oid).is_some());
    match precertificate.assemble(&tbs, b"signature") {
        Ok(complete) => {
            let recovered = recover(&complete).unwrap().unwrap();
            assert_eq!(recovered.precertificate_der, certificate.der());
            assert_eq!(recovered.sat_list_der, b"0\0");
        }
        Err(error) => assert!(taken, "{error}"),
    }
}

/// The five extensions: what decodes encodes to the same octets.
pub fn extensions(input: &[u8]) {
    extension::<TrustScore>(input);
    extension::<Capabilities>(input);
    extension::<Delegation>(input);
    extension::<Provenance>(input);
    extension::<Attestation>(input);
}

fn extension<E: AgentExtension>(input: &[u8]) {
    match E::from_der(input) {
        Ok(value) => assert_eq!(value.to_der().unwrap(), input),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// An agent URI is its text, and made of its four parts.
pub fn agent_uri(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let uri = match AgentUri::parse(text) {
        Ok(uri) => uri,
        Err(error) => return assert!(!error.code().is_empty() && !error.to_string().is_empty()),
    };
    assert_eq!(uri.as_str(), text);
    assert_eq!(uri.to_string().parse::<AgentUri>().as_ref(), Ok(&uri));
    let parts = [uri.trust_domain(), uri.org(), uri.agent_type(), uri.instance()];
    assert_eq!(format!("agent://{}", parts.join("/")), text);
    assert!(parts.iter().all(|part| !part.is_empty() && !part.contains('/')) && text.len() <= 512);
}

/// Whether `part` lies inside `whole`, and not only looks like a part of it.
fn is_part(whole: &[u8], part: &[u8]) -> bool {
    let (whole, place) = (whole.as_ptr_range(), part.as_ptr_range());
    part.is_empty() || whole.start <= place.start && place.end <= whole.end
}
