//! The real binary, for what only a process has: a command line, an environment, signals, output.
//! All listeners take free ports; `listen.json` says which. (`daemon.rs` has the one in front of a
//! real lnd.)

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

pub const BINARY: &str = env!("CARGO_BIN_EXE_withdrawd");

/// Debug builds on busy machines are slow to start; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_mins(1);

/// Asks a real process again and again, within bounds.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A command that sees no setting of whoever runs the tests.
pub fn clean_command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        if ["WITHDRAWD_", "OTEL_"].iter().any(|prefix| name_text.starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command
}

/// A directory to run in. The data directory is the default, `withdrawd-data` in it.
pub struct Home {
    dir: TempDir,
    lives: AtomicUsize,
}

impl Home {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), lives: AtomicUsize::new(0) }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn data(&self, file: &str) -> PathBuf {
        self.path().join("withdrawd-data").join(file)
    }

    /// The binary with these arguments.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = clean_command(BINARY);
        command.args(args).current_dir(self.path());
        command
    }

    /// Runs a command that ends by itself.
    pub fn run(&self, args: &[&str]) -> CommandOutput {
        CommandOutput::of(self.command(args).output().unwrap())
    }

    pub fn run_with(&self, args: &[&str], environment: &[(&str, &str)]) -> CommandOutput {
        CommandOutput::of(self.command(args).envs(environment.iter().copied()).output().unwrap())
    }

    /// `serve` that must not start: what it said. Ports are free ones unless `args` name others.
    pub fn refused(&self, args: &[&str]) -> CommandOutput {
        self.refused_with(args, &[])
    }

    pub fn refused_with(&self, args: &[&str], environment: &[(&str, &str)]) -> CommandOutput {
        let mut command = self.command(&["serve"]);
        free_ports(&mut command);
        command.args(args).envs(environment.iter().copied());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let end = Instant::now() + PATIENCE;
        while child.try_wait().unwrap().is_none() {
            if Instant::now() > end {
                child.kill().unwrap();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        CommandOutput::of(child.wait_with_output().unwrap())
    }

    pub fn serve(&self, args: &[&str]) -> Service {
        self.serve_with(args, &[])
    }

    pub fn serve_with(&self, args: &[&str], environment: &[(&str, &str)]) -> Service {
        let mut command = self.command(&["serve"]);
        free_ports(&mut command);
        command.args(args).envs(environment.iter().copied());
        self.start(command, &self.data("listen.json"))
    }

    /// Starts a command that serves, and waits until it does.
    pub fn start(&self, mut command: Command, listen_json: &Path) -> Service {
        let life = self.lives.fetch_add(1, Ordering::SeqCst);
        let file = |name: &str| self.path().join(format!("{name}-{life}.log"));
        let (out, err) = (file("stdout"), file("stderr"));
        // That of an earlier process names other ports.
        let _ = fs::remove_file(listen_json);
        let child = command
            .stdin(Stdio::null())
            .stdout(fs::File::create(&out).unwrap())
            .stderr(fs::File::create(&err).unwrap())
            .spawn()
            .unwrap();
        let mut service = Service {
            child,
            out,
            err,
            grpc: SocketAddr::from(([0; 4], 0)),
            lnurl: SocketAddr::from(([0; 4], 0)),
            admin: SocketAddr::from(([0; 4], 0)),
            public_url: String::new(),
        };
        let listening = until("listening", || {
            if let Some(status) = service.child.try_wait().unwrap() {
                panic!("it ended with {status}: {}", service.log());
            }
            // The banner's last line comes when all is served.
            let serves = service.stdout().contains("  next ");
            serves.then(|| fs::read_to_string(listen_json).unwrap())
        });
        let listening: Value = serde_json::from_str(&listening).unwrap();
        let text = |key: &str| listening[key].as_str().unwrap();
        service.grpc = text("grpc").parse().unwrap();
        service.lnurl = text("lnurl").parse().unwrap();
        service.admin = text("admin").parse().unwrap();
        text("public_url").clone_into(&mut service.public_url);
        service
    }
}

/// Ports by the environment, so that flags of a test can win.
pub fn free_ports(command: &mut Command) {
    command
        .env("WITHDRAWD__GRPC__LISTEN", "127.0.0.1:0")
        .env("WITHDRAWD__LNURL__LISTEN", "127.0.0.1:0")
        .env("WITHDRAWD__ADMIN__LISTEN", "127.0.0.1:0");
}

/// A running service; killed when dropped.
pub struct Service {
    child: Child,
    out: PathBuf,
    err: PathBuf,
    pub grpc: SocketAddr,
    pub lnurl: SocketAddr,
    pub admin: SocketAddr,
    pub public_url: String,
}

impl Service {
    pub fn server(&self) -> String {
        format!("http://{}", self.grpc)
    }

    /// A client command against this service.
    pub fn cli(&self, args: &[&str]) -> CommandOutput {
        let mut command = clean_command(BINARY);
        command.args(args).env("WITHDRAWD_SERVER", self.server());
        CommandOutput::of(command.output().unwrap())
    }

    /// A client command that succeeds, as JSON.
    pub fn json(&self, args: &[&str]) -> Value {
        let mut args = args.to_vec();
        args.push("--json");
        let said = self.cli(&args);
        serde_json::from_str(said.ok()).unwrap()
    }

    pub fn create(&self, max_amount: &str) -> Value {
        self.json(&["create", "--max-amount", max_amount])
    }

    pub fn get(&self, id: &Value) -> Value {
        self.json(&["get", id.as_str().unwrap()])
    }

    /// The request once it is paid.
    pub fn paid(&self, id: &Value) -> Value {
        until("PAID", || {
            let withdraw = self.get(id);
            (withdraw["status"] == "PAID").then_some(withdraw)
        })
    }

    pub fn stdout(&self) -> String {
        fs::read_to_string(&self.out).unwrap()
    }

    pub fn stderr(&self) -> String {
        fs::read_to_string(&self.err).unwrap()
    }

    /// All of its output.
    pub fn log(&self) -> String {
        self.stdout() + &self.stderr()
    }

    /// `kill -9`.
    pub fn kill9(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM")
    }

    pub fn interrupt(&mut self) -> ExitStatus {
        self.signal("INT")
    }

    fn signal(&mut self, name: &str) -> ExitStatus {
        self.send_signal(name);
        self.wait()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// A signal, whatever follows.
    pub fn send_signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        until("ended", || self.child.try_wait().unwrap())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
        // Both fail when it has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a command said, and how it ended.
#[derive(Debug)]
pub struct CommandOutput {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl CommandOutput {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Standard output of a command that must succeed, silently otherwise.
    pub fn ok(&self) -> &str {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{self:?}");
        &self.out
    }

    /// The one line of an error: exit code 1, nothing on standard output.
    pub fn error_line(&self) -> &str {
        assert_eq!((self.code, self.out.as_str()), (Some(1), ""), "{self:?}");
        let line = self.err.strip_suffix('\n').unwrap();
        assert!(!line.contains('\n'), "more than a line: {self:?}");
        line.strip_prefix("withdrawd: ").unwrap()
    }
}

/// A variable that tests/run sets; without it, a message that a test is skipped.
pub fn test_variable(variable: &str) -> Option<String> {
    let value = std::env::var(variable).ok();
    if value.is_none() {
        let required = std::env::var("WITHDRAWD_REQUIRE_ALL").is_ok_and(|all| all == "1");
        assert!(!required, "{variable} is not set (see tests/run)");
        eprintln!("SKIPPED: {variable} is not set (see tests/run)");
    }
    value
}
