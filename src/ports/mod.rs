//! The outbound ports: a store, a Lightning node and a metrics recorder. No type of a driver appears
//! here.

mod node;
mod recorder;
mod store;

pub use node::{
    Connection, Introduction, LightningNode, ListedPayment, LookupReply, NodeError, NodeHealth,
    NodeTraits, PaymentsPage, PaymentsQuery, SendOrder, SendStream, SendUpdate, WitnessKeys,
    WitnessOrder,
};
pub use recorder::{NoRecorder, Recorder};
pub use store::{
    BoxError, ClaimOutcome, Connections, CreateOutcome, Inherited, Instance, Integrity, KnownFrom,
    Lane, Leased, LostCommits, NewWitness, OpenPayments, OverdueSends, Payments, PublicStore,
    Schema, SeenServer, Server, Store, StoreError, Upkeep, Withdraws, WriteProof,
};
