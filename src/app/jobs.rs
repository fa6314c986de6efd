//! The periodic jobs of a process, and detection of a job that has ended unexpectedly.

use std::sync::Arc;

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Parts, readiness::Readiness, wiring::Workers};
use crate::{
    config::Settings,
    health::Health,
    jobs::{self, Expiry, Job, Pay, Verification},
    runtime::Runtime,
    service::Notifier,
};

/// The jobs that this process's roles require.
pub fn of_process(
    settings: &Settings,
    parts: &Parts,
    workers: &Workers,
    claimed: &Notifier,
    health: &Health,
) -> Vec<Arc<dyn Job>> {
    let mut jobs: Vec<Arc<dyn Job>> = vec![
        Arc::new(Verification(Arc::clone(&workers.verifier))),
        Arc::new(Readiness::new(parts, health.clone())),
    ];
    if let Some(paying) = &workers.paying {
        let (store, runtime) = (Arc::clone(&parts.store), parts.runtime.clone());
        let (payer, claimed, every) =
            (Arc::clone(&paying.payer), claimed.clone(), settings.pay_every);
        jobs.push(Arc::new(Pay { payer, claimed, every }));
        jobs.push(Arc::clone(&paying.heartbeats) as Arc<dyn Job>);
        jobs.push(Arc::new(Expiry::new(store, runtime, settings.expiry)));
    }
    jobs
}

/// The running jobs.
pub struct Running {
    jobs: Vec<Arc<dyn Job>>,
    tasks: TaskTracker,
    stop: CancellationToken,
    broken: CancellationToken,
}

/// Cancels `broken` if it is dropped before the stop: its job has panicked or returned. A service that
/// accepts claims and pays nothing must not look alive.
struct EndGuard {
    stop: CancellationToken,
    broken: CancellationToken,
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        if !self.stop.is_cancelled() {
            self.broken.cancel();
        }
    }
}

impl Running {
    /// Starts all jobs.
    pub fn start(jobs: Vec<Arc<dyn Job>>, runtime: &Runtime) -> Self {
        let (tasks, stop, broken) =
            (TaskTracker::new(), CancellationToken::new(), CancellationToken::new());
        for job in &jobs {
            let guard = EndGuard { stop: stop.clone(), broken: broken.clone() };
            let work = jobs::run(Arc::clone(job), runtime.clone(), stop.clone());
            runtime.spawner.spawn(Box::pin(tasks.track_future(async move {
                let _guard = guard;
                work.await;
            })));
        }
        tasks.close();
        Self { jobs, tasks, stop, broken }
    }

    /// The job with this name.
    pub fn named(&self, name: &str) -> Option<&Arc<dyn Job>> {
        self.jobs.iter().find(|job| job.name() == name)
    }

    /// Resolves if a job ended although nobody stopped it: the process should be restarted.
    pub async fn broken(&self) {
        self.broken.cancelled().await;
    }

    /// Starts no further run. A run under way is not interrupted.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until no job runs.
    pub async fn ended(&self) {
        self.tasks.wait().await;
    }
}
