//! The database's location, for error messages: never the password.

use std::{fmt, sync::Arc};

use sqlx::postgres::PgConnectOptions;

use crate::ports::{BoxError, StoreError};

/// A database and its server, as the configuration names them.
#[derive(Clone, Debug)]
pub struct Place(Arc<str>);

/// An error, with the location of its database.
#[derive(Debug, thiserror::Error)]
#[error("{place}")]
struct LocatedError {
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
    /// The location that these options connect to.
    pub fn of(options: &PgConnectOptions) -> Self {
        // As in libpq, the database's name defaults to the user's.
        let database = options.get_database().unwrap_or_else(|| options.get_username());
        let port = options.get_port();
        let server = options.get_socket().map_or_else(
            || format!("host `{}:{port}`", options.get_host()),
            |socket| format!("socket `{}/.s.PGSQL.{port}`", socket.display()),
        );
        Self(format!("database `{database}` on {server}").into())
    }

    /// Adds the location to an error that may concern the server, not just the statement.
    pub fn locate_error(&self, error: StoreError) -> StoreError {
        let at = |source| Box::new(LocatedError { place: self.clone(), source });
        match error {
            StoreError::Unavailable { doing, source } => {
                StoreError::Unavailable { doing, source: at(source) }
            }
            other => other,
        }
    }

    /// Adds the location to an error of connecting, which always concerns the server.
    pub fn locate_connect_error(&self, error: StoreError) -> StoreError {
        match error {
            StoreError::Failed { doing, source } => {
                let source = Box::new(LocatedError { place: self.clone(), source });
                StoreError::Failed { doing, source }
            }
            other => self.locate_error(other),
        }
    }
}
