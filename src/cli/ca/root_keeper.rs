//! The root's lists, as `atl ca serve` takes them from their files: verified before anybody sees them, and within
//! seconds of every change.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use super::emergency::{ListFiles, SIGNER_FILE};
use crate::apki::Certificate;
use crate::ca::ports::KeptList;
use crate::ca::root_list::{RootList, issued_by};
use crate::ca::service::CaService;
use crate::cli::log::open::read_certificates;
use crate::cli::output::{CliError, Context};
use crate::config::CaConfig;
use crate::http::serve::stopped;
use crate::storage::ca::crl_file::CrlFile;
use crate::time::Clock;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// How a file looks from outside: another one has another look.
type Look = Option<(SystemTime, u64, u64)>;

/// Who looks after the root's lists.
pub struct RootKeeper {
    service: Arc<CaService>,
    root: Certificate,
    files: ListFiles,
    clock: Arc<dyn Clock>,
    /// The last list that was good, kept apart from its file and from the database: neither put back from an older
    /// copy takes a revocation back.
    kept: CrlFile,
    known: Option<RootList>,
    seen: [Look; 3],
    /// What the log was told last, so that it is told once.
    complaint: Option<String>,
}

impl RootKeeper {
    /// Takes up the list that was kept, and looks at the files for the first time: before anything is issued.
    ///
    /// # Errors
    /// Where what was kept is damaged.
    pub fn start(
        service: Arc<CaService>,
        root: Certificate,
        config: &CaConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, CliError> {
        let kept = CrlFile::of_root(&config.data_dir);
        let read = |der: Vec<u8>| RootList::remembered(&der).context(kept.path().display());
        let known = kept.load().map_err(|e| CliError::new(e.to_string()))?.map(read).transpose()?;
        if let Some(list) = &known {
            service.heed_root_crl(list);
            if list.check_current(clock.now()).is_ok() {
                service.set_root_crl(list);
            }
        }
        let files = ListFiles::beside(&config.status.root_crl_file);
        let mut keeper = Self { service, root, files, clock, kept, known, seen: [None; 3], complaint: None };
        keeper.look();
        Ok(keeper)
    }

    /// Looks until the service stops.
    pub async fn keep(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = stopped(&mut stop) => return,
            }
            let looked = tokio::task::spawn_blocking(move || {
                self.look();
                self
            });
            match looked.await {
                Ok(keeper) => self = keeper,
                Err(error) => return tracing::error!(%error, "nobody looks after the root's lists any more"),
            }
        }
    }

    /// Takes in what has changed. What is not good is tried again at the next look: a clock may come right.
    fn look(&mut self) {
        let seen = [&self.files.list, &self.files.signer, &self.files.anchor].map(|file| look_of(file));
        let holds = self.known.as_ref().is_none_or(|list| list.check_current(self.clock.now()).is_ok());
        if seen == self.seen && holds && self.complaint.is_none() {
            return;
        }
        self.seen = seen;
        let complaint = self.take().err().map(|error| error.to_string());
        if self.complaint != complaint
            && let Some(why) = &complaint
        {
            tracing::error!(%why, "the root's list is not published; the last good one stays");
        }
        self.complaint = complaint;
    }

    fn take(&mut self) -> Result<(), CliError> {
        let [list, signer, _] = self.seen;
        let at = self.files.list.display();
        match (list, signer) {
            (None, None) if self.known.is_none() => return Ok(()),
            (None, _) => return Err(CliError::new(format!("{at} is gone: put it back"))),
            (Some(_), None) => {
                let why = format!("{at}: the certificate of its signer, {SIGNER_FILE}, is not beside it");
                return Err(CliError::new(why));
            }
            _ => {}
        }
        let Some(read) = self.files.read(&self.root)? else { return Ok(()) };
        // Even where it is out of date: whoever is revoked by what the signer signed stays so.
        self.service.heed_root_crl(&read.list);
        if let Some(known) = &self.known {
            read.list.check_follows(known).context(&at)?;
        }
        self.take_anchor(read.signer.certificate())?;
        let now = self.clock.now();
        read.list.check_current(now).context(&at)?;
        read.signer.check_current(now).context(self.files.signer.display())?;
        if self.known.as_ref().is_none_or(|known| known.number() < read.list.number()) {
            let (number, entries) = (read.list.number(), read.list.crl().entries().len());
            tracing::info!(number, entries, "the root's list is published");
        }
        self.service.set_root_crl(&read.list);
        let kept = self.kept.keep(read.list.crl().der());
        self.known = Some(read.list);
        kept.map_err(|e| CliError::new(format!("{e}; the list is published, but a restart may forget it")))?;
        Ok(())
    }

    fn take_anchor(&self, signer: &Certificate) -> Result<(), CliError> {
        let at = self.files.anchor.display();
        let Some(list) = self.files.read_anchor(&self.root)? else {
            return Err(CliError::new(format!("{at} is missing: without it OpenSSL believes no list of the signer's")));
        };
        list.check_current(self.clock.now()).context(&at)?;
        if list.find(signer.serial()).is_some() {
            return Err(CliError::new(format!("{at} says that the signer beside it is not to be believed any more")));
        }
        self.service.set_anchor_crl(list.der());
        Ok(())
    }
}

fn look_of(file: &Path) -> Look {
    let found = std::fs::metadata(file).ok()?;
    Some((found.modified().ok()?, found.len(), found.ino()))
}

/// The intermediates that a renewal left beside the present one, `intermediate-<serial>.pem`: of the same root.
pub fn former_issuers(present: &Path, root: &Certificate) -> Vec<Certificate> {
    let text = |part: Option<&std::ffi::OsStr>| part.map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
    let (stem, extension) = (text(present.file_stem()), text(present.extension()));
    let dir = present.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(found) = std::fs::read_dir(dir) else { return Vec::new() };
    let former = |file: &Path| {
        let name = text(file.file_stem());
        let serial = name.strip_prefix(&stem).and_then(|rest| rest.strip_prefix('-'));
        text(file.extension()) == extension && serial.is_some_and(|s| s.len() == 8 && hex::decode(s).is_ok())
    };
    let files = found.flatten().map(|entry| entry.path()).filter(|file| former(file));
    let certificates = files.filter_map(|file| read_certificates(&file).ok()).flatten();
    certificates.filter(|certificate| issued_by(certificate, root) == Ok(true)).collect()
}
