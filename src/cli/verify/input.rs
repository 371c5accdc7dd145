//! What is presented, and what is given in files beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::{of_parts, spend};
use crate::apki::Certificate;
use crate::apki::status::crl::Crl;
use crate::apki::status::ocsp::OcspVerifyError;
use crate::cli::files::pem_blocks;
use crate::cli::output::{CliError, Context};
use crate::cli::relying::material::{Material, read_list};
use crate::log::proof::TlogProof;
use crate::log::sat::SignedAgentTimestamp;
use crate::time::UnixMillis;
use crate::verify::relying::{
    Audited, Code, CrlRefused, Examination, Facts, Inclusion, Note, Operation, Presented, Questionable, Reason,
    RevocationLists, Standing, StandingError, Subject,
};

/// Most octets of a file of certificates: the most that are looked at, in PEM, and some words between them.
const MAX_FILE: u64 = 32 << 20;

/// What is known in files.
#[derive(Args, Default)]
#[command(next_help_heading = "What is known, in files")]
pub struct Given {
    /// An OCSP answer about one of the certificates, DER; may be given more than once
    #[arg(long, value_name = "FILE")]
    staple: Vec<PathBuf>,
    /// A revocation list, DER or PEM; may be given more than once
    #[arg(long, value_name = "FILE")]
    crl: Vec<PathBuf>,
    /// A proof that the agent's certificate is in a log (C2SP tlog-proof); may be given more than once
    #[arg(long, value_name = "FILE")]
    proof: Vec<PathBuf>,
    /// A log's signed timestamp, DER, where the agent's certificate has none in it; may be given more than once
    #[arg(long, value_name = "FILE")]
    sat: Vec<PathBuf>,
    /// A monitor's audit statement about a log; may be given more than once
    #[arg(long, value_name = "FILE")]
    audit: Vec<PathBuf>,
}

/// Reads `TOOL SCOPE` or `TOOL SCOPE AMOUNT CURRENCY`.
pub fn operation(text: &str) -> Result<Operation, String> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    match words.as_slice() {
        [tool, scope] => of_parts(tool, scope, None),
        [tool, scope, amount, currency] => {
            let minor =
                amount.parse().map_err(|_| format!("the amount {amount:?} is no whole number of minor units"))?;
            of_parts(tool, scope, Some(spend(minor, currency)?))
        }
        _ => Err("it must be 'TOOL SCOPE' or 'TOOL SCOPE AMOUNT CURRENCY'; with blanks in it: --tool, --scope".into()),
    }
}

/// The certificates of these files in one line, with the timestamps that were given.
///
/// # Errors
/// Outside, where a file cannot be read; inside, where what is in it is no presentation, which refuses.
pub fn read(files: &[PathBuf], given: &Given) -> Result<Result<Presented, Box<Reason>>, CliError> {
    let mut ders: Vec<Result<Vec<u8>, String>> = Vec::new();
    for file in files {
        ders.extend(certificates(file)?);
    }
    let mut sats = Vec::new();
    for file in &given.sat {
        let octets = fs::read(file).context(file.display())?;
        sats.push(SignedAgentTimestamp::from_der(&octets).context(format_args!("{} (--sat)", file.display()))?);
    }
    Ok(presented(ders).map(|mut presented| {
        presented.agent.detached = sats;
        presented
    }))
}

fn presented(ders: Vec<Result<Vec<u8>, String>>) -> Result<Presented, Box<Reason>> {
    let mut octets = Vec::with_capacity(ders.len());
    for (index, der) in ders.into_iter().enumerate() {
        match der {
            Ok(der) => octets.push(der),
            Err(why) => {
                let code = if index == 0 { Code::ProfileMalformed } else { Code::ChainMalformed };
                return Err(Box::new(Reason::new(code, Subject::Agent, format!("certificate {index}: {why}"))));
            }
        }
    }
    Presented::from_der(octets.iter().map(Vec::as_slice))
}

/// The certificates of a file, PEM or DER, in DER; an error inside for a block of PEM that is none.
fn certificates(file: &Path) -> Result<Vec<Result<Vec<u8>, String>>, CliError> {
    let length = fs::metadata(file).context(file.display())?.len();
    if length > MAX_FILE {
        return Err(CliError::new(format!("{}: {length} octets, and {MAX_FILE} are the most", file.display())));
    }
    let octets = fs::read(file).context(file.display())?;
    let text = match str::from_utf8(&octets) {
        Ok(text) if text.contains("-----BEGIN ") => text,
        // What it is instead, its reader says.
        _ => return Ok(vec![Ok(octets)]),
    };
    let certificate = |block: &&str| block.starts_with("-----BEGIN CERTIFICATE-----");
    let decode = |block: &str| match der::pem::decode_vec(block.as_bytes()) {
        Ok((_, der)) => Ok(der),
        Err(error) => Err(format!("the PEM does not decode: {error}")),
    };
    let found: Vec<_> = pem_blocks(text).filter(certificate).map(decode).collect();
    match found.is_empty() {
        true => Err(CliError::new(format!("{}: there is no CERTIFICATE among its PEM blocks", file.display()))),
        false => Ok(found),
    }
}

impl Given {
    /// Verifies what the files say, each against what it is about.
    pub fn learn(
        &self,
        material: &Material,
        examination: &Examination,
        at: UnixMillis,
        present: UnixMillis,
        facts: &mut Facts,
    ) -> Result<(), CliError> {
        facts.revocations.lists = Arc::clone(&material.lists);
        let asked = examination.questionable();
        for file in &self.staple {
            let octets = fs::read(file).context(file.display())?;
            staple(&octets, &asked, [at, present], &file.display().to_string(), facts);
        }
        self.lists(material, &asked, facts)?;
        for file in &self.proof {
            let place = format!("{} (--proof)", file.display());
            let proof = TlogProof::parse(&fs::read(file).context(&place)?).context(&place)?;
            let agent = examination.members().next();
            let witnesses = material.party.policy.inclusion.as_ref().and_then(|wanted| wanted.witnesses.as_ref());
            let Some(agent) = agent else { continue };
            match Inclusion::from_proof(&proof, agent.cert_hash(), &material.party.logs, witnesses, present) {
                Ok(inclusion) => facts.inclusions.push(inclusion),
                Err(error) => facts.invalid_proofs.push(format!("{}: {error}", file.display())),
            }
        }
        for file in &self.audit {
            let place = format!("{} (--audit)", file.display());
            let octets = fs::read(file).context(&place)?;
            let audited = Audited::from_statement(&octets, &material.monitors, &material.party.logs);
            facts.audits.push(audited.context(&place)?);
        }
        Ok(())
    }

    fn lists(&self, material: &Material, asked: &[Questionable<'_>], facts: &mut Facts) -> Result<(), CliError> {
        if self.crl.is_empty() {
            return Ok(());
        }
        let mut lists = RevocationLists::clone(&facts.revocations.lists);
        let anchors = material.party.domains.iter().flat_map(|(_, domain)| domain.trusted.anchors().iter());
        let signers: Vec<&Certificate> = asked
            .iter()
            .map(|asked| asked.issuer)
            .chain(anchors.map(|anchor| anchor.certificate()))
            .chain(&material.list_signers)
            .collect();
        for file in &self.crl {
            let place = format!("{} (--crl)", file.display());
            add(&mut lists, read_list(file)?, &signers, material).context(place)?;
        }
        facts.revocations.lists = Arc::new(lists);
        Ok(())
    }
}

/// Takes a list by whichever certificate of its issuer's name verifies it.
fn add(lists: &mut RevocationLists, crl: Crl, signers: &[&Certificate], material: &Material) -> Result<(), CrlRefused> {
    let mut refused = CrlRefused::OtherSigner;
    for signer in signers.iter().filter(|signer| signer.subject_der() == crl.issuer_der()) {
        match lists.add(crl.clone(), signer, &material.party.domains) {
            Ok(()) => return Ok(()),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

/// What an OCSP answer says, of whichever certificate it is about. It held at one of the moments `when`.
fn staple(octets: &[u8], asked: &[Questionable<'_>], when: [UnixMillis; 2], file: &str, facts: &mut Facts) {
    let mut about_nobody = true;
    for asked in asked {
        let read = |now| Standing::from_ocsp(octets, asked.certificate, asked.issuer, now, None);
        match read(when[0]).or_else(|first| read(when[1]).map_err(|_| first)) {
            Ok(standing) => facts.revocations.answers.push(standing),
            Err(StandingError::Verify(OcspVerifyError::OtherCertificate | OcspVerifyError::OtherIssuer)) => continue,
            Err(error) => {
                let invalid = (asked.certificate.fingerprint(), format!("{file}: {error}"));
                facts.revocations.invalid.push(invalid);
            }
        }
        about_nobody = false;
    }
    if about_nobody {
        let detail = format!("{file}: an answer about none of the certificates whose chain holds");
        facts.notes.push(Note { subject: Subject::Agent, detail });
    }
}
