//! A question of the proxy: who shows which certificate, and wants what.

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, header};

use super::fault::Fault;
use super::routes::{Host, Routes};
use super::target::Target;
use super::{certificate, xfcc};
use crate::http::credentials::Holders;
use crate::verify::relying::{Operation, Spend};

/// The path that is asked; behind it Envoy has the client's own.
pub const AUTHORIZE: &str = "/authorize";

const SECRET: HeaderName = HeaderName::from_static("x-gateway-secret");
const ORIGINAL_METHOD: HeaderName = HeaderName::from_static("x-original-method");
const ORIGINAL_URI: HeaderName = HeaderName::from_static("x-original-uri");
const CLIENT_CERT: HeaderName = HeaderName::from_static("x-client-cert");
const FORWARDED_CLIENT_CERT: HeaderName = HeaderName::from_static("x-forwarded-client-cert");
/// What agents bring along: CAs and the agents above them.
pub const AGENT_CHAIN: HeaderName = HeaderName::from_static("x-agent-chain");

/// Which proxy asks. It decides which headers are believed, and what answers the proxy understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxy {
    /// nginx with `auth_request`: the client's request is in headers, and so is its certificate.
    Nginx,
    /// Envoy with `ext_authz` over HTTP: the client's request is this one, below a prefix.
    Envoy,
}

/// Whom to answer.
pub struct Caller {
    /// Which proxy it is.
    pub proxy: Proxy,
    /// SHA-256 of the secret that it shows, where it has to.
    pub secret_sha256: Option<[u8; 32]>,
}

/// What a proxy asks.
#[derive(Debug)]
pub struct Question {
    /// The certificates in DER: the agent's own, and those that came along.
    pub certificates: Vec<Vec<u8>>,
    /// What it wants to do.
    pub operation: Operation,
}

impl Caller {
    /// Reads a question.
    ///
    /// # Errors
    /// [`Fault`]
    pub fn read(&self, request: &Parts, routes: &Routes) -> Result<Question, Fault> {
        self.is_proxy(&request.headers)?;
        let certificates = self.certificates(&request.headers)?;
        let (method, target) = self.original(request)?;
        let target = Target::parse(target)?;
        let host = host(request)?;
        let route = routes.find(host.as_ref(), target.path(), &method)?;
        let spend = route.spend.as_ref().map(|spend| {
            let amount = spend.amount.read(&request.headers, target.query())?;
            Ok::<_, Fault>(Spend { amount, currency: spend.currency })
        });
        let (tool_uri, scope) = (route.tool_uri.clone(), route.scope.clone());
        Ok(Question { certificates, operation: Operation { tool_uri, scope, spend: spend.transpose()? } })
    }

    fn is_proxy(&self, headers: &HeaderMap) -> Result<(), Fault> {
        let Some(known) = self.secret_sha256 else { return Ok(()) };
        let shown = only(headers, &SECRET).ok().flatten().ok_or(Fault::Caller)?;
        Holders::new([(known, ())]).of(shown).copied().ok_or(Fault::Caller)
    }

    fn certificates(&self, headers: &HeaderMap) -> Result<Vec<Vec<u8>>, Fault> {
        let name = match self.proxy {
            Proxy::Nginx => CLIENT_CERT,
            Proxy::Envoy => FORWARDED_CLIENT_CERT,
        };
        let twice = Fault::Proxy("the client's certificate more than once, or not as text");
        let value = only(headers, &name).map_err(|()| twice)?.filter(|value| !value.is_empty());
        let value = value.ok_or(Fault::NoCertificate)?;
        let (header, read) = match self.proxy {
            Proxy::Nginx => ("X-Client-Cert", certificate::from_nginx(value).map(|leaf| vec![leaf])),
            Proxy::Envoy => ("X-Forwarded-Client-Cert", xfcc::from_envoy(value)),
        };
        let mut certificates = read.map_err(|error| Fault::Certificate { header, error })?;
        let chain = only(headers, &AGENT_CHAIN).map_err(|()| {
            let error = certificate::CertificateHeaderError::Base64;
            Fault::Chain(error)
        })?;
        if let Some(chain) = chain.filter(|chain| !chain.is_empty()) {
            certificates.extend(certificate::from_agent(chain).map_err(Fault::Chain)?);
        }
        Ok(certificates)
    }

    /// The method and the target of the client's own request.
    fn original<'a>(&self, request: &'a Parts) -> Result<(Method, &'a str), Fault> {
        match self.proxy {
            Proxy::Nginx => {
                let method = only(&request.headers, &ORIGINAL_METHOD).ok().flatten();
                let method = method.and_then(|method| Method::from_bytes(method.as_bytes()).ok());
                let target = only(&request.headers, &ORIGINAL_URI).ok().flatten();
                let missing = Fault::Proxy("no X-Original-Method and X-Original-URI, each once");
                method.zip(target).ok_or(missing)
            }
            Proxy::Envoy => {
                let target = request.uri.path_and_query().map_or("", |target| target.as_str());
                // Without anything behind the prefix there is no path of the client's.
                let target = target.strip_prefix(AUTHORIZE).filter(|target| target.starts_with('/'));
                Ok((request.method.clone(), target.ok_or(Fault::Proxy("no path behind the prefix /authorize"))?))
            }
        }
    }
}

/// The host of a request: of HTTP/2 its authority, else the one `Host` header.
fn host(request: &Parts) -> Result<Option<Host>, Fault> {
    let refuse = || Fault::Proxy("a Host that is none, or more than one");
    let authority = request.uri.authority().map(|authority| authority.as_str());
    let header = only(&request.headers, &header::HOST).map_err(|()| refuse())?;
    match (authority, header) {
        (None, None) => Ok(None),
        (Some(one), Some(other)) if !one.eq_ignore_ascii_case(other) => Err(refuse()),
        (Some(host), _) | (None, Some(host)) => Host::parse(host).map(Some).ok_or_else(refuse),
    }
}

/// The value of a header that may stand there once, in visible characters.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, ()> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(drop),
        (Some(_), Some(_)) => Err(()),
    }
}
