use std::collections::BTreeMap;
use std::path::PathBuf;

use super::*;

const SALT: [u8; 32] = [7; 32];

fn configured(more: &str) -> CaConfig {
    let needed = ["trust_domain = \"agents.example.com\"", "organization = \"Example Bank\""];
    let key = |line: &str| line.split_once(" = ").map(|(key, _)| key.to_owned());
    let left = needed.iter().filter(|line| key(line) != key(more));
    let text = left.copied().chain([more]).collect::<Vec<_>>().join("\n");
    CaConfig::parse(&text, Path::new("/etc/atl"), "ca.toml").unwrap()
}

fn of(more: &str) -> Policy {
    policy(&configured(more), Some(SALT), Registry::default()).unwrap()
}

/// Every field in words; one that is added to the rules has to be added here.
fn fields(policy: Policy) -> BTreeMap<&'static str, String> {
    let Policy {
        trust_domain,
        attestor,
        validity: ValidityRule { min, default, max },
        decay_rate,
        computation_method,
        principal,
        max_delegation_depth,
        renewal_key,
        spiffe,
        approval,
        pending_ttl_ms,
        min_score,
        default_reputation,
        reputations,
        provenance: ProvenanceRule { models, frameworks, required },
        // An argument: nothing of the configuration's values.
        registry: _,
        ceiling,
        delegation: DelegationRule { min_score: parent_score, mode, same_org, max_children },
        trust: TrustRule { reissue_change, revoke_below },
        max_live,
    } = policy;
    let principal = match principal {
        PrincipalRule::Hashed { salt } => format!("hashed {}", hex::encode(salt)),
        PrincipalRule::Plain => "plain".to_owned(),
    };
    BTreeMap::from([
        ("trust_domain", trust_domain),
        ("attestor", attestor.as_str().to_owned()),
        ("validity.min", min.to_string()),
        ("validity.default", default.to_string()),
        ("validity.max", max.to_string()),
        ("decay_rate", decay_rate.get().to_string()),
        ("computation_method", computation_method.as_str().to_owned()),
        ("principal", principal),
        ("max_delegation_depth", max_delegation_depth.to_string()),
        ("delegation.min_score", parent_score.get().to_string()),
        ("delegation.mode", format!("{mode:?}")),
        ("delegation.same_org", same_org.to_string()),
        ("delegation.max_children", max_children.to_string()),
        ("trust.reissue_change", reissue_change.to_string()),
        ("trust.revoke_below", revoke_below.get().to_string()),
        ("max_live", max_live.to_string()),
        ("renewal_key", format!("{renewal_key:?}")),
        ("spiffe", spiffe.to_string()),
        ("approval", format!("{approval:?}")),
        ("pending_ttl_ms", pending_ttl_ms.to_string()),
        ("min_score", min_score.get().to_string()),
        ("default_reputation", default_reputation.to_string()),
        ("reputations", format!("{reputations:?}")),
        ("provenance.models", models.join(" ")),
        ("provenance.frameworks", frameworks.join(" ")),
        ("provenance.required", required.to_string()),
        (
            "ceiling",
            ceiling.map_or("none".to_owned(), |ceiling| {
                ceiling.as_slice().iter().map(|c| format!("{} {}", c.tool_uri.as_str(), c.scope.as_str())).collect()
            }),
        ),
    ])
}

#[test]
fn the_defaults() {
    let hashed = format!("hashed {}", "07".repeat(32));
    let expected = BTreeMap::from([
        ("trust_domain", "agents.example.com"),
        ("attestor", "Example Bank"),
        ("validity.min", "300"),
        ("validity.default", "3600"),
        ("validity.max", "86400"),
        ("decay_rate", "2"),
        ("computation_method", "atl-initial-1"),
        ("principal", hashed.as_str()),
        ("max_delegation_depth", "5"),
        ("delegation.min_score", "40"),
        ("delegation.mode", "Strict"),
        ("delegation.same_org", "true"),
        ("delegation.max_children", "1000"),
        ("trust.reissue_change", "10"),
        ("trust.revoke_below", "20"),
        ("max_live", "64"),
        ("renewal_key", "Any"),
        ("spiffe", "false"),
        ("approval", "Never"),
        ("pending_ttl_ms", "604800000"),
        ("min_score", "20"),
        ("default_reputation", "10"),
        ("reputations", "{}"),
        ("provenance.models", ""),
        ("provenance.frameworks", ""),
        ("provenance.required", "false"),
        ("ceiling", "none"),
    ]);
    assert_eq!(fields(of("")), expected.into_iter().map(|(name, value)| (name, value.to_owned())).collect());
}

/// Each key of the configuration changes its field of the rules, and no other.
#[test]
fn each_key_changes_its_field() {
    let cases = [
        ("trust_domain = \"b.example\"", "trust_domain", "b.example"),
        ("organization = \"Other\"", "attestor", "Other"),
        ("certificates.min_validity_seconds = 301", "validity.min", "301"),
        ("certificates.default_validity_seconds = 301", "validity.default", "301"),
        ("certificates.max_validity_seconds = 3601", "validity.max", "3601"),
        ("certificates.decay_rate = 7", "decay_rate", "7"),
        ("certificates.computation_method = \"ours\"", "computation_method", "ours"),
        ("certificates.human_principal = \"plain\"", "principal", "plain"),
        ("certificates.max_delegation_depth = 255", "max_delegation_depth", "255"),
        ("certificates.max_delegation_depth = 0", "max_delegation_depth", "0"),
        ("certificates.max_live = 2", "max_live", "2"),
        ("delegation.min_score = 60", "delegation.min_score", "60"),
        ("delegation.strict_subset = false", "delegation.mode", "Subset"),
        ("delegation.same_org = false", "delegation.same_org", "false"),
        ("delegation.max_children = 3", "delegation.max_children", "3"),
        ("trust.reissue_change = 5", "trust.reissue_change", "5"),
        ("trust.revoke_below = 30", "trust.revoke_below", "30"),
        ("certificates.renewal_key = \"new\"", "renewal_key", "New"),
        ("certificates.renewal_key = \"same\"", "renewal_key", "Same"),
        ("certificates.spiffe = true", "spiffe", "true"),
        ("policy.manual_approval = \"always\"", "approval", "Always"),
        ("policy.manual_approval = \"unregistered\"", "approval", "Unregistered"),
        ("issuance.pending_ttl_seconds = 7776000", "pending_ttl_ms", "7776000000"),
        ("policy.min_score = 40", "min_score", "40"),
        ("policy.default_reputation = 0", "default_reputation", "0"),
        (
            "organizations = [{ name = \"b\", reputation = 3 }, { name = \"a\", reputation = 20 }]",
            "reputations",
            "{\"a\": 20, \"b\": 3}",
        ),
        ("policy.known_models = [\"x\", \"y\"]", "provenance.models", "x y"),
        ("policy.known_frameworks = [\"z\"]", "provenance.frameworks", "z"),
        ("policy.require_known_provenance = true", "provenance.required", "true"),
        ("capability_ceiling = [{ tool_uri = \"mcp://t\", scope = \"s\" }]", "ceiling", "mcp://t s"),
    ];
    let default = fields(of(""));
    let mut changed: Vec<_> = cases.iter().map(|(_, field, _)| *field).collect();
    for (line, field, value) in cases {
        let mut expected = default.clone();
        assert_ne!(expected.insert(field, value.to_owned()).as_deref(), Some(value), "{line}");
        assert_eq!(fields(of(line)), expected, "{line}");
    }
    changed.sort_unstable();
    changed.dedup();
    assert_eq!(changed, default.into_keys().collect::<Vec<_>>());
}

#[test]
fn a_salt_is_needed_to_hash_and_for_nothing_else() {
    let refused = policy(&configured(""), None, Registry::default()).unwrap_err().to_string();
    assert!(refused.contains("`certificates.human_principal`") && refused.contains("salt"), "{refused}");
    let plain = configured("certificates.human_principal = \"plain\"");
    assert!(policy(&plain, None, Registry::default()).unwrap().principal == PrincipalRule::Plain);
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

#[test]
fn a_salt_is_64_digits() {
    let place = Place::new();
    let digits: String = (0..32).map(|n| format!("{:02x}", n * 8 + 7)).collect();
    let salt: [u8; 32] = std::array::from_fn(|n| u8::try_from(n * 8 + 7).unwrap());
    assert_eq!(read_salt(&place.file("salt", format!("{digits}\n"))).unwrap(), salt);
    // An editor or a vault may have taken the newline.
    assert_eq!(read_salt(&place.file("salt", &digits)).unwrap(), salt);
    let bad = [
        String::new(),
        "\n".to_owned(),
        digits[1..].to_owned(),
        digits[2..].to_owned(),
        format!("{digits}00"),
        format!("{digits}\n\n"),
        format!("{digits}\r\n"),
        format!(" {digits}"),
        digits.to_uppercase(),
        digits.replacen('0', "g", 1),
    ];
    for text in bad {
        let refused = read_salt(&place.file("salt", &text)).unwrap_err().to_string();
        assert!(refused.contains("salt: 64 lower-case") && refused.contains("backup"), "{text:?}: {refused}");
        assert!(text.len() < 60 || !refused.contains(text.trim()), "{refused}");
    }
    assert!(read_salt(&place.file("salt", [0xff; 64])).is_err());
    let refused = read_salt(&place.0.path().join("nowhere")).unwrap_err().to_string();
    assert!(refused.contains("nowhere: ") && refused.contains("backup"), "{refused}");
}

#[test]
fn a_registry_that_is_named_is_there() {
    assert!(read_registry(&configured("")).is_ok());
    let key = "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    let named = configured(&format!("policy = {{ registry_file = \"nowhere.json\", registry_key = \"{key}\" }}"));
    let refused = read_registry(&named).unwrap_err().to_string();
    assert!(refused.contains("/etc/atl/nowhere.json: "), "{refused}");
}
