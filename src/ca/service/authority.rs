//! Authority handed on and taken back: delegation, revocation, and what a certificate is still worth (draft
//! 9.2, 9.3).

use std::net::IpAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::timeout;

use super::core::Core;
use super::form::presented;
use super::view::{RevokedView, Standing, StandingView};
use super::{Answered, CaError, CaService, Form};
use crate::apki::status::RevocationReason;
use crate::ca::application::DelegationTerms;
use crate::ca::authority::Refusal;
use crate::ca::command::{Command, RevocationTarget, Revoker};
use crate::ca::ports::{Entity, Key};
use crate::ca::record::{Agent, AgentRevocation};
use crate::ca::serial::Serial;

/// How long a revocation waits for the list that has it.
const LISTED_WITHIN: Duration = Duration::from_secs(5);

/// What an agent sends that hands rights on: what its child sends, and how far the child may hand them on.
#[derive(Clone, Debug)]
pub struct DelegateForm {
    /// The child's.
    pub form: Form,
    /// How the child may hand its rights on.
    pub terms: DelegationTerms,
}

/// Whom a revocation is for, as whoever asks names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The agent of this name.
    Agent(crate::apki::AgentUri),
    /// The agent of the certificate with this number.
    Serial(Serial),
    /// The agent of the certificate with this SHA-256.
    Sha256([u8; 32]),
}

/// Who asks for a revocation.
#[derive(Clone, Copy, Debug)]
pub enum RevokedBy<'a> {
    /// An operator, by name.
    Operator(&'a str),
    /// An agent, by the certificate (DER) whose key it proved to hold in the TLS handshake.
    Agent {
        /// The certificate.
        current: &'a [u8],
        /// Where it came from.
        source: IpAddr,
    },
}

impl CaService {
    /// An agent hands rights on to a child; `parent` is the certificate (DER) whose key it proved to hold
    /// in the TLS handshake. Where policy allows it, the answer has the child's certificate.
    pub async fn delegate(&self, parent: &[u8], form: DelegateForm, source: IpAddr) -> Result<Answered, CaError> {
        let answer = async {
            let (parent, fingerprint) = presented(parent)?;
            let mut application = Box::new(form.form.into_application()?);
            application.terms = Some(form.terms);
            let (engine, parent_engine) = self.core.assessed_child((parent, fingerprint), &application).await?;
            let (request, source) = (self.request_id()?, source.to_string());
            let delegate =
                Command::Delegate { request, parent, fingerprint, application, engine, parent_engine, source };
            self.apply(delegate).await
        };
        self.observed("delegate", answer.await)
    }

    /// Takes an agent's authority back, with that of all its descendants, and waits a little for the list
    /// that says so. From the answer on OCSP says it in any case.
    pub async fn revoke(
        &self,
        target: Target,
        reason: RevocationReason,
        comment: String,
        by: RevokedBy<'_>,
    ) -> Result<RevokedView, CaError> {
        let target = match target {
            Target::Agent(agent) => RevocationTarget::Agent(agent),
            Target::Serial(serial) => RevocationTarget::Certificate(serial),
            Target::Sha256(sha256) => RevocationTarget::Certificate(self.core.serial_of(sha256).await?),
        };
        let by = match by {
            RevokedBy::Operator(name) => Revoker::Operator(name.to_owned()),
            RevokedBy::Agent { current, source } => {
                let (serial, fingerprint) = presented(current)?;
                Revoker::Agent { serial, fingerprint, source: source.to_string() }
            }
        };
        let told = self.told(Command::Revoke { target, reason, comment, by }).await?;
        // What the board had heard of by now has this in it.
        let generation = self.core.status.generation();
        let listed = timeout(LISTED_WITHIN, self.core.status.listed(generation)).await.is_ok();
        Ok(RevokedView { agents: told.revoked, at: told.at, listed })
    }

    /// What the certificate is worth whose key somebody proved to hold in the TLS handshake: to its own
    /// holder, who hears of a revocation or a changed score by this before anybody refuses it.
    pub async fn standing(&self, current: &[u8]) -> Result<StandingView, CaError> {
        let unknown = || CaError::Refusal(Refusal::Unauthorized("the certificate is not one of this CA".into()));
        let (serial, fingerprint) = presented(current)?;
        let keys = [Key::Certificate(serial), Key::Revocation(serial)];
        let found = self.core.read(move |store| store.load(&keys)).await?;
        let [Some(Entity::Certificate(record)), revocation] = found.as_slice() else { return Err(unknown()) };
        if record.issued().is_none_or(|issued| issued.fingerprint != fingerprint) {
            return Err(unknown());
        }
        let agent = self.core.agent(&record.agent).await?.ok_or_else(unknown)?;
        let standing = match revocation {
            Some(Entity::Revocation(revoked)) => Standing::Revoked(AgentRevocation {
                at: revoked.at,
                reason: revoked.reason,
                with: agent.revoked.clone().and_then(|revoked| revoked.with),
            }),
            _ => standing(&agent, serial),
        };
        Ok(StandingView { agent: agent.uri, serial, standing })
    }

    /// Whether it can be said that the store takes on what a command adds to it.
    pub(super) fn has_room_for(&self, command: &Command) -> bool {
        let grows = matches!(
            command,
            Command::MintToken { .. } | Command::Enrol { .. } | Command::Renew { .. } | Command::Delegate { .. }
        );
        !grows || !self.core.disk_low.load(Relaxed)
    }
}

impl Core {
    async fn serial_of(&self, sha256: [u8; 32]) -> Result<Serial, CaError> {
        let found = self.read(move |store| store.serial_of(&sha256)).await?;
        found.ok_or_else(|| Refusal::NotFound("certificate with this SHA-256").into())
    }
}

/// How a certificate stands that is on no list.
fn standing(agent: &Agent, serial: Serial) -> Standing {
    match (&agent.revoked, agent.reissue) {
        (Some(revoked), _) => Standing::Revoked(revoked.clone()),
        (None, Some(reissue)) if agent.current == serial => Standing::Renew(reissue),
        _ => Standing::Valid,
    }
}
