//! Whole Postgres clusters of a test's own: backed up, killed, restored, promoted.
//!
//! They listen on Unix sockets, each in its own directory. A service's URL names the front: a socket that
//! is a link to one of theirs, as a proxy or a floating address would be, so that another server can
//! answer behind the same URL. Servers are children of the test, and die with it; their files lie in the
//! shared Postgres's directory, which tests/run removes whatever happens.

use std::{
    fs,
    os::unix::fs::{MetadataExt, chown, symlink},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    str::FromStr,
};

use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tempfile::TempDir;

use crate::{
    bench::binary::{CommandOutput, clean_command, test_variable},
    bench::lab::eventually,
};

const SOCKET: &str = ".s.PGSQL.5432";

/// Durable as by default (which is under test), and small.
const SETTINGS: [&str; 6] = [
    "listen_addresses=",
    "max_connections=40",
    "shared_buffers=16MB",
    "autovacuum=off",
    "checkpoint_timeout=1h",
    "log_checkpoints=off",
];

/// One of the server's programs, as the server's user.
fn program(name: &str) -> Command {
    let mut command = clean_command(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/postgres"));
    command.args(["run", name]).stdin(Stdio::null());
    command
}

fn run(command: &mut Command) {
    let said = CommandOutput::of(command.output().unwrap());
    assert_eq!(said.code, Some(0), "{said:?}");
}

/// Where a test's clusters are, and the front before them.
pub struct Clusters {
    dir: TempDir,
}

impl Clusters {
    /// None, with a message, where no Postgres is installed.
    pub fn open() -> Option<Self> {
        let shared = test_variable("WITHDRAWD_TEST_POSTGRES_URL")?;
        let shared = PgConnectOptions::from_str(&shared).unwrap();
        // The path of a socket must be short.
        let within = shared.get_socket().expect("a private Postgres, on a Unix socket");
        let dir = tempfile::Builder::new().prefix("c").rand_bytes(4).tempdir_in(within).unwrap();
        lend(dir.path(), within);
        Some(Self { dir })
    }

    /// The front: the URL that a service is given.
    pub fn url(&self) -> String {
        url(self.dir.path())
    }

    /// From here on this one answers behind the URL.
    pub fn route_to(&self, cluster: &Cluster) {
        let (front, next) = (self.dir.path().join(SOCKET), self.dir.path().join("next"));
        symlink(cluster.dir.join(SOCKET), &next).unwrap();
        fs::rename(next, front).unwrap();
    }

    fn place(&self, name: &str) -> PathBuf {
        let names = (0..).map(|number| self.dir.path().join(format!("{name}{number}")));
        let place = names.into_iter().find(|place| !place.exists()).unwrap();
        fs::create_dir(&place).unwrap();
        lend(&place, self.dir.path());
        place
    }

    /// A new cluster, running, and the one that answers.
    pub async fn primary(&self) -> Cluster {
        let dir = self.place("a");
        let mut initdb = program("initdb");
        initdb.arg("--pgdata").arg(dir.join("data"));
        initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8"]);
        run(initdb.args(["--locale=C.UTF-8", "--no-sync"]));
        let mut cluster = Cluster { dir, server: None };
        cluster.start().await;
        self.route_to(&cluster);
        cluster
    }

    /// A base backup of a running cluster, not running itself.
    pub fn base_backup(&self, of: &Cluster) -> Cluster {
        self.copy(of, "b", &[])
    }

    /// An asynchronous standby, streaming.
    pub async fn standby(&self, of: &Cluster) -> Cluster {
        let mut standby = self.copy(of, "s", &["--write-recovery-conf"]);
        standby.start().await;
        let streaming = "select count(*) from pg_stat_wal_receiver where status = 'streaming'";
        standby.until(streaming, 1).await;
        standby
    }

    fn copy(&self, of: &Cluster, name: &str, more: &[&str]) -> Cluster {
        let dir = self.place(name);
        let mut copy = program("pg_basebackup");
        copy.arg("--pgdata").arg(dir.join("data")).arg("--dbname").arg(url(&of.dir));
        run(copy.args(["--checkpoint=fast", "--no-sync"]).args(more));
        Cluster { dir, server: None }
    }
}

/// Gives a directory to the owner of another.
fn lend(dir: &Path, as_of: &Path) {
    let owner = fs::metadata(as_of).unwrap();
    chown(dir, Some(owner.uid()), Some(owner.gid())).unwrap();
}

fn url(dir: &Path) -> String {
    format!("postgres://postgres@localhost/postgres?host={}", dir.display())
}

/// A cluster's files, and its server while it runs. Dropped, it is killed.
pub struct Cluster {
    dir: PathBuf,
    server: Option<Child>,
}

impl Cluster {
    /// Starts the server, and waits until it answers.
    pub async fn start(&mut self) {
        assert!(self.server.is_none(), "it runs");
        let log = self.dir.join("log");
        let log = fs::File::options().create(true).append(true).open(log).unwrap();
        let mut server = program("postgres");
        server.arg("-D").arg(self.dir.join("data")).arg("-k").arg(&self.dir);
        for setting in SETTINGS {
            server.args(["-c", setting]);
        }
        let out = log.try_clone().unwrap();
        self.server = Some(server.stdout(out).stderr(log).spawn().unwrap());
        eventually("Postgres answers", async || {
            let ended = self.server.as_mut().unwrap().try_wait().unwrap();
            assert_eq!(ended, None, "{}", self.log());
            self.ask("select 1::bigint").await.ok()
        })
        .await;
    }

    /// `pg_ctl stop -m immediate`: what a loss of power leaves.
    pub fn crash(&mut self) {
        let mut server = self.server.take().unwrap();
        let quit = format!("kill -QUIT {}", server.id());
        assert!(Command::new("sh").args(["-c", &quit]).status().unwrap().success());
        server.wait().unwrap();
    }

    /// A dump of the database, beside the cluster's files.
    pub fn dump(&self) {
        let mut dump = program("pg_dump");
        run(dump
            .arg("--format=custom")
            .arg("--file")
            .arg(self.dir.join("dump"))
            .arg(url(&self.dir)));
    }

    /// Puts the dump in the place of what the running server has.
    pub async fn restore_dump(&self) {
        eventually("the dump is restored", async || {
            let mut restore = program("pg_restore");
            restore.args(["--clean", "--if-exists", "--single-transaction", "--dbname"]);
            let said = CommandOutput::of(
                restore.arg(url(&self.dir)).arg(self.dir.join("dump")).output().unwrap(),
            );
            // It may be the one who gives way in a deadlock with the service.
            assert!(said.code == Some(0) || said.err.contains("deadlock"), "{said:?}");
            (said.code == Some(0)).then_some(())
        })
        .await;
    }

    async fn ask(&self, question: &'static str) -> Result<i64, sqlx::Error> {
        let options = PgConnectOptions::from_str(&url(&self.dir)).unwrap();
        let mut connection = PgConnection::connect_with(&options).await?;
        let answer = sqlx::query_scalar(question).fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(answer)
    }

    /// Waits until a question is answered so.
    pub async fn until(&self, question: &'static str, answer: i64) {
        eventually(question, async || {
            let found = self.ask(question).await.unwrap();
            (found == answer).then_some(())
        })
        .await;
    }

    /// Runs a statement on a connection of the test's own.
    pub async fn sql(&self, statement: &'static str) {
        let options = PgConnectOptions::from_str(&url(&self.dir)).unwrap();
        let mut connection = PgConnection::connect_with(&options).await.unwrap();
        sqlx::query(statement).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// The network between a standby and its primary fails.
    pub async fn cut_off(&self) {
        self.sql("alter system set primary_conninfo = ''").await;
        self.sql("select pg_reload_conf()").await;
        self.until("select count(*) from pg_stat_wal_receiver", 0).await;
    }

    /// A standby becomes a primary, with what it has.
    pub async fn promote(&self) {
        self.sql("select pg_promote()").await;
        self.until("select pg_is_in_recovery()::int::bigint", 0).await;
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}: {}", self.dir.display(), self.log());
        }
        if self.server.is_some() {
            self.crash();
        }
    }
}
