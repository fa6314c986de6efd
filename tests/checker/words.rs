//! A state in words, for the steps of a counterexample.

use std::fmt;

use withdrawd::domain::Status;

use super::state::{Answered, Is, Node, Paid, Sent, Stands, State};

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.request.status != Status::Active {
            parts.push(self.request.status.name().to_owned());
        }
        for (name, attempt) in ["A", "B"].iter().zip(&self.attempts) {
            if attempt.stands != Stands::Unclaimed {
                let noted = if attempt.noted { " (failure noted)" } else { "" };
                let sends = attempt.sends[..usize::from(attempt.count)].iter().copied().map(words);
                let sends: String = sends.collect();
                parts.push(format!("{name} {:?}{noted}{sends}", attempt.stands));
            }
        }
        match self.node {
            Node::Same => {}
            Node::Other => parts.push("another node answers".to_owned()),
            Node::Forgetful => parts.push("the node has no books".to_owned()),
        }
        for (name, record) in ["A", "B"].iter().zip(&self.records) {
            let paid = match record.paid {
                Paid::ByNobody => "",
                Paid::ByOthers => ", payee paid by others",
                Paid::ByA | Paid::ByB => ", payee paid by us",
            };
            if record.is != Is::NotFound || record.paid != Paid::ByNobody {
                parts.push(format!("node has {name} {:?}{paid}", record.is));
            }
        }
        f.write_str(&parts.join("; "))
    }
}

fn words(send: Sent) -> String {
    let age = ["valid", "past its deadline", "over"][usize::from(send.age)];
    let place = match (send.on_its_way, send.taken) {
        (true, _) => ", on its way",
        (false, true) => ", checked by the node",
        (false, false) => "",
    };
    match send.answered {
        Answered::Not if send.witnessed => format!(" [{age}{place}, witnessed]"),
        Answered::Not => format!(" [{age}{place}]"),
        answered => format!(" [{age}{place}, answered: {answered:?}]"),
    }
}
