use super::*;

const SERVER: i64 = 7;

fn told(kind: &'static str) -> CommitLabel {
    CommitLabel::of_instance(kind)
}

/// A database that takes every move.
#[derive(Default)]
struct Database(Found);

impl Database {
    fn write(&mut self, mark: &mut Move) {
        assert!(mark.required() == 0 || at(&self.0, mark.commit.lane) >= mark.required());
        self.0.insert(mark.lane(), mark.value());
        mark.asked();
    }

    fn commit(&mut self, marks: &Arc<Marks>, kind: &'static str) {
        let mut mark = marks.next(told(kind));
        self.write(&mut mark);
        mark.acknowledged();
    }

    fn has_all(&self, marks: &Marks) -> bool {
        marks.check(SERVER, &marks.acknowledged(), &self.0)
    }
}

#[test]
fn transactions_at_once_have_lanes_of_their_own_and_later_ones_take_them_again() {
    let marks = Marks::of_a_new_writer();
    let (one, two) = (marks.next(told("a")), marks.next(told("b")));
    assert_ne!(one.lane(), two.lane());
    let given_back = two.lane();
    drop(two);
    let three = marks.next(told("c"));
    assert_eq!((three.lane(), three.value()), (given_back, 2));
    drop((one, three));
    assert!(marks.acknowledged().is_nothing(), "none was told");
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
    // The right one is put in its place.
    assert!(database.has_all(&marks) && !marks.is_suspect());
}

#[test]
fn a_lost_answer_is_no_loss_whether_it_was_written_or_not() {
    let marks = Marks::of_a_new_writer();
    let mut database = Database::default();
    database.commit(&marks, "created");
    let before = database.0.clone();
    let mut mark = marks.next(told("deactivated"));
    database.write(&mut mark);
    drop(mark);
    assert!(marks.has_lost_answers());
    for found in [before, database.0.clone()] {
        assert!(Database(found).has_all(&marks));
    }
    assert!(!marks.has_lost_answers());
}

/// One whose COMMIT never came is not asked about for ever: a later move of its lane ends it.
#[test]
fn a_move_in_doubt_ends_with_a_later_one_of_its_lane() {
    let marks = Marks::of_a_new_writer();
    let mut database = Database::default();
    database.commit(&marks, "created");
    let before = database.0.clone();
    let mut mark = marks.next(told("deactivated"));
    let lane = mark.lane();
    database.write(&mut mark);
    drop(mark);
    // It was never written.
    database.0 = before;
    assert!(database.has_all(&marks) && marks.has_lost_answers());
    assert_eq!(marks.doubtful_lanes(), BTreeSet::from([lane]));
    let mut later = marks.next_on_doubtful(lane).unwrap();
    assert!(marks.next_on_doubtful(lane).is_none(), "it is taken");
    database.write(&mut later);
    later.acknowledged();
    assert!(!marks.has_lost_answers() && database.has_all(&marks));
}

/// Somebody has read what it wrote.
#[test]
fn a_lost_answer_that_was_read_back_counts_as_told() {
    let marks = Marks::of_a_new_writer();
    let mut database = Database::default();
    database.commit(&marks, "created");
    let before = database.0.clone();
    let mut mark = marks.next(told("deactivated"));
    database.write(&mut mark);
    drop(mark);
    marks.settle(&marks.acknowledged(), &database.0);
    assert!(!Database(before.clone()).has_all(&marks));
    assert_eq!(marks.lost(&before).kinds.keys().copied().collect::<Vec<_>>(), ["deactivated"]);
}

#[test]
fn what_is_lost_and_fenced_is_no_loss_again_and_what_is_told_later_is() {
    let marks = Marks::of_a_new_writer();
    let mut database = Database::default();
    database.commit(&marks, "created");
    let standby = database.0.clone();
    database.commit(&marks, "deactivated");

    let mut database = Database(standby);
    assert!(!database.has_all(&marks));
    let told_before = marks.acknowledged();
    let found = database.0.clone();
    // The fence: on a lane that was told nothing.
    let mut fence = marks.next_on_a_new_lane(told("FENCE"));
    assert_eq!(fence.required(), 0);
    database.write(&mut fence);
    fence.acknowledged();
    marks.begin_anew(&told_before, &found);
    assert!(!marks.is_suspect() && database.has_all(&marks));
    // It is lost with the fence.
    assert!(!Database(found.clone()).has_all(&marks));
    assert_eq!(marks.lost(&found).kinds.keys().copied().collect::<Vec<_>>(), ["FENCE"]);
}

/// A connection finds a mark missing while the guard, which has read them before, finds all.
#[test]
fn a_look_from_before_ends_no_doubt() {
    let marks = Marks::of_a_new_writer();
    let mut database = Database::default();
    database.commit(&marks, "created");
    let read_before = marks.acknowledged();
    marks.suspect_if_older(&marks.acknowledged(), &Found::new());
    assert!(marks.check(SERVER, &read_before, &database.0));
    assert!(marks.is_suspect());
    assert!(database.has_all(&marks) && !marks.is_suspect());
}
