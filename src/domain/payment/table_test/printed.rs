//! The table as the code has it, printed under the rules and compared with `table.md`.
//!
//! A line names states, reports and conditions; what follows is asked of the code, which must say the
//! same in every circumstance that the line covers. Every circumstance is covered by exactly one line.
//! `WITHDRAWD_BLESS=1 cargo test --lib printed` writes the file anew.

use std::fmt::Write;

use super::{
    circumstances::{AttemptState, Circumstance, Condition, NOTED, Report, all},
    lines::{LINES, Line, RULES},
    *,
};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/domain/payment/table.md");

const HEAD: &str = "\
# The decision table

Generated from the code by `table_test::printed`, rule by rule. A condition that a line does not name makes
no difference; where a line names none, the result is the same for a lookup and for a send's own stream. A
lookup's answer counts only from the node that was asked, with its payment records intact (rule 20 has the
exceptions); a proof of payment and \"in flight\" count without intact records. A send is *over* when it can
no longer take effect: its time window (deadline, clock skew, the node's slack) has passed, and it was
answered or a *write witness* was seen. The last three lines about RESERVED with an unanswered send are about
an attempt that a new database server already held: the previous server may have held a send that is lost.
";

impl Line {
    fn covers(&self, of: &Circumstance) -> bool {
        let distrusted = Condition::OtherNode.holds(of)
            || Condition::Forgetful.holds(of)
                && matches!(of.says(), Report::NotFound | Report::Failed | Report::Refused);
        let about_trust = self.conditions.contains(&Condition::OtherNode)
            || self.conditions.contains(&Condition::Forgetful);
        about_trust == distrusted
            && self.states.contains(&of.state)
            && self.reports.contains(&of.says())
            && self.conditions.iter().all(|when| when.holds(of))
    }

    fn print(&self, follows: &str) -> String {
        let from: Vec<&str> = self.states.iter().map(|from| from.name()).collect();
        let says: Vec<&str> = self.reports.iter().map(|says| says.name()).collect();
        let says = if says.len() > 7 { "anything".to_owned() } else { says.join("; or ") };
        let when: Vec<&str> = self.conditions.iter().map(|when| when.name()).collect();
        format!("| {} | {says} | {} | {follows} |\n", from.join(", "), when.join("; "))
    }
}

/// What follows, with the reason by where it comes from.
fn follows(of: &Circumstance) -> String {
    let said = match of.word() {
        Some(NodeReport::Failed(why, _)) => Some(why),
        _ => None,
    };
    let reason = |why: FailureReason| {
        if said == Some(why) {
            "the node's reason".to_owned()
        } else if why == NOTED {
            "the noted reason".to_owned()
        } else {
            format!("`{}`", why.name())
        }
    };
    match of.next() {
        Next::Stay => "nothing".to_owned(),
        Next::Send => "send".to_owned(),
        Next::Witness => "make a write witness".to_owned(),
        Next::Note(why) => format!("note {}", reason(why)),
        Next::InFlight => "IN_FLIGHT".to_owned(),
        Next::Pay { .. } => "PAID".to_owned(),
        Next::Fail(why) => format!("FAILED, {}", reason(why)),
        Next::Doubt(why) => format!("NEEDS_OPERATOR, `{}`", why.name()),
        Next::LateSuccess { .. } => "FAILED, marked LATE_SUCCESS".to_owned(),
    }
}

/// What the code says for each line. Fails where it says two things, or where no line, or more than
/// one, is about a circumstance.
fn outcomes(circumstances: &[Circumstance]) -> Vec<String> {
    let mut outcomes: Vec<Option<String>> = vec![None; LINES.len()];
    for of in circumstances {
        let covering: Vec<usize> = (0..LINES.len()).filter(|at| LINES[*at].covers(of)).collect();
        let [line] = covering.as_slice() else {
            panic!("covered by {:?}: {of:?}", covering.iter().map(|at| &LINES[*at]));
        };
        let says = follows(of);
        let known = outcomes[*line].get_or_insert_with(|| says.clone());
        assert_eq!(*known, says, "{:?} does not tell these apart: {of:?}", LINES[*line]);
    }
    let all = LINES.iter().zip(outcomes);
    all.map(|(line, says)| says.unwrap_or_else(|| panic!("{line:?} is about nothing"))).collect()
}

fn printed() -> String {
    let outcomes = outcomes(&all());
    let mut text = HEAD.to_owned();
    for (index, rule) in RULES.iter().enumerate() {
        let _ = write!(text, "\n## {}. {}\n\n{}\n\n", index + 1, rule.label, rule.requirement);
        text.push_str("| state | report | when | what follows |\n|---|---|---|---|\n");
        let lines = LINES.iter().zip(&outcomes).filter(|(line, _)| line.rule == index + 1);
        let lines: Vec<String> = lines.map(|(line, says)| line.print(says)).collect();
        assert!(!lines.is_empty(), "no line for {}", rule.label);
        text.extend(lines);
    }
    text
}

/// The lines that only one of two texts has.
fn difference(file: &str, code: &str) -> String {
    let only = |sign: &str, of: &str, other: &str| {
        let lines = of.lines().filter(|line| !other.lines().any(|known| known == *line));
        lines.map(|line| format!("{sign} {line}")).collect::<Vec<_>>()
    };
    [only("-", file, code), only("+", code, file)].concat().join("\n")
}

#[test]
fn the_table_that_is_checked_in_is_the_codes() {
    let code = printed();
    if std::env::var_os("WITHDRAWD_BLESS").is_some() {
        std::fs::write(FILE, &code).unwrap();
    }
    let file = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(
        file == code,
        "table.md is not what the code does; WITHDRAWD_BLESS=1 writes it anew\n{}",
        difference(&file, &code)
    );
}

/// The states of the lines are those of the code.
#[test]
fn every_state_has_its_name() {
    for of in all() {
        assert_eq!(of.state.name(), of.payment.state.name());
    }
    assert_ne!(AttemptState::Paid.name(), AttemptState::Failed.name());
}
