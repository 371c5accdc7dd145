use super::*;
use crate::apki::trust_score::Score;
use crate::ca::event::Event;
use crate::ca::record::Reissue;
use crate::ca::testing::NOW;

fn uri(n: u8) -> AgentUri {
    AgentUri::parse(&format!("agent://bank.example.com/payments/bot/{n}")).unwrap()
}

fn agent(n: u8, parent: Option<u8>) -> Agent {
    Agent {
        uri: uri(n),
        first_issued_at: NOW,
        enrolment: RequestId::new([n; 16]),
        certificates: 1,
        current: Serial::from_random([n; 20]),
        current_not_after: NOW,
        peak_score: Score::MAX,
        parent: parent.map(uri),
        children: 0,
        live: Vec::new(),
        revoked: None,
        last_revoked_at: None,
        reissue: None,
    }
}

fn children(of: &State) -> Option<Vec<AgentUri>> {
    of.children(&uri(0)).map(|children| children.agents.iter().cloned().collect())
}

/// As a store has them: 1 and 2 below 0.
fn stored() -> Option<Entity> {
    Some(Entity::Children(Children { parent: uri(0), agents: [uri(1), uri(2)].into() }))
}

#[test]
fn children_are_those_of_the_store_and_those_that_moved_since() {
    let moves = [agent(1, None), agent(3, Some(0)), agent(2, Some(0)), agent(4, Some(1))];
    for loaded_after in 0..=moves.len() {
        let mut state = State::default();
        for n in [1, 2] {
            state.insert(Key::Agent(uri(n)), Some(Entity::Agent(agent(n, Some(0)))));
        }
        assert_eq!(children(&state), None);
        for (n, moved) in moves.iter().enumerate() {
            if n == loaded_after {
                state.insert(Key::Children(uri(0)), stored());
            }
            state.put(Entity::Agent(moved.clone()));
        }
        if loaded_after == moves.len() {
            state.insert(Key::Children(uri(0)), stored());
        }
        assert_eq!(children(&state), Some(vec![uri(2), uri(3)]), "{loaded_after}");
        // They follow from the agents, and no store is told to keep them.
        assert!(state.changed().iter().all(|entity| matches!(entity, Entity::Agent(_))));
        state.put(Entity::Agent(agent(1, Some(0))));
        assert_eq!(children(&state), Some(vec![uri(1), uri(2), uri(3)]));
    }
}

#[test]
fn none_in_the_store_is_none_known() {
    let mut state = State::default();
    state.insert(Key::Children(uri(0)), None);
    assert_eq!((children(&state), state.knows(&Key::Children(uri(0)))), (Some(Vec::new()), true));
}

#[test]
fn what_happens_to_nobody_changes_nothing() {
    let mut state = State::default();
    state.apply(NOW, &Event::ReissueWanted { agent: uri(1), score: Score::MAX, why: String::new() });
    state.apply(NOW, &Event::CertificatePublished { serial: Serial::from_random([1; 20]), logs: Vec::new() });
    assert!(state.changed().is_empty());
    state.insert(Key::Agent(uri(1)), Some(Entity::Agent(agent(1, None))));
    state.apply(NOW, &Event::ReissueWanted { agent: uri(1), score: Score::MAX, why: String::new() });
    assert_eq!(state.agent(&uri(1)).unwrap().reissue, Some(Reissue { at: NOW, score: Score::MAX }));
}
