//! Which master key requests derive from: one that every process of a database holds, or none starts.

use std::{fs, thread};

use crate::{
    bench::binary::{CommandOutput, Home, Service, until},
    bench::http,
    bench::{new_postgres_database, postgres_url},
};

/// Two processes start at the same moment on an empty Postgres, each without a key.
#[tokio::test]
async fn of_two_first_starts_at_once_one_makes_the_key() {
    if postgres_url().is_none() {
        return eprintln!("SKIPPED: no Postgres");
    }
    for _ in 0..3 {
        let url = new_postgres_database().await;
        // The schema is there: both come to the keys at the same time.
        let environment = [("WITHDRAWD__STORE__DATABASE_URL", url.as_str())];
        assert!(Home::new().run_with(&["migrate"], &environment).ok().contains("up to date"));
        let homes = [Home::new(), Home::new()];
        let ends = thread::scope(|scope| {
            let starts = homes.each_ref().map(|home| scope.spawn(|| try_serve(home, &environment)));
            starts.map(|start| start.join().unwrap())
        });
        let (winner, loser) = match &ends {
            [Ok(_), Err(_)] => (0, 1),
            [Err(_), Ok(_)] => (1, 0),
            [one, other] => {
                let ended = [one, other].map(|end| end.as_ref().err());
                panic!("one of both must serve: {ended:?}")
            }
        };
        let said = ends[loser].as_ref().err().unwrap();
        for part in ["master key", "keys.file", "keys.master", "another withdrawd"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(!homes[loser].data("master.key").exists(), "no key stays behind");

        // With the winner's key it serves, and shows what the winner made.
        let made = ends[winner].as_ref().unwrap().create("1000");
        fs::copy(homes[winner].data("master.key"), homes[loser].data("master.key")).unwrap();
        let second = homes[loser].serve_with(&[], &environment);
        assert_eq!(second.get(&made["id"])["ott"], made["ott"]);
        let left = fs::read_dir(homes[loser].data("")).unwrap();
        let names = left.map(|file| file.unwrap().file_name().into_string().unwrap());
        assert!(names.into_iter().all(|name| !name.contains("new-")));
    }
}

/// A service, or what it said when it did not start.
fn try_serve(home: &Home, environment: &[(&str, &str)]) -> Result<Service, String> {
    let serve = || home.serve_with(&[], environment);
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(serve))
        .map_err(|panic| panic.downcast_ref::<String>().cloned().unwrap_or_default())
}

fn wrong(home: &Home, environment: &[(&str, &str)]) -> CommandOutput {
    home.refused_with(&[], environment)
}

/// Before any request is made, when none needs the key yet.
#[tokio::test]
async fn a_process_with_other_keys_does_not_start_and_names_both() {
    let [first, second] = ["11".repeat(32), "22".repeat(32)];
    let (both, back) = (format!("{second},{first}"), format!("{first},{second}"));
    let mut urls = vec![String::new()];
    if postgres_url().is_some() {
        urls.push(new_postgres_database().await);
    }
    for url in urls {
        let home = Home::new();
        let with = |keys| {
            [("WITHDRAWD__STORE__DATABASE_URL", url.as_str()), ("WITHDRAWD__KEYS__MASTER", keys)]
        };
        drop(home.serve_with(&[], &with(&first)));
        let said = wrong(&home, &with(&second));
        for part in ["keys.master", "keys.file", "another withdrawd"] {
            assert!(said.error_line().contains(part), "{said:?}");
        }
        assert!(!said.err.contains(&first) && !said.err.contains(&second), "no key is shown");
        assert!(wrong(&home, &with("")).error_line().contains("master.key"));

        // A rotation: whoever holds both may change which one derives, forth and back.
        drop(home.serve_with(&[], &with(&both)));
        assert!(wrong(&home, &with(&first)).error_line().contains("another withdrawd"));
        drop(home.serve_with(&[], &with(&back)));
        drop(home.serve_with(&[], &with(&first)));
        assert!(wrong(&home, &with(&second)).error_line().contains("another withdrawd"));
    }
}

/// A rotation passes a running process by: it could not show what the others make.
#[tokio::test]
async fn a_process_that_a_rotation_has_passed_by_is_not_ready() {
    if postgres_url().is_none() {
        return eprintln!("SKIPPED: no Postgres");
    }
    let url = new_postgres_database().await;
    let [first, second] = ["11".repeat(32), "22".repeat(32)];
    let with = |keys| {
        [("WITHDRAWD__STORE__DATABASE_URL", url.as_str()), ("WITHDRAWD__KEYS__MASTER", keys)]
    };
    let (old, new) = (Home::new(), Home::new());
    let old = old.serve_with(&[], &with(&first));
    let both = format!("{second},{first}");
    let new = new.serve_with(&[], &with(&both));
    let admin = old.admin;
    let said = tokio::task::spawn_blocking(move || {
        until("it is not ready", || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let said = runtime.unwrap().block_on(http::get(admin, "/readyz"));
            (said.status == 503).then_some(said.body)
        })
    });
    assert!(said.await.unwrap().contains("master key"));
    assert_eq!(http::get(new.admin, "/readyz").await.status, 200);
}
