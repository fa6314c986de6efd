//! A row of the table: what the node does, and what must become of the attempt.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;
use withdrawd::{
    domain::{Millis, PaymentId},
    pb::{
        Withdraw,
        payment::{FailureReason, OperatorReason, State},
    },
};

use super::test_invoice::{InvoiceUnderTest, SAT};
use crate::{
    bench::Bench,
    bench::scripted_lnd::{Act, ScriptedLnd},
};

/// Runs of the payer while a send may still arrive: how many, and the time before each.
pub const EARLY: (usize, Millis) = (5, Millis::from_secs(4));
/// Runs of which each finds the last send over: enough for three sends and what follows.
pub const LATE: (usize, Millis) = (6, Millis::from_secs(90));
/// Runs of which each finds that no send is allowed any more: enough for a witness and what follows.
pub const TOO_LATE: (usize, Millis) = (4, Millis::from_secs(3600));
/// A send is overdue after this.
const OVERDUE: Millis = Millis::from_secs(11);
/// How long a silent lnd is waited for before the test's clock goes on.
const SILENCE: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(20);

/// What the node does, described and scripted.
pub struct Row {
    pub does: String,
    /// The answers to sends; the last is given again and again.
    sends: Vec<Vec<Act>>,
    /// The answers to lookups after so many sends.
    look_ups: Vec<(usize, Vec<Vec<Act>>)>,
    /// The state of the attempt once all that was said at once has arrived.
    pub soon: &'static str,
    /// Its state when nothing that was sent can arrive any more.
    pub end: &'static str,
    call_timeout: Option<Duration>,
    /// It stores nothing, write witnesses included.
    stalls: bool,
    stays_open: bool,
    /// Lets lnd go on once the attempt has the state `soon`.
    goes_on: Option<Arc<Semaphore>>,
}

/// A row of the table; lookups before the send find nothing.
pub fn row(
    does: impl Into<String>,
    sends: impl IntoIterator<Item = Vec<Act>>,
    look_ups: Vec<Vec<Act>>,
    soon: &'static str,
    end: &'static str,
) -> Row {
    Row {
        does: does.into(),
        sends: sends.into_iter().collect(),
        look_ups: vec![(1, look_ups)],
        soon,
        end,
        call_timeout: None,
        stalls: false,
        stays_open: false,
        goes_on: None,
    }
}

impl Row {
    /// What lookups are told once there were so many sends.
    pub fn after(mut self, sends: usize, look_ups: Vec<Vec<Act>>) -> Self {
        self.look_ups.push((sends, look_ups));
        self
    }

    /// Silence that the backend ends.
    pub fn hangs(self) -> Self {
        Self { call_timeout: Some(Duration::from_secs(2)), ..self }
    }

    /// It answers no request for a write witness.
    pub fn stalls(self) -> Self {
        Self { stalls: true, ..self }
    }

    /// Silence on the first send's stream, which the payer listens to for a while.
    pub fn stays_open(self) -> Self {
        Self { stays_open: true, ..self }
    }

    /// What lnd does after [`Act::Wait`] on this it does once `soon` is reached.
    pub fn goes_on(self, goes_on: Arc<Semaphore>) -> Self {
        Self { goes_on: Some(goes_on), ..self }
    }

    /// Plays it with the real payer, the real backend and a real store. Tells where the attempt
    /// stood soon, and in the end.
    pub async fn play(&self, test_invoice: &InvoiceUnderTest) -> [String; 2] {
        let lnd = ScriptedLnd::start().await;
        lnd.on_send(self.sends.clone());
        lnd.on_witness(self.stalls.then(Vec::new));
        for (sends, answers) in &self.look_ups {
            lnd.on_look_up(*sends, answers.clone());
        }
        let mut options = lnd.options();
        options.call_timeout = self.call_timeout.unwrap_or(options.call_timeout);
        let bench = Bench::on_lnd(options).await;
        let withdraw = bench.create(SAT, SAT).await;
        bench.claim_ok(&withdraw, &test_invoice.invoice).await;

        if self.stays_open || self.goes_on.is_some() || self.call_timeout.is_some() {
            bench.start_payer().await;
        } else {
            bench.run_payer().await;
        }
        // What follows IN_FLIGHT is heard without anybody who waits for it.
        let soon = wait_for_summary(&bench, &lnd, &withdraw, self.soon).await;
        if !self.stays_open && self.goes_on.is_none() {
            self.time_passes(&bench, EARLY).await;
        }
        if let Some(goes_on) = &self.goes_on {
            goes_on.add_permits(1);
            bench.run_payer().await;
        }
        self.time_passes(&bench, LATE).await;
        for _ in 0..TOO_LATE.0 {
            // Once it has ended, its request would expire.
            if !attempt_summary(&bench, &lnd, &withdraw).await.starts_with("SENDING") {
                break;
            }
            self.time_passes(&bench, (1, TOO_LATE.1)).await;
        }
        let end = attempt_summary(&bench, &lnd, &withdraw).await;
        assert!(lnd.sends().iter().all(|send| send.payment_request == test_invoice.invoice));
        // How often an unanswered send is repeated is a matter of chance.
        let end = if self.end.contains(", sent") { end } else { uncounted(&end) };
        [soon, end]
    }
}

/// Without the number of sends.
fn uncounted(attempt_summary: &str) -> String {
    attempt_summary.split(", sent").next().unwrap_or_default().to_owned()
}

impl Row {
    /// Time passes; where lnd is silent, so does the time for its answers.
    async fn time_passes(&self, bench: &Bench, (count, span): (usize, Millis)) {
        for _ in 0..count {
            bench.clock.advance(span);
            let mut work = std::pin::pin!(bench.run_payer());
            loop {
                tokio::select! {
                    () = &mut work => break,
                    () = tokio::time::sleep(SILENCE), if self.call_timeout.is_some() => {
                        bench.clock.advance(OVERDUE);
                    }
                }
            }
        }
    }
}

pub async fn run_payer_times(bench: &Bench, (count, span): (usize, Millis)) {
    for _ in 0..count {
        bench.run_payer_after(span).await;
    }
}

/// Its summary once that is as `expected`; the last one if it never is.
pub async fn wait_for_summary(
    bench: &Bench,
    lnd: &ScriptedLnd,
    of: &Withdraw,
    expected: &str,
) -> String {
    eventually(async || {
        let found = attempt_summary(bench, lnd, of).await;
        (found == expected, found)
    })
    .await
}

/// Waits until so many sends were refused by the node itself, and that is stored.
pub async fn refused(bench: &Bench, of: &Withdraw, sends: usize) {
    let payment = bench.get(&of.id).await.payment.unwrap();
    let id = PaymentId::parse(&payment.id).unwrap();
    let refusals = eventually(async || {
        let store = bench.store();
        let row = bench.inside(async move { store.payment(id).await.unwrap().unwrap() }).await;
        let refusals = row.payment.sends.refusals();
        (refusals == sends, refusals)
    })
    .await;
    assert_eq!(refusals, sends);
}

/// What is found once it is so; what was found last if it never is.
async fn eventually<T>(probe: impl AsyncFn() -> (bool, T)) -> T {
    let patience = Instant::now() + PATIENCE;
    loop {
        let (is_so, found) = probe().await;
        if is_so || Instant::now() > patience {
            return found;
        }
        tokio::task::yield_now().await;
    }
}

/// The state of the attempt, whether another invoice would be taken, and how often lnd was asked.
pub async fn attempt_summary(bench: &Bench, lnd: &ScriptedLnd, of: &Withdraw) -> String {
    let withdraw = bench.get(&of.id).await;
    let payment = withdraw.payment.unwrap();
    let mut words = vec![payment.state().as_str_name()];
    match payment.state() {
        State::Failed => words.push(FailureReason::as_str_name(&payment.failure_reason())),
        State::NeedsOperator => {
            words.push(OperatorReason::as_str_name(&payment.operator_reason()));
        }
        _ => {}
    }
    words.push(if withdraw.claimable { "claimable" } else { "held" });
    let sends = lnd.sends().len();
    format!("{}, sent {sends}", words.join(" "))
}
