//! Holds the crate to its floor plan: which module may import which, what the pure floors keep
//! out, how long a file may get, and what each rung of the feature ladder drags in.

#![allow(clippy::unwrap_used)]

#[path = "architecture/source.rs"]
mod source;

use std::path::{Path, PathBuf};
use std::process::Command;

use source::Source;

/// The allowed arrows: a module may import what its row names, and itself. `a::b` allows that
/// part of `a` only.
const ARROWS: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("time", &[]),
    ("merkle", &[]),
    ("journal", &["time"]),
    ("keys", &["wire"]),
    ("apki", &["keys", "wire", "time"]),
    ("log", &["apki", "merkle", "keys", "wire", "time"]),
    ("verify", &["log", "apki", "merkle", "keys", "wire", "time"]),
    ("tls", &["verify", "log", "apki", "keys", "time"]),
    ("sequencer", &["log", "apki", "merkle", "keys", "wire", "time"]),
    ("api", &["log", "apki", "merkle", "keys", "wire", "time"]),
    // A CA knows logs by their promises, not by how they keep them.
    ("ca", &["log", "apki", "keys", "journal", "time"]),
    // Of the log's store it takes what a store may fail with, as the CA does.
    ("trust", &["log::store", "apki", "keys", "journal", "time"]),
    // The ports that a store fills, and the types that pass through them.
    (
        "storage",
        &[
            "log",
            "verify::ledger",
            "ca::ports",
            "ca::event",
            "trust::ports",
            "journal",
            "merkle",
            "keys",
            "wire",
            "time",
        ],
    ),
    ("client", &["api", "log", "merkle"]),
    // A gateway stands on the relying party, and never on where its knowledge and its ledger are.
    ("http", &["api", "sequencer", "ca::service", "trust::service", "verify", "log", "apki", "merkle", "keys", "time"]),
    ("config", &["keys", "apki", "time"]),
    (
        "cli",
        &[
            "wire",
            "time",
            "merkle",
            "keys",
            "apki",
            "log",
            "verify",
            "sequencer",
            "api",
            "ca",
            "trust",
            "journal",
            "storage",
            "client",
            "tls",
            "http",
            "config",
        ],
    ),
    ("main", &["cli"]),
    ("monitor", &["verify", "client", "api", "log", "apki", "merkle", "keys", "time"]),
];

/// Files and directories without clock, randomness and I/O. `time` holds the one clock.
const PURE: &[&str] = &[
    "src/wire",
    "src/time",
    "src/merkle",
    "src/keys",
    "src/apki",
    "src/log",
    "src/verify",
    "src/api",
    "src/ca",
    "src/journal",
    "src/trust",
    "src/sequencer/pool",
    "src/sequencer/plan",
    "src/sequencer/head",
    "src/sequencer/resume",
    "monitor/src/rules",
];

/// The part of a pure directory that meets the world.
const NOT_PURE: &[&str] = &["src/ca/service", "src/trust/service"];

/// Paths whose start no pure file may name.
const AMBIENT_ROOTS: &[&[&str]] = &[
    &["std", "fs"],
    &["std", "net"],
    &["std", "env"],
    &["std", "process"],
    &["std", "thread"],
    &["std", "time", "SystemTime"],
    &["std", "time", "Instant"],
    &["tokio"],
    &["getrandom"],
    &["rand"],
    &["rand_core", "OsRng"],
];

/// Names that no path in a pure file may hold anywhere.
const AMBIENT_NAMES: &[&str] = &["OsRng", "SystemRandom", "ThreadRng", "getrandom", "rand"];

/// Traits by which randomness comes in as an argument: what is called is the caller's.
const ARGUMENTS: &[&[&str]] = &[&["aws_lc_rs", "rand", "SecureRandom"]];

/// Lines that a file may have without its tests.
const MOST_LINES: usize = 450;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below these places, as a path relative to the root.
fn rust_files(places: &[&str]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut todo: Vec<PathBuf> = places.iter().map(|p| root().join(p)).filter(|p| p.exists()).collect();
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            todo.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path.strip_prefix(root()).unwrap().to_owned());
        }
    }
    files.sort();
    files
}

fn read(file: &Path) -> Source {
    Source::new(&std::fs::read_to_string(root().join(file)).unwrap())
}

/// Files of tests only, which no rule binds.
fn is_test(file: &Path) -> bool {
    file.components().any(|c| matches!(c.as_os_str().to_str(), Some("tests" | "tests.rs" | "benches")))
}

/// The module path of a file: `src/api/log.rs` is `["api", "log"]`. Programs are `["main"]` and
/// `["monitor"]`, `src/lib.rs` is empty.
fn module_of(file: &Path) -> Vec<String> {
    let mut parts: Vec<String> = file.iter().map(|c| c.to_str().unwrap().trim_end_matches(".rs").to_owned()).collect();
    let tree = parts.remove(0);
    parts.pop_if(|last| *last == "mod" || *last == "lib");
    if tree == "monitor" { vec![tree] } else { parts }
}

/// What a path names, from the crate's root on; `None` where it is not of ours.
fn target(module: &[String], inline: usize, path: &[String]) -> Option<Vec<String>> {
    // In a program `crate` and `super` are its own files, and the library is `atl`.
    let program = matches!(module.first().map(String::as_str), Some("main" | "monitor"));
    let ups = path.iter().take_while(|p| *p == "super").count();
    match path.first()?.as_str() {
        "crate" if !program => Some(path[1..].to_vec()),
        "atl" => Some(path[1..].to_vec()),
        // An inline module is one floor more that is not in the file's name.
        "super" if !program && ups > inline => {
            let kept = module.len().saturating_sub(ups - inline);
            Some([&module[..kept], &path[ups..]].concat())
        }
        _ => None,
    }
}

/// Every forbidden import in a file, as `line: from -> to`.
fn forbidden_arrows(file: &Path, source: &Source) -> Vec<String> {
    let module = module_of(file);
    let Some(from) = module.first() else { return Vec::new() };
    let row = ARROWS.iter().find(|(name, _)| name == from).map(|(_, row)| *row);
    let mut found = Vec::new();
    for path in source.paths() {
        let Some(to) = target(&module, path.inline, &path.names) else { continue };
        let holds = |allowed: &&str| {
            let mut rest = to.iter();
            allowed.split("::").all(|name| rest.next().is_some_and(|t| t == name))
        };
        let known = to.first().is_some_and(|name| ARROWS.iter().any(|(n, _)| n == name));
        let own = to.first() == Some(from);
        if !own && !row.is_some_and(|row| row.iter().any(holds)) {
            let why = if known { "" } else { " (not a module in the table of arrows)" };
            found.push(format!("{}:{}: {from} -> {}{why}", file.display(), path.line, to.join("::")));
        }
    }
    if row.is_none() {
        found.push(format!("{}: the module {from} has no row in the table of arrows", file.display()));
    }
    found
}

/// Every clock, random source or I/O in a file.
fn ambient(file: &Path, source: &Source) -> Vec<String> {
    // The one home of time: a clock, and a stopwatch for measurements, each read in one place.
    let mut allowed = match file == Path::new("src/time.rs") {
        true => vec![
            vec!["std", "time", "SystemTime", "now"],
            vec!["std", "time", "Instant"],
            vec!["std", "time", "Instant", "now"],
        ],
        false => Vec::new(),
    };
    let mut found = Vec::new();
    for path in source.paths() {
        let names: Vec<&str> = path.names.iter().map(String::as_str).collect();
        let clock = names.windows(2).any(|w| matches!(w, ["SystemTime" | "Instant", "now"]));
        if let Some(place) = allowed.iter().position(|path| *path == names) {
            allowed.remove(place);
            continue;
        }
        let root = AMBIENT_ROOTS.iter().any(|root| names.starts_with(root));
        let argument = ARGUMENTS.contains(&names.as_slice());
        if clock || root || (names.iter().any(|name| AMBIENT_NAMES.contains(name)) && !argument) {
            found.push(format!("{}:{}: {} in a pure module", file.display(), path.line, names.join("::")));
        }
    }
    found
}

fn is_pure(file: &Path) -> bool {
    let below = |place: &&str| file.starts_with(place) || file.with_extension("") == Path::new(place);
    PURE.iter().any(below) && !NOT_PURE.iter().any(below)
}

fn assert_none(found: &[String], rule: &str) {
    assert!(found.is_empty(), "{rule}\n{}", found.join("\n"));
}

#[test]
fn modules_import_only_what_the_plan_allows() {
    let files: Vec<_> = rust_files(&["src", "monitor/src"]).into_iter().filter(|f| !is_test(f)).collect();
    assert!(files.len() > 10, "the scan found {} files: it looks in the wrong place", files.len());
    let found: Vec<_> = files.iter().flat_map(|f| forbidden_arrows(f, &read(f))).collect();
    assert_none(&found, "forbidden arrows (see ARROWS in this test):");
}

#[test]
fn pure_modules_have_no_clock_no_randomness_and_no_io() {
    let files: Vec<_> = rust_files(&["src", "monitor/src"]).into_iter().filter(|f| is_pure(f) && !is_test(f)).collect();
    assert!(files.len() > 5, "the scan found {} files: it looks in the wrong place", files.len());
    let found: Vec<_> = files.iter().flat_map(|f| ambient(f, &read(f))).collect();
    assert_none(&found, "take `now` or a port as an argument:");
}

#[test]
fn no_file_outgrows_its_reader() {
    let files = rust_files(&["src", "monitor", "benches", "build.rs"]);
    let long = |f: &PathBuf| Some(read(f).lines_without_tests()).filter(|n| *n > MOST_LINES).map(|n| (f.clone(), n));
    let found: Vec<_> =
        files.iter().filter(|f| f.file_name().is_none_or(|n| n != "tests.rs")).filter_map(long).collect();
    let found: Vec<_> = found.iter().map(|(f, n)| format!("{}: {n} lines", f.display())).collect();
    assert_none(&found, "files of more than 450 lines without their tests:");
}

/// The packages that a build with `arguments` links.
fn packages(arguments: &[&str]) -> Vec<String> {
    let tree = ["tree", "--frozen", "--edges", "normal,build", "--prefix", "none", "--format", "{p}"];
    let output = Command::new(env!("CARGO")).current_dir(root()).args(tree).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let names: Vec<_> = text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    assert!(names.iter().any(|n| n == "atl"), "cargo tree does not show this crate");
    names
}

#[test]
fn each_rung_of_the_ladder_stays_light() {
    let heavy = ["rocksdb", "librocksdb-sys", "axum", "hyper-util", "reqwest", "tokio"];
    let mut rungs = vec![
        (vec!["--package", "atl", "--no-default-features"], &heavy[..]),
        (vec!["--package", "atl", "--no-default-features", "--features", "tls"], &heavy[..]),
        (vec!["--package", "atl", "--no-default-features", "--features", "client"], &heavy[..3]),
    ];
    if root().join("monitor/Cargo.toml").exists() {
        rungs.push((vec!["--package", "atl-monitor"], &heavy[..3]));
    }
    for (arguments, unwanted) in rungs {
        let names = packages(&arguments);
        let found: Vec<_> = unwanted.iter().filter(|u| names.iter().any(|n| n == *u)).collect();
        assert!(found.is_empty(), "cargo tree {}: {found:?}", arguments.join(" "));
    }
    // The names are the right ones: the whole server has them all.
    let server = packages(&["--package", "atl", "--features", "server"]);
    assert!(heavy.iter().all(|h| server.iter().any(|n| n == h)));
}

#[cfg(feature = "server")]
#[test]
fn every_sample_configuration_is_read() {
    let mut samples = 0;
    for entry in std::fs::read_dir(root().join("config")).unwrap() {
        let path = entry.unwrap().path();
        match path.file_name().and_then(|n| n.to_str()) {
            Some("log.toml") => drop(atl::config::LogConfig::load(&path).unwrap()),
            Some("ca.toml") => drop(atl::config::CaConfig::load(&path).unwrap()),
            Some("trust.toml") => drop(atl::config::TrustConfig::load(&path).unwrap()),
            Some("relying-party.toml") => drop(atl::config::RelyingConfig::load(&path).unwrap()),
            Some("gateway.toml") => drop(atl::config::GatewayConfig::load(&path).unwrap()),
            // The monitor's is its own: monitor/src/config/sample_tests.rs reads it.
            Some("monitor.toml" | "atl-monitor@.service") => {}
            // What is not ours to parse: tests/readme.rs looks at these, and tests/gateway_nginx.rs at the gateway's.
            Some("atl-log@.service" | "atl-ca@.service" | "atl-trust@.service" | "nginx.conf") => {}
            Some("atl-gateway@.service" | "nginx-gateway.conf" | "envoy-gateway.yaml") => {}
            _ => panic!("{}: say here what reads this file", path.display()),
        }
        samples += 1;
    }
    assert!(samples > 0);
}

mod scanner {
    use super::*;

    fn arrows(file: &str, text: &str) -> Vec<String> {
        forbidden_arrows(Path::new(file), &Source::new(text))
    }

    #[test]
    fn finds_a_forbidden_import_wherever_it_hides() {
        let cases = [
            ("src/merkle/hash.rs", "use crate::log::Sat;", ":1: merkle -> log::Sat"),
            ("src/merkle/hash.rs", "\n\nuse crate::{keys, log::{self, Sat}};", ":3: merkle -> keys"),
            ("src/merkle/hash.rs", "fn f() { crate::keys::LogId::new([0; 32]); }", "merkle -> keys::LogId::new"),
            ("src/merkle/hash.rs", "use super::super::keys::LogId;", "merkle -> keys::LogId"),
            ("src/merkle.rs", "use super::keys::LogId;", "merkle -> keys::LogId"),
            ("src/merkle.rs", "mod a { use super::super::keys::LogId; }", "merkle -> keys::LogId"),
            ("src/merkle/hash.rs", "/* \" */ use crate::keys /* x */ :: LogId; // \"", "merkle -> keys::LogId"),
            ("src/merkle/hash.rs", "const A: char = '\"'; use crate::keys::LogId;", "merkle -> keys::LogId"),
            ("src/merkle/hash.rs", "fn f<'a>(x: &'a u8) { crate::keys::f(x) }", "merkle -> keys::f"),
            ("src/merkle/hash.rs", "macro_rules! m { () => { $crate::keys::X } }", "merkle -> keys::X"),
            ("src/merkle/hash.rs", "use crate::*;", "not a module"),
            ("src/merkle/hash.rs", "use crate as all;", "not a module"),
            ("src/merkle/hash.rs", "use crate::Error;", "not a module"),
            ("src/new/floor.rs", "", "has no row"),
            ("src/http/log.rs", "use crate::ca::authority::Authority;", "http -> ca::authority"),
            ("src/http/log.rs", "use crate::ca;", "http -> ca"),
            ("src/http/log.rs", "use crate::storage::Rocks;", "http -> storage"),
            ("src/storage/ca.rs", "use crate::ca::service::Ca;", "storage -> ca::service"),
            ("src/config.rs", "use crate::log::Origin;", "config -> log"),
            ("src/main.rs", "fn main() { atl::config::load() }", "main -> config"),
            ("monitor/src/follow/page.rs", "use atl::storage::Rocks;", "monitor -> storage"),
            ("src/log/mod.rs", "#[cfg(not(test))] mod x { use crate::api::B64; }", "log -> api::B64"),
        ];
        for (file, text, expected) in cases {
            let found = arrows(file, text);
            assert!(found.iter().any(|f| f.contains(expected)), "{file}: {text}: {found:?}");
        }
        let both = arrows("src/merkle/hash.rs", "use crate::{keys, log::{self, Sat}};");
        assert_eq!(both.len(), 3, "{both:?}");
    }

    #[test]
    fn lets_the_rest_pass() {
        let cases = [
            ("src/log/sat.rs", "use crate::{keys::{LogId, Signer as _}, merkle::*, log::entry};"),
            ("src/merkle/hash.rs", "// use crate::log::Sat;\n/* crate::log /* nested */ crate::log::x */"),
            (
                "src/merkle/hash.rs",
                r##"const A: &str = "crate::log::x \" crate::log::y"; const B: &str = r#"" crate::log::z"#;"##,
            ),
            ("src/merkle/hash.rs", "#[cfg(test)]\nmod tests { use crate::log::Sat; fn f() { {} } }\n"),
            ("src/merkle/hash.rs", "#[cfg(all(test, feature = \"x\"))]\n#[path = \"t.rs\"]\nmod tests;"),
            (
                "src/merkle/hash.rs",
                "use super::index::LeafIndex; use self::a::b; use std::fmt; fn f() { a::crate_::log::b() }",
            ),
            ("src/merkle.rs", "mod default { use super::Whole; }"),
            ("src/http/ca.rs", "use crate::ca::service::{Ca, Reply};"),
            ("src/main.rs", "mod x; use crate::x::Y; fn main() { atl::cli::run() }"),
            ("monitor/src/main.rs", "use crate::follow::Page; use atl::{client::LogClient, verify};"),
            ("monitor/src/follow/page.rs", "use super::super::state::State; use super::x;"),
            ("src/lib.rs", "pub mod merkle; pub use crate::merkle::Hash;"),
        ];
        for (file, text) in cases {
            assert_eq!(arrows(file, text), Vec::<String>::new(), "{file}: {text}");
        }
    }

    #[test]
    fn finds_what_is_ambient() {
        let found = |file: &str, text: &str| ambient(Path::new(file), &Source::new(text)).len();
        for text in [
            "use std::fs;",
            "use std::{fmt, net::IpAddr};",
            "fn f() { std::fs::read(x) }",
            "SystemTime::now()",
            "std::time::Instant::now()",
            "use std::time::SystemTime as T;",
            "use tokio::sync::mpsc;",
            "use tokio;",
            "#[tokio::test] fn f() {}",
            "use rand::Rng;",
            "rand::random()",
            "getrandom::fill(x)",
            "use rand_core::{OsRng, RngCore};",
            "use aws_lc_rs::rand::SystemRandom;",
            "::std::fs::read(x)",
        ] {
            assert_eq!(found("src/log/sat.rs", text), 1, "{text}");
        }
        for text in [
            "use std::fmt;",
            "// SystemTime::now()",
            "\"std::fs::read\"",
            "x.tokio.fs()",
            "#[cfg(test)] mod t { use std::fs; }",
        ] {
            assert_eq!(found("src/log/sat.rs", text), 0, "{text}");
        }
        let one = "fn now() { std::time::SystemTime::now() }";
        assert_eq!((found("src/time.rs", one), found("src/time.rs", &one.repeat(2))), (0, 1));
        let pure = ["src/wire.rs", "src/ca/trust/score.rs", "src/ca.rs", "src/sequencer/plan.rs", "src/log/mod.rs"];
        assert!(pure.iter().all(|f| is_pure(Path::new(f))));
        let other =
            ["src/ca/service.rs", "src/ca/service/x.rs", "src/cache.rs", "src/sequencer/task.rs", "src/client.rs"];
        assert!(!other.iter().any(|f| is_pure(Path::new(f))));
    }

    #[test]
    fn counts_lines_without_tests() {
        assert_eq!(Source::new("a\n\n// b\n").lines_without_tests(), 3);
        assert_eq!(Source::new("a\n#[cfg(test)]\nmod tests {\n    x\n}\nb\n").lines_without_tests(), 2);
    }
}
