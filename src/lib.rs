//! ATL, the Agent Transparency Log.
//!
//! AI agents identify themselves with short-lived certificates. This crate issues them, keeps the
//! public, append-only record of them, and has the proofs by which anybody can hold the record's
//! keeper to account.
//!
//! To run a CA or a log, or to see both, start with the README. To check what a log says, take this crate
//! without its default features and start with [`log`].
//!
//! # The floor plan
//!
//! Each floor imports only floors above it in this list. `tests/architecture.rs` holds us to it, to
//! the purity of the floors that promise it, and to the weight of each rung of features.
//!
//! ## Pure: no clock, no randomness, no I/O; `now` is an argument
//!
//! **[`wire`]** reads and writes the TLS presentation language, bounded: a length that a peer states
//! never makes us allocate more than is there, and what is read must be read to its end.
//!
//! **[`time`]** has moments in milliseconds since the Unix epoch, and [`time::Clock`], the one door
//! by which the present comes in. No other pure floor asks the system what time it is.
//!
//! **[`merkle`]** is the tree of RFC 9162 section 2.1 as functions: hashes, proofs made and verified,
//! tiles, and growth. Sizes, indices and hashes are types of their own. Whatever proof it is given,
//! it ends in a verdict, and a verdict of yes means that the roots follow from the leaves.
//!
//! **[`journal`]** is the chain of rows in which the CA and the trust engine keep what happened: each row
//! names the hash of the one before.
//!
//! **[`keys`]** signs and verifies with Ed25519 and ECDSA P-256, and derives the log
//! identifier from a key. Whoever has something signed sees a [`keys::Signer`] and no private key.
//!
//! **[`apki`]** is X.509 for agents: agent URIs, the extensions, certificates, the way from a final
//! certificate back to its precertificate, and chains to an anchor. It reads strict DER and nothing
//! else, so that one certificate has one encoding and one hash; and it verifies no more signatures
//! than an anchor stands behind. It says in which ways a child would have more than its parent
//! ([`apki::attenuation`]), reads and writes revocation lists and OCSP ([`apki::status`]), and has the
//! trust bundles by which domains know each other ([`apki::federation`]) with their signatures ([`apki::jws`]).
//!
//! **[`log`]** is what a log says and means: entries, signed agent timestamps, tree heads,
//! checkpoints, who is admitted, and what a reader may see under a head; and what others sign of a log:
//! witnesses ([`log::cosignature`], collected by [`log::witnessing`]) and monitors ([`log::audit`]), with the file
//! that a relying party checks offline ([`log::proof`]). It also draws the port that a store must fill ([`log::store`]): five calls, of
//! which one writes, as a whole or not at all.
//!
//! **[`verify`]** re-derives what a log serves, entry for entry, and says what does not follow. It has the relying
//! party ([`verify::relying`]): may this agent do this, now? One verdict, with every reason for a no; what it
//! verifies is bounded whatever is presented, and what needs a memory, such as a day's spending, is kept by a
//! ledger ([`verify::ledger`]). A signed action is judged by what was collected of it in one file, years
//! later, by the same rules ([`verify::evidence`]).
//!
//! **[`api`]** is the JSON, the queries and the problem documents on the wire, for servers and
//! clients alike. A request that was read is within its bounds; what status an error has is decided
//! in one table, [`api::Token`].
//!
//! ## Between agents (feature `tls`)
//!
//! **`tls`** runs the relying party's verdict inside a TLS handshake, on both sides: two agents know each other,
//! and what the other may do, before the first octet. It has no runtime and opens no connection: it works on
//! whatever stream it is given.
//!
//! ## The server (feature `server`, the default)
//!
//! **`sequencer`** gives submissions their place. There is one writer; a timestamp leaves behind a
//! synced commit, never before; a head is signed once its root is re-derived from what was read back
//! and proven to continue the head before it. What it cannot be sure of ends it, with the reason.
//!
//! **`ca`** is a certificate authority for agents. A command is decided by what is known (`decide`,
//! pure, and may refuse) and becomes events, from which all that the CA keeps follows (`apply`, which
//! cannot fail); each event is a row of a journal chained by hashes. The registration authority judges
//! and never signs; what is to be signed is read back with other eyes first; and logs are known by
//! their promises only, behind a port. Whoever is revoked is revoked with all that stands below it, in one
//! write, and no certificate that was under way meanwhile gets past it. All of it is pure but `ca::service`,
//! which has the clock, the randomness, the one writer, the issuances under way, and what is told of
//! revocations (`ca::service::status`: lists, and answers by OCSP that a revocation makes void).
//!
//! **`trust`** is the trust engine: what registered reporters say of an agent becomes its score, within
//! caps that no order of their signals beats. It is built as the CA is, with a journal of its own in which
//! every change of a score stands with its reason, and it may be run by somebody else: a CA reads scores
//! and cannot raise one. All of it is pure but `trust::service`.
//!
//! **`storage`** fills the ports of log, CA, trust engine and ledger with RocksDB, and with memory that fails on
//! demand for tests. How far a log, a journal or the numbers of revocation lists had come is kept a second time, in a
//! file apart from the database, so that a database put back from an older copy is seen. A relying party's ledger has
//! no such file: there it is not seen.
//!
//! **`client`** (feature `client`) calls log, CA and trust engine over the network, bounded in size and time.
//!
//! **`http`** is the HTTP API of the log, that of the CA and that of the trust engine: bounded before it is
//! parsed, limited per source and per anchor, token or reporter, described for machines (`/openapi.json`)
//! and held to that description. It sees ports, never a database, and shows a log's readers no more than a signed head
//! covers. CA and trust engine end TLS themselves, since the client's certificate is a credential; what a CA
//! tells of revocations is signed, and is served over plain HTTP as well. A reverse proxy asks the gateway whether an
//! agent may make a call (`http::gateway`), which is the relying party's verdict with a ledger behind it.
//!
//! **`config`** is what an operator, or a relying party, may set. An unknown key is refused, and a complaint names the
//! file, the key and what may stand there.
//!
//! **`cli`** is the program `atl`: the servers of log, CA and trust engine, their operators' commands, the
//! agent's side, the relying party's check and its gateway, evidence of what agents did, the pins of other domains, the words for
//! whatever is in a file (`inspect`), and the demo, which is made of these. One file per subcommand, and the one place
//! where the parts are put together. It ends with 0 for yes, 1 for a no that was asked for, 2 for a failure.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod api;
pub mod apki;
#[cfg(feature = "server")]
pub mod ca;
#[cfg(feature = "server")]
pub mod cli;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "server")]
pub mod config;
#[cfg(feature = "server")]
pub mod http;
pub mod journal;
pub mod keys;
pub mod log;
pub mod merkle;
#[cfg(feature = "server")]
pub mod sequencer;
#[cfg(feature = "server")]
pub mod storage;
pub mod time;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(feature = "server")]
pub mod trust;
pub mod verify;
pub mod wire;
