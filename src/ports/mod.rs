//! What the service asks of the world: a store and a Lightning node. No driver's type stands here.

mod node;
mod store;

pub use node::{
    Connection, Introduction, LightningNode, ListedPayment, LookUp, NodeError, NodeHealth,
    NodeTraits, PaymentsPage, PaymentsQuery, SendOrder, SendStream, SendUpdate,
};
pub use store::{
    BoxError, ClaimOutcome, Claims, CreateOutcome, Events, Inherited, Instance, Integrity, Lane,
    Leased, Nodes, Payments, Schema, Server, Store, StoreError, Upkeep, Withdraws,
};
