//! A state as text, for the steps of a counterexample.

use std::fmt;

use withdrawd::domain::Status;

use super::state::{Node, NodeState, PaidBy, SendAnswer, SendRow, Stage, State};

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.request.status != Status::Active {
            parts.push(self.request.status.name().to_owned());
        }
        for (name, attempt) in ["A", "B"].iter().zip(&self.attempts) {
            if attempt.stage != Stage::Unclaimed {
                let noted = if attempt.noted { " (failure noted)" } else { "" };
                let sends = attempt.sends[..usize::from(attempt.count)].iter().copied().map(words);
                let sends: String = sends.collect();
                parts.push(format!("{name} {:?}{noted}{sends}", attempt.stage));
            }
        }
        match self.node {
            Node::Same => {}
            Node::Other => parts.push("another node answers".to_owned()),
            Node::Forgetful => parts.push("the node has no books".to_owned()),
        }
        for (name, record) in ["A", "B"].iter().zip(&self.records) {
            let paid = match record.paid {
                PaidBy::ByNobody => "",
                PaidBy::ByOthers => ", payee paid by others",
                PaidBy::ByA | PaidBy::ByB => ", payee paid by us",
            };
            if record.node_state != NodeState::NotFound || record.paid != PaidBy::ByNobody {
                parts.push(format!("node has {name} {:?}{paid}", record.node_state));
            }
        }
        f.write_str(&parts.join("; "))
    }
}

fn words(send: SendRow) -> String {
    let age = ["valid", "past its deadline", "over"][usize::from(send.age)];
    let place = match (send.on_its_way, send.accepted) {
        (true, _) => ", on its way",
        (false, true) => ", checked by the node",
        (false, false) => "",
    };
    match send.answer {
        SendAnswer::Not if send.witnessed => format!(" [{age}{place}, witnessed]"),
        SendAnswer::Not => format!(" [{age}{place}]"),
        answer => format!(" [{age}{place}, answered: {answer:?}]"),
    }
}
