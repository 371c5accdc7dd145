//! Whose database this is.

use atl::log::note::{KeyName, VerifierKey};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{State, StateError, Table};

const IDENTITY: Table<Identity> = Table::new("identity");

/// The monitor that wrote the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    /// Its name.
    name: String,
    /// The identifier of its key under this name, in hex.
    key_id: String,
}

/// Why the database is not this monitor's.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// It is another one's.
    #[error(
        "`name`: the database is that of the monitor {known:?}, and the configuration says {given}. A name never \
         changes, since audit statements, evidence and cosignatures are signed under it: put {known:?} back, or give \
         the new monitor a `data_dir` of its own"
    )]
    Name {
        /// Whose it is.
        known: String,
        /// Who asks for it.
        given: KeyName,
    },
    /// The database failed.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Makes the database that of the monitor with this key, if it is nobody's yet. Where it was written under the same name
/// and another key, the identifier of that one: a key may be replaced, unlike a name.
///
/// # Errors
/// Where it is that of a monitor of another name, and where the database fails.
pub fn claim(state: &State, key: &VerifierKey) -> Result<Option<String>, IdentityError> {
    let identity = Identity { name: key.name().to_string(), key_id: hex::encode(key.id()) };
    state.write(|write| {
        let known = write.get(&IDENTITY, b"monitor")?;
        if let Some(known) = known.as_ref().filter(|known| known.name != identity.name) {
            return Err(IdentityError::Name { known: known.name.clone(), given: key.name().clone() });
        }
        write.put(&IDENTITY, b"monitor", &identity)?;
        Ok(known.map(|known| known.key_id).filter(|id| *id != identity.key_id))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::signer;
    use atl::keys::Signer;

    #[test]
    fn a_name_is_for_good_and_a_key_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.redb");
        let key =
            |name: &str, seed| VerifierKey::new(name.parse().unwrap(), signer(seed).public_key().clone()).unwrap();
        let claim = |key: &VerifierKey| claim(&State::open(&path).unwrap(), key);
        let (one, other) = (key("a.example", 1), key("a.example", 2));
        assert_eq!(claim(&one).unwrap(), None);
        assert_eq!(claim(&one).unwrap(), None);
        let refused = claim(&key("b.example", 1)).unwrap_err().to_string();
        for words in ["`name`: ", "\"a.example\"", "says b.example", "`data_dir` of its own"] {
            assert!(refused.contains(words), "{words}: {refused}");
        }
        assert_eq!(claim(&other).unwrap(), Some(hex::encode(one.id())));
        assert_eq!(claim(&other).unwrap(), None);
    }
}
