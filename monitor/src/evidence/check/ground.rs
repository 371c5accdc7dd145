//! Everything in a case that somebody signed, verified before anything is concluded from it.

use atl::apki::Certificate;
use atl::apki::certificate::CertificateError;
use atl::keys::PublicKey;
use atl::log::entry::CertHash;
use atl::log::sat::SignedAgentTimestamp;
use atl::merkle::{LeafIndex, verify_inclusion};

use crate::evidence::Included;
use crate::evidence::case::Case;
use crate::head::{RawHead, SignedHead};
use crate::watched::WatchedLog;

/// A certificate that a log holds: its inclusion under a head that the log signed is verified.
pub(super) struct Logged {
    /// The log's origin.
    pub log: String,
    /// The leaf.
    pub index: LeafIndex,
    /// The hash of the certificate.
    pub cert_hash: CertHash,
    /// The certificate; a log may also hold what is none.
    pub certificate: Result<Certificate, CertificateError>,
    /// The head.
    pub head: SignedHead,
}

/// What stands firm.
pub(super) struct Ground<'a> {
    /// The case that it was found in.
    pub case: &'a Case,
    /// Who is accused.
    pub accused: WatchedLog,
    /// Heads that the accused signed.
    pub heads: Vec<SignedHead>,
    /// What logs hold.
    pub certificates: Vec<Logged>,
    /// What logs promised, with the origin of each.
    pub sats: Vec<(String, SignedAgentTimestamp)>,
    /// All of it in words.
    pub by: Vec<String>,
}

impl<'a> Ground<'a> {
    /// Verifies every signature and every inclusion proof in a case; the first that does not hold is the error.
    pub fn verify(case: &'a Case) -> Result<Self, String> {
        case.check_bounds().map_err(|e| e.to_string())?;
        let logs = case.open_logs().map_err(|e| e.to_string())?;
        let accused = logs.first().cloned().ok_or("it names no log")?;
        let mut by = Vec::new();
        let mut heads = Vec::new();
        for (n, shown) in (1..).zip(&case.heads) {
            let head = SignedHead::open(shown.head.clone(), &accused).map_err(|e| format!("head {n}: {e}"))?;
            by.push(format!("head {n}: {}, signed by {}", words(&head), accused.key));
            heads.push(head);
        }
        let mut certificates = Vec::new();
        for (n, included) in (1..).zip(&case.certificates) {
            let logged = logged(included, &logs).map_err(|e| format!("certificate {n}: {e}"))?;
            by.push(in_words(n, &logged));
            certificates.push(logged);
        }
        for (n, logged) in (1..).zip(&certificates) {
            let issuer = logged.certificate.as_ref().ok().and_then(|c| issuer_of(c, case));
            by.extend(issuer.map(|key| {
                format!("certificate {n} is signed by the CA key in here whose SHA-256 is {}", key.log_id())
            }));
        }
        let mut sats = Vec::new();
        for (n, der) in (1..).zip(&case.sats) {
            let (log, sat) = promised(der.as_slice(), &logs).map_err(|e| format!("timestamp {n}: {e}"))?;
            by.push(format!("timestamp {n}: {log} signed at {} that it holds {}", sat.timestamp, sat.cert_hash));
            sats.push((log, sat));
        }
        Ok(Self { case, accused, heads, certificates, sats, by })
    }

    /// The certificate in question, or why there is none.
    pub fn first(&self) -> Result<&Logged, String> {
        self.certificates.first().ok_or_else(|| "the certificate in question is not in it".to_owned())
    }

    /// The certificate in question, parsed.
    pub fn certificate(&self) -> Result<(&Logged, &Certificate), String> {
        let logged = self.first()?;
        let certificate = logged.certificate.as_ref();
        certificate.map(|c| (logged, c)).map_err(|e| format!("the certificate in question does not parse: {e}"))
    }

    /// Every pair of heads, in both orders.
    pub fn pairs(&self) -> impl Iterator<Item = ((usize, &SignedHead), (usize, &SignedHead))> {
        let numbered = || (1..).zip(&self.heads);
        numbered().flat_map(move |one| numbered().filter(move |other| other.0 != one.0).map(move |other| (one, other)))
    }
}

/// A head in words.
pub(super) fn words(head: &SignedHead) -> String {
    let (size, root) = (head.size(), head.root());
    match (head.raw(), head.timestamp()) {
        (RawHead::Sth(_), Some(at)) => format!("a tree head of {at}, {size} leaves, root {root}"),
        _ => format!("a checkpoint of {size} leaves, root {root}"),
    }
}

fn in_words(n: usize, logged: &Logged) -> String {
    let name = logged.certificate.as_ref().ok().and_then(|c| c.agent_uri().ok());
    let name = name.map(|uri| format!(" for {uri}")).unwrap_or_default();
    let Logged { log, index, cert_hash, head, .. } = logged;
    format!("certificate {n}{name}, SHA-256 {cert_hash}, is leaf {index} of {log} under {}", words(head))
}

fn logged(included: &Included, logs: &[WatchedLog]) -> Result<Logged, String> {
    let log = logs.iter().find(|log| log.origin.as_str() == included.log);
    let log = log.ok_or_else(|| format!("its log {:?} is none of those described", included.log))?;
    let head = SignedHead::open(included.head.clone(), log).map_err(|e| format!("its head: {e}"))?;
    let der = included.certificate.as_slice();
    let cert_hash = CertHash::of_certificate(der);
    let (size, root) = (head.size(), head.root());
    verify_inclusion(&cert_hash.leaf_hash(), included.index, size, &included.inclusion, &root)
        .map_err(|e| format!("its inclusion: {e}"))?;
    Ok(Logged {
        log: included.log.clone(),
        index: included.index,
        cert_hash,
        certificate: Certificate::parse(der),
        head,
    })
}

fn promised(der: &[u8], logs: &[WatchedLog]) -> Result<(String, SignedAgentTimestamp), String> {
    let sat = SignedAgentTimestamp::from_der(der).map_err(|e| e.to_string())?;
    let log = logs.iter().find(|log| log.id == sat.log_id).ok_or("it is of a log that is not described")?;
    sat.verify(log.key.key(), sat.cert_hash).map_err(|e| e.to_string())?;
    Ok((log.origin.to_string(), sat))
}

/// The key among the issuers in the case that signed this certificate, where one did.
fn issuer_of(certificate: &Certificate, case: &Case) -> Option<PublicKey> {
    let algorithm = certificate.signature_algorithm()?;
    case.issuers.iter().find_map(|der| {
        let issuer = Certificate::parse(der.as_slice()).ok()?;
        let key = PublicKey::from_spki_der(issuer.spki_der()).ok().filter(|key| key.algorithm() == algorithm)?;
        let signed = issuer.subject_der() == certificate.issuer_der()
            && key.verify(certificate.tbs_der(), certificate.signature()).is_ok();
        signed.then_some(key)
    })
}
