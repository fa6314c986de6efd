//! Creates requests: all of a batch, or none.

use super::{
    lists::{BY_REQUEST_ID, ByRequestId},
    row,
};
use crate::{
    domain::{
        Amount, EventKind, KeyId, PassThru, PaymentId, Sat, SecretHash, Timestamp, TraceContext,
        Withdraw, WithdrawId,
    },
    ports::CreateOutcome,
    store::{
        driver::{Fault, Tx},
        sql::{Database, SqlStore, events, marks::CommitLabel},
        statement::Statement,
    },
};

params! {
    /// A complete row.
    struct Create<'a> {
        id: WithdrawId,
        version: i64,
        request_id: Option<&'a str>,
        caller: &'a str,
        min_amount: Amount,
        max_amount: Amount,
        currency: &'a str,
        target_currency: &'a str,
        exchange_rate: Amount,
        ttl_s: i64,
        target_min_sat: Sat,
        target_max_sat: Sat,
        memo: &'a str,
        statement_descriptor: Option<&'a str>,
        pass_thru: Option<&'a PassThru>,
        key_id: &'a KeyId,
        secret_sha256: SecretHash,
        expires_at_ms: Timestamp,
        status: &'a str,
        claimable_until_ms: Timestamp,
        reopens_at_ms: Option<Timestamp>,
        claimable: bool,
        payment_id: Option<PaymentId>,
        payment_hold: Option<&'a str>,
        late_success: bool,
        withheld: bool,
        modified_at_ms: Timestamp,
        trace_parent: Option<TraceContext>,
    }
}

const CREATE: Statement<Create> = statement!(
    Create,
    "create a withdraw request",
    concat!(
        "-- withdraw.create\n",
        insert_into!(
            "withdraws",
            id,
            version,
            request_id,
            caller,
            min_amount,
            max_amount,
            currency,
            target_currency,
            exchange_rate,
            ttl_s,
            target_min_sat,
            target_max_sat,
            memo,
            statement_descriptor,
            pass_thru,
            key_id,
            secret_sha256,
            expires_at_ms,
            status,
            claimable_until_ms,
            reopens_at_ms,
            claimable,
            payment_id,
            payment_hold,
            late_success,
            withheld,
            modified_at_ms,
            trace_parent,
        ),
        " on conflict (caller, request_id) do nothing"
    )
);

impl<'a> Create<'a> {
    fn of(withdraw: &'a Withdraw) -> Self {
        let terms = &withdraw.terms;
        Self {
            id: withdraw.id,
            version: withdraw.version,
            request_id: withdraw.request_id.as_deref(),
            caller: &withdraw.caller,
            min_amount: terms.min_amount,
            max_amount: terms.max_amount,
            currency: terms.currency.name(),
            target_currency: terms.target_currency.name(),
            exchange_rate: terms.exchange_rate,
            ttl_s: terms.ttl_s,
            target_min_sat: terms.target_min,
            target_max_sat: terms.target_max,
            memo: &terms.memo,
            statement_descriptor: terms.statement_descriptor.as_deref(),
            pass_thru: terms.pass_thru.as_ref(),
            key_id: &withdraw.key,
            secret_sha256: withdraw.secret_hash,
            expires_at_ms: withdraw.expires_at,
            status: withdraw.status.name(),
            claimable_until_ms: withdraw.claimable_until,
            reopens_at_ms: withdraw.reopens_at,
            claimable: withdraw.claimable,
            payment_id: withdraw.attempt.map(|attempt| attempt.id),
            payment_hold: withdraw.attempt.map(|attempt| attempt.hold.name()),
            late_success: withdraw.late_success,
            withheld: withdraw.withheld,
            modified_at_ms: withdraw.modified,
            trace_parent: withdraw.trace_parent,
        }
    }
}

impl<D: Database> SqlStore<D> {
    pub(super) async fn create_once(
        &self,
        withdraws: &[Withdraw],
        order: &[usize],
    ) -> Result<Vec<CreateOutcome>, Fault> {
        let mut tx = self.driver().begin().await?;
        let mut outcomes = vec![CreateOutcome::Created; withdraws.len()];
        for &index in order {
            outcomes[index] = create_one(&mut tx, &withdraws[index]).await?;
        }
        // Dropping the transaction rolls the whole batch back.
        if outcomes.contains(&CreateOutcome::Conflict) {
            return Ok(outcomes);
        }
        // A replay also moves a mark: this process reports the request, though another one may have made it.
        let created = || order.iter().filter(|index| outcomes[**index] == CreateOutcome::Created);
        let (name, last) = match created().next_back() {
            Some(last) => (EventKind::Created.name(), last),
            None => ("replayed", order.last().unwrap_or(&0)),
        };
        let (id, number) = (withdraws[*last].id, created().count().max(1));
        self.commit(tx, CommitLabel::of_withdraws(name, id, number)).await?;
        Ok(outcomes)
    }
}

async fn create_one<T: Tx>(tx: &mut T, withdraw: &Withdraw) -> Result<CreateOutcome, Fault> {
    if tx.execute(CREATE.bind(Create::of(withdraw))).await? == 1 {
        events::append(tx, &withdraw.created_event()).await?;
        return Ok(CreateOutcome::Created);
    }
    let key = ByRequestId { caller: &withdraw.caller, request_id: withdraw.request_id.as_deref() };
    let found = tx.fetch(BY_REQUEST_ID.bind(key)).await?;
    let existing = found.first().map(row::view).transpose()?;
    Ok(match existing {
        Some(view) if view.withdraw.terms.same_content(&withdraw.terms) => {
            CreateOutcome::Replayed(Box::new(view))
        }
        Some(_) | None => CreateOutcome::Conflict,
    })
}
