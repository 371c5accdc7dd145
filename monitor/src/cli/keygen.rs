//! `atl-monitor keygen`: the keys that a monitor signs with.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use atl::keys::{Ed25519Signer, PublicKey, Signer};
use atl::log::cosignature::WitnessKey;
use atl::log::note::{KeyName, VerifierKey};
use clap::Args;

use super::output::CliError;

/// Octets of a key file that are read; it has some 120.
const MAX_FILE: u64 = 16 << 10;

const EXAMPLES: &str = "\
To make both:           atl-monitor keygen monitor-key.pem --name monitor.example
                        atl-monitor keygen witness-key.pem --name monitor.example --witness
To print it once more:  atl-monitor keygen --show monitor-key.pem --name monitor.example";

/// Make a key for the monitor or its witness, and print the verifier key that others know it by.
///
/// A monitor signs audit statements and evidence with one key (`key_file` of its configuration), and as a witness
/// cosignatures with another (`key_file` of its table `[witness]`). Both have the monitor's name. The file is PEM
/// PKCS#8, for its owner alone, and never written over. The verifier key is no secret: give it to those who read what
/// the monitor signs.
#[derive(Args)]
#[command(after_long_help = EXAMPLES)]
pub struct KeygenArgs {
    /// The file of the key.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The monitor's name, as in its configuration.
    #[arg(long, value_name = "NAME")]
    name: KeyName,

    /// The key is for cosignatures (signature type 0x04) instead of audit statements and evidence (0x01).
    #[arg(long)]
    witness: bool,

    /// Make no key, but print the verifier key of the one in the file.
    #[arg(long)]
    show: bool,
}

/// Runs the command.
pub fn run(args: &KeygenArgs) -> Result<(), CliError> {
    let signer = if args.show { read_key(&args.file)? } else { make_key(&args.file)? };
    println!("{}", verifier_key(signer.public_key(), &args.name, args.witness)?);
    Ok(())
}

fn verifier_key(key: &PublicKey, name: &KeyName, witness: bool) -> Result<String, CliError> {
    let vkey = match witness {
        true => WitnessKey::new(name.clone(), key.clone()).map(|key| key.to_string()),
        false => VerifierKey::new(name.clone(), key.clone()).map(|key| key.to_string()),
    };
    vkey.map_err(|error| CliError::new(error.to_string()))
}

/// Makes a key and keeps it in the new file `path`.
fn make_key(path: &Path) -> Result<Ed25519Signer, CliError> {
    let mut seed = [0; 32];
    aws_lc_rs::rand::fill(&mut seed).map_err(|_| CliError::new("the system gives no randomness"))?;
    let no_key = |error: atl::keys::KeyError| CliError::new(error.to_string());
    let signer = Ed25519Signer::from_seed(&seed).map_err(no_key)?;
    let pem = signer.to_pkcs8_pem().map_err(no_key)?;
    let failed = |error: std::io::Error| {
        CliError::new(match error.kind() {
            ErrorKind::AlreadyExists => {
                format!("{}: it is there already, and no key is written over; name another file", path.display())
            }
            _ => format!("{}: {error}", path.display()),
        })
    };
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    if let Err(error) = write_synced(file, path, &pem) {
        // What is there is half a key, and stands in the way of the next try.
        let _ = std::fs::remove_file(path);
        return Err(failed(error));
    }
    Ok(signer)
}

fn write_synced(mut file: File, path: &Path, pem: &str) -> std::io::Result<()> {
    // Whatever the mask of the process has taken away.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(pem.as_bytes())?;
    file.sync_all()?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

/// Reads the Ed25519 key in the file `path`, which nobody but its owner may read.
///
/// # Errors
/// Where the file cannot be read, others may read it, or it holds no such key; the message names the file.
pub(crate) fn read_key(path: &Path) -> Result<Ed25519Signer, CliError> {
    use std::io::Read;
    let refuse = |why: String| CliError::new(format!("{}: {why}", path.display()));
    let file = File::open(path).map_err(|error| {
        let next = if error.kind() == ErrorKind::NotFound { "; make a key with `atl-monitor keygen`" } else { "" };
        refuse(format!("{error}{next}"))
    })?;
    let mode = file.metadata().map_err(|error| refuse(error.to_string()))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(refuse(format!("others may read or change this key (mode {:03o}); chmod it to 600", mode & 0o777)));
    }
    let mut pem = String::new();
    file.take(MAX_FILE).read_to_string(&mut pem).map_err(|error| refuse(error.to_string()))?;
    Ed25519Signer::from_pkcs8_pem(&pem)
        .map_err(|error| refuse(format!("{error}; what is wanted is an Ed25519 key, PEM PKCS#8")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(file: &Path, witness: bool, show: bool) -> KeygenArgs {
        KeygenArgs { file: file.to_owned(), name: "monitor.example".parse().unwrap(), witness, show }
    }

    #[test]
    fn a_key_is_made_once_for_its_owner_alone_and_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pem");
        let made = make_key(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read_key(&path).unwrap().public_key(), made.public_key());
        let before = std::fs::read(&path).unwrap();
        let again = run(&args(&path, false, false)).unwrap_err().to_string();
        assert!(again.contains("it is there already"), "{again}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
        run(&args(&path, true, true)).unwrap();
        let other = make_key(&dir.path().join("other.pem")).unwrap();
        assert_ne!(other.public_key(), made.public_key());
        let link = dir.path().join("link.pem");
        std::os::unix::fs::symlink(dir.path().join("nowhere"), &link).unwrap();
        assert!(make_key(&link).is_err());
        assert!(make_key(&dir.path().join("no/such/directory")).is_err());
    }

    #[test]
    fn what_is_no_key_of_ours_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pem");
        let error = || read_key(&path).unwrap_err().to_string();
        assert!(error().contains("make a key with `atl-monitor keygen`"), "{}", error());
        make_key(&path).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert!(error().contains("mode 640"), "{}", error());
        std::fs::write(&path, "no key").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert!(error().contains("Ed25519"), "{}", error());
    }

    #[test]
    fn verifier_keys_are_of_the_type_asked_for() {
        let signer = Ed25519Signer::from_seed(&[31; 32]).unwrap();
        let name: KeyName = "monitor.example".parse().unwrap();
        let vkey = |witness| verifier_key(signer.public_key(), &name, witness).unwrap();
        assert_eq!(vkey(false).parse::<VerifierKey>().unwrap().key(), signer.public_key());
        assert_eq!(vkey(true).parse::<WitnessKey>().unwrap().key(), signer.public_key());
        assert!(vkey(true).parse::<VerifierKey>().is_err() && vkey(false).parse::<WitnessKey>().is_err());
    }
}
