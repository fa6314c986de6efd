//! A store with faults.

use std::sync::{Arc, atomic::Ordering};

use async_trait::async_trait;
use withdrawd::{
    domain::{
        Change, Claim, Event, Heartbeat, InstanceCommand, InstanceStatus, KeyId, ListQuery, Millis,
        NodeId, NodeTrouble, PaymentHash, PaymentId, Restored, SecretHash, Timestamp, Withdraw,
        WithdrawId, WithdrawView,
        payment::{Advance, PaymentEntry, PaymentQuery, Unanswered},
    },
    ports::{
        ClaimOutcome, Connections, CreateOutcome, Inherited, Instance, Integrity, Introduction,
        KnownFrom, Lane, Leased, LostCommits, NewWitness, OpenPayments, OverdueSends, Payments,
        PublicStore, Schema, SeenServer, Server, Store, StoreError, Upkeep, Withdraws, WriteProof,
    },
    runtime::Clock,
};

use super::Faults;

/// A store with faults, whose clock is the test's.
pub struct FaultyStore {
    pub inner: Arc<dyn Store>,
    pub faults: Arc<Faults>,
    pub clock: Arc<dyn Clock>,
}

#[async_trait]
impl PublicStore for FaultyStore {
    async fn by_secret(&self, hash: &SecretHash) -> Result<Option<WithdrawView>, StoreError> {
        self.faults.gate(self.inner.by_secret(hash)).await
    }

    async fn instance_status(
        &self,
        clock_skew: Millis,
        spent_since: Option<Timestamp>,
    ) -> Result<InstanceStatus, StoreError> {
        if self.faults.wallets_wait.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        self.inner.instance_status(clock_skew, spent_since).await
    }

    async fn claim(&self, claim: &Claim) -> Result<ClaimOutcome, StoreError> {
        self.faults.write("claim", self.inner.claim(claim)).await
    }
}

#[async_trait]
impl Withdraws for FaultyStore {
    async fn create(&self, withdraws: &[Withdraw]) -> Result<Vec<CreateOutcome>, StoreError> {
        self.faults.write("create", self.inner.create(withdraws)).await
    }

    async fn withdraw(&self, id: WithdrawId) -> Result<Option<WithdrawView>, StoreError> {
        self.faults.gate(self.inner.withdraw(id)).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Vec<WithdrawView>, StoreError> {
        self.faults.gate(self.inner.list(query)).await
    }

    async fn change(&self, changes: &[Change]) -> Result<Vec<bool>, StoreError> {
        self.faults.write("change", self.inner.change(changes)).await
    }

    async fn due_for_refresh(
        &self,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<Withdraw>, StoreError> {
        self.inner.due_for_refresh(now, limit).await
    }

    async fn events_of(&self, id: WithdrawId) -> Result<Vec<Event>, StoreError> {
        self.inner.events_of(id).await
    }
}

#[async_trait]
impl Payments for FaultyStore {
    async fn lease(
        &self,
        lane: Lane,
        now: Timestamp,
        until: Timestamp,
        limit: i64,
    ) -> Result<Vec<Leased>, StoreError> {
        self.faults.gate(self.inner.lease(lane, now, until, limit)).await
    }

    async fn payment(&self, id: PaymentId) -> Result<Option<Leased>, StoreError> {
        self.faults.gate(self.inner.payment(id)).await
    }

    async fn list_payments(&self, query: &PaymentQuery) -> Result<Vec<PaymentEntry>, StoreError> {
        self.faults.gate(self.inner.list_payments(query)).await
    }

    async fn open_payments(&self) -> Result<Vec<OpenPayments>, StoreError> {
        self.inner.open_payments().await
    }

    async fn advance(&self, advance: &Advance) -> Result<(), StoreError> {
        self.faults.write("advance", self.inner.advance(advance)).await
    }

    async fn send_exists(
        &self,
        id: PaymentId,
        number: i64,
        epoch: i64,
    ) -> Result<bool, StoreError> {
        self.faults.gate(self.inner.send_exists(id, number, epoch)).await
    }

    async fn postpone(
        &self,
        leased: &Leased,
        due_at: Option<Timestamp>,
        looks: i64,
    ) -> Result<(), StoreError> {
        self.faults.write("postpone", self.inner.postpone(leased, due_at, looks)).await
    }

    async fn bring_forward(&self, beyond: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        self.inner.bring_forward(beyond, now).await
    }

    async fn newest_known(
        &self,
        node: &NodeId,
        but: PaymentId,
    ) -> Result<Option<PaymentHash>, StoreError> {
        self.faults.gate(self.inner.newest_known(node, but)).await
    }

    async fn is_witnessed(
        &self,
        node: &NodeId,
        sends: &Unanswered,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.faults.gate(self.inner.is_witnessed(node, sends, now)).await
    }

    async fn unanswered_in_a_row(
        &self,
        node: &NodeId,
        overdue: OverdueSends,
    ) -> Result<i64, StoreError> {
        self.inner.unanswered_in_a_row(node, overdue).await
    }

    async fn begin_witness(&self, witness: &NewWitness) -> Result<Option<i64>, StoreError> {
        self.faults.write("begin_witness", self.inner.begin_witness(witness)).await
    }

    async fn renew_witness(
        &self,
        witness: &NewWitness,
        ends_at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.inner.renew_witness(witness, ends_at).await
    }

    async fn in_vain_since(
        &self,
        node: &NodeId,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.faults.gate(self.inner.in_vain_since(node, now)).await
    }

    async fn witnessed(
        &self,
        node: &NodeId,
        begun_at: Timestamp,
        after: i64,
    ) -> Result<(), StoreError> {
        self.faults.write("witnessed", self.inner.witnessed(node, begun_at, after)).await
    }
}

/// Advice, and turns that their callers repeat, are no crash points of a withdrawal; which node pays is.
#[async_trait]
impl Instance for FaultyStore {
    async fn report_trouble(
        &self,
        trouble: Option<&NodeTrouble>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.faults.gate(self.inner.report_trouble(trouble, at)).await
    }

    async fn instance_status_for_operator(
        &self,
        clock_skew: Millis,
        spent_since: Option<Timestamp>,
    ) -> Result<InstanceStatus, StoreError> {
        self.inner.instance_status_for_operator(clock_skew, spent_since).await
    }

    async fn store_heartbeat(&self, heartbeat: &Heartbeat) -> Result<(), StoreError> {
        self.inner.store_heartbeat(heartbeat).await
    }

    async fn execute_command(&self, command: &InstanceCommand) -> Result<bool, StoreError> {
        self.inner.execute_command(command).await
    }

    async fn current_node(&self) -> Result<Option<NodeId>, StoreError> {
        self.faults.gate(self.inner.current_node()).await
    }

    async fn remember_node(
        &self,
        node: &Introduction,
        backend: &str,
        replace: bool,
        now: Timestamp,
    ) -> Result<NodeId, StoreError> {
        self.faults
            .write("remember_node", self.inner.remember_node(node, backend, replace, now))
            .await
    }
}

#[async_trait]
impl Integrity for FaultyStore {
    async fn server(&self) -> Result<SeenServer, StoreError> {
        self.inner.server().await
    }

    fn must_read_marks(&self, server: Server) -> bool {
        self.inner.must_read_marks(server)
    }

    async fn lost_commits(&self) -> Result<Option<LostCommits>, StoreError> {
        self.inner.lost_commits().await
    }

    async fn confirm_version(&self, id: WithdrawId, version: i64) -> Result<(), StoreError> {
        self.faults.gate(self.inner.confirm_version(id, version)).await
    }

    async fn yet_to_read_marks(&self, server: Server, window: Millis) -> Result<i64, StoreError> {
        self.inner.yet_to_read_marks(server, window).await
    }

    async fn verify(&self, server: Server, at: Timestamp) -> Result<bool, StoreError> {
        self.inner.verify(server, at).await
    }

    fn is_registered(&self, server: Server) -> bool {
        self.inner.is_registered(server)
    }

    fn register_server(&self, server: Server, inherited: Option<Inherited>) {
        self.inner.register_server(server, inherited);
    }

    fn registered_server(&self) -> Option<(Server, Option<Inherited>)> {
        self.inner.registered_server()
    }

    async fn last_send(&self) -> Result<i64, StoreError> {
        self.inner.last_send().await
    }

    async fn known_from(&self, now: Timestamp) -> Result<KnownFrom, StoreError> {
        self.inner.known_from(now).await
    }

    async fn newest_committed(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        self.inner.newest_committed(now).await
    }

    async fn knows(&self, hash: PaymentHash) -> Result<bool, StoreError> {
        self.inner.knows(hash).await
    }

    async fn restore(&self, restored: &Restored) -> Result<(), StoreError> {
        self.inner.restore(restored).await
    }

    async fn to_withhold(
        &self,
        before: Timestamp,
        limit: i64,
    ) -> Result<Vec<Withdraw>, StoreError> {
        self.inner.to_withhold(before, limit).await
    }

    async fn withheld(&self, limit: i64) -> Result<Vec<Withdraw>, StoreError> {
        self.inner.withheld(limit).await
    }
}

#[async_trait]
impl Upkeep for FaultyStore {
    async fn database_now(&self) -> Result<Timestamp, StoreError> {
        Ok(self.clock.now())
    }

    async fn ping(&self) -> Result<Schema, StoreError> {
        self.inner.ping().await
    }

    async fn keys_in_use(&self) -> Result<Vec<KeyId>, StoreError> {
        self.inner.keys_in_use().await
    }

    async fn is_empty(&self) -> Result<bool, StoreError> {
        self.inner.is_empty().await
    }

    async fn deriving_key(&self) -> Result<Option<KeyId>, StoreError> {
        self.inner.deriving_key().await
    }

    async fn derive_from(
        &self,
        key: &KeyId,
        before: Option<&KeyId>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.inner.derive_from(key, before, now).await
    }

    async fn prove_write(&self, now: Timestamp) -> Result<WriteProof, StoreError> {
        self.inner.prove_write(now).await
    }

    fn connections(&self) -> Connections {
        self.inner.connections()
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
