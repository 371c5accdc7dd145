//! Writes a configuration as the commented file that an operator starts from. What a CA does not
//! have stands in it as an example.

use super::{CaConfig, HumanPrincipal, ManualApproval, Policy, RenewalKey};
use crate::apki::capabilities::Capability;
use crate::apki::extension::Text;
use crate::config::ConfigError;
use crate::config::render::{list, metrics, path, quoted, spki, tables_or, tls};

impl CaConfig {
    /// This configuration as commented TOML; [`CaConfig::parse`] reads the same values back.
    ///
    /// # Errors
    /// Where a path is not UTF-8, which TOML cannot hold.
    pub fn render(&self) -> Result<String, ConfigError> {
        Ok([
            self.identity()?,
            self.service(),
            self.certificates()?,
            self.policy()?,
            self.organizations(),
            self.authority()?,
            self.ceiling(),
            self.logs(),
            self.issuance(),
            self.operators(),
            self.status.render()?,
            self.network()?,
            self.federation()?,
        ]
        .concat())
    }

    fn identity(&self) -> Result<String, ConfigError> {
        Ok(format!(
            "# Configuration of one CA. Paths are relative to the directory of this file. Every key but
# `trust_domain` and `organization` may be left out; an unknown key is refused.

# The DNS name in the agent URIs that this CA issues for: agent://<trust_domain>/org/type/instance.
# It can never change.
trust_domain = {}

# The organisation, as it stands in the CA's certificates.
organization = {}

# The intermediate that issues to agents, and its key (PEM, PKCS#8; keep it secret).
issuer_certificate = {}
issuer_key = {}

# The root above it. Its key is not here: keep the directory `root` of `atl ca init` offline. It is
# needed to renew the intermediate (`atl ca root renew-intermediate`), the server never reads it.
root_certificate = {}

# Whether intermediates get a critical name constraint that permits the trust domain's URIs alone.
# It is the CA's authority on the wire: whoever verifies a chain sees that this CA may not vouch for
# anybody else's agents. But rustls-webpki (0.103), and with it rustls, knows no constraint on URIs
# and refuses every agent below one, as each names a URI. Where it is on, relying parties on rustls
# must use ATL's own chain verification; OpenSSL honours the constraint as it is. It counts when an
# intermediate is made: after a change renew the intermediate.
name_constraint = {}

# The database. Only one server may run on it.
data_dir = {}

# Free octets of the data disk below which nothing is issued.
disk_low_watermark_bytes = {}
",
            quoted(&self.trust_domain),
            quoted(&self.organization),
            path("issuer_certificate", &self.issuer_certificate)?,
            path("issuer_key", &self.issuer_key)?,
            path("root_certificate", &self.root_certificate)?,
            self.name_constraint,
            path("data_dir", &self.data_dir)?,
            self.disk_low_watermark_bytes,
        ))
    }

    fn service(&self) -> String {
        let names = list(self.public_names.iter().map(ToString::to_string));
        format!(
            "
# Where HTTPS is served.
listen = {}

# DNS names and IP addresses of the service, for the TLS certificate that the CA makes for it.
public_names = {names}
",
            quoted(&self.listen.to_string()),
        )
    }

    fn certificates(&self) -> Result<String, ConfigError> {
        let rules = &self.certificates;
        let human_principal = match rules.human_principal {
            HumanPrincipal::Hashed => "hashed",
            HumanPrincipal::Plain => "plain",
        };
        let renewal_key = match rules.renewal_key {
            RenewalKey::Any => "any",
            RenewalKey::New => "new",
            RenewalKey::Same => "same",
        };
        Ok(format!(
            "
[certificates]
# Seconds of validity: where a request says nothing, and the least and the most that it may ask for.
# At least 300, at most 86400.
default_validity_seconds = {}
min_validity_seconds = {}
max_validity_seconds = {}

# Seconds that a certificate is valid from before it is issued, 0 to 300: for clocks that lag.
backdate_seconds = {}

# Points an hour that a score loses, 0 to 100, and what the certificate says computed it.
decay_rate = {}
computation_method = {}

# The human behind an agent: \"hashed\" (salted, the CA keeps the salt) or \"plain\". Certificates are
# public, and logs keep them.
human_principal = \"{human_principal}\"

# The salt: 64 lower-case hexadecimal digits of 32 random octets. It is read where the human is
# hashed. Keep it secret, or names can be guessed, and back it up, or the same human gets another hash.
principal_salt_file = {}

# The most delegations below an agent, 0 to 255.
max_delegation_depth = {}

# The most certificates of one agent that have not ended. An agent that renews when it should has two
# or three; whoever holds a key and asks on and on gets no further.
max_live = {}

# The key of a renewed certificate: \"any\", \"new\" or \"same\" as before.
renewal_key = \"{renewal_key}\"

# Whether a spiffe:// name may stand beside the agent URI: of the same trust domain, org, type and
# instance, and no other.
spiffe = {}
",
            rules.default_validity_seconds,
            rules.min_validity_seconds,
            rules.max_validity_seconds,
            rules.backdate_seconds,
            rules.decay_rate.get(),
            quoted(rules.computation_method.as_str()),
            path("certificates.principal_salt_file", &rules.principal_salt_file)?,
            rules.max_delegation_depth,
            rules.max_live,
            rules.spiffe,
        ))
    }

    fn policy(&self) -> Result<String, ConfigError> {
        let policy = &self.policy;
        let manual_approval = match policy.manual_approval {
            ManualApproval::Never => "never",
            ManualApproval::Always => "always",
            ManualApproval::Unregistered => "unregistered",
        };
        let texts = |texts: &[Text]| list(texts.iter().map(|text| text.as_str().to_owned()));
        Ok(format!(
            "
[policy]
# Which requests wait for `atl ca requests approve`: \"never\", \"always\", or \"unregistered\" for those
# whose build the registry does not know.
manual_approval = \"{manual_approval}\"

# The least initial score that a certificate is issued for, 0 to 100.
min_score = {}

# Points in the initial score, 0 to 20, of an organisation that is not under [[organizations]].
default_reputation = {}

# Model families and frameworks that are known; with an empty list all are. An unknown one scores
# less, or is refused where `require_known_provenance` is true.
known_models = {}
known_frameworks = {}
require_known_provenance = {}

# Known-good builds: a file of signed entries, and the public key that signs them (Ed25519 or P-256,
# base64 of the DER SubjectPublicKeyInfo). Both or none.
{}",
            policy.min_score.get(),
            policy.default_reputation,
            texts(&policy.known_models),
            texts(&policy.known_frameworks),
            policy.require_known_provenance,
            registry(policy)?,
        ))
    }

    fn organizations(&self) -> String {
        let tables = self.organizations.iter().map(|organization| {
            let name = quoted(&organization.name);
            format!("\n[[organizations]]\nname = {name}\nreputation = {}\n", organization.reputation)
        });
        let example = "# [[organizations]]\n# name = \"payments\"\n# reputation = 18\n";
        let what = "What is known of organisations: points in the initial score, 0 to 20. `name` is the org segment of
# the agent URI, agent://<trust_domain>/org/type/instance: the enrolment token vouches for that. What
# an agent's evidence says of its organisation is the agent's own word and earns nothing.";
        tables_or(what, tables, example)
    }

    fn ceiling(&self) -> String {
        let what = "The most that any agent may be given: tools and scopes, with limits. Without a table there is no
# ceiling. In `spend_limit` amounts are minor units of the currency.";
        let example = "# [[capability_ceiling]]\n# tool_uri = \"mcp://payments.example.com\"\n# scope = \"transfers\"\n\
            # spend_limit = { max_per_transaction = 10000, max_per_period = 100000, period_seconds = 86400, currency = \"EUR\" }\n\
            # rate_limit = { max_requests = 100, period_seconds = 60 }\n";
        let capabilities = self.capability_ceiling.iter().flat_map(|ceiling| ceiling.as_slice());
        tables_or(what, capabilities.map(capability), example)
    }

    fn logs(&self) -> String {
        let tables = self.logs.iter().map(|log| {
            let (url, key, operator) = (quoted(&log.url), spki(log.key.spki_der()), quoted(&log.operator));
            format!("\n[[logs]]\nurl = {url}\nkey = {key}\noperator = {operator}\n")
        });
        let what = "The logs that every certificate is submitted to: base URL, public key (base64 of the DER
# SubjectPublicKeyInfo), and who runs it. From a score of 60 on a certificate needs timestamps of two
# operators. Without a log nothing can be issued.";
        let example = "# [[logs]]\n# url = \"https://log.example.com/2026h2\"\n\
            # key = \"MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"\n# operator = \"log.example.com\"\n";
        tables_or(what, tables, example)
    }

    fn issuance(&self) -> String {
        let rules = &self.issuance;
        format!(
            "
[issuance]
# Timestamps that every certificate has at least, 1 to 8, and no more than there are logs.
min_sats = {}

# Milliseconds that a log has to answer, how often it is asked, and milliseconds to wait for further
# timestamps once there are enough.
log_timeout_ms = {}
attempts = {}
straggler_ms = {}

# Seconds that a request may wait for approval.
pending_ttl_seconds = {}
",
            rules.min_sats, rules.log_timeout_ms, rules.attempts, rules.straggler_ms, rules.pending_ttl_seconds,
        )
    }

    fn operators(&self) -> String {
        let tables = self.operators.iter().map(|operator| {
            let hash = hex::encode(operator.token_sha256);
            format!("\n[[operators]]\nname = {}\ntoken_sha256 = \"{hash}\"\n", quoted(&operator.name))
        });
        let what = "Who may operate the CA over HTTP: a name for the audit table, and the SHA-256 of a token that only
# this person has: head -c 32 /dev/urandom | base64 | tr -d '\\n' | tee NAME.token | sha256sum";
        let example = "# [[operators]]\n# name = \"alice\"\n\
            # token_sha256 = \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"\n";
        tables_or(what, tables, example)
    }

    fn network(&self) -> Result<String, ConfigError> {
        Ok(format!(
            "
# Requests per second, and how many at once after a quiet time: from each address, and with each
# enrolment token or renewing agent.
[rate_limit]
per_source_per_second = {}
per_source_burst = {}
per_token_per_second = {}
per_token_burst = {}

# A TLS certificate (PEM files) in place of the one that the CA makes for its service.
{}
# An address of its own for /metrics. Without it metrics are served on `listen`.
{}",
            self.per_source.per_second,
            self.per_source.burst,
            self.per_token.per_second,
            self.per_token.burst,
            tls(self.tls.as_ref())?,
            metrics(self.metrics_listen),
        ))
    }

    fn federation(&self) -> Result<String, ConfigError> {
        let rules = &self.federation;
        let file = |key: &str, at: Option<&std::path::Path>, example: &str| match at {
            Some(at) => Ok(format!("{key} = {}\n", path(&format!("federation.{key}"), at)?)),
            None => Ok(format!("# {key} = \"{example}\"\n")),
        };
        Ok(format!(
            "
# Federation with other trust domains.
[federation]
# The key that signs our trust bundle (PEM, PKCS#8; keep it secret): others pin its public half, which
# `atl federation key` prints, and fetch the bundle from /.well-known/apki-trust-bundle. Without it no
# bundle is published.
{}
# What the bundle says: the least score that others should take our agents with, and how many seconds
# it holds, 60 to 604800. It is made anew every hour.
minimum_trust_score = {}
bundle_lifetime_seconds = {}

# The directory of `atl federation add`. Where it is set, the server keeps the bundles in it fresh.
{}",
            file("bundle_key", rules.bundle_key.as_deref(), "bundle-key.pem")?,
            rules.minimum_trust_score.get(),
            rules.bundle_lifetime_seconds,
            file("dir", rules.dir.as_deref(), "federation")?,
        ))
    }
}

fn registry(policy: &Policy) -> Result<String, ConfigError> {
    let example = "# registry_file = \"registry.json\"\n\
        # registry_key = \"MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"\n";
    let Some(registry) = &policy.registry else { return Ok(example.to_owned()) };
    let file = path("policy.registry_file", &registry.file)?;
    Ok(format!("registry_file = {file}\nregistry_key = {}\n", spki(registry.key.spki_der())))
}

fn capability(capability: &Capability) -> String {
    let (tool, scope) = (quoted(capability.tool_uri.as_str()), quoted(capability.scope.as_str()));
    let mut text = format!("\n[[capability_ceiling]]\ntool_uri = {tool}\nscope = {scope}\n");
    if let Some(limit) = &capability.spend_limit {
        let transaction = limit.max_per_transaction.map(|n| format!("max_per_transaction = {}, ", n.get()));
        let period = limit.max_per_period.map(|n| format!("max_per_period = {}, ", n.get()));
        let seconds = limit.period_seconds.map(|n| format!("period_seconds = {n}, "));
        let amounts: String = [transaction, period, seconds].into_iter().flatten().collect();
        text.push_str(&format!("spend_limit = {{ {amounts}currency = \"{}\" }}\n", limit.currency));
    }
    if let Some(limit) = &capability.rate_limit {
        let (calls, seconds) = (limit.max_requests, limit.period_seconds);
        text.push_str(&format!("rate_limit = {{ max_requests = {calls}, period_seconds = {seconds} }}\n"));
    }
    text
}
