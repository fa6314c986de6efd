use super::*;

const SERVER: i64 = 7;

fn label(kind: &'static str) -> CommitLabel {
    CommitLabel::of_instance(kind)
}

/// A database that accepts every move.
#[derive(Default)]
struct Database(Found);

impl Database {
    fn write(&mut self, mark: &mut Move) {
        assert!(mark.required() == 0 || mark_of(&self.0, mark.commit.lane) >= mark.required());
        self.0.insert(mark.lane(), mark.value());
        mark.commit_sent();
    }

    fn commit(&mut self, marks: &Arc<Marks>, kind: &'static str) {
        let mut mark = marks.next(label(kind));
        self.write(&mut mark);
        mark.acknowledged();
    }

    fn has_all(&self, marks: &Marks) -> bool {
        marks.check(SERVER, &marks.acknowledged(), &self.0)
    }
}

#[test]
fn concurrent_transactions_have_lanes_of_their_own_and_later_ones_reuse_them() {
    let marks = Marks::of_a_new_writer();
    let (one, two) = (marks.next(label("a")), marks.next(label("b")));
    assert_ne!(one.lane(), two.lane());
    let given_back = two.lane();
    drop(two);
    let three = marks.next(label("c"));
    assert_eq!((three.lane(), three.value()), (given_back, 2));
    drop((one, three));
    assert!(marks.acknowledged().is_nothing(), "none was acknowledged");
}

#[test]
fn an_older_mark_and_a_missing_one_are_losses() {
    let marks = Marks::of_a_new_writer();
    let mut database = Database::default();
    database.commit(&marks, "created");
    let standby = database.0.clone();
    database.commit(&marks, "deactivated");
    assert!(database.has_all(&marks));
    assert!(marks.has_checked(SERVER) && !marks.has_checked(SERVER + 1));

    for lacks in [standby.clone(), Found::new()] {
        assert!(!Database(lacks).has_all(&marks));
        assert!(marks.is_suspect() && !marks.has_checked(SERVER));
    }
    let lost = marks.lost(&standby);
    assert_eq!(lost.kinds.into_iter().collect::<Vec<_>>(), [("deactivated", 1)]);
    // The right database is back.
    assert!(database.has_all(&marks) && !marks.is_suspect());
}

#[test]
fn an_unanswered_commit_is_no_loss_written_or_not() {
    let marks = Marks::of_a_new_writer();
    let mut database = Database::default();
    database.commit(&marks, "created");
    let before = database.0.clone();
    let mut mark = marks.next(label("deactivated"));
    database.write(&mut mark);
    drop(mark);
    assert!(marks.has_lost_answers());
    for found in [before, database.0.clone()] {
        assert!(Database(found).has_all(&marks));
    }
    assert!(!marks.has_lost_answers());
}

/// A move whose COMMIT never arrived is not checked forever: a later move on its lane settles it.
#[test]
fn a_later_move_on_its_lane_settles_a_move_in_doubt() {
    let marks = Marks::of_a_new_writer();
    let mut database = Database::default();
    database.commit(&marks, "created");
    let before = database.0.clone();
    let mut mark = marks.next(label("deactivated"));
    let lane = mark.lane();
    database.write(&mut mark);
    drop(mark);
    // It was never written.
    database.0 = before;
    assert!(database.has_all(&marks) && marks.has_lost_answers());
    assert_eq!(marks.doubtful_lanes(), BTreeSet::from([lane]));
    let mut later = marks.next_on_doubtful(lane).unwrap();
    assert!(marks.next_on_doubtful(lane).is_none(), "the lane is in use");
    database.write(&mut later);
    later.acknowledged();
    assert!(!marks.has_lost_answers() && database.has_all(&marks));
}

/// A reader may rely on what the unanswered commit wrote.
#[test]
fn an_unanswered_commit_that_was_read_back_counts_as_acknowledged() {
    let marks = Marks::of_a_new_writer();
    let mut database = Database::default();
    database.commit(&marks, "created");
    let before = database.0.clone();
    let mut mark = marks.next(label("deactivated"));
    database.write(&mut mark);
    drop(mark);
    marks.settle(&marks.acknowledged(), &database.0);
    assert!(!Database(before.clone()).has_all(&marks));
    assert_eq!(marks.lost(&before).kinds.keys().copied().collect::<Vec<_>>(), ["deactivated"]);
}

#[test]
fn a_fenced_loss_is_not_found_again_but_a_later_one_is() {
    let marks = Marks::of_a_new_writer();
    let mut database = Database::default();
    database.commit(&marks, "created");
    let standby = database.0.clone();
    database.commit(&marks, "deactivated");

    let mut database = Database(standby);
    assert!(!database.has_all(&marks));
    let acknowledged_before = marks.acknowledged();
    let found = database.0.clone();
    // The fence, on a lane without acknowledged commits.
    let mut fence = marks.next_on_a_new_lane(label("FENCE"));
    assert_eq!(fence.required(), 0);
    database.write(&mut fence);
    fence.acknowledged();
    marks.accept_as_baseline(&acknowledged_before, &found);
    assert!(!marks.is_suspect() && database.has_all(&marks));
    // A new loss: of the fence itself.
    assert!(!Database(found.clone()).has_all(&marks));
    assert_eq!(marks.lost(&found).kinds.keys().copied().collect::<Vec<_>>(), ["FENCE"]);
}

/// A new connection finds a mark missing, while the verifier, whose values are older, finds all.
#[test]
fn an_earlier_read_does_not_clear_a_suspicion() {
    let marks = Marks::of_a_new_writer();
    let mut database = Database::default();
    database.commit(&marks, "created");
    let read_before = marks.acknowledged();
    marks.suspect_if_behind(&marks.acknowledged(), &Found::new());
    assert!(marks.check(SERVER, &read_before, &database.0));
    assert!(marks.is_suspect());
    assert!(database.has_all(&marks) && !marks.is_suspect());
}
