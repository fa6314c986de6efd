//! What services, wallets, operators and background jobs ask of a process: each begins an actor.

use std::sync::Arc;

use withdrawd::{
    domain::{Act, Actor, Draft, DraftTtl, InstanceCommand, Millis, Principal},
    service::ClaimError,
};

use super::{
    history::{Created, History, SAT},
    mirror::WalletAnswer,
};

impl History {
    pub(super) fn create(&mut self, replica: usize) -> bool {
        let Some(process) = &self.replicas[replica] else { return false };
        let (service, created) = (process.withdraws.clone(), Arc::clone(&self.created));
        let place = {
            let mut created = created.lock().unwrap();
            created.push(None);
            created.len() - 1
        };
        let draft = Draft {
            max_amount: SAT.to_string(),
            ttl: Some(DraftTtl { seconds: 1200, nanos: 0 }),
            ..Draft::default()
        };
        let task = async move {
            if let Ok(shown) = service.create(Principal::Unnamed, draft).await {
                let secret = shown.links.unwrap().secret.expose().to_owned();
                created.lock().unwrap()[place] = Some((shown.view.withdraw.id, secret));
            }
        };
        self.begin(replica, Box::pin(task))
    }

    pub(super) fn known(&self, withdraw: usize) -> Created {
        self.created.lock().unwrap().get(withdraw).cloned().flatten()
    }

    pub(super) fn claim(&mut self, replica: usize, withdraw: usize, invoice: usize) -> bool {
        let text = self.invoice(invoice);
        let Some((id, secret)) = self.known(withdraw) else { return false };
        let Some(process) = &self.replicas[replica] else { return false };
        let (claims, world) = (process.claims.clone(), Arc::clone(&self.world));
        let task = async move {
            let answer = match claims.claim(&secret, &text).await {
                Ok(()) => WalletAnswer::Ok,
                Err(ClaimError::Refused(refusal)) => WalletAnswer::Refused(refusal.to_string()),
                Err(error) => WalletAnswer::Error(error.to_string()),
            };
            let mut inner = world.lock();
            let me = inner.current.unwrap();
            inner.note(|| format!("      the wallet with invoice {invoice} is told {answer:?}"));
            inner.check_wallet_answer(me, id, invoice, &answer);
        };
        self.begin(replica, Box::pin(task))
    }

    pub(super) fn offer(&mut self, replica: usize, withdraw: usize) -> bool {
        let Some((_, secret)) = self.known(withdraw) else { return false };
        let Some(process) = &self.replicas[replica] else { return false };
        let claims = process.claims.clone();
        self.begin(replica, Box::pin(async move { drop(claims.offer(&secret).await) }))
    }

    pub(super) fn deactivate(&mut self, replica: usize, withdraw: usize) -> bool {
        let Some((id, _)) = self.known(withdraw) else { return false };
        let Some(process) = &self.replicas[replica] else { return false };
        let (service, world) = (process.withdraws.clone(), Arc::clone(&self.world));
        let task = async move {
            let done = service.deactivate(Principal::Unnamed, &id.to_string()).await;
            let mut inner = world.lock();
            inner.note(|| format!("      deactivated: {}", done.is_ok()));
            inner.check_deactivated(id, done.is_ok());
        };
        self.begin(replica, Box::pin(task))
    }

    pub(super) fn run_payer(&mut self, replica: usize) -> bool {
        let Some(process) = &self.replicas[replica] else { return false };
        let payer = Arc::clone(&process.payer);
        self.begin(replica, Box::pin(async move { drop(payer.run_once().await) }))
    }

    pub(super) fn expire(&mut self, replica: usize) -> bool {
        let Some(process) = &self.replicas[replica] else { return false };
        let expiry = Arc::clone(&process.expiry);
        self.begin(replica, Box::pin(async move { drop(expiry.mark_due().await) }))
    }

    pub(super) fn beat(&mut self, replica: usize) -> bool {
        let Some(process) = &self.replicas[replica] else { return false };
        let heartbeats = Arc::clone(&process.heartbeats);
        self.begin(replica, Box::pin(async move { drop(heartbeats.beat().await) }))
    }

    pub(super) fn verify_database(&mut self, replica: usize) -> bool {
        let Some(process) = &self.replicas[replica] else { return false };
        let verifier = Arc::clone(&process.verifier);
        self.begin(replica, Box::pin(async move { drop(verifier.run_once().await) }))
    }

    pub(super) fn switch_instance(&mut self, replica: usize, on: bool) -> bool {
        let Some(process) = &self.replicas[replica] else { return false };
        let store = Arc::clone(&process.store);
        let at = self.world.lock().wall(replica);
        let act = Act { by: Actor::unnamed("ann", "a look"), at };
        let task = async move {
            if on {
                drop(store.execute_command(&InstanceCommand::Pause(act)).await);
            } else {
                drop(store.execute_command(&InstanceCommand::Resume(act.clone())).await);
                let status = store.instance_status(Millis::ZERO, None).await;
                if let Some((fence, _)) = status.ok().and_then(|status| status.fenced) {
                    drop(store.execute_command(&InstanceCommand::Acknowledge(fence, act)).await);
                }
            }
        };
        self.begin(replica, Box::pin(task))
    }
}
