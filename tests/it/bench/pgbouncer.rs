//! A real PgBouncer in front of the tests' Postgres, in both of its modes: what one client leaves on a
//! session of the server, the next one finds there.

use std::{
    fs,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    str::FromStr,
};

use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tempfile::TempDir;

use crate::{
    bench::binary::{clean_command, test_variable},
    bench::lab::eventually,
    bench::new_postgres_database,
};

const PORT: u16 = 6432;

/// Few, so that clients wait for each other, and meet what others have left.
const SESSIONS: usize = 2;

/// A PgBouncer of a test's own. Dropped, it is killed.
pub struct Pooler {
    dir: TempDir,
    program: PathBuf,
    server: Option<Child>,
}

impl Pooler {
    /// Running, in this `pool_mode`. None, with a message, where there is no Postgres or no PgBouncer.
    pub async fn start(mode: &str) -> Option<Self> {
        let (folder, url) = (
            test_variable("WITHDRAWD_TEST_PGBOUNCER")?,
            test_variable("WITHDRAWD_TEST_POSTGRES_URL")?,
        );
        let behind = PgConnectOptions::from_str(&url).unwrap();
        // The path of a socket must be short.
        let within = behind.get_socket().expect("a private Postgres, on a Unix socket");
        let dir = tempfile::Builder::new().prefix("b").rand_bytes(4).tempdir_in(within).unwrap();
        // The server's user may not enter the folder of whoever runs the tests.
        for file in fs::read_dir(folder).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), dir.path().join(file.file_name())).unwrap();
        }
        // In session mode a client keeps its session until it disconnects.
        let sessions = if mode == "session" { 40 } else { SESSIONS };
        let settings = format!(
            "[databases]\n* = host={} user=postgres\n[pgbouncer]\nlisten_addr =\nlisten_port = {PORT}\n\
             unix_socket_dir = {}\nauth_type = any\npool_mode = {mode}\n\
             default_pool_size = {sessions}\nmax_client_conn = 200\nlog_connections = 0\nlog_disconnections = 0\n",
            within.display(),
            dir.path().display()
        );
        fs::write(dir.path().join("settings"), settings).unwrap();
        let owner = fs::metadata(within).unwrap();
        chown(dir.path(), Some(owner.uid()), Some(owner.gid())).unwrap();
        let program = dir.path().join("pgbouncer");
        let mut pooler = Self { dir, program, server: None };
        pooler.resume().await;
        Some(pooler)
    }

    /// A fresh database: its URL through here, and the direct one.
    pub async fn database(&self) -> (String, String) {
        let direct = new_postgres_database().await;
        let name = PgConnectOptions::from_str(&direct).unwrap();
        let (name, dir) = (name.get_database().unwrap(), self.dir.path().display());
        (format!("postgres://postgres@localhost:{PORT}/{name}?host={dir}"), direct)
    }

    /// Starts it, and waits until it answers.
    pub async fn resume(&mut self) {
        let mut server =
            clean_command(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/postgres"));
        server.arg("run").arg(&self.program).arg(self.dir.path().join("settings"));
        let log = self.dir.path().join("log");
        let log = fs::File::options().create(true).append(true).open(log).unwrap();
        server.env("LD_LIBRARY_PATH", self.dir.path()).stdin(Stdio::null());
        self.server = Some(server.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
        let socket = self.dir.path().join(format!(".s.PGSQL.{PORT}"));
        eventually("PgBouncer answers", async || {
            let ended = self.server.as_mut().unwrap().try_wait().unwrap();
            assert_eq!(ended, None, "{}", self.log());
            tokio::net::UnixStream::connect(&socket).await.ok()
        })
        .await;
    }

    /// A kill -9: every client loses its connection, and every session ends.
    pub fn crash(&mut self) {
        let mut server = self.server.take().unwrap();
        server.kill().unwrap();
        server.wait().unwrap();
        // It refuses to start beside the socket of an earlier process.
        let _ = fs::remove_file(self.dir.path().join(format!(".s.PGSQL.{PORT}")));
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
        if self.server.is_some() {
            self.crash();
        }
    }
}

/// A statement by hand, in one message, as other clients of the pooler send them.
pub async fn by_hand(url: &str, statement: &'static str) {
    let options = PgConnectOptions::from_str(url).unwrap().extra_float_digits(None);
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}
