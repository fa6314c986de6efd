//! Why the service does not start. Each names what to change.

use std::{net::SocketAddr, path::PathBuf};

use crate::{config::BadOption, domain::InvalidKey, ports::StoreError};

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting cannot be used.
    #[error(transparent)]
    Option(#[from] BadOption),
    /// The database cannot be used.
    #[error("the store cannot be opened")]
    Store(#[from] StoreError),
    /// An address cannot be listened on.
    #[error("{option}: cannot listen on {address} (port 0 takes a free one)")]
    Listen {
        /// As in the example file.
        option: &'static str,
        /// What was configured.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A file cannot be used.
    #[error("{}: cannot {doing}", path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A key in the configuration or in the key file is none.
    #[error("{place}: line {line} is no master key")]
    Key {
        /// The option or file.
        place: String,
        /// Counted from 1.
        line: usize,
        /// What a key looks like.
        #[source]
        source: InvalidKey,
    },
    /// There is no key, and making one would lose the LNURLs that are out.
    #[error(
        "{}: there is no master key here, but the store has withdraw requests whose LNURLs derive \
         from one; bring the key back (keys.file, or keys.master)", path.display()
    )]
    NoKey {
        /// Where it should be.
        path: PathBuf,
    },
    /// The file is there, and no key is in it.
    #[error("{}: there is no master key in it", path.display())]
    Empty {
        /// Which file.
        path: PathBuf,
    },
    /// Open requests name a key that is not here.
    #[error(
        "open withdraw requests derive from the master key {missing}, which is not among the keys; \
         add it to keys.file or keys.master"
    )]
    MissingKey {
        /// Its id.
        missing: String,
    },
}
