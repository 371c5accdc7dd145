//! The demo's directory: a CA, and two logs that accept it.

use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use clap::Parser;

use crate::cli::files::write_new;
use crate::cli::log::init::{self, InitArgs};
use crate::cli::log::open::OpenedLog;
use crate::cli::output::{CliError, Context};
use crate::cli::pki::{Authority, AuthorityFiles, DemoPki, KeyKind};
use crate::cli::random;
use crate::time::{Clock, SystemClock};

/// The demo takes what a developer's disk has left.
const LOW_WATERMARK_OCTETS: u64 = 64 << 20;

/// Where everything is. A directory that nobody named is removed at the end.
pub struct Home {
    path: PathBuf,
    temporary: bool,
}

impl Home {
    /// The directory named, or a new one.
    pub fn at(named: Option<&Path>) -> Result<Self, CliError> {
        let temporary = named.is_none();
        let path = match named {
            Some(path) => path.to_owned(),
            None => std::env::temp_dir().join(format!("atl-dev-{}", random_name()?)),
        };
        // There are private keys in it.
        let made = DirBuilder::new().recursive(!temporary).mode(0o700).create(&path);
        made.context(path.display())?;
        let path = path.canonicalize().context(path.display())?;
        Ok(Self { path, temporary })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.temporary
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            eprintln!("atl: {} is left behind: {error}", self.path.display());
        }
    }
}

/// The demo's CA, and where the root that logs accept is.
pub struct Pki {
    /// Issues to agents.
    pub org: Authority,
    /// The file of the anchor.
    pub root_file: PathBuf,
}

impl Pki {
    /// The CA kept in `home`, or a new one.
    pub fn at(home: &Path) -> Result<Self, CliError> {
        let dir = home.join("ca");
        let (root_file, org_file, key_file) =
            (dir.join("root-ca.pem"), dir.join("org-ca.pem"), dir.join("org-ca-key.pem"));
        if !dir.exists() {
            let pki = DemoPki::new(KeyKind::P256, SystemClock.now()).context("the demo CA")?;
            fs::create_dir_all(&dir).context(dir.display())?;
            write_new(&dir.join("root-ca-key.pem"), 0o600, &pki.root.key_pem)?;
            write_new(&root_file, 0o644, &pki.root.certificate_pem)?;
            write_new(&key_file, 0o600, &pki.org.key_pem)?;
            write_new(&org_file, 0o644, &pki.org.certificate_pem)?;
        }
        let read = |file: &Path| fs::read_to_string(file).context(file.display());
        let files = AuthorityFiles { certificate_pem: read(&org_file)?, key_pem: read(&key_file)? };
        Ok(Self { org: files.open().context(org_file.display())?, root_file })
    }
}

/// The log of this name in `home`, made as `atl log init` makes it unless it is there.
pub fn open_log(home: &Path, name: &str, pki: &Pki, sth_interval_seconds: u32) -> Result<OpenedLog, CliError> {
    let dir = home.join(format!("log-{}", name.to_lowercase()));
    let config = dir.join("log.toml");
    if !config.exists() {
        make_log(&dir, name, pki)?;
    }
    let mut opened = OpenedLog::read(&config)?;
    opened.config.sth_interval_seconds = sth_interval_seconds;
    opened.config.disk_low_watermark_bytes = LOW_WATERMARK_OCTETS;
    Ok(opened)
}

fn make_log(dir: &Path, name: &str, pki: &Pki) -> Result<(), CliError> {
    #[derive(Parser)]
    struct Init {
        #[command(flatten)]
        args: InitArgs,
    }
    let text = |text: String| OsString::from(text);
    let command: [OsString; 9] = [
        text("init".into()),
        text("--dir".into()),
        dir.into(),
        text("--origin".into()),
        text(format!("log-{}.dev.example/1", name.to_lowercase())),
        text("--operator".into()),
        text(format!("Demo operator {name}")),
        text("--anchor".into()),
        pki.root_file.clone().into(),
    ];
    let init = Init::try_parse_from(command).context("the demo log")?;
    init::make(&init.args).map(drop)
}

/// Eight hex digits that nobody has used before.
pub fn random_name() -> Result<String, CliError> {
    Ok(hex::encode(random::<4>()?))
}
