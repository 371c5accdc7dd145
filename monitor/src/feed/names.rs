//! The names that are watched for look-alikes, and those that are allowed to be like them.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use atl::apki::federation::TrustDomain;

use crate::cli::lines::{names, names_to_watch};
use crate::cli::output::CliError;
use crate::config::LookalikeConfig;
use crate::feed::FeedError;
use crate::rules::Imitations;
use crate::rules::lookalike::{Name, Watchlist};
use crate::rules::settings::Owner;

/// Reads the files of watched and of allowed names, and adds the owner's. `None` where there is nothing to watch for.
///
/// # Errors
/// Where a file cannot be read or a line is no name; it says which.
pub fn watchlist(owner: &Owner, config: &LookalikeConfig) -> Result<Option<Imitations>, FeedError> {
    let refuse = |e: &dyn Display| FeedError::Names(e.to_string());
    let own = |domains: &[TrustDomain]| {
        let name = |domain: &TrustDomain| Name::parse(domain.as_str()).map_err(|e| refuse(&e));
        domains.iter().map(name).collect::<Result<Vec<_>, _>>()
    };
    let of_file = |file: &Option<PathBuf>, read: fn(&Path) -> Result<Vec<Name>, CliError>| {
        file.as_deref().map_or(Ok(Vec::new()), |file| read(file).map_err(|e| refuse(&e)))
    };
    let watched = [own(&owner.domains)?, of_file(&config.watched_file, names_to_watch)?].concat();
    if watched.is_empty() || !config.enabled {
        return Ok(None);
    }
    let allowed = [own(&owner.allow)?, of_file(&config.allow_file, names)?].concat();
    let list = Watchlist::new(watched, allowed).map_err(|e| refuse(&e))?;
    Ok(Some(Imitations::new(list, config.alert, config.digest)))
}
