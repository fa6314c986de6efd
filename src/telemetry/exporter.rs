//! Logs once that spans are lost, and once that they are exported again. The SDK's own messages are
//! compiled out, since it repeats them for every batch.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use opentelemetry_otlp::SpanExporter as Otlp;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{SpanData, SpanExporter},
};

/// The exporter, and whether its last export failed.
#[derive(Debug)]
pub struct LoggingExporter {
    exporter: Otlp,
    failing: AtomicBool,
}

impl LoggingExporter {
    pub const fn new(exporter: Otlp) -> Self {
        Self { exporter, failing: AtomicBool::new(false) }
    }
}

impl SpanExporter for LoggingExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let exported = self.exporter.export(batch).await;
        let failed_before = self.failing.swap(exported.is_err(), Ordering::Relaxed);
        match &exported {
            Err(error) if !failed_before => {
                tracing::warn!(
                    %error,
                    "the trace collector does not accept spans; they are lost until it does"
                );
            }
            Ok(()) if failed_before => tracing::info!("spans are exported again"),
            Ok(()) | Err(_) => {}
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
