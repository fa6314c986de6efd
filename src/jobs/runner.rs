//! Runs a job: at once when it is notified, and periodically in any case.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Job;
use crate::{domain::Millis, report::chain, runtime::Runtime};

/// How long to wait after a run that failed.
const AFTER_AN_ERROR: Millis = Millis::from_secs(1);

/// Runs `job` until `stop`.
pub async fn run(job: Arc<dyn Job>, runtime: Runtime, stop: CancellationToken) {
    let mut last_error = String::new();
    loop {
        let rest = match job.run_once().await {
            Ok(()) => {
                last_error.clear();
                job.every()
            }
            Err(error) => {
                log_new(job.name(), chain(&*error), &mut last_error);
                AFTER_AN_ERROR
            }
        };
        let notified = async {
            match job.notifier() {
                Some(notifier) => notifier.notified().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = notified => {}
            () = runtime.clock.sleep(rest) => {}
        }
    }
}

/// Logs an error once, not every second while a node is away.
fn log_new(job: &str, error: String, last_error: &mut String) {
    if *last_error != error {
        tracing::warn!(job, error, "a background job failed; it is tried again");
        *last_error = error;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;

    use super::*;
    use crate::{jobs::JobError, service::Notifier};

    /// Stops its runner in its third run.
    struct Counting {
        runs: AtomicUsize,
        notifier: Notifier,
        stop: CancellationToken,
    }

    #[async_trait]
    impl Job for Counting {
        fn name(&self) -> &'static str {
            "counting"
        }

        /// Longer than any test.
        fn every(&self) -> Millis {
            Millis::from_secs(3600)
        }

        fn notifier(&self) -> Option<&Notifier> {
            Some(&self.notifier)
        }

        async fn run_once(&self) -> Result<(), JobError> {
            if self.runs.fetch_add(1, Ordering::SeqCst) == 2 {
                self.stop.cancel();
            }
            self.notifier.notify();
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_notified_job_does_not_rest_and_a_stopped_one_runs_no_more() {
        let stop = CancellationToken::new();
        let job = Arc::new(Counting {
            runs: AtomicUsize::new(0),
            notifier: Notifier::default(),
            stop: stop.clone(),
        });
        run(Arc::clone(&job) as Arc<dyn Job>, Runtime::system(), stop).await;
        assert_eq!(job.runs.load(Ordering::SeqCst), 3);
    }
}
