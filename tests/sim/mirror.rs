//! What the database holds, read back after every commit, and what was done with it: what the invariants
//! are checked against.

use std::collections::{BTreeMap, BTreeSet};

use withdrawd::domain::{
    Claim, InstanceCommand, Payment, PaymentHash, PaymentId, Status, Withdraw, WithdrawId,
    payment::Advance,
};

use super::{
    lost_commits::LostCommits,
    step::ActorId,
    world::{Fault, Incarnation, Inner},
};

/// What a wallet was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WalletAnswer {
    Ok,
    Refused(String),
    Error(String),
}

/// A claim that was committed.
#[derive(Clone, Copy, Debug)]
pub struct Claimed {
    pub(super) by: Option<ActorId>,
    pub(super) payment: PaymentId,
    pub(super) hash: PaymentHash,
}

#[derive(Default)]
pub struct Mirror {
    pub withdraws: BTreeMap<WithdrawId, Withdraw>,
    pub payments: BTreeMap<PaymentId, Payment>,
    pub(super) claims: Vec<Claimed>,
    /// Actors that the store left without an answer.
    pub(super) unanswered: BTreeSet<ActorId>,
    /// Whether the instance is paused, and fenced.
    pub(super) halted: (bool, bool),
    /// How often the node was asked to pay each hash.
    pub(super) asked: BTreeMap<PaymentHash, usize>,
    /// What was committed since a standby of the database has stopped to follow it, and by whom.
    pub(super) since: Option<Vec<(Incarnation, &'static str)>>,
    /// The database has lost that.
    pub loss: Option<LostCommits>,
}

impl Inner {
    /// The running actor cannot know what is in the store.
    pub fn unanswered(&mut self) {
        let actor = self.current;
        self.mirror.unanswered.extend(actor);
    }

    pub fn claimed(&mut self, by: Incarnation, claim: &Claim) {
        self.check_open_to("claimed");
        self.check_known_loss(by, "claimed");
        let hash = claim.payment.payment_hash;
        if self.mirror.claims.iter().any(|claimed| claimed.hash == hash) {
            self.broke("a payment hash is claimed with once", &format!("{hash:?}"));
        }
        self.mirror.claims.push(Claimed { by: self.current, payment: claim.payment.id, hash });
    }

    /// An operator, or the service itself, paused, resumed, fenced or unfenced the instance.
    pub fn command_executed(&mut self, command: &InstanceCommand) {
        let halted = &mut self.mirror.halted;
        match command {
            InstanceCommand::Pause(_) => halted.0 = true,
            InstanceCommand::Resume(_) => halted.0 = false,
            InstanceCommand::Fence(..) => halted.1 = true,
            InstanceCommand::Acknowledge(..) => halted.1 = false,
        }
        if let (InstanceCommand::Fence(..), Some(loss)) = (command, &mut self.mirror.loss) {
            loss.fenced = true;
        }
        if let InstanceCommand::Fence(reason, _) = command
            && !self.faults.contains(&Fault::Foreign)
        {
            self.broke("the instance fences itself only for a cause", reason.name());
        }
    }

    /// A step was committed.
    pub fn advanced(&mut self, by: Incarnation, advance: &Advance) {
        if advance.new_send.is_some() {
            self.check_open_to("sent");
            self.check_known_loss(by, "sent");
        }
    }

    fn check_open_to(&mut self, what: &str) {
        if self.mirror.halted != (false, false) {
            self.broke("nothing is claimed or sent in a pause or behind a fence", what);
        }
    }

    /// A commit was made: what the rows are now.
    pub fn wrote(&mut self, payment: Option<Payment>, withdraw: &Withdraw) {
        if self.mirror.loss.is_some() {
            return self.wrote_anew(payment, withdraw);
        }
        let id = withdraw.id;
        let before = self.mirror.withdraws.insert(id, withdraw.clone());
        if before.is_some_and(|before| before.status == Status::Paid)
            && withdraw.status != Status::Paid
        {
            self.broke("PAID never changes", &format!("withdraw {id}"));
        }
        if let Some(payment) = payment {
            let before = self.mirror.payments.insert(payment.id, payment.clone());
            self.note(|| {
                let Payment { id, state, noted, version, .. } = &payment;
                format!("      {id} v{version} is {state:?}, noted {noted:?}")
            });
            self.check_step(before.as_ref(), &payment);
        }
        self.check_request(withdraw);
    }
}
