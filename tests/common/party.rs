//! Agents by their directories, that hand on and take back what they may do with the program's own commands.
#![allow(dead_code, reason = "each test program uses a part")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use atl::api::B64;
use atl::api::ca::{DelegateRequest, StandingAnswer};
use atl::apki::Certificate;
use atl::client::ClientError;
use rcgen::{CertificateParams, KeyPair};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::json;

use crate::ca_rig::{BUILD, CaRig, REGISTERED, text, uri};

/// What A may do beside the one capability that every agent of the rig has.
pub const MORE: [&str; 8] = [
    "--capability",
    "mcp://ledger/all write",
    "--capability",
    "mcp://mail send",
    "--capability",
    "mcp://files docs",
    "--human",
    "Ann",
];

/// An agent by its directory.
#[derive(Clone)]
pub struct Party {
    pub uri: String,
    pub dir: PathBuf,
}

impl Party {
    /// Its certificate in force.
    pub fn certificate(&self) -> Certificate {
        let der = CertificateDer::from_pem_file(self.dir.join("cert.pem")).unwrap();
        Certificate::parse(der.as_ref()).unwrap()
    }

    /// Its key and certificate in one text.
    pub fn identity(&self) -> String {
        ["key.pem", "cert.pem"].map(|name| fs::read_to_string(self.dir.join(name)).unwrap()).concat()
    }

    /// `atl agent delegate` to a child of this name, with these capabilities.
    pub fn delegate(&self, name: &str, capabilities: &[&str], more: &[&str]) -> (Party, Output) {
        let child = Party { uri: uri(name), dir: self.dir.with_file_name(name.replace('/', "-")) };
        let mut command = self.command("delegate");
        command.arg("--child-dir").arg(&child.dir).args(["--agent", &child.uri]).args(REGISTERED);
        command.args(capabilities.iter().flat_map(|capability| ["--capability", capability])).args(more);
        let output = command.output().unwrap();
        (child, output)
    }

    /// The same where it must succeed.
    #[track_caller]
    pub fn child(&self, name: &str, capabilities: &[&str], more: &[&str]) -> Party {
        let (child, output) = self.delegate(name, capabilities, more);
        assert!(output.status.success(), "{}", text(&output));
        child
    }

    /// `atl agent <word> --dir ...`
    pub fn command(&self, word: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_atl"));
        command.args(["agent", word, "--dir"]).arg(&self.dir).stdin(Stdio::null());
        command
    }

    /// The same with more words, run to its end.
    pub fn run(&self, word: &str, more: &[&str]) -> Output {
        self.command(word).args(more).output().unwrap()
    }

    /// What the CA says of it to itself.
    pub fn standing(&self, rig: &CaRig) -> Result<StandingAnswer, ClientError> {
        let client = rig.client(Some(&self.identity()));
        rig.ask(client.certificate_standing())
    }

    /// That the parent that this certificate names is `parent`'s.
    #[track_caller]
    pub fn is_below(&self, parent: &Certificate) {
        let certificate = self.certificate();
        let delegation = certificate.delegation().unwrap().unwrap();
        assert_eq!(delegation.parent_cert_hash, parent.fingerprint());
        assert!(certificate.not_after() <= parent.not_after());
    }
}

/// An agent of nobody, of a registered build, with all of [`MORE`].
pub fn root(rig: &CaRig, name: &str) -> Party {
    let agent = rig.agent(name, &[&MORE[..], &REGISTERED].concat());
    let output = agent.enrol();
    assert!(output.status.success(), "{}", text(&output));
    Party { uri: agent.uri, dir: agent.dir }
}

/// What a parent sends for a child of this name with these capabilities, each a tool and a scope; and the child's
/// key, PEM.
pub fn delegation(name: &str, capabilities: &[(&str, &str)]) -> (DelegateRequest, String) {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.subject_alt_names = vec![crate::pki::uri(&uri(name))];
    let key = KeyPair::generate().unwrap();
    let csr = B64(params.serialize_request(&key).unwrap().der().to_vec());
    let tools = capabilities.iter().map(|(tool, scope)| json!({"tool_uri": tool, "scope": scope}));
    let evidence = json!({
        "model_family": "claude", "model_version": "5", "framework": "mcp", "organization": "bank", "build_hash": BUILD,
    });
    let request = json!({"csr": csr, "evidence": evidence, "capabilities": tools.collect::<Vec<_>>()});
    (DelegateRequest::from_json(request.to_string().as_bytes()).unwrap(), key.serialize_pem())
}
