//! The real rows, made from a state and read back into one.
//!
//! The present is one fixed instant. That time passes is a change of the state: a deadline that lay
//! ahead of the present lies behind it afterwards, and the real functions compare it themselves.

use std::time::Duration;

use bitcoin::{
    hashes::{Hash, sha256},
    secp256k1::{Secp256k1, SecretKey},
};
use lightning_invoice::{Currency, InvoiceBuilder, PaymentSecret};
use withdrawd::domain::{
    Amount, Attempt as Holder, ClaimRules, Currency as OrderCurrency, FailureReason, FeePolicy,
    Heartbeat, Hold, InvoiceRules, MasterKey, Millis, Msat, Network, NodeId, OperatorReason,
    PayingLimits, Payment, PaymentId, Preimage, Presented, Sat, SecretHash, Sends,
    State as PaymentState, Terms, Timestamp, Withdraw, WithdrawId,
    payment::{Answer, LateSuccess, Reopening, Send, SendLimits},
};

use super::state::{
    Attempt, OVER, Phase, REFUSED, Request, RequestHold, SENDS, SendAnswer, SendRow, Stage, VALID,
};

/// The present.
pub const NOW: Timestamp = Timestamp::from_ms(1_700_000_000_000);
pub const LIMITS: SendLimits = SendLimits {
    clock_skew: Millis::from_secs(5),
    node_slack: Millis::from_secs(60),
    max_refusals: 3,
    doubt_after: Millis::from_secs(1800),
};
/// What lnd promises.
pub const REOPENING: Reopening = Reopening {
    node_refuses_late_sends: true,
    node_refuses_expired_invoices: true,
    clock_skew: LIMITS.clock_skew,
    claim_grace: Millis::from_secs(600),
};
pub const SEND_LIFE: Millis = Millis::from_secs(15);
pub const MADE: Timestamp = ago(100_000);
const CLAIMED: [Timestamp; 2] = [ago(50_000), ago(20_000)];
const AMOUNT_MSAT: i64 = 10_000;

const fn ago(s: i64) -> Timestamp {
    Timestamp::from_ms(NOW.as_ms() - 1000 * s)
}

const fn ahead(s: i64) -> Timestamp {
    ago(-s)
}

/// What all histories share.
pub struct Rows {
    withdraw: Withdraw,
    ids: [PaymentId; 2],
    preimages: [Preimage; 2],
    texts: [String; 2],
    pub presented: [Presented; 2],
    pub rules: ClaimRules,
    pub node: NodeId,
    fee: Msat,
}

impl Rows {
    pub fn new() -> Self {
        let preimages = [Preimage::from_bytes([7; 32]), Preimage::from_bytes([8; 32])];
        let texts = preimages.map(invoice);
        let read = |text: &String| Presented::read(text).expect("the wallet's invoice is one");
        let id = WithdrawId::new(MADE, &[1; 10]);
        let key = MasterKey::from_bytes([1; 32]).id();
        Self {
            withdraw: Withdraw::new(id, None, terms(), key, SecretHash::from_bytes([2; 32])),
            ids: CLAIMED.map(|at| PaymentId::new(at, &[3; 10])),
            presented: [read(&texts[0]), read(&texts[1])],
            texts,
            preimages,
            rules: ClaimRules {
                invoice: InvoiceRules {
                    network: Network::Regtest,
                    min_life: Millis::from_secs(60),
                    cltv_limit: 1000,
                    max_route_hints: 20,
                },
                fees: FeePolicy { ppm: 5000, floor: msat(1000) },
                send_for: Millis::from_secs(3600),
                min_life_at_send: Millis::from_secs(60),
                paying: PayingLimits {
                    heartbeat_stale: Millis::from_secs(15),
                    clock_skew: Millis::from_secs(5),
                    max_amount: None,
                    rolling_24h: None,
                    max_in_flight_per_channel: 400,
                },
            },
            node: NodeId::parse(&"02".repeat(33)).expect("66 digits"),
            fee: msat(3),
        }
    }

    /// An instance that can pay anything: what it cannot is no matter of one request.
    pub fn instance_status(&self) -> withdrawd::domain::InstanceStatus {
        let nothing = msat(0);
        withdrawd::domain::InstanceStatus {
            paused: None,
            fenced: None,
            verified: true,
            writable: true,
            node: Some(self.node.clone()),
            heartbeat: Some(Heartbeat {
                node: self.node.clone(),
                alias: String::new(),
                network: Network::Regtest,
                at: NOW,
                synced: true,
                remembers: true,
                answers_sends: true,
                can_send: Msat::MAX,
                active_channels: 1,
                busiest_channel_htlcs: 0,
            }),
            trouble: None,
            unseen: nothing,
            in_flight: 0,
            spent_24h: nothing,
        }
    }

    pub fn id(&self, a: u8) -> PaymentId {
        self.ids[usize::from(a)]
    }

    pub fn preimage(&self, invoice: u8) -> Preimage {
        self.preimages[usize::from(invoice)]
    }

    pub fn fee(&self) -> Msat {
        self.fee
    }

    pub fn withdraw(&self, request: Request) -> Withdraw {
        let expired = if request.claimed_late { ago(30_000) } else { ago(10_000) };
        let (expires_at, claimable_until) = match request.phase {
            Phase::Fresh => (ahead(100), ahead(100)),
            Phase::Prolonged => (ahead(100), ahead(600)),
            Phase::Grace => (expired, ahead(500)),
            Phase::Over => (expired, ago(1)),
        };
        let hold = match request.held {
            RequestHold::Never => None,
            RequestHold::Released => Some(Hold::Released),
            RequestHold::Open => Some(Hold::Open),
            RequestHold::InDoubt => Some(Hold::InDoubt),
        };
        Withdraw {
            status: request.status,
            expires_at,
            claimable_until,
            claimable: request.claimable,
            attempt: hold.map(|hold| Holder { id: self.id(request.attempt), hold }),
            late_success: request.late_success,
            ..self.withdraw.clone()
        }
    }

    pub fn read_withdraw(&self, withdraw: &Withdraw, before: Request) -> Request {
        assert_eq!(withdraw.reopens_at, None, "this node enforces its deadlines");
        let expired = withdraw.expires_at <= NOW;
        let phase = match (expired, withdraw.claimable_until <= NOW) {
            (false, _) if withdraw.claimable_until > withdraw.expires_at => Phase::Prolonged,
            (false, _) => Phase::Fresh,
            (true, false) => Phase::Grace,
            (true, true) => Phase::Over,
        };
        let held = match withdraw.attempt.map(|holder| holder.hold) {
            None => RequestHold::Never,
            Some(Hold::Released) => RequestHold::Released,
            Some(Hold::Open) => RequestHold::Open,
            Some(Hold::InDoubt) => RequestHold::InDoubt,
        };
        let second = withdraw.attempt.is_some_and(|holder| holder.id == self.id(1));
        Request {
            status: withdraw.status,
            phase,
            held,
            attempt: u8::from(second),
            late_success: withdraw.late_success,
            claimable: withdraw.claimable,
            claimed_late: before.claimed_late,
        }
    }

    pub fn payment(&self, a: u8, attempt: &Attempt) -> Payment {
        let preimage = self.preimage(attempt.invoice);
        let late = LateSuccess { preimage, fee: self.fee, at: NOW };
        let failed = |late| PaymentState::Failed { reason: FailureReason::NoRoute, at: NOW, late };
        let doubt = |reason| PaymentState::NeedsOperator { reason, at: NOW };
        let state = match attempt.stage {
            Stage::Unclaimed => unreachable!("it has no row"),
            Stage::Reserved => PaymentState::Reserved,
            Stage::Sending => PaymentState::Sending,
            Stage::InFlight => PaymentState::InFlight,
            Stage::Paid => PaymentState::Paid { preimage, fee: self.fee, at: NOW },
            Stage::Failed => failed(None),
            Stage::LateSuccess => failed(Some(late)),
            Stage::NeedsOperator => doubt(OperatorReason::Vanished),
            Stage::Foreign => doubt(OperatorReason::Foreign),
        };
        let sends = attempt.sends[..usize::from(attempt.count)].iter();
        Payment {
            id: self.id(a),
            version: 1,
            withdraw: self.withdraw.id,
            invoice: self.texts[usize::from(attempt.invoice)].clone(),
            payment_hash: preimage.hash(),
            amount: msat(AMOUNT_MSAT),
            fee_limit: msat(1000),
            invoice_expires_at: ahead(100_000),
            send_until: if attempt.too_late { NOW } else { ahead(1) },
            state,
            noted: attempt.noted.then_some(FailureReason::NoRoute),
            sends: Sends::from_rows(
                (1..).zip(sends).map(|(n, send)| self.send(n, *send)).collect(),
            ),
            trace_parent: None,
        }
    }

    fn send(&self, number: i64, send: SendRow) -> Send {
        let past = LIMITS.clock_skew.plus(LIMITS.node_slack);
        let send_deadline = match send.age {
            VALID => NOW.plus(SEND_LIFE),
            REFUSED => NOW.minus(past),
            _ => NOW.minus(past).minus(Millis::from_ms(1)),
        };
        Send {
            number,
            fencing_token: fencing_token(number),
            node: self.node.clone(),
            sent_at: send_deadline.minus(SEND_LIFE),
            begun_at: send_deadline.minus(SEND_LIFE),
            send_deadline,
            answer: match send.answer {
                SendAnswer::Not => None,
                SendAnswer::Refused => Some(Answer::Refused),
                SendAnswer::Exists => Some(Answer::AlreadyExists),
                SendAnswer::Stored => Some(Answer::Stored),
                SendAnswer::Final => Some(Answer::Final),
            },
            sequence: Some(number),
        }
    }

    /// What is not in the rows (the requests on their way) stays as it was.
    pub fn read_payment(payment: &Payment, before: &Attempt) -> Attempt {
        let stage = match payment.state {
            PaymentState::Reserved => Stage::Reserved,
            PaymentState::Sending => Stage::Sending,
            PaymentState::InFlight => Stage::InFlight,
            PaymentState::Paid { .. } => Stage::Paid,
            PaymentState::Failed { late: None, .. } => Stage::Failed,
            PaymentState::Failed { late: Some(_), .. } => Stage::LateSuccess,
            PaymentState::NeedsOperator { reason: OperatorReason::Foreign, .. } => Stage::Foreign,
            PaymentState::NeedsOperator { .. } => Stage::NeedsOperator,
        };
        let mut sends = before.sends;
        assert!(payment.sends.count() <= SENDS, "more sends than the bound");
        for (kept, send) in sends.iter_mut().zip(payment.sends.iter()) {
            kept.age = age_of(send.send_deadline);
            kept.answer = match send.answer {
                None => SendAnswer::Not,
                // What was not sent is not emitted here either.
                Some(Answer::Refused | Answer::Unsent) => SendAnswer::Refused,
                Some(Answer::AlreadyExists) => SendAnswer::Exists,
                Some(Answer::Stored) => SendAnswer::Stored,
                Some(Answer::Final) => SendAnswer::Final,
            };
        }
        Attempt {
            stage,
            noted: payment.noted.is_some(),
            too_late: payment.too_late(NOW),
            count: u8::try_from(payment.sends.count()).expect("at most three"),
            sends,
            ..*before
        }
    }
}

/// Each lease has one of its own.
pub fn fencing_token(number: i64) -> i64 {
    10 * number
}

/// The instant at which a payer read its clocks, if its send is of this age when it is committed.
pub fn decided_at(age: u8) -> Timestamp {
    match age {
        VALID => NOW,
        REFUSED => NOW.minus(SEND_LIFE),
        _ => NOW.minus(SEND_LIFE).minus(Millis::from_secs(66)),
    }
}

fn age_of(send_deadline: Timestamp) -> u8 {
    if NOW < send_deadline {
        VALID
    } else if NOW <= send_deadline.plus(LIMITS.clock_skew).plus(LIMITS.node_slack) {
        REFUSED
    } else {
        OVER
    }
}

fn msat(msat: i64) -> Msat {
    Msat::new(msat).expect("an amount")
}

fn terms() -> Terms {
    let sat = |sat| Sat::new(sat).expect("an amount");
    Terms {
        min_amount: Amount::ONE,
        max_amount: Amount::ONE,
        currency: OrderCurrency::Sats,
        target_currency: OrderCurrency::Sats,
        exchange_rate: Amount::ONE,
        ttl_s: 3600,
        target_min: sat(5),
        target_max: sat(10),
        memo: String::new(),
        statement_descriptor: None,
        pass_thru: None,
    }
}

fn invoice(preimage: Preimage) -> String {
    let key = SecretKey::from_slice(&[9; 32]).expect("a key");
    let made = Duration::from_secs(u64::try_from(NOW.as_ms() / 1000).expect("after 1970"));
    let sign = |message: &_| Secp256k1::new().sign_ecdsa_recoverable(message, &key);
    let invoice = InvoiceBuilder::new(Currency::Regtest)
        .description("checked".to_owned())
        .payment_hash(sha256::Hash::from_byte_array(*preimage.hash().as_bytes()))
        .payment_secret(PaymentSecret([4; 32]))
        .duration_since_epoch(made)
        .expiry_time(Duration::from_hours(24))
        .min_final_cltv_expiry_delta(80)
        .amount_milli_satoshis(u64::try_from(AMOUNT_MSAT).expect("an amount"))
        .build_signed(sign);
    invoice.expect("an invoice").to_string()
}
