//! What the root says of this CA: its two lists, served as they are, and obeyed.

use std::sync::Arc;

use crate::ca::command::Command;
use crate::ca::root_list::{IssuerRevocation, RootList};
use crate::ca::service::core::Core;
use crate::ca::service::{CaError, CaService};

/// The root's lists, as far as somebody gave them to us.
#[derive(Default)]
pub(in crate::ca::service) struct RootLists {
    /// Its signer's, about intermediates.
    indirect: Option<Arc<[u8]>>,
    /// Its own, about the signer.
    anchor: Option<Arc<[u8]>>,
    /// Never taken back: a CA that may issue again has another certificate, and is started with it.
    revoked: Option<IssuerRevocation>,
}

impl CaService {
    /// What the root's signer of lists says of intermediates, in DER.
    pub fn root_crl(&self) -> Option<Arc<[u8]>> {
        self.core.root_lists.read().indirect.clone()
    }

    /// What the root itself says of that signer, in DER.
    pub fn anchor_crl(&self) -> Option<Arc<[u8]>> {
        self.core.root_lists.read().anchor.clone()
    }

    /// Publishes what the root's signer of lists says, which the caller has verified, and obeys it.
    pub fn set_root_crl(&self, list: &RootList) {
        self.heed_root_crl(list);
        self.core.root_lists.write().indirect = Some(list.crl().der().into());
    }

    /// Publishes what the root itself says of that signer; whoever gives it has verified it.
    pub fn set_anchor_crl(&self, der: &[u8]) {
        self.core.root_lists.write().anchor = Some(der.into());
    }

    /// Obeys the list without publishing it, since it is out of date: where the certificate that issues is on it,
    /// or one between it and the root, nothing is issued from now on. Revocation lists and OCSP go on.
    pub fn heed_root_crl(&self, list: &RootList) {
        let ca = &self.core.ca;
        let chain = std::iter::once(ca.certificate()).chain(ca.chain()).filter(|one| !one.is_self_issued());
        let Some(revoked) = list.revoked(chain) else { return };
        let mut lists = self.core.root_lists.write();
        if lists.revoked.is_none() {
            tracing::error!(why = %revoked, "the CA issues nothing any more");
            lists.revoked = Some(revoked);
        }
    }

    /// That the root took this CA's certificate back, where it did.
    pub fn issuer_revoked(&self) -> Option<IssuerRevocation> {
        self.core.root_lists.read().revoked.clone()
    }

    /// Whether a command that leads to a certificate may be taken in.
    pub(in crate::ca::service) fn check_issues(&self, command: &Command) -> Result<(), CaError> {
        match command {
            Command::Enrol { .. } | Command::Renew { .. } | Command::Delegate { .. } | Command::Approve { .. } => {
                self.core.may_issue()
            }
            _ => Ok(()),
        }
    }
}

impl Core {
    /// Whether the root lets this CA issue.
    pub(in crate::ca::service) fn may_issue(&self) -> Result<(), CaError> {
        match &self.root_lists.read().revoked {
            None => Ok(()),
            Some(revoked) => Err(CaError::IssuerRevoked(revoked.clone())),
        }
    }
}
