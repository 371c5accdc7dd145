//! `atl ca registry`: the file of builds known to be good, kept by whoever vouches for them. None of it
//! needs the CA, and the key need not be where the CA is.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use base64::{Engine, engine::general_purpose::STANDARD};
use clap::{Args, Subcommand};
use der::pem;
use zeroize::Zeroizing;

use super::keyfile::PrivateKey;
use crate::api::ca::Hex32;
use crate::apki::extension::Text;
use crate::ca::registry::{self, Entry, Registry};
use crate::ca::token::UriPattern;
use crate::cli::agent::evidence::hash_file;
use crate::cli::files::{Staged, pem_blocks, write_new};
use crate::cli::output::{CliError, Context, print_json};
use crate::cli::pki::KeyKind;
use crate::cli::words::{self, clean};
use crate::keys::{PublicKey, Signer, signer_from_pkcs8_pem};
use crate::time::{Clock, SystemClock, UnixMillis};

/// The subcommands of `atl ca registry`.
#[derive(Subcommand)]
pub enum RegistryCommand {
    Key(KeyArgs),
    Add(AddArgs),
    Sign(SignArgs),
    Check(CheckArgs),
}

/// Make the key that signs a registry of known-good builds: Ed25519, PKCS#8 in PEM.
///
/// Its public half goes to standard output alone, as ca.toml has it. Keep the key where builds are
/// judged, and away from the CA.
///
/// Example:
///   atl ca registry key --out registry-key.pem
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct KeyArgs {
    /// Where to write the key; the file must not exist
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Add a build to a registry, signed; a registry that is not there yet is made.
///
/// What is in the file already must be signed by the same key. A CA reads its registry when it starts.
///
/// Example:
///   atl ca registry add --key registry-key.pem --file registry.json --build bot.tar.gz \
///     --name payments-bot --version 1.4.2 --agents 'agent://agents.example.com/payments/*/*'
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct AddArgs {
    /// The registry's private key (PEM, PKCS#8)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The registry
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// The build itself: its SHA-256 is what counts
    #[arg(long, value_name = "FILE", conflicts_with = "build_hash", required_unless_present = "build_hash")]
    build: Option<PathBuf>,
    /// SHA-256 of the build, in hex
    #[arg(long, value_name = "HEX")]
    build_hash: Option<Hex32>,
    /// What the build is called
    #[arg(long)]
    name: String,
    /// Which version of it
    #[arg(long)]
    version: String,
    /// Good only for agents with this org segment in their URI
    #[arg(long, value_name = "ORG")]
    organization: Option<String>,
    /// Good only for these agents: an agent URI in which whole path segments may be `*`
    #[arg(long, value_name = "PATTERN")]
    agents: Option<String>,
    /// Good only until then, such as 2027-01-01T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = words::moment)]
    not_after: Option<UnixMillis>,
}

/// Sign every entry of a registry that was written or changed by hand: {"entries": [{"build_hash", "name",
/// "version", "organization", "agents", "not_after"}]}, where the last three may be left out.
///
/// Signatures that are there are replaced: whoever runs this vouches for all of it.
#[derive(Args)]
pub struct SignArgs {
    /// The registry's private key (PEM, PKCS#8)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Where to write it; FILE itself is replaced without it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The registry
    file: PathBuf,
}

/// Check a registry as the CA does when it starts, and list what is in it.
///
/// It ends with 0 where every entry is signed by the key, with 1 where one is not.
#[derive(Args)]
pub struct CheckArgs {
    /// The registry's key: base64 as in ca.toml, or a PEM file
    #[arg(long, value_name = "KEY|FILE")]
    key: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The registry
    file: PathBuf,
}

/// Runs one.
pub fn run(command: &RegistryCommand) -> Result<(), CliError> {
    match command {
        RegistryCommand::Key(args) => key(args),
        RegistryCommand::Add(args) => add(args),
        RegistryCommand::Sign(args) => sign(args),
        RegistryCommand::Check(args) => check(args),
    }
}

fn key(args: &KeyArgs) -> Result<(), CliError> {
    let key = PrivateKey::generate(KeyKind::Ed25519)?;
    let public = STANDARD.encode(key.public_key()?.spki_der());
    write_new(&args.out, 0o600, &key.to_pem()?)?;
    println!("{public}");
    eprintln!(
        "The private key is in {}. In ca.toml, under [policy]:\n\n  registry_file = \"registry.json\"\n  registry_key = \
         \"{public}\"",
        args.out.display()
    );
    Ok(())
}

fn add(args: &AddArgs) -> Result<(), CliError> {
    let file = args.file.display();
    let key = signer(&args.key)?;
    let entry = entry(args)?;
    let title = clean(&entry.title());
    let before = match fs::read(&args.file) {
        Ok(octets) => Some(octets),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error).context(file),
    };
    replace(&args.file, &registry::add(before.as_deref(), entry, &*key).context(&file)?)?;
    println!("{file}: {title} is added");
    if before.is_none() {
        eprintln!("The registry is new. Its key in ca.toml is {}", STANDARD.encode(key.public_key().spki_der()));
    }
    Ok(())
}

fn entry(args: &AddArgs) -> Result<Entry, CliError> {
    let build_hash = match (&args.build, args.build_hash) {
        (Some(build), _) => hash_file(build)?,
        (None, Some(hash)) => hash,
        (None, None) => return Err(CliError::new("name the build with --build or --build-hash")),
    };
    let text = |text: &str, option| match text {
        "" => Err(CliError::new(format!("{option}: it must not be empty"))),
        text => Text::new(text).context(option),
    };
    Ok(Entry {
        build_hash: build_hash.0,
        name: text(&args.name, "--name")?,
        version: text(&args.version, "--version")?,
        organization: args.organization.as_deref().map(|org| text(org, "--organization")).transpose()?,
        agents: args.agents.as_deref().map(UriPattern::parse).transpose().context("--agents")?,
        not_after: args.not_after,
        signature: None,
    })
}

fn sign(args: &SignArgs) -> Result<(), CliError> {
    let key = signer(&args.key)?;
    let octets = fs::read(&args.file).context(args.file.display())?;
    let signed = registry::sign(&octets, &*key).context(args.file.display())?;
    let out = args.out.as_ref().unwrap_or(&args.file);
    replace(out, &signed)?;
    println!("{}: signed with {}", out.display(), STANDARD.encode(key.public_key().spki_der()));
    Ok(())
}

fn check(args: &CheckArgs) -> Result<(), CliError> {
    let key = public_key(&args.key)?;
    let octets = fs::read(&args.file).context(args.file.display())?;
    let registry = Registry::parse(&octets, &key)
        .map_err(|error| CliError::negative(format!("{}: {}", args.file.display(), clean(&error.to_string()))))?;
    let entries: Vec<&Entry> = registry.entries().collect();
    if args.json {
        return print_json(&entries);
    }
    for line in table(&entries, SystemClock.now()) {
        println!("{line}");
    }
    println!("\nThe key signed all entries: {}.", entries.len());
    Ok(())
}

fn table(entries: &[&Entry], now: UnixMillis) -> Vec<String> {
    let head = ["BUILD", "NAME", "VERSION", "ORGANIZATION", "AGENTS", "UNTIL"].map(str::to_owned);
    let or_any = |text: Option<&str>| text.map_or_else(|| "any".to_owned(), clean);
    let row = |entry: &&Entry| {
        let until = match entry.not_after {
            None => "ever".to_owned(),
            Some(end) if end < now => format!("{end} (over)"),
            Some(end) => end.to_string(),
        };
        [
            hex::encode(&entry.build_hash[..8]),
            clean(entry.name.as_str()),
            clean(entry.version.as_str()),
            or_any(entry.organization.as_ref().map(Text::as_str)),
            or_any(entry.agents.as_ref().map(UriPattern::as_str)),
            until,
        ]
    };
    let rows: Vec<_> = std::iter::once(head).chain(entries.iter().map(row)).collect();
    words::columns(&rows)
}

/// The private key in a file.
fn signer(file: &Path) -> Result<Box<dyn Signer>, CliError> {
    let pem = Zeroizing::new(fs::read_to_string(file).context(format_args!("{} (--key)", file.display()))?);
    signer_from_pkcs8_pem(&pem, Arc::new(SystemRandom::new())).context(format_args!("{} (--key)", file.display()))
}

/// The public key: the text itself, or what a file of that name has; of a private key its public half.
fn public_key(text: &str) -> Result<PublicKey, CliError> {
    // The names of some files are base64; keys are the names of none.
    if !Path::new(text).exists()
        && let Ok(der) = STANDARD.decode(text)
    {
        return PublicKey::from_spki_der(&der).context("--key: it is no file, and as base64 of a public key");
    }
    let place = format!("{text} (--key)");
    let pem = Zeroizing::new(fs::read_to_string(text).context(&place)?);
    for block in pem_blocks(&pem) {
        match pem::decode_vec(block.as_bytes()).context(&place)? {
            ("PUBLIC KEY", der) => return PublicKey::from_spki_der(&der).context(&place),
            ("PRIVATE KEY", _) => return Ok(signer(Path::new(text))?.public_key().clone()),
            _ => {}
        }
    }
    Err(CliError::new(format!("{place}: there is no PEM block PUBLIC KEY in it")))
}

/// Puts the text in the file's place in one step; who may read it stays as it was.
fn replace(file: &Path, text: &str) -> Result<(), CliError> {
    // A name that leads elsewhere goes on leading there.
    let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let mode = fs::metadata(&file).map_or(0o644, |metadata| metadata.permissions().mode() & 0o777);
    Staged::write(&file, mode, text)?.commit()
}

#[cfg(test)]
#[path = "registry/tests.rs"]
mod tests;
