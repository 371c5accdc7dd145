use super::*;

const LEAST: &str = "relying_party = \"rp.toml\"\nproxy = \"nginx\"\n\
    [[routes]]\npath = \"/a\"\ntool_uri = \"https://x/\"\nscope = \"s\"\n";

fn parse(text: &str) -> Result<GatewayConfig, String> {
    GatewayConfig::parse(text, Path::new("/etc/atl"), "gateway.toml").map_err(|error| error.to_string())
}

/// The least configuration with lines in front and behind.
fn with(before: &str, behind: &str) -> Result<GatewayConfig, String> {
    parse(&format!("{before}\n{LEAST}{behind}\n"))
}

#[test]
fn little_has_to_be_said() {
    let config = parse(LEAST).unwrap();
    let route = Route {
        host: None,
        path: "/a".into(),
        methods: Vec::new(),
        tool_uri: AsciiText::new("https://x/").unwrap(),
        scope: Text::new("s").unwrap(),
        spend: None,
    };
    let expected = GatewayConfig {
        relying_party: "/etc/atl/rp.toml".into(),
        issuers: None,
        audits: None,
        proxy: Proxy::Nginx,
        listen: Listen::Tcp("127.0.0.1:8446".parse().unwrap()),
        secret_sha256: None,
        routes: vec![route],
        ledger: Ledger { kept: Kept::Dir("/etc/atl/ledger".into()), counters: 100_000 },
        refresh: Refresh { files_seconds: 10, lists_seconds: 300, ocsp_seconds: 60 },
        metrics_listen: None,
    };
    assert_eq!(config, expected);
}

#[test]
fn everything_can_be_said() {
    let secret = "aa".repeat(32);
    let before = format!(
        "listen = \"[2001:db8::1]:9\"\nsecret_sha256 = \"{secret}\"\nissuers = \"/x/cas.pem\"\n\
        ledger = {{ memory = true, counters = 7 }}\n\
        refresh = {{ files_seconds = 1, lists_seconds = 2, ocsp_seconds = 0 }}\n\
        metrics = {{ listen = \"127.0.0.1:9090\" }}"
    );
    let behind = "[routes.spend]\namount_header = \"X-Amount\"\ncurrency = \"GBP\"\n\
        [[routes]]\npath = \"/b\"\nmethods = [\"POST\", \"PUT\"]\ntool_uri = \"mcp://x\"\n\
        scope = \"\"\nspend = { amount = 5, currency = \"EUR\" }\n\
        [[routes]]\npath = \"/c\"\ntool_uri = \"mcp://x\"\nscope = \"s\"\n\
        spend = { amount_query = \"amount\", currency = \"EUR\" }\n";
    let config = with(&before, behind).unwrap();
    assert_eq!(config.secret_sha256, Some([0xaa; 32]));
    assert_eq!(config.ledger, Ledger { kept: Kept::Memory, counters: 7 });
    let amounts: Vec<_> = config.routes.iter().map(|route| route.spend.clone().unwrap().amount).collect();
    let fixed = AmountFrom::Fixed(Amount::new(5).unwrap());
    assert_eq!(amounts, [AmountFrom::Header("X-Amount".into()), fixed, AmountFrom::Query("amount".into())]);
    assert_eq!(config.routes[1].methods, ["POST", "PUT"]);
    assert_eq!(config.refresh, Refresh { files_seconds: 1, lists_seconds: 2, ocsp_seconds: 0 });
    let socket = with("listen = \"unix:run/gateway.sock\"", "").unwrap();
    assert_eq!(socket.listen, Listen::Unix("/etc/atl/run/gateway.sock".into()));
}

#[test]
fn a_complaint_names_the_key_and_what_may_stand_there() {
    let long = format!("listen = \"unix:/{}\"", "x".repeat(107));
    let route = "[[routes]]\npath = \"/b\"\ntool_uri = \"x\"\nscope = \"s\"\n";
    let cases = [
        ("listen = \"0.0.0.0:80\"", "", "`listen` is \"0.0.0.0:80\": whoever may ask"),
        ("listen = \"localhost:80\"", "", "`listen` is \"localhost:80\": it must be an IP address"),
        ("listen = \"unix:\"", "", "`listen` is \"\": it must be a path"),
        (&long, "", "the path of a socket has at most 107 octets"),
        ("secret_sha256 = \"hello\"", "", "`secret_sha256` is 5 characters of something else"),
        ("[refresh]\nfiles_seconds = 0", "", "unknown field"),
        ("refresh = { files_seconds = 0 }", "", "`refresh.files_seconds` is 0: allowed is 1 to 3600"),
        ("ledger = { memory = true, dir = \"x\" }", "", "`ledger.memory` is true"),
        ("ledger = { counters = 0 }", "", "`ledger.counters` is 0"),
        ("nobody = 1", "", "unknown field `nobody`"),
        ("", "methods = [\"get\"]", "`routes[0].methods[0]` is \"get\""),
        ("", "spend = { currency = \"GBP\" }", "`routes[0].spend` is ambiguous"),
        ("", "spend = { amount = 1, amount_query = \"a\", currency = \"GBP\" }", "`routes[0].spend` is ambiguous"),
        ("", "spend = { amount = -1, currency = \"GBP\" }", "`routes[0].spend.amount` is -1"),
        ("", "spend = { amount = 1, currency = \"gbp\" }", "`routes[0].spend.currency` is \"gbp\""),
        ("", "spend = { amount_query = \"a b\", currency = \"GBP\" }", "`routes[0].spend.amount_query` is \"a b\""),
        ("", &route.replace("path", "host = \"api.example\"\npath"), "`routes` is mixed"),
        ("", &route.replace("\"/b\"", "\"b\""), "`routes[1].path` is \"b\""),
        ("", &route.replace("\"x\"", "\"\u{e4}\""), "`routes[1].tool_uri` is \"\u{e4}\""),
    ];
    for (before, behind, expected) in cases {
        let error = with(before, behind).unwrap_err();
        assert!(error.contains("gateway.toml: ") && error.contains(expected), "{before}{behind}: {error}");
    }
    let none = parse("relying_party = \"rp.toml\"\nproxy = \"nginx\"\n").unwrap_err();
    assert!(none.contains("`routes` is empty"), "{none}");
    assert!(parse(&LEAST.replace("nginx", "apache")).is_err());
}
