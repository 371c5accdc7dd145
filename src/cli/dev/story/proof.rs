//! An inclusion proof, computed node by node where everybody can see it.

use super::row;
use crate::cli::output::CliError;
use crate::log::entry::CertHash;
use crate::log::sth::TreeHead;
use crate::merkle::{Hash, LeafIndex, node_hash, verify_inclusion};

/// Prints the way from a leaf to the root and checks that it ends at the signed one.
pub fn print_inclusion(hash: CertHash, leaf: LeafIndex, head: &TreeHead, proof: &[Hash]) -> Result<(), CliError> {
    println!("   The proof: {} hashes that lead from leaf {leaf} up to the root.", proof.len());
    row("leaf hash", format_args!("{}  SHA-256(00 | certHash)", short(&hash.leaf_hash())));
    let mut root = hash.leaf_hash();
    for (node, sibling, left) in way(&root, leaf, head.size.get(), proof) {
        let (side, formula) = if left { ("left", "sibling | node") } else { ("right", "node | sibling") };
        row(
            &format!("  and {side}"),
            format_args!("{}  gives {}  SHA-256(01 | {formula})", short(&sibling), short(&node)),
        );
        root = node;
    }
    row("computed", root);
    // What was printed is for people; what counts is the verifier that everybody uses.
    verify_inclusion(&hash.leaf_hash(), leaf, head.size, proof, &head.root)
        .map_err(|e| CliError::negative(format!("the proof does not hold: {e}")))?;
    if root != head.root {
        return Err(CliError::negative("the proof leads to another root"));
    }
    println!("   It is the root that the log signed.");
    Ok(())
}

/// Each node on the way up, the sibling it came from, and whether that one is the left.
fn way(leaf: &Hash, index: LeafIndex, size: u64, proof: &[Hash]) -> Vec<(Hash, Hash, bool)> {
    let (mut hash, mut node, mut last) = (*leaf, index.get(), size.saturating_sub(1));
    let mut steps = Vec::with_capacity(proof.len());
    for sibling in proof {
        // The last node of a row that has no partner rises alone until it has one.
        while node == last && node % 2 == 0 && node > 0 {
            (node, last) = (node / 2, last / 2);
        }
        let left = node % 2 == 1;
        hash = if left { node_hash(sibling, &hash) } else { node_hash(&hash, sibling) };
        steps.push((hash, *sibling, left));
        (node, last) = (node / 2, last / 2);
    }
    steps
}

fn short(hash: &Hash) -> String {
    hash.to_string().chars().take(16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::{Edge, InclusionPlan, TreeSize, integrate, leaf_hash};

    #[test]
    fn the_way_that_is_shown_is_the_way_that_is_verified() {
        let leaves: Vec<Hash> = (0..40_u8).map(|n| leaf_hash(&[n])).collect();
        for size in 1..=leaves.len() {
            let grown = integrate(&Edge::empty(), &leaves[..size]).unwrap();
            for (index, leaf) in leaves[..size].iter().enumerate() {
                let (at, of) = (LeafIndex::new(index as u64), TreeSize::new(size as u64));
                let plan = InclusionPlan::new(at, of).unwrap();
                let tile = |id| grown.tiles.iter().find(|(found, _)| found == id).unwrap().1.clone();
                let proof = plan.prove(&plan.tiles().iter().map(tile).collect::<Vec<_>>()).unwrap();
                let end = way(leaf, at, size as u64, &proof).last().map_or(*leaf, |(node, ..)| *node);
                assert_eq!(end, grown.edge.root(), "{index} of {size}");
            }
        }
    }
}
