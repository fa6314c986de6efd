//! The ports that are about the whole instance, gated.

use async_trait::async_trait;
use withdrawd::{
    domain::{
        Heartbeat, InstanceCommand, InstanceStatus, Millis, NodeId, NodeTrouble, PaymentHash,
        Restored, Timestamp, Withdraw, WithdrawId,
    },
    ports::{
        Inherited, Instance, Integrity, Introduction, KnownFrom, LostCommits, SeenServer, Server,
        StoreError,
    },
};

use super::store::GatedStore;

#[async_trait]
impl Instance for GatedStore {
    async fn instance_status_for_operator(
        &self,
        clock_skew: Millis,
        spent_since: Option<Timestamp>,
    ) -> Result<InstanceStatus, StoreError> {
        let status = self.inner().instance_status_for_operator(clock_skew, spent_since);
        self.read("instance_status_for_operator", status).await
    }

    /// No step of a history: nothing that is paid follows from it.
    async fn report_trouble(
        &self,
        trouble: Option<&NodeTrouble>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.database.run(self.inner().report_trouble(trouble, at))
    }

    async fn store_heartbeat(&self, heartbeat: &Heartbeat) -> Result<(), StoreError> {
        self.write("store_heartbeat", self.inner().store_heartbeat(heartbeat), |()| {}).await
    }

    async fn execute_command(&self, command: &InstanceCommand) -> Result<bool, StoreError> {
        // A fence that stands is none that ends.
        let answer = |done: &bool| {
            // Also when it stood like that already.
            self.note_commit(command.name());
            if *done || !matches!(command, InstanceCommand::Acknowledge(..)) {
                self.world.lock().command_executed(command);
            }
        };
        self.write("execute_command", self.inner().execute_command(command), answer).await
    }

    async fn current_node(&self) -> Result<Option<NodeId>, StoreError> {
        self.read("current_node", self.inner().current_node()).await
    }

    async fn remember_node(
        &self,
        node: &Introduction,
        backend: &str,
        replace: bool,
        now: Timestamp,
    ) -> Result<NodeId, StoreError> {
        let work = self.inner().remember_node(node, backend, replace, now);
        let answer = |_: &NodeId| self.world.lock().node.is_known = true;
        self.write("remember_node", work, answer).await
    }
}

#[async_trait]
impl Integrity for GatedStore {
    async fn server(&self) -> Result<SeenServer, StoreError> {
        self.read("server", self.inner().server()).await
    }

    fn must_read_marks(&self, server: Server) -> bool {
        self.inner().must_read_marks(server)
    }

    async fn lost_commits(&self) -> Result<Option<LostCommits>, StoreError> {
        self.write("lost_commits", self.inner().lost_commits(), |_| {}).await
    }

    async fn confirm_version(&self, id: WithdrawId, version: i64) -> Result<(), StoreError> {
        self.write("confirm_version", self.inner().confirm_version(id, version), |()| {
            self.note_commit("shown again");
        })
        .await
    }

    async fn yet_to_read_marks(&self, server: Server, window: Millis) -> Result<i64, StoreError> {
        self.read("yet_to_read_marks", self.inner().yet_to_read_marks(server, window)).await
    }

    async fn verify(&self, server: Server, at: Timestamp) -> Result<bool, StoreError> {
        self.write("verify", self.inner().verify(server, at), |_| {}).await
    }

    fn is_registered(&self, server: Server) -> bool {
        self.inner().is_registered(server)
    }

    fn register_server(&self, server: Server, inherited: Option<Inherited>) {
        self.inner().register_server(server, inherited);
    }

    fn registered_server(&self) -> Option<(Server, Option<Inherited>)> {
        self.inner().registered_server()
    }

    async fn last_send(&self) -> Result<i64, StoreError> {
        self.read("last_send", self.inner().last_send()).await
    }

    async fn known_from(&self, now: Timestamp) -> Result<KnownFrom, StoreError> {
        self.write("known_from", self.inner().known_from(now), |_| {}).await
    }

    async fn newest_committed(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        self.read("newest_committed", self.inner().newest_committed(now)).await
    }

    async fn knows(&self, hash: PaymentHash) -> Result<bool, StoreError> {
        self.read("knows", self.inner().knows(hash)).await
    }

    async fn restore(&self, restored: &Restored) -> Result<(), StoreError> {
        self.write("restore", self.inner().restore(restored), |()| self.note_commit("restored"))
            .await
    }

    async fn to_withhold(
        &self,
        before: Timestamp,
        limit: i64,
    ) -> Result<Vec<Withdraw>, StoreError> {
        self.read("to_withhold", self.inner().to_withhold(before, limit)).await
    }

    async fn withheld(&self, limit: i64) -> Result<Vec<Withdraw>, StoreError> {
        self.read("withheld", self.inner().withheld(limit)).await
    }
}
