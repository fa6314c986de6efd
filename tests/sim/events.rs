//! What the world does by itself: time, the network, the node and its payees.

use withdrawd::domain::payment::RecordState;

use super::{
    node::{NodePayment, Request},
    step::{End, Step},
    world::{Fault, Inner},
};

impl Inner {
    /// False if it cannot be, here and now, within the contract.
    pub fn make(&mut self, step: Step) -> bool {
        match step {
            Step::Advance { ms } => {
                self.advance(ms);
                true
            }
            Step::DelayNextReading { ms } => self.pause_ms.replace(ms).is_none(),
            Step::SetDatabaseClock { ms } => {
                self.database_offset_ms += ms;
                true
            }
            Step::DeliverRequest { request, slow } => {
                self.may_arrive(request) && {
                    self.arrive(request, slow);
                    true
                }
            }
            Step::StoreRequest { request } => {
                let stored =
                    self.node.requests.get(request).is_some_and(is_checked) && !self.node.stalled;
                if stored {
                    self.store(request);
                }
                stored
            }
            Step::RefuseRequest { request } => {
                self.may_arrive(request) && {
                    self.refuse(request, "self-payments not allowed");
                    true
                }
            }
            Step::LoseRequest { request } => {
                self.may_arrive(request) && {
                    self.node.requests[request].over = true;
                    true
                }
            }
            Step::Duplicate { request } => self.double(request),
            Step::EndPayment { invoice, end } => {
                // An end is a write as well.
                let can = self.is_pending(invoice) && !self.node.stalled;
                if can && matches!(end, End::SettledAndLost | End::FailedAndLost) {
                    // It loses results only as it starts.
                    self.lose_requests();
                    self.node.disconnect(true);
                }
                can && self.finish(invoice, end)
            }
            Step::DeliverStreamItem { stream } => {
                stream < self.node.streams.len() && self.node.deliver(stream)
            }
            Step::CutStream { stream, error } => {
                let open = self.node.streams.get(stream).is_some_and(|stream| stream.open);
                if open {
                    self.node.cut(stream, error);
                }
                open
            }
            step => self.apply_node_fault(step),
        }
    }

    /// Faults of the node itself, and other users of it.
    fn apply_node_fault(&mut self, step: Step) -> bool {
        match step {
            Step::StallNode { on } => {
                let changes = self.node.stalled != on;
                if changes {
                    self.stall(on);
                }
                changes
            }
            Step::NodeRestart => {
                self.lose_requests();
                self.node.disconnect(true);
                true
            }
            Step::NodeReachable { reachable } => {
                std::mem::replace(&mut self.node.reachable, reachable) != reachable
            }
            // Whoever is seen first is the one that pays.
            Step::NodeSwitch => {
                self.node.is_known && {
                    // What is on its way to the first one may still reach it.
                    self.node.endpoint = 1 - self.node.endpoint;
                    self.node.disconnect(false);
                    self.faults.insert(Fault::Switched);
                    true
                }
            }
            Step::NodeWipe => {
                self.may_be_wiped() && {
                    self.lose_requests();
                    self.node.wiped = Some(std::mem::take(&mut self.node.records[0]));
                    self.node.disconnect(true);
                    self.faults.insert(Fault::Wiped);
                    true
                }
            }
            Step::DeleteRecord { invoice } => {
                let book = &mut self.node.records[self.node.endpoint];
                let failed =
                    |entry: &NodePayment| matches!(entry.record.state, RecordState::Failed(_));
                let forgets = book.get(&invoice).is_some_and(failed);
                if forgets {
                    book.remove(&invoice);
                    self.faults.insert(Fault::Forgotten);
                }
                forgets
            }
            Step::LeaveContract => !std::mem::replace(&mut self.outside, true),
            Step::PayFromElsewhere { invoice } => {
                let pays = invoice < self.node.invoices.len() && self.pay_from_elsewhere(invoice);
                if pays {
                    self.faults.insert(Fault::Foreign);
                }
                pays
            }
            _ => false,
        }
    }

    /// A process of the node that ends takes its connections with it, and what it had only checked.
    fn lose_requests(&mut self) {
        let endpoint = self.node.endpoint;
        for request in self.node.requests.iter_mut().filter(|request| request.to == endpoint) {
            request.over = true;
        }
        for witness in self.node.witnesses.iter_mut().filter(|witness| witness.to == endpoint) {
            witness.over = true;
        }
    }

    /// Of a doubled request one copy must not arrive when the payment has failed already, and its
    /// attempt was closed by that: no rule withstands it, and the contract excludes it (no retrying
    /// proxy before the node). So a copy that arrives is stored at once, too, and none arrives while the node
    /// stores nothing.
    fn may_arrive(&self, request: usize) -> bool {
        self.node.requests.get(request).is_some_and(|asked| {
            let after_failure =
                !self.outside && asked.copy && self.node.failed.contains(&asked.invoice);
            let waits = !self.outside && asked.copy && self.node.stalled;
            !asked.over && asked.checked_ms.is_none() && !after_failure && !waits
        })
    }

    fn double(&mut self, request: usize) -> bool {
        let Some(asked) = self.node.requests.get_mut(request) else { return false };
        // Whichever comes second is the copy.
        asked.copy = true;
        let copy = Request { stream: None, checked_ms: None, over: false, ..asked.clone() };
        self.node.requests.push(copy);
        self.faults.insert(Fault::Doubled);
        true
    }

    /// A wipe is noticed by a payment that the store saw the node know, and that cannot fail any
    /// more: without one, the contract has no answer to it.
    fn may_be_wiped(&self) -> bool {
        let witness = self.mirror.payments.values().any(|payment| {
            let paid = matches!(payment.state, withdrawd::domain::State::Paid { .. });
            paid && payment.node().is_some_and(|node| *node == super::node::identity(0))
        });
        witness && self.node.wiped.is_none() && self.node.endpoint == 0
    }

    /// Whether somebody is paying this invoice.
    pub fn is_pending(&self, invoice: usize) -> bool {
        let books = self.node.records.iter().chain(&self.node.wiped);
        let mut known = books.filter_map(|book| book.get(&invoice));
        known.any(|entry| entry.record.state == RecordState::InFlight)
    }

    /// All faults of the node end: it answers, is itself, and has its memory back.
    pub fn repair_node(&mut self) {
        self.pause_ms = None;
        if self.node.stalled {
            self.stall(false);
        }
        self.node.reachable = true;
        if self.node.endpoint != 0 {
            self.node.endpoint = 0;
            self.node.disconnect(false);
        }
        if let Some(wiped) = self.node.wiped.take() {
            self.node.records[0].extend(wiped);
            self.node.disconnect(false);
        }
    }
}

fn is_checked(request: &Request) -> bool {
    request.checked_ms.is_some() && !request.over
}
