//! What the service asks of the world: a store and a Lightning node. No driver's type stands here.

mod integrity;
mod meter;
mod node;
mod store;

pub use integrity::{Inherited, Integrity, LostCommits, SeenServer, Server};
pub use meter::{Meter, NoMeter};
pub use node::{
    Connection, Introduction, LightningNode, ListedPayment, LookUp, NodeError, NodeHealth,
    NodeTraits, PaymentsPage, PaymentsQuery, SendOrder, SendStream, SendUpdate,
};
pub use store::{
    BoxError, ClaimOutcome, Claims, Connections, CreateOutcome, Events, Instance, Lane, Leased,
    Nodes, OpenPayments, Payments, Schema, Store, StoreError, Upkeep, Withdraws,
};
