//! The ports that are about the whole instance, gated; and what one process remembers.
//!
//! A store remembers for its process which server it trusts and what it was told is durable. Here two
//! processes share one store, so each wrapper remembers by itself.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use withdrawd::{
    domain::{
        Heartbeat, Millis, NodeTrouble, PaymentHash, Restored, Standing, Timestamp, Turn, Withdraw,
        payment::Advance,
    },
    ports::{Inherited, Instance, Integrity, LostCommits, SeenServer, Server, StoreError},
};

use super::store::GatedStore;

/// What a process remembers of its database.
#[derive(Default)]
pub struct Memory(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    trusted: Option<Server>,
    met: Option<(Server, Option<Inherited>)>,
    kept: Vec<(withdrawd::domain::PaymentId, i64, i64)>,
}

impl Memory {
    /// Whether it has made sure of its database.
    pub fn is_verified(&self) -> bool {
        self.locked(|memory| memory.trusted.is_some())
    }

    /// Whether an attempt may not be closed yet.
    pub fn forbids(&self, advance: &Advance) -> bool {
        advance.closes()
            && self.locked(|memory| {
                let met = memory.met.map(|(server, _)| server.0);
                met.is_none() || met != advance.decided_on
            })
    }

    /// A commit was told to be durable.
    pub fn keep(&self, advance: &Advance) {
        if let Some(send) = &advance.new_send {
            let send = (advance.payment.id, send.number, send.epoch);
            self.locked(|memory| memory.kept.push(send));
        }
    }

    fn locked<T>(&self, with: impl FnOnce(&mut Remembered) -> T) -> T {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Instance for GatedStore {
    async fn standing(
        &self,
        clock_skew: Millis,
        spent_since: Option<Timestamp>,
    ) -> Result<Standing, StoreError> {
        let standing = self.read("standing", self.inner().standing(clock_skew, spent_since)).await;
        standing.map(|standing| Standing { verified: self.memory.is_verified(), ..standing })
    }

    /// No step of a history: nothing that is paid follows from it.
    async fn report_trouble(
        &self,
        trouble: Option<&NodeTrouble>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.database.run(self.inner().report_trouble(trouble, at))
    }

    async fn beat(&self, beat: &Heartbeat) -> Result<(), StoreError> {
        self.write("beat", self.inner().beat(beat), |()| {}).await
    }

    async fn turn(&self, turn: &Turn) -> Result<bool, StoreError> {
        // A fence that stands is none that ends.
        let told = |done: &bool| {
            if *done || !matches!(turn, Turn::Acknowledge(..)) {
                self.world.lock().turned(turn);
            }
        };
        self.write("turn", self.inner().turn(turn), told).await
    }
}

#[async_trait]
impl Integrity for GatedStore {
    async fn server(&self) -> Result<SeenServer, StoreError> {
        let seen = self.read("server", self.inner().server()).await?;
        let verified = self.memory.locked(|memory| memory.trusted == Some(seen.server));
        Ok(SeenServer { verified, ..seen })
    }

    fn must_read_marks(&self, _server: Server) -> bool {
        false
    }

    async fn lost_commits(&self) -> Result<Option<LostCommits>, StoreError> {
        let kept = self.memory.locked(|memory| memory.kept.clone());
        for (payment, number, epoch) in kept {
            let exists = self.inner().send_exists(payment, number, epoch);
            if !self.read("lost_commits", exists).await? {
                self.memory.locked(|memory| memory.kept.clear());
                return Ok(Some(LostCommits::default()));
            }
        }
        Ok(None)
    }

    async fn yet_to_read_marks(&self, _server: Server, _lately: Millis) -> Result<i64, StoreError> {
        Ok(0)
    }

    async fn verify(&self, server: Server, _at: Timestamp) -> Result<bool, StoreError> {
        self.memory.locked(|memory| memory.trusted = Some(server));
        Ok(true)
    }

    fn has_met(&self, server: Server) -> bool {
        self.memory.locked(|memory| memory.met.is_some_and(|(met, _)| met == server))
    }

    fn meet(&self, server: Server, inherited: Option<Inherited>) {
        self.memory.locked(|memory| memory.met = Some((server, inherited)));
    }

    fn met(&self) -> Option<(Server, Option<Inherited>)> {
        self.memory.locked(|memory| memory.met)
    }

    async fn last_send(&self) -> Result<i64, StoreError> {
        self.read("last_send", self.inner().last_send()).await
    }

    async fn known_from(&self, now: Timestamp) -> Result<[Option<Timestamp>; 3], StoreError> {
        self.write("known_from", self.inner().known_from(now), |_| {}).await
    }

    async fn knows(&self, hash: PaymentHash) -> Result<bool, StoreError> {
        self.read("knows", self.inner().knows(hash)).await
    }

    async fn restore(&self, restored: &Restored) -> Result<(), StoreError> {
        self.write("restore", self.inner().restore(restored), |()| {}).await
    }

    async fn to_withhold(
        &self,
        before: Timestamp,
        limit: i64,
    ) -> Result<Vec<Withdraw>, StoreError> {
        self.read("to_withhold", self.inner().to_withhold(before, limit)).await
    }

    async fn withheld(&self, limit: i64) -> Result<Vec<Withdraw>, StoreError> {
        self.read("withheld", self.inner().withheld(limit)).await
    }
}
