//! What the service asks of the world: a store and a Lightning node. No driver's type stands here.

mod meter;
mod node;
mod store;

pub use meter::{Meter, NoMeter};
pub use node::{
    Connection, Introduction, LightningNode, ListedPayment, LookUp, NodeError, NodeHealth,
    NodeTraits, PaymentsPage, PaymentsQuery, SendOrder, SendStream, SendUpdate,
};
pub use store::{
    BoxError, ClaimOutcome, Claims, Connections, CreateOutcome, Events, Inherited, Instance,
    Integrity, Lane, Leased, Nodes, OpenPayments, Payments, Schema, Server, Store, StoreError,
    Upkeep, Withdraws, WriteProof,
};
