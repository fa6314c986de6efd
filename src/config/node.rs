//! `[node]`: which backend pays, and when the node counts as down.

use serde::Deserialize;

use super::{Config, check::Check, lnd::LndSettings};
use crate::domain::{Millis, Network, NodeId};

/// `[node]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the example file documents every key")]
pub struct Node {
    pub backend: String,
    pub expected_identity: String,
    pub heartbeat_ms: i64,
    pub heartbeat_stale_ms: i64,
    pub shared: bool,
}

/// The backend that pays.
#[derive(Clone, Debug)]
pub enum Backend {
    /// The simulated node, which moves no money.
    Simulated,
    /// An lnd.
    Lnd(Box<LndSettings>),
}

/// The node of this process.
#[derive(Clone, Debug)]
pub struct NodeSettings {
    /// The backend that pays.
    pub backend: Backend,
    /// The node that pays from now on, if the operator named one.
    pub expected: Option<NodeId>,
}

/// How often the node is asked, and when its last answer is stale.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeartbeatTimes {
    pub every: Millis,
    pub stale: Millis,
}

impl Node {
    pub(super) fn check_heartbeat(&self, check: &mut Check) -> HeartbeatTimes {
        let every = check.ms("node.heartbeat_ms", self.heartbeat_ms);
        let stale = check.ms("node.heartbeat_stale_ms", self.heartbeat_stale_ms);
        if stale <= every {
            check.refuse("node.heartbeat_stale_ms", "must be longer than node.heartbeat_ms");
        }
        HeartbeatTimes { every, stale }
    }

    fn check_expected(&self, check: &mut Check) -> Option<NodeId> {
        let text = self.expected_identity.as_str();
        let named = (!text.is_empty()).then(|| NodeId::parse(text))?;
        check.keep("node.expected_identity", named)
    }
}

impl Config {
    /// The node, for a process that pays. Its files are read here, so that their mistakes are reported with
    /// the rest.
    pub(super) fn check_node(&self, network: Network, check: &mut Check) -> Option<NodeSettings> {
        let expected = self.node.check_expected(check);
        let backend = match self.node.backend.as_str() {
            "simulated" => {
                if network != Network::Regtest {
                    let rule = "simulated moves no money and runs on regtest only; choose lnd";
                    check.refuse("node.backend", rule);
                }
                Backend::Simulated
            }
            "lnd" => {
                let cltv_limit = self.payments.check_cltv_limit(check);
                Backend::Lnd(Box::new(self.lnd.check(network, cltv_limit, check)?))
            }
            _ => {
                check.refuse("node.backend", "must be simulated or lnd");
                return None;
            }
        };
        Some(NodeSettings { backend, expected })
    }
}
