//! What must be loaded to decide a command.

use super::Command;
use crate::ca::delegation;
use crate::ca::policy::Policy;
use crate::ca::ports::Key;
use crate::ca::request::{Credential, RequestId};
use crate::ca::revocation::{self, Tree};
use crate::ca::serial::Serial;
use crate::ca::state::State;
use crate::ca::token::TokenUse;

impl Command {
    /// What must be loaded to decide this. What is loaded may call for more, so this is to be asked
    /// again until nothing is missing.
    pub fn needs(&self, state: &State, policy: &Policy) -> Vec<Key> {
        let keys = match self {
            Self::MintToken { secret, .. } => vec![Key::Token(secret.id)],
            Self::WithdrawToken { token, .. } => vec![Key::Token(*token)],
            Self::Enrol { request, secret, application, .. } => {
                let mut keys =
                    vec![Key::Token(secret.id), Key::Agent(application.agent.clone()), Key::Request(*request)];
                if let Some(TokenUse::Spent(earlier)) = state.token(&secret.id).map(|token| token.used) {
                    keys.push(Key::Request(earlier));
                }
                keys
            }
            Self::Delegate { request, parent, application, .. } => {
                let mut keys = vec![Key::Request(*request), Key::Agent(application.agent.clone())];
                delegation::needs(state, parent, &mut keys);
                if let Some(current) = state.certificate(parent) {
                    keys.push(Key::Agent(current.agent.clone()));
                    keys.extend(current.delegation.map(Key::Request));
                }
                keys
            }
            Self::Renew { request, serial, .. } => renewal(state, request, serial),
            Self::Approve { request, .. } => {
                let mut keys = vec![Key::Request(*request)];
                let grant = state.request(request).and_then(|request| request.state.grant());
                if let Some(parent) = grant.and_then(|grant| grant.parent) {
                    delegation::needs(state, &parent, &mut keys);
                }
                keys
            }
            Self::Deny { request, .. } | Self::Expire { request } => vec![Key::Request(*request)],
            Self::Precertify { request, serial, .. } | Self::Issue { request, serial, .. } => {
                let mut keys = vec![Key::Certificate(*serial), Key::Revocation(*serial), Key::Request(*request)];
                answer(state, request, &mut keys);
                keys
            }
            Self::Abandon { request, serial, .. } => vec![Key::Request(*request), Key::Certificate(*serial)],
            Self::Publish { serial, .. } | Self::CertifyService { serial, .. } => vec![Key::Certificate(*serial)],
            Self::Revoke { target, by, .. } => revocation::needs(state, target, by),
            Self::RestoreRevocation { revocation } => {
                let mut keys = vec![Key::Revocation(revocation.serial), Key::Certificate(revocation.serial)];
                let certificate = state.certificate(&revocation.serial);
                keys.extend(certificate.into_iter().flat_map(|found| Tree::below(state, &found.agent).missing));
                keys
            }
            // Only a fall that revokes takes anybody along: no other change is worth looking at all below.
            Self::FollowScore { agent, score, .. } if *score < policy.trust.revoke_below => {
                Tree::below(state, agent).missing
            }
            Self::FollowScore { agent, .. } => {
                let current = state.agent(agent).map(|found| Key::Certificate(found.current));
                [Key::Agent(agent.clone())].into_iter().chain(current).collect()
            }
        };
        keys.into_iter().filter(|key| !state.knows(key)).collect()
    }
}

/// For a renewal: the certificate, its agent, what came of it so far, and the line above by the parent's current
/// certificate.
fn renewal(state: &State, request: &RequestId, serial: &Serial) -> Vec<Key> {
    let mut keys = vec![Key::Certificate(*serial), Key::Revocation(*serial), Key::Request(*request)];
    let Some(current) = state.certificate(serial) else { return keys };
    keys.extend([Key::Request(current.request), Key::Agent(current.agent.clone())]);
    keys.extend(current.renewal.map(Key::Request));
    let Some(parent) = &current.parent else { return keys };
    keys.push(Key::Certificate(*parent));
    let Some(parent) = state.certificate(parent) else { return keys };
    keys.push(Key::Agent(parent.agent.clone()));
    if let Some(parent) = state.agent(&parent.agent) {
        delegation::needs(state, &parent.current, &mut keys);
    }
    keys
}

/// To answer a request with a certificate: what it was asked with, the agent, and the line above it, with the agents
/// whose children are counted.
fn answer(state: &State, request: &RequestId, keys: &mut Vec<Key>) {
    let Some(found) = state.request(request) else { return };
    let uri = &found.application.agent;
    keys.push(Key::Agent(uri.clone()));
    keys.extend(state.agent(uri).and_then(|agent| agent.parent.clone()).map(Key::Agent));
    match found.credential {
        Credential::Token(token) => keys.push(Key::Token(token)),
        Credential::Certificate(serial) | Credential::Parent(serial) => {
            keys.extend([Key::Certificate(serial), Key::Revocation(serial)]);
            keys.extend(state.certificate(&serial).map(|credential| Key::Agent(credential.agent.clone())));
        }
    }
    if let Some(parent) = found.state.grant().and_then(|grant| grant.parent) {
        delegation::needs(state, &parent, keys);
        keys.extend(state.certificate(&parent).map(|parent| Key::Agent(parent.agent.clone())));
    }
}
