//! What is asked of the whole instance for each claim, kept instead of summed: see the migration that
//! makes the table `tallies`.
//!
//! A tally moves in the transaction of the step that it counts, so that no crash, restart or resolution
//! leaves it behind; a restored database has the tallies of its rows. They are kept whether or not a limit
//! is set: one that is switched on finds them right. The slot of an attempt follows from its id, so that
//! its end is taken off where its beginning was counted.

use super::{SqlStore, int, statements::tallies as statements, text, uuid};
use crate::{
    domain::{
        Allowance, Claim, Millis, Msat, PaymentId, Restored, State, Timestamp, payment::Advance,
    },
    ports::StoreError,
    store::driver::{Driver, Fault, Tx, Value},
};

/// The width of a slot of the 24-hour limit. A slot counts whole until it has left the window, so an amount
/// counts for up to this much longer, never for less.
const SPENT_SLOT_LENGTH: Millis = Millis::from_secs(15 * 60);

/// Every heartbeat still in use already reflects what was sent before that.
const OUT_RETENTION: Millis = Millis::from_secs(3600);

/// The slot of what was accepted at this instant.
pub const fn spent_slot(at: Timestamp) -> i64 {
    at.as_ms().div_euclid(SPENT_SLOT_LENGTH.as_ms())
}

/// Sixteen, by the last bits of the id, which are random: so many steps are written at the same moment.
fn shard(payment: PaymentId) -> i64 {
    i64::from(payment.as_uuid().as_bytes()[15] & 0x0f)
}

/// Counts a claim. Refuses one that goes beyond what may be accepted: false.
pub async fn claimed<T: Tx>(tx: &mut T, claim: &Claim) -> Result<bool, Fault> {
    let payment = &claim.payment;
    let price = payment.amount.get().saturating_add(payment.fee_limit.get());
    let slot = spent_slot(payment.id.created());
    tx.execute(statements::CLAIMED, vec![int(shard(payment.id)), int(price), int(slot)]).await?;
    match claim.allowance {
        None => Ok(true),
        Some(allowance) => fits(tx, allowance).await,
    }
}

/// Waits for whoever claims within a limit, until the transaction ends: whoever comes next counts this claim
/// too.
pub async fn pass_gate<D: Driver>(store: &SqlStore<D>, tx: &mut D::Tx) -> Result<(), Fault> {
    let gate = store.driver().dialect().pass_limit;
    if tx.fetch(gate, Vec::new()).await?.is_empty() {
        let source = "the table limit_gate has lost its row".into();
        return Err(StoreError::Failed { doing: gate.doing, source }.into());
    }
    Ok(())
}

async fn fits<T: Tx>(tx: &mut T, allowance: Allowance) -> Result<bool, Fault> {
    let since = vec![int(spent_slot(allowance.since))];
    let spent = tx.fetch(statements::SPENT_SINCE, since).await?;
    let spent: Msat = super::instance::rows::spent(spent.first())?;
    Ok(spent <= allowance.most)
}

/// Counts a step, before it is written.
pub async fn stepped<T: Tx>(tx: &mut T, advance: &Advance) -> Result<(), Fault> {
    // What is sent was not out before, and is not known to be now.
    if advance.new_send.is_some() {
        return Ok(());
    }
    let payment = &advance.payment;
    let fee = match payment.state {
        State::Paid { fee, .. } => Some(fee),
        State::Failed { late, .. } => late.map(|late| late.fee),
        State::Reserved | State::Sending | State::InFlight | State::NeedsOperator { .. } => None,
    };
    let values = vec![
        uuid(payment.id.as_uuid()),
        int(payment.version - 1),
        text(payment.state.name()),
        Value::Int(fee.map(Msat::get)),
        Value::Bool(advance.no_witness),
        Value::Int(advance.known_at.map(Timestamp::as_ms)),
        int(spent_slot(payment.id.created())),
        int(shard(payment.id)),
    ];
    tx.execute(statements::STEPPED, values).await?;
    Ok(())
}

/// Counts a payment that was put back.
pub async fn restored<T: Tx>(tx: &mut T, restored: &Restored) -> Result<(), Fault> {
    let price = restored.amount.get().saturating_add(restored.fee.get());
    let slot = spent_slot(restored.id.created());
    let values = vec![int(slot), int(shard(restored.id)), int(price)];
    tx.execute(statements::RESTORED, values).await?;
    Ok(())
}

/// The slots before which nothing of OUT is asked for any more, at this heartbeat.
pub fn old_out(beat: Timestamp) -> Vec<Value> {
    vec![int(beat.minus(OUT_RETENTION).as_ms().div_euclid(1000))]
}
