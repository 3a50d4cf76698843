//! Directories: an e-mail address → the operator's own ids, for a vendor that has no ids.
//!
//! Promises that an address finds exactly the row that holds it, that two rows which disagree find nobody, and that no
//! address reaches an error or a log. Where the address comes from is left to others.

mod file;
mod remote;
mod rows;

pub use file::FileDirectory;
pub use remote::{Headers, RemoteDirectory, Template, TemplateError};
pub use rows::FileError;

use super::ProviderError;
use super::claims::{Address, Ids};
use crate::time::UnixTime;

/// The operator's list of addresses and ids.
#[derive(Debug, PartialEq, Eq)]
pub enum Directory {
    /// A CSV file.
    File(FileDirectory),
    /// A service that is asked for each address.
    Remote(Box<RemoteDirectory>),
}

impl Directory {
    /// The ids that belong to an address.
    ///
    /// # Errors
    /// [`ProviderError`] where it has none, or several.
    pub async fn find(&self, address: &Address, now: UnixTime) -> Result<Ids, ProviderError> {
        match self {
            Self::File(file) => file.find(address, now).await,
            Self::Remote(remote) => remote.find(address).await,
        }
    }
}
