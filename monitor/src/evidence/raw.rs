//! What somebody may want to open, or check with other tools, as files of their own. All of it is in the manifest as
//! well, and part of the format: a file more or another spelling would be another version.

use std::collections::BTreeMap;

use atl::log::note::{Note, VerifierKey};
use atl::log::sat::SignedAgentTimestamp;
use atl::log::sth::TreeHead;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::case::{Case, CaseError, ReceiptKept};
use crate::head::RawHead;
use crate::watched::WatchedLog;

/// All of them, by name.
pub(super) fn files(case: &Case) -> Result<BTreeMap<String, Vec<u8>>, CaseError> {
    let logs = case.open_logs()?;
    let mut files = BTreeMap::new();
    for (n, log) in (1..).zip(&logs) {
        files.insert(format!("log-{n}.pem"), pem(log.key.key().spki_der()));
    }
    for (n, shown) in (1..).zip(&case.heads) {
        head(&mut files, "", n, &shown.head, logs.first());
    }
    for (n, included) in (1..).zip(&case.certificates) {
        files.insert(format!("certificate-{n}.der"), included.certificate.0.clone());
        let log = logs.iter().find(|log| log.origin.as_str() == included.log);
        head(&mut files, "certificate-", n, &included.head, log);
    }
    for (n, issuer) in (1..).zip(&case.issuers) {
        files.insert(format!("issuer-{n}.der"), issuer.0.clone());
    }
    for (n, der) in (1..).zip(&case.sats) {
        files.insert(format!("sat-{n}.der"), der.0.clone());
        if let Ok(sat) = SignedAgentTimestamp::from_der(der.as_slice()) {
            let signed = SignedAgentTimestamp::to_be_signed(sat.log_id, sat.timestamp, sat.cert_hash);
            signed_pair(&mut files, &format!("sat-{n}"), signed, sat.signature);
        }
    }
    for (n, receipt) in (1..).zip(&case.receipts) {
        files.insert(format!("receipt-{n}.txt"), in_words(receipt));
    }
    Ok(files)
}

/// A head as it was served, and what of it is signed beside its signature.
fn head(files: &mut BTreeMap<String, Vec<u8>>, of: &str, n: usize, head: &RawHead, log: Option<&WatchedLog>) {
    match head {
        RawHead::Sth(sth) => {
            // A tree head can be written as JSON whatever it says.
            let mut json = serde_json::to_vec_pretty(sth).unwrap_or_default();
            json.push(b'\n');
            files.insert(format!("{of}head-{n}.json"), json);
            let stated = TreeHead { size: sth.tree_size, timestamp: sth.timestamp, root: sth.root_hash };
            signed_pair(files, &format!("{of}head-{n}"), stated.to_be_signed(), sth.signature.0.clone());
        }
        RawHead::Checkpoint(text) => {
            files.insert(format!("{of}checkpoint-{n}.txt"), text.as_bytes().to_vec());
            let signature = |key: &VerifierKey| {
                let note = Note::parse(text.as_bytes()).ok()?;
                let line = note.lines_of(key).next()?.signature.clone();
                Some((note.text().as_bytes().to_vec(), line))
            };
            if let Some((signed, signature)) = log.and_then(|log| signature(&log.key)) {
                signed_pair(files, &format!("{of}checkpoint-{n}"), signed, signature);
            }
        }
    }
}

fn signed_pair(files: &mut BTreeMap<String, Vec<u8>>, stem: &str, signed: Vec<u8>, signature: Vec<u8>) {
    files.insert(format!("{stem}.signed"), signed);
    files.insert(format!("{stem}.signature"), signature);
}

fn pem(spki: &[u8]) -> Vec<u8> {
    let text = STANDARD.encode(spki);
    let lines: Vec<_> = text.as_bytes().chunks(64).collect();
    [b"-----BEGIN PUBLIC KEY-----\n", lines.join(&b"\n"[..]).as_slice(), b"\n-----END PUBLIC KEY-----\n"].concat()
}

fn in_words(receipt: &ReceiptKept) -> Vec<u8> {
    let ReceiptKept { asked, status, body, omitted } = receipt;
    let status = match status {
        0 => "no answer".to_owned(),
        status => format!("HTTP status {status}"),
    };
    let omitted = match omitted {
        0 => String::new(),
        omitted => format!("{omitted} octets of the body are left out\n"),
    };
    [format!("{asked}\n{status}\n{omitted}\n").as_bytes(), body.as_slice()].concat()
}
