//! The checked configuration, from which the rest of the program is built.

use std::{net::SocketAddr, path::PathBuf, str::FromStr};

use super::{
    Config,
    check::{Check, Mistakes},
    grpc::GrpcSettings,
    keys::KeySettings,
    lnurl::LnurlSettings,
    node::NodeSettings,
    roles::Roles,
    shutdown::ShutdownSettings,
    store::StoreSettings,
};
use crate::{
    domain::{ClaimRules, InvalidPublicUrl, Millis, Network, PublicUrl},
    integrity::VerifierOptions,
    jobs::{ExpiryOptions, HeartbeatOptions},
    payer::PayerOptions,
    telemetry::LogOptions,
};

/// The checked settings of a process.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the process does.
    pub roles: Roles,
    /// Where it keeps files.
    pub data_dir: PathBuf,
    /// The network that invoices and node must be on.
    pub network: Network,
    /// Where wallets reach the public side.
    pub public_url: PublicUrlSetting,
    /// Its database.
    pub store: StoreSettings,
    /// Its master keys; none where no role needs them.
    pub keys: Option<KeySettings>,
    /// The gRPC server.
    pub grpc: GrpcSettings,
    /// The public side.
    pub lnurl: LnurlSettings,
    /// Where probes and Prometheus ask.
    pub admin: SocketAddr,
    /// Its node; none where no role needs one.
    pub node: Option<NodeSettings>,
    /// The rules of claims.
    pub claims: ClaimRules,
    /// The options of the payer.
    pub payer: PayerOptions,
    /// How often to poll for claims of other processes.
    pub pay_every: Millis,
    /// The options of the database verifier.
    pub verifier: VerifierOptions,
    /// The options of the heartbeat job.
    pub heartbeat: HeartbeatOptions,
    /// The options of the expiry job.
    pub expiry: ExpiryOptions,
    /// How the process ends.
    pub shutdown: ShutdownSettings,
    /// How it logs.
    pub log: LogOptions,
    /// Settings that are not supported, to be logged at the start.
    pub warnings: Vec<&'static str>,
    /// Where the configuration comes from, for messages.
    pub source: String,
}

/// Where wallets reach the public side.
#[derive(Clone, Debug)]
pub enum PublicUrlSetting {
    /// As configured.
    Given(PublicUrl),
    /// At the address where it listens, which is a loopback address.
    AsBound,
}

impl PublicUrlSetting {
    /// The URL, once the public side is bound to `listening`.
    pub fn resolve(&self, listening: SocketAddr) -> Result<PublicUrl, InvalidPublicUrl> {
        match self {
            Self::Given(url) => Ok(url.clone()),
            Self::AsBound => PublicUrl::parse(&format!("http://{listening}")),
        }
    }
}

impl Config {
    /// Checks everything and reports every mistake, each with the place where it was made. Reads the node's
    /// credential files; binds, writes and connects to nothing.
    pub fn check(&self) -> Result<Settings, Mistakes> {
        let mut check = Check::of(self.mistakes.clone());
        let roles =
            check.keep("roles (--roles)", Roles::from_str(&self.roles)).unwrap_or(Roles::ALL);
        let network = check.keep("network", Network::from_str(&self.network));
        let network = network.unwrap_or(Network::Regtest);
        let shutdown = self.shutdown.check(&mut check);
        let lnurl = self.lnurl.check(shutdown.drain, &mut check);
        let claims = self.check_claim_rules(network, &mut check);
        let payer = self.check_payer(&mut check);
        if roles.is_partial() && !self.store.has_url() {
            let rule = "any value but all needs a Postgres that the processes share: set \
                        store.database_url";
            check.refuse("roles (--roles)", rule);
        }
        let settings = Settings {
            roles,
            data_dir: self.data_dir.clone(),
            network,
            public_url: self.check_public_url(roles, lnurl.listen, &mut check),
            store: self.store.check(&self.data_dir, &mut check),
            keys: roles.grpc.then(|| self.keys.check(&self.data_dir, &mut check)),
            grpc: self.grpc.check(shutdown.drain, &mut check),
            lnurl,
            admin: self.admin.check(&mut check),
            node: if roles.payer { self.check_node(network, &mut check) } else { None },
            claims,
            pay_every: check.ms("payments.poll_ms", self.payments.poll_ms),
            verifier: self.check_verifier(&mut check),
            heartbeat: self.check_heartbeat(&claims, &mut check),
            expiry: self.check_expiry(&payer, &mut check),
            payer,
            shutdown,
            log: self.log.check(&mut check),
            warnings: self.store.warnings(),
            source: self.source(),
        };
        check.finish(settings).map_err(|mistakes| self.with_places(mistakes))
    }

    /// Checks the address of the admin port only.
    pub fn check_admin(&self) -> Result<SocketAddr, Mistakes> {
        let mut check = Check::default();
        let admin = self.admin.check(&mut check);
        check.finish(admin).map_err(|mistakes| self.with_places(mistakes))
    }

    /// Checks only what a migration needs.
    pub fn check_store(&self) -> Result<StoreSettings, Mistakes> {
        let mut check = Check::of(self.mistakes.clone());
        let store = self.store.check(&self.data_dir, &mut check);
        check.finish(store).map_err(|mistakes| self.with_places(mistakes))
    }

    fn check_public_url(
        &self,
        roles: Roles,
        lnurl: SocketAddr,
        check: &mut Check,
    ) -> PublicUrlSetting {
        if !self.public_url.is_empty() {
            let url = check.keep("public_url", PublicUrl::parse(&self.public_url));
            return url.map_or(PublicUrlSetting::AsBound, PublicUrlSetting::Given);
        }
        if !roles.lnurl && roles.grpc {
            check.refuse("public_url", "is required with the role grpc and without lnurl");
        } else if roles.lnurl && !lnurl.ip().is_loopback() {
            let rule = "is required when lnurl.listen is not a loopback address";
            check.refuse("public_url", rule);
        }
        PublicUrlSetting::AsBound
    }
}
