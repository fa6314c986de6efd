//! The known nodes, which of them pays, its heartbeat, and its trouble.

use super::{
    Database, SqlStore,
    reader::{Reader, known},
    retry::retrying,
};
use crate::{
    domain::{Heartbeat, Msat, NodeId, NodeTrouble, Timestamp},
    ports::{Introduction, StoreError},
    store::{
        driver::{Cells, Fault, Tx},
        statement::Statement,
    },
};

params! {
    struct Retire<'a> {
        is_current: bool,
        but: &'a NodeId,
    }

    struct Remember<'a> {
        node_id: &'a NodeId,
        alias: &'a str,
        network: &'a str,
        backend: &'a str,
        first_seen_at_ms: Timestamp,
        is_current: bool,
    }

    struct Beat<'a> {
        alias: &'a str,
        heartbeat_at_ms: Timestamp,
        synced: bool,
        remembers: bool,
        answers_sends: bool,
        can_send_msat: Msat,
        active_channels: i64,
        busiest_channel_htlcs: i64,
        node_id: &'a NodeId,
    }

    struct Trouble<'a> {
        kind: &'a str,
        subject: &'a str,
        at_ms: Timestamp,
    }
}

const CURRENT: Statement<()> = statement!(
    "read which node pays",
    "-- node.current\nselect node_id from nodes where is_current"
);

const RETIRE: Statement<Retire> = statement!(
    Retire,
    "retire the previous node",
    "-- node.retire\nupdate nodes set is_current = :is_current where is_current and node_id <> :but"
);

const REMEMBER: Statement<Remember> = statement!(
    Remember,
    "remember a node",
    concat!(
        "-- node.remember\n",
        insert_into!("nodes", node_id, alias, network, backend, first_seen_at_ms, is_current,),
        " on conflict (node_id) do update
            set alias = excluded.alias, is_current = excluded.is_current"
    )
);

const BEAT: Statement<Beat> = statement!(
    Beat,
    "write the node's heartbeat",
    "-- node.beat
     update nodes
        set alias = :alias, heartbeat_at_ms = :heartbeat_at_ms, synced = :synced,
            remembers = :remembers, answers_sends = :answers_sends,
            can_send_msat = :can_send_msat, active_channels = :active_channels,
            busiest_channel_htlcs = :busiest_channel_htlcs
      where node_id = :node_id and is_current"
);

const TROUBLE: Statement<Trouble> = statement!(
    Trouble,
    "write the node's trouble",
    concat!(
        "-- node.trouble\n",
        insert_into!("node_trouble", only_row = "true", kind, subject, at_ms),
        " on conflict (only_row) do update set kind = :kind, subject = :subject, at_ms = :at_ms"
    )
);

const NO_TROUBLE: Statement<()> =
    statement!("clear the node's trouble", "-- node.no_trouble\ndelete from node_trouble");

impl<D: Database> SqlStore<D> {
    pub(super) async fn read_current_node(&self) -> Result<Option<NodeId>, StoreError> {
        current(&self.driver().fetch(CURRENT.bind(())).await?)
    }

    pub(super) async fn remember_once(
        &self,
        node: &Introduction,
        backend: &str,
        replace: bool,
        now: Timestamp,
    ) -> Result<NodeId, Fault> {
        let mut tx = self.driver().begin().await?;
        let known = current(&tx.fetch(CURRENT.bind(())).await?)?;
        match known {
            Some(known) if known == node.id || !replace => return Ok(known),
            Some(_) | None => {}
        }
        tx.execute(RETIRE.bind(Retire { is_current: false, but: &node.id })).await?;
        let remember = Remember {
            node_id: &node.id,
            alias: &node.alias,
            network: node.network.name(),
            backend,
            first_seen_at_ms: now,
            is_current: true,
        };
        tx.execute(REMEMBER.bind(remember)).await?;
        tx.commit().await?;
        Ok(node.id.clone())
    }

    pub(super) async fn write_heartbeat(&self, heartbeat: &Heartbeat) -> Result<(), StoreError> {
        let bound = || Beat {
            alias: &heartbeat.alias,
            heartbeat_at_ms: heartbeat.at,
            synced: heartbeat.synced,
            remembers: heartbeat.remembers,
            answers_sends: heartbeat.answers_sends,
            can_send_msat: heartbeat.can_send,
            active_channels: heartbeat.active_channels,
            busiest_channel_htlcs: heartbeat.busiest_channel_htlcs,
            node_id: &heartbeat.node,
        };
        retrying(|| self.write(BEAT.bind(bound()))).await.map(drop)
    }

    pub(super) async fn write_trouble(
        &self,
        trouble: Option<&NodeTrouble>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let statement = || match trouble {
            None => NO_TROUBLE.bind(()),
            Some(NodeTrouble { kind, subject }) => {
                TROUBLE.bind(Trouble { kind: kind.name(), subject, at_ms: at })
            }
        };
        retrying(|| self.write(statement())).await.map(drop)
    }
}

fn current<R: Cells>(found: &[R]) -> Result<Option<NodeId>, StoreError> {
    let Some(row) = found.first() else {
        return Ok(None);
    };
    known("node_id", NodeId::parse(&Reader(row).text("node_id")?).ok()).map(Some)
}
