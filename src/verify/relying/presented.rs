//! What an agent shows of itself: its certificate, those of its CAs, and those of the agents above it.

use super::code::Code;
use super::reason::{Reason, Subject};
use crate::apki::Certificate;
use crate::log::sat::SignedAgentTimestamp;

/// Most octets of one certificate; the protocol bounds its parts to less.
pub const MAX_CERTIFICATE: usize = 256 << 10;
/// Most certificates that are looked at: a line of agents, each with its CAs.
pub const MAX_CERTIFICATES: usize = 64;

/// Most CAs behind one certificate that can make a chain (R9).
const MAX_ISSUERS: usize = 3;

/// An agent's certificate, and the CAs that lead from it to an anchor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The certificate.
    pub certificate: Certificate,
    /// The CAs, its own issuer first; the anchor may be left out.
    pub issuers: Vec<Certificate>,
    /// Timestamps that came beside the certificate: of one that has none embedded (protocol section 3).
    pub detached: Vec<SignedAgentTimestamp>,
}

impl Link {
    /// An agent's certificate with the CAs behind it.
    pub const fn new(certificate: Certificate, issuers: Vec<Certificate>) -> Self {
        Self { certificate, issuers, detached: Vec::new() }
    }
}

/// What was presented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    /// The agent that wants something.
    pub agent: Link,
    /// The agents above it, its parent first. They are found by their hash; the order helps to say which
    /// one is wrong.
    pub parents: Vec<Link>,
}

impl Presented {
    /// Sorts certificates as they come in a file or a TLS handshake: the agent's first, and behind it its
    /// CAs and the agents above it, each with its own CAs behind it where these are others.
    ///
    /// # Errors
    /// The reason for which such a presentation is refused whatever the policy: nothing there, too much, or
    /// something that does not parse.
    pub fn from_der<'a>(certificates: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, Box<Reason>> {
        let mut parsed = Vec::new();
        for (index, der) in certificates.into_iter().enumerate() {
            if index == MAX_CERTIFICATES {
                let detail = format!("more than {MAX_CERTIFICATES} certificates were presented");
                return Err(Box::new(Reason::new(Code::ChainTooLong, Subject::Agent, detail)));
            }
            parsed.push(read(index, der)?);
        }
        Self::from_certificates(parsed)
    }

    /// The same, of certificates that were parsed.
    ///
    /// # Errors
    /// Where there is none.
    pub fn from_certificates(certificates: Vec<Certificate>) -> Result<Self, Box<Reason>> {
        let mut certificates = certificates.into_iter();
        let Some(agent) = certificates.next() else {
            let nothing = "no certificate was presented";
            return Err(Box::new(Reason::new(Code::ProfileMalformed, Subject::Agent, nothing)));
        };
        let mut line = vec![Link::new(agent, Vec::new())];
        for certificate in certificates {
            match line.last_mut() {
                // One more than a chain may have: enough to say that it is too long.
                Some(last) if is_ca(&certificate) && last.issuers.len() > MAX_ISSUERS => {}
                Some(last) if is_ca(&certificate) => last.issuers.push(certificate),
                _ => line.push(Link::new(certificate, Vec::new())),
            }
        }
        share_issuers(&mut line);
        let agent = line.remove(0);
        Ok(Self { agent, parents: line })
    }
}

fn read(index: usize, der: &[u8]) -> Result<Certificate, Box<Reason>> {
    let refuse = |code, detail: String| Box::new(Reason::new(code, Subject::Agent, detail));
    if der.len() > MAX_CERTIFICATE {
        let detail = format!("certificate {index} has {} octets, and {MAX_CERTIFICATE} are the most", der.len());
        return Err(refuse(Code::ProfileSize, detail));
    }
    let code = if index == 0 { Code::ProfileMalformed } else { Code::ChainMalformed };
    Certificate::parse(der).map_err(|e| refuse(code, format!("certificate {index}: {e}")))
}

/// Whether it says of itself that it is a CA's. What does not decode is no CA's; it is refused where it
/// stands.
fn is_ca(certificate: &Certificate) -> bool {
    matches!(certificate.basic_constraints(), Ok(Some(constraints)) if constraints.ca)
}

/// Agents below one CA bring its certificate along once: whoever has no CAs of its own takes those of
/// somebody in the line that has the same issuer.
fn share_issuers(line: &mut [Link]) {
    for index in 0..line.len() {
        if !line[index].issuers.is_empty() {
            continue;
        }
        let issuer = line[index].certificate.issuer_der();
        let same = |link: &&Link| link.issuers.first().is_some_and(|first| first.subject_der() == issuer);
        if let Some(issuers) = line.iter().find(same).map(|link| link.issuers.clone()) {
            line[index].issuers = issuers;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apki::testing::{Draft, key};

    #[test]
    fn certificates_are_sorted_into_a_line() {
        let ca = |name: &str, seed| Draft::ca("Root", name, &key(seed), None).certificate(&key(1));
        let agent = |issuer: &str, serial: u8| {
            let mut leaf = Draft::leaf(issuer);
            leaf.serial = vec![0x02, 0x01, serial];
            leaf.certificate(&key(2))
        };
        let (org, other) = (ca("Org", 2), ca("Other", 3));
        let flat = [agent("Org", 1), org.clone(), agent("Org", 2), agent("Other", 3), other.clone()];
        let ders: Vec<&[u8]> = flat.iter().map(Certificate::der).collect();
        let presented = Presented::from_der(ders).unwrap();
        assert_eq!(presented.agent, Link::new(flat[0].clone(), vec![org.clone()]));
        let parents = [Link::new(flat[2].clone(), vec![org]), Link::new(flat[3].clone(), vec![other])];
        assert_eq!(presented.parents, parents);
    }

    #[test]
    fn what_cannot_be_read_says_so() {
        let code = |der: &[&[u8]]| Presented::from_der(der.iter().copied()).unwrap_err().code;
        let leaf = Draft::leaf("Org").certificate(&key(2));
        assert_eq!(code(&[]), Code::ProfileMalformed);
        assert_eq!(code(&[&[0x30]]), Code::ProfileMalformed);
        assert_eq!(code(&[leaf.der(), &[0x30]]), Code::ChainMalformed);
        assert_eq!(code(&[&vec![0; MAX_CERTIFICATE + 1]]), Code::ProfileSize);
        assert_eq!(code(&vec![leaf.der(); MAX_CERTIFICATES + 1]), Code::ChainTooLong);
    }
}
