//! The codes of all reasons for which a relying party refuses: stable, and each with the rule that it
//! comes from and with what would help.

/// Declares the codes with their text, their rule and their help, in the order in which they are told.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $rule:literal, $help:literal;)*) => {
        /// Why an agent is refused. The text of a code stays what it is for good: programs decide by it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// Every code, in the order in which reasons are told.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The stable text: a family, a dot, and what is wrong.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// The rule: a section of the draft, a ruling of the protocol, or both.
            pub const fn rule(self) -> &'static str {
                match self {
                    $(Self::$name => $rule,)*
                }
            }

            /// What would help, and who can do it.
            pub const fn help(self) -> &'static str {
                match self {
                    $(Self::$name => $help,)*
                }
            }
        }
    };
}

codes! {
    /// The domain is not one that is trusted here.
    UnknownDomain = "federation.unknownDomain", "draft 10.2, 11.2.7",
        "pin the domain with its bundle, after checking over another channel whose it is";
    /// The domain's bundle does not hold now.
    Bundle = "federation.bundle", "draft 10.1",
        "fetch the domain's trust bundle anew";
    /// The domain's bundle does not allow the algorithm.
    DomainAlgorithm = "federation.algorithm", "draft 10.1",
        "the agent's CA has to sign with an algorithm that its own bundle names";

    /// A certificate that is none.
    ProfileMalformed = "profile.malformed", "draft 5.1, protocol 2",
        "the CA has to issue strict DER of X.509 version 3; present the certificate as it was issued";
    /// A certificate beyond all bounds.
    ProfileSize = "profile.size", "protocol 2",
        "present a certificate within the bounds of the protocol";
    /// A precertificate.
    Precertificate = "profile.precertificate", "protocol 3",
        "present the final certificate; a precertificate is for logs alone";
    /// A CA's certificate in an agent's place.
    IsCa = "profile.isCa", "draft 5.1, RFC 5280 4.2.1.9",
        "present an agent's certificate first, and those of its CAs behind it";
    /// A serial number that is not positive.
    Serial = "profile.serial", "draft 5.1",
        "the CA has to give positive serial numbers of at most 20 octets";
    /// Names that are not exactly one agent's.
    AgentName = "profile.agentUri", "draft 4.1, protocol R18",
        "the CA has to put exactly one valid agent:// URI into the subjectAltName";
    /// A URI beside the agent's that may not stand there.
    OtherUri = "profile.otherUri", "draft 4.3, protocol R18",
        "the CA may put one spiffe:// URI beside the agent's and no other";
    /// A critical extension that nobody here knows.
    UnknownCritical = "profile.unknownCritical", "RFC 5280 4.2",
        "the CA has to leave the extension away or not mark it critical";
    /// An extension that is critical and may not be.
    Criticality = "profile.criticality", "draft 5.2, 5.5, 5.6, protocol R22",
        "the CA has to mark the extension non-critical";
    /// An extension that does not decode.
    ExtensionMalformed = "profile.extension", "protocol 2",
        "the CA has to encode the extension in strict DER, within its ranges";
    /// A key that may not sign.
    KeyUsage = "profile.keyUsage", "RFC 5280 4.2.1.3, protocol 6",
        "the CA has to set digitalSignature in keyUsage";
    /// A validity that has not begun.
    NotYetValid = "profile.notYetValid", "draft 5.1, RFC 5280 4.1.2.5",
        "wait for notBefore, or set the clock right";
    /// A validity that is over.
    Expired = "profile.expired", "draft 5.1, 7.3",
        "the agent has to renew its certificate";
    /// A validity of more than a day.
    ValidityTooLong = "profile.validityTooLong", "draft 5.1, protocol R10",
        "the CA has to issue for at most 24 hours";
    /// Another agent than the one expected.
    Peer = "profile.peer", "draft 11.2.4",
        "talk to the agent that is meant, or let the policy name this one";

    /// An algorithm that is not on the local list.
    SignatureAlgorithm = "algorithm.signature", "draft 5.1, 11.3",
        "the CA has to sign with an algorithm of the local list";
    /// A key that is not of a kind on the local list.
    KeyAlgorithm = "algorithm.key", "draft 5.1, 11.3, protocol R14",
        "the key has to be EC P-256 or Ed25519, and on the local list";

    /// More certificates than a chain has.
    ChainTooLong = "chain.tooLong", "protocol R9",
        "present at most 4 certificates from the agent's to the anchor";
    /// More signatures to verify than are worth it.
    ChainBudget = "chain.budget", "draft 11.5",
        "present fewer certificates and timestamps";
    /// A CA certificate that does not parse, or whose extensions do not.
    ChainMalformed = "chain.malformed", "RFC 5280 4.2",
        "present the CA's certificate as it was issued";
    /// A certificate that is not by the next one.
    ChainBroken = "chain.broken", "RFC 5280 6.1",
        "present each certificate's issuer behind it";
    /// A signature that does not verify.
    ChainSignature = "chain.signature", "RFC 5280 6.1",
        "present the certificates as they were issued";
    /// An issuer that is no CA.
    IssuerNotCa = "chain.notCa", "protocol R29",
        "only a certificate with cA TRUE in basicConstraints may issue";
    /// An issuer that may not sign certificates.
    IssuerKeyUsage = "chain.keyUsage", "protocol R29",
        "only a certificate with keyCertSign in keyUsage may issue";
    /// More CAs than a pathLenConstraint allows.
    PathLength = "chain.pathLength", "protocol R29",
        "the CA stands too deep below its superior";
    /// No anchor of the domain.
    UnknownAnchor = "chain.unknownAnchor", "draft 10.2, protocol R38",
        "present the CAs up to the domain's own root, or fetch the domain's bundle anew";
    /// An issuer that is not valid now.
    IssuerValidity = "chain.validity", "protocol R23",
        "the CA needs a certificate that is valid now";
    /// An issuer that may not speak for the agent's domain.
    NameConstraint = "chain.nameConstraint", "protocol R38",
        "only a CA whose name constraints permit the domain may certify its agents";
    /// A critical extension of an issuer that nobody here knows.
    IssuerCritical = "chain.unknownCritical", "RFC 5280 4.2",
        "the CA's certificate has to do without that extension";

    /// No score.
    NoScore = "trust.missing", "draft 6.1, protocol R24",
        "the CA has to issue agentTrustScore";
    /// A score that does not decode.
    ScoreMalformed = "trust.malformed", "draft 5.2, protocol 2",
        "the CA has to encode agentTrustScore in strict DER, with the tier of the score";
    /// A score of the future.
    ScoreAhead = "trust.future", "draft 6.2, protocol R1",
        "set the clocks of CA and relying party right";
    /// Too little is left of the score.
    ScoreTooLow = "trust.score", "draft 6.1, 6.2, 10.3",
        "the agent needs a fresh certificate with a higher score, or the policy a lower minimum";

    /// No capabilities.
    NoCapabilities = "capability.missing", "draft 11.2.8, protocol R24",
        "the CA has to issue agentCapabilities";
    /// Capabilities that do not decode.
    CapabilitiesMalformed = "capability.malformed", "draft 11.2.8, protocol 2",
        "the CA has to encode agentCapabilities in strict DER, within its bounds";
    /// What was attested is not what stands there.
    CapabilitiesHash = "capability.hash", "draft 5.6, protocol R27",
        "the CA has to attest the capabilities of the certificate itself";
    /// A tool that the agent may not call.
    Tool = "capability.tool", "draft 11.2.8",
        "the agent needs a capability with exactly this toolUri";
    /// A scope that the agent does not have.
    Scope = "capability.scope", "draft 11.2.8, protocol R34",
        "the agent needs the tool in this scope or a wider one";
    /// Money without a limit.
    NoSpendLimit = "capability.spend", "draft 11.2.8, protocol 6",
        "without a spendLimit that names an amount an agent spends nothing: it needs one";
    /// Money of another kind.
    Currency = "capability.currency", "draft 5.3",
        "pay in the currency of the spendLimit";
    /// More than one payment may be.
    PerTransaction = "capability.perTransaction", "draft 5.3, 11.2.8",
        "pay less at once, or get a higher maxPerTransaction";
    /// More than may be spent in a period.
    PerPeriod = "capability.perPeriod", "draft 5.3, 11.2.8",
        "wait until the period has room again, or get a higher maxPerPeriod";
    /// More calls than may be in a period.
    Rate = "capability.rate", "draft 5.3, 11.2.8",
        "call less often, or get a higher rateLimit";
    /// Nobody keeps count.
    Ledger = "capability.ledger", "draft 11.2.8",
        "get the ledger of spending and calls to work again; without it what is limited is refused";

    /// The timestamps' extensions are misplaced or malformed.
    SatMalformed = "sat.malformed", "draft 8.2, protocol 3",
        "the CA has to embed the timestamps as the protocol says, last in the certificate";
    /// A timestamp of another certificate.
    SatOtherCertificate = "sat.otherCertificate", "protocol R12",
        "present the timestamps that the logs gave for this certificate";
    /// No valid timestamp.
    NoSat = "sat.missing", "draft 11.2.4, protocol 6",
        "the certificate has to be in a log that is trusted here, with its timestamp";
    /// One operator alone where two are wanted.
    SatOperators = "sat.operators", "draft 11.2.4, protocol 6",
        "from 60 points on, the certificate needs timestamps of logs of two operators";
    /// No audited log behind it.
    SatAudit = "sat.audit", "draft 11.2.5",
        "get a monitor's audit statement of the log that is recent enough";
    /// No proof that it is in a log.
    NoInclusion = "sat.inclusion", "draft 8.1, protocol 4",
        "present a proof of inclusion (tlog-proof) from a log that is trusted here";
    /// A proof that does not hold.
    InclusionInvalid = "sat.proof", "draft 8.1, RFC 9162 2.1.3.2",
        "get the proof of inclusion anew from the log; if it stays wrong, the log or whoever brought it lies";
    /// A proof under a head that is too old, or seen by too few.
    InclusionStale = "sat.head", "draft 11.2.5, protocol 4",
        "get a proof under a newer tree head, cosigned by as many witnesses as the policy wants";

    /// An extension that a delegation needs is not there.
    DelegationMissing = "delegation.missingExtension", "draft 5.4",
        "parent and child need agentTrustScore, agentCapabilities and agentDelegation";
    /// A root of a line that names a parent.
    RootParentHash = "delegation.rootParentHash", "protocol 6",
        "at depth 0 the CA has to set parentCertHash to 32 zero octets";
    /// A root of a line for which no human answers.
    RootHumanPrincipal = "delegation.rootHumanPrincipal", "protocol 6",
        "the CA has to name a humanPrincipal at depth 0";
    /// Another parent than the one presented.
    ParentCertHash = "delegation.parentCertHash", "draft 5.4",
        "present the parent's final certificate under which the child was certified";
    /// A parent of another domain.
    DelegationDomain = "delegation.trustDomain", "protocol 6",
        "delegations stay within a trust domain";
    /// A line whose capabilities may grow.
    SubsetFalse = "delegation.subsetFalse", "draft 5.4, protocol 6",
        "capabilitiesSubset has to be TRUE in the whole line";
    /// A depth that is not the parent's plus one.
    Depth = "delegation.depth", "draft 9.1",
        "the child's depth has to be the parent's plus one";
    /// A depth beyond the parent's maximum.
    MaxDepth = "delegation.maxDepth", "draft 5.4",
        "the line is as deep as its root allows";
    /// A maximum above the parent's.
    MaxDepthRaised = "delegation.maxDepthRaised", "draft 5.4",
        "a child may not allow more depth than its parent";
    /// A depth beyond its own maximum.
    DepthOverOwnMax = "delegation.depthOverOwnMax", "protocol R19",
        "the CA has to issue a depth within the certificate's own maximum";
    /// A child that outlives its parent.
    DelegationNotAfter = "delegation.notAfter", "protocol 6",
        "a child's certificate has to end no later than its parent's";
    /// More points than the parent had.
    DelegationScore = "delegation.score", "draft 5.4, 9.1, protocol R7",
        "a child may have no more points than its parent had left at the time";
    /// A tool that the parent does not have.
    DelegationTool = "delegation.toolUri", "draft 9.1",
        "a child may have no tool that its parent has not";
    /// A scope that the parent does not have.
    DelegationScope = "delegation.scope", "draft 9.1",
        "a child's scope has to be its parent's or below it";
    /// A limit on money that was dropped.
    SpendMissing = "delegation.spendMissing", "draft 9.1",
        "a child has to keep its parent's spendLimit";
    /// Money where the parent has none.
    SpendExpanded = "delegation.spendExpanded", "draft 9.1, protocol R2",
        "a child may spend nothing where its parent may not";
    /// Money of another kind than the parent's.
    DelegationCurrency = "delegation.currency", "draft 9.1",
        "a child spends in its parent's currency";
    /// More at once than the parent.
    DelegationPerTransaction = "delegation.perTransaction", "draft 9.1",
        "a child may spend no more at once than its parent";
    /// More in a period than the parent.
    DelegationPerPeriod = "delegation.perPeriod", "draft 9.1, protocol R3",
        "a child may spend no more in a period than its parent";
    /// A limit on calls that was dropped.
    RateMissing = "delegation.rateMissing", "draft 9.1",
        "a child has to keep its parent's rateLimit";
    /// More calls than the parent.
    RateRaised = "delegation.rateRaised", "draft 9.1",
        "a child may call no more often than its parent";
    /// More points than an ancestor allows.
    MaxTrustScore = "delegation.maxTrustScore", "draft 5.4, protocol 6",
        "no descendant may have more points than an ancestor's maxTrustScore";
    /// More money than an ancestor allows.
    MaxSpendLimit = "delegation.maxSpendLimit", "draft 5.4, protocol R4",
        "no descendant may spend more than an ancestor's maxSpendLimit";
    /// A scope outside what an ancestor allows.
    ScopeNarrowing = "delegation.scopeNarrowing", "draft 5.4, protocol R5",
        "every scope has to be within each ancestor's scopeNarrowing";
    /// No parent was presented.
    NoParent = "delegation.noParent", "draft 9.1",
        "present the certificates of all parents up to depth 0";
    /// A line that is longer than is wanted here.
    TooDeep = "delegation.tooDeep", "draft 5.4, 11.5",
        "the policy takes no line as long as this";
    /// Another human than the root's.
    HumanPrincipal = "delegation.humanPrincipal", "protocol R33",
        "a descendant's humanPrincipal has to be the root's";
    /// No human answers for the agent.
    DelegationRequired = "delegation.required", "draft 5.4",
        "the policy wants agentDelegation, up to the human who answers for the agent";

    /// No provenance.
    NoProvenance = "provenance.missing", "draft 5.5, 11.2.9",
        "the CA has to issue agentProvenance";
    /// No attestation, or one that rests on too little.
    AttestationMethod = "provenance.method", "draft 5.6, 11.2.9",
        "the agent needs an attestation by the method that the policy wants, or a stronger one";
    /// A build that is not on the list.
    BuildHash = "provenance.buildHash", "draft 11.2.9",
        "the agent has to run a build of the policy's list";
    /// A model that is not on the list.
    Model = "provenance.model", "draft 11.2.9",
        "the agent has to run a model of the policy's list";

    /// A certificate that was revoked.
    Revoked = "revocation.revoked", "draft 7.4, 9.3",
        "the authority was taken back: enrol or delegate anew";
    /// A certificate that its CA does not know.
    StatusUnknown = "revocation.unknown", "RFC 6960 2.2",
        "ask the CA why it does not know the certificate";
    /// Nothing is known of its revocation.
    StatusUnavailable = "revocation.unavailable", "draft 11.5",
        "present or fetch an OCSP answer or a revocation list; the policy wants one";
    /// What is known is too old.
    StatusStale = "revocation.stale", "draft 7.4, 11.2.10",
        "get a newer OCSP answer or revocation list";
    /// An answer that is not the issuer's.
    StatusInvalid = "revocation.invalid", "RFC 6960 3.2, RFC 5280 6.3.3",
        "present an OCSP answer that the issuer of the certificate stands behind";
}

impl Code {
    /// The part before the dot.
    pub fn family(self) -> &'static str {
        self.as_str().split('.').next().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::apki::attenuation::CODES;

    #[test]
    fn codes_are_distinct_and_of_a_known_family() {
        let texts: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), Code::ALL.len());
        let families = [
            "algorithm",
            "capability",
            "chain",
            "delegation",
            "federation",
            "profile",
            "provenance",
            "revocation",
            "sat",
            "trust",
        ];
        let found: BTreeSet<_> = Code::ALL.iter().map(|code| code.family()).collect();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), families);
        assert!(Code::ALL.iter().all(|code| !code.rule().is_empty() && !code.help().is_empty()));
    }

    #[test]
    fn each_violation_of_a_delegation_has_a_code() {
        // `notStrict` is a CA's rule alone (draft 5.4 against 9.1).
        for code in CODES.iter().filter(|code| **code != "notStrict") {
            let text = format!("delegation.{code}");
            assert!(Code::ALL.iter().any(|code| code.as_str() == text), "{text}");
        }
    }
}
