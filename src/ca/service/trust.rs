//! What the trust engine says (draft 6.3, 6.4, 7.1 step 5): asked before anything is decided that a score
//! decides, and followed for what it says unasked.
//!
//! It fails closed: while the engine does not answer nothing is issued, and whoever asked may ask the same
//! again. What is revoked for a fallen score is revoked by the writer, as anything is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::core::Core;
use super::logs::shortened;
use super::{CaError, Check};
use crate::apki::AgentUri;
use crate::apki::trust_score::Score;
use crate::ca::application::Application;
use crate::ca::authority::{MAX_REFUSED, Refusal};
use crate::ca::command::Command;
use crate::ca::enrolment;
use crate::ca::ports::{EngineScore, Entity, Key, ScoreChange, TrustScores};
use crate::ca::record::{Agent, CertificateRecord};
use crate::ca::request::{Request, RequestState};
use crate::ca::serial::Serial;
use crate::ca::token::{TokenSecret, TokenUse};

/// When to try again where the engine does not answer.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// How long one question for changes may wait for the first.
const POLL: Duration = Duration::from_secs(20);
/// How much longer its answer may take.
const GRACE: Duration = Duration::from_secs(5);
/// The first pause after the engine or the writer failed; it doubles from try to try.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest one.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

impl Core {
    /// What the engine says of an agent that enrols with this token. Who has no good token for it gets no
    /// question asked: an engine opens an account for an agent that it does not know, and with what. `None`
    /// where nothing can be granted, and where there is no engine.
    pub(super) async fn assessed_newcomer(
        &self,
        secret: &TokenSecret,
        application: &Application,
    ) -> Result<Option<EngineScore>, CaError> {
        if self.trust.is_none() {
            return Ok(None);
        }
        let good = match self.load(Key::Token(secret.id)).await? {
            Some(Entity::Token(token)) => {
                token.used == TokenUse::Unused
                    && self.clock.now() < token.expires_at
                    && token.refused < MAX_REFUSED
                    && token.secret_hash == secret.secret_hash()
                    && token.scope.agents.matches(&application.agent)
            }
            _ => false,
        };
        if good { self.assessed(application).await } else { Ok(None) }
    }

    /// The same of an agent that renews, with the certificate of this number and SHA-256.
    pub(super) async fn assessed_holder(
        &self,
        (serial, fingerprint): (Serial, [u8; 32]),
        application: &Application,
    ) -> Result<Option<EngineScore>, CaError> {
        if self.trust.is_none() {
            return Ok(None);
        }
        match self.held(serial, fingerprint).await? {
            Some(record) if record.agent == application.agent => self.assessed(application).await,
            _ => Ok(None),
        }
    }

    /// The same of a child, and of the parent with the certificate of this number and SHA-256.
    pub(super) async fn assessed_child(
        &self,
        (serial, fingerprint): (Serial, [u8; 32]),
        application: &Application,
    ) -> Result<(Option<EngineScore>, Option<EngineScore>), CaError> {
        if self.trust.is_none() {
            return Ok((None, None));
        }
        let Some(record) = self.held(serial, fingerprint).await? else { return Ok((None, None)) };
        let (parent, child) = (&record.agent, &application.agent);
        let near = child.trust_domain() == parent.trust_domain()
            && (!self.policy.delegation.same_org || child.org() == parent.org());
        let known = self.agent(child).await?;
        if !near || known.is_some_and(|known| known.parent.as_ref() != Some(parent)) {
            return Ok((None, None));
        }
        // By its evidence, as at its renewal: the score in its certificate has its behaviour in it, which an engine
        // would take for evidence lost, and count twice.
        let asked = self.find(record.request).await?;
        let of_parent = self.assessed(&asked.application).await?;
        Ok((self.assessed(application).await?, of_parent))
    }

    /// The certificate with this number, if it is the one that was shown, and its agent may act with it: an engine
    /// lowers the score of an agent by what is said to be its evidence, so whoever has a key that was revoked or
    /// replaced has no say.
    async fn held(&self, serial: Serial, fingerprint: [u8; 32]) -> Result<Option<CertificateRecord>, CaError> {
        let found = match self.load(Key::Certificate(serial)).await? {
            Some(Entity::Certificate(record)) => record,
            _ => return Ok(None),
        };
        let shown = found.issued().is_some_and(|issued| issued.fingerprint == fingerprint);
        let lasts = self.clock.now() <= found.not_after && found.refused < MAX_REFUSED;
        let agent = self.agent(&found.agent).await?;
        let stands = agent.is_some_and(|agent| agent.revoked.is_none() && agent.enrolment == found.enrolment);
        let revoked = self.load(Key::Revocation(serial)).await?.is_some();
        Ok(Some(found).filter(|_| shown && lasts && stands && !revoked))
    }

    async fn assessed(&self, application: &Application) -> Result<Option<EngineScore>, CaError> {
        let agent = self.agent(&application.agent).await?;
        let base = enrolment::base(application, agent.as_ref(), &self.policy, self.clock.now());
        self.score_of(&application.agent, base.total()).await
    }

    async fn score_of(&self, agent: &AgentUri, base: Score) -> Result<Option<EngineScore>, CaError> {
        let Some(engine) = &self.trust else { return Ok(None) };
        let limit = Duration::from_millis(self.settings.engine_timeout_ms);
        match timeout(limit, engine.assess(agent, base)).await {
            Ok(Ok(score)) => Ok(Some(score)),
            Ok(Err(error)) => Err(silent(&error.0)),
            Err(_) => Err(silent("it did not answer in time")),
        }
    }

    /// That the score of a request that waits for an operator still holds: the engine may have heard of
    /// things since it was granted. A higher one needs nothing, since the certificate states the lower.
    pub(super) async fn still_deserved(&self, request: &Request) -> Result<(), CaError> {
        let RequestState::Pending { grant, .. } = &request.state else { return Ok(()) };
        let Some(before) = grant.engine else { return Ok(()) };
        let Some(now) = self.score_of(&request.application.agent, grant.inputs.total()).await? else { return Ok(()) };
        // Decay is in every later answer, and is no news.
        let news = before.score.get().saturating_sub(now.score.get()) > self.policy.trust.reissue_change;
        if !news && now.score >= self.policy.min_score {
            return Ok(());
        }
        let (then, now) = (before.score.get(), now.score.get());
        Err(CaError::Refusal(Refusal::Conflict(format!(
            "the score of {} was {then} when it asked, and the trust engine has it at {now} now: deny the request, so \
             that the agent asks anew",
            request.application.agent
        ))))
    }

    /// Asks the engine once more behind an issuance, and follows what it says: a score that fell while the
    /// certificate was on its way had no certificate to fall below. Nobody waits for it.
    pub(super) fn follow_up(self: &Arc<Self>, serial: Serial, request: &Request) {
        if self.trust.is_none() {
            return;
        }
        let (core, application) = (Arc::clone(self), request.application.clone());
        tokio::spawn(async move {
            if let Err(error) = core.follow_fall(serial, &application).await {
                tracing::warn!(agent = %application.agent, %error, "the score behind an issuance is not known");
            }
        });
    }

    async fn follow_fall(&self, serial: Serial, application: &Application) -> Result<(), CaError> {
        let Some(EngineScore { score, .. }) = self.assessed(application).await? else { return Ok(()) };
        // A higher one is no news: a child's is capped by its parent's in every certificate.
        if self.certificate(serial).await?.score <= score {
            return Ok(());
        }
        let why = "what the trust engine had when the certificate was out".to_owned();
        let command = Command::FollowScore { agent: application.agent.clone(), score, why };
        self.queue.record(command).await.map(drop)
    }

    /// What the CA keeps of this agent.
    pub(super) async fn agent(&self, uri: &AgentUri) -> Result<Option<Agent>, CaError> {
        Ok(match self.load(Key::Agent(uri.clone())).await? {
            Some(Entity::Agent(agent)) => Some(agent),
            _ => None,
        })
    }

    /// Whether the engine answers, where there is one.
    pub(super) async fn trust(&self) -> Option<Check> {
        let engine = self.trust.as_ref()?;
        let limit = Duration::from_millis(self.settings.engine_timeout_ms);
        let answer = timeout(limit, engine.probe()).await.unwrap_or_else(|_| Err("it did not answer in time".into()));
        Some(match answer {
            Ok(()) => Check { name: "trust", ok: true, detail: "the trust engine answers".into() },
            Err(why) => {
                Check { name: "trust", ok: false, detail: format!("the trust engine: {why}; nothing is issued") }
            }
        })
    }
}

fn silent(why: &str) -> CaError {
    CaError::Engine { detail: format!("the trust engine gives no score: {}", shortened(why)), retry_after: RETRY_AFTER }
}

/// Follows the engine's changes until the service stops.
///
/// The place in the engine's ledger is kept nowhere: a database that is put back from a copy, on either
/// side, would make a kept one wrong. Each start reads the ledger through instead, takes the last word on each
/// agent, and acts where that is less than the agent's certificate says. What was more then may have decayed
/// since, so it is no reason to renew; what was less is at most that now.
pub(super) async fn follow(core: Arc<Core>, mut stopping: watch::Receiver<bool>) {
    let Some(engine) = core.trust.clone() else { return };
    let mut follower = Follower { next: 0, missed: Some(BTreeMap::new()), told: BTreeMap::new() };
    let mut pause = FIRST_PAUSE;
    while !*stopping.borrow() {
        let step = tokio::select! {
            step = follower.step(&core, &*engine) => step,
            _ = stopping.changed() => return,
        };
        match step {
            Ok(()) => pause = FIRST_PAUSE,
            Err(error) => {
                tracing::warn!(%error, "the trust engine's changes are not followed at the moment");
                tokio::select! {
                    () = sleep(pause) => {}
                    _ = stopping.changed() => return,
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// How far the engine's ledger was followed.
struct Follower {
    /// The row to go on with.
    next: u64,
    /// The last word on each agent of the rows before the start; `None` once they were acted on.
    missed: Option<BTreeMap<AgentUri, ScoreChange>>,
    /// Changes that were read and that the writer has yet to hear of, by row.
    told: BTreeMap<u64, ScoreChange>,
}

impl Follower {
    async fn step(&mut self, core: &Core, engine: &dyn TrustScores) -> Result<(), CaError> {
        self.tell(core).await?;
        let wait = if self.missed.is_some() { Duration::ZERO } else { POLL };
        let page = timeout(wait + GRACE, engine.changes(self.next, wait)).await;
        let page = page.map_err(|_| silent("it did not answer in time"))?.map_err(|e| silent(&e.0))?;
        let (from, news) = (self.next, page.changes);
        self.next = page.next;
        match &mut self.missed {
            // A stretch without a change is not the end of the ledger.
            Some(missed) if self.next > from => {
                missed.extend(news.into_iter().map(|change| (change.agent.clone(), change)));
            }
            Some(_) => {
                let missed = self.missed.take().unwrap_or_default();
                for change in missed.into_values() {
                    if core.is_less_than_stated(&change).await? {
                        self.told.insert(change.row, change);
                    }
                }
            }
            None => self.told.extend(news.into_iter().map(|change| (change.row, change))),
        }
        self.tell(core).await
    }

    /// Tells the writer, in the order of the ledger. What it does not hear now it hears next time.
    async fn tell(&mut self, core: &Core) -> Result<(), CaError> {
        while let Some((row, change)) = self.told.first_key_value() {
            let (row, why) = (*row, shortened(&change.why));
            let command = Command::FollowScore { agent: change.agent.clone(), score: change.score, why };
            match core.queue.record(command).await {
                Ok(told) if !told.revoked.is_empty() => {
                    tracing::warn!(agent = %change.agent, score = change.score.get(), agents = told.revoked.len(), "revoked for its score");
                }
                Ok(_) => {}
                // It is no agent of this CA, or not any more: nothing follows.
                Err(CaError::Refusal(refusal)) => {
                    tracing::debug!(agent = %change.agent, %refusal, "a change of a score leads to nothing");
                }
                Err(error) => return Err(error),
            }
            self.told.remove(&row);
        }
        Ok(())
    }
}

impl Core {
    /// Whether the agent has a certificate that states more than this, or none may stand at all.
    async fn is_less_than_stated(&self, change: &ScoreChange) -> Result<bool, CaError> {
        let Some(agent) = self.agent(&change.agent).await? else { return Ok(false) };
        let now = self.clock.now();
        if agent.revoked.is_some() || !agent.is_live(now) {
            return Ok(false);
        }
        if change.score < self.policy.trust.revoke_below {
            return Ok(true);
        }
        Ok(agent.current_not_after >= now && self.certificate(agent.current).await?.score > change.score)
    }
}
