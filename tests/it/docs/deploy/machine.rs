//! A machine for one deployment: a file system with the C library, the binary and nothing else, as
//! distroless images have it, and what is mounted in it. `tests/deploy/container` runs programs there.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fs,
    net::{SocketAddr, TcpListener},
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU16, Ordering},
};

use tempfile::TempDir;

use crate::{
    bench::binary::{BINARY, CommandOutput},
    bench::documents::ROOT,
};

/// The user of the image.
pub const USER: u32 = 65_532;

/// What differs here from what was rendered.
#[derive(Default)]
pub struct Differences(Vec<(String, String, Cell<bool>)>);

impl Differences {
    pub fn list(&mut self, rendered: &str, here: &str) {
        self.0.push((rendered.to_owned(), here.to_owned(), Cell::new(false)));
    }

    /// Text as it reads here.
    pub fn applied(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (rendered, here, used)| {
            used.set(used.get() || text.contains(rendered));
            text.replace(rendered, here)
        })
    }

    /// Whatever was listed is in what was rendered.
    pub fn assert_used(&self) {
        for (rendered, here, used) in &self.0 {
            assert!(used.get(), "not in what was rendered: {rendered}");
            eprintln!("  here: {here} for {rendered}");
        }
    }
}

/// A port that nobody is given who asks for any free one.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Two runs at once have numbers that are close, so each has twenty ports of its own.
    let begin = 20_000 + 20 * u16::try_from(std::process::id() % 600).unwrap();
    loop {
        let port = begin + NEXT.fetch_add(1, Ordering::SeqCst);
        if TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).is_ok() {
            return port;
        }
    }
}

pub struct Machine {
    root: TempDir,
    /// Outside of the root, since everything in it is read-only.
    volumes: TempDir,
    mounts: Vec<String>,
    user: u32,
}

impl Machine {
    /// With the binary installed at this path.
    pub fn with(binary: &str) -> Self {
        let machine = Self {
            root: tempfile::tempdir().unwrap(),
            volumes: tempfile::tempdir().unwrap(),
            mounts: Vec::new(),
            user: USER,
        };
        // The user of the program passes through it.
        fs::set_permissions(machine.root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let said = CommandOutput::of(Command::new("ldd").arg(BINARY).output().unwrap());
        let words = said.ok().split_whitespace();
        for library in words.filter(|word| word.starts_with('/')) {
            fs::copy(library, machine.made(library)).unwrap();
        }
        let installed = machine.made(binary);
        if fs::hard_link(BINARY, &installed).is_err() {
            fs::copy(BINARY, &installed).unwrap();
        }
        machine
    }

    /// Where a path of the machine is on the outside.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path.strip_prefix('/').expect("an absolute path"))
    }

    /// A path whose directories are there.
    fn made(&self, path: &str) -> PathBuf {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    /// As who its programs run.
    pub fn user(&mut self, user: u32) {
        self.user = user;
    }

    /// An empty directory of the image, its user's.
    pub fn directory(&self, path: &str) {
        fs::create_dir_all(self.path(path)).unwrap();
        self.lend(&self.path(path), self.user, self.user);
    }

    /// A file of the image.
    pub fn file(&self, path: &str, content: &str) {
        fs::write(self.made(path), content).unwrap();
    }

    /// A new directory with these files, mounted at `target`; its path on the outside.
    pub fn volume(
        &mut self,
        target: &str,
        files: &BTreeMap<String, Vec<u8>>,
        mode: u32,
    ) -> PathBuf {
        let volume = self.volumes.path().join(self.mounts.len().to_string());
        fs::create_dir(&volume).unwrap();
        for (name, content) in files {
            let file = volume.join(name);
            fs::write(&file, content).unwrap();
            // Root's, and readable by the group where the mode says so.
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            self.lend(&file, 0, self.user);
        }
        fs::set_permissions(&volume, fs::Permissions::from_mode(0o755)).unwrap();
        self.mount(&volume, target, "ro");
        volume
    }

    /// A directory of this user's, mounted at `target`; its path on the outside.
    pub fn writable(&mut self, target: &str) -> PathBuf {
        let volume = self.volumes.path().join(self.mounts.len().to_string());
        fs::create_dir(&volume).unwrap();
        fs::set_permissions(&volume, fs::Permissions::from_mode(0o700)).unwrap();
        self.lend(&volume, self.user, self.user);
        self.mount(&volume, target, "rw");
        volume
    }

    /// Only root gives files away; without root, all that is here is one user's.
    fn lend(&self, path: &Path, user: u32, group: u32) {
        if self.root.path().metadata().unwrap().uid() == 0 {
            chown(path, Some(user), Some(group)).unwrap();
        }
    }

    pub fn mount(&mut self, source: &Path, target: &str, mode: &str) {
        fs::create_dir_all(self.path(target)).unwrap();
        self.mounts.push(format!("{}:{target}:{mode}", source.display()));
    }

    /// A program with these arguments and this environment, and no other.
    pub fn command(&self, argv: &[String], env: &BTreeMap<String, String>) -> Command {
        let mut command = Command::new(Path::new(ROOT).join("tests/deploy/container"));
        command.arg(self.root.path()).arg(self.user.to_string());
        command.args(&self.mounts).arg("--").args(argv);
        command.env_clear().envs(env);
        command
    }

    /// What a program says that ends by itself.
    pub fn run(&self, argv: &[String], env: &BTreeMap<String, String>) -> CommandOutput {
        CommandOutput::of(self.command(argv, env).output().unwrap())
    }
}
