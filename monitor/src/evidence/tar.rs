//! Evidence as one file: an uncompressed tar (POSIX.1-2001 pax, "ustar interchange format").

use super::files::Files;

const BLOCK: usize = 512;

/// The files below a directory named `id`, as a tar. The same files give the same octets: there are no times, owners
/// or modes of this machine in it. Names are at most 100 octets long, as those of [`Files`] are.
pub fn archive(id: &str, files: &Files) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, octets) in files.iter() {
        out.extend_from_slice(&header(id, name, octets.len()));
        out.extend_from_slice(octets);
        out.resize(out.len().next_multiple_of(BLOCK), 0);
    }
    // Two empty blocks end it.
    out.resize(out.len() + 2 * BLOCK, 0);
    out
}

fn header(prefix: &str, name: &str, size: usize) -> [u8; BLOCK] {
    let size = format!("{size:011o}");
    let fields: [(usize, &[u8]); 10] = [
        (0, name.as_bytes().get(..100).unwrap_or(name.as_bytes())),
        (100, b"0000644\0"),
        (108, b"0000000\0"), // uid
        (116, b"0000000\0"), // gid
        (124, size.as_bytes()),
        (136, b"00000000000\0"), // mtime
        (148, b"        "),      // the checksum counts as spaces while it is computed
        (156, b"0"),             // a plain file
        (257, b"ustar\x0000"),
        (345, prefix.as_bytes().get(..155).unwrap_or(prefix.as_bytes())),
    ];
    let mut block = [0; BLOCK];
    for (start, value) in fields {
        block.iter_mut().skip(start).zip(value).for_each(|(octet, value)| *octet = *value);
    }
    let sum: u32 = block.iter().copied().map(u32::from).sum();
    let sum = format!("{sum:06o}\0 ");
    block.iter_mut().skip(148).zip(sum.as_bytes()).for_each(|(octet, value)| *octet = *value);
    block
}
