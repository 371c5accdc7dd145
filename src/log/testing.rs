//! What others made, for the unit tests of this floor: keys, a proof file and an audit statement that an
//! independent implementation signed (Python's `cryptography`, and the tree as RFC 9162 section 2.1.1 words
//! it), and a change of a line.

use crate::merkle::{Edge, Hash, InclusionPlan, LeafIndex, TreeSize, integrate};

/// The log of the checkpoint in [`PROOF`]; its key is that of the vectors.
pub(super) const LOG: &str = "atl.example.com/2026h2+620b1acd+AQ86+dH9mylyjhgnG1hRB+SGE/v/eAKGLHM0QU3+Pj85";

/// The leaves of that log.
pub(super) const SIZE: u64 = 7;

/// The certificate hash at index 4, the one that [`PROOF`] is about: SHA-256 of `certificate 4`.
pub(super) const CERT_HASH: &str = "6642d2b2b34f96e92bfad7266cddfaf386285ef7044692847da5c4d16bed3141";

/// Who cosigned the checkpoint. Their seeds are 32 octets of 21, 22 and 23.
pub(super) const WITNESSES: [&str; 3] = [
    "witness1.example/w+dfdd4054+BNVCB9oZSXfc9Grb/sK8LnW1LVqKQhhP7f3AACTw4+ja",
    "witness2.example/w+a4ab5598+BFEcNKGiy1Id8WuyRrjejnmXziNcfnayKj11A6JIGd2K",
    "witness3.example/w+12d29931+BDHevlXTfHInaLE3ExyqYIcICy4LYLlL14XRRXXPpJi8",
];

/// When they did, in seconds.
pub(super) const WITNESSED_AT: [u64; 3] = [1_775_822_400, 1_775_822_460, 1_775_818_800];

/// A proof file with extra octets and a witnessed checkpoint.
pub(super) const PROOF: &str = "\
c2sp.org/tlog-proof@v1\n\
extra YXRs\n\
index 4\n\
tIa0TSSMnkqB4axr80xKzqS2N+W6YD/UVOlSY/Zlxsg=\n\
qHQFIHmQcgOhKu2DJOhrDA4FV62MARd1skEiTNQBa4U=\n\
5jZexH4Se+b2uFjNEOkmHi4a236zGtsJMfG7d4a/2v0=\n\
\n\
atl.example.com/2026h2\n\
7\n\
2cyUlx8w44XkjRG/K8h0JkROoOqmk9RStusXSniZRsw=\n\
\n\
\u{2014} atl.example.com/2026h2 YgsazUwYJnsF/GzCWOenHAzx14bsSyqKs9dBj/jESi2aZ3tW2gqt4/DxzuDqw7ZSB1CBMVb4lTFmeZvtd0PZKudtXQg=\n\
\u{2014} witness1.example/w 391AVAAAAABp2OZAsu8aC0lWHiBFcD6WTseKJpF3NK7+VhHhlMH0VTKpZ+cucYZAwNxWt2f4pPi2XfiswyBnklQr+hfwgRjDegsXAA==\n\
\u{2014} witness2.example/w pKtVmAAAAABp2OZ818Wf256PJ2oUEQXiwvZfxc6Xg8j5V5x6x4AoEvLSLGMMyNC2FDt9BGO0fq9BKPKTgLfQ+VgkxPsf5jlbJdKDBg==\n\
\u{2014} witness3.example/w EtKZMQAAAABp2NgwdCrCjFMJExa17Ri/+v2DsWYUoAPAxkbJCMlX9H2RsxWvE1x4TIb4I+KM1YtjVQDf6dB9j2R0MKHi/GunWGrqCQ==\n\
";

/// The monitor that signed [`AUDIT`]. Its seed is 32 octets of 31.
pub(super) const MONITOR: &str = "monitor.example/1+d92cb27b+AUMEa/5AkrPpSZTq2hXcwg2Kqge2WP05VOuODvuL3KXe";

/// An audit statement about the same checkpoint.
pub(super) const AUDIT: &str = "\
atl-audit/v1\n\
atl.example.com/2026h2\n\
cb15fd2673798684942909404bf3b5f7ad7ad0519e69738c0c3537e0bf2fc047\n\
7\n\
2cyUlx8w44XkjRG/K8h0JkROoOqmk9RStusXSniZRsw=\n\
1775822400007\n\
consistent\n\
\n\
\u{2014} monitor.example/1 2Syyex3rLBQWQt/CBu9qzK5wEsz+rodGBYw/aJ4WKLIVCDiVgmFosSc7M79Nn8mSYRmTJeyp/9LQ7A36z2VHqi4pdwg=\n\
";

/// `text` with another line in the place of line `number`, counted from 1; `line` ends with its newline.
pub(super) fn change_line(text: &str, number: usize, line: &str) -> String {
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    [&lines[..number - 1], &[line], &lines[number..]].concat().concat()
}

/// The root over these leaf hashes, and the proof that the one at `index` is there. A tile holds them all.
pub(super) fn tree(leaves: &[Hash], index: u64) -> (Hash, Vec<Hash>) {
    let grown = integrate(&Edge::empty(), leaves).unwrap();
    let plan = InclusionPlan::new(LeafIndex::new(index), TreeSize::new(leaves.len() as u64)).unwrap();
    let tiles: Vec<_> =
        grown.tiles.into_iter().filter(|(id, _)| plan.tiles().contains(id)).map(|(_, tile)| tile).collect();
    (grown.edge.root(), plan.prove(&tiles).unwrap())
}
