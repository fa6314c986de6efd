//! Documents, run: every command in their `sh` and `console` blocks, in order, by bash, in an empty
//! directory. `<!-- test: SCENARIO -->` above a block says which scenario it belongs to; a block without
//! a scenario, and a scenario without a test, fail. What is put in for what is written:
//!
//! * `cargo run --release` is the binary under test, which `withdrawd` in `PATH` is too;
//! * default ports are free ones, by the environment; `127.0.0.1:50051` is where gRPC listens then;
//! * `LNURL1...` and `wr_...` are those that the last create printed;
//! * and what a scenario itself replaces.
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

use crate::bench::binary::{
    BINARY, CommandOutput, Home, Service, clean_command, free_ports, until,
};

pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[derive(Debug)]
pub struct DocumentedCommand {
    pub scenario: String,
    pub command: String,
    refused: bool,
}

/// Every command of a document, with its scenario.
pub fn commands(document: &str) -> Vec<DocumentedCommand> {
    let text = fs::read_to_string(Path::new(ROOT).join(document)).unwrap();
    let mut commands = Vec::new();
    let (mut marker, mut inside, mut refused) = (None, None, false);
    for line in text.lines() {
        match (line.strip_prefix("```"), &inside) {
            (Some("sh" | "console"), None) => {
                let scenario: &str = marker.take().expect("a block of commands without a scenario");
                inside = Some(scenario.to_owned());
            }
            (Some(language), None) => {
                assert!(!language.is_empty(), "a block that says not what it is");
                inside = Some(String::new());
            }
            (Some(_), Some(_)) => inside = None,
            (None, Some(scenario)) if !scenario.is_empty() => {
                let command = line.strip_prefix("$ ").unwrap_or(line);
                if command.starts_with('#') || command.is_empty() {
                    refused = command == "# refused:";
                    continue;
                }
                assert!(!command.ends_with('\\'), "one line each: {command}");
                commands.push(DocumentedCommand {
                    scenario: scenario.clone(),
                    command: command.to_owned(),
                    refused,
                });
                refused = false;
            }
            (None, _) => {
                let scenario = line.strip_prefix("<!-- test: ");
                marker = scenario.and_then(|scenario| scenario.strip_suffix(" -->"));
            }
        }
    }
    commands
}

/// The scenarios of a document.
pub fn scenarios(document: &str) -> BTreeSet<String> {
    commands(document).into_iter().map(|written| written.scenario).collect()
}

/// Fails where a link of a document leads nowhere.
pub fn check_links(document: &str) {
    let document = Path::new(ROOT).join(document);
    let text = fs::read_to_string(&document).unwrap();
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let targets: Vec<_> = targets.collect();
    assert!(targets.len() >= 2);
    for target in targets {
        let found = match target.split_once('#') {
            Some(("", anchor)) => has_heading(&text, anchor),
            Some((file, anchor)) => {
                has_heading(&fs::read_to_string(document.with_file_name(file)).unwrap(), anchor)
            }
            None => document.with_file_name(target).exists(),
        };
        assert!(found, "{target}");
    }
}

/// A heading, as GitHub names it.
fn has_heading(text: &str, anchor: &str) -> bool {
    text.lines().any(|line| {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        line.starts_with('#') && heading.replace(' ', "-") == anchor
    })
}

/// A run of a document.
pub struct DocumentRun {
    document: &'static str,
    pub home: Home,
    prelude: String,
    replacements: Vec<(String, String)>,
    lnurl: String,
    pub id: String,
    pub service: Option<Service>,
    pub outputs: Vec<(String, CommandOutput)>,
}

impl DocumentRun {
    pub fn of(document: &'static str) -> Self {
        let home = Home::new();
        fs::create_dir(home.path().join("bin")).unwrap();
        let guide = Self {
            document,
            home,
            prelude: String::new(),
            replacements: Vec::new(),
            lnurl: String::new(),
            id: String::new(),
            service: None,
            outputs: Vec::new(),
        };
        let cargo = format!("[ \"$*\" = 'run --release' ] || exit 64\nexec {BINARY}");
        guide.tool("cargo", &cargo);
        symlink(BINARY, guide.home.path().join("bin/withdrawd")).unwrap();
        guide
    }

    pub fn tool(&self, name: &str, script: &str) {
        let path = self.home.path().join("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub fn replace(&mut self, written: &str, meant: impl Into<String>) {
        self.replacements.push((written.to_owned(), meant.into()));
    }

    /// Runs the whole scenario.
    pub fn run_scenario(&mut self, scenario: &str) {
        let began = Instant::now();
        for written in commands(self.document) {
            if written.scenario == scenario {
                self.run(&written);
            }
        }
        assert!(!self.outputs.is_empty() || self.service.is_some());
        eprintln!("{}, {scenario}: {} ms", self.document, began.elapsed().as_millis());
    }

    fn run(&mut self, written: &DocumentedCommand) {
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
            let said = self.run_bash(&command);
            let failed = said.code != Some(0);
            assert_eq!(failed, written.refused, "{command}: {said:?}");
            if command.contains("create") || command.contains("/CreateWithdraw") {
                self.remember(&said.out);
            }
            self.outputs.push((command, said));
        }
    }

    fn bash(&self, script: &str) -> Command {
        let mut command = clean_command("bash");
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

    fn run_bash(&self, command: &str) -> CommandOutput {
        CommandOutput::of(self.bash(command).output().unwrap())
    }

    /// What serves, serves in another terminal.
    pub fn serve(&mut self, command: &str) {
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
    pub fn output_of(&self, beginning: &str) -> &str {
        let mut outputs = self.outputs.iter();
        let said = outputs.find(|(command, _)| command.starts_with(beginning));
        &said.expect(beginning).1.out
    }

    /// Asks the same again until the answer has this in it.
    pub fn until(&self, beginning: &str, part: &str) {
        let mut outputs = self.outputs.iter();
        let (command, _) =
            outputs.find(|(command, _)| command.starts_with(beginning)).expect(beginning);
        until(part, || self.run_bash(command).out.contains(part).then_some(()));
    }

    /// A setting of the environment, from here on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.prelude.extend(["export ", name, "=", value, "\n"]);
    }

    pub fn service(&self) -> &Service {
        self.service.as_ref().unwrap()
    }

    /// Ctrl-C in the other terminal.
    pub fn stop(&mut self) {
        let mut service = self.service.take().unwrap();
        assert_eq!(service.interrupt().code(), Some(0), "{}", service.log());
    }
}
