//! Checks the identity and the network that a node shows in `GetInfo`.

use super::super::{
    errors::{garbled, one_line},
    proto::lnrpc::GetInfoResponse,
};
use crate::{
    domain::{Network, NodeId},
    ports::{Connection, Introduction, NodeError},
};

/// The node's identity, if it is on the `expected` network.
pub(super) fn introduction(
    info: &GetInfoResponse,
    expected: Network,
    connection: Connection,
) -> Result<Introduction, NodeError> {
    let [chain] = &info.chains[..] else {
        return Err(garbled("not on exactly one chain"));
    };
    match chain.network.parse::<Network>() {
        Ok(network) if network == expected => {}
        Ok(_) | Err(_) => {
            return Err(NodeError::WrongNetwork { found: one_line(&chain.network), expected });
        }
    }
    Ok(Introduction {
        id: NodeId::parse(&info.identity_pubkey)
            .map_err(|fault| garbled(&format!("identity_pubkey: {fault}")))?,
        alias: one_line(&info.alias),
        network: expected,
        connection,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::lnd::proto::lnrpc::Chain;

    const NODE: &str = "02aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn info(identity: &str, networks: &[&str]) -> GetInfoResponse {
        let chain =
            |&network: &&str| Chain { chain: "bitcoin".to_owned(), network: network.to_owned() };
        GetInfoResponse {
            identity_pubkey: identity.to_owned(),
            alias: "payer\n".to_owned(),
            chains: networks.iter().map(chain).collect(),
            ..GetInfoResponse::default()
        }
    }

    #[test]
    fn a_node_needs_an_identity_and_the_right_network() {
        let check = |info: &GetInfoResponse| introduction(info, Network::Bitcoin, Connection(3));

        // A node that is not synced has an identity all the same.
        let checked = check(&info(NODE, &["mainnet"])).unwrap();
        assert_eq!(checked.id.as_str(), NODE);
        assert_eq!(checked.alias, "payer ");
        assert_eq!(checked.connection, Connection(3));

        for network in ["regtest", "testnet4", "simnet", ""] {
            match check(&info(NODE, &[network])) {
                Err(NodeError::WrongNetwork { found, .. }) => assert_eq!(found, network),
                other => panic!("{other:?}"),
            }
        }
        for invalid in [info("02", &["mainnet"]), info(NODE, &[]), info(NODE, &["mainnet"; 2])] {
            assert!(matches!(check(&invalid), Err(NodeError::Garbled(_))));
        }
    }
}
