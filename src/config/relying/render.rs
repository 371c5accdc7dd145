//! Writes a configuration as the commented file that a relying party starts from. What it does not have stands
//! in it as an example.

use super::{Domain, Fetch, ListSource, Log, Policy, RelyingConfig, RevocationList, ToolRule, Trusted};
use crate::apki::attestation::AttestationMethod;
use crate::apki::federation::ScoreMapping;
use crate::apki::federation::bundle::algorithm_name;
use crate::apki::trust_score::{Score, TrustTier};
use crate::config::ConfigError;
use crate::config::render::{list, moment, path, quoted, spki, tables_or};
use crate::time::UnixMillis;

impl RelyingConfig {
    /// This configuration as commented TOML; [`RelyingConfig::parse`] reads the same values back.
    ///
    /// # Errors
    /// Where a path is not UTF-8, which TOML cannot hold.
    pub fn render(&self) -> Result<String, ConfigError> {
        Ok([
            self.policy.head(),
            self.policy.revocation(),
            self.policy.provenance(),
            self.policy.inclusion(),
            self.policy.tools(),
            self.domains()?,
            self.logs(),
            self.lists()?,
            self.monitors(),
            self.fetch()?,
            self.limits(),
        ]
        .concat())
    }

    fn domains(&self) -> Result<String, ConfigError> {
        let tables: Vec<String> = self.domains.iter().map(domain).collect::<Result<_, _>>()?;
        let what = "The trust domains whose agents are taken, each with its own anchors: `roots`, a file of PEM certificates, or
# `bundle`, a trust bundle (JSON) that was verified by whoever put it there. Scores count as they are, or as
# `mapping` has them (steps of a `table`, then `offset`, then `cap`); `minimum_score` counts after that, where
# it is higher than the policy's.";
        let example = "# [[domains]]\n# name = \"bank.example.com\"\n# bundle = \"bank.json\"\n\
            # mapping = { offset = -5, cap = 80 }\n# minimum_score = 50\n";
        let domains = tables_or(what, tables.into_iter(), example);
        let dir = match &self.federation_dir {
            Some(dir) => format!("dir = {}\n", path("federation.dir", dir)?),
            None => "# dir = \"federation\"\n".to_owned(),
        };
        Ok(format!(
            "{domains}
# The directory of `atl federation add`: the domains that are pinned in it are taken too, each by the bundle
# that was fetched last, with the mapping and the minimum that it was pinned with.
[federation]
{dir}"
        ))
    }

    fn logs(&self) -> String {
        let what =
            "The logs whose timestamps count: the public key (base64 of the DER SubjectPublicKeyInfo), and who runs it;
# from 60 points on, timestamps of two operators are wanted. `url` is where proofs and parents' certificates
# are asked for, `origin` the name in the log's checkpoints and audits. A log that was closed or lost its key
# gets an `until`: what it said before still counts.";
        let example = "# [[logs]]\n# key = \"MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"\n\
            # operator = \"Log Ltd\"\n";
        tables_or(what, self.logs.iter().map(log), example)
    }

    fn lists(&self) -> Result<String, ConfigError> {
        let tables: Vec<String> = self.revocation_lists.iter().map(revocation_list).collect::<Result<_, _>>()?;
        let what = "Revocation lists that are looked at whatever a certificate names: a `file` (DER or PEM) or a `url`, and the
# certificate of the `signer`. Lists that certificates name are verified with their issuers' certificates, or
# where these name another signer, with one of these.";
        let example =
            "# [[revocation_lists]]\n# url = \"http://ca.example.com/crl/root\"\n# signer = \"list-signer.pem\"\n";
        Ok(tables_or(what, tables.into_iter(), example))
    }

    fn monitors(&self) -> String {
        let tables = self.monitors.iter().map(|monitor| {
            let url = monitor.url.as_ref().map(|url| format!("url = {}\n", quoted(url))).unwrap_or_default();
            format!("\n[[monitors]]\nvkey = {}\n{url}", quoted(&monitor.vkey))
        });
        let what =
            "Who audits the logs: the verifier keys of monitors. `policy.audited_within_seconds` says how recently. `url` is
# where a monitor's statements are asked for; without it they are given in files.";
        let example = "# [[monitors]]\n# vkey = \"monitor.example.com+605c7539+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea\"\n\
            # url = \"https://monitor.example.com\"\n";
        tables_or(what, tables, example)
    }

    fn fetch(&self) -> Result<String, ConfigError> {
        let what =
            "What may be asked for over the network; without this table nothing is. Where a certificate says whom to
# ask, only certificates whose chain to an anchor of their own domain holds are listened to, only http and
# https, and no redirect is followed. Who issues such certificates still chooses the address: name the
# `hosts` where this machine can reach what others cannot.";
        let Some(Fetch { ocsp, lists, parents, proofs, audits, hosts, timeout_seconds, ca_roots }) = &self.fetch else {
            return Ok(format!("\n# {what}\n# [fetch]\n"));
        };
        let hosts = hosts.as_ref().map(|hosts| list(hosts.iter().cloned()));
        let hosts = option("hosts", hosts, "[\"ca.example.com\"]");
        let roots = ca_roots.as_ref().map(|file| path("fetch.ca_roots", file)).transpose()?;
        let roots = option("ca_roots", roots, "\"ca-root.pem\"");
        Ok(format!(
            "
# {what}
[fetch]
# OCSP answers, from where certificates say; revocation lists, for what no OCSP answer was had of; the
# certificates of agents above one, by their hash, and proofs of inclusion, both from the logs; and where
# `audited_within_seconds` is set, audit statements from the [[monitors]].
ocsp = {ocsp}
lists = {lists}
parents = {parents}
proofs = {proofs}
audits = {audits}

# The hosts that certificates may name. Default: any.
{hosts}
# Seconds for all of it together, 1 to 300.
timeout_seconds = {timeout_seconds}

# Roots (PEM) for the TLS certificates of what certificates name, in place of the system's: those of a CA
# that serves its revocations over HTTPS alone.
{roots}"
        ))
    }

    fn limits(&self) -> String {
        let charge = self.limits.charge_ancestors;
        format!(
            "
# Spending and calls in a period, where a ledger is kept of them (a gateway does; a single verdict cannot).
[limits]
# Whether what an agent spends counts against the limits of those above it too.
charge_ancestors = {charge}
"
        )
    }
}

impl Policy {
    fn head(&self) -> String {
        let algorithms = list(self.algorithms.iter().map(|algorithm| algorithm_name(*algorithm).to_owned()));
        let audited = self.audited_within_seconds.map(|seconds| seconds.to_string());
        let peers = self.peers.as_ref().map(|peers| list(peers.iter().cloned()));
        format!(
            "# A relying party: whose agents it takes, and what it wants of them. `atl verify` decides by this file, and
# so does a gateway. Paths are relative to the directory of this file; an unknown key is refused.

[policy]
# The least that an agent must have left of its score: `minimum_tier`, which is \"restricted\" (20 points),
# \"standard\" (40), \"elevated\" (60) or \"full\" (80), or `minimum_score`, 20 to 100. It has no default.
{}
# The signature algorithms that are taken, of certificates and of agents' keys.
algorithms = {algorithms}

# The most agents above an agent, 0 to 16, and whether it must have agentDelegation, which leads to a human
# who answers for it.
max_delegation_depth = {}
require_delegation = {}

# Seconds within which a log must have been audited by one of the [[monitors]]; the draft says 86400.
{}
# Agents, or all of a domain, an organisation or a type. Default: all of the trusted domains.
{}",
            minimum(self.minimum),
            self.max_delegation_depth,
            self.require_delegation,
            option("audited_within_seconds", audited, "86400"),
            option("peers", peers, "[\"agent://agents.example.com/payments\"]"),
        )
    }

    fn revocation(&self) -> String {
        let rules = &self.revocation;
        let age = rules.max_age_seconds.map(|seconds| seconds.to_string());
        format!(
            "
[policy.revocation]
# Where nothing is known of an agent's revocation: \"require\" refuses it, \"prefer\" takes it, \"off\" does not look.
# Whoever is known to be revoked is refused, unless it is \"off\". It has no default.
mode = \"{}\"

# Most seconds since an answer or a list was true. Default: what it says of itself.
{}
# Whether the CAs on the way must be known as not revoked as well.
issuers = {}
",
            rules.mode.name(),
            option("max_age_seconds", age, "3600"),
            rules.issuers,
        )
    }

    fn provenance(&self) -> String {
        let rules = &self.provenance;
        let builds = rules.builds.as_ref().map(|builds| list(builds.iter().map(hex::encode)));
        let models = rules.models.as_ref().map(|models| list(models.iter().cloned()));
        format!(
            "
# What an agent must be made of. Without a key anything is taken.
[policy.provenance]
# The weakest attestation: \"selfDeclared\", \"caVerified\", \"thirdParty\" or \"hardwareBound\".
{}
# SHA-256 of builds, and families of models.
{}{}",
            option("minimum_method", rules.minimum_method.map(method), "\"caVerified\""),
            option("builds", builds, &format!("[\"{}\"]", "9f86d081884c7d65".repeat(4))),
            option("models", models, "[\"claude\"]"),
        )
    }

    fn inclusion(&self) -> String {
        let what = "A proof of inclusion beside the timestamps: most seconds since its tree head was seen, by the log itself or,
# where `witnesses` (verifier keys) are named, by as many of them as are `needed`.";
        let witness = "witness.example.com+94947cf1+BNdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea";
        let table = self.inclusion.as_ref().map(|rules| {
            let witnesses = rules.witnesses.as_ref().map(|witnesses| {
                format!("witnesses = {}\nneeded = {}\n", list(witnesses.keys.iter().cloned()), witnesses.needed)
            });
            let witnesses = witnesses.unwrap_or_else(|| format!("# witnesses = [\"{witness}\"]\n# needed = 1\n"));
            format!("[policy.inclusion]\nmax_age_seconds = {}\n{witnesses}", rules.max_age_seconds)
        });
        let example =
            format!("# [policy.inclusion]\n# max_age_seconds = 86400\n# witnesses = [\"{witness}\"]\n# needed = 1\n");
        format!("\n# {what}\n{}", table.unwrap_or(example))
    }

    fn tools(&self) -> String {
        let what = "What single tools want beyond the policy: a minimum, an attestation, or that OCSP was asked so many seconds
# ago at most, also where `mode` is \"prefer\".";
        let example = "# [[policy.tools]]\n# tool_uri = \"https://api.example.com/payments\"\n# minimum_tier = \"elevated\"\n\
            # minimum_method = \"caVerified\"\n# ocsp_within_seconds = 60\n";
        tables_or(what, self.tools.iter().map(tool), example)
    }
}

/// A key with its value, or an example as a comment.
fn option(key: &str, value: Option<String>, example: &str) -> String {
    match value {
        Some(value) => format!("{key} = {value}\n"),
        None => format!("# {key} = {example}\n"),
    }
}

/// A tier where the score is its floor, and else the score.
fn minimum(score: Score) -> String {
    let tiers = [TrustTier::Restricted, TrustTier::Standard, TrustTier::Elevated, TrustTier::Full];
    match tiers.into_iter().find(|tier| tier.floor() == score) {
        Some(tier) => format!("minimum_tier = \"{}\"\n", tier.name()),
        None => format!("minimum_score = {}\n", score.get()),
    }
}

fn method(method: AttestationMethod) -> String {
    quoted(method.name())
}

fn tool(rule: &ToolRule) -> String {
    let minimum = rule.minimum.map(minimum).unwrap_or_default();
    let method = rule.minimum_method.map(|least| format!("minimum_method = {}\n", method(least))).unwrap_or_default();
    let ocsp = rule.ocsp_within_seconds.map(|most| format!("ocsp_within_seconds = {most}\n")).unwrap_or_default();
    let tool = quoted(rule.tool_uri.as_str());
    format!("\n[[policy.tools]]\ntool_uri = {tool}\n{minimum}{method}{ocsp}")
}

fn domain(domain: &Domain) -> Result<String, ConfigError> {
    let anchors = match &domain.trusted {
        Trusted::Roots(file) => format!("roots = {}\n", path("domains.roots", file)?),
        Trusted::Bundle(file) => format!("bundle = {}\n", path("domains.bundle", file)?),
    };
    let mapping = match domain.mapping == ScoreMapping::default() {
        true => String::new(),
        false => format!("mapping = {}\n", mapping(&domain.mapping)),
    };
    let minimum = match domain.minimum.get() {
        0 => String::new(),
        points => format!("minimum_score = {points}\n"),
    };
    Ok(format!("\n[[domains]]\nname = {}\n{anchors}{mapping}{minimum}", quoted(domain.name.as_str())))
}

fn mapping(mapping: &ScoreMapping) -> String {
    let numbers = mapping.numbers();
    let step = |step: &crate::apki::federation::mapping::Step| {
        format!("{{ from = {}, to = {} }}", step.from.get(), step.to.get())
    };
    let steps: Vec<String> = numbers.table.iter().map(step).collect();
    let table = (!steps.is_empty()).then(|| format!("table = [{}]", steps.join(", ")));
    let offset = (numbers.offset != 0).then(|| format!("offset = {}", numbers.offset));
    let cap = numbers.cap.map(|cap| format!("cap = {}", cap.get()));
    let raise = numbers.allow_raise.then(|| "allow_raise = true".to_owned());
    let parts: Vec<String> = [table, offset, cap, raise].into_iter().flatten().collect();
    format!("{{ {} }}", parts.join(", "))
}

fn log(log: &Log) -> String {
    let default_name = log.url.as_ref().unwrap_or(&log.operator);
    let name = Some(&log.name).filter(|name| *name != default_name);
    let text = |key: &str, value: Option<&String>| {
        value.map(|value| format!("{key} = {}\n", quoted(value))).unwrap_or_default()
    };
    let name = text("name", name);
    let (url, origin) = (text("url", log.url.as_ref()), text("origin", log.origin.as_ref()));
    let from = if log.from == UnixMillis::new(0) { None } else { Some(&log.from) };
    let since =
        |key: &str, at: Option<&UnixMillis>| at.map(|at| format!("{key} = \"{}\"\n", moment(*at))).unwrap_or_default();
    let (from, until) = (since("from", from), since("until", log.until.as_ref()));
    let (key, operator) = (spki(log.key.spki_der()), quoted(&log.operator));
    format!("\n[[logs]]\n{name}{url}key = {key}\noperator = {operator}\n{origin}{from}{until}")
}

fn revocation_list(list: &RevocationList) -> Result<String, ConfigError> {
    let source = match &list.source {
        ListSource::File(file) => format!("file = {}\n", path("revocation_lists.file", file)?),
        ListSource::Url(url) => format!("url = {}\n", quoted(url)),
    };
    Ok(format!("\n[[revocation_lists]]\n{source}signer = {}\n", path("revocation_lists.signer", &list.signer)?))
}
