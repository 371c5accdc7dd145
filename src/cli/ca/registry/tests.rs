use clap::Parser;

use super::*;
use crate::apki::attestation::AttestationMethod;
use crate::ca::application::Application;
use crate::ca::enrolment::{Entitlement, assess};
use crate::ca::request::Assessment;
use crate::ca::testing::{NOW, application, evidence, scope, secret};
use crate::ca::token::{Token, TokenUse};
use crate::cli::ca::policy::{policy, read_registry};
use crate::config::CaConfig;

const BOT: &str = "agent://bank.example.com/payments/bot/1";

#[derive(Parser)]
struct Program {
    #[command(subcommand)]
    command: RegistryCommand,
}

fn atl(dir: &Path, line: &str) -> Result<(), CliError> {
    let place = |word: &str| match word.strip_prefix('@') {
        Some(name) => dir.join(name).display().to_string(),
        None => word.to_owned(),
    };
    let words = std::iter::once("registry".to_owned()).chain(line.split_whitespace().map(place));
    run(&Program::try_parse_from(words).unwrap().command)
}

fn token() -> Token {
    Token {
        id: secret(1).id,
        secret_hash: secret(1).secret_hash(),
        scope: scope(),
        minted_by: "ann".into(),
        minted_at: NOW,
        expires_at: NOW.saturating_add(1),
        used: TokenUse::Unused,
        refused: 0,
    }
}

/// What a CA with this configuration makes of an agent whose build is this one.
fn method(config: &CaConfig, agent: &str, build: &[u8; 32]) -> AttestationMethod {
    let policy = policy(config, Some([7; 32]), read_registry(config).unwrap()).unwrap();
    let evidence = crate::ca::application::Evidence { build_hash: Some(*build), ..evidence() };
    let application = Application { evidence: Some(evidence), ..application(agent) };
    match assess(&application, &Entitlement::Token(&token()), None, None, &policy, NOW) {
        Assessment::Granted(grant) => grant.method,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_build_that_is_added_is_one_that_the_ca_verifies() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::write(dir.join("build"), "the bot").unwrap();
    atl(dir, "key --out @key.pem").unwrap();
    let add = "add --key @key.pem --file @registry.json --version 1 --name";
    atl(dir, &format!("{add} bot --build @build --agents agent://bank.example.com/payments/*/*")).unwrap();
    let other = "ab".repeat(32);
    atl(dir, &format!("{add} other --build-hash {other} --organization kyc --not-after 2027-01-16")).unwrap();
    let key = STANDARD.encode(signer(&dir.join("key.pem")).unwrap().public_key().spki_der());
    let text = format!(
        "trust_domain = \"bank.example.com\"\norganization = \"Bank\"\n[policy]\nregistry_file = \"registry.json\"\n\
         registry_key = \"{key}\"\n"
    );
    let config = CaConfig::parse(&text, dir, "ca.toml").unwrap();
    let build = hash_file(&dir.join("build")).unwrap().0;
    assert_eq!(method(&config, BOT, &build), AttestationMethod::CaVerified);
    assert_eq!(method(&config, BOT, &[0xab; 32]), AttestationMethod::SelfDeclared);
    let kyc = "agent://bank.example.com/kyc/bot/1";
    assert_eq!(method(&config, kyc, &build), AttestationMethod::SelfDeclared);
    assert_eq!(method(&config, kyc, &[0xab; 32]), AttestationMethod::CaVerified);
    assert_eq!(method(&config, BOT, &[1; 32]), AttestationMethod::SelfDeclared);
}

#[test]
fn entries_are_listed_in_words() {
    let entry = |name: &str, not_after| Entry {
        build_hash: [0xab; 32],
        name: Text::new(name).unwrap(),
        version: Text::new("1").unwrap(),
        organization: None,
        agents: Some(UriPattern::parse("agent://bank.example.com/a/*/*").unwrap()),
        not_after,
        signature: None,
    };
    let (one, two) = (entry("bot", Some(UnixMillis::new(0))), entry("\u{1b}[2J", None));
    assert_eq!(
        table(&[&one, &two], NOW),
        [
            "BUILD             NAME       VERSION  ORGANIZATION  AGENTS                          UNTIL",
            "abababababababab  bot        1        any           agent://bank.example.com/a/*/*  1970-01-01T00:00:00.000Z (over)",
            "abababababababab  \\u{1b}[2J  1        any           agent://bank.example.com/a/*/*  ever",
        ]
    );
}
