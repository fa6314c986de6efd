//! Each room gets its own options, never the whole configuration.

use std::{str::FromStr, time::Duration};

use super::{BadOption, Config, database_url};
use crate::{
    background::Schedule,
    domain::{
        ClaimRules, FeePolicy, InvoiceRules, Millis, Msat, Network, NodeId, PayingLimits,
        PublicUrl, Sat,
        payment::{Pace, SendLimits},
    },
    grpc::GrpcOptions,
    node::lnd::{LndOptions, Macaroon},
    service::{GuardOptions, PayerOptions},
    sidecar::SidecarOptions,
    store::{PostgresOptions, SqliteOptions},
};

/// SQLite has one writer; this is how long a reader or a second command waits for it.
const SQLITE_BUSY: Duration = Duration::from_secs(10);
const SQLITE_READERS: u32 = 4;
/// Pings of a silent connection to the node while calls are open.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// How much later than it was made an attempt may be committed: far above every timeout of a claim.
const COMMIT_DELAY: Millis = Millis::from_secs(120);

type Checked<T> = Result<T, BadOption>;

/// How long a look of the guard takes beside what the database may take: its answer is waited for a little
/// longer, and the next look comes a moment later.
const SILENCE: Millis = Millis::from_secs(3);

/// No time here is meant to be longer: what is would overflow sums sooner or later.
const LONGEST: Millis = Millis::from_secs(366 * 24 * 3600);

fn within(option: &'static str, value: i64, least: i64, most: i64) -> Checked<i64> {
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        Err(BadOption::new(option, format!("must be from {least} to {most}")))
    }
}

fn ms(option: &'static str, value: i64) -> Checked<Millis> {
    within(option, value, 1, LONGEST.as_ms()).map(Millis::from_ms)
}

fn s(option: &'static str, value: i64) -> Checked<Millis> {
    within(option, value, 1, LONGEST.as_secs_rounded_up()).map(Millis::from_secs)
}

fn some(option: &'static str, value: usize) -> Checked<usize> {
    // A semaphore takes no more, and nobody means more.
    if (1..=1_000_000).contains(&value) {
        Ok(value)
    } else {
        Err(BadOption::new(option, "must be from 1 to 1000000"))
    }
}

/// 0 stands for no limit.
fn limit(option: &'static str, value: i64) -> Checked<Option<Sat>> {
    let sat = within(option, value, 0, Sat::MAX.get())?;
    Ok(Sat::new(sat).filter(|sat| sat.get() > 0))
}

impl Config {
    /// The network that invoices and node must be of.
    pub fn network(&self) -> Checked<Network> {
        Network::from_str(&self.network).map_err(|fault| BadOption::new("network", fault))
    }

    /// The public URL, once the LNURL side is bound to `listening`.
    pub fn public_url(&self, listening: std::net::SocketAddr) -> Checked<PublicUrl> {
        let text = if self.public_url.is_empty() {
            if !listening.ip().is_loopback() {
                let rule = "is required when lnurl.listen is not a loopback address";
                return Err(BadOption::new("public_url", rule));
            }
            format!("http://{listening}")
        } else {
            self.public_url.clone()
        };
        PublicUrl::parse(&text).map_err(|fault| BadOption::new("public_url", fault))
    }

    /// The node that pays from now on, if the operator named one.
    pub fn expected_identity(&self) -> Checked<Option<NodeId>> {
        let text = self.node.expected_identity.as_str();
        if text.is_empty() {
            return Ok(None);
        }
        let id = NodeId::parse(text);
        id.map(Some).map_err(|fault| BadOption::new("node.expected_identity", fault))
    }

    /// At least a second: longer than an operator's command waits for its lock.
    fn statement_timeout(&self) -> Checked<Millis> {
        let ms = self.store.statement_timeout_ms;
        within("store.statement_timeout_ms", ms, 1000, LONGEST.as_ms()).map(Millis::from_ms)
    }

    /// What is asked for and not done, for the log of the start.
    pub fn warnings(&self) -> Vec<&'static str> {
        let binding = database_url::wants_channel_binding(&self.store.database_url);
        let warning = "store.database_url asks for channel_binding=require, which is not supported: use \
                       sslmode=verify-full with the server's CA, so that nobody can stand in between";
        binding.then_some(warning).into_iter().collect()
    }

    /// Postgres, if it is configured.
    pub fn postgres(&self, migrate: bool) -> Checked<Option<PostgresOptions>> {
        let store = &self.store;
        if store.database_url.is_empty() {
            return Ok(None);
        }
        let bad = |rule| BadOption::new("store.database_url", rule);
        let most = within("store.max_connections", store.max_connections.into(), 4, 1000)?;
        Ok(Some(PostgresOptions {
            connect: database_url::parse(&store.database_url).map_err(bad)?,
            max_connections: u32::try_from(most).unwrap_or(u32::MAX),
            acquire_timeout: ms("store.acquire_timeout_ms", store.acquire_timeout_ms)?
                .as_duration(),
            statement_timeout: self.statement_timeout()?.as_duration(),
            allow_losing_commits_in_a_crash: store.allow_losing_commits_in_a_crash,
            migrate,
        }))
    }

    /// lnd, with the files that the configuration names.
    pub fn lnd_options(
        &self,
        macaroon: Macaroon,
        tls_cert_pem: Option<Vec<u8>>,
    ) -> Checked<LndOptions> {
        let call_timeout = ms("lnd.call_timeout_ms", self.lnd.call_timeout_ms)?.as_duration();
        let connect_timeout = ms("lnd.connect_timeout_ms", self.lnd.connect_timeout_ms)?;
        let payment_timeout = s("lnd.payment_timeout_s", self.lnd.payment_timeout_s)?;
        Ok(LndOptions {
            endpoint: self.lnd.endpoint.clone(),
            tls_cert_pem,
            macaroon,
            network: self.network()?,
            cltv_limit: self.payments.cltv_limit,
            max_parts: self.lnd.max_parts,
            payment_timeout: payment_timeout.as_duration(),
            connect_timeout: connect_timeout.as_duration(),
            info_timeout: call_timeout,
            call_timeout,
            keep_alive_interval: KEEP_ALIVE_INTERVAL,
            keep_alive_timeout: KEEP_ALIVE_TIMEOUT,
        })
    }

    /// SQLite in the data directory.
    pub fn sqlite(&self, migrate: bool) -> SqliteOptions {
        SqliteOptions {
            data_dir: self.data_dir.clone(),
            max_readers: SQLITE_READERS,
            busy_timeout: SQLITE_BUSY,
            migrate,
        }
    }

    /// For claims.
    pub fn claim_rules(&self) -> Checked<ClaimRules> {
        let payments = &self.payments;
        let floor = Msat::new(payments.fee_floor_msat);
        let rule = || BadOption::new("payments.fee_floor_msat", "must not be negative");
        Ok(ClaimRules {
            invoice: InvoiceRules {
                network: self.network()?,
                min_life: self.min_invoice_life()?,
                cltv_limit: payments.cltv_limit,
                max_route_hints: payments.max_route_hints,
            },
            fees: FeePolicy { ppm: self.fee_ppm()?, floor: floor.ok_or_else(rule)? },
            send_for: s("payments.send_for_s", payments.send_for_s)?,
            min_life_at_send: self.min_invoice_life_at_send()?,
            paying: self.paying_limits()?,
        })
    }

    /// A share of the amount, of all of it at most.
    fn fee_ppm(&self) -> Checked<u32> {
        let ppm = self.payments.fee_ppm;
        within("payments.fee_ppm", ppm.into(), 0, 1_000_000).map(|_| ppm)
    }

    fn min_invoice_life_at_send(&self) -> Checked<Millis> {
        let least = self.payments.min_invoice_life_at_send_s;
        s("payments.min_invoice_life_at_send_s", least)
    }

    /// What must be left of an invoice when it is claimed with: what must be left when it is sent, and
    /// what the send that follows at once may take, clocks that disagree included.
    fn min_invoice_life(&self) -> Checked<Millis> {
        let payments = &self.payments;
        let life = self.min_invoice_life_at_send()?;
        let life = life.plus(ms("payments.send_life_ms", payments.send_life_ms)?);
        Ok(life.plus(ms("payments.clock_skew_ms", payments.clock_skew_ms)?))
    }

    /// What the whole instance may pay.
    pub fn paying_limits(&self) -> Checked<PayingLimits> {
        let (limits, payments) = (&self.limits, &self.payments);
        let stale = ms("node.heartbeat_stale_ms", self.node.heartbeat_stale_ms)?;
        if stale <= ms("node.heartbeat_ms", self.node.heartbeat_ms)? {
            let rule = "must be longer than node.heartbeat_ms";
            return Err(BadOption::new("node.heartbeat_stale_ms", rule));
        }
        let per_channel = "payments.max_in_flight_per_channel";
        Ok(PayingLimits {
            heartbeat_stale: stale,
            clock_skew: ms("payments.clock_skew_ms", payments.clock_skew_ms)?,
            max_amount: limit("limits.max_amount_sat", limits.max_amount_sat)?,
            rolling_24h: limit("limits.rolling_24h_sat", limits.rolling_24h_sat)?,
            max_in_flight_per_channel: within(
                per_channel,
                payments.max_in_flight_per_channel,
                1,
                483,
            )?,
        })
    }

    /// For the payer.
    pub fn payer_options(&self) -> Checked<PayerOptions> {
        let payments = &self.payments;
        let pace = Pace {
            first: ms("payments.first_look_ms", payments.first_look_ms)?,
            slowest: ms("payments.slowest_look_ms", payments.slowest_look_ms)?,
            fresh_for: s("payments.fresh_for_s", payments.fresh_for_s)?,
            slow: s("payments.slow_look_s", payments.slow_look_s)?,
            after_failure: [
                s("payments.late_looks_s", payments.late_looks_s[0])?,
                s("payments.late_looks_s", payments.late_looks_s[1])?,
            ],
        };
        if pace.after_failure[0] >= pace.after_failure[1] {
            return Err(BadOption::new("payments.late_looks_s", "must be in rising order"));
        }
        let lease = ms("payments.lease_ms", payments.lease_ms)?;
        if lease <= pace.fresh_for {
            return Err(BadOption::new("payments.lease_ms", "must be longer than fresh_for_s"));
        }
        ms("payments.poll_ms", payments.poll_ms)?;
        Ok(PayerOptions {
            limits: SendLimits {
                clock_skew: ms("payments.clock_skew_ms", payments.clock_skew_ms)?,
                node_slack: ms("payments.node_slack_ms", payments.node_slack_ms)?,
                max_refusals: some("payments.max_send_refusals", payments.max_send_refusals)?,
                doubt_after: s("payments.doubt_after_s", payments.doubt_after_s)?,
            },
            answer_overdue: ms("payments.answer_overdue_ms", payments.answer_overdue_ms)?,
            send_life: ms("payments.send_life_ms", payments.send_life_ms)?,
            pace,
            lease,
            max_sending: some("payments.max_sending", payments.max_sending)?,
            max_following: some("payments.max_following", payments.max_following)?,
            claim_grace: s("payments.claim_grace_s", payments.claim_grace_s)?,
            paying: self.paying_limits()?,
        })
    }

    /// For the guard.
    pub fn guard_options(&self) -> Checked<GuardOptions> {
        let PayerOptions { limits, send_life, .. } = self.payer_options()?;
        let acquire = ms("store.acquire_timeout_ms", self.store.acquire_timeout_ms)?;
        let look = acquire.plus(self.statement_timeout()?).plus(SILENCE);
        Ok(GuardOptions {
            node_is_shared: self.node.shared,
            // A look on a connection that turns out to be dead, and another one.
            patience: look.plus(look),
            commit_delay: COMMIT_DELAY.plus(limits.clock_skew),
            hold: send_life.plus(limits.clock_skew).plus(limits.node_slack),
        })
    }

    /// How long the service may wait at its end, and drain.
    pub fn shutdown(&self) -> Checked<(Millis, Millis)> {
        let wait = within("shutdown.wait_ms", self.shutdown.wait_ms, 0, LONGEST.as_ms())?;
        Ok((Millis::from_ms(wait), ms("shutdown.drain_ms", self.shutdown.drain_ms)?))
    }

    /// For the background passes.
    pub fn schedule(&self) -> Checked<Schedule> {
        let payer = self.payer_options()?;
        let longest = payer.pace.slow.max(payer.pace.slowest).max(payer.lease);
        Ok(Schedule {
            // With its spread, and some more.
            reach: longest.plus(longest).plus(payer.limits.clock_skew),
            payer_poll: ms("payments.poll_ms", self.payments.poll_ms)?,
            expiry: ms("payments.expiry_poll_ms", self.payments.expiry_poll_ms)?,
            heartbeat: ms("node.heartbeat_ms", self.node.heartbeat_ms)?,
        })
    }

    /// For the gRPC server.
    pub fn grpc_options(&self) -> Checked<GrpcOptions> {
        let age = s("grpc.max_connection_age_s", self.grpc.max_connection_age_s)?;
        Ok(GrpcOptions {
            timeout: ms("grpc.timeout_ms", self.grpc.timeout_ms)?,
            max_concurrent_streams: self.grpc.max_concurrent_streams,
            max_connection_age: age.as_duration(),
        })
    }

    /// For the public side.
    pub fn sidecar_options(&self) -> Checked<SidecarOptions> {
        Ok(SidecarOptions {
            max_connections: some("lnurl.max_connections", self.lnurl.max_connections)?,
            header_timeout: ms("lnurl.header_timeout_ms", self.lnurl.header_timeout_ms)?
                .as_duration(),
            answer_within: ms("lnurl.answer_timeout_ms", self.lnurl.answer_timeout_ms)?,
            drain: ms("shutdown.drain_ms", self.shutdown.drain_ms)?,
        })
    }
}
