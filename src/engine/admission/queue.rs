//! Who is next: fair between namespaces, and what people changed before what is looked at again. Pure.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::api::address::Address;

/// Of so many grants one goes to resyncs, so that edits never starve them.
const TURNS: u32 = 4;

/// So many who left may be listed beside as many as wait.
const SPARE: usize = 32;

/// Why a reconcile wants its grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// A person changed something and waits for it.
    Edit,
    /// It is time to look again.
    Resync,
}

/// The reconciles that wait for one budget.
///
/// Guarantees: each waits once; namespaces take grants, and within one it is first come, first served.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: BTreeMap<Address, Urgency>,
    edits: Lanes,
    resyncs: Lanes,
    turns: u32,
}

/// One lane a namespace.
#[derive(Debug, Default)]
struct Lanes {
    turns: VecDeque<String>,
    lanes: BTreeMap<String, VecDeque<Address>>,
    /// What is in any lane: each once, also where it left and came back.
    listed: BTreeSet<Address>,
}

impl Queue {
    /// Waits; who waits already may become more urgent.
    pub fn push(&mut self, address: &Address, urgency: Urgency) {
        if self.waiting.get(address).is_some_and(|known| *known <= urgency) {
            return;
        }
        self.waiting.insert(address.clone(), urgency);
        self.lanes(urgency).push(address.clone());
    }

    /// Takes who is next.
    pub fn pop(&mut self) -> Option<Address> {
        self.turns = (self.turns + 1) % TURNS;
        let order = match self.turns {
            0 => [Urgency::Resync, Urgency::Edit],
            _ => [Urgency::Edit, Urgency::Resync],
        };
        order.into_iter().find_map(|urgency| self.pop_of(urgency))
    }

    /// Waits no more.
    pub fn remove(&mut self, address: &Address) {
        if self.waiting.remove(address).is_some() {
            let waiting = &self.waiting;
            [&mut self.edits, &mut self.resyncs].into_iter().for_each(|lanes| lanes.forget_others(waiting));
        }
    }

    /// Does nobody wait?
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// All who wait.
    pub fn waiting(&self) -> impl Iterator<Item = &Address> {
        self.waiting.keys()
    }

    fn pop_of(&mut self, urgency: Urgency) -> Option<Address> {
        while let Some(address) = self.lanes(urgency).pop() {
            // Who left, or waits in another lane by now, is still listed here.
            if self.waiting.get(&address) == Some(&urgency) {
                self.waiting.remove(&address);
                return Some(address);
            }
        }
        None
    }

    fn lanes(&mut self, urgency: Urgency) -> &mut Lanes {
        match urgency {
            Urgency::Edit => &mut self.edits,
            Urgency::Resync => &mut self.resyncs,
        }
    }
}

impl Lanes {
    fn push(&mut self, address: Address) {
        if !self.listed.insert(address.clone()) {
            return;
        }
        let namespace = address.namespace.clone();
        let lane = self.lanes.entry(namespace.clone()).or_default();
        if lane.is_empty() {
            self.turns.push_back(namespace);
        }
        lane.push_back(address);
    }

    /// Forgets who left, once these are more than those who wait.
    fn forget_others(&mut self, waiting: &BTreeMap<Address, Urgency>) {
        if self.listed.len() <= 2 * waiting.len() + SPARE {
            return;
        }
        self.listed.retain(|address| waiting.contains_key(address));
        self.lanes.retain(|_, lane| {
            lane.retain(|address| waiting.contains_key(address));
            !lane.is_empty()
        });
        self.turns.retain(|namespace| self.lanes.contains_key(namespace));
    }

    fn pop(&mut self) -> Option<Address> {
        let namespace = self.turns.pop_front()?;
        let lane = self.lanes.get_mut(&namespace)?;
        let address = lane.pop_front()?;
        self.listed.remove(&address);
        match lane.is_empty() {
            true => drop(self.lanes.remove(&namespace)),
            false => self.turns.push_back(namespace),
        }
        Some(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(namespace: &str, name: u32) -> Address {
        Address { kind: "Project", namespace: namespace.into(), name: name.to_string() }
    }

    fn order(queue: &mut Queue) -> Vec<String> {
        std::iter::from_fn(|| queue.pop()).map(|a| format!("{}{}", a.namespace, a.name)).collect()
    }

    #[test]
    fn one_resource_of_a_tenant_waits_for_no_five_thousand_of_another() {
        let mut queue = Queue::default();
        (0..5000).for_each(|n| queue.push(&address("a", n), Urgency::Resync));
        queue.push(&address("b", 0), Urgency::Resync);
        assert_eq!(order(&mut queue)[..3], ["a0", "b0", "a1"]);
    }

    #[test]
    fn edits_go_first_and_resyncs_get_a_turn_of_four() {
        let mut queue = Queue::default();
        (0..6).for_each(|n| queue.push(&address("a", n), Urgency::Edit));
        (6..8).for_each(|n| queue.push(&address("b", n), Urgency::Resync));
        assert_eq!(order(&mut queue), ["a0", "a1", "a2", "b6", "a3", "a4", "a5", "b7"]);
    }

    #[test]
    fn each_waits_once_and_may_become_more_urgent_or_leave() {
        let mut queue = Queue::default();
        (0..3).for_each(|n| queue.push(&address("a", n), Urgency::Resync));
        queue.push(&address("a", 0), Urgency::Resync);
        queue.push(&address("a", 2), Urgency::Edit);
        queue.push(&address("a", 2), Urgency::Resync);
        queue.remove(&address("a", 1));
        assert_eq!(order(&mut queue), ["a2", "a0"]);
        assert!(queue.is_empty());
    }

    #[test]
    fn who_left_and_came_back_is_served_once_in_its_old_place() {
        let mut queue = Queue::default();
        (0..3).for_each(|n| queue.push(&address("a", n), Urgency::Edit));
        for urgency in [Urgency::Edit, Urgency::Resync].repeat(1000) {
            queue.remove(&address("a", 0));
            queue.push(&address("a", 0), urgency);
        }
        let listed = |lanes: &Lanes| lanes.lanes.values().map(VecDeque::len).sum::<usize>();
        assert!(listed(&queue.edits) + listed(&queue.resyncs) <= 4);
        queue.push(&address("a", 0), Urgency::Edit);
        assert_eq!(order(&mut queue), ["a0", "a1", "a2"]);
    }

    #[test]
    fn who_left_is_forgotten_also_while_nobody_is_served() {
        let mut queue = Queue::default();
        queue.push(&address("a", 0), Urgency::Edit);
        for n in 1..1000 {
            queue.push(&address("a", n), Urgency::Edit);
            queue.push(&address("b", n), Urgency::Resync);
            ["a", "b"].iter().for_each(|namespace| queue.remove(&address(namespace, n)));
        }
        assert!(queue.edits.listed.len() + queue.resyncs.listed.len() <= 3 * SPARE);
        assert!(queue.resyncs.turns.len() <= 1 && queue.resyncs.lanes.len() <= 1);
        assert_eq!(order(&mut queue), ["a0"]);
    }
}
