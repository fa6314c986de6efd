//! The job that marks requests as expired: repeated, and after a crash in the middle.

use withdrawd::domain::Millis;

use crate::bench::{Bench, store_kinds};

#[tokio::test]
async fn a_request_expires_once_whenever_the_job_crashes() {
    for kind in store_kinds() {
        let mut bench = Bench::new(kind).await;
        for after in [false, true] {
            let id = bench.create(10, 10).await.id;
            // Before it is due: the process runs the job as well.
            bench.faults.crash_in("change", after);
            bench.clock.advance(Millis::from_secs(600));
            bench.crash_in_job("expiry").await;
            for _ in 0..2 {
                bench.run_job("expiry").await.unwrap();
                assert_eq!(bench.events_of(&id).await, ["created", "expired"], "after: {after}");
            }
            assert!(!bench.get(&id).await.claimable);
        }
    }
}
