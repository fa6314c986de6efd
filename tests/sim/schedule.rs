//! Who goes on next, and how its call goes.

use super::{
    history::History,
    step::{ActorId, CallKind, Completion},
};

impl History {
    /// Lets one actor go on: its call is made, its late answer arrives, or it wakes.
    pub(super) fn run(&mut self, actor: ActorId, how: Completion) -> bool {
        self.last = actor;
        let (parked, rested) = {
            let inner = self.world.lock();
            (inner.parked.get(&actor).copied(), inner.is_rested(actor))
        };
        let Some(replica) = self.actors.replica_of(actor) else { return false };
        let Some(parked) = parked else {
            if rested {
                self.actors.go(&self.world, actor, Completion::Done);
            }
            return rested;
        };
        let how =
            if parked.answered || !fits(how, parked.call.kind) { Completion::Done } else { how };
        let now = self.world.lock().calls + 1;
        let how = match self.crash_at {
            Some((at, after)) if at == now && !parked.answered => {
                if !after {
                    return self.crash(replica);
                }
                Completion::Die
            }
            _ => how,
        };
        self.actors.go(&self.world, actor, how);
        if how == Completion::Die {
            self.crash(replica);
        }
        true
    }

    /// One actor's calls, and those of whatever it starts, up to where it waits, or is about to ask
    /// the node to pay: that is a moment of its own.
    pub(super) fn run_on(&mut self, actor: ActorId) -> bool {
        let mut ran = false;
        for made in 0..200 {
            let next = {
                let inner = self.world.lock();
                let theirs =
                    |other: &ActorId| *other == actor || inner.parents.get(other) == Some(&actor);
                let mut parked = inner.parked.iter().filter(|(other, _)| theirs(other));
                let next = parked.next().map(|(other, parked)| (*other, parked.call.kind));
                next.filter(|(_, kind)| made == 0 || *kind != CallKind::Send)
                    .map(|(other, _)| other)
            };
            let Some(next) = next.filter(|_| !self.is_broken()) else { break };
            ran |= self.run(next, Completion::Done);
        }
        ran
    }

    /// Everything goes on in turn, until nothing can; what is on its way on streams arrives.
    pub(super) fn drain(&mut self) -> bool {
        for _ in 0..3000 {
            if self.is_broken() {
                return true;
            }
            let Some(actor) = self.next_in_turn() else {
                if !self.deliver_any() {
                    return true;
                }
                self.actors.settle(&self.world);
                continue;
            };
            let how = self.armed_for(actor);
            self.run(actor, how);
        }
        self.world.lock().broke("everything comes to rest", "3000 turns");
        true
    }

    fn next_in_turn(&self) -> Option<ActorId> {
        let inner = self.world.lock();
        let rested = inner.sleeping.keys().copied().filter(|actor| inner.is_rested(*actor));
        let mut all: Vec<ActorId> = inner.parked.keys().copied().chain(rested).collect();
        all.sort_unstable();
        all.iter().find(|actor| **actor > self.last).or(all.first()).copied()
    }

    fn deliver_any(&self) -> bool {
        let mut inner = self.world.lock();
        (0..inner.node.streams.len()).any(|stream| inner.node.deliver(stream))
    }

    fn armed_for(&mut self, actor: ActorId) -> Completion {
        let name = self.world.lock().parked.get(&actor).map(|parked| parked.call.name);
        let armed = self.armed.iter().position(|(call, _)| Some(*call) == name);
        armed.map_or(Completion::Done, |index| self.armed.remove(index).1)
    }
}

/// Whether a call of this kind can go so.
pub fn fits(how: Completion, kind: CallKind) -> bool {
    match how {
        Completion::Done | Completion::Late | Completion::NotDone | Completion::Die => true,
        Completion::LostBefore => kind == CallKind::Write,
        Completion::LostAfter => kind != CallKind::Read,
        Completion::OnItsWay | Completion::OnItsWayButLost => kind == CallKind::Send,
        Completion::ZeroPreimage | Completion::OtherAmount | Completion::FailedAsInFlight => {
            kind == CallKind::Ask
        }
    }
}
