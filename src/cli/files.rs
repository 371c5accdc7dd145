//! Files as commands read and write them.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::output::{CliError, Context};

/// Writes a file that must not exist yet, with these permissions from the start, to the disk.
pub fn write_new(path: &Path, mode: u32, text: &str) -> Result<(), CliError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let mut file = file.context(path.display())?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).context(path.display())
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
