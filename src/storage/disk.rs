//! How much room the disk has left.

use std::io;
use std::path::Path;

/// Octets that this process may still write on the file system that holds `path`.
pub fn available(path: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_temporary_directory_and_not_a_missing_one() {
        assert!(available(&std::env::temp_dir()).unwrap() > 0);
        assert!(available(Path::new("/no/such/directory")).is_err());
    }
}
