//! Precertificates, one like the other but for serial number, name and key.

use super::{Authority, Claims, PkiError, SigningKey, serial};
use crate::apki::AgentUri;
use crate::apki::moment::Moment;
use crate::apki::precertificate::certificate_der;
use crate::ca::profile::{Bearer, ProfileError, Template};
use crate::keys::key_identifier;
use crate::time::UnixMillis;

/// How long an agent's certificate is valid.
const VALIDITY_MS: u64 = 3_600_000;

/// Makes precertificates of one issuer, with the same claims and validity. They are of the CA's own
/// profile; what they share is written once, because load needs tens of thousands.
#[derive(Debug)]
pub struct Stamp<'a> {
    authority: &'a Authority,
    template: Template,
}

impl<'a> Stamp<'a> {
    /// A stamp of `authority` for certificates that say `claims` and are valid for one hour from
    /// `now` on.
    pub fn new(authority: &'a Authority, claims: &Claims, now: UnixMillis) -> Result<Self, PkiError> {
        let moment = |at| Moment::floor(at).ok_or(PkiError::Time(at));
        let (start, end) = (moment(now)?, moment(now.saturating_add(VALIDITY_MS))?);
        let issuer = authority.certificate();
        // Somebody's own CA, given for load, need not have one.
        let identifier = match issuer.subject_key_identifier() {
            Some(identifier) => identifier.to_vec(),
            None => key_identifier(authority.key.public_key().spki_der()).map_err(ProfileError::Key)?.to_vec(),
        };
        let algorithm = authority.key.algorithm();
        let template = claims
            .stated(start, end, |statement| Template::new(issuer.subject_der(), &identifier, algorithm, statement))??;
        Ok(Self { authority, template })
    }

    /// A precertificate, in DER, for the agent of this name with this key. Its serial number is
    /// new each time.
    pub fn precertificate(&self, agent: &AgentUri, key: &SigningKey) -> Result<Vec<u8>, PkiError> {
        let bearer = Bearer { serial: serial()?, name: agent, spiffe: None, spki_der: key.public_key().spki_der() };
        let tbs = self.template.precertificate_tbs(&bearer)?;
        let signature = self.authority.sign(&tbs)?;
        Ok(certificate_der(&tbs, self.authority.key.algorithm().algorithm_identifier_der(), &signature))
    }
}
