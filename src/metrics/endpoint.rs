//! The metrics endpoint: what Prometheus gets when it scrapes this process.

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
const DATABASE_TIMEOUT: Millis = Millis::from_secs(1);
/// Scrapes within this time share one view, so that frequent scrapes do not load the database.
const FRESH_FOR: Millis = Millis::from_secs(1);

/// The metrics endpoint.
pub struct MetricsEndpoint {
    metrics: Arc<Metrics>,
    instance: InstanceService,
    store: Arc<dyn Store>,
    runtime: Runtime,
    setup: Setup,
    /// The last view and when it was read; None in place of the view if the read failed. Locked during a
    /// read, so that concurrent scrapes wait for it.
    last_view: Mutex<Option<(Millis, Option<Arc<View>>)>>,
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
        Self { metrics, instance, store, runtime, setup, last_view: Mutex::new(None) }
    }

    /// All metrics, as `OpenMetrics` text.
    pub async fn text(&self) -> Result<String, fmt::Error> {
        let view = self.view().await;
        let mut gauges_now = Registry::default();
        gauges::process(&mut gauges_now, &self.setup, self.store.connections());
        gauges::store_up(&mut gauges_now, view.is_some());
        if let Some(view) = view {
            gauges::instance(&mut gauges_now, &view, &self.setup);
        }
        let mut text = String::new();
        encode_registry(&mut text, self.metrics.registry())?;
        encode_registry(&mut text, &gauges_now)?;
        encode_eof(&mut text)?;
        Ok(text)
    }

    /// What the database says about the instance, at most [`FRESH_FOR`] old. None if it cannot be read.
    async fn view(&self) -> Option<Arc<View>> {
        let mut last = self.last_view.lock().await;
        let now = self.runtime.clock.monotonic();
        if let Some((at, view)) = &*last
            && now.as_ms() - at.as_ms() < FRESH_FOR.as_ms()
        {
            return view.clone();
        }
        let view = match self.runtime.within(DATABASE_TIMEOUT, self.read_view()).await {
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
        // Dated when the read ended: a slow database would otherwise be asked again at once.
        *last = Some((self.runtime.clock.monotonic(), view.clone()));
        view
    }

    async fn read_view(&self) -> Result<View, InstanceError> {
        let instance = self.instance.instance(Principal::Service).await?;
        let open = self.store.open_payments().await?;
        Ok(View { instance, open, now: self.runtime.clock.now() })
    }
}
