//! Files as commands read and write them.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::output::{CliError, Context};
use super::random;

/// Writes a file that must not exist yet, with these permissions from the start, to the disk.
pub fn write_new(path: &Path, mode: u32, text: &str) -> Result<(), CliError> {
    write_octets(path, mode, text.as_bytes())
}

fn write_octets(path: &Path, mode: u32, octets: &[u8]) -> Result<(), CliError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let mut file = file.context(path.display())?;
    file.write_all(octets).and_then(|()| file.sync_all()).context(path.display())
}

/// A file that lies complete beside the one that it is to replace. Dropped, it goes away.
pub struct Staged {
    beside: PathBuf,
    path: PathBuf,
}

impl Staged {
    /// Writes it, with these permissions from the start, to the disk.
    pub fn write(path: &Path, mode: u32, text: &str) -> Result<Self, CliError> {
        Self::octets(path, mode, text.as_bytes())
    }

    /// The same of any octets.
    pub fn octets(path: &Path, mode: u32, octets: &[u8]) -> Result<Self, CliError> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".new-{}", hex::encode(random::<4>()?)));
        let staged = Self { beside: path.with_file_name(name), path: path.to_owned() };
        write_octets(&staged.beside, mode, octets)?;
        Ok(staged)
    }

    /// Takes the other's place in one step, also on the disk.
    pub fn commit(self) -> Result<(), CliError> {
        fs::rename(&self.beside, &self.path).context(self.path.display())?;
        let dir = self.path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(dir).and_then(|dir| dir.sync_all()).context(dir.display())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Gone already where it was committed.
        let _ = fs::remove_file(&self.beside);
    }
}

/// Gives a file a second name under which it stays when it is replaced. That it is kept there
/// already is fine, another file is not overwritten.
pub fn keep_copy(path: &Path, kept: &Path) -> Result<(), CliError> {
    if let Err(error) = fs::hard_link(path, kept) {
        let same = fs::read(path).is_ok_and(|octets| fs::read(kept).is_ok_and(|kept| kept == octets));
        return if same { Ok(()) } else { Err(error).context(kept.display()) };
    }
    Ok(())
}

/// The PEM blocks of a text, without what stands between them.
pub fn pem_blocks(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("-----BEGIN ").filter_map(move |(start, _)| {
        let rest = &text[start..];
        let end = rest.find("-----END ")?;
        let line = rest[end..].find('\n').map_or(rest.len(), |n| end + n + 1);
        Some(&rest[..line])
    })
}
