//! Breadth-first search over all reachable states, so that the first counterexample is a shortest one.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::{
    hashing,
    invariants::Invariant,
    real::Real,
    state::{Decision, Stage, State},
    steps::{self, Setting, Successor},
};

/// What a search found.
pub struct Report {
    pub states: usize,
    /// Whether every reachable state was visited.
    pub whole: bool,
    /// The length of the longest shortest path to a state.
    pub depth: usize,
    /// A shortest path to each broken invariant.
    pub broken: BTreeMap<Invariant, Vec<String>>,
    /// The table's decisions, with the state of the attempt.
    pub decisions: BTreeSet<(Stage, Decision)>,
}

/// How far to search.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// Visit every state, and check that an end can be reached from each.
    Everything { at_most: usize },
    /// Stop at the first path that breaks this invariant; ignore others.
    Breaks(Invariant),
}

/// The states that were found, in the order of their discovery.
struct Known {
    states: Vec<u128>,
    parents: Vec<u32>,
    /// A hash table with open addressing. 0 is free; otherwise the index of a state plus one.
    slots: Vec<u32>,
}

impl Known {
    fn new(first: u128) -> Self {
        let mut known = Self { states: Vec::new(), parents: Vec::new(), slots: vec![0; 1 << 16] };
        known.index_of(first, 0);
        known
    }

    /// The index of a state, which is added if it is new.
    fn index_of(&mut self, state: u128, parent: u32) -> u32 {
        if self.states.len() * 4 > self.slots.len() * 3 {
            self.grow();
        }
        let at = self.slot(state);
        if self.slots[at] != 0 {
            return self.slots[at] - 1;
        }
        let number = u32::try_from(self.states.len()).expect("fewer states than 2³²");
        self.states.push(state);
        self.parents.push(parent);
        self.slots[at] = number + 1;
        number
    }

    fn slot(&self, state: u128) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = hashing::of_state(state) & mask;
        while self.slots[at] != 0 && self.states[self.slots[at] as usize - 1] != state {
            at = (at + 1) & mask;
        }
        at
    }

    fn grow(&mut self) {
        self.slots = vec![0; self.slots.len() * 2];
        for index in 0..self.states.len() {
            let at = self.slot(self.states[index]);
            self.slots[at] = u32::try_from(index).expect("as it was numbered") + 1;
        }
    }

    fn path_to(&self, mut index: u32) -> Vec<State> {
        let mut path = vec![State::unpack(self.states[index as usize])];
        while index != 0 {
            index = self.parents[index as usize];
            path.push(State::unpack(self.states[index as usize]));
        }
        path.reverse();
        path
    }
}

/// The steps from each state that are not faults, to check that an end can be reached without any fault.
#[derive(Default)]
struct Edges {
    to: Vec<u32>,
    begins: Vec<usize>,
    /// A step from here breaks an invariant, and was not followed.
    breaks: Vec<bool>,
}

impl Edges {
    fn from(&self, index: usize) -> &[u32] {
        let end = self.begins.get(index + 1).copied().unwrap_or(self.to.len());
        &self.to[self.begins[index]..end]
    }

    /// The first state from which no end can be reached any more.
    fn dead_end(&self, known: &Known) -> Option<u32> {
        let count = known.states.len();
        let ended = |index: usize| State::unpack(known.states[index]).has_ended();
        let mut good: Vec<bool> = (0..count).map(|i| self.breaks[i] || ended(i)).collect();
        loop {
            let mut more = false;
            for index in (0..count).rev() {
                if !good[index] && self.from(index).iter().any(|to| good[*to as usize]) {
                    (good[index], more) = (true, true);
                }
            }
            if !more {
                break;
            }
        }
        let dead = good.iter().position(|good| !good)?;
        u32::try_from(dead).ok()
    }
}

/// Visits every state that `setting` can reach. A step that breaks an invariant is not followed.
pub fn search(setting: Setting, until: Until) -> Report {
    let real = Real::new();
    let mut known = Known::new(State::new(setting.faults.budget()).canonical().pack());
    let mut edges = Edges::default();
    let mut found: BTreeMap<Invariant, (u32, Successor)> = BTreeMap::new();
    let mut list = Vec::with_capacity(64);
    let (at_most, only) = match until {
        Until::Everything { at_most } => (at_most, None),
        Until::Breaks(invariant) => (usize::MAX, Some(invariant)),
    };
    let mut next = 0;
    while next < known.states.len() && next < at_most && (only.is_none() || found.is_empty()) {
        let from = u32::try_from(next).expect("fewer states than 2³²");
        edges.begins.push(edges.to.len());
        edges.breaks.push(false);
        steps::all(setting, &real, State::unpack(known.states[next]), &mut list);
        for leads in &list {
            let broken = only.map_or(!leads.broken.is_empty(), |only| leads.broken.has(only));
            if broken {
                for invariant in Invariant::ALL.into_iter().filter(|it| leads.broken.has(*it)) {
                    found.entry(invariant).or_insert((from, *leads));
                }
                edges.breaks[next] |= !leads.label.fault;
                continue;
            }
            let packed = leads.to.pack();
            debug_assert_eq!(State::unpack(packed), leads.to, "nothing is lost in packing");
            let to = known.index_of(packed, from);
            if only.is_none() && !leads.label.fault {
                edges.to.push(to);
            }
        }
        next += 1;
    }
    let whole = next == known.states.len();
    let told = |from, last| tell(setting, &real, &known, from, last);
    let mut broken: BTreeMap<_, _> =
        found.into_iter().map(|(name, (from, last))| (name, told(from, Some(last)))).collect();
    if whole
        && only.is_none()
        && let Some(dead) = edges.dead_end(&known)
    {
        broken.insert(Invariant::NoEnd, told(dead, None));
    }
    let deepest = u32::try_from(known.states.len() - 1).expect("fewer states than 2³²");
    let depth = known.path_to(deepest).len() - 1;
    Report { states: known.states.len(), whole, depth, broken, decisions: real.decisions() }
}

/// A shortest path to a state, as text.
fn tell(
    setting: Setting,
    real: &Real,
    known: &Known,
    to: u32,
    last: Option<Successor>,
) -> Vec<String> {
    let mut found = Vec::new();
    let path = known.path_to(to);
    let steps = path.windows(2).map(|pair| {
        steps::all(setting, real, pair[0], &mut found);
        let step = found.iter().find(|leads| leads.to == pair[1]).expect("a step leads here");
        line(step)
    });
    let mut told: Vec<String> = steps.collect();
    told.extend(last.as_ref().map(line));
    told
}

fn line(step: &Successor) -> String {
    format!("{:<72} | {}", step.label.to_string(), step.to)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = if self.whole { "all of them" } else { "not all" };
        write!(f, "{} states ({whole}), depth {}", self.states, self.depth)?;
        if self.broken.is_empty() {
            f.write_str(", everything holds")?;
        }
        for (name, steps) in &self.broken {
            write!(f, "\n  BROKEN: {name}, after {} steps", steps.len())?;
            for (index, step) in steps.iter().enumerate() {
                write!(f, "\n    {:>2}. {step}", index + 1)?;
            }
        }
        Ok(())
    }
}
