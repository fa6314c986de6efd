//! The end of every history: all faults cease, time passes, and every accepted attempt must end.

use withdrawd::domain::{Hold, State, Status};

use super::{
    history::History,
    rng::Rng,
    step::{End, Step},
    world::REPLICAS,
};

/// So many rounds of some work and some time are enough for any attempt.
const ROUNDS: usize = 60;
/// Where the healing begins in a log.
pub const RECOVERS: &str = "the node is repaired";
const HOUR_MS: i64 = 3_600_000;

impl History {
    /// Heals the node, the network and the clocks, and lets both processes work until all is done.
    pub fn recover(&mut self, rng: &mut Rng) {
        self.armed.clear();
        self.crash_at = None;
        self.repair(rng);
        for round in 0..ROUNDS {
            self.let_all_arrive(rng);
            if self.is_broken() || (round > 0 && self.is_done()) {
                break;
            }
            let ms = match round {
                0 => 100,
                1..10 => 31_000,
                10..30 => 95_000,
                _ => HOUR_MS / 2,
            };
            self.apply(Step::Advance { ms });
            if round % 4 == 3 {
                self.apply(Step::MarkExpired { replica: round / 4 % REPLICAS });
            }
            self.apply(Step::RunPayer { replica: round % REPLICAS });
            self.apply(Step::Drain);
        }
        if rng.chance(10) {
            self.look_late();
        }
        if !self.is_broken() {
            // A mutated run must break an invariant proper, not only leave a doubt without a cause.
            self.world.lock().check_end(self.mutation.is_none());
            self.read_events();
        }
    }

    fn read_events(&self) {
        let ids: Vec<_> = self.world.lock().mirror.withdraws.keys().copied().collect();
        for id in ids {
            let events = self.database.run(self.database.store.events_of(id)).unwrap();
            self.world.lock().check_events(id, &events);
        }
    }

    fn repair(&mut self, rng: &mut Rng) {
        let mut inner = self.world.lock();
        inner.note(|| RECOVERS.into());
        inner.repair_node();
        // A clock that was set is set right again.
        inner.database_offset_ms = inner.database_offset_ms.clamp(-2500, 2500);
        for clocks in &mut inner.clocks {
            clocks.offset_ms = clocks.offset_ms.clamp(-2500, 2500);
        }
        drop(inner);
        for replica in 0..REPLICAS {
            if self.replicas[replica].is_none() {
                self.apply(Step::Start { replica });
            }
        }
        self.apply(Step::SwitchInstance { replica: 0, on: false });
        for replica in 0..REPLICAS {
            self.apply(Step::VerifyDatabase { replica });
            self.apply(Step::Heartbeat { replica });
        }
        self.apply(Step::Drain);
        // A worker that waits for an answer gets it, unless its process is about to be replaced.
        if rng.chance(20) {
            let replica = rng.below(REPLICAS);
            self.apply(Step::Crash { replica });
            self.apply(Step::Start { replica });
        }
    }

    /// Requests arrive, payments end, and everybody hears of it.
    pub(super) fn let_all_arrive(&mut self, rng: &mut Rng) {
        self.apply(Step::Drain);
        let (requests, invoices) = {
            let inner = self.world.lock();
            (inner.node.requests.len(), inner.node.invoices.len())
        };
        for request in 0..requests {
            let (over, checked) = {
                let inner = self.world.lock();
                let asked = &inner.node.requests[request];
                (asked.over, asked.checked_ms.is_some())
            };
            match (over, checked) {
                (true, _) => {}
                (false, true) => self.apply(Step::StoreRequest { request }),
                (false, false) => self.apply(Step::DeliverRequest { request, slow: false }),
            }
        }
        for invoice in 0..invoices {
            while self.world.lock().is_pending(invoice) && !self.is_broken() {
                let end = rng.pick(&[End::Settled, End::Settled, End::NoRoute, End::Refused]);
                self.apply(Step::EndPayment { invoice, end });
            }
        }
        self.apply(Step::Drain);
    }

    fn is_done(&self) -> bool {
        let inner = self.world.lock();
        let stalled = inner.waits_for_an_operator();
        let open = |state: &State| match state {
            State::Reserved => !stalled,
            State::Sending | State::InFlight => true,
            State::Paid { .. } | State::Failed { .. } | State::NeedsOperator { .. } => false,
        };
        // What was paid may still be on its way into the database.
        let behind = inner.mirror.payments.values().any(|payment| {
            let invoice = inner.node.invoice_of(payment.payment_hash);
            let paid = invoice.is_some_and(|invoice| inner.node.settled(invoice) > 0);
            let failed = matches!(payment.state, State::Failed { late: None, .. });
            open(&payment.state) || (paid && failed)
        });
        // What was paid beside an open attempt settles the request once that has ended.
        let settling = inner.mirror.withdraws.values().any(|withdraw| {
            let held = withdraw.attempt.is_some_and(|attempt| attempt.hold != Hold::Released);
            withdraw.status == Status::Active && withdraw.late_success && !held
        });
        !behind && !settling
    }

    /// The late looks at what has failed: after an hour, and after a day.
    fn look_late(&mut self) {
        for ms in [HOUR_MS, 24 * HOUR_MS] {
            self.apply(Step::Advance { ms });
            self.apply(Step::RunPayer { replica: 0 });
            self.apply(Step::Drain);
        }
    }
}
