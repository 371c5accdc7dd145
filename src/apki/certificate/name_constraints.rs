//! nameConstraints (RFC 5280 section 4.2.1.10), as far as they speak of URIs: the authority that a
//! CA has on the wire (R38).

use thiserror::Error;

use super::Certificate;
use crate::apki::oid;
use crate::apki::tlv::{self, DerError, Reader};
use crate::apki::uri::{AgentUri, is_label};

const PERMITTED: u8 = 0xa0;
const EXCLUDED: u8 = 0xa1;
const MINIMUM: u8 = 0x80;
const MAXIMUM: u8 = 0x81;
const URI_NAME: u8 = 0x86;

/// Why a CA may not issue to an agent, or why that cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NameConstraintError {
    /// Not strict DER, or another structure.
    #[error("the nameConstraints are not strict DER: {0}")]
    Der(#[from] DerError),
    /// A minimum or maximum, which nobody may use.
    #[error("a subtree of the nameConstraints has a minimum or maximum, which RFC 5280 does not allow")]
    BaseDistance,
    /// A URI constraint that is neither a host nor a domain with a dot before it.
    #[error("the URI constraint `{0}` is neither a host nor a dot and a domain")]
    Host(String),
    /// URIs are permitted, and this one is not among them.
    #[error("the nameConstraints permit no URI in the trust domain `{0}`")]
    NotPermitted(String),
    /// The URI is expressly left out.
    #[error("the nameConstraints exclude the trust domain `{domain}` by `{constraint}`")]
    Excluded {
        /// The agent's trust domain.
        domain: String,
        /// The constraint that it meets.
        constraint: String,
    },
}

impl Certificate {
    /// Whether this CA's nameConstraints let it issue, or have issued below it, to the agent `uri`,
    /// whose host is its trust domain. Without the extension every agent is permitted, and subtrees
    /// of other forms of name say nothing about URIs.
    ///
    /// # Errors
    /// [`NotPermitted`](NameConstraintError::NotPermitted) or
    /// [`Excluded`](NameConstraintError::Excluded) where not; another [`NameConstraintError`] where
    /// the extension is malformed, which is no permission either.
    pub fn permits_agent(&self, uri: &AgentUri) -> Result<(), NameConstraintError> {
        let Some(extension) = self.extension(&oid::NAME_CONSTRAINTS) else { return Ok(()) };
        let value = extension.value;
        tlv::check(value)?;
        let mut fields = Reader::new(value).enter(tlv::SEQUENCE)?;
        if fields.is_empty() {
            return Err(DerError::Empty.into());
        }
        let mut subtrees = |tag| match fields.optional(tag)? {
            Some(list) => uri_subtrees(value, Reader::within(value, list.content)),
            None => Ok(Vec::new()),
        };
        let (permitted, excluded) = (subtrees(PERMITTED)?, subtrees(EXCLUDED)?);
        fields.finish()?;

        let domain = uri.trust_domain();
        if let Some(constraint) = excluded.iter().find(|constraint| is_met(constraint, domain)) {
            let constraint = (*constraint).to_owned();
            return Err(NameConstraintError::Excluded { domain: domain.to_owned(), constraint });
        }
        match permitted.is_empty() || permitted.iter().any(|constraint| is_met(constraint, domain)) {
            true => Ok(()),
            false => Err(NameConstraintError::NotPermitted(domain.to_owned())),
        }
    }
}

/// The value of a nameConstraints extension that permits URIs with exactly this host and no
/// others. `trust_domain` is the DNS name of agent URIs, in lower case.
pub fn uri_name_constraint_der(trust_domain: &str) -> Vec<u8> {
    let subtree = tlv::encode(tlv::SEQUENCE, &[&tlv::encode(URI_NAME, &[trust_domain.as_bytes()])]);
    tlv::encode(tlv::SEQUENCE, &[&tlv::encode(PERMITTED, &[&subtree])])
}

/// `GeneralSubtrees ::= SEQUENCE SIZE (1..MAX) OF GeneralSubtree`; the bases that are URIs.
fn uri_subtrees<'a>(value: &'a [u8], mut subtrees: Reader<'a>) -> Result<Vec<&'a str>, NameConstraintError> {
    if subtrees.is_empty() {
        return Err(DerError::Empty.into());
    }
    let mut hosts = Vec::with_capacity(1);
    while !subtrees.is_empty() {
        let mut subtree = subtrees.enter(tlv::SEQUENCE)?;
        let base = subtree.any()?;
        match base.tag {
            URI_NAME => hosts.push(host_constraint(base.content.of(value))?),
            // otherName, x400Address, directoryName and ediPartyName are constructed, the rest is not.
            0xa0 | 0x81 | 0x82 | 0xa3 | 0xa4 | 0xa5 | 0x87 | 0x88 => {}
            found => return Err(DerError::Tag { expected: URI_NAME, found }.into()),
        }
        if matches!(subtree.peek(), Some(MINIMUM | MAXIMUM)) {
            return Err(NameConstraintError::BaseDistance);
        }
        subtree.finish()?;
    }
    Ok(hosts)
}

/// What cannot be met is refused and not passed over: an excluded subtree that nobody understands
/// would exclude nothing.
fn host_constraint(octets: &[u8]) -> Result<&str, NameConstraintError> {
    let text = std::str::from_utf8(octets).unwrap_or_default();
    let domain = text.strip_prefix('.').unwrap_or(text);
    if domain.split('.').all(is_label) {
        return Ok(text);
    }
    Err(NameConstraintError::Host(octets.escape_ascii().to_string()))
}

/// A dot in front stands for one or more labels; without it the host is meant alone.
fn is_met(constraint: &str, domain: &str) -> bool {
    let Some(start) = domain.len().checked_sub(constraint.len()) else { return false };
    let ends_so = domain.get(start..).is_some_and(|end| end.eq_ignore_ascii_case(constraint));
    // The label before the dot is there: no trust domain starts with one.
    ends_so && (start == 0 || constraint.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apki::precertificate::extension_der;
    use crate::apki::testing::{Draft, key};

    fn ca(value: &[u8]) -> Certificate {
        let mut draft = Draft::ca("root", "CA", &key(2), None);
        draft.extensions.push(extension_der(&oid::NAME_CONSTRAINTS, true, value));
        draft.certificate(&key(1))
    }

    fn agent(domain: &str) -> AgentUri {
        AgentUri::parse(&format!("agent://{domain}/a/b/c")).unwrap()
    }

    fn subtree(base: &[u8]) -> Vec<u8> {
        tlv::encode(tlv::SEQUENCE, &[base])
    }

    fn uri(host: &str) -> Vec<u8> {
        subtree(&tlv::encode(URI_NAME, &[host.as_bytes()]))
    }

    fn constraints(permitted: &[Vec<u8>], excluded: &[Vec<u8>]) -> Vec<u8> {
        let list = |tag, subtrees: &[Vec<u8>]| match subtrees {
            [] => Vec::new(),
            some => tlv::encode(tag, &[&some.concat()]),
        };
        tlv::encode(tlv::SEQUENCE, &[&list(PERMITTED, permitted), &list(EXCLUDED, excluded)])
    }

    fn permits(permitted: &[&str], excluded: &[&str], domain: &str) -> Result<(), NameConstraintError> {
        let subtrees = |hosts: &[&str]| hosts.iter().map(|host| uri(host)).collect::<Vec<_>>();
        ca(&constraints(&subtrees(permitted), &subtrees(excluded))).permits_agent(&agent(domain))
    }

    #[test]
    fn what_is_issued_is_read_back() {
        let value = uri_name_constraint_der("bank.example.com");
        let head = [0x30, 0x16, 0xa0, 0x14, 0x30, 0x12, 0x86, 0x10];
        assert_eq!(value, [&head[..], b"bank.example.com"].concat());
        let ca = ca(&value);
        assert_eq!(ca.permits_agent(&agent("bank.example.com")), Ok(()));
        for other in ["example.com", "a.bank.example.com", "xbank.example.com", "bank.example.co", "shop.example.com"] {
            assert_eq!(ca.permits_agent(&agent(other)), Err(NameConstraintError::NotPermitted(other.into())));
        }
        // The longest trust domain takes lengths of two octets.
        let long = [["a"; 63].concat(), ["b"; 63].concat(), ["c"; 63].concat(), ["d"; 61].concat()].join(".");
        assert_eq!(self::ca(&uri_name_constraint_der(&long)).permits_agent(&agent(&long)), Ok(()));
    }

    #[test]
    fn without_the_extension_everybody_is_permitted() {
        let ca = Draft::ca("root", "CA", &key(2), None).certificate(&key(1));
        assert_eq!(ca.permits_agent(&agent("bank.example.com")), Ok(()));
    }

    #[test]
    fn a_leading_dot_stands_for_one_or_more_labels() {
        assert_eq!(permits(&[".example.com"], &[], "bank.example.com"), Ok(()));
        assert_eq!(permits(&[".example.com"], &[], "a.b.example.com"), Ok(()));
        assert!(permits(&[".example.com"], &[], "example.com").is_err());
        assert!(permits(&[".example.com"], &[], "badexample.com").is_err());
        assert_eq!(permits(&["other.org", ".Example.COM"], &[], "bank.example.com"), Ok(()));
        assert_eq!(permits(&["BANK.example.com"], &[], "bank.example.com"), Ok(()));
    }

    #[test]
    fn what_is_excluded_stays_out_whatever_is_permitted() {
        let excluded = |domain: &str, constraint: &str| {
            Err(NameConstraintError::Excluded { domain: domain.into(), constraint: constraint.into() })
        };
        assert_eq!(
            permits(&[], &["bank.example.com"], "bank.example.com"),
            excluded("bank.example.com", "bank.example.com")
        );
        assert_eq!(permits(&[], &["bank.example.com"], "shop.example.com"), Ok(()));
        let narrowed = |domain| permits(&[".example.com"], &["x.y", ".bad.example.com"], domain);
        assert_eq!(narrowed("a.bad.example.com"), excluded("a.bad.example.com", ".bad.example.com"));
        assert_eq!(narrowed("bad.example.com"), Ok(()));
    }

    #[test]
    fn other_forms_of_name_say_nothing_about_uris() {
        let dns = subtree(&tlv::encode(0x82, &[b"example.org"]));
        let directory = subtree(&tlv::encode(0xa4, &[&[0x30, 0x00]]));
        let read = |value: &[u8]| ca(value).permits_agent(&agent("bank.example.com"));
        assert_eq!(read(&constraints(&[dns.clone(), directory.clone()], &[])), Ok(()));
        assert_eq!(read(&constraints(&[], &[dns.clone(), directory])), Ok(()));
        assert!(read(&constraints(&[dns, uri("example.org")], &[])).is_err());
    }

    #[test]
    fn what_is_malformed_permits_nobody() {
        let read = |value: &[u8]| ca(value).permits_agent(&agent("bank.example.com")).unwrap_err();
        let good = uri("bank.example.com");
        assert_eq!(read(&[]), DerError::Truncated.into());
        assert_eq!(read(&[0x30, 0x00]), DerError::Empty.into());
        assert_eq!(read(&[0x30, 0x02, PERMITTED, 0x00]), DerError::Empty.into());
        assert_eq!(read(&[0x30, 0x02, EXCLUDED, 0x00]), DerError::Empty.into());
        assert_eq!(
            read(&[constraints(std::slice::from_ref(&good), &[]), vec![0]].concat()),
            DerError::Trailing(1).into()
        );
        let swapped = [tlv::encode(EXCLUDED, &[&uri("x.y")]), tlv::encode(PERMITTED, &[&good])].concat();
        assert!(matches!(
            read(&tlv::encode(tlv::SEQUENCE, &[&swapped])),
            NameConstraintError::Der(DerError::Trailing(_))
        ));
        let name = tlv::encode(URI_NAME, &[b"bank.example.com"]);
        for distance in [[MINIMUM, 0x01, 0x00], [MINIMUM, 0x01, 0x01], [MAXIMUM, 0x01, 0x05]] {
            let bounded = subtree(&[&name[..], &distance].concat());
            assert_eq!(read(&constraints(std::slice::from_ref(&bounded), &[])), NameConstraintError::BaseDistance);
            assert_eq!(read(&constraints(std::slice::from_ref(&good), &[bounded])), NameConstraintError::BaseDistance);
        }
        let more = subtree(&[&name[..], &[0x05, 0x00]].concat());
        assert_eq!(read(&constraints(&[more], &[])), DerError::Trailing(2).into());
        let constructed = subtree(&tlv::encode(0xa6, &[&name]));
        let tag = DerError::Tag { expected: URI_NAME, found: 0xa6 };
        assert_eq!(read(&constraints(&[constructed], &[])), tag.into());
    }

    #[test]
    fn a_constraint_that_no_host_can_meet_is_refused() {
        let bad =
            ["", ".", "..x", "x..y", "x.", "*.example.com", "agent://x.y", "x.y/z", "x.y:1", "a@x.y", "x y", "-x.y"];
        for host in bad {
            let refused = Err(NameConstraintError::Host(host.into()));
            assert_eq!(permits(&[host], &[], "bank.example.com"), refused);
            assert_eq!(permits(&["bank.example.com"], &[host], "bank.example.com"), refused);
        }
        let not_ascii = subtree(&tlv::encode(URI_NAME, &[b"x\xff.y"]));
        let refused = ca(&constraints(&[not_ascii], &[])).permits_agent(&agent("bank.example.com"));
        assert_eq!(refused, Err(NameConstraintError::Host("x\\xff.y".into())));
    }
}
