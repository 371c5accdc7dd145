//! Enrolment tokens.

use super::{Refusal, Verdict};
use crate::ca::event::Event;
use crate::ca::policy::Policy;
use crate::ca::state::State;
use crate::ca::token::{Token, TokenId, TokenScope, TokenSecret, TokenUse};
use crate::time::UnixMillis;

pub(super) fn mint(
    state: &State,
    secret: &TokenSecret,
    scope: &TokenScope,
    expires_at: UnixMillis,
    operator: &str,
    policy: &Policy,
    now: UnixMillis,
) -> Verdict {
    if scope.agents.trust_domain() != policy.trust_domain {
        return Err(Refusal::Conflict(format!(
            "the pattern {} is for another trust domain than {}",
            scope.agents.as_str(),
            policy.trust_domain
        )));
    }
    if expires_at <= now {
        return Err(Refusal::Conflict("the token would have expired before it is there".into()));
    }
    if state.token(&secret.id).is_some() {
        return Err(Refusal::Conflict(format!("there is a token {} already", secret.id)));
    }
    let token = Token {
        id: secret.id,
        secret_hash: secret.secret_hash(),
        scope: scope.clone(),
        minted_by: operator.to_owned(),
        minted_at: now,
        expires_at,
        used: TokenUse::Unused,
        refused: 0,
    };
    Ok((vec![Event::TokenMinted { token }], None))
}

pub(super) fn withdraw(state: &State, token: &TokenId) -> Verdict {
    match state.token(token).map(|token| token.used) {
        None => Err(Refusal::NotFound("token of this name")),
        Some(TokenUse::Unused) => Ok((vec![Event::TokenWithdrawn { token: *token }], None)),
        Some(TokenUse::Withdrawn) => Ok((Vec::new(), None)),
        Some(TokenUse::Spent(request)) => {
            Err(Refusal::Conflict(format!("the token is spent: it stands behind request {request}")))
        }
    }
}

/// Compares in a time that does not depend on where the two differ.
pub(super) fn same_hash(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}
