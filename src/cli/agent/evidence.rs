//! What an agent says of how it was built, told once on the command line and gathered anew for each request.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::api::B64;
use crate::api::ca::{EvidenceForm, Hex32};
use crate::apki::extension::{AsciiText, Text};
use crate::apki::provenance::MAX_EVIDENCE;
use crate::cli::output::{CliError, Context};

/// How the agent was built.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "How the agent was built")]
pub struct EvidenceArgs {
    /// The family of the model, such as claude
    #[arg(long, value_name = "NAME", requires_all = ["model_version", "framework", "organization"])]
    model_family: Option<String>,
    /// The version of the model
    #[arg(long, value_name = "VERSION", requires = "model_family")]
    model_version: Option<String>,
    /// What the model runs in, such as mcp-sdk
    #[arg(long, value_name = "NAME", requires = "model_family")]
    framework: Option<String>,
    /// Who built the agent
    #[arg(long, value_name = "NAME", requires = "model_family")]
    organization: Option<String>,
    /// The build itself: its SHA-256 is sent, of what the file holds at each request
    #[arg(long, value_name = "FILE", conflicts_with = "build_hash", requires = "model_family")]
    build: Option<PathBuf>,
    /// SHA-256 of the build, in hex
    #[arg(long, value_name = "HEX", requires = "model_family")]
    build_hash: Option<Hex32>,
    /// What an attester says of it, at most 16 KiB; read at each request
    #[arg(long, value_name = "FILE", requires = "model_family")]
    attestation: Option<PathBuf>,
    /// Where the evidence is
    #[arg(long, value_name = "URI", requires = "model_family")]
    evidence_uri: Option<String>,
}

/// Where the evidence of a request comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipe {
    model_family: Text,
    model_version: Text,
    framework: Text,
    organization: Text,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    build: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    build_hash: Option<Hex32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attestation: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    evidence_uri: Option<AsciiText>,
}

impl EvidenceArgs {
    /// What to gather, where anything was said. Paths become absolute: a renewal may run elsewhere.
    pub fn recipe(&self) -> Result<Option<Recipe>, CliError> {
        let (Some(family), Some(version), Some(framework), Some(organization)) =
            (&self.model_family, &self.model_version, &self.framework, &self.organization)
        else {
            return Ok(None);
        };
        let absolute = |path: &PathBuf| std::path::absolute(path).context(path.display());
        Ok(Some(Recipe {
            model_family: Text::new(family).context("--model-family")?,
            model_version: Text::new(version).context("--model-version")?,
            framework: Text::new(framework).context("--framework")?,
            organization: Text::new(organization).context("--organization")?,
            build: self.build.as_ref().map(absolute).transpose()?,
            build_hash: self.build_hash,
            attestation: self.attestation.as_ref().map(absolute).transpose()?,
            evidence_uri: self.evidence_uri.as_deref().map(AsciiText::new).transpose().context("--evidence-uri")?,
        }))
    }
}

impl Recipe {
    /// The evidence, as the files are now.
    pub fn gather(&self) -> Result<EvidenceForm, CliError> {
        let build_hash = match &self.build {
            Some(file) => Some(hash_file(file)?),
            None => self.build_hash,
        };
        Ok(EvidenceForm {
            model_family: self.model_family.clone(),
            model_version: self.model_version.clone(),
            framework: self.framework.clone(),
            organization: self.organization.clone(),
            build_hash,
            attestation: self.attestation.as_deref().map(read_attestation).transpose()?,
            evidence_uri: self.evidence_uri.clone(),
        })
    }
}

/// SHA-256 of a build, which may be larger than memory; it was named with `--build`.
pub fn hash_file(file: &Path) -> Result<Hex32, CliError> {
    let mut build = File::open(file).context(format_args!("{} (--build)", file.display()))?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 64 * 1024]);
    loop {
        match build.read(&mut buffer).context(format_args!("{} (--build)", file.display()))? {
            0 => return Ok(Hex32(hash.finalize().into())),
            n => hash.update(&buffer[..n]),
        }
    }
}

fn read_attestation(file: &Path) -> Result<B64, CliError> {
    let place = format!("{} (--attestation)", file.display());
    let mut octets = Vec::new();
    // One octet more than may be: enough to see that it is too long.
    let most = MAX_EVIDENCE as u64 + 1;
    File::open(file).and_then(|file| file.take(most).read_to_end(&mut octets)).context(&place)?;
    match octets.len() {
        0..=MAX_EVIDENCE => Ok(B64(octets)),
        _ => Err(CliError::new(format!("{place}: it has more than {MAX_EVIDENCE} octets"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        evidence: EvidenceArgs,
    }

    fn parse(args: &[&str]) -> Result<EvidenceArgs, clap::Error> {
        Program::try_parse_from([&["x"], args].concat()).map(|p| p.evidence)
    }

    const BASIC: [&str; 8] =
        ["--model-family", "claude", "--model-version", "5", "--framework", "mcp-sdk", "--organization", "acme"];

    #[test]
    fn files_are_read_anew_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let build = dir.path().join("build");
        std::fs::write(&build, "one").unwrap();
        let args = [&BASIC[..], &["--build", build.to_str().unwrap(), "--evidence-uri", "https://x.example/"]].concat();
        let recipe = parse(&args).unwrap().recipe().unwrap().unwrap();
        let recipe: Recipe = serde_json::from_str(&serde_json::to_string(&recipe).unwrap()).unwrap();
        assert_eq!(recipe.gather().unwrap().build_hash, Some(Hex32(Sha256::digest("one").into())));
        std::fs::write(&build, "two").unwrap();
        assert_eq!(recipe.gather().unwrap().build_hash, Some(Hex32(Sha256::digest("two").into())));
        std::fs::remove_file(&build).unwrap();
        assert!(recipe.gather().unwrap_err().to_string().contains("build (--build): "));
    }

    #[test]
    fn attestations_are_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        std::fs::write(&file, vec![7; MAX_EVIDENCE]).unwrap();
        let recipe = parse(&[&BASIC[..], &["--attestation", file.to_str().unwrap()]].concat()).unwrap().recipe();
        let recipe = recipe.unwrap().unwrap();
        assert_eq!(recipe.gather().unwrap().attestation.unwrap().0.len(), MAX_EVIDENCE);
        std::fs::write(&file, vec![7; MAX_EVIDENCE + 1]).unwrap();
        assert!(recipe.gather().unwrap_err().to_string().contains("more than 16384 octets"));
    }

    #[test]
    fn nothing_or_all_of_it() {
        assert_eq!(parse(&[]).unwrap().recipe().unwrap(), None);
        assert!(parse(&BASIC[..6]).is_err());
        assert!(parse(&["--build-hash", &"0".repeat(64)]).is_err());
        let hash = "0A".repeat(32);
        assert!(parse(&[&BASIC[..], &["--build-hash", &hash]].concat()).is_err());
    }
}
