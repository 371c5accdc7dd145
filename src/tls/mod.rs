//! Mutual TLS between agents, with the verdict inside the handshake (draft section 11.2, RFC 8446).
//!
//! Two agents meet as peers: each presents its certificates, each proves that it holds its key, and each asks
//! its own relying party ([`crate::verify::relying`]) whether the other may do what the connection is for: trust
//! anchor, timestamps, score, delegation, revocation, scope. No octet of either application passes before.
//!
//! An [`Endpoint`] is one agent's side: its [`Identity`], the [`Material`] that it judges by, and a clock. What is
//! replaced in it ([`Endpoint::replace`], [`Endpoint::present`]) counts from the next handshake on; connections
//! that are there go on, and [`Endpoint::recheck`] says whether they still should: none outlives the certificate
//! that it began with, where the application asks at [`PeerIdentity::good_until`]. A connection says whom it is
//! with, so that an application needs no list of keys or host names: host names mean nothing here, and are not sent.
//!
//! ```no_run
//! use std::{io::Write, net::TcpStream, sync::Arc};
//! use atl::tls::{Endpoint, Expected, Identity, Material};
//! # fn f(party: atl::verify::relying::RelyingParty, chain: &str, parents: &str, key: &str)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! let identity = Identity::from_pem(chain, parents, key)?;
//! let endpoint = Endpoint::new(identity, Material::new(party), Arc::new(atl::time::SystemClock));
//! let bank = Expected::agent(&"agent://bank.example.com/retail/teller/7".parse()?);
//! let mut channel = endpoint.connect(TcpStream::connect("bank.example.com:7443")?, &bank)?;
//! println!("{} is {}", channel.peer().agent(), channel.peer().tier().name());
//! channel.write_all(b"hello")?;
//! # Ok(()) }
//! ```
//!
//! # What is presented
//! The TLS certificate list has the agent's certificate, its CAs behind it, then the agents above it up to the
//! one that a human answers for, each with its own CAs where these are others: what
//! [`Presented::from_der`](crate::verify::relying::Presented::from_der) reads. A server staples an OCSP answer
//! ([`Identity::with_staple`]), which counts as a fact once it is seen to be the issuer's; a client cannot (TLS
//! 1.3 as rustls has it), so what is to be known of clients' revocation comes with the [`Material`].
//!
//! # Two modes
//! [`Mode::Strict`] refuses inside the handshake. It is plain TLS 1.3, for whatever protocol runs on it. The
//! refused side learns what an alert can say ([`Alert`]); and the side that connects learns it with its first
//! read, since in TLS 1.3 it may write before its certificate was looked at. Its octets are read by nobody.
//!
//! [`Mode::Explain`] proves in the handshake who the peer is (chain, profile, timestamps, revocation, and that it
//! is whom one wants to talk to), and refuses by alert where that fails. What it may do is told right behind the
//! handshake: each side says in one line what it thinks of the other, the accepting side first, and whoever is
//! refused gets the reasons ([`TurnedAway`]). Strangers are told nothing. There is no stream before both lines
//! were a yes: [`Endpoint::connect`] and [`Endpoint::accept`] give a [`Channel`] or an error. Both sides have to
//! be in this mode; the ALPN name `atl-explain/1` sees to it.
//!
//! # What rustls is told
//! TLS 1.3 alone; signatures by Ed25519 and ECDSA P-256 with SHA-256 alone; client certificates are mandatory; no
//! session is resumed, since a resumed one would bring in a certificate that is not looked at again; no hints of
//! CAs, which would tell strangers whom one trusts.

mod alert;
mod channel;
mod endpoint;
mod error;
mod explain;
mod identity;
mod material;
mod peer;
mod verifier;

pub use self::alert::Alert;
pub use self::channel::Channel;
pub use self::endpoint::Endpoint;
pub use self::error::TlsError;
pub use self::explain::{ALPN, Told, TurnedAway};
pub use self::identity::{Identity, IdentityError};
pub use self::material::{Expected, Material, Mode};
pub use self::peer::PeerIdentity;
pub use self::verifier::{AgentVerifier, Meeting};
