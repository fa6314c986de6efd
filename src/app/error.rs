//! Why the service does not start. Each message says what to change.

use std::{net::SocketAddr, path::PathBuf};

use crate::{
    domain::{InvalidKey, InvalidPublicUrl},
    node::lnd::InvalidLndOption,
    ports::StoreError,
};

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The node's options contradict each other.
    #[error(transparent)]
    Node(#[from] InvalidLndOption),
    /// The address of the public side cannot be a URL.
    #[error("public_url")]
    PublicUrl(#[source] InvalidPublicUrl),
    /// The process serves gRPC and was given no master keys.
    #[error("gRPC cannot be served without master keys")]
    NoKeyring,
    /// The database cannot be used.
    #[error("the store cannot be opened")]
    Store(#[from] StoreError),
    /// An address cannot be listened on.
    #[error("{option}: cannot listen on {address} (port 0: any free port)")]
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
        /// What was attempted.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A key in the configuration or in the key file is invalid.
    #[error("{place}: line {line} is not a master key")]
    Key {
        /// The option or file.
        place: String,
        /// Counted from 1.
        line: usize,
        /// What a key looks like.
        #[source]
        source: InvalidKey,
    },
    /// There is no key, and a new one could not derive the LNURLs that were handed out.
    #[error(
        "{}: there is no master key here, but the store has withdraw requests whose LNURLs derive \
          from one; restore the key (keys.file, or keys.master)", path.display()
    )]
    NoKey {
        /// Where it should be.
        path: PathBuf,
    },
    /// There is no key, and another process has made one for this database.
    #[error(
        "{}: there is no master key here, but requests of this database derive from the master key \
         {recorded}, which another withdrawd has recorded; give every process that serves the database the \
         same key (copy the file, and name it in keys.file, or set keys.master)", path.display()
    )]
    NoRecordedKey {
        /// Where it should be.
        path: PathBuf,
        /// Its id.
        recorded: String,
    },
    /// Requests derive from a key that this process does not have.
    #[error(
        "{place}: the master keys here ({ours}) are not those of this database: its requests derive from \
         the master key {recorded}, which another withdrawd has recorded; give every process that serves the \
         database the same keys (keys.file, or keys.master)"
    )]
    OtherKey {
        /// Where our keys come from.
        place: String,
        /// The id of the one that is recorded.
        recorded: String,
        /// The ids of ours.
        ours: String,
    },
    /// The option or file contains no key.
    #[error("{place}: there is no master key in it")]
    Empty {
        /// The option or file.
        place: String,
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
