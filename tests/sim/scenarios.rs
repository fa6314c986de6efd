//! Scenarios, each played once without a fault, and then with a crash before and after every single call.

use std::sync::Arc;

use super::{
    database::Database,
    history::History,
    run::{self, Outcome},
    step::{Completion, End, Step},
    world::REPLICAS,
};

pub struct Scenario {
    pub name: &'static str,
    pub steps: Vec<Step>,
    /// What its attempts become, without a crash.
    pub ends: &'static [(&'static str, u64)],
    /// Whether the wallet may come with a new invoice in the end: not where the contract was left,
    /// since the old one may still be paid then.
    pub within_contract: bool,
}

const CREATE: [Step; 3] = [Step::Drain, Step::Create { replica: 0 }, Step::Drain];
/// The first attempt is paid.
const PAID: &[(&str, u64)] = &[("PAID", 1)];
/// The first fails, the second is paid.
const SECOND: &[(&str, u64)] = &[("FAILED", 1), ("PAID", 1)];
const CLAIM: Step = Step::Claim { replica: 0, withdraw: 0, invoice: 0 };
const RUN_PAYER: [Step; 2] = [Step::RunPayer { replica: 0 }, Step::Drain];

const fn settle(invoice: usize) -> Step {
    Step::EndPayment { invoice, end: End::Settled }
}

/// Time passes, and the payer runs.
const fn later(ms: i64) -> [Step; 3] {
    [Step::Advance { ms }, Step::RunPayer { replica: 0 }, Step::Drain]
}

/// The first invoice is claimed with, and the payer sends it.
fn sent(how: &[Completion]) -> Vec<Step> {
    let armed = how.iter().map(|how| Step::ScriptNextCall { call: "send", how: *how });
    let claimed = CREATE.into_iter().chain([CLAIM, Step::Drain]);
    claimed.chain(armed).chain(RUN_PAYER).collect()
}

/// Another invoice is claimed with, and paid.
fn again() -> Vec<Step> {
    let tap = Step::Claim { replica: 0, withdraw: 0, invoice: 1 };
    [tap, Step::Drain].into_iter().chain(RUN_PAYER).chain([settle(1), Step::Drain]).collect()
}

fn scenario(
    name: &'static str,
    ends: &'static [(&'static str, u64)],
    parts: &[&[Step]],
) -> Scenario {
    Scenario { name, steps: parts.concat(), ends, within_contract: true }
}

/// All of them.
pub fn all() -> Vec<Scenario> {
    let refused = Step::EndPayment { invoice: 0, end: End::Refused };
    let no_route = Step::EndPayment { invoice: 0, end: End::NoRoute };
    let drain = Step::Drain;
    let (over, look) = (later(90_000), later(700));
    let hold = [later(61_000), later(400_000)].concat();
    vec![
        scenario("paid", PAID, &[&sent(&[]), &[settle(0), drain]]),
        scenario(
            "answer lost",
            PAID,
            &[&sent(&[Completion::LostAfter]), &[settle(0)], &look, &over],
        ),
        scenario(
            "request lost",
            PAID,
            &[&sent(&[Completion::NotDone]), &look, &over, &[settle(0), drain]],
        ),
        scenario(
            "request delayed",
            PAID,
            &[
                &sent(&[Completion::OnItsWayButLost]),
                &look,
                &[Step::DeliverRequest { request: 0, slow: true }],
                &later(10_000),
                &[Step::StoreRequest { request: 0 }],
                &look,
                &[settle(0)],
                &over,
            ],
        ),
        scenario("failed, claimed anew", SECOND, &[&sent(&[]), &[no_route, drain], &again()]),
        scenario(
            "failure not heard",
            SECOND,
            &[&sent(&[Completion::LostAfter]), &[no_route], &look, &over, &over, &again()],
        ),
        refused_three_times(),
        scenario(
            "never answered, closed by a witness",
            SECOND,
            &[&sent(&[Completion::NotDone]), &later(3_700_000), &over, &again()],
        ),
        stalled(),
        scenario("held, then settled", PAID, &[&sent(&[]), &hold, &[settle(0)], &later(400_000)]),
        scenario(
            "held, then cancelled",
            SECOND,
            &[&sent(&[]), &hold, &[refused], &later(400_000), &again()],
        ),
        deactivated_beside(&[], &[Step::Deactivate { replica: 1, withdraw: 0 }, CLAIM]),
        deactivated_beside(PAID, &[CLAIM, drain, Step::Deactivate { replica: 1, withdraw: 0 }]),
        commits_lost(),
        two_replicas(),
        late_success(),
    ]
}

/// The node itself refuses each send: three are enough.
fn refused_three_times() -> Scenario {
    let refused =
        |request| [&[Step::RefuseRequest { request }, Step::Drain][..], &later(90_000)].concat();
    let sends = sent(&[Completion::OnItsWay, Completion::OnItsWay, Completion::OnItsWay]);
    let parts: [&[Step]; 5] = [&sends, &refused(0), &refused(1), &refused(2), &again()];
    scenario("refused until it is given up", SECOND, &parts)
}

/// The node's writes stall while its reads are answered, for longer than any time of ours.
fn stalled() -> Scenario {
    let stall = |on| [Step::StallNode { on }, Step::Drain];
    let waits = [later(90_000), later(90_000), later(3_700_000), later(90_000)];
    let claimed = [&CREATE[..], &[CLAIM, Step::Drain], &stall(true), &RUN_PAYER].concat();
    let ends = [&stall(false)[..], &[settle(0), Step::Drain], &later(90_000)].concat();
    scenario("writes stall", PAID, &[&claimed, waits.as_flattened(), &ends])
}

/// A claim, a deactivation and the expiry job beside each other.
fn deactivated_beside(ends: &'static [(&'static str, u64)], first: &[Step]) -> Scenario {
    let expires = [Step::MarkExpired { replica: 0 }, Step::Drain];
    let paid = [settle(0), Step::Drain, Step::Advance { ms: 1_300_000 }];
    let name = "deactivated and expired beside";
    scenario(name, ends, &[&CREATE, first, &expires, &RUN_PAYER, &paid, &expires])
}

/// Every kind of commit, once lost after it was made and once before.
fn commits_lost() -> Scenario {
    let lost = |call, how| Step::ScriptNextCall { call, how };
    let armed = ["create", "claim", "remember_node", "lease_fresh", "advance"]
        .map(|call| [lost(call, Completion::LostAfter), lost(call, Completion::LostBefore)]);
    let tap = [CLAIM, Step::Drain];
    let twice = [&CREATE[..], &CREATE, &tap, &tap].concat();
    // One run for each answer that is lost before the claim is leased and sent.
    let looks = [later(700), later(700), later(90_000), later(90_000), later(90_000)];
    let looks = [looks.as_flattened(), &[settle(0)], &later(90_000)].concat();
    let parts: [&[Step]; 4] = [&[Step::Drain], armed.as_flattened(), &twice, &looks];
    scenario("commits whose answers are lost", PAID, &parts)
}

/// Two wallets and two payers at once; a worker that sleeps for longer than its lease.
fn two_replicas() -> Scenario {
    let race = [
        CLAIM,
        Step::Claim { replica: 1, withdraw: 0, invoice: 1 },
        Step::Claim { replica: 1, withdraw: 0, invoice: 0 },
        Step::Drain,
        Step::RunPayer { replica: 0 },
        Step::RunPayer { replica: 1 },
        Step::Advance { ms: 100_000 },
        Step::RunPayer { replica: 1 },
        Step::Drain,
        settle(0),
        settle(1),
        Step::Drain,
    ];
    scenario("two replicas", PAID, &[&CREATE, &race])
}

/// Outside of the contract: a doubled request restarts a payment that has failed and was closed.
fn late_success() -> Scenario {
    let doubled = [
        Step::Duplicate { request: 0 },
        Step::EndPayment { invoice: 0, end: End::NoRoute },
        Step::Drain,
        Step::LeaveContract,
        Step::DeliverRequest { request: 1, slow: false },
        settle(0),
    ];
    let steps = [&sent(&[])[..], &doubled, &later(3_700_000)].concat();
    Scenario { name: "late success", steps, ends: PAID, within_contract: false }
}

impl Scenario {
    /// Without a fault but those of the scenario.
    pub fn play(&self, database: &Arc<Database>) -> Outcome {
        self.with_crash(database, None, false)
    }

    /// With a crash at the call of this number, before or after its effect.
    pub fn with_crash(
        &self,
        database: &Arc<Database>,
        crash_at: Option<(u64, bool)>,
        logged: bool,
    ) -> Outcome {
        run::play(database, 0, None, logged, |history| {
            history.crash_at = crash_at;
            for step in &self.steps {
                history.apply(*step);
                revive(history);
            }
            if self.within_contract {
                end(history);
            }
        })
    }

    /// A crash before and after every call that the scenario makes. Returns how many there were.
    pub fn with_every_crash(&self, database: &Arc<Database>) -> Result<usize, String> {
        let calls = self.play(database);
        let ends: Vec<_> = calls.ends.iter().map(|(name, count)| (*name, *count)).collect();
        let other = (ends != self.ends).then(|| format!("it ends as {ends:?}"));
        if let Some(broken) = calls.broken.or(other) {
            let log = self.with_crash(database, None, true).log.join("\n");
            return Err(format!("{}: {broken}\n{log}", self.name));
        }
        let mut crashes = 0;
        for call in 1..=calls.calls_of_steps {
            for after in [false, true] {
                crashes += 1;
                let outcome = self.with_crash(database, Some((call, after)), false);
                if let Some(broken) = outcome.broken {
                    let point = format!("{} call {call}", if after { "after" } else { "before" });
                    let log = self.with_crash(database, Some((call, after)), true).log;
                    return Err(format!("{}, {point}: {broken}\n{}", self.name, log.join("\n")));
                }
            }
        }
        Ok(crashes)
    }
}

/// A process that died is started again, and the scenario goes on.
fn revive(history: &mut History) {
    for replica in 0..REPLICAS {
        if history.replicas[replica].is_none() {
            history.apply(Step::Start { replica });
        }
    }
}

/// Wallets tap again, as wallets do; whoever was not paid comes with a new invoice.
fn end(history: &mut History) {
    for step in [CLAIM, Step::Drain, Step::RunPayer { replica: 1 }, Step::Drain] {
        history.apply(step);
    }
}
