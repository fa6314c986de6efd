//! One round: requests are made and claimed while things are killed; then all is up again, and
//! everything that was accepted is followed to its end.

use std::{
    convert::Infallible,
    fmt::Display,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use futures_util::future::join_all;
use tokio::sync::watch;
use tonic::Code;
use withdrawd::pb::{CreateWithdrawRequest, Withdraw};

use super::{
    environment::{Environment, Marks},
    offers::{Offer, WalletInvoice, prepare},
    plan::{ClaimPlan, Kill, Moment, OfferPlan, PayeeAction, Plan, Victim},
    service::{Replica, replicas},
    wallets::{WalletAnswer, claim, claim_and_hang_up},
};
use crate::bench::lab::{eventually, let_pass};

/// How often the payee looks whether money hangs on its hold invoices.
const PAYEE_LOOKS: Duration = Duration::from_millis(200);

/// Between two looks into the log of a replica that is to be killed as it sends.
const SENDS_LOOKED_FOR: Duration = Duration::from_millis(1);

pub struct Round {
    pub environment: Arc<Environment>,
    pub plan: Plan,
    pub replicas: Vec<Replica>,
    /// Empty is SQLite.
    pub database_url: String,
    pub marks: Marks,
    pub offers: Vec<Offer>,
    /// When the payer's lnd was last killed, since the Unix epoch; 0 is never.
    payer_died_at_ns: AtomicU64,
    began: Instant,
    timeline: Mutex<Vec<String>>,
    progress: watch::Sender<Progress>,
}

/// What kills wait for.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    oks: usize,
    /// Hold invoices on which money hangs.
    holds: usize,
    all_gone: bool,
}

impl Round {
    pub async fn new(environment: Arc<Environment>, seed: u64) -> Self {
        let plan = Plan::draw(seed);
        let marks = environment.marks().await;
        let (replicas, database_url) = replicas(&environment, plan.stage).await;
        let offers = prepare(&environment, &plan).await;
        join_all(replicas.iter().map(Replica::start)).await;
        Self {
            environment,
            plan,
            replicas,
            database_url,
            marks,
            offers,
            payer_died_at_ns: AtomicU64::new(0),
            began: Instant::now(),
            timeline: Mutex::default(),
            progress: watch::Sender::default(),
        }
    }

    /// What was done when.
    pub fn timeline(&self) -> String {
        self.timeline.lock().unwrap().join("\n")
    }

    pub fn took(&self) -> Duration {
        self.began.elapsed()
    }

    pub fn note(&self, what: impl Display) {
        let line = format!("{:>6} ms  {what}", self.began.elapsed().as_millis());
        self.timeline.lock().unwrap().push(line);
    }

    /// To the end of all that was accepted.
    pub async fn run(&self) {
        let story = async {
            let customers = async {
                let offers = self.plan.offers.iter().zip(&self.offers).enumerate();
                join_all(offers.map(|(number, (plan, offer))| self.serve(number, plan, offer)))
                    .await;
                self.progress.send_modify(|progress| progress.all_gone = true);
            };
            let kills = join_all(self.plan.kills.iter().map(|kill| self.kill(kill)));
            tokio::join!(customers, kills);
            self.note("all wallets are gone, and nothing is killed any more");
            self.environment.repair(&self.marks).await;
            self.note("all is up");
            self.end().await;
        };
        tokio::select! {
            biased;
            never = self.payee() => match never {},
            () = story => {}
        }
    }

    async fn kill(&self, kill: &Kill) {
        let due = |progress: &Progress| progress.all_gone || progress.oks >= kill.after_oks;
        let _ = self.progress.subscribe().wait_for(due).await;
        match kill.moment {
            Moment::Ok => {}
            Moment::Send => self.next_send(&self.replicas[kill.replica]).await,
            Moment::Hold => {
                let due = |progress: &Progress| progress.all_gone || progress.holds > 0;
                let _ = self.progress.subscribe().wait_for(due).await;
            }
        }
        let_pass(Duration::from_millis(kill.then_ms)).await;
        let (down, name) = (Duration::from_millis(kill.down_ms), format!("{:?}", kill.victim));
        self.note(format!("kill {name} {} {:?}", kill.replica, kill.moment));
        let lab = &self.environment.lab;
        match kill.victim {
            Victim::Service => self.replicas[kill.replica].crash_and_restart(down).await,
            Victim::Payer | Victim::Payee => {
                let node = if kill.victim == Victim::Payer { "payer" } else { "payee" };
                lab.kill9(node).await;
                if kill.victim == Victim::Payer {
                    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
                    self.payer_died_at_ns.store(now.try_into().unwrap(), Ordering::SeqCst);
                }
                let_pass(down).await;
                lab.start(node);
            }
            Victim::Postgres => {
                self.environment.crash_postgres().await;
                let_pass(down).await;
                self.environment.resume_postgres().await;
            }
        }
        self.note(format!("{name} {} is started again", kill.replica));
    }

    /// Waits until this replica sends, for as long as anybody claims.
    async fn next_send(&self, replica: &Replica) {
        let mut before = replica.sends();
        while !self.progress.borrow().all_gone {
            let now = replica.sends();
            if now > before {
                return;
            }
            // A new process counts anew.
            before = now;
            let_pass(SENDS_LOOKED_FOR).await;
        }
    }

    /// The customer and the customer's wallets.
    async fn serve(&self, number: usize, plan: &OfferPlan, offer: &Offer) {
        let_pass(Duration::from_millis(plan.created_after_ms)).await;
        let withdraw = offer.withdraw.get_or_init({
            let made = self.create(number, plan).await;
            || made
        });
        let wallets = plan.wallets.iter().zip(&offer.wallets).enumerate();
        join_all(wallets.map(async |(wallet, (plan, invoices))| {
            for claim in &plan.taps {
                let_pass(Duration::from_millis(claim.after_ms)).await;
                let wallet_invoice = &invoices[claim.invoice];
                let told = self.claim(withdraw, wallet_invoice, claim).await;
                let (hash, action) = (&wallet_invoice.hash()[..8], wallet_invoice.action);
                self.note(format!("{number}.{wallet} claims with {hash} {action:?}: {told:?}"));
            }
        }))
        .await;
    }

    /// Until it is made, by whichever replica, and once, since it carries a request id.
    async fn create(&self, number: usize, plan: &OfferPlan) -> Withdraw {
        let request = CreateWithdrawRequest {
            request_id: format!("offer-{number}"),
            min_amount: plan.min_sat.to_string(),
            max_amount: plan.max_sat.to_string(),
            ..CreateWithdrawRequest::default()
        };
        let mut tries = (number..).map(|at| &self.replicas[at % self.replicas.len()]);
        eventually("the request is made", async || {
            let mut addresses = tries.next()?.addresses()?;
            match addresses.client.create_withdraw(request.clone()).await {
                Ok(made) => Some(made.into_inner()),
                Err(status) => {
                    self.note(format!("{number} is not created: {:?}", status.code()));
                    let unsound = [Code::InvalidArgument, Code::AlreadyExists];
                    assert!(!unsound.contains(&status.code()), "{status}");
                    None
                }
            }
        })
        .await
    }

    async fn claim(
        &self,
        withdraw: &Withdraw,
        wallet_invoice: &WalletInvoice,
        how: &ClaimPlan,
    ) -> WalletAnswer {
        let Some(addresses) = self.replicas[how.replica].addresses() else {
            return WalletAnswer::Nothing;
        };
        let invoice = &wallet_invoice.invoice().text;
        if how.hangs_up {
            return claim_and_hang_up(addresses.lnurl, &withdraw.ott, invoice).await;
        }
        let told = claim(addresses.lnurl, &withdraw.ott, invoice).await;
        if told == WalletAnswer::Ok {
            wallet_invoice.note_ok();
            self.progress.send_modify(|progress| progress.oks += 1);
        }
        told
    }

    /// The payee decides on its hold invoices, whether they are paid during the round or after it.
    async fn payee(&self) -> Infallible {
        let mut held = Vec::new();
        for wallet_invoice in self.offers.iter().flat_map(Offer::invoices) {
            if matches!(
                wallet_invoice.action,
                PayeeAction::SettlesAfter { .. } | PayeeAction::CancelsAfter { .. }
            ) {
                held.push(wallet_invoice);
            }
        }
        let held = Arc::new(held);
        loop {
            let (invoices, since) = (Arc::clone(&held), self.marks.clone());
            let decided = self.environment.blocking(move |environment| {
                let listed = environment.payee_invoices(&since).unwrap_or_default();
                let waiting = listed.iter().filter(|invoice| invoice["state"] == "ACCEPTED");
                let (mut decided, mut holds) = (Vec::new(), 0);
                for invoice in waiting {
                    holds += 1;
                    let wallet_invoice = invoices
                        .iter()
                        .find(|wallet_invoice| invoice["r_hash"] == wallet_invoice.hash());
                    let what = wallet_invoice
                        .and_then(|wallet_invoice| wallet_invoice.decide(environment));
                    decided.extend(what.map(|what| format!("{} is {what}", invoice["r_hash"])));
                }
                (decided, holds)
            });
            let (decided, holds) = decided.await;
            for line in decided {
                self.note(line);
            }
            self.progress.send_modify(|progress| progress.holds = holds);
            let_pass(PAYEE_LOOKS).await;
        }
    }

    /// None before the payer's lnd was killed.
    pub fn payer_died_at_ns(&self) -> Option<u64> {
        let at = self.payer_died_at_ns.load(Ordering::SeqCst);
        (at > 0).then_some(at)
    }
}
