use super::*;
use crate::apki::federation::bundle::tests::root;
use crate::apki::testing::{Draft, empty_crl, key};
use crate::cli::files::write_new;
use crate::keys::Signer as _;
use crate::time::UnixMillis;

const NOW: UnixMillis = UnixMillis::new(1_775_822_400_000);

/// A directory with `root.pem`, and a policy in it.
struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        let home = Self { dir: tempfile::tempdir().unwrap() };
        home.pem("root.pem", &root(1));
        home
    }

    fn pem(&self, name: &str, certificate: &Certificate) {
        let pem = der::pem::encode_string("CERTIFICATE", der::pem::LineEnding::LF, certificate.der()).unwrap();
        self.write(name, &pem);
    }

    fn write(&self, name: &str, text: &str) {
        write_new(&self.dir.path().join(name), 0o644, text).unwrap();
    }

    /// The policy with `more` behind it.
    fn load(&self, more: &str) -> Result<Material, String> {
        self.of(&format!("[[domains]]\nname = \"example.com\"\nroots = \"root.pem\"\n{}{more}", log(11)))
    }

    fn of(&self, rest: &str) -> Result<Material, String> {
        let file = self.dir.path().join("relying-party.toml");
        let head = "[policy]\nminimum_tier = \"standard\"\nrevocation = { mode = \"require\" }\n";
        let config = RelyingConfig::parse(&format!("{head}{rest}"), self.dir.path(), "x").unwrap();
        Material::load(&config, &file).map_err(|e| e.to_string())
    }
}

fn log(seed: u8) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let key = STANDARD.encode(key(seed).public_key().spki_der());
    format!("[[logs]]\nkey = \"{key}\"\noperator = \"Log {seed}\"\nurl = \"https://log{seed}.example\"\n")
}

/// A list of `Root`, signed by its key or another.
fn list(seed: u8) -> Vec<u8> {
    empty_crl(&long_root(), seed, NOW)
}

fn long_root() -> Certificate {
    Draft::ca("Root", "Root", &key(1), None).certificate(&key(1))
}

#[test]
fn what_is_named_is_loaded() {
    let home = Home::new();
    home.pem("signer.pem", &long_root());
    fs::write(home.dir.path().join("root.crl"), list(1)).unwrap();
    let pem = der::pem::encode_string("X509 CRL", der::pem::LineEnding::LF, &list(1)).unwrap();
    home.write("root.crl.pem", &pem);
    for file in ["root.crl", "root.crl.pem"] {
        let lists = format!(
            "[[revocation_lists]]\nfile = \"{file}\"\nsigner = \"signer.pem\"\n\
             [[revocation_lists]]\nurl = \"http://ca.example/crl\"\nsigner = \"signer.pem\"\n"
        );
        let material = home.load(&lists).unwrap();
        assert_eq!((material.lists.len(), material.remote_lists.len(), material.list_signers.len()), (1, 1, 2));
        assert_eq!(material.sources[0].url, "https://log11.example");
        assert!(material.party.domains.get("example.com").is_some() && material.notes.is_empty());
        assert_eq!(material.party.policy.revocation.mode, RevocationMode::HardFail);
    }
    // A directory in which nobody is pinned says so.
    let noted = home.load("[federation]\ndir = \"pins\"\n").unwrap().notes;
    assert!(noted[0].contains("no domain is pinned in") && noted[0].contains("pins"), "{noted:?}");
}

#[test]
fn pinned_domains_are_taken_by_their_bundles() {
    use crate::cli::federation::state::tests::{fetched, pin, publisher};
    let home = Home::new();
    let state = State::at(&home.dir.path().join("pins"));
    state.add(&pin(Some(fetched(&publisher("bank.example.com", 9), NOW)))).unwrap();
    let pins = "[federation]\ndir = \"pins\"\n";
    let material = home.load(pins).unwrap();
    let (_, bank) = material.party.domains.get("bank.example.com").unwrap();
    assert!(bank.trusted.bundle().is_some() && material.notes.is_empty());
    let both = format!("{}[[domains]]\nname = \"bank.example.com\"\nroots = \"root.pem\"\n{pins}", log(11));
    assert!(home.of(&both).unwrap_err().contains("drop one"));
    state.remove(&pin(None).domain).unwrap();
    state.add(&pin(None)).unwrap();
    let material = home.load(pins).unwrap();
    assert!(material.party.domains.get("bank.example.com").is_none());
    assert!(material.notes[0].contains("never fetched"), "{:?}", material.notes);
}

#[test]
fn complaints_name_the_key_and_the_file() {
    let home = Home::new();
    home.write("empty.pem", "nothing\n");
    home.write("bundle.json", "{}");
    home.write("no.crl", "nothing\n");
    home.pem("leaf.pem", &Draft::leaf("Root").certificate(&key(1)));
    home.pem("signer.pem", &long_root());
    fs::write(home.dir.path().join("forged.crl"), list(2)).unwrap();
    let domain = |line: &str| format!("[[domains]]\nname = \"other.example\"\n{line}\n");
    let listed = |file: &str, signer: &str| format!("[[revocation_lists]]\nfile = \"{file}\"\nsigner = \"{signer}\"\n");
    let inclusion = "[policy.inclusion]\nmax_age_seconds = 60\nneeded = 1\nwitnesses";
    // A witness's key where a monitor's belongs, and the other way round.
    let witness = "witness1.example/w+dfdd4054+BNVCB9oZSXfc9Grb/sK8LnW1LVqKQhhP7f3AACTw4+ja";
    let monitor = "monitor.example/1+d92cb27b+AUMEa/5AkrPpSZTq2hXcwg2Kqge2WP05VOuODvuL3KXe";
    let cases = [
        (domain("roots = \"none.pem\""), "domains[1].roots", "none.pem"),
        (domain("roots = \"empty.pem\""), "domains[1].roots", "no PEM certificate"),
        (domain("roots = \"leaf.pem\""), "domains[1].roots", "may not issue"),
        (domain("bundle = \"bundle.json\""), "domains[1].bundle", "bundle.json"),
        (listed("none.crl", "signer.pem"), "revocation_lists[0].file", "none.crl"),
        (listed("no.crl", "signer.pem"), "revocation_lists[0].file", "neither DER nor PEM"),
        (listed("forged.crl", "signer.pem"), "revocation_lists[0].file", "forged.crl"),
        (listed("forged.crl", "leaf.pem"), "revocation_lists[0].file", "another issuer"),
        (listed("forged.crl", "empty.pem"), "revocation_lists[0].signer", "no PEM certificate"),
        (format!("{}origin = \"A\"\n", log(12)), "logs[1].origin", "origin"),
        (format!("[[monitors]]\nvkey = \"{witness}\"\n"), "monitors[0].vkey", "0x01"),
        (format!("{inclusion} = [\"{monitor}\"]\n"), "policy.inclusion.witnesses[0]", "0x04"),
        (format!("{inclusion} = [\"{witness}\", \"w\"]\n"), "policy.inclusion.witnesses[1]", "key"),
    ];
    for (more, key, why) in cases {
        let said = home.load(&more).unwrap_err();
        assert!(said.contains(&format!("relying-party.toml: `{key}`: ")) && said.contains(why), "{more}: {said}");
    }
    assert!(home.load(&format!("{inclusion} = [\"{witness}\"]\n")).is_ok());
    let peers = "[[domains]]\nname = \"example.com\"\nroots = \"root.pem\"\n";
    let text = format!(
        "[policy]\npeers = [\"agent://x/y\"]\nminimum_tier = \"standard\"\nrevocation.mode = \"off\"\n{peers}{}",
        log(11)
    );
    let config = RelyingConfig::parse(&text, home.dir.path(), "x").unwrap();
    let said = Material::load(&config, Path::new("p.toml")).unwrap_err().to_string();
    assert!(said.contains("p.toml: `policy.peers[0]`"), "{said}");
}
