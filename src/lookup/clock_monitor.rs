//! Which clock decides, and when none can be trusted.
//!
//! Whether it is too late to send is judged by the later of the process's and the database's clock; whether
//! a send is over, so that its attempt may be closed, by the earlier. When the wall clock and the monotonic
//! clock disagree about how much time has passed, nothing is closed, reopened or sent until every send that
//! was committed before the jump is over by the monotonic clock.

use parking_lot::Mutex;

use crate::{
    domain::{Millis, Timestamp},
    ports::{Store, StoreError},
    runtime::Clock,
};

/// One reading of all clocks.
#[derive(Clone, Copy, Debug)]
pub struct ClockReading {
    /// The process's own.
    pub now: Timestamp,
    /// The earlier of process and database.
    pub earlier: Timestamp,
    /// The later of process and database.
    pub later: Timestamp,
    /// Whether wall and monotonic time agree.
    pub settled: bool,
}

/// Compares the wall clock with the monotonic one.
#[derive(Debug)]
pub struct ClockMonitor {
    skew: Millis,
    hold: Millis,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Wall and monotonic time, read together at most `hold` ago.
    baseline: Option<(Timestamp, Millis)>,
    /// The end of the hold after a jump, on the monotonic clock.
    held_until: Option<Millis>,
}

impl ClockMonitor {
    /// `skew`: how far clocks may disagree. `hold`: the longest that a send can take to have an effect.
    pub fn new(skew: Millis, hold: Millis) -> Self {
        Self { skew, hold, state: Mutex::default() }
    }

    /// Reads the process's and the database's clocks.
    pub async fn read(
        &self,
        clock: &dyn Clock,
        store: &dyn Store,
    ) -> Result<ClockReading, StoreError> {
        let database = store.database_now().await?;
        let now = clock.now();
        let settled = self.is_settled(now, clock.monotonic());
        Ok(ClockReading { now, earlier: now.min(database), later: now.max(database), settled })
    }

    /// Whether wall and monotonic time agree, and have agreed for `hold` since the last jump.
    pub fn is_settled(&self, wall: Timestamp, monotonic: Millis) -> bool {
        let mut state = self.state.lock();
        let (base_wall, base_monotonic) = *state.baseline.get_or_insert((wall, monotonic));
        let passed = monotonic.as_ms() - base_monotonic.as_ms();
        let drift = Millis::from_ms(wall.since(base_wall).as_ms() - passed).abs();
        if drift > self.skew {
            tracing::error!(
                drift_ms = drift.as_ms(),
                hold_ms = self.hold.as_ms(),
                "the clock jumped: no payment is sent, closed or reopened for hold_ms"
            );
            state.held_until = Some(monotonic.plus(self.hold));
            state.baseline = Some((wall, monotonic));
        } else if passed > self.hold.as_ms() {
            // Clocks are corrected slowly all the time: only the drift since the baseline counts.
            state.baseline = Some((wall, monotonic));
        }
        state.held_until.is_none_or(|until| monotonic >= until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_either_way_holds_everything_for_a_while() {
        for jump in [3_600_000, -3_600_000] {
            let monitor = ClockMonitor::new(Millis::from_secs(5), Millis::from_secs(80));
            let at = |s: i64| (Timestamp::from_ms(1_000_000_000 + s * 1000), Millis::from_secs(s));
            let (wall, mono) = at(0);
            assert!(monitor.is_settled(wall, mono));
            let (wall, mono) = at(10);
            assert!(monitor.is_settled(wall, mono));

            let jumped = |s| (at(s).0.plus(Millis::from_ms(jump)), at(s).1);
            let (wall, mono) = jumped(11);
            assert!(!monitor.is_settled(wall, mono));
            let (wall, mono) = jumped(90);
            assert!(!monitor.is_settled(wall, mono), "held for 80 s from the jump");
            let (wall, mono) = jumped(91);
            assert!(monitor.is_settled(wall, mono));
        }
    }

    #[test]
    fn slow_drift_is_no_jump() {
        let monitor = ClockMonitor::new(Millis::from_secs(5), Millis::from_secs(80));
        for s in 0..10_000 {
            // One per cent fast.
            let wall = Timestamp::from_ms(s * 1010);
            assert!(monitor.is_settled(wall, Millis::from_secs(s)), "after {s} s");
        }
    }
}
