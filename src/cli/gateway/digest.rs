//! Whether files are the same as before: by what is in them, since neither times nor sizes tell.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::cli::output::{CliError, Context};

/// Most files below a directory that is looked at.
const MAX_FILES: usize = 10_000;
/// How far below it.
const MAX_DEPTH: usize = 4;

/// SHA-256 over the names and the contents of these files, and of those below these directories. A file that is not
/// there counts as such.
pub fn digest<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Result<[u8; 32], CliError> {
    let mut hash = Sha256::new();
    let mut files = Vec::new();
    for path in paths {
        collect(path, 0, &mut files)?;
    }
    for file in files {
        let name = file.as_os_str().as_encoded_bytes();
        hash.update((name.len() as u64).to_be_bytes());
        hash.update(name);
        match fs::read(&file) {
            Ok(octets) => {
                hash.update((octets.len() as u64).to_be_bytes());
                hash.update(&octets);
            }
            Err(error) if error.kind() == ErrorKind::NotFound => hash.update(u64::MAX.to_be_bytes()),
            Err(error) => return Err(error).context(file.display()),
        }
    }
    Ok(hash.finalize().into())
}

fn collect(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), CliError> {
    if !path.is_dir() {
        files.push(path.to_owned());
    } else if depth < MAX_DEPTH {
        let entries = fs::read_dir(path).context(path.display())?;
        let names = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>();
        let mut names = names.context(path.display())?;
        names.sort_unstable();
        names.iter().try_for_each(|name| collect(name, depth + 1, files))?;
    }
    match files.len() {
        0..=MAX_FILES => Ok(()),
        _ => Err(CliError::new(format!("{}: there are more than {MAX_FILES} files below it", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_is_seen() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        let (file, dir) = (path("file"), path("dir"));
        fs::create_dir_all(dir.join("below")).unwrap();
        let now = || digest([file.as_path(), dir.as_path()]).unwrap();
        let mut seen = vec![now()];
        let mut changed = || {
            let now = now();
            let new = !seen.contains(&now);
            seen.push(now);
            new
        };
        fs::write(&file, "a").unwrap();
        assert!(changed());
        fs::write(&file, "b").unwrap();
        assert!(changed());
        fs::write(dir.join("below/x"), "").unwrap();
        assert!(changed());
        fs::rename(dir.join("below/x"), dir.join("below/y")).unwrap();
        assert!(changed());
        assert!(!changed());
        fs::remove_file(&file).unwrap();
        assert!(changed());
    }
}
