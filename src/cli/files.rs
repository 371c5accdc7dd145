//! Files as commands read and write them.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
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

/// A directory of our own, taken back with what is in it unless it is kept.
pub struct Directory {
    path: PathBuf,
    made: Vec<PathBuf>,
}

impl Directory {
    /// The directory at `path`: a new one, or one that is there and empty.
    pub fn claim(path: &Path) -> Result<Self, CliError> {
        let mut directory = Self { path: path.to_owned(), made: Vec::new() };
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent).context(parent.display())?;
        }
        match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => directory.made.push(path.to_owned()),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                if fs::read_dir(path).context(path.display())?.next().is_some() {
                    let taken = format!("{} exists and is not empty; choose another --dir", path.display());
                    return Err(CliError::new(taken));
                }
                fs::set_permissions(path, Permissions::from_mode(0o700)).context(path.display())?;
            }
            Err(e) => return Err(e).context(path.display()),
        }
        Ok(directory)
    }

    /// Makes a directory in it, for its owner alone.
    pub fn create(&mut self, name: &str) -> Result<(), CliError> {
        let path = self.path.join(name);
        DirBuilder::new().mode(0o700).create(&path).context(path.display())?;
        self.made.push(path);
        Ok(())
    }

    /// Writes a new file in it.
    pub fn write(&mut self, name: &str, mode: u32, text: &str) -> Result<(), CliError> {
        self.octets(name, mode, text.as_bytes())
    }

    /// The same of any octets.
    pub fn octets(&mut self, name: &str, mode: u32, octets: &[u8]) -> Result<(), CliError> {
        let path = self.path.join(name);
        // Noted first: what was written by half goes away too.
        let existed = path.exists();
        let written = write_octets(&path, mode, octets);
        if !existed {
            self.made.push(path);
        }
        written
    }

    /// All of it stays.
    pub fn keep(mut self) {
        self.made.clear();
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        for path in self.made.iter().rev() {
            // Best effort: the error that brought us here is what the operator must see.
            let _ = if path.is_dir() { fs::remove_dir(path) } else { fs::remove_file(path) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_kept_goes_away() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("deep/ca");
        let mut directory = Directory::claim(&path).unwrap();
        directory.create("root").unwrap();
        directory.write("root/key", 0o600, "secret").unwrap();
        assert!(directory.write("root/key", 0o600, "other").is_err());
        assert_eq!(fs::read_to_string(path.join("root/key")).unwrap(), "secret");
        assert!(Directory::claim(&path).is_err());
        drop(directory);
        assert!(!path.exists() && home.path().join("deep").exists());
    }
}
