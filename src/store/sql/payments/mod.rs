//! Attempts: leasing them, and writing their steps.

use std::collections::HashMap;

use async_trait::async_trait;
use uuid::Uuid;

use super::{
    SqlStore, int, marks::CommitLabel, payment_lists, reader as rows, retry::retrying, statements,
    tallies, text, uuid, withdraws,
};
use crate::{
    domain::{
        Halt, NodeId, PaymentHash, PaymentId, Sends, Timestamp,
        payment::{Advance, Answer, PaymentEntry, PaymentQuery, Send},
    },
    ports::{Lane, Leased, OpenPayments, Payments, StoreError},
    store::driver::{Cells, Driver, Fault, Sql, Tx, Value},
};

#[async_trait]
impl<D: Driver> Payments for SqlStore<D> {
    async fn lease(
        &self,
        lane: Lane,
        now: Timestamp,
        until: Timestamp,
        limit: i64,
    ) -> Result<Vec<Leased>, StoreError> {
        if limit <= 0 {
            return Ok(Vec::new());
        }
        let dialect = self.driver().dialect();
        let (any, statement) = match lane {
            Lane::Fresh => (statements::ANY_DUE_FRESH, dialect.lease_fresh),
            Lane::Follow => (statements::ANY_DUE_FOLLOW, dialect.lease_follow),
        };
        // Most passes find nothing, and then they shall not write.
        if self.driver().fetch(any, vec![int(now.as_ms())]).await?.is_empty() {
            return Ok(Vec::new());
        }
        let values = [int(until.as_ms()), int(now.as_ms()), int(limit)];
        retrying(|| self.lease_once(statement, values.to_vec())).await
    }

    async fn payment(&self, id: PaymentId) -> Result<Option<Leased>, StoreError> {
        let rows = self.driver().fetch(statements::PAYMENT_BY_ID, of(id)).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let sends = self.driver().fetch(statements::SENDS_OF, of(id)).await?;
        self.settle_lost_answers().await?;
        leased(row, &sends).map(Some)
    }

    async fn list_payments(&self, query: &PaymentQuery) -> Result<Vec<PaymentEntry>, StoreError> {
        let entries = payment_lists::list(self.driver(), query).await?;
        self.settle_lost_answers().await?;
        Ok(entries)
    }

    async fn open_payments(&self) -> Result<Vec<OpenPayments>, StoreError> {
        let open = self.driver().fetch(statements::payment_lists::OPEN_BY_STATE, Vec::new());
        open.await?.iter().map(rows::open_payments).collect()
    }

    async fn advance(&self, advance: &Advance) -> Result<(), StoreError> {
        retrying(|| self.advance_once(advance)).await
    }

    async fn send_exists(
        &self,
        id: PaymentId,
        number: i64,
        epoch: i64,
    ) -> Result<bool, StoreError> {
        let values = vec![uuid(id.as_uuid()), int(number), int(epoch)];
        let found = self.driver().fetch(statements::SEND_EXISTS, values).await?;
        self.settle_lost_answers().await?;
        Ok(!found.is_empty())
    }

    async fn postpone(
        &self,
        leased: &Leased,
        due_at: Option<Timestamp>,
        looks: i64,
    ) -> Result<(), StoreError> {
        let due_at = Value::Int(due_at.map(Timestamp::as_ms));
        let Leased { payment, epoch, .. } = leased;
        let id = uuid(payment.id.as_uuid());
        let values = [due_at, int(looks), id, int(*epoch), int(payment.version)];
        retrying(|| self.write(statements::POSTPONE, values.to_vec())).await.map(drop)
    }

    async fn pull_far(&self, beyond: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        let far = vec![int(beyond.as_ms())];
        if self.driver().fetch(statements::ANY_FAR, far).await?.is_empty() {
            return Ok(0);
        }
        let values = [int(beyond.as_ms()), int(now.as_ms())];
        retrying(|| self.write(statements::PULL_FAR, values.to_vec())).await
    }

    async fn newest_known(
        &self,
        node: &NodeId,
        but: PaymentId,
    ) -> Result<Option<PaymentHash>, StoreError> {
        let values = vec![text(node.as_str()), uuid(but.as_uuid())];
        let rows = self.driver().fetch(statements::NEWEST_KNOWN, values).await?;
        let hash = rows.first().map(|row| rows::one_bytes32(row, "payment_hash")).transpose()?;
        Ok(hash.map(PaymentHash::from_bytes))
    }
}

impl<D: Driver> SqlStore<D> {
    async fn lease_once(&self, statement: Sql, values: Vec<Value>) -> Result<Vec<Leased>, Fault> {
        let mut tx = self.driver().begin().await?;
        let taken = tx.fetch(statement, values).await?;
        // Nothing was taken: nothing to make durable.
        if taken.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Result<Vec<Uuid>, StoreError> =
            taken.iter().map(|row| rows::one_uuid(row, "id")).collect();
        let ids = text(&json_array(&ids?));
        let dialect = self.driver().dialect();
        let found = tx.fetch(dialect.leased, vec![ids.clone()]).await?;
        let mut sends: HashMap<Uuid, Vec<_>> = HashMap::new();
        for send in tx.fetch(dialect.leased_sends, vec![ids]).await? {
            sends.entry(rows::one_uuid(&send, "payment_id")?).or_default().push(send);
        }
        let leases = found.iter().filter_map(|row| {
            let id = rows::one_uuid(row, "p_id").ok()?;
            let its_sends = sends.remove(&id).unwrap_or_default();
            leased(row, &its_sends).map_err(|error| log_unreadable(id, &error)).ok()
        });
        let leases = leases.collect();
        // Also what cannot be read is leased: it shall not come first in every pass.
        tx.commit().await?;
        Ok(leases)
    }

    async fn advance_once(&self, advance: &Advance) -> Result<(), Fault> {
        let mut tx = self.driver().begin().await?;
        let payment = &advance.payment;
        if advance.closes() && advance.decided_on != Some(self.server_of(&mut tx).await?) {
            return Err(StoreError::Halted(Halt::Unverified).into());
        }
        // The switches before any other lock: whoever turns them waits for this transaction.
        if advance.send_on_version.is_some()
            && let Some(halt) = self.halted(&mut tx).await?
        {
            return Err(StoreError::Halted(halt).into());
        }
        if let Some(change) = &advance.change
            && !withdraws::write_change(&mut tx, change).await?
        {
            return Err(StoreError::Stale.into());
        }
        if let Some(version) = advance.send_on_version {
            // A send goes out only while the request is as it was when it was decided.
            let request = vec![uuid(payment.withdraw.as_uuid()), int(version)];
            let hold = self.driver().dialect().hold_withdraw;
            if tx.fetch(hold, request).await?.is_empty() {
                return Err(StoreError::Stale.into());
            }
        }
        tallies::stepped(&mut tx, advance).await?;
        let mut values = rows::payment_standing(payment);
        values.extend([
            Value::Bool(advance.no_witness),
            Value::Int(advance.known_at.map(Timestamp::as_ms)),
            Value::Int(advance.due_at.map(Timestamp::as_ms)),
            int(advance.looks),
            uuid(payment.id.as_uuid()),
            int(payment.version - 1),
        ]);
        if tx.execute(statements::ADVANCE, values).await? != 1 {
            return Err(StoreError::Stale.into());
        }
        if let Some(send) = &advance.new_send {
            tx.execute(statements::NEW_SEND, new_send(payment.id, send)).await?;
        }
        if let Some((number, epoch, answer)) = advance.answered {
            tx.execute(statements::ANSWER_SEND, answered(payment.id, number, epoch, answer))
                .await?;
        }
        self.commit(tx, CommitLabel::of_payment(label_of(advance), payment.id)).await
    }

    /// One statement in a transaction of its own.
    pub(super) async fn write(&self, statement: Sql, values: Vec<Value>) -> Result<u64, Fault> {
        let mut tx = self.driver().begin().await?;
        let written = tx.execute(statement, values).await?;
        tx.commit().await?;
        Ok(written)
    }
}

/// What the log calls a step, should it be lost.
fn label_of(advance: &Advance) -> &'static str {
    match (&advance.new_send, &advance.change) {
        (Some(_), _) => "sent",
        (None, Some(change)) => change.event.kind.name(),
        (None, None) => "followed",
    }
}

fn of(id: PaymentId) -> Vec<Value> {
    vec![uuid(id.as_uuid())]
}

/// The digits alone: what both databases read as an id.
fn json_array(ids: &[Uuid]) -> String {
    let ids: Vec<String> = ids.iter().map(|id| format!("\"{}\"", id.simple())).collect();
    format!("[{}]", ids.join(","))
}

/// A row that a hand or a newer version wrote. The others are worked on without it.
fn log_unreadable(payment: Uuid, error: &StoreError) {
    tracing::error!(
        %payment,
        error = error as &dyn std::error::Error,
        "the payment cannot be read: nobody follows it"
    );
}

fn leased<R: Cells>(row: &R, sends: &[R]) -> Result<Leased, StoreError> {
    let sends: Result<Vec<Send>, StoreError> = sends.iter().map(rows::send).collect();
    let (epoch, looks) = rows::lease(row)?;
    Ok(Leased {
        payment: rows::payment(row, Sends::from_rows(sends?))?,
        withdraw: rows::withdraw(row)?,
        epoch,
        looks,
    })
}

fn new_send(payment: PaymentId, send: &Send) -> Vec<Value> {
    vec![
        uuid(payment.as_uuid()),
        int(send.number),
        int(send.epoch),
        text(send.node.as_str()),
        int(send.sent_at.as_ms()),
        int(send.begun_at.as_ms()),
        int(send.send_deadline.as_ms()),
    ]
}

fn answered(payment: PaymentId, number: i64, epoch: i64, answer: Answer) -> Vec<Value> {
    vec![text(answer.name()), uuid(payment.as_uuid()), int(number), int(epoch)]
}
