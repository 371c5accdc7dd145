//! Certificates of CAs (RFC 5280 section 4.2, draft 3.1): the root, and the intermediates that it
//! signs. What was made is read back and held to the profile before anybody gets to see it.

use std::path::Path;
use std::time::Duration;

use ::der::{Decode, Tag, Tagged, asn1::ObjectIdentifier};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, DnValue, IsCa, Issuer,
    KeyIdMethod, KeyUsagePurpose, PublicKeyData, SerialNumber, date_time_ymd,
};
use spki::SubjectPublicKeyInfoRef;
use x509_cert::name::Name;

use super::certificate::read_certificate;
use super::keyfile::{PassphraseArgs, PrivateKey};
use crate::apki::certificate::{crl_distribution_points_der, uri_name_constraint_der};
use crate::apki::chain::{self, Anchors, IssuerPath};
use crate::apki::moment::Moment;
use crate::apki::precertificate::certificate_der;
use crate::apki::{Certificate, oid};
use crate::ca::profile::{HelperProfile, HelperRole};
use crate::ca::root_list::ListSigner;
use crate::ca::serial::Serial;
use crate::cli::output::{CliError, Context};
use crate::cli::random;
use crate::keys::{PublicKey, SignatureAlgorithm, key_identifier};
use crate::time::UnixMillis;

/// The file of a root key in its directory.
pub const ROOT_KEY_FILE: &str = "root-key.pem";
/// Characters of a commonName (RFC 5280 appendix A.1, ub-common-name).
const MAX_COMMON_NAME: usize = 64;
/// Seconds that a CA certificate is valid from before it is made: as long as any CA here dates an
/// agent's certificate back, so that none is valid before its issuer.
const BACKDATE_SECONDS: u64 = 300;

/// A root certificate and its key: what the offline ceremonies need.
pub struct Root {
    key: PrivateKey,
    certificate: Certificate,
}

/// What an intermediate is to be.
pub struct Intermediate<'a> {
    /// Its key.
    pub key: &'a PublicKey,
    /// Its name, as [`new_name`] makes it or [`name_of`] reads it.
    pub subject: DistinguishedName,
    /// The one host whose URIs it may vouch for, or no such limit.
    pub permitted_host: Option<&'a str>,
    /// Years of validity; it ends with the root at the latest.
    pub years: u16,
    /// Where the root's list is that would name it, if there is one.
    pub list: Option<ListPoint>,
}

/// Where the revocation of an intermediate would stand.
pub struct ListPoint {
    /// The URL of the list.
    pub url: String,
    /// The Name, in DER, of whoever signs it in the root's stead.
    pub issuer_der: Vec<u8>,
}

impl ListPoint {
    fn extension_value(&self) -> Vec<u8> {
        crl_distribution_points_der(&self.url, Some(&self.issuer_der))
    }
}

impl Root {
    /// A new root. `list_url` is where its own list is to be: OpenSSL looks for the root on it, too.
    pub fn generate(
        key: PrivateKey,
        organization: &str,
        years: u16,
        list_url: Option<&str>,
        now: UnixMillis,
    ) -> Result<Self, CliError> {
        let public = key.public_key()?;
        let subject = named(organization, "Agent Root CA");
        let mut params = params(&public, subject, 1, start(now), years_after(start(now), years)?)?;
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let points = list_url.map(|url| distribution_points(crl_distribution_points_der(url, None)));
        params.custom_extensions.extend(points);
        let made = params.self_signed(&key.signer()?).context("the root certificate")?;
        let root = Self { certificate: Certificate::parse(made.der().to_vec()).context("the new root")?, key };
        root.check(now).context("the new root")?;
        Ok(root)
    }

    /// The root in these files.
    pub fn read(
        certificate: &Path,
        key_dir: &Path,
        passphrase: &PassphraseArgs,
        now: UnixMillis,
    ) -> Result<Self, CliError> {
        let key_file = key_dir.join(ROOT_KEY_FILE);
        let name = certificate.display();
        let root = read_certificate(certificate)?;
        let key = PrivateKey::read(&key_file, passphrase)?;
        if key.public_key()?.spki_der() != root.spki_der() {
            return Err(CliError::new(format!("{} is not the key of {name}", key_file.display())));
        }
        let root = Self { key, certificate: root };
        root.check(now).context(name)?;
        Ok(root)
    }

    /// The certificate.
    pub const fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The private key.
    pub const fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// Signs an intermediate: pathLen 0, for certificates of agents, CRLs and OCSP answers.
    pub fn sign(&self, wanted: Intermediate<'_>, now: UnixMillis) -> Result<Certificate, CliError> {
        if wanted.key.spki_der() == self.certificate.spki_der() {
            return Err(CliError::new("the intermediate may not have the root's own key: make it another"));
        }
        let end = years_after(start(now), wanted.years)?.min(self.certificate.not_after());
        let mut params = params(wanted.key, wanted.subject, 0, start(now), end)?;
        params.use_authority_key_identifier_extension = true;
        params.key_usages =
            vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        if let Some(host) = wanted.permitted_host {
            let mut constraint =
                CustomExtension::from_oid_content(&arcs(&oid::NAME_CONSTRAINTS), uri_name_constraint_der(host));
            constraint.set_criticality(true);
            params.custom_extensions.push(constraint);
        }
        let points = wanted.list.as_ref().map(|point| distribution_points(point.extension_value()));
        params.custom_extensions.extend(points);
        let key = self.key.signer()?;
        let mut issuer = CertificateParams::default();
        issuer.distinguished_name = name_of(&self.certificate).context("the root's name")?;
        issuer.key_identifier_method = KeyIdMethod::PreSpecified(self.key_identifier()?.to_vec());
        issuer.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let made = params.signed_by(&Subject::of(wanted.key)?, &Issuer::from_params(&issuer, &key));
        let made = Certificate::parse(made.context("the intermediate")?.der().to_vec()).context("the intermediate")?;
        self.accepts(&made, wanted.permitted_host, wanted.list.as_ref()).context("the new intermediate")?;
        Ok(made)
    }

    /// Certifies the key of whoever signs lists in the root's stead, for a year. `list_url` is where the root's own
    /// list is, about the signer.
    pub fn certify_list_signer(
        &self,
        key: &PublicKey,
        common_name: &str,
        list_url: &str,
        now: UnixMillis,
    ) -> Result<ListSigner, CliError> {
        let what = "the certificate of the lists' signer";
        let date = |at| Moment::floor(at).ok_or_else(|| CliError::new(format!("{what} cannot be dated {at}")));
        let signer = self.key.list_signer()?;
        let algorithm = signer.public_key().algorithm();
        let profile = HelperProfile {
            role: HelperRole::CrlSigner,
            serial: Serial::from_random(random()?),
            not_before: date(start(now))?,
            not_after: date(years_after(start(now), 1)?.min(self.certificate.not_after()))?,
            common_name,
            public_key: key,
            crl_url: Some(list_url),
        };
        let tbs = profile.tbs(&self.certificate, algorithm).context(what)?;
        let signature = signer.sign(&tbs).context(what)?;
        let made = Certificate::parse(certificate_der(&tbs, algorithm.algorithm_identifier_der(), &signature));
        ListSigner::new(made.context(what)?, &self.certificate).context(what)
    }

    fn key_identifier(&self) -> Result<&[u8], CliError> {
        let missing = || CliError::new("the root has no subjectKeyIdentifier that an intermediate could refer to");
        self.certificate.subject_key_identifier().ok_or_else(missing)
    }

    /// Whether this root can stand above an intermediate now.
    fn check(&self, now: UnixMillis) -> Result<(), CliError> {
        let certificate = &self.certificate;
        Anchors::new([certificate.clone()]).context("it is no root")?;
        let constraints = certificate.basic_constraints().context("basicConstraints")?;
        if constraints.is_some_and(|c| c.path_length == Some(0)) {
            return Err(CliError::new("its pathLenConstraint is 0: no CA may stand below it"));
        }
        if now < certificate.not_before() || certificate.not_after() <= now {
            let (from, to) = (certificate.not_before(), certificate.not_after());
            return Err(CliError::new(format!("it is valid from {from} to {to}, and now it is {now}")));
        }
        self.key_identifier().map(drop)
    }

    /// Whether an intermediate is what was wanted, read as any relying party reads it.
    fn accepts(&self, made: &Certificate, host: Option<&str>, list: Option<&ListPoint>) -> Result<(), CliError> {
        let root = &self.certificate;
        let anchors = Anchors::new([root.clone()]).context("its root")?;
        IssuerPath::find(made, vec![root.clone()], &anchors, 2).context("it does not chain to its root")?;
        chain::Issuer::new(made.clone()).context("it cannot issue")?;
        let constraint = made.extension(&oid::NAME_CONSTRAINTS).map(|e| (e.critical, e.value.to_vec()));
        let wanted = host.map(|host| (true, uri_name_constraint_der(host)));
        let points = made.extension(&oid::CRL_DISTRIBUTION_POINTS).map(|e| e.value.to_vec());
        let identifier = key_identifier(made.spki_der()).context("its key")?;
        let path_length = made.basic_constraints().context("basicConstraints")?.and_then(|c| c.path_length);
        let digital_signature = made.key_usage().context("keyUsage")?.is_some_and(|usage| usage.digital_signature());
        let facts = [
            ("its name constraint", constraint == wanted),
            ("its cRLDistributionPoints", points == list.map(ListPoint::extension_value)),
            ("its pathLenConstraint", path_length == Some(0)),
            ("its keyUsage", digital_signature),
            ("its authorityKeyIdentifier", made.authority_key_identifier() == root.subject_key_identifier()),
            ("its subjectKeyIdentifier", made.subject_key_identifier() == Some(&identifier[..])),
            ("its serial number", made.serial().len() == 20 && made.serial()[0] & 0x80 == 0),
            ("its end", made.not_before() < made.not_after() && made.not_after() <= root.not_after()),
        ];
        match facts.iter().find(|(_, holds)| !holds) {
            None => Ok(()),
            Some((what, _)) => Err(CliError::new(format!("{what} is not what it should be"))),
        }
    }
}

/// The name of an organisation's intermediate: it tells keys apart, and a renewal that keeps the
/// key keeps it.
pub fn new_name(organization: &str, key: &PublicKey) -> Result<DistinguishedName, CliError> {
    let short = hex::encode(&key_identifier(key.spki_der()).context("the intermediate's key")?[..4]);
    Ok(named(organization, &format!("Agent Issuing CA {short}")))
}

/// What whoever signs lists in the root's stead is called: short enough for a commonName.
pub fn list_signer_name(organization: &str) -> String {
    common_name(organization, "Agent CRL Signer")
}

/// The subject of a certificate, to be written again octet for octet.
pub fn name_of(certificate: &Certificate) -> Result<DistinguishedName, CliError> {
    let name = Name::from_der(certificate.subject_der()).context("the subject")?;
    let unusual = || CliError::new(format!("`{name}` has parts that this command cannot copy"));
    let mut copy = DistinguishedName::new();
    for part in name.iter_rdn() {
        let attribute = part.iter().next().filter(|_| part.len() == 1).ok_or_else(unusual)?;
        let kind = DnType::CustomDnType(arcs(&attribute.oid));
        let text = std::str::from_utf8(attribute.value.value()).map_err(|_| unusual())?;
        let value = match attribute.value.tag() {
            Tag::Utf8String => DnValue::Utf8String(text.to_owned()),
            Tag::PrintableString => DnValue::PrintableString(text.try_into().context("the subject")?),
            Tag::Ia5String => DnValue::Ia5String(text.try_into().context("the subject")?),
            _ => return Err(unusual()),
        };
        if copy.get(&kind).is_some() {
            return Err(unusual());
        }
        copy.push(kind, value);
    }
    Ok(copy)
}

/// The common fields; what differs between root and intermediate is the caller's.
fn params(
    key: &PublicKey,
    subject: DistinguishedName,
    path_length: u8,
    not_before: UnixMillis,
    not_after: UnixMillis,
) -> Result<CertificateParams, CliError> {
    let mut serial: [u8; 20] = random()?;
    // Positive and in its shortest form (RFC 5280 section 4.1.2.2).
    serial[0] = serial[0] & 0x7f | 0x40;
    // rcgen has its moments from a crate that is not ours to name.
    let epoch = date_time_ymd(1970, 1, 1);
    let since = |at: UnixMillis| Duration::from_secs(at.get() / 1000);
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.distinguished_name = subject;
    params.not_before = epoch + since(not_before);
    params.not_after = epoch + since(not_after);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
    let identifier = key_identifier(key.spki_der()).context("the public key")?;
    params.key_identifier_method = KeyIdMethod::PreSpecified(identifier.to_vec());
    Ok(params)
}

/// O and CN; the organisation's name is cut in the CN where both together are too long for it.
fn named(organization: &str, role: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, organization);
    name.push(DnType::CommonName, common_name(organization, role));
    name
}

fn common_name(organization: &str, role: &str) -> String {
    let room = MAX_COMMON_NAME.saturating_sub(role.chars().count() + 1);
    let short: String = organization.chars().take(room).collect();
    format!("{} {role}", short.trim_end())
}

fn distribution_points(value: Vec<u8>) -> CustomExtension {
    CustomExtension::from_oid_content(&arcs(&oid::CRL_DISTRIBUTION_POINTS), value)
}

/// The whole second that a certificate made now is valid from.
const fn start(now: UnixMillis) -> UnixMillis {
    UnixMillis::new((now.get() / 1000).saturating_sub(BACKDATE_SECONDS) * 1000)
}

/// The same day and second so many years later; the 28th where the 29th of February is missing.
fn years_after(start: UnixMillis, years: u16) -> Result<UnixMillis, CliError> {
    let start = Duration::from_secs(start.get() / 1000);
    let at = ::der::DateTime::from_unix_duration(start).context("the clock")?;
    let on = |day| ::der::DateTime::new(at.year() + years, at.month(), day, at.hour(), at.minutes(), at.seconds());
    let end = on(at.day()).or_else(|_| on(28)).context("the end of the validity")?;
    UnixMillis::from_secs(end.unix_duration().as_secs()).ok_or_else(|| CliError::new("the validity never ends"))
}

fn arcs(oid: &ObjectIdentifier) -> Vec<u64> {
    oid.arcs().map(u64::from).collect()
}

/// A public key of somebody else, for rcgen.
struct Subject {
    octets: Vec<u8>,
    algorithm: &'static rcgen::SignatureAlgorithm,
}

impl Subject {
    fn of(key: &PublicKey) -> Result<Self, CliError> {
        let info = SubjectPublicKeyInfoRef::from_der(key.spki_der()).context("the public key")?;
        let algorithm = match key.algorithm() {
            SignatureAlgorithm::Ed25519 => &rcgen::PKCS_ED25519,
            SignatureAlgorithm::EcdsaP256Sha256 => &rcgen::PKCS_ECDSA_P256_SHA256,
        };
        Ok(Self { octets: info.subject_public_key.raw_bytes().to_vec(), algorithm })
    }
}

impl PublicKeyData for Subject {
    fn der_bytes(&self) -> &[u8] {
        &self.octets
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.algorithm
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::pki::KeyKind;

    /// 2028-02-29T12:00:00.5Z
    const LEAP_DAY: UnixMillis = UnixMillis::new(1_835_438_400_500);
    const YEAR: u64 = 366 * 86_400_000;

    fn root(kind: KeyKind) -> Root {
        Root::generate(PrivateKey::generate(kind).unwrap(), "Example Bank", 10, None, LEAP_DAY).unwrap()
    }

    fn sign(root: &Root, key: &PublicKey, years: u16, now: UnixMillis) -> Result<Certificate, CliError> {
        let subject = new_name("Example Bank", key).unwrap();
        root.sign(Intermediate { key, subject, permitted_host: Some("a.example"), years, list: None }, now)
    }

    #[test]
    fn validity_is_whole_seconds_and_calendar_years() {
        let root = root(KeyKind::P256);
        let ends = |certificate: &Certificate| {
            [certificate.not_before(), certificate.not_after()].map(|at| at.to_string().replace(".000Z", ""))
        };
        assert_eq!(ends(root.certificate()), ["2028-02-29T11:55:00", "2038-02-28T11:55:00"]);
        let key = PrivateKey::generate(KeyKind::Ed25519).unwrap().public_key().unwrap();
        assert_eq!(ends(&sign(&root, &key, 4, LEAP_DAY).unwrap())[1], "2032-02-29T11:55:00");
    }

    #[test]
    fn no_intermediate_outlives_its_root() {
        let root = root(KeyKind::Ed25519);
        let key = PrivateKey::generate(KeyKind::P256).unwrap().public_key().unwrap();
        let late = LEAP_DAY.saturating_add(8 * YEAR);
        let made = sign(&root, &key, 5, late).unwrap();
        assert_eq!(made.not_after(), root.certificate().not_after());
        assert!(root.check(late).is_ok());
        let refused = root.check(LEAP_DAY.saturating_add(11 * YEAR)).unwrap_err().to_string();
        assert!(refused.contains("it is valid from 2028-02-29T11:55:00.000Z to 2038"), "{refused}");
        assert!(root.check(LEAP_DAY.saturating_sub(YEAR)).is_err());
    }

    #[test]
    fn past_2049_times_are_generalized() {
        let now = LEAP_DAY.saturating_add(20 * YEAR);
        let root = Root::generate(PrivateKey::generate(KeyKind::P256).unwrap(), "B", 20, None, now).unwrap();
        assert!(
            root.certificate().not_after().to_string().starts_with("2068-03-"),
            "{}",
            root.certificate().not_after()
        );
    }

    #[test]
    fn names_fit_and_come_back() {
        let long = "Organisation with a name that is as long as names may be, \u{e4}\u{f6}\u{fc}".to_owned();
        let root = Root::generate(PrivateKey::generate(KeyKind::P256).unwrap(), &long, 10, None, LEAP_DAY).unwrap();
        let subject = Name::from_der(root.certificate().subject_der()).unwrap();
        let common = subject.common_name().unwrap().unwrap();
        assert!(common.value().chars().count() <= 64 && common.value().ends_with(" Agent Root CA"), "{subject}");
        let copy = name_of(root.certificate()).unwrap();
        let values: Vec<_> = copy.iter().map(|(_, value)| value.clone()).collect();
        assert_eq!(values[0], DnValue::Utf8String(long));
    }

    #[test]
    fn the_root_s_own_key_is_no_intermediate() {
        let root = root(KeyKind::P256);
        let key = root.key().public_key().unwrap();
        assert!(sign(&root, &key, 1, LEAP_DAY).unwrap_err().to_string().contains("the root's own key"));
    }

    #[test]
    fn another_certificate_is_not_accepted() {
        let root = root(KeyKind::P256);
        let key = PrivateKey::generate(KeyKind::P256).unwrap().public_key().unwrap();
        let made = sign(&root, &key, 1, LEAP_DAY).unwrap();
        assert!(root.accepts(&made, Some("a.example"), None).is_ok());
        for host in [None, Some("b.example")] {
            assert!(root.accepts(&made, host, None).unwrap_err().to_string().contains("its name constraint"));
        }
        let other = self::root(KeyKind::P256);
        assert!(other.accepts(&made, Some("a.example"), None).unwrap_err().to_string().contains("does not chain"));
        assert!(root.accepts(root.certificate(), None, None).is_err());
    }
}
