//! Revocation lists and OCSP, as OpenSSL reads and asks.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::expect_used)] // a tool that fails is a failed test

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use atl::apki::Certificate;
use atl::apki::certificate::{authority_info_access_der, crl_distribution_points_der};
use atl::apki::extension::AsciiText;
use atl::apki::moment::Moment;
use atl::apki::precertificate::certificate_der;
use atl::apki::status::RevocationReason;
use atl::apki::status::crl::{self, Crl, CrlTemplate, RevokedCertificate, Scope};
use atl::apki::status::ocsp::{
    CertId, CertIdHash, CertStatus, IssuerIds, Nonce, OcspRequest, OcspResponse, ResponseTemplate, SingleResponse,
    basic_response, responder_key_hash,
};
use atl::ca::profile::{HelperProfile, HelperRole};
use atl::ca::serial::Serial;
use atl::keys::{Signer, signer_from_pkcs8_pem};
use atl::time::{Clock, SystemClock, UnixMillis};
use aws_lc_rs::rand::SystemRandom;
use der::pem::{self, LineEnding};
use tempfile::TempDir;

const KINDS: [&str; 2] = ["p256", "ed25519"];
const SHARD: &str = "http://ca.example.com/crl/7";
const ROOT_LIST: &str = "http://ca.example.com/crl/root";
/// The list of the root itself, about the root and whoever signs its other list.
const ANCHOR_LIST: &str = "http://ca.example.com/crl/anchor";
const OCSP: &str = "http://ca.example.com/ocsp";

/// A directory in which OpenSSL works, with a CA.
struct Desk {
    dir: TempDir,
    signer: Box<dyn Signer>,
    now: UnixMillis,
}

impl Desk {
    /// A CA with a key of this kind; the list of its intermediates is the indirect one of `CN=Signer`.
    fn new(kind: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let hex_of = |der: Vec<u8>| hex::encode(der);
        let config = format!(
            "[req]\nprompt=no\ndistinguished_name=dn\n[dn]\nCN=CA\n[ca]\nbasicConstraints=critical,CA:TRUE\n\
             keyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n2.5.29.31=DER:{anchor}\n\
             [intermediate]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n\
             authorityKeyIdentifier=keyid\n2.5.29.31=DER:{root}\n\
             [leaf]\nauthorityKeyIdentifier=keyid\n2.5.29.31=DER:{shard}\n1.3.6.1.5.5.7.1.1=DER:{ocsp}\n",
            anchor = hex_of(crl_distribution_points_der(ANCHOR_LIST, None)),
            root = hex_of(crl_distribution_points_der(ROOT_LIST, Some(&signer_name()))),
            shard = hex_of(crl_distribution_points_der(SHARD, None)),
            ocsp = hex_of(authority_info_access_der(OCSP)),
        );
        std::fs::write(dir.path().join("c.cnf"), config).unwrap();
        let key = new_key(dir.path(), kind, "ca.key");
        let desk = Self { dir, signer: key, now: SystemClock.now() };
        desk.openssl("req -x509 -new -key ca.key -config c.cnf -extensions ca -subj /CN=CA -days 30 -out ca.crt");
        desk
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// What OpenSSL says, on either stream, and whether it succeeded.
    fn run(&self, arguments: &str) -> (bool, String) {
        run(self.path(), arguments)
    }

    fn openssl(&self, arguments: &str) -> String {
        let (good, said) = self.run(arguments);
        assert!(good, "openssl {arguments}: {said}");
        said
    }

    fn write(&self, name: &str, octets: &[u8]) {
        std::fs::write(self.path().join(name), octets).unwrap();
    }

    /// A certificate by the CA, with these extensions of the configuration.
    fn issue(&self, name: &str, extensions: &str, serial: u32) -> Certificate {
        new_key(self.path(), "ed25519", "subject.key");
        self.openssl(&format!("req -new -key subject.key -config c.cnf -subj /CN={name} -out subject.csr"));
        self.openssl(&format!(
            "x509 -req -in subject.csr -CA ca.crt -CAkey ca.key -set_serial {serial} -days 10 -extfile c.cnf -extensions \
             {extensions} -out {name}.crt"
        ));
        self.certificate(&format!("{name}.crt"))
    }

    fn certificate(&self, name: &str) -> Certificate {
        let text = std::fs::read(self.path().join(name)).unwrap();
        Certificate::parse(pem::decode_vec(&text).unwrap().1).unwrap()
    }

    fn at(&self, seconds: i64) -> Moment {
        Moment::floor(UnixMillis::new(self.now.get().checked_add_signed(seconds * 1000).unwrap())).unwrap()
    }

    /// A helper's certificate, and its key.
    fn helper(&self, role: HelperRole, kind: &str) -> (Certificate, Box<dyn Signer>) {
        let key = new_key(self.path(), kind, "helper.key");
        let issuer = self.certificate("ca.crt");
        let profile = HelperProfile {
            role,
            serial: Serial::from_random([0x55; 20]),
            not_before: self.at(-60),
            not_after: self.at(86_400),
            common_name: "Signer",
            public_key: key.public_key(),
            crl_url: (role == HelperRole::CrlSigner).then_some(ANCHOR_LIST),
        };
        let algorithm = self.signer.public_key().algorithm();
        let tbs = profile.tbs(&issuer, algorithm).unwrap();
        let der = certificate_der(&tbs, algorithm.algorithm_identifier_der(), &self.signer.sign(&tbs).unwrap());
        self.write("helper.crt", pem::encode_string("CERTIFICATE", LineEnding::LF, &der).unwrap().as_bytes());
        (Certificate::parse(der).unwrap(), key)
    }

    /// Writes a list of these, signed by `signer`, to `list.der` and `list.pem`.
    fn list(&self, issuer: &Certificate, signer: &dyn Signer, scope: Option<Scope>, of: &[RevokedCertificate<'_>]) {
        let algorithm = signer.public_key().algorithm();
        let template = CrlTemplate {
            issuer_der: issuer.subject_der(),
            algorithm,
            this_update: self.at(-10),
            next_update: self.at(600),
            number: 0xff00,
            authority_key_identifier: issuer.subject_key_identifier().unwrap(),
            scope,
        };
        let tbs = template.tbs(of.iter().copied()).unwrap();
        let der = crl::signed(&tbs, algorithm, &signer.sign(&tbs).unwrap());
        let read = Crl::parse(&der[..]).unwrap();
        assert_eq!((read.verify(signer.public_key()), read.check_current(self.now)), (Ok(()), Ok(())));
        self.write("list.der", &der);
        self.openssl("crl -inform DER -in list.der -out list.pem");
    }
}

fn run(dir: &Path, arguments: &str) -> (bool, String) {
    let out = Command::new("openssl").args(arguments.split(' ')).current_dir(dir).output();
    let out = out.expect("these tests need the program `openssl` (3.x): install it");
    (out.status.success(), String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned())
}

fn new_key(dir: &Path, kind: &str, name: &str) -> Box<dyn Signer> {
    let options = if kind == "p256" { "ec -pkeyopt ec_paramgen_curve:P-256" } else { kind };
    let (made, said) = run(dir, &format!("genpkey -out {name} -algorithm {options}"));
    assert!(made, "{said}");
    let text = std::fs::read_to_string(dir.join(name)).unwrap();
    signer_from_pkcs8_pem(&text, Arc::new(SystemRandom::new())).unwrap()
}

/// `CN=Signer`
fn signer_name() -> Vec<u8> {
    [&[0x30, 0x11, 0x31, 0x0f, 0x30, 0x0d, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, 0x06][..], b"Signer"].concat()
}

fn scope(url: &str, indirect: bool) -> Option<Scope> {
    Some(Scope { url: AsciiText::new(url).unwrap(), only_user_certificates: !indirect, indirect })
}

#[test]
fn openssl_verifies_a_sharded_list() {
    for kind in KINDS {
        let desk = Desk::new(kind);
        let (ca, leaf) = (desk.certificate("ca.crt"), desk.issue("leaf", "leaf", 77));
        assert_eq!((leaf.crl_url(), leaf.ocsp_url()), (Ok(Some(SHARD)), Ok(Some(OCSP))));
        let verify = "verify -crl_check -CAfile ca.crt -CRLfile list.pem leaf.crt";
        let entry = |serial, reason| RevokedCertificate { serial, at: desk.at(-20), reason, certificate_issuer: None };

        desk.list(&ca, desk.signer.as_ref(), scope(SHARD, false), &[]);
        let text = desk.openssl("crl -inform DER -in list.der -noout -text -CAfile ca.crt");
        for said in ["verify OK", "No Revoked Certificates", "65280", "Only User Certificates", SHARD] {
            assert!(text.contains(said), "{said}: {text}");
        }
        assert!(desk.openssl(verify).contains("leaf.crt: OK"));

        let both = [entry(&[5], RevocationReason::Unspecified), entry(leaf.serial(), RevocationReason::KeyCompromise)];
        desk.list(&ca, desk.signer.as_ref(), scope(SHARD, false), &both);
        let text = desk.openssl("crl -inform DER -in list.der -noout -text -CAfile ca.crt");
        assert!(text.contains("verify OK") && text.contains("Serial Number: 4D"), "{text}");
        assert_eq!(text.matches("CRL Reason Code").count(), 1, "{text}");
        assert!(text.contains("Key Compromise"), "{text}");
        let (good, said) = desk.run(verify);
        assert!(!good && said.contains("certificate revoked"), "{said}");

        // Another shard says nothing about the certificate.
        desk.list(&ca, desk.signer.as_ref(), scope("http://ca.example.com/crl/8", false), &both);
        let (good, said) = desk.run(verify);
        assert!(!good && said.contains("different CRL scope"), "{said}");
        // Nor does a list that the key of somebody else signed.
        let stranger = new_key(desk.path(), kind, "stranger.key");
        desk.list(&ca, stranger.as_ref(), scope(SHARD, false), &[]);
        assert!(!desk.run(verify).0);
    }
}

#[test]
fn openssl_verifies_an_indirect_list() {
    for kind in KINDS {
        let desk = Desk::new(kind);
        let (ca, intermediate) = (desk.certificate("ca.crt"), desk.issue("intermediate", "intermediate", 78));
        let point = intermediate.crl_distribution_point().unwrap().unwrap();
        assert_eq!((point.url, point.crl_issuer), (ROOT_LIST, Some(&signer_name()[..])));
        let (helper, key) = desk.helper(HelperRole::CrlSigner, kind);
        assert_eq!(helper.subject_der(), signer_name());
        let text = desk.openssl("x509 -in helper.crt -noout -text");
        assert!(text.contains("CA:FALSE") && text.contains("CRL Sign\n"), "{text}");
        let verify = "verify -crl_check_all -extended_crl -CAfile ca.crt -untrusted helper.crt -CRLfile list.pem -CRLfile anchor.pem \
                      intermediate.crt";

        desk.list(
            &ca,
            desk.signer.as_ref(),
            scope(ANCHOR_LIST, false).map(|s| Scope { only_user_certificates: false, ..s }),
            &[],
        );
        std::fs::rename(desk.path().join("list.pem"), desk.path().join("anchor.pem")).unwrap();
        desk.list(&helper, key.as_ref(), scope(ROOT_LIST, true), &[]);
        assert!(desk.openssl(verify).contains("intermediate.crt: OK"));
        // Without the option nobody takes lists of others.
        assert!(!desk.run(&verify.replace("-extended_crl ", "")).0);

        let revoked = RevokedCertificate {
            serial: intermediate.serial(),
            at: desk.at(-20),
            reason: RevocationReason::CaCompromise,
            certificate_issuer: Some(ca.subject_der()),
        };
        desk.list(&helper, key.as_ref(), scope(ROOT_LIST, true), &[revoked]);
        let text = desk.openssl("crl -inform DER -in list.der -noout -text");
        for said in ["Indirect CRL", "X509v3 Certificate Issuer: critical", "CA Compromise"] {
            assert!(text.contains(said), "{said}: {text}");
        }
        let (good, said) = desk.run(verify);
        assert!(!good && said.contains("certificate revoked"), "{said}");
        // The same serial number of the signer's own, if it had any, is another certificate.
        let own = RevokedCertificate { certificate_issuer: None, ..revoked };
        desk.list(&helper, key.as_ref(), scope(ROOT_LIST, true), &[own]);
        assert!(desk.openssl(verify).contains("intermediate.crt: OK"));
    }
}

#[test]
fn openssl_asks_and_believes_the_answer() {
    for kind in KINDS {
        let desk = Desk::new(kind);
        let (ca, leaf) = (desk.certificate("ca.crt"), desk.issue("leaf", "leaf", 79));
        let (helper, key) = desk.helper(HelperRole::OcspResponder, kind);
        let text = desk.openssl("x509 -in helper.crt -noout -text");
        assert!(text.contains("OCSP Signing") && text.contains("OCSP No Check"), "{text}");
        let statuses = [
            (CertStatus::Good, "leaf.crt: good"),
            (CertStatus::Revoked { at: desk.at(-20), reason: RevocationReason::KeyCompromise }, "leaf.crt: revoked"),
            (CertStatus::Revoked { at: desk.at(-20), reason: RevocationReason::Unspecified }, "leaf.crt: revoked"),
            (CertStatus::Unknown, "leaf.crt: unknown"),
        ];
        for (hash, option) in [(CertIdHash::Sha1, "-sha1"), (CertIdHash::Sha256, "-sha256")] {
            desk.openssl(&format!("ocsp -issuer ca.crt {option} -cert leaf.crt -nonce -reqout request.der"));
            let request = OcspRequest::parse(&std::fs::read(desk.path().join("request.der")).unwrap()).unwrap();
            let id = CertId::of(&ca, leaf.serial(), hash).unwrap();
            // OpenSSL writes the CertID as we do, octet for octet.
            assert_eq!(request.cert_ids(), std::slice::from_ref(&id));
            assert!(IssuerIds::of(&ca).unwrap().issued(&id) && request.nonce().is_some());
            for (status, said) in statuses {
                let single =
                    SingleResponse { cert_id: &id, status, this_update: desk.at(-10), next_update: desk.at(300) };
                let template = ResponseTemplate {
                    responder_key_hash: responder_key_hash(key.public_key()).unwrap(),
                    produced_at: desk.at(0),
                    responses: &[single],
                    nonce: request.nonce(),
                };
                let tbs = template.tbs();
                let signature = key.sign(&tbs).unwrap();
                let der = basic_response(&tbs, key.public_key().algorithm(), &signature, Some(helper.der()));
                let read = OcspResponse::parse(&der).unwrap();
                assert_eq!(read.verify(&id, &ca, desk.now, request.nonce()).unwrap().status, status);
                desk.write("response.der", &der);
                let text = desk.openssl("ocsp -respin response.der -reqin request.der -CAfile ca.crt -resp_text");
                assert!(text.contains("Response verify OK"), "{text}");
                let reason = text.contains("Revocation Reason: keyCompromise");
                assert_eq!(reason, status == statuses[1].0, "{text}");
                let arguments = format!("ocsp -no_nonce -respin response.der -issuer ca.crt {option} -cert leaf.crt");
                let text = desk.openssl(&format!("{arguments} -CAfile ca.crt"));
                assert!(text.contains("Response verify OK") && text.contains(said), "{text}");
            }
            // OpenSSL sees another nonce.
            desk.openssl(&format!("ocsp -issuer ca.crt {option} -cert leaf.crt -nonce -reqout other.der"));
            let (_, said) = desk.run("ocsp -respin response.der -reqin other.der -CAfile ca.crt");
            assert!(said.contains("Nonce Verify error"), "{said}");
        }
    }
}

#[test]
fn openssl_reads_our_questions_and_we_its_answers() {
    for kind in KINDS {
        let desk = Desk::new(kind);
        let (ca, leaf) = (desk.certificate("ca.crt"), desk.issue("leaf", "leaf", 80));
        let (_, _) = desk.helper(HelperRole::OcspResponder, kind);
        // The index of `openssl ca`: status, end, revocation, serial number, file, name.
        desk.write("index.txt", b"V\t400101000000Z\t\t50\tunknown\t/CN=leaf\n");
        let ids = [CertIdHash::Sha1, CertIdHash::Sha256].map(|hash| CertId::of(&ca, leaf.serial(), hash).unwrap());
        let nonce = Nonce::new([7; 32]).unwrap();
        let question = OcspRequest::new(ids.to_vec(), Some(nonce.clone())).unwrap();
        desk.write("question.der", &question.to_der());
        let text = desk.openssl("ocsp -reqin question.der -req_text");
        assert_eq!(text.matches("Serial Number: 50").count(), 2, "{text}");
        desk.openssl(
            "ocsp -index index.txt -rsigner helper.crt -rkey helper.key -CA ca.crt -reqin question.der -respout answer.der \
             -ndays 1",
        );
        let answer = OcspResponse::parse(&std::fs::read(desk.path().join("answer.der")).unwrap()).unwrap();
        for id in &ids {
            let read = answer.verify(id, &ca, SystemClock.now(), Some(&nonce)).unwrap();
            assert_eq!(read.status, CertStatus::Good);
        }
    }
}
