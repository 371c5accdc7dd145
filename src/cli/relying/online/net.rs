//! The way to servers of others, bounded.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Url};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::apki::chain::Anchors;
use crate::cli::agent::tls::http_client;
use crate::cli::log::open::read_certificates;
use crate::cli::output::{CliError, Context};
use crate::client::ClientError;
use crate::config::relying::Fetch;

/// Most calls under way at once: what is held of their answers is as many times the longest one.
const AT_ONCE: usize = 4;

/// A client with a deadline for all of its calls together.
#[derive(Clone)]
pub struct Net {
    /// The client for what certificates name.
    pub http: Client,
    hosts: Option<Vec<String>>,
    slots: Arc<Semaphore>,
    deadline: Instant,
    seconds: u32,
}

impl Net {
    /// The network until the time of `rules` is over. Making one is slow; [`again`](Self::again) is not.
    pub fn open(rules: &Fetch) -> Result<Self, CliError> {
        let roots = rules.ca_roots.as_ref().map(|file| {
            Anchors::new(read_certificates(file)?).context(format_args!("{} (`fetch.ca_roots`)", file.display()))
        });
        Ok(Self {
            http: http_client(roots.transpose()?, None).context("the HTTP client")?,
            hosts: rules.hosts.clone(),
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            deadline: Instant::now() + Duration::from_secs(rules.timeout_seconds.into()),
            seconds: rules.timeout_seconds,
        })
    }

    /// The same network, with all of its time before it.
    #[must_use]
    pub fn again(&self) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            deadline: Instant::now() + Duration::from_secs(self.seconds.into()),
            ..self.clone()
        }
    }

    /// Whether a URL that a certificate names may be asked.
    ///
    /// # Errors
    /// Why not.
    pub fn admit(&self, url: &str) -> Result<(), String> {
        let read = Url::parse(url).map_err(|e| format!("{url:?} is no URL: {e}"))?;
        if !matches!(read.scheme(), "http" | "https") {
            return Err(format!("{url:?} is neither http nor https"));
        }
        if !read.username().is_empty() || read.password().is_some() {
            return Err(format!("{url:?} has a user in it"));
        }
        let host = read.host_str().unwrap_or_default();
        match &self.hosts {
            Some(hosts) if !hosts.iter().any(|known| known == host) => {
                Err(format!("{url:?} was not asked: its host is not one of `fetch.hosts`"))
            }
            _ => Ok(()),
        }
    }

    /// What a call gives before the time is over.
    ///
    /// # Errors
    /// Why there is nothing.
    pub async fn within<T>(&self, call: impl Future<Output = Result<T, ClientError>>) -> Result<T, ClientFailure> {
        let in_turn = async {
            // It is never closed; were it, the call would go on without a turn.
            let _turn = self.slots.acquire().await;
            call.await
        };
        match timeout_at(self.deadline, in_turn).await {
            Ok(answer) => answer.map_err(ClientFailure::Client),
            Err(_) => Err(ClientFailure::Late(self.seconds)),
        }
    }
}

/// Why a server gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum ClientFailure {
    /// The call failed.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The time for all calls together was over.
    #[error("no answer within the {0} s of `fetch.timeout_seconds`")]
    Late(u32),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RelyingConfig;

    fn rules(hosts: Option<&[&str]>) -> Fetch {
        let hosts = hosts.map(|hosts| hosts.iter().map(|&host| host.to_owned()).collect());
        Fetch { hosts, ..RelyingConfig::new(Vec::new(), Vec::new()).fetch.unwrap() }
    }

    fn net(rules: &Fetch) -> Net {
        Net::open(rules).unwrap()
    }

    #[test]
    fn only_hosts_that_may_be_asked_are() {
        let any = net(&rules(None));
        let some = net(&rules(Some(&["ca.example.com", "[::1]"])));
        for url in ["http://ca.example.com/ocsp", "https://CA.example.com:8443/crl/1", "http://[::1]:80/"] {
            assert!(any.admit(url).is_ok() && some.admit(url).is_ok(), "{url}");
        }
        for url in ["http://other.example.com/ocsp", "http://ca.example.com.evil.example/", "http://169.254.169.254/x"]
        {
            assert!(any.admit(url).is_ok() && some.admit(url).unwrap_err().contains("fetch.hosts"), "{url}");
        }
        for url in ["ldap://ca.example.com/x", "file:///etc/passwd", "ca.example.com", "", "http://a:b@ca.example.com/"]
        {
            assert!(any.admit(url).is_err() && some.admit(url).is_err(), "{url}");
        }
    }

    #[tokio::test]
    async fn nobody_is_waited_for_longer_than_all_may_take() {
        let over = Net { deadline: Instant::now(), ..net(&rules(None)) };
        let never = std::future::pending::<Result<(), ClientError>>();
        assert!(matches!(over.within(never).await, Err(ClientFailure::Late(10))));
        let net = net(&rules(None));
        assert_eq!(net.within(async { Ok(1) }).await.unwrap(), 1);
        // Whoever has no turn waits for one, as long as there is time.
        let turns = net.slots.acquire_many(AT_ONCE as u32).await.unwrap();
        let late = Net { deadline: Instant::now(), ..net.clone() };
        assert!(matches!(late.within(async { Ok(1) }).await, Err(ClientFailure::Late(10))));
        // Each verification has turns of its own.
        assert_eq!(net.again().within(async { Ok(3) }).await.unwrap(), 3);
        drop(turns);
        assert_eq!(net.within(async { Ok(2) }).await.unwrap(), 2);
    }
}
