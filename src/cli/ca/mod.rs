//! `atl ca ...`: a CA set up, put together, and operated.

pub mod audit;
mod authority;
pub mod bundle;
pub mod certificate;
pub mod certificates;
mod emergency;
pub mod engine;
pub mod init;
pub mod keyfile;
pub mod lineage;
pub mod operator;
pub mod policy;
pub mod registry;
pub mod requests;
mod revoke;
pub mod root;
mod root_keeper;
mod root_list;
mod root_signer;
pub mod serve;
mod service_tls;
mod status;
pub mod submitter;
pub mod tls;
pub mod token;

use clap::Subcommand;

use super::output::CliError;

/// The subcommands of `atl ca`.
#[derive(Subcommand)]
pub enum CaCommand {
    Init(init::InitArgs),
    /// The ceremonies of the offline root key.
    #[command(subcommand)]
    Root(root::RootCommand),
    Serve(serve::ServeArgs),
    /// Mint and withdraw enrolment tokens.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// What waits for an operator.
    #[command(subcommand)]
    Requests(requests::RequestsCommand),
    /// What the CA has issued.
    #[command(subcommand)]
    Certificates(certificates::CertificatesCommand),
    Revoke(revoke::RevokeArgs),
    Lineage(lineage::LineageArgs),
    /// The builds known to be good, which make an attestation caVerified.
    #[command(subcommand)]
    Registry(registry::RegistryCommand),
    /// The journal: export it, follow its chain.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
}

/// Runs one.
pub fn run(command: CaCommand) -> Result<(), CliError> {
    match command {
        CaCommand::Init(args) => init::run(&args),
        CaCommand::Root(command) => root::run(command),
        CaCommand::Serve(args) => serve::run(&args),
        CaCommand::Token(command) => token::run(&command),
        CaCommand::Requests(command) => requests::run(&command),
        CaCommand::Certificates(command) => certificates::run(&command),
        CaCommand::Revoke(args) => revoke::run(&args),
        CaCommand::Lineage(args) => lineage::run(&args),
        CaCommand::Registry(command) => registry::run(&command),
        CaCommand::Audit(command) => audit::run(&command),
    }
}
