//! The withdraw requests of a round, and the invoices that wallets bring for them.

use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use withdrawd::pb::Withdraw;

use super::{
    grounds::Grounds,
    plan::{Fate, InvoicePlan, Plan},
};
use crate::bench::lab::{Held, Invoice};

/// lncli is a program of its own: so many at a time.
const AT_A_TIME: usize = 4;

/// A withdraw request.
pub struct Offer {
    /// Once it is made.
    pub withdraw: OnceLock<Withdraw>,
    /// By wallet.
    pub wallets: Vec<Vec<Arc<Bill>>>,
    /// Brought when all was over, to see that the request can still be paid.
    pub later: Mutex<Vec<Arc<Bill>>>,
}

/// An invoice.
pub struct Bill {
    pub sat: u64,
    pub fate: Fate,
    paper: Paper,
    /// Some wallet was told OK.
    told_ok: AtomicBool,
    /// When the money was first seen to hang on it.
    money_since: OnceLock<Instant>,
}

enum Paper {
    Plain(Invoice),
    Held(Held),
}

impl Offer {
    pub fn withdraw(&self) -> &Withdraw {
        self.withdraw.get().unwrap()
    }

    pub fn bills(&self) -> Vec<Arc<Bill>> {
        let later = self.later.lock().unwrap();
        self.wallets.iter().flatten().chain(later.iter()).cloned().collect()
    }
}

/// All invoices are made before anything is killed: their nodes have to be up.
pub async fn prepare(grounds: &Arc<Grounds>, plan: &Plan) -> Vec<Offer> {
    let offer = async |offer: &super::plan::OfferPlan| {
        let mut wallets = Vec::new();
        for wallet in &offer.wallets {
            let mut bills = Vec::new();
            for invoice in &wallet.invoices {
                bills.push(Arc::new(Bill::make(grounds, *invoice).await));
            }
            wallets.push(bills);
        }
        Offer { withdraw: OnceLock::new(), wallets, later: Mutex::default() }
    };
    stream::iter(&plan.offers).map(offer).buffered(AT_A_TIME).collect().await
}

impl Bill {
    pub async fn make(grounds: &Arc<Grounds>, plan: InvoicePlan) -> Self {
        let InvoicePlan { sat, fate } = plan;
        let paper = grounds.blocking(move |grounds| match fate {
            Fate::Plain => Paper::Plain(grounds.lab.invoice("payee", sat)),
            Fate::Unroutable => Paper::Plain(grounds.lab.invoice("stranger", sat)),
            Fate::SettlesAfter { .. } | Fate::CancelsAfter { .. } => {
                Paper::Held(grounds.lab.hold(sat))
            }
        });
        Self::of(plan, paper.await)
    }

    fn of(InvoicePlan { sat, fate }: InvoicePlan, paper: Paper) -> Self {
        Self { sat, fate, paper, told_ok: AtomicBool::new(false), money_since: OnceLock::new() }
    }

    /// An invoice that is made already.
    pub fn plain(plan: InvoicePlan, invoice: Invoice) -> Self {
        Self::of(plan, Paper::Plain(invoice))
    }

    pub fn invoice(&self) -> &Invoice {
        match &self.paper {
            Paper::Plain(invoice) => invoice,
            Paper::Held(held) => &held.invoice,
        }
    }

    pub fn hash(&self) -> &str {
        &self.invoice().hash
    }

    pub fn note_ok(&self) {
        self.told_ok.store(true, Ordering::SeqCst);
    }

    pub fn was_told_ok(&self) -> bool {
        self.told_ok.load(Ordering::SeqCst)
    }

    /// The money hangs on it: the payee does what it wants to do when it is time. (Again if its lnd
    /// is killed before that is written.)
    pub fn decide(&self, grounds: &Grounds) -> Option<&'static str> {
        let Paper::Held(held) = &self.paper else { return None };
        let since = self.money_since.get_or_init(Instant::now).elapsed();
        let is_time = |ms| since >= Duration::from_millis(ms);
        match self.fate {
            Fate::SettlesAfter { ms } if is_time(ms) => {
                grounds.lab.try_settle(held).ok().map(|_| "settled")
            }
            Fate::CancelsAfter { ms } if is_time(ms) => {
                grounds.lab.try_cancel(held).ok().map(|_| "cancelled")
            }
            Fate::SettlesAfter { .. }
            | Fate::CancelsAfter { .. }
            | Fate::Plain
            | Fate::Unroutable => None,
        }
    }
}
