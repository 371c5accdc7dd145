//! Every agent URI, with the cause of each refusal.

use atl::apki::AgentUri;

use crate::vectors::{json, rows, text};

#[test]
fn every_uri_row() {
    let file = json("uri.json");
    let (mut good, mut bad) = (0, 0);
    for row in rows(&file, "cases") {
        let input = text(row, "uri");
        match AgentUri::parse(input) {
            Ok(uri) => {
                assert_eq!(row["ok"], true, "{input}");
                let parts = [uri.trust_domain(), uri.org(), uri.agent_type(), uri.instance()];
                assert_eq!(parts, ["trust_domain", "org", "type", "instance"].map(|part| text(row, part)), "{input}");
                assert_eq!(uri.to_string(), input);
                good += 1;
            }
            Err(error) => {
                assert_eq!(row["ok"], false, "{input}: {error}");
                assert_eq!(error.code(), text(row, "reason"), "{input}");
                bad += 1;
            }
        }
    }
    assert_eq!((good, bad), (23, 87));
}
