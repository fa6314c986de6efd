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
    environment::Environment,
    plan::{InvoicePlan, PayeeAction, Plan},
};
use crate::bench::lab::{HoldInvoice, Invoice};

/// lncli is a program of its own: so many at a time.
const AT_A_TIME: usize = 4;

/// A withdraw request.
pub struct Offer {
    /// Once it is made.
    pub withdraw: OnceLock<Withdraw>,
    /// By wallet.
    pub wallets: Vec<Vec<Arc<WalletInvoice>>>,
    /// Brought when all was over, to see that the request can still be paid.
    pub later: Mutex<Vec<Arc<WalletInvoice>>>,
}

/// An invoice.
pub struct WalletInvoice {
    pub sat: u64,
    pub action: PayeeAction,
    form: Form,
    /// Some wallet was told OK.
    told_ok: AtomicBool,
    /// When the money was first seen to hang on it.
    money_since: OnceLock<Instant>,
}

enum Form {
    Plain(Invoice),
    HoldInvoice(HoldInvoice),
}

impl Offer {
    pub fn withdraw(&self) -> &Withdraw {
        self.withdraw.get().unwrap()
    }

    pub fn invoices(&self) -> Vec<Arc<WalletInvoice>> {
        let later = self.later.lock().unwrap();
        self.wallets.iter().flatten().chain(later.iter()).cloned().collect()
    }
}

/// All invoices are made before anything is killed: their nodes have to be up.
pub async fn prepare(environment: &Arc<Environment>, plan: &Plan) -> Vec<Offer> {
    let offer = async |offer: &super::plan::OfferPlan| {
        let mut wallets = Vec::new();
        for wallet in &offer.wallets {
            let mut invoices = Vec::new();
            for invoice in &wallet.invoices {
                invoices.push(Arc::new(WalletInvoice::make(environment, *invoice).await));
            }
            wallets.push(invoices);
        }
        Offer { withdraw: OnceLock::new(), wallets, later: Mutex::default() }
    };
    stream::iter(&plan.offers).map(offer).buffered(AT_A_TIME).collect().await
}

impl WalletInvoice {
    pub async fn make(environment: &Arc<Environment>, plan: InvoicePlan) -> Self {
        let InvoicePlan { sat, action } = plan;
        let form = environment.blocking(move |environment| match action {
            PayeeAction::Plain => Form::Plain(environment.lab.invoice("payee", sat)),
            PayeeAction::Unroutable => Form::Plain(environment.lab.invoice("stranger", sat)),
            PayeeAction::SettlesAfter { .. } | PayeeAction::CancelsAfter { .. } => {
                Form::HoldInvoice(environment.lab.hold_invoice(sat))
            }
        });
        Self::of(plan, form.await)
    }

    fn of(InvoicePlan { sat, action }: InvoicePlan, form: Form) -> Self {
        Self { sat, action, form, told_ok: AtomicBool::new(false), money_since: OnceLock::new() }
    }

    /// An invoice that is made already.
    pub fn plain(plan: InvoicePlan, invoice: Invoice) -> Self {
        Self::of(plan, Form::Plain(invoice))
    }

    pub fn invoice(&self) -> &Invoice {
        match &self.form {
            Form::Plain(invoice) => invoice,
            Form::HoldInvoice(held) => &held.invoice,
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
    pub fn decide(&self, environment: &Environment) -> Option<&'static str> {
        let Form::HoldInvoice(held) = &self.form else { return None };
        let since = self.money_since.get_or_init(Instant::now).elapsed();
        let is_time = |ms| since >= Duration::from_millis(ms);
        match self.action {
            PayeeAction::SettlesAfter { ms } if is_time(ms) => {
                environment.lab.try_settle(held).ok().map(|_| "settled")
            }
            PayeeAction::CancelsAfter { ms } if is_time(ms) => {
                environment.lab.try_cancel(held).ok().map(|_| "cancelled")
            }
            PayeeAction::SettlesAfter { .. }
            | PayeeAction::CancelsAfter { .. }
            | PayeeAction::Plain
            | PayeeAction::Unroutable => None,
        }
    }
}
