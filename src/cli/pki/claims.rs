//! What the demo certificates say of their agents: the five extensions of `apki-2026.asn1`.

use sha2::{Digest, Sha256};

use super::der::{
    ENUMERATED, GENERALIZED_TIME, IA5_STRING, INTEGER, OCTET_STRING, PRINTABLE_STRING, SEQUENCE, UTF8_STRING, digits,
    element, extension, number, sequence, text,
};
use crate::apki::oid;

/// `[n] IMPLICIT` of a primitive type.
const fn context(n: u8) -> u8 {
    0x80 | n
}

/// `[n] IMPLICIT SEQUENCE`.
const fn context_sequence(n: u8) -> u8 {
    0xa0 | n
}

/// Something that an agent may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capability {
    /// The tool, by its URI in ASCII.
    pub tool_uri: String,
    /// What with it.
    pub scope: String,
    /// Most that one call may spend, in minor units, and in a day; with the ISO 4217 currency.
    pub spend: Option<(u64, u64, String)>,
    /// Most calls in a minute.
    pub requests_per_minute: u32,
}

/// What a certificate says of an agent. What is not here is the same in all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The trust score, 0 to 100.
    pub score: u8,
    /// Points that the score loses each hour.
    pub decay_rate: u8,
    /// What the agent may do.
    pub capabilities: Vec<Capability>,
    /// Octets of attestation evidence, which a certificate is made larger with. At most 16 KiB.
    pub evidence_octets: usize,
}

impl Claims {
    /// A shopping agent's, for the demo and for load.
    pub fn shopper(score: u8) -> Self {
        let capability = |tool: &str, scope: &str, spend, requests_per_minute| Capability {
            tool_uri: format!("https://api.shop.example/{tool}"),
            scope: scope.to_owned(),
            spend,
            requests_per_minute,
        };
        Self {
            score: score.min(100),
            decay_rate: 2,
            capabilities: vec![
                capability("orders", "orders/create", Some((5_000, 50_000, "EUR".to_owned())), 6),
                capability("catalogue", "catalogue/read", None, 600),
            ],
            evidence_octets: 0,
        }
    }

    /// The name of the score's tier (draft section 6.1).
    pub const fn tier(&self) -> &'static str {
        match self.score {
            0..=19 => "UNTRUSTED",
            20..=39 => "RESTRICTED",
            40..=59 => "STANDARD",
            60..=79 => "ELEVATED",
            _ => "FULL",
        }
    }

    /// The five extensions, each as DER, one behind the other.
    pub(super) fn extensions(&self, now: &der::DateTime) -> Vec<u8> {
        let capabilities = self.capabilities();
        [
            extension(&oid::AGENT_TRUST_SCORE, false, &self.trust_score(now)),
            extension(&oid::AGENT_CAPABILITIES, false, &capabilities),
            extension(&oid::AGENT_DELEGATION, false, &delegation()),
            extension(&oid::AGENT_PROVENANCE, false, &self.provenance()),
            extension(&oid::AGENT_BEHAVIOURAL_ATTESTATION, false, &attestation(&capabilities, now)),
        ]
        .concat()
    }

    fn trust_score(&self, now: &der::DateTime) -> Vec<u8> {
        sequence(&[
            &number(INTEGER, u64::from(self.score)),
            &number(ENUMERATED, u64::from(self.score / 20).min(4)),
            &number(INTEGER, u64::from(self.decay_rate)),
            &text(GENERALIZED_TIME, &digits(now)),
            &text(UTF8_STRING, "demo"),
        ])
    }

    fn capabilities(&self) -> Vec<u8> {
        let each: Vec<u8> = self.capabilities.iter().flat_map(capability).collect();
        sequence(&[&sequence(&[&each])])
    }

    fn provenance(&self) -> Vec<u8> {
        let evidence = vec![0x5a; self.evidence_octets];
        let evidence = if evidence.is_empty() { Vec::new() } else { element(context(1), &[&evidence]) };
        sequence(&[
            &text(UTF8_STRING, "demo-model"),
            &text(UTF8_STRING, "1"),
            &text(UTF8_STRING, "demo-framework"),
            &text(UTF8_STRING, "acme"),
            &element(context(0), &[&Sha256::digest(b"demo build")]),
            &evidence,
        ])
    }
}

fn capability(capability: &Capability) -> Vec<u8> {
    let spend = capability.spend.as_ref().map(|(transaction, day, currency)| {
        element(
            context_sequence(0),
            &[
                &number(context(0), *transaction),
                &number(context(1), *day),
                &number(context(2), 86_400),
                &text(PRINTABLE_STRING, currency),
            ],
        )
    });
    let requests = number(INTEGER, u64::from(capability.requests_per_minute));
    let rate = element(context_sequence(1), &[&requests, &number(INTEGER, 60)]);
    element(
        SEQUENCE,
        &[
            &text(IA5_STRING, &capability.tool_uri),
            &text(UTF8_STRING, &capability.scope),
            &spend.unwrap_or_default(),
            &rate,
        ],
    )
}

/// An agent that nobody delegated to: depth 0, no parent, a human behind it (protocol section 6).
fn delegation() -> Vec<u8> {
    let principal = format!("sha256:{}", hex::encode(Sha256::digest(b"demo principal")));
    sequence(&[
        &element(OCTET_STRING, &[&[0; 32]]),
        &number(INTEGER, 0),
        &number(INTEGER, 2),
        &sequence(&[]),
        &text(UTF8_STRING, &principal),
    ])
}

/// `caVerified`, over the capabilities of the same certificate (protocol section 2).
fn attestation(capabilities: &[u8], now: &der::DateTime) -> Vec<u8> {
    sequence(&[
        &element(OCTET_STRING, &[&Sha256::digest(capabilities)]),
        &number(ENUMERATED, 1),
        &text(UTF8_STRING, "demo CA"),
        &text(GENERALIZED_TIME, &digits(now)),
    ])
}
