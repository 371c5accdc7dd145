//! In which ways a child can have more than it may have.

use thiserror::Error;

use crate::time::UnixMillis;

/// The codes of all violations, in the order in which they are reported.
pub const CODES: [&str; 25] = [
    "missingExtension",
    "rootParentHash",
    "rootHumanPrincipal",
    "parentCertHash",
    "trustDomain",
    "subsetFalse",
    "depth",
    "maxDepth",
    "maxDepthRaised",
    "depthOverOwnMax",
    "notAfter",
    "score",
    "toolUri",
    "scope",
    "spendMissing",
    "spendExpanded",
    "currency",
    "perTransaction",
    "perPeriod",
    "rateMissing",
    "rateRaised",
    "maxTrustScore",
    "maxSpendLimit",
    "scopeNarrowing",
    "notStrict",
];

/// One way in which a child has more than it may have.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Violation {
    /// Without all three of them there is no delegation to judge.
    #[error("the {who} has no {extension}")]
    MissingExtension {
        /// `child` or `parent`.
        who: &'static str,
        /// The extension's name in the ASN.1 module.
        extension: &'static str,
    },
    /// An agent without a parent that names one.
    #[error("at depth 0 there is no parent, and parentCertHash has to be 32 zero octets")]
    RootParentHash,
    /// An agent without a parent for whom no human answers.
    #[error("at depth 0 a humanPrincipal answers for the line, and there is none")]
    RootHumanPrincipal,
    /// Another parent than the one presented.
    #[error("parentCertHash is not the SHA-256 of the parent's final certificate")]
    ParentCertHash,
    /// A delegation out of the organisation.
    #[error("the trust domain `{child}` is not the parent's, `{parent}`")]
    TrustDomain {
        /// The child's.
        child: String,
        /// The parent's.
        parent: String,
    },
    /// A certificate that would let capabilities grow.
    #[error("capabilitiesSubset is FALSE in the {0}, and no delegation may grow")]
    SubsetFalse(&'static str),
    /// A depth that leaves out or repeats a step.
    #[error("delegationDepth is {depth} where {expected} belongs")]
    Depth {
        /// The child's.
        depth: u8,
        /// The parent's and one; 0 where there is no parent.
        expected: u16,
    },
    /// Deeper than the parent allows.
    #[error("delegationDepth {depth} is above the parent's maxDelegationDepth of {most}")]
    MaxDepth {
        /// The child's.
        depth: u8,
        /// The parent's maximum.
        most: u8,
    },
    /// The child allows itself more depth than the parent does.
    #[error("maxDelegationDepth {max} is above the parent's of {most}")]
    MaxDepthRaised {
        /// The child's maximum.
        max: u8,
        /// The parent's maximum.
        most: u8,
    },
    /// A certificate at odds with itself (R19).
    #[error("delegationDepth {depth} is above its own maxDelegationDepth of {max}")]
    DepthOverOwnMax {
        /// The child's.
        depth: u8,
        /// The child's maximum.
        max: u8,
    },
    /// A child that outlives its parent.
    #[error("notAfter {child} is later than the parent's, {parent}")]
    NotAfter {
        /// The child's.
        child: UnixMillis,
        /// The parent's.
        parent: UnixMillis,
    },
    /// More trust than the parent has left at that moment (R7).
    #[error("the score {score} is above the parent's effective score of {most}")]
    Score {
        /// The child's.
        score: u8,
        /// The parent's, decayed.
        most: u8,
    },
    /// The parent's score is of the future, so that there is none at that moment (R1).
    #[error("the parent has no effective score: its lastUpdated is more than 60 s ahead")]
    ParentScoreAhead,
    /// A tool that the parent does not have.
    #[error("there is no capability for the tool `{0}` above it")]
    ToolUri(String),
    /// A tool in a scope that the parent does not have it in.
    #[error("the tool `{tool}` is not had in the scope `{scope}` or a wider one")]
    Scope {
        /// The tool.
        tool: String,
        /// The scope asked for.
        scope: String,
    },
    /// A limit on money that the child has dropped.
    #[error("the tool `{0}` has a spendLimit above and must keep one")]
    SpendMissing(String),
    /// Money where the parent has none: without a limit it spends nothing (R2).
    #[error("the tool `{0}` has no spendLimit above, so nothing may be spent on it")]
    SpendExpanded(String),
    /// Money of another kind.
    #[error("the tool `{tool}` is paid in {parent} above, not in {child}")]
    Currency {
        /// The tool.
        tool: String,
        /// The currency asked for.
        child: String,
        /// The one that is had.
        parent: String,
    },
    /// maxPerTransaction higher, or left out.
    #[error("maxPerTransaction of the tool `{tool}` may be {most} at most, and has to be there")]
    PerTransaction {
        /// The tool.
        tool: String,
        /// In minor units.
        most: u64,
    },
    /// maxPerPeriod higher, as amount or as rate, or left out on either side (R3).
    #[error("maxPerPeriod and periodSeconds of the tool `{0}` have to be there, above too, and not allow more")]
    PerPeriod(String),
    /// A limit on calls that the child has dropped.
    #[error("the tool `{0}` has a rateLimit above and must keep one")]
    RateMissing(String),
    /// More calls, in number or as a rate.
    #[error("rateLimit of the tool `{tool}` may be {requests} in {seconds} s at most, and no more at once")]
    RateRaised {
        /// The tool.
        tool: String,
        /// maxRequests above.
        requests: u32,
        /// periodSeconds above.
        seconds: u32,
    },
    /// More trust than an ancestor lets its descendants have.
    #[error("the score {score} is above an ancestor's maxTrustScore of {most}")]
    MaxTrustScore {
        /// The child's.
        score: u8,
        /// The lowest above it.
        most: u8,
    },
    /// More money than an ancestor lets its descendants have (R4).
    #[error(
        "the spendLimit of the tool `{tool}` has to name an amount, and none above an ancestor's maxSpendLimit, {most}"
    )]
    MaxSpendLimit {
        /// The tool.
        tool: String,
        /// The lowest above it, in minor units.
        most: u64,
    },
    /// A scope outside the one that an ancestor's descendants are kept in (R5).
    #[error("the scope `{scope}` of the tool `{tool}` is outside an ancestor's scopeNarrowing, `{within}`")]
    ScopeNarrowing {
        /// The tool.
        tool: String,
        /// The child's scope.
        scope: String,
        /// The ancestor's rule.
        within: String,
    },
    /// The parent's whole set, where the CA wants less (R6).
    #[error("the capabilities are the parent's, and a delegation has to leave something out")]
    NotStrict,
}

impl Violation {
    /// Its stable short name, one of [`CODES`].
    pub const fn code(&self) -> &'static str {
        CODES[self.rank()]
    }

    /// Where its code stands in [`CODES`]. Between `toolUri` and `rateRaised` the later code is of a
    /// capability that was compared further.
    pub(super) const fn rank(&self) -> usize {
        match self {
            Self::MissingExtension { .. } => 0,
            Self::RootParentHash => 1,
            Self::RootHumanPrincipal => 2,
            Self::ParentCertHash => 3,
            Self::TrustDomain { .. } => 4,
            Self::SubsetFalse(_) => 5,
            Self::Depth { .. } => 6,
            Self::MaxDepth { .. } => 7,
            Self::MaxDepthRaised { .. } => 8,
            Self::DepthOverOwnMax { .. } => 9,
            Self::NotAfter { .. } => 10,
            Self::Score { .. } | Self::ParentScoreAhead => 11,
            Self::ToolUri(_) => 12,
            Self::Scope { .. } => 13,
            Self::SpendMissing(_) => 14,
            Self::SpendExpanded(_) => 15,
            Self::Currency { .. } => 16,
            Self::PerTransaction { .. } => 17,
            Self::PerPeriod(_) => 18,
            Self::RateMissing(_) => 19,
            Self::RateRaised { .. } => 20,
            Self::MaxTrustScore { .. } => 21,
            Self::MaxSpendLimit { .. } => 22,
            Self::ScopeNarrowing { .. } => 23,
            Self::NotStrict => 24,
        }
    }
}
