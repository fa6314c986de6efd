//! deploy/docker: what the Dockerfile puts into the image, and how the image starts.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use super::{
    deployed::{Deployed, Listeners, Probe, exercise, invoice_of, longest_stop},
    machine::{Differences, Machine, USER},
    shipped,
};
use crate::bench::documents::ROOT;

const DOCKERFILE: &str = "deploy/docker/Dockerfile";
pub const BINARY: &str = "/usr/local/bin/withdrawd";

/// The last stage.
#[derive(Debug, Default)]
pub struct Image {
    pub entrypoint: Vec<String>,
    pub cmd: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub user: String,
    pub exposed: BTreeSet<u16>,
    pub health: Vec<String>,
    pub stop_signal: String,
    /// From the repository, by their paths in the image.
    files: BTreeMap<String, String>,
    /// From the stage that builds, likewise.
    built: BTreeMap<String, String>,
}

/// Instructions with their arguments, continued lines joined, comments and blank lines left out.
fn instructions() -> Vec<(String, String)> {
    let text = shipped(DOCKERFILE);
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let written = joined.lines().filter(|line| !line.trim().is_empty());
    written
        .map(|line| {
            let (name, rest) = line.split_once(' ').unwrap();
            (name.to_owned(), rest.split_whitespace().collect::<Vec<_>>().join(" "))
        })
        .collect()
}

impl Image {
    pub fn shipped() -> Self {
        let mut image = Self::default();
        for (name, rest) in instructions() {
            let words: Vec<_> = rest.split(' ').collect();
            let exec = |rest: &str| serde_json::from_str(rest).expect("the form without a shell");
            match name.as_str() {
                "FROM" => image = Self::default(),
                "ARG" | "LABEL" | "RUN" | "WORKDIR" => {}
                "COPY" => image.copy(&words),
                "ENV" => {
                    let (name, value) = rest.split_once('=').unwrap();
                    assert!(!value.contains([' ', '"', '$']), "not understood: {rest}");
                    image.env.insert(name.to_owned(), value.to_owned());
                }
                "USER" => image.user = rest,
                "EXPOSE" => {
                    image.exposed = words.iter().map(|port| port.parse().unwrap()).collect();
                }
                "STOPSIGNAL" => image.stop_signal = rest,
                "HEALTHCHECK" => image.health = exec(rest.split_once("CMD ").unwrap().1),
                "ENTRYPOINT" => image.entrypoint = exec(&rest),
                "CMD" => image.cmd = exec(&rest),
                _ => panic!("not understood: {name} {rest}"),
            }
        }
        image
    }

    fn copy(&mut self, words: &[&str]) {
        let (options, paths): (Vec<_>, Vec<_>) =
            words.iter().copied().partition(|word| word.starts_with("--"));
        let (target, sources) = paths.split_last().unwrap();
        for source in sources {
            let copied =
                if options.contains(&"--from=build") { &mut self.built } else { &mut self.files };
            copied.insert((*target).to_owned(), (*source).to_owned());
        }
    }

    /// A machine with the image for its file system.
    pub fn machine(&self, differences: &Differences) -> Machine {
        let expected = [(BINARY, BINARY), ("/data", "/data")];
        let expected = expected.map(|(target, source)| (target.to_owned(), source.to_owned()));
        assert_eq!(self.built, expected.into());
        let mut machine = Machine::with(BINARY);
        assert_eq!(self.user, format!("{USER}:{USER}"));
        machine.user(USER);
        machine.directory("/data");
        for (target, source) in &self.files {
            machine.file(target, &differences.applied(&shipped(source)));
        }
        machine
    }

    /// The settings that it comes with.
    pub fn config(&self) -> String {
        shipped(&self.files[&self.env["WITHDRAWD_CONFIG"]])
    }

    /// The program with its arguments; `instead` of the image's own, if there are any.
    pub fn argv(&self, instead: Option<Vec<String>>) -> Vec<String> {
        let mut argv = self.entrypoint.clone();
        argv.extend(instead.unwrap_or_else(|| self.cmd.clone()));
        argv
    }
}

#[test]
fn the_image_is_small_in_rights() {
    let image = Image::shipped();
    assert_eq!(image.entrypoint, [BINARY]);
    assert_eq!(image.stop_signal, "SIGTERM");
    assert_eq!(image.exposed, [50_051, 8080, 9090].into());
    let (user, group) = image.user.split_once(':').unwrap();
    assert!(user.parse::<u32>().unwrap() > 0 && group.parse::<u32>().unwrap() > 0);
    // Bases that a digest can be given for.
    for (name, rest) in instructions() {
        if name == "FROM" {
            assert!(rest.starts_with("${") && rest.contains("_IMAGE}"), "{rest}");
        } else if name == "ARG" && rest.contains("_IMAGE=") {
            let (_, tag) = rest.rsplit_once(':').expect("a tag");
            assert_ne!(tag, "latest");
        }
    }
}

/// Whatever the sources and the build take in at compile time comes along, and nothing else does.
#[test]
fn all_that_is_built_from_reaches_the_build() {
    let ignore = shipped("deploy/docker/Dockerfile.dockerignore");
    let rules: Vec<_> = ignore.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(rules[0], "*");
    let sent: Vec<_> = rules[1..].iter().map(|rule| rule.strip_prefix('!').unwrap()).collect();
    for path in &sent {
        assert!(Path::new(ROOT).join(path).exists(), "{path}");
    }
    for (target, source) in Image::shipped().files {
        assert!(sent.contains(&source.as_str()), "{source} for {target}");
    }
    let mut open = vec![Path::new(ROOT).join("src"), Path::new(ROOT).join("build.rs")];
    let mut included = 0;
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for part in text.split("include_str!(\"").skip(1) {
            let file = path.with_file_name(part.split('"').next().unwrap());
            let file = file.canonicalize().unwrap();
            let file = file.strip_prefix(ROOT).unwrap();
            assert!(sent.iter().any(|sent| file.starts_with(sent)), "{}", file.display());
            included += 1;
        }
    }
    assert!(included > 0);
    for needed in ["Cargo.toml", "Cargo.lock", "build.rs", "proto", "src"] {
        assert!(sent.contains(&needed), "{needed}");
    }
}

/// What the guide's `docker run` gives.
struct DockerRun {
    env: BTreeMap<String, String>,
    /// Where volumes are mounted.
    volumes: Vec<String>,
    /// Docker's patience with a container that does not end; its own is 10 s.
    stop_timeout_s: u64,
}

fn docker_run(image: &Image) -> DockerRun {
    let guide = shipped("deploy/operations.md");
    let line = guide.lines().find(|line| line.starts_with("docker run ")).unwrap();
    let (mut env, mut volumes, mut stop_timeout_s) = (image.env.clone(), Vec::new(), 10);
    let mut words = line.split(' ').skip(2).peekable();
    while let Some(option) = words.next_if(|word| word.starts_with("--")) {
        let mut value = || words.next().unwrap();
        match option {
            "--read-only" | "--detach" => {}
            "--name" => assert_eq!(value(), "withdrawd"),
            "--cap-drop" => assert_eq!(value(), "ALL"),
            "--security-opt" => assert_eq!(value(), "no-new-privileges"),
            "--stop-timeout" => stop_timeout_s = value().parse().unwrap(),
            "--publish" => {
                let port = value().strip_prefix("127.0.0.1:").unwrap().split_once(':').unwrap().1;
                assert!(image.exposed.contains(&port.parse().unwrap()));
            }
            "--env" => {
                let (name, value) = value().split_once('=').unwrap();
                env.insert(name.to_owned(), value.to_owned());
            }
            "--volume" => volumes.push(value().split_once(':').unwrap().1.to_owned()),
            _ => panic!("not understood: {option}"),
        }
    }
    assert!(words.next().unwrap().starts_with("withdrawd:"));
    assert_eq!(words.next(), None);
    DockerRun { env, volumes, stop_timeout_s }
}

/// `docker run` as the guide has it: on SQLite and the simulated node, with a volume for both.
#[tokio::test(flavor = "multi_thread")]
async fn the_image_pays() {
    let image = Image::shipped();
    let mut differences = Differences::default();
    let listeners = Listeners::differing_from(&mut differences, "0.0.0.0");
    let mut machine = image.machine(&differences);
    differences.assert_used();
    let DockerRun { env, volumes, stop_timeout_s } = docker_run(&image);
    assert_eq!(volumes, ["/data"]);
    let data = machine.writable("/data");
    let public_url = env["WITHDRAWD__PUBLIC_URL"].clone();
    assert!(stop_timeout_s > longest_stop(&image.config(), &env));

    let argv = image.argv(None);
    let mut deployed = Deployed::start(machine, &argv, env, &data, listeners.admin);
    assert!(data.join("withdrawd.sqlite").exists());
    let health = Probe::Command(image.health.clone());
    deployed.probes(std::slice::from_ref(&health));
    exercise(&deployed, &deployed, &public_url, invoice_of(1000)).await;
    deployed.ends_within(stop_timeout_s);
    assert!(!deployed.probe(&health));
}
