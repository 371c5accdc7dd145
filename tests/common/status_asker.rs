//! Who asks a CA for the status of its certificates: many times a second, and over any of its listeners. What
//! comes back is verified.
#![allow(dead_code, reason = "each test program uses a part")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use atl::apki::Certificate;
use atl::apki::status::RevocationReason;
use atl::apki::status::crl::Crl;
use atl::apki::status::ocsp::{CertId, CertIdHash, CertStatus, OcspRequest, OcspResponse};
use atl::time::{Clock, SystemClock};

/// Most certificates in one question.
const AT_ONCE: usize = 16;

/// An asker, with a connection and a runtime of its own.
pub struct Asker {
    http: reqwest::Client,
    base: String,
    issuer: Certificate,
    runtime: tokio::runtime::Runtime,
}

impl Asker {
    /// Asks the CA at this URL about certificates of this issuer.
    pub fn new(base: &str, issuer: Certificate) -> Self {
        let http = atl::client::builder().tls_danger_accept_invalid_certs(true).build().unwrap();
        // With a thread of its own, so that connections at rest are closed when the CA stops.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { http, base: base.to_owned(), issuer, runtime }
    }

    /// What the responder says of these serial numbers; an error where it is not reached.
    pub fn statuses<'a>(&self, serials: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<CertStatus>, String> {
        let id = |serial| CertId::of(&self.issuer, serial, CertIdHash::Sha256).unwrap();
        let ids: Vec<CertId> = serials.into_iter().map(id).collect();
        let mut statuses = Vec::with_capacity(ids.len());
        for ids in ids.chunks(AT_ONCE) {
            let request = OcspRequest::new(ids.to_vec(), None).unwrap().to_der();
            let url = format!("{}/ocsp", self.base);
            let answer = self.runtime.block_on(atl::client::ocsp(&self.http, &url, request));
            let response = OcspResponse::parse(&answer.map_err(|e| e.to_string())?).unwrap();
            let status = |id| response.verify(id, &self.issuer, SystemClock.now(), None).unwrap().status;
            statuses.extend(ids.iter().map(status));
        }
        Ok(statuses)
    }

    /// The same of one.
    pub fn status(&self, serial: &[u8]) -> Result<CertStatus, String> {
        self.statuses([serial]).map(|statuses| statuses[0])
    }

    /// The complete list.
    pub fn list(&self) -> Result<List, String> {
        self.list_at(&format!("{}/crl", self.base))
    }

    /// The list at this URL.
    pub fn list_at(&self, url: &str) -> Result<List, String> {
        let call = async { self.http.get(url).send().await?.error_for_status()?.bytes().await };
        let der = self.runtime.block_on(call).map_err(|e: reqwest::Error| e.to_string())?;
        let list = Crl::parse(der.to_vec()).unwrap();
        let key = atl::keys::PublicKey::from_spki_der(self.issuer.spki_der()).unwrap();
        list.verify(&key).unwrap();
        list.check_current(SystemClock.now()).unwrap();
        let entries = list.entries().map(|entry| (entry.serial.to_vec(), entry.reason)).collect();
        Ok(List { number: list.number().unwrap(), entries })
    }
}

/// What a list says.
#[derive(Debug)]
pub struct List {
    pub number: u64,
    pub entries: BTreeMap<Vec<u8>, RevocationReason>,
}

/// The first certificates of a PEM file.
pub fn certificates(file: &Path) -> Vec<Certificate> {
    use rustls_pki_types::pem::PemObject;
    let pem = fs::read(file).unwrap();
    let all = rustls_pki_types::CertificateDer::pem_slice_iter(&pem);
    all.map(|der| Certificate::parse(der.unwrap().as_ref()).unwrap()).collect()
}

/// Whether it says revoked.
pub const fn is_revoked(status: &CertStatus) -> bool {
    matches!(status, CertStatus::Revoked { .. })
}
