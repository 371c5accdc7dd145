//! Ranges and shapes of a gateway's configuration.

use std::path::{Path, PathBuf};

use super::raw::{Raw, RawLedger, RawRoute, RawSpend};
use super::{AmountFrom, GatewayConfig, Kept, Ledger, Listen, Refresh, Route, Spend};
use crate::apki::capabilities::{Amount, Currency};
use crate::apki::extension::{AsciiText, Text};
use crate::config::ConfigError;
use crate::config::check::Check;

/// What stands in front of the path of a socket.
const UNIX: &str = "unix:";
/// The longest path that a socket can have.
const MAX_SOCKET: usize = 107;

impl Check<'_> {
    /// The configuration of a gateway.
    pub(super) fn gateway(&self, raw: Raw, base: &Path) -> Result<GatewayConfig, ConfigError> {
        let listen = self.gateway_listen(&raw.listen, base)?;
        let secret = raw.secret_sha256.map(|text| self.token_sha256("secret_sha256", &text)).transpose()?;
        if let (Listen::Tcp(address), None) = (&listen, secret)
            && !address.ip().to_canonical().is_loopback()
        {
            let allowed = "whoever may ask may say who a client is: where others than this machine reach `listen`, \
                `secret_sha256` has to say by which secret the proxy is known";
            return self.refuse("listen", format!("\"{address}\""), allowed);
        }
        let routes = self.each("routes", raw.routes, Self::route)?;
        if routes.is_empty() {
            return self.refuse("routes", "empty", "what no route names is refused, so there must be one at least");
        }
        let named = routes.iter().filter(|route| route.host.is_some()).count();
        if named != 0 && named != routes.len() {
            let allowed =
                "either each route has a `host` or none: otherwise a client chooses its routes by a host of its own";
            return self.refuse("routes", "mixed", allowed);
        }
        let metrics = raw.metrics.listen.map(|text| self.address("metrics.listen", &text));
        Ok(GatewayConfig {
            relying_party: self.path("relying_party", base, raw.relying_party)?,
            issuers: raw.issuers.map(|path| self.path("issuers", base, path)).transpose()?,
            audits: raw.audits.map(|path| self.path("audits", base, path)).transpose()?,
            proxy: raw.proxy,
            listen,
            secret_sha256: secret,
            routes,
            ledger: self.ledger(raw.ledger, base)?,
            refresh: Refresh {
                files_seconds: self.number("refresh.files_seconds", raw.refresh.files_seconds, 1, 3600)?,
                lists_seconds: self.number("refresh.lists_seconds", raw.refresh.lists_seconds, 1, 86_400)?,
                ocsp_seconds: self.number("refresh.ocsp_seconds", raw.refresh.ocsp_seconds, 0, 86_400)?,
            },
            metrics_listen: metrics.transpose()?,
        })
    }

    fn gateway_listen(&self, text: &str, base: &Path) -> Result<Listen, ConfigError> {
        match text.strip_prefix(UNIX) {
            None => self.address("listen", text).map(Listen::Tcp),
            Some(path) => {
                let path = self.path("listen", base, PathBuf::from(path))?;
                if path.as_os_str().len() > MAX_SOCKET {
                    let allowed = format!("the path of a socket has at most {MAX_SOCKET} octets");
                    return self.refuse("listen", path.display(), &allowed);
                }
                Ok(Listen::Unix(path))
            }
        }
    }

    fn route(&self, at: &str, raw: RawRoute) -> Result<Route, ConfigError> {
        if !raw.path.starts_with('/') {
            let allowed = "it must be a path such as \"/accounts\", which stands for all below it too";
            return self.refuse(&format!("{at}.path"), format!("{:?}", raw.path), allowed);
        }
        for (place, method) in raw.methods.iter().enumerate() {
            if method.is_empty() || !method.bytes().all(|c| c.is_ascii_uppercase() || c == b'-') {
                let allowed = "it must be a method in capitals such as \"GET\"";
                return self.refuse(&format!("{at}.methods[{place}]"), format!("{method:?}"), allowed);
            }
        }
        let (tool, scope) = (format!("{at}.tool_uri"), format!("{at}.scope"));
        Ok(Route {
            host: raw.host,
            path: raw.path,
            methods: raw.methods,
            tool_uri: self.value(&tool, format!("{:?}", raw.tool_uri), AsciiText::new(raw.tool_uri.as_str()))?,
            scope: self.value(&scope, format!("{:?}", raw.scope), Text::new(raw.scope.as_str()))?,
            spend: raw.spend.map(|spend| self.spend(&format!("{at}.spend"), spend)).transpose()?,
        })
    }

    fn spend(&self, at: &str, raw: RawSpend) -> Result<Spend, ConfigError> {
        let amount = match (raw.amount, raw.amount_header, raw.amount_query) {
            (Some(amount), None, None) => {
                let key = format!("{at}.amount");
                let minor_units: u64 = self.number(&key, amount, 0, i64::MAX)?;
                AmountFrom::Fixed(self.value(&key, minor_units, Amount::new(minor_units))?)
            }
            (None, Some(name), None) => AmountFrom::Header(self.parameter(&format!("{at}.amount_header"), name)?),
            (None, None, Some(name)) => AmountFrom::Query(self.parameter(&format!("{at}.amount_query"), name)?),
            _ => {
                let allowed =
                    "it must say where the amount is, in one way: `amount`, `amount_header` or `amount_query`";
                return self.refuse(at, "ambiguous", allowed);
            }
        };
        let currency = Currency::new(&raw.currency);
        Ok(Spend { amount, currency: self.value(&format!("{at}.currency"), format!("{:?}", raw.currency), currency)? })
    }

    fn parameter(&self, key: &str, name: String) -> Result<String, ConfigError> {
        let letter = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_');
        if (1..=64).contains(&name.len()) && name.bytes().all(letter) {
            return Ok(name);
        }
        self.refuse(key, format!("{name:?}"), "it must be a name of 1 to 64 letters, digits, `-` and `_`")
    }

    fn ledger(&self, raw: RawLedger, base: &Path) -> Result<Ledger, ConfigError> {
        let kept = match (raw.memory, raw.dir) {
            (true, None) => Kept::Memory,
            (true, Some(_)) => {
                return self.refuse("ledger.memory", "true", "a ledger in memory has no `dir`: drop one of the two");
            }
            (false, dir) => {
                let dir = dir.unwrap_or_else(|| "ledger".into());
                Kept::Dir(self.path("ledger.dir", base, dir)?)
            }
        };
        Ok(Ledger { kept, counters: self.number("ledger.counters", raw.counters, 1, 100_000_000)? })
    }
}
