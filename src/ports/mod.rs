//! What the service asks of the world: a store and a Lightning node. No driver's type stands here.

mod integrity;
mod meter;
mod node;
mod store;
mod upkeep;

pub use integrity::{Inherited, Integrity, KnownFrom, LostCommits, SeenServer, Server};
pub use meter::{Meter, NoMeter};
pub use node::{
    Connection, Introduction, LightningNode, ListedPayment, LookUp, NodeError, NodeHealth,
    NodeTraits, PaymentsPage, PaymentsQuery, SendOrder, SendStream, SendUpdate, WitnessKeys,
    WitnessOrder,
};
pub use store::{
    BoxError, ClaimOutcome, Claims, CreateOutcome, Events, Instance, Lane, Leased, NewWitness,
    Nodes, OpenPayments, Payments, Store, StoreError, Withdraws, Witnesses,
};
pub use upkeep::{Connections, Schema, Upkeep, WriteProof};
