//! What a round is going to do, drawn from its seed. What becomes of it is up to the machine.

use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};

/// The same for the same seed.
#[derive(Debug)]
pub struct Plan {
    pub seed: u64,
    pub stage: Stage,
    pub offers: Vec<OfferPlan>,
    pub kills: Vec<Kill>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    OneOnSqlite,
    TwoOnPostgres,
}

/// A withdraw request and those who want it.
#[derive(Debug)]
pub struct OfferPlan {
    pub min_sat: u64,
    pub max_sat: u64,
    pub created_after_ms: u64,
    pub wallets: Vec<WalletPlan>,
}

#[derive(Debug)]
pub struct WalletPlan {
    pub invoices: Vec<InvoicePlan>,
    pub taps: Vec<ClaimPlan>,
}

#[derive(Clone, Copy, Debug)]
pub struct InvoicePlan {
    pub sat: u64,
    pub action: PayeeAction,
}

/// What the payee does with the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayeeAction {
    /// Takes it at once.
    Plain,
    /// A hold invoice that is settled so long after the money came.
    SettlesAfter { ms: u64 },
    /// A hold invoice that is cancelled so long after the money came.
    CancelsAfter { ms: u64 },
    /// The invoice of a node to which there is no way.
    Unroutable,
}

/// One call of the callback.
#[derive(Clone, Copy, Debug)]
pub struct ClaimPlan {
    pub after_ms: u64,
    /// Which of the wallet's invoices.
    pub invoice: usize,
    pub replica: usize,
    /// Sends its request and is gone.
    pub hangs_up: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Victim {
    Service,
    Payer,
    Payee,
    Postgres,
}

/// A kill, and how long its victim stays down.
#[derive(Clone, Copy, Debug)]
pub struct Kill {
    pub victim: Victim,
    pub replica: usize,
    /// Not before wallets were told OK so often (or have all gone).
    pub after_oks: usize,
    pub moment: Moment,
    pub then_ms: u64,
    pub down_ms: u64,
}

/// Which windows a kill aims at. A moment drawn from the whole round would miss most of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// A payment takes a tenth of a second after the OK; later, the round is in recovery.
    Ok,
    /// From the log's line to the answer of the node it is ten milliseconds.
    Send,
    /// The money hangs on a hold invoice: what is taken for failed now is paid twice later.
    Hold,
}

const OFFERS: usize = 6;

impl Plan {
    pub fn draw(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let stage = if seed.is_multiple_of(2) { Stage::TwoOnPostgres } else { Stage::OneOnSqlite };
        let kills = draw_kills(&mut rng, stage);
        let slow = kills.iter().any(|kill| matches!(kill.victim, Victim::Payer | Victim::Payee));
        // An lnd takes three seconds to come back: some taps fall into them.
        let pace_ms = if slow { 1000 } else { 350 };
        let offers = (0..OFFERS).map(|_| OfferPlan::draw(&mut rng, stage, pace_ms)).collect();
        Self { seed, stage, offers, kills }
    }
}

impl Stage {
    pub fn replicas(self) -> usize {
        match self {
            Self::OneOnSqlite => 1,
            Self::TwoOnPostgres => 2,
        }
    }
}

fn draw_kills(rng: &mut StdRng, stage: Stage) -> Vec<Kill> {
    let mut victims = vec![Victim::Service; rng.gen_range(1..=3)];
    if rng.gen_bool(0.4) {
        victims.push(Victim::Payer);
    }
    if rng.gen_bool(0.25) {
        victims.push(Victim::Payee);
    }
    if stage == Stage::TwoOnPostgres && rng.gen_bool(0.6) {
        victims.push(Victim::Postgres);
    }
    let mut kill = |victim| {
        let moment = match victim {
            // Who takes a broken stream for a failure is found out by this kill alone.
            Victim::Payer if rng.gen_bool(0.6) => Moment::Hold,
            _ => *[Moment::Ok, Moment::Send, Moment::Hold].choose(rng).unwrap(),
        };
        Kill {
            victim,
            replica: rng.gen_range(0..stage.replicas()),
            after_oks: rng.gen_range(0..=OFFERS),
            moment,
            then_ms: match moment {
                Moment::Send => rng.gen_range(0..6),
                Moment::Hold => rng.gen_range(0..300),
                Moment::Ok if rng.gen_bool(0.5) => rng.gen_range(0..120),
                Moment::Ok => rng.gen_range(0..2500),
            },
            down_ms: rng.gen_range(0..700),
        }
    };
    victims.into_iter().map(&mut kill).collect()
}

impl OfferPlan {
    fn draw(rng: &mut StdRng, stage: Stage, pace_ms: u64) -> Self {
        let max_sat = rng.gen_range(10..=400);
        let min_sat = if rng.gen_bool(0.5) { max_sat } else { rng.gen_range(1..=max_sat) };
        let wallets = (0..rng.gen_range(2..=3))
            .map(|_| WalletPlan::draw(rng, stage, pace_ms, min_sat..=max_sat))
            .collect();
        Self { min_sat, max_sat, created_after_ms: rng.gen_range(0..pace_ms), wallets }
    }
}

impl WalletPlan {
    fn draw(
        rng: &mut StdRng,
        stage: Stage,
        pace_ms: u64,
        sat: std::ops::RangeInclusive<u64>,
    ) -> Self {
        let invoices: Vec<_> = (0..rng.gen_range(1..=2))
            .map(|_| InvoicePlan {
                sat: rng.gen_range(sat.clone()),
                action: PayeeAction::draw(rng),
            })
            .collect();
        let taps = (0..rng.gen_range(2..=5))
            .map(|_| ClaimPlan {
                // Some at the same moment as another wallet's.
                after_ms: *[0, rng.gen_range(0..pace_ms)].choose(rng).unwrap(),
                invoice: rng.gen_range(0..invoices.len()),
                replica: rng.gen_range(0..stage.replicas()),
                hangs_up: rng.gen_bool(0.15),
            })
            .collect();
        Self { invoices, taps }
    }
}

impl PayeeAction {
    fn draw(rng: &mut StdRng) -> Self {
        match rng.gen_range(0..10) {
            0..=3 => Self::Plain,
            4..=6 => Self::SettlesAfter { ms: rng.gen_range(0..2500) },
            7 | 8 => Self::CancelsAfter { ms: rng.gen_range(0..2500) },
            _ => Self::Unroutable,
        }
    }
}
