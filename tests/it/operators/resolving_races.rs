//! A decision of an operator against a lost answer of the database, and against the payer.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use withdrawd::{
    domain::{
        ActorDraft, Millis, PaymentHash, Principal,
        payment::{OutcomeDraft, ResolutionDraft},
    },
    lookup::NodeAccess,
    pb::{payment::State, withdraw::Status as WithdrawStatus},
    ports::{
        Introduction, LightningNode, LookupReply, NoRecorder, NodeError, NodeHealth, NodeTraits,
        PaymentsPage, PaymentsQuery, SendOrder, SendStream, WitnessOrder,
    },
    runtime::{Clock, Runtime, SystemEntropy, Task, TokioSpawner},
    service::{PaymentError, PaymentService},
};

use crate::{
    bench::faults::LostAnswer,
    bench::node::ModelNode,
    bench::on_every_store,
    bench::scrape::Scrape,
    operators::resolving::{Doubt, paid_with, resolve},
    payments::doubts::proof_of,
};

/// The database's answer is lost: the decision is read back, and written once.
#[tokio::test]
async fn a_decision_whose_commit_was_not_answered_is_read_back() {
    on_every_store(async |bench| {
        let mut paid = 0.0;
        for lost in [LostAnswer::AfterCommit, LostAnswer::BeforeCommit] {
            let doubt = Doubt::unproven(&bench).await;
            bench.faults.lose("advance", lost);
            let resolved = resolve(&bench, doubt.as_paid(None)).await.unwrap();
            assert_eq!(resolved.state(), State::Paid);
            let events = bench.events_of(&doubt.withdraw.id).await;
            assert_eq!(events, ["created", "claimed", "needs_operator", "paid"], "{lost:?}");
            paid += 1.0;
            let series = r#"withdrawd_payments_total{state="PAID",reason=""}"#;
            Scrape::of(bench.admin()).await.assert_values(&[(series, paid)]);
        }
    })
    .await;
}

/// A node whose next lookup takes so long that something else happens before its answer arrives.
struct DelayedNode {
    node: Arc<ModelNode>,
    meanwhile: Mutex<Option<Task>>,
}

#[async_trait]
impl LightningNode for DelayedNode {
    fn traits(&self) -> NodeTraits {
        self.node.traits()
    }

    async fn introduce(&self) -> Result<Introduction, NodeError> {
        self.node.introduce().await
    }

    async fn look_up(&self, hash: PaymentHash) -> Result<LookupReply, NodeError> {
        let answer = self.node.look_up(hash).await;
        let meanwhile = self.meanwhile.lock().unwrap().take();
        if let Some(meanwhile) = meanwhile {
            meanwhile.await;
        }
        answer
    }

    async fn send(&self, order: SendOrder) -> SendStream {
        self.node.send(order).await
    }

    async fn witness(&self, order: WitnessOrder) -> SendStream {
        self.node.witness(order).await
    }

    async fn health(&self) -> Result<NodeHealth, NodeError> {
        self.node.health().await
    }

    async fn has_htlc(&self, hash: PaymentHash) -> Result<bool, NodeError> {
        self.node.has_htlc(hash).await
    }

    async fn payments(&self, query: PaymentsQuery) -> Result<PaymentsPage, NodeError> {
        self.node.payments(query).await
    }
}

/// The node answers the operator that it knows nothing; before that is acted on, it gives the payer
/// the proof. The payer wins, and the operator is refused.
#[tokio::test]
async fn a_payer_that_learns_the_end_first_wins() {
    on_every_store(async |bench| {
        let doubt = Doubt::vanished(&bench).await;
        let bench = Arc::new(bench);
        let learns = {
            let (bench, invoice) = (Arc::clone(&bench), doubt.invoice.clone());
            let withdraw = doubt.withdraw.id.clone();
            Box::pin(async move {
                bench.node.add_foreign_payment(&invoice, paid_with(proof_of(&invoice)));
                bench.run_payer_after(Millis::from_secs(600)).await;
                assert_eq!(bench.get(&withdraw).await.status(), WithdrawStatus::Paid);
            })
        };
        let node =
            DelayedNode { node: Arc::clone(&bench.node), meanwhile: Mutex::new(Some(learns)) };
        let node: Arc<dyn LightningNode> = Arc::new(node);
        let runtime = Runtime {
            clock: Arc::clone(&bench.clock) as Arc<dyn Clock>,
            entropy: Arc::new(SystemEntropy),
            spawner: Arc::new(TokioSpawner),
        };
        let store = bench.store();
        let lookup = bench.settings().payer.lookup;
        let access = NodeAccess::new(&store, &node, &runtime, None, lookup);
        let service = PaymentService::new(store, Some(access), runtime, Arc::new(NoRecorder));

        let draft = ResolutionDraft {
            id: doubt.payment.clone(),
            actor: ActorDraft {
                principal: Principal::Unnamed,
                name: "alice".into(),
                reason: "the node knows nothing of it".into(),
            },
            outcome: Some(OutcomeDraft::Failed {
                node_unreachable: false,
                payee_unpaid: true,
                stranded: false,
            }),
        };
        let refused = service.resolve(draft).await.unwrap_err();
        assert!(matches!(refused, PaymentError::Unresolvable(_)), "{refused:?}");
        let events = bench.events_of(&doubt.withdraw.id).await;
        assert_eq!(events, ["created", "claimed", "needs_operator", "paid"]);
    })
    .await;
}
