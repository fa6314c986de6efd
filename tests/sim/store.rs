//! The store as a process reaches it: each call is a gate, commits may be lost, and every commit is
//! read back into the mirror that the invariants are checked against.

use std::{
    future::Future,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use withdrawd::{
    domain::{
        Change, Claim, Event, InstanceStatus, KeyId, ListQuery, Millis, NodeId, PaymentHash,
        PaymentId, SecretHash, Timestamp, Withdraw, WithdrawId, WithdrawView,
        payment::{Advance, PaymentEntry, PaymentQuery, Unanswered},
    },
    ports::{
        ClaimOutcome, Connections, CreateOutcome, Lane, Leased, NewWitness, OpenPayments,
        OverdueSends, Payments, PublicStore, Schema, Store, StoreError, Upkeep, Withdraws,
        WriteProof,
    },
};

use super::{
    database::Database,
    mutation::Mutation,
    step::{Call, CallKind, Completion},
    world::{Incarnation, World},
};

/// The store's ports in one process.
pub struct GatedStore {
    pub world: Arc<World>,
    pub database: Arc<Database>,
    pub mutation: Option<Mutation>,
    pub deferred: Deferred,
    /// The real one, with the marks and the memory of this process.
    pub store: Arc<dyn Store>,
    /// The store of a mutated run after a loss: a new process's, which remembers no commit.
    pub forgetful: Arc<dyn Store>,
    pub incarnation: Incarnation,
}

/// Commits that a mutated run makes only after the node was asked.
#[derive(Clone)]
pub struct Deferred {
    pub database: Arc<Database>,
    pub late: Arc<Mutex<Vec<Advance>>>,
}

impl Deferred {
    pub fn write(&self, world: &World) {
        let late = std::mem::take(&mut *self.late.lock().unwrap());
        for advance in late {
            // Too late, it fails: then the mutated run has lost the row of its send.
            let _ = self.database.run(self.database.store.advance(&advance));
            read_payment(world, &self.database, advance.payment.id);
        }
    }
}

fn unavailable() -> StoreError {
    StoreError::Unavailable { doing: "answer", source: "on purpose".into() }
}

fn unknown() -> StoreError {
    StoreError::Unknown("on purpose".into())
}

/// Reads a payment and its request into the mirror.
fn read_payment(world: &World, database: &Database, id: PaymentId) {
    let found = database.run(database.store.payment(id)).unwrap();
    if let Some(Leased { payment, withdraw, .. }) = found {
        world.lock().wrote(Some(payment), &withdraw);
    }
}

fn read_withdraw(world: &World, database: &Database, id: WithdrawId) {
    let found = database.run(database.store.withdraw(id)).unwrap();
    if let Some(WithdrawView { withdraw, .. }) = found {
        world.lock().wrote(None, &withdraw);
    }
}

impl GatedStore {
    pub(super) async fn read<T>(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let call = Call { kind: CallKind::Read, name };
        let how = self.world.wait_at_gate(call).await;
        if how == Completion::NotDone {
            self.world.lock().unanswered();
            return Err(unavailable());
        }
        let done = self.database.run(work);
        self.world.answer(call, how).await;
        done
    }

    /// `answer` reads back what was written, and takes it into the mirror.
    pub(super) async fn write<T: std::fmt::Debug>(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<T, StoreError>> + Send,
        answer: impl FnOnce(&T) + Send,
    ) -> Result<T, StoreError> {
        let call = Call { kind: CallKind::Write, name };
        let how = self.world.wait_at_gate(call).await;
        match how {
            Completion::NotDone => {
                self.world.lock().unanswered();
                return Err(unavailable());
            }
            Completion::LostBefore => return Err(Mutation::lost_commit(self.mutation, unknown())),
            _ => {}
        }
        let done = self.database.run(work);
        if let Ok(done) = &done {
            answer(done);
        } else if let Err(error) = &done {
            self.world.lock().note(|| format!("      {name}: {error}"));
        }
        self.world.answer(call, how).await;
        if how == Completion::LostAfter && done.is_ok() {
            return Err(Mutation::lost_commit(self.mutation, unknown()));
        }
        done
    }

    pub(super) fn inner(&self) -> &dyn Store {
        let forgets = self.mutation == Some(Mutation::MarksForgotten)
            && self.world.lock().mirror.loss.is_some();
        if forgets { &*self.forgetful } else { &*self.store }
    }

    /// A commit whose caller this process may tell of it.
    pub(super) fn note_commit(&self, what: &'static str) {
        self.world.lock().note_commit(self.incarnation, what);
    }
}

#[async_trait]
impl PublicStore for GatedStore {
    async fn by_secret(&self, hash: &SecretHash) -> Result<Option<WithdrawView>, StoreError> {
        self.read("by_secret", self.inner().by_secret(hash)).await
    }

    async fn instance_status(
        &self,
        clock_skew: Millis,
        spent_since: Option<Timestamp>,
    ) -> Result<InstanceStatus, StoreError> {
        self.read("instance_status", self.inner().instance_status(clock_skew, spent_since)).await
    }

    async fn claim(&self, claim: &Claim) -> Result<ClaimOutcome, StoreError> {
        Mutation::claims(self.mutation, claim.payment.payment_hash, &self.database);
        let answer = |outcome: &ClaimOutcome| {
            if *outcome == ClaimOutcome::Accepted {
                self.world.lock().claimed(self.incarnation, claim);
                self.note_commit("claimed");
                read_payment(&self.world, &self.database, claim.payment.id);
            }
        };
        self.write("claim", self.inner().claim(claim), answer).await
    }
}

#[async_trait]
impl Withdraws for GatedStore {
    async fn create(&self, withdraws: &[Withdraw]) -> Result<Vec<CreateOutcome>, StoreError> {
        let answer = |outcomes: &Vec<CreateOutcome>| {
            if !outcomes.contains(&CreateOutcome::Conflict) {
                self.note_commit("created");
            }
            for withdraw in withdraws {
                read_withdraw(&self.world, &self.database, withdraw.id);
            }
        };
        self.write("create", self.inner().create(withdraws), answer).await
    }

    async fn withdraw(&self, id: WithdrawId) -> Result<Option<WithdrawView>, StoreError> {
        self.read("withdraw", self.inner().withdraw(id)).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Vec<WithdrawView>, StoreError> {
        self.read("list", self.inner().list(query)).await
    }

    async fn change(&self, changes: &[Change]) -> Result<Vec<bool>, StoreError> {
        let answer = |written: &Vec<bool>| {
            if written.contains(&true) {
                self.note_commit("changed");
            }
            for change in changes {
                read_withdraw(&self.world, &self.database, change.next.id);
            }
        };
        self.write("change", self.inner().change(changes), answer).await
    }

    async fn due_for_refresh(
        &self,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<Withdraw>, StoreError> {
        self.read("due_for_refresh", self.inner().due_for_refresh(now, limit)).await
    }

    async fn events_of(&self, id: WithdrawId) -> Result<Vec<Event>, StoreError> {
        self.read("events_of", self.inner().events_of(id)).await
    }
}

#[async_trait]
impl Payments for GatedStore {
    async fn lease(
        &self,
        lane: Lane,
        now: Timestamp,
        until: Timestamp,
        limit: i64,
    ) -> Result<Vec<Leased>, StoreError> {
        let name = if lane == Lane::Fresh { "lease_fresh" } else { "lease_follow" };
        self.write(name, self.inner().lease(lane, now, until, limit), |_| {}).await
    }

    async fn payment(&self, id: PaymentId) -> Result<Option<Leased>, StoreError> {
        self.read("payment", self.inner().payment(id)).await
    }

    async fn advance(&self, advance: &Advance) -> Result<(), StoreError> {
        let advance = Mutation::advance(self.mutation, advance, &self.database);
        if Mutation::defers(self.mutation, &advance) {
            self.deferred.late.lock().unwrap().push(advance);
            return Ok(());
        }
        let answer = |(): &()| {
            self.world.lock().advanced(self.incarnation, &advance);
            self.note_commit("advanced");
            read_payment(&self.world, &self.database, advance.payment.id);
        };
        self.write("advance", self.inner().advance(&advance), answer).await
    }

    async fn list_payments(&self, query: &PaymentQuery) -> Result<Vec<PaymentEntry>, StoreError> {
        self.read("list_payments", self.inner().list_payments(query)).await
    }

    async fn open_payments(&self) -> Result<Vec<OpenPayments>, StoreError> {
        self.read("open_payments", self.inner().open_payments()).await
    }

    async fn send_exists(
        &self,
        id: PaymentId,
        number: i64,
        epoch: i64,
    ) -> Result<bool, StoreError> {
        self.read("send_exists", self.inner().send_exists(id, number, epoch)).await
    }

    async fn postpone(
        &self,
        leased: &Leased,
        due_at: Option<Timestamp>,
        looks: i64,
    ) -> Result<(), StoreError> {
        self.write("postpone", self.inner().postpone(leased, due_at, looks), |()| {}).await
    }

    async fn bring_forward(&self, beyond: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        self.write("bring_forward", self.inner().bring_forward(beyond, now), |_| {}).await
    }

    async fn newest_known(
        &self,
        node: &NodeId,
        but: PaymentId,
    ) -> Result<Option<PaymentHash>, StoreError> {
        self.read("newest_known", self.inner().newest_known(node, but)).await
    }

    async fn is_witnessed(
        &self,
        node: &NodeId,
        sends: &Unanswered,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let witnessed =
            self.read("is_witnessed", self.inner().is_witnessed(node, sends, now)).await?;
        Ok(witnessed || Mutation::clock_ends_all(self.mutation))
    }

    async fn unanswered_in_a_row(
        &self,
        node: &NodeId,
        overdue: OverdueSends,
    ) -> Result<i64, StoreError> {
        let work = self.inner().unanswered_in_a_row(node, overdue);
        self.read("unanswered_in_a_row", work).await
    }

    async fn begin_witness(&self, witness: &NewWitness) -> Result<Option<i64>, StoreError> {
        self.write("begin_witness", self.inner().begin_witness(witness), |_| {}).await
    }

    async fn renew_witness(
        &self,
        witness: &NewWitness,
        ends_at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write("renew_witness", self.inner().renew_witness(witness, ends_at), |_| {}).await
    }

    async fn in_vain_since(
        &self,
        node: &NodeId,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.read("in_vain_since", self.inner().in_vain_since(node, now)).await
    }

    async fn witnessed(
        &self,
        node: &NodeId,
        begun_at: Timestamp,
        after: i64,
    ) -> Result<(), StoreError> {
        self.write("witnessed", self.inner().witnessed(node, begun_at, after), |()| {}).await
    }
}

#[async_trait]
impl Upkeep for GatedStore {
    /// The database's clock is the simulation's, as Postgres has one of its own.
    async fn database_now(&self) -> Result<Timestamp, StoreError> {
        let now = async { Ok(self.world.lock().database_now()) };
        self.read("database_now", now).await
    }

    async fn ping(&self) -> Result<Schema, StoreError> {
        self.read("ping", self.inner().ping()).await
    }

    async fn keys_in_use(&self) -> Result<Vec<KeyId>, StoreError> {
        self.read("keys_in_use", self.inner().keys_in_use()).await
    }

    async fn is_empty(&self) -> Result<bool, StoreError> {
        self.read("is_empty", self.inner().is_empty()).await
    }

    async fn deriving_key(&self) -> Result<Option<KeyId>, StoreError> {
        self.read("deriving_key", self.inner().deriving_key()).await
    }

    async fn derive_from(
        &self,
        key: &KeyId,
        before: Option<&KeyId>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.read("derive_from", self.inner().derive_from(key, before, now)).await
    }

    async fn prove_write(&self, now: Timestamp) -> Result<WriteProof, StoreError> {
        self.read("prove_write", self.inner().prove_write(now)).await
    }

    fn connections(&self) -> Connections {
        self.inner().connections()
    }

    async fn close(&self) {}
}
