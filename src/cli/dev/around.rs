//! What to try once the story is told.

use super::setup::{Home, TRUST_DOMAIN};
use super::story::Told;
use super::view::Log;

/// What keeps running.
pub struct Around<'a> {
    /// Where everything is.
    pub home: &'a Home,
    /// A log.
    pub log: &'a Log,
    /// The CA's base URL.
    pub ca: &'a str,
    /// The trust engine's base URL.
    pub engine: &'a str,
    /// Where revocation lists and OCSP are.
    pub status: &'a str,
}

/// Prints commands that work as they stand.
pub fn try_it(around: &Around<'_>, told: &Told) {
    for part in [certificates(around), ca(around), authority(around, told), trust(around, told), log(around, told)] {
        println!("\n{part}");
    }
    println!("\nCtrl-C stops all of it.");
}

fn shown(around: &Around<'_>, name: &str) -> String {
    around.home.join(name).display().to_string()
}

fn certificates(around: &Around<'_>) -> String {
    let (agents, root) = (shown(around, "agents"), shown(around, "ca/root.pem"));
    format!(
        "CA, logs and trust engine keep running. Look at an agent's certificate:
  atl agent show --dir {agents}/shopper
  openssl x509 -noout -text -in {agents}/shopper/cert.pem
  openssl verify -CAfile {root} -untrusted {agents}/shopper/cert.pem {agents}/shopper/cert.pem
  atl agent renew --watch --dir {agents}/shopper"
    )
}

fn ca(around: &Around<'_>) -> String {
    let (ca, dir, root) = (around.ca, shown(around, "ca"), shown(around, "ca/root.pem"));
    format!(
        "Ask the CA, and operate it:
  curl -s --cacert {root} {ca}/ca/v1/ca
  curl -s --cacert {root} {ca}/metrics
  atl ca token mint --dir {dir} --agents 'agent://{TRUST_DOMAIN}/demo/mine/1'
  ATL_ENROL_TOKEN=... atl agent enroll --ca {ca} --root {root} --dir mine --wait \\
    --agent agent://{TRUST_DOMAIN}/demo/mine/1 --capability 'https://tools.example tools/use'
  atl ca requests list --dir {dir}
  atl ca requests approve --dir {dir} ID
  atl ca audit export --dir {dir} > journal.jsonl && atl ca audit verify --file journal.jsonl"
    )
}

fn authority(around: &Around<'_>, told: &Told) -> String {
    let (dir, root) = (shown(around, "ca"), shown(around, "ca/root.pem"));
    let (shopper, issuer) = (shown(around, "agents/shopper"), shown(around, "ca/intermediate.pem"));
    let build = around.home.build_file().display().to_string();
    let (fallen, agent, status) = (&told.fallen, &told.fallen_agent, around.status);
    format!(
        "Hand authority on, ask what became of it, and take it back:
  atl agent delegate --dir {shopper} --child-dir {shopper}-reader \\
    --agent agent://{TRUST_DOMAIN}/demo/shopper/reader --capability 'https://shop.example/catalogue catalogue/read' \\
    --model-family demo-model --model-version 1 --framework demo-framework --organization demo --build {build}
  atl ca lineage --dir {dir} agent://{TRUST_DOMAIN}/demo/shopper/s-1
  atl ca lineage --dir {dir} {agent}
  openssl ocsp -CAfile {root} -issuer {issuer} -cert {shopper}/cert.pem -url {status}/ocsp
  openssl ocsp -CAfile {root} -issuer {issuer} -cert {fallen}/cert.pem -url {status}/ocsp
  curl -s {status}/crl | openssl crl -inform DER -noout -text
  atl ca revoke --dir {dir} --agent agent://{TRUST_DOMAIN}/demo/shopper/reader --reason privilegeWithdrawn"
    )
}

fn trust(around: &Around<'_>, told: &Told) -> String {
    let (dir, reporters) = (shown(around, "trust"), shown(around, "reporters"));
    let (engine, agent) = (around.engine, &told.fallen_agent);
    format!(
        "Ask the trust engine, and tell it something:
  atl trust agents --dir {dir}
  atl trust explain --dir {dir} {agent}
  atl trust report --engine {engine} --ca-file {dir}/tls.pem --key {reporters}/bank-key.pem \\
    --cert {reporters}/bank.pem --agent agent://{TRUST_DOMAIN}/demo/courier/c-1 --kind security-incident
  atl trust incidents list --dir {dir}
  atl trust incidents confirm --dir {dir} --token {dir}/operator-ca.token ID"
    )
}

fn log(around: &Around<'_>, told: &Told) -> String {
    let Log { name, url, .. } = around.log;
    let Told { proof_query: proof, tile_path: tile, .. } = told;
    let load = shown(around, "load");
    format!(
        "Look around in log {name}:
  curl -s {url}/atl/v1/get-sth
  curl -s {url}/checkpoint
  curl -s '{url}/atl/v1/get-proof-by-hash?{proof}'
  curl -s '{url}/atl/v1/get-entries?start=0&end=0'
  curl -s {url}/{tile} | xxd -c 32 -p
  curl -s {url}/openapi.json

Load it with certificates of a CA that is there for that only:
  atl log hammer --url {url} --ca-key {load}/org-ca-key.pem --ca-cert {load}/org-ca.pem --seconds 5"
    )
}
