//! Precertificates, one like the other but for serial number, name and key.

use super::der::{BIT_STRING, INTEGER, OCTET_STRING, element, extension, number, sequence, validity_time};
use super::{Authority, Claims, PkiError, SigningKey, moment, serial};
use crate::apki::moment::Moment;
use crate::apki::{AgentUri, oid};
use crate::time::UnixMillis;

/// How long an agent's certificate is valid.
const VALIDITY_MS: u64 = 3_600_000;

const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
const URI_NAME: u8 = 0x86;
const KEY_IDENTIFIER: u8 = 0x80;

/// keyUsage digitalSignature.
const DIGITAL_SIGNATURE: &[u8] = &[0x03, 0x02, 0x07, 0x80];
/// extKeyUsage serverAuth, clientAuth.
const SERVER_AND_CLIENT: &[u8] = &[
    0x30, 0x14, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05,
    0x07, 0x03, 0x02,
];
const NULL: &[u8] = &[0x05, 0x00];

/// Makes precertificates of one issuer, with the same claims and validity.
#[derive(Debug)]
pub struct Stamp<'a> {
    authority: &'a Authority,
    version: Vec<u8>,
    /// issuer, validity and the empty subject.
    names: Vec<u8>,
    /// The extensions between the name and the key identifier of the subject.
    before_key: Vec<u8>,
    /// The extensions behind it; the poison is the last.
    after_key: Vec<u8>,
}

impl<'a> Stamp<'a> {
    /// A stamp of `authority` for certificates that say `claims` and are valid for one hour from
    /// `now` on.
    pub fn new(authority: &'a Authority, claims: &Claims, now: UnixMillis) -> Result<Self, PkiError> {
        let (start, end) = (moment(now)?, moment(now.saturating_add(VALIDITY_MS))?);
        let signed = Moment::floor(now).ok_or(PkiError::Time(now))?;
        let validity = sequence(&[&validity_time(&start), &validity_time(&end)]);
        let issuer = authority.certificate();
        let of_issuer = match issuer.subject_key_identifier() {
            Some(identifier) => identifier.to_vec(),
            None => authority.key.public_key().key_identifier().to_vec(),
        };
        let of_issuer = sequence(&[&element(KEY_IDENTIFIER, &[&of_issuer])]);
        Ok(Self {
            authority,
            version: element(VERSION, &[&number(INTEGER, 2)]),
            names: [issuer.subject_der(), &validity, &sequence(&[])].concat(),
            before_key: [
                extension(&oid::KEY_USAGE, true, DIGITAL_SIGNATURE),
                extension(&oid::EXTENDED_KEY_USAGE, false, SERVER_AND_CLIENT),
                extension(&oid::AUTHORITY_KEY_IDENTIFIER, false, &of_issuer),
            ]
            .concat(),
            after_key: [claims.extensions(signed)?, extension(&oid::PRECERTIFICATE_POISON, true, NULL)].concat(),
        })
    }

    /// A precertificate, in DER, for the agent of this name with this key. Its serial number is
    /// new each time.
    pub fn precertificate(&self, agent: &AgentUri, key: &SigningKey) -> Result<Vec<u8>, PkiError> {
        let name = sequence(&[&element(URI_NAME, &[agent.as_str().as_bytes()])]);
        // The subject is empty, so the name is critical (RFC 5280 section 4.2.1.6).
        let name = extension(&oid::SUBJECT_ALT_NAME, true, &name);
        let identifier = element(OCTET_STRING, &[&key.public_key().key_identifier()]);
        let identifier = extension(&oid::SUBJECT_KEY_IDENTIFIER, false, &identifier);
        let extensions = sequence(&[&name, &self.before_key, &identifier, &self.after_key]);
        let algorithm = self.authority.key.algorithm();
        let tbs = sequence(&[
            &self.version,
            &element(INTEGER, &[&serial()?]),
            algorithm,
            &self.names,
            key.public_key().spki_der(),
            &element(EXTENSIONS, &[&extensions]),
        ]);
        let signature = self.authority.sign(&tbs)?;
        Ok(sequence(&[&tbs, algorithm, &element(BIT_STRING, &[&[0], &signature])]))
    }
}
