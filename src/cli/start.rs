//! The settings that matter most, printed and logged at each start, so that an operator notices a limit that
//! is missing.

use crate::{
    config::{Roles, Settings},
    domain::{Network, Sat},
};

/// Roles, store, limits and file of a start, for people.
pub(super) struct Start {
    pub(super) network: Network,
    pub(super) roles: Roles,
    pub(super) store: String,
    pub(super) limits: String,
    pub(super) config: String,
    warnings: Vec<&'static str>,
}

impl Start {
    pub(super) fn of(settings: &Settings) -> Self {
        let limits = settings.claims.paying;
        let limit = |what: &str, most: Option<Sat>| match most {
            Some(most) => format!("{most} sat {what}"),
            None => format!("no limit {what}"),
        };
        Self {
            network: settings.network,
            roles: settings.roles,
            store: settings.store.place(),
            // Claims are checked by the process that takes them; a payer pays what was accepted.
            limits: if settings.roles.lnurl || settings.roles.grpc {
                format!(
                    "{}, {}",
                    limit("for one request", limits.max_amount),
                    limit("in 24 hours", limits.rolling_24h)
                )
            } else {
                "those of the processes that take claims (roles lnurl and grpc)".to_owned()
            },
            config: settings.source.clone(),
            warnings: settings.warnings.clone(),
        }
    }

    /// Logs one line once the process serves, and the warnings before it.
    pub(super) fn log(&self) {
        let Self { network, roles, store, limits, config, warnings } = self;
        let version = env!("CARGO_PKG_VERSION");
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        tracing::info!(version, %network, %roles, store, limits, config, "started");
    }
}
