//! Where the database is, for errors: never the user's password.

use std::{fmt, sync::Arc};

use sqlx::postgres::PgConnectOptions;

use crate::ports::{BoxError, StoreError};

/// A database and its server, by the names that the configuration gives them.
#[derive(Clone, Debug)]
pub struct Place(Arc<str>);

/// An error that happened there.
#[derive(Debug, thiserror::Error)]
#[error("{place}")]
struct At {
    place: Place,
    #[source]
    source: BoxError,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Place {
    /// Where these options lead.
    pub fn of(options: &PgConnectOptions) -> Self {
        // As libpq does, the server takes the user's name where none is given.
        let database = options.get_database().unwrap_or_else(|| options.get_username());
        let port = options.get_port();
        let server = options.get_socket().map_or_else(
            || format!("host `{}:{port}`", options.get_host()),
            |socket| format!("socket `{}/.s.PGSQL.{port}`", socket.display()),
        );
        Self(format!("database `{database}` on {server}").into())
    }

    /// Adds the place to an error that may be about it, and not about what was asked there.
    pub fn of_error(&self, error: StoreError) -> StoreError {
        let at = |source| Box::new(At { place: self.clone(), source });
        match error {
            StoreError::Unavailable { doing, source } => {
                StoreError::Unavailable { doing, source: at(source) }
            }
            other => other,
        }
    }

    /// An error of connecting is always about the place.
    pub fn of_connecting(&self, error: StoreError) -> StoreError {
        match error {
            StoreError::Failed { doing, source } => {
                let source = Box::new(At { place: self.clone(), source });
                StoreError::Failed { doing, source }
            }
            other => self.of_error(other),
        }
    }
}
