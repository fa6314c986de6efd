//! What a start says of its configuration: a limit that was meant and is not there is seen here.

use crate::{
    config::{BadOption, Config},
    domain::{Network, Sat},
};

/// Store, limits and file of a start, for people.
pub(super) struct Start {
    pub(super) network: Network,
    pub(super) store: String,
    pub(super) limits: String,
    pub(super) config: String,
    warnings: Vec<&'static str>,
}

impl Start {
    pub(super) fn of(config: &Config) -> Result<Self, BadOption> {
        let limits = config.paying_limits()?;
        let limit = |what: &str, most: Option<Sat>| match most {
            Some(most) => format!("{most} sat {what}"),
            None => format!("no limit {what}"),
        };
        let store = match config.postgres(false)? {
            Some(postgres) => postgres.place(),
            None => format!("SQLite in {}", config.data_dir.display()),
        };
        Ok(Self {
            network: config.network()?,
            store,
            limits: format!(
                "{}, {}",
                limit("for one request", limits.max_amount),
                limit("in 24 hours", limits.rolling_24h)
            ),
            config: config.source(),
            warnings: config.warnings(),
        })
    }

    /// One line, once it serves.
    pub(super) fn log(&self) {
        let Self { network, store, limits, config, warnings } = self;
        let version = env!("CARGO_PKG_VERSION");
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        tracing::info!(version, %network, store, limits, config, "started");
    }
}
