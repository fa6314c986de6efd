//! README.md, run: every command in its `sh` and `console` blocks, in order, by bash, in an empty
//! directory. `<!-- test: STORY -->` above a block says which story it belongs to; a block without
//! a story, and a story without a test, fail. What is put in for what is written:
//!
//! * `cargo run --release` is the binary under test, which `withdrawd` in `PATH` is too;
//! * default ports are free ones, by the environment; `127.0.0.1:50051` is where gRPC listens then;
//! * `LNURL1...` and `wr_...` are those that the last create printed;
//! * the database, lnd's address and certificate, and `lnbcrt...` are those of the tests' own.
//!
//! A comment `# refused:` announces a command that must fail.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::Command,
    time::Instant,
};

use serde_json::{Value, json};

use crate::{
    bench::new_postgres_database,
    binary::{BINARY, Home, Said, Service, clean, free_ports, given, until},
    lab::Lab,
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

const STORIES: [&str; 6] = ["walk", "tests", "grpcurl", "configuration", "postgres", "lnd"];

#[derive(Debug)]
struct Written {
    story: String,
    command: String,
    refused: bool,
}

/// Every command of the README, with its story.
fn commands() -> Vec<Written> {
    let text = fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    let mut commands = Vec::new();
    let (mut marker, mut inside, mut refused) = (None, None, false);
    for line in text.lines() {
        match (line.strip_prefix("```"), &inside) {
            (Some("sh" | "console"), None) => {
                let story: &str = marker.take().expect("a block of commands without a story");
                inside = Some(story.to_owned());
            }
            (Some(language), None) => {
                assert!(!language.is_empty(), "a block that says not what it is");
                inside = Some(String::new());
            }
            (Some(_), Some(_)) => inside = None,
            (None, Some(story)) if !story.is_empty() => {
                let command = line.strip_prefix("$ ").unwrap_or(line);
                if command.starts_with('#') || command.is_empty() {
                    refused = command == "# refused:";
                    continue;
                }
                assert!(!command.ends_with('\\'), "one line each: {command}");
                commands.push(Written {
                    story: story.clone(),
                    command: command.to_owned(),
                    refused,
                });
                refused = false;
            }
            (None, _) => {
                let story = line.strip_prefix("<!-- test: ");
                marker = story.and_then(|story| story.strip_suffix(" -->"));
            }
        }
    }
    commands
}

/// A story being told.
struct Telling {
    home: Home,
    prelude: String,
    replacements: Vec<(String, String)>,
    lnurl: String,
    id: String,
    service: Option<Service>,
    told: Vec<(String, Said)>,
}

impl Telling {
    fn new() -> Self {
        let home = Home::new();
        fs::create_dir(home.path().join("bin")).unwrap();
        let telling = Self {
            home,
            prelude: String::new(),
            replacements: Vec::new(),
            lnurl: String::new(),
            id: String::new(),
            service: None,
            told: Vec::new(),
        };
        let cargo = format!("[ \"$*\" = 'run --release' ] || exit 64\nexec {BINARY}");
        telling.tool("cargo", &cargo);
        symlink(BINARY, telling.home.path().join("bin/withdrawd")).unwrap();
        telling
    }

    fn tool(&self, name: &str, script: &str) {
        let path = self.home.path().join("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn replace(&mut self, written: &str, meant: impl Into<String>) {
        self.replacements.push((written.to_owned(), meant.into()));
    }

    /// Tells the whole story.
    fn tell(&mut self, story: &str) {
        let began = Instant::now();
        for written in commands() {
            if written.story == story {
                self.run(&written);
            }
        }
        assert!(!self.told.is_empty() || self.service.is_some());
        eprintln!("README, {story}: {} ms", began.elapsed().as_millis());
    }

    fn run(&mut self, written: &Written) {
        let mut command = written.command.clone();
        for (from, to) in &self.replacements {
            command = command.replace(from, to);
        }
        command = command.replace("LNURL1...", &self.lnurl).replace("wr_...", &self.id);
        if command.starts_with("export ") {
            self.prelude += &(command + "\n");
        } else if command.starts_with("cargo run") || command.contains("withdrawd serve") {
            self.serve(&command);
        } else {
            let said = self.say(&command);
            let failed = said.code != Some(0);
            assert_eq!(failed, written.refused, "{command}: {said:?}");
            if command.contains("create") || command.contains("/CreateWithdraw") {
                self.remember(&said.out);
            }
            self.told.push((command, said));
        }
    }

    fn bash(&self, script: &str) -> Command {
        let mut command = clean("bash");
        let path = std::env::var("PATH").unwrap();
        let bin = self.home.path().join("bin");
        command
            .args(["-euc", &format!("{}{script}", self.prelude)])
            .current_dir(self.home.path())
            .env("PATH", format!("{}:{path}", bin.display()));
        free_ports(&mut command);
        if let Some(service) = &self.service {
            command.env("WITHDRAWD_SERVER", service.server());
        }
        command
    }

    fn say(&self, command: &str) -> Said {
        Said::of(self.bash(command).output().unwrap())
    }

    /// What serves, serves in another terminal.
    fn serve(&mut self, command: &str) {
        assert!(self.service.is_none(), "one at a time");
        let mut words = command.split(' ').skip_while(|word| *word != "--data-dir");
        let data = words.nth(1).unwrap_or("withdrawd-data");
        let listen_json = self.home.path().join(data).join("listen.json");
        // `exec`, so that signals reach it and not bash.
        let bash = self.bash(&format!("exec env {command}"));
        let service = self.home.start(bash, &listen_json);
        self.replace("127.0.0.1:50051", service.grpc.to_string());
        self.service = Some(service);
    }

    fn remember(&mut self, out: &str) {
        let words = out.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for word in words {
            if word.starts_with("LNURL1") {
                word.clone_into(&mut self.lnurl);
            } else if word.starts_with("wr_") {
                word.clone_into(&mut self.id);
            }
        }
    }

    /// What the first command that begins so said.
    fn told(&self, beginning: &str) -> &str {
        let mut told = self.told.iter();
        let said = told.find(|(command, _)| command.starts_with(beginning));
        &said.expect(beginning).1.out
    }

    /// Asks the same again until the answer has this in it.
    fn until(&self, beginning: &str, part: &str) {
        let mut told = self.told.iter();
        let (command, _) =
            told.find(|(command, _)| command.starts_with(beginning)).expect(beginning);
        until(part, || self.say(command).out.contains(part).then_some(()));
    }

    /// Ctrl-C in the other terminal.
    fn end(mut self) {
        let mut service = self.service.take().unwrap();
        assert_eq!(service.interrupt().code(), Some(0), "{}", service.log());
    }
}

#[test]
fn every_command_belongs_to_a_story_with_a_test() {
    let written: BTreeSet<String> = commands().into_iter().map(|c| c.story).collect();
    assert_eq!(written, STORIES.map(str::to_owned).into());
}

#[test]
fn links_lead_somewhere() {
    let text = fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    let targets: Vec<_> =
        text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(targets.len() >= 2);
    for target in targets {
        assert!(Path::new(ROOT).join(target).exists(), "{target}");
    }
}

#[test]
fn the_walk_leads_from_nothing_to_a_claimed_withdrawal() {
    let mut walk = Telling::new();
    walk.tell("walk");
    assert!(walk.service.as_ref().unwrap().stdout().contains("SIMULATED"));
    assert!(walk.told("withdrawd create --max-amount").contains('█'));
    assert!(walk.told("withdrawd decode").starts_with("http://127.0.0.1:"));
    assert!(walk.told("withdrawd claim").starts_with("accepted"));
    walk.until("withdrawd get", "PAID");
    walk.until("withdrawd get", "preimage");
    let ranged: Value = serde_json::from_str(walk.told("withdrawd create --min-amount")).unwrap();
    assert_eq!(ranged["ttl_s"], 3600);
    assert!(walk.told("withdrawd list").contains(ranged["id"].as_str().unwrap()));
    assert!(walk.told("withdrawd deactivate").contains("DEACTIVATED"));
    walk.end();
}

/// Not from within itself; but it is there, and finds that what it needs is installed.
#[test]
fn the_test_command_is_there() {
    let tests: Vec<_> = commands().into_iter().filter(|c| c.story == "tests").collect();
    let [command] = &tests[..] else { panic!("{tests:?}") };
    assert_eq!(command.command, "tests/run");
    let script = Path::new(ROOT).join("tests/run");
    assert_ne!(fs::metadata(&script).unwrap().permissions().mode() & 0o111, 0);
    if given("WITHDRAWD_TEST_POSTGRES_URL").is_some() {
        let packages = clean(script).arg("--packages").output().unwrap();
        Said::of(packages).ok();
    }
}

#[test]
fn the_same_with_grpcurl() {
    let Some(grpcurl) = given("WITHDRAWD_TEST_GRPCURL") else {
        return;
    };
    let mut story = Telling::new();
    symlink(grpcurl, story.home.path().join("bin/grpcurl")).unwrap();
    story.serve("withdrawd serve");
    story.tell("grpcurl");
    let said = |n: usize| -> Value { serde_json::from_str(&story.told[n].1.out).unwrap() };
    assert!(story.told[0].1.out.contains("string request_id = 1;"));
    assert_eq!(said(1)["passThru"], json!({ "order": 18 }));
    assert_eq!(said(2), said(1));
    assert_eq!(said(3)["withdraws"], json!([said(1)]));
    assert_eq!(said(4)["status"], "SERVING");
    let refused = &story.told[5].1;
    for part in ["InvalidArgument", "INVALID_FIELDS", "\"max_amount\"", "\"ttl\""] {
        assert!(refused.err.contains(part), "{part}: {refused:?}");
    }
    story.end();
}

#[test]
fn configuration_comes_from_the_environment_and_from_flags() {
    let mut story = Telling::new();
    story.tell("configuration");
    let service = story.service.as_ref().unwrap();
    assert_eq!(service.public_url, "https://pay.example.com");
    assert!(story.home.path().join("other-data/withdrawd.sqlite").exists());
    story.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_runs_on_postgres() {
    if given("WITHDRAWD_TEST_POSTGRES_URL").is_none() {
        return;
    }
    let mut story = Telling::new();
    let url = format!("'{}'", new_postgres_database().await);
    story.replace("postgres://withdrawd@localhost/withdrawd", url);
    story.tell("postgres");
    assert_eq!(story.told("WITHDRAWD__STORE__DATABASE_URL="), "the schema is up to date\n");
    let service = story.service.as_ref().unwrap();
    let made = service.create("1000");
    service.json(&["claim", made["withdraw_request"].as_str().unwrap()]);
    service.paid(&made["id"]);
    assert!(!story.home.data("withdrawd.sqlite").exists());
    story.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_pays_with_lnd() {
    let Some(lab) = Lab::open() else { return };
    let _up = lab.together().await;
    let mut story = Telling::new();
    let lncli = lab.command("payer", "lncli").join(" ");
    story.tool("lncli", &format!("exec {lncli} \"$@\""));
    story.replace("https://127.0.0.1:10009", format!("https://{}", lab.fact("payer", "rpc")));
    story.replace("~/.lnd/tls.cert", lab.fact("payer", "tls_cert"));
    let invoice = lab.invoice("payee", 1000);
    story.replace("lnbcrt...", &invoice.text);

    story.tell("lnd");
    assert!(story.service.as_ref().unwrap().stdout().contains("paid by lnd"));
    assert!(story.told("withdrawd claim").starts_with("accepted"));
    story.until("withdrawd get", "  PAID");
    lab.assert_paid_once(&invoice, 1000).await;
    story.end();
}
