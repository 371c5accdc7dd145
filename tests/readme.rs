//! Runs the README: every block marked `<!-- test: name -->`, in order, in one shell, against a
//! real server; and holds what it names to what there is.

#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

const ATL: &str = env!("CARGO_BIN_EXE_atl");
const README: &str = include_str!("../README.md");

/// The marked shell blocks, with their names.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let marked = README.split("<!-- test: ").skip(1);
    let block = |text: &'static str| {
        let (name, rest) = text.split_once(" -->\n```sh\n").expect("a marker stands right above a sh block");
        (name, rest.split_once("\n```\n").unwrap().0)
    };
    // The README's own words about markers are none.
    marked.filter(|text| !text.starts_with("name -->`")).map(block).collect()
}

#[test]
fn the_blocks_run_as_they_stand() {
    let blocks = blocks();
    let names: Vec<_> = blocks.iter().map(|(name, _)| *name).collect();
    let of_the_ca = ["ca", "enrol", "check", "renew", "journal"];
    let of_the_log = ["certificates", "serve", "submit", "tour", "leaf", "sat", "head", "inclusion"];
    let of_authority = ["authority", "delegate", "refused", "ocsp", "revoke", "crl", "staple"];
    let of_checking = ["policy", "verdict", "refusals", "offline", "guard", "ask"];
    let of_evidence = ["sign", "years", "watch"];
    let of_trust = ["engine", "report", "fall", "bundle", "federate"];
    assert_eq!(names, [&of_the_ca[..], &of_authority, &of_checking, &of_evidence, &of_trust, &of_the_log].concat());
    // The only thing that is not as it stands: ports that are free here, all found before one is given back.
    let usual = [8070, 8080, 8081, 8082, 8443, 8444, 8446].map(|port| format!("127.0.0.1:{port}"));
    let free = [(); 7].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let free = free.map(|listener| listener.local_addr().unwrap().to_string());
    let mut script = String::from("trap 'kill $(jobs -p)' EXIT\n");
    for (name, block) in blocks {
        let mut block = block.to_owned();
        for (usual, free) in usual.iter().zip(&free) {
            block = block.replace(usual, free);
        }
        script += &format!("echo; echo '== {name}' >&2\n{block}\n");
    }
    let dir = tempfile::tempdir().unwrap();
    let bin = Path::new(ATL).parent().unwrap().display().to_string();
    let path = format!("{bin}:{}", std::env::var("PATH").unwrap());
    let output = Command::new("timeout")
        .args(["300", "bash", "-euo", "pipefail", "-c", &script])
        .current_dir(dir.path())
        .env("PATH", path)
        .env("no_proxy", "127.0.0.1,localhost")
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert_eq!(out.matches("Signature Verified Successfully").count(), 2, "{out}");
    assert!(out.contains("the proof leads from the leaf to the root"), "{out}");
    for part in ["teller7/cert.pem: OK", "verified with a pinned key", "/teller/7 renewed: ", "The journal holds"] {
        assert!(out.contains(part), "{part}: {out}\n{err}");
    }
    for part in ["depth 2 of at most 2", "reader/cert.pem: revoked", "lead/cert.pem: OK", "Cessation Of Operation"] {
        assert!(out.contains(part), "{part}: {out}\n{err}");
    }
    for part in ["in order", "nothing new was found"] {
        assert!(out.contains(part), "{part}: {out}\n{err}");
    }
    for part in ["-5 wait for a second reporter", "a second reporter agrees", "reset to 0", "42 here, 44 in its own"] {
        assert!(out.contains(part), "{part}: {out}\n{err}");
    }
    for part in ["ACCEPTED  agent://bank.example.com/retail/clerk/2", "25.00 GBP", "capability.perTransaction"] {
        assert!(out.contains(part), "{part}: {out}\n{err}");
    }
    for part in [
        "x-agent-capability: https://api.bank.example.com/payments pay\r",
        "x-agent-amount: 2500 GBP",
        "x-agent-reason: capability.perTransaction",
        "x-agent-reason: request.method",
        "x-agent-reason: request.target",
    ] {
        assert!(out.contains(part), "{part}: {out}\n{err}");
    }
    for part in ["The evidence holds.", "Jo Doe answers for the line", "revocation.revoked: "] {
        assert!(out.contains(part), "{part}: {out}\n{err}");
    }
    // A `!` in front of a command does not end the shell where the command goes well: so what was refused is read.
    for part in ["attenuation (scope)", "(maxDepthRaised)", "(notAfter)"] {
        assert!(out.contains(part), "{part}: {out}\n{err}");
    }
    for part in [
        "may revoke itself and those below it, and this is neither",
        "it has to be enrolled or delegated to anew",
        "reader/cert.pem: verification failed",
        "is revoked since",
        "retail/reader/1 is not taken",
    ] {
        assert!(err.contains(part), "{part}: {out}\n{err}");
    }
}

#[test]
fn the_metrics_that_it_names_exist() {
    let (log, ca) = (include_str!("../src/http/metrics.rs"), include_str!("../src/http/ca/metrics.rs"));
    let trust = include_str!("../src/http/trust/metrics.rs");
    let gateway = include_str!("../src/http/gateway/metrics.rs");
    let names = README.split("`atl_").skip(1).map(|rest| rest.split(['`', '{']).next().unwrap());
    let mut seen = 0;
    for name in names {
        let (source, name) = match name.split_once('_') {
            Some(("ca", name)) => (ca, name),
            Some(("trust", name)) => (trust, name),
            Some(("gateway", name)) => (gateway, name),
            _ => (log, name),
        };
        assert!(source.contains(&format!("\"{name}\"")), "{name}");
        seen += 1;
    }
    assert!(seen >= 20, "{seen}");
}

#[test]
fn the_files_that_it_links_exist() {
    for link in README.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
        let there = link.contains("://") || Path::new(env!("CARGO_MANIFEST_DIR")).join(link).exists();
        assert!(there, "{link}");
    }
}

/// Most connections that the server takes at once.
const CONNECTIONS: u64 = 4096;

#[test]
fn the_units_start_the_program_and_let_it_finish() {
    unit(include_str!("../config/atl-log@.service"), "log.toml");
    unit(include_str!("../config/atl-ca@.service"), "ca.toml");
    unit(include_str!("../config/atl-trust@.service"), "trust.toml");
    unit(include_str!("../config/atl-gateway@.service"), "gateway.toml");
}

fn unit(unit: &str, config: &str) {
    let lines = unit.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut section = "";
    let mut settings = Vec::new();
    for line in lines {
        match line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(name) => section = name,
            None => {
                let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("{line}"));
                settings.push((section, key, value));
            }
        }
    }
    let of = |section, key| settings.iter().find(|s| (s.0, s.1) == (section, key)).map(|s| s.2).unwrap();
    let number = |section, key| of(section, key).parse::<u64>().unwrap();
    let mut command = of("Service", "ExecStart").split(' ');
    assert_eq!(command.next(), Some("/usr/local/bin/atl"));
    // The arguments are read: what fails is the file, which is not there.
    let run = Command::new(ATL).args(command.map(|word| word.replace("%i", "none"))).output().unwrap();
    let error = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(error.contains(&format!("/var/lib/atl/none/{config}: cannot be read")), "{error}");
    assert!(number("Service", "LimitNOFILE") > 2 * CONNECTIONS);
    assert!(number("Service", "TimeoutStopSec") > 60);
    assert_eq!(of("Service", "Restart"), "on-failure");
    assert!(
        number("Unit", "StartLimitIntervalSec") > number("Unit", "StartLimitBurst") * number("Service", "RestartSec")
    );
    assert!(of("Service", "ExecStart").contains(of("Service", "ReadWritePaths")));
}

#[test]
fn the_proxy_leads_to_the_defaults() {
    let text = include_str!("../config/nginx.conf");
    let lines: Vec<_> = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).collect();
    let mut depth = 0_i32;
    for line in &lines {
        assert!(line.ends_with([';', '{', '}']), "{line}");
        depth += line.matches('{').count() as i32 - line.matches('}').count() as i32;
        assert!(depth >= 0, "{line}");
    }
    assert_eq!(depth, 0);
    let has = |line: &str| lines.contains(&line);
    let config = atl::config::LogConfig::new("log.example.com/2026h2").unwrap();
    assert!(has(&format!("server {};", config.listen)));
    assert!(has(&format!("client_max_body_size {}m;", config.max_batch_body_bytes() >> 20)));
    // Every location ends in the log, or nowhere.
    let locations = lines.iter().filter(|l| l.starts_with("location ")).count();
    let ends =
        lines.iter().filter(|l| l.starts_with("proxy_pass http://atl_2026h2/") || l.starts_with("return ")).count();
    assert_eq!((locations, ends), (3, 3));
}
