//! Writes the answer to a scrape.

use std::{fmt, sync::Arc};

use prometheus_client::{
    encoding::text::{encode_eof, encode_registry},
    registry::Registry,
};
use tokio::sync::Mutex;

use super::{
    counted::Metrics,
    gauges::{self, View},
    setup::Setup,
};
use crate::{
    domain::{Millis, Principal},
    ports::Store,
    report::chain,
    runtime::Runtime,
    service::{InstanceError, InstanceService},
};

/// How long a scrape waits for the database.
const PATIENCE: Millis = Millis::from_secs(1);
/// Scrapes within this time share one view: however many come, the database is asked once.
const FRESH_FOR: Millis = Millis::from_secs(1);

/// The metrics endpoint.
pub struct MetricsEndpoint {
    metrics: Arc<Metrics>,
    instance: InstanceService,
    store: Arc<dyn Store>,
    runtime: Runtime,
    setup: Setup,
    /// The database's last view, and when it came. Locked while the database is asked.
    seen: Mutex<Option<(Millis, Option<Arc<View>>)>>,
}

impl MetricsEndpoint {
    /// Shows what `metrics` counts, and what `instance` and `store` say about the instance.
    pub fn new(
        metrics: Arc<Metrics>,
        instance: InstanceService,
        store: Arc<dyn Store>,
        runtime: Runtime,
        setup: Setup,
    ) -> Self {
        Self { metrics, instance, store, runtime, setup, seen: Mutex::new(None) }
    }

    /// All metrics, as `OpenMetrics` text.
    pub async fn text(&self) -> Result<String, fmt::Error> {
        let view = self.view().await;
        let mut around = Registry::default();
        gauges::process(&mut around, &self.setup, self.store.connections());
        gauges::store_up(&mut around, view.is_some());
        if let Some(view) = view {
            gauges::instance(&mut around, &view, &self.setup);
        }
        let mut text = String::new();
        encode_registry(&mut text, self.metrics.registry())?;
        encode_registry(&mut text, &around)?;
        encode_eof(&mut text)?;
        Ok(text)
    }

    /// The database's view of the instance, at most a moment old.
    async fn view(&self) -> Option<Arc<View>> {
        let mut seen = self.seen.lock().await;
        let now = self.runtime.clock.monotonic();
        if let Some((at, view)) = &*seen
            && now.as_ms() - at.as_ms() < FRESH_FOR.as_ms()
        {
            return view.clone();
        }
        let view = match self.runtime.within(PATIENCE, self.ask()).await {
            Some(Ok(view)) => Some(Arc::new(view)),
            Some(Err(error)) => {
                tracing::debug!(error = %chain(&error), "the instance could not be measured");
                None
            }
            None => {
                tracing::debug!("the instance could not be measured in time");
                None
            }
        };
        // Counted from the answer, or a slow database would be asked without a pause.
        *seen = Some((self.runtime.clock.monotonic(), view.clone()));
        view
    }

    async fn ask(&self) -> Result<View, InstanceError> {
        let instance = self.instance.instance(Principal::Service).await?;
        let open = self.store.open_payments().await?;
        Ok(View { instance, open, now: self.runtime.clock.now() })
    }
}
