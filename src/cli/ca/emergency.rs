//! The root's delegated signer of revocation lists, and what it signs: how an intermediate is taken back while
//! the root's key stays in its safe.
//!
//! Three files lie beside each other, where the server finds them: the signer's certificate, its indirect list
//! (`root.crl`), and the list that the root itself signed about the signer (`anchor.crl`). The signer's key is
//! elsewhere, with the officer on duty.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::authority::{ListPoint, Root};
use super::certificate::{certificate_pem, read_certificate};
use super::keyfile::PrivateKey;
use crate::apki::Certificate;
use crate::apki::extension::AsciiText;
use crate::apki::moment::Moment;
use crate::apki::status::crl::{Crl, CrlTemplate, RevokedCertificate, Scope, signed};
use crate::ca::root_list::{ListSigner, RootList, read_anchor_list};
use crate::cli::files::Staged;
use crate::cli::output::{CliError, Context};
use crate::time::UnixMillis;

/// The directory, in the CA's own, that `atl ca init` makes for the officer on duty.
pub const EMERGENCY_DIR: &str = "emergency";
/// The signer's key, in that directory.
pub const SIGNER_KEY_FILE: &str = "crl-signer-key.pem";
/// The signer's certificate, in that directory and beside its list.
pub const SIGNER_FILE: &str = "crl-signer.pem";
/// What the root says of the signer, beside its list.
pub const ANCHOR_FILE: &str = "anchor.crl";
/// How long a list of the signer's holds.
const LIST_HOLDS_MS: u64 = 90 * 86_400_000;

/// Where the lists of a CA's root lie.
#[derive(Clone, Debug)]
pub struct ListFiles {
    /// The signer's list.
    pub list: PathBuf,
    /// The signer's certificate.
    pub signer: PathBuf,
    /// The root's list about the signer.
    pub anchor: PathBuf,
}

impl ListFiles {
    /// The list in this file, and what lies beside it.
    pub fn beside(list: &Path) -> Self {
        let beside = |name| list.with_file_name(name);
        Self { list: list.to_owned(), signer: beside(SIGNER_FILE), anchor: beside(ANCHOR_FILE) }
    }

    /// The signer and its list, verified up to the root; `None` where there is no signer. Whether they hold now is
    /// not asked.
    pub fn read(&self, root: &Certificate) -> Result<Option<RootLists>, CliError> {
        if !self.signer.exists() {
            return Ok(None);
        }
        let signer = ListSigner::new(read_certificate(&self.signer)?, root).context(self.signer.display())?;
        let der = fs::read(&self.list).context(self.list.display())?;
        let list = RootList::read(&der, &signer).context(self.list.display())?;
        Ok(Some(RootLists { signer, list }))
    }

    /// The root's own list about the signer, verified; `None` where there is none.
    pub fn read_anchor(&self, root: &Certificate) -> Result<Option<Crl>, CliError> {
        match fs::read(&self.anchor) {
            Ok(der) => read_anchor_list(&der, root).map(Some).context(self.anchor.display()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context(self.anchor.display()),
        }
    }
}

/// What the root's signer has said so far.
pub struct RootLists {
    /// Who signs.
    pub signer: ListSigner,
    /// The newest list.
    pub list: RootList,
}

impl RootLists {
    /// What an intermediate says of where its revocation would stand: octet for octet what the list says itself.
    pub fn point(&self) -> ListPoint {
        let issuer_der = self.signer.certificate().subject_der().to_vec();
        ListPoint { url: self.list.scope().url.as_str().to_owned(), issuer_der }
    }

    /// The entries, to be signed again.
    pub fn entries(&self) -> Vec<RevokedCertificate<'_>> {
        let own = self.signer.certificate().subject_der();
        let copied = self.list.crl().entries().map(|entry| RevokedCertificate {
            serial: entry.serial,
            at: entry.at,
            reason: entry.reason,
            certificate_issuer: Some(entry.certificate_issuer).filter(|issuer| *issuer != own),
        });
        copied.collect()
    }

    /// The list that follows, with these entries, in DER: signed, read back, and held against this one.
    pub fn next(
        &self,
        signer: &ListSigner,
        key: &PrivateKey,
        entries: &[RevokedCertificate<'_>],
        now: UnixMillis,
    ) -> Result<Vec<u8>, CliError> {
        let number = self.list.number().checked_add(1);
        let number = number.ok_or_else(|| CliError::new("the list has the last number that there is"))?;
        let der = sign_list(signer, key, self.list.scope().clone(), number, entries, now)?;
        let read = RootList::read(&der, signer).context("the new list")?;
        read.check_follows(&self.list).context("the new list")?;
        Ok(der)
    }
}

/// Where the two lists are published.
pub struct ListUrls {
    list: AsciiText,
    /// The one about the signer: what the signer's certificate and the root's name.
    pub anchor: AsciiText,
}

impl ListUrls {
    /// Below this base URL.
    pub fn below(base: &str) -> Result<Self, CliError> {
        let url = |name: &str| {
            let url = format!("{}/crl/{name}", base.trim_end_matches('/'));
            AsciiText::new(url.as_str()).context(format_args!("{url} is no URL for a certificate"))
        };
        Ok(Self { list: url("root")?, anchor: url("anchor")? })
    }
}

/// A signer that was just certified, and its first list, which is empty.
pub struct NewSigner {
    /// The certificate.
    pub signer: ListSigner,
    /// Its list, number 1, in DER.
    pub list: Vec<u8>,
    /// The root's list about it, in DER.
    pub anchor: Vec<u8>,
}

impl NewSigner {
    /// Certifies this key. `root` is free to be locked away again behind that.
    pub fn new(root: &Root, key: &PrivateKey, name: &str, urls: ListUrls, now: UnixMillis) -> Result<Self, CliError> {
        let signer = root.certify_list_signer(&key.public_key()?, name, urls.anchor.as_str(), now)?;
        let scope = Scope { url: urls.list, only_user_certificates: false, indirect: true };
        let list = sign_list(&signer, key, scope, 1, &[], now)?;
        RootList::read(&list, &signer).context("the new list")?;
        let anchor = sign_anchor_list(root, &signer, (urls.anchor, 1), &[], now)?;
        Ok(Self { signer, list, anchor })
    }

    /// What an intermediate says of where its revocation would stand.
    pub fn point(&self) -> Result<ListPoint, CliError> {
        let list = RootList::read(&self.list, &self.signer).context("the new list")?;
        Ok(RootLists { signer: self.signer.clone(), list }.point())
    }
}

/// The signer's list.
fn sign_list(
    signer: &ListSigner,
    key: &PrivateKey,
    scope: Scope,
    number: u64,
    entries: &[RevokedCertificate<'_>],
    now: UnixMillis,
) -> Result<Vec<u8>, CliError> {
    signer.check_current(now).map_err(|e| CliError::new(e.to_string()))?;
    // Nobody believes it for longer than its signer.
    let until = now.saturating_add(LIST_HOLDS_MS).min(signer.certificate().not_after());
    sign(signer.certificate(), key, scope, (now, until), number, entries)
}

/// The list in which the root says that the signer is still to be believed. It holds as long as the signer does.
pub fn sign_anchor_list(
    root: &Root,
    signer: &ListSigner,
    (url, number): (AsciiText, u64),
    entries: &[RevokedCertificate<'_>],
    now: UnixMillis,
) -> Result<Vec<u8>, CliError> {
    let scope = Scope { url, only_user_certificates: false, indirect: false };
    let der = sign(root.certificate(), root.key(), scope, (now, signer.certificate().not_after()), number, entries)?;
    read_anchor_list(&der, root.certificate()).context("the new list about the signer")?;
    Ok(der)
}

fn sign(
    issuer: &Certificate,
    key: &PrivateKey,
    scope: Scope,
    (now, until): (UnixMillis, UnixMillis),
    number: u64,
    entries: &[RevokedCertificate<'_>],
) -> Result<Vec<u8>, CliError> {
    let key = key.list_signer()?;
    let algorithm = key.public_key().algorithm();
    let template = CrlTemplate {
        issuer_der: issuer.subject_der(),
        algorithm,
        this_update: moment(now)?,
        next_update: moment(until)?,
        number,
        authority_key_identifier: issuer.subject_key_identifier().unwrap_or_default(),
        scope: Some(scope),
    };
    let tbs = template.tbs(entries.iter().copied()).context("the list")?;
    Ok(signed(&tbs, algorithm, &key.sign(&tbs).context("the list")?))
}

/// The whole second of a moment.
pub fn moment(at: UnixMillis) -> Result<Moment, CliError> {
    Moment::floor(at).ok_or_else(|| CliError::new(format!("no list can be dated {at}: set the clock right")))
}

/// Puts a list in the place of the one before, in one step.
pub fn publish(file: &Path, der: &[u8]) -> Result<(), CliError> {
    Staged::octets(file, 0o644, der)?.commit()
}

/// Puts the signer's certificate where the server looks for it, and beside its key.
pub fn publish_signer(files: &ListFiles, emergency: &Path, signer: &ListSigner) -> Result<(), CliError> {
    let pem = certificate_pem(signer.certificate())?;
    Staged::write(&emergency.join(SIGNER_FILE), 0o644, &pem)?.commit()?;
    Staged::write(&files.signer, 0o644, &pem)?.commit()
}
